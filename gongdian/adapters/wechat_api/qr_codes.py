"""QR codes with a scene (带参数二维码); wiring puts it on the desk."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

from gongdian.adapters.wechat_api.calls import AccountCalls, unreadable
from gongdian.adapters.wechat_api.shapes import number_in, optional_text, text_in
from gongdian.errors import InputError
from gongdian.wechat_ports import QrCode

_PATH = "/cgi-bin/qrcode/create"
_IMAGE = "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket="
LONGEST = timedelta(days=30)
SCENE_CHARACTERS = 64


class QrCodes:
    """Fills ``gongdian.wechat_ports.QrCodePort``."""

    def __init__(self, calls: AccountCalls) -> None:
        self._calls = calls

    def temporary(self, scene: str, life: timedelta) -> QrCode:
        """A code for up to 30 days."""
        seconds = int(life.total_seconds())
        if not 0 < seconds <= LONGEST.total_seconds():
            raise InputError("qr_life", "a temporary code lasts up to 30 days", seconds=seconds)
        return self._create("QR_STR_SCENE", scene, {"expire_seconds": seconds})

    def lasting(self, scene: str) -> QrCode:
        """A code that lasts."""
        return self._create("QR_LIMIT_STR_SCENE", scene, {})

    def _create(self, action: str, scene: str, more: dict[str, Any]) -> QrCode:
        if not 1 <= len(scene) <= SCENE_CHARACTERS:
            raise InputError("qr_scene", f"a scene has 1 to {SCENE_CHARACTERS} characters")
        document = {**more, "action_name": action, "action_info": {"scene": {"scene_str": scene}}}
        asked_at = self._calls.clock.now()
        # A second code for the same scene leads to the same place.
        reply = self._calls.post(_PATH, document, repeatable=True, answer="ticket")
        ticket, ends = text_in(reply, "ticket", _PATH), None
        if "expire_seconds" in reply:
            seconds = number_in(reply, "expire_seconds", _PATH)
            if not 0 < seconds <= LONGEST.total_seconds():
                raise unreadable(_PATH)
            ends = asked_at + timedelta(seconds=seconds)
        url = optional_text(reply, "url")
        return QrCode(ticket, url, _IMAGE + quote(ticket, safe=""), ends)
