"""The account's menu (自定义菜单) with the platform's limits.

Called by ``account_routes``; ``phone`` asks whether a button that is tapped is there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from devtools.wechat_sandbox.refusals import ActionError, RefusalError

KEYED = (
    *("click", "scancode_push", "scancode_waitmsg", "location_select"),
    *("pic_sysphoto", "pic_photo_or_album", "pic_weixin"),
)
KINDS = (*KEYED, "view", "miniprogram", "media_id", "view_limited", "article_id")
KEY_BYTES, URL_BYTES = 128, 1024
Button = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Codes:
    """The errcodes of one level of the menu."""

    name_bytes: int
    count: int
    kind: int
    name: int
    key: int
    url: int
    domain: int


TOP = Codes(16, 40016, 40017, 40018, 40019, 40020, 40055)
SUB = Codes(60, 40023, 40024, 40025, 40026, 40027, 40054)


class MenuDesk:
    """Keeps the menu that was created last."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._buttons: list[Button] = []
        self._changes = 0

    @property
    def buttons(self) -> list[Button]:
        """The menu as it was created; empty when there is none."""
        with self._lock:
            return list(self._buttons)

    @property
    def version(self) -> int:
        """Another number after each change; 0 when there is no menu."""
        with self._lock:
            return self._changes if self._buttons else 0

    def create(self, order: Button) -> dict[str, Any]:
        """Check and keep a menu. Raises RefusalError."""
        buttons = checked(order.get("button"), TOP, 3)
        self.restore(buttons)
        return {"errcode": 0, "errmsg": "ok"}

    def current(self) -> dict[str, Any]:
        """The answer to menu/get: each button has a list of those below it."""
        buttons = self.buttons
        if not buttons:
            raise RefusalError(46003)
        return {"menu": {"button": [{"sub_button": [], **one} for one in buttons]}}

    def delete(self) -> dict[str, Any]:
        """Take the menu away."""
        self.restore([])
        return {"errcode": 0, "errmsg": "ok"}

    def restore(self, buttons: list[Button]) -> None:
        """Take a saved menu."""
        with self._lock:
            self._buttons = buttons
            self._changes += 1

    def must_have(self, kind: str, field: str, value: str) -> None:
        """A person can only tap what is there; without a menu everything may be tapped."""
        buttons = self.buttons
        if buttons and not any(
            one.get("type") == kind and one.get(field) == value for one in leaves(buttons)
        ):
            raise ActionError(f"the menu has no {kind} button with {field} {value!r}")


def leaves(buttons: list[Button]) -> Iterator[Button]:
    """The buttons that do something."""
    for one in buttons:
        yield from one.get("sub_button") or (one,)


def checked(buttons: Any, codes: Codes, most: int) -> list[Button]:
    """The buttons of one level. Raises RefusalError with this level's errcodes."""
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= most:
        raise RefusalError(codes.count)
    for one in buttons:
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str) or not 1 <= len(name.encode()) <= codes.name_bytes:
            raise RefusalError(codes.name)
        if codes is TOP and one.get("sub_button"):
            checked(one["sub_button"], SUB, 5)
        else:
            check_action(one, codes)
    return buttons


def check_action(one: Button, codes: Codes) -> None:
    """What a button does. Raises RefusalError."""
    kind = one.get("type")
    if kind not in KINDS:
        raise RefusalError(codes.kind)
    if kind in KEYED and not 1 <= len(str(one.get("key") or "").encode()) <= KEY_BYTES:
        raise RefusalError(codes.key)
    if kind in ("view", "miniprogram"):
        url = str(one.get("url") or "")
        if not 1 <= len(url.encode()) <= URL_BYTES:
            raise RefusalError(codes.url)
        if not url.startswith(("http://", "https://")):
            raise RefusalError(codes.domain)
    if kind == "miniprogram" and not one.get("appid"):
        raise RefusalError(41002)
