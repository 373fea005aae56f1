"""What the platform tells about a person (用户信息): called by ``account_routes``.

``phone`` says when somebody follows, and through which scene.
"""

from __future__ import annotations

import threading
from typing import Any

from devtools.wechat_sandbox.clock import SandboxClock
from devtools.wechat_sandbox.phones import PhoneDesk
from devtools.wechat_sandbox.refusals import RefusalError


class PeopleDesk:
    """Remembers when and how each person began to follow."""

    def __init__(self, lock: threading.RLock, clock: SandboxClock, phones: PhoneDesk) -> None:
        self._lock = lock
        self._clock = clock
        self._phones = phones
        self._followed: dict[str, tuple[float, str]] = {}

    def followed(self, openid: str, scene: str) -> None:
        """Somebody follows now."""
        with self._lock:
            self._followed[openid] = (self._clock.now(), scene)

    def info(self, query: dict[str, str]) -> dict[str, Any]:
        """The answer to user/info. Raises RefusalError."""
        openid = query.get("openid", "")
        if not openid:
            raise RefusalError(41009)
        phone = self._phones.find(openid)
        if phone is None:
            raise RefusalError(40003)
        if not phone.following:
            return {"subscribe": 0, "openid": openid}
        with self._lock:
            # A phone that was made as a follower follows since it was first looked at.
            at, scene = self._followed.setdefault(openid, (self._clock.now(), ""))
        return {
            "subscribe": 1,
            "openid": openid,
            "language": query.get("lang", "zh_CN"),
            "subscribe_time": int(at),
            "remark": "",
            "groupid": 0,
            "tagid_list": [],
            "subscribe_scene": "ADD_SCENE_QR_CODE" if scene else "ADD_SCENE_SEARCH",
            "qr_scene": 0,
            "qr_scene_str": scene,
        }

    def snapshot(self) -> dict[str, list[Any]]:
        """For saving."""
        with self._lock:
            return {openid: list(row) for openid, row in self._followed.items()}

    def restore(self, saved: dict[str, list[Any]]) -> None:
        """Take what was saved."""
        with self._lock:
            self._followed = {openid: (row[0], row[1]) for openid, row in saved.items()}
