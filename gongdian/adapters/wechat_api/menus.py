"""The menu below the chat (自定义菜单), checked before it is sent; wiring puts it on the desk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gongdian.adapters.wechat_api.calls import AccountCalls, unreadable
from gongdian.adapters.wechat_api.shapes import mapping, mapping_in, optional_text
from gongdian.errors import InputError, PlatformRefusalError
from gongdian.wechat_ports import MenuButton

_CREATE = "/cgi-bin/menu/create"
_GET = "/cgi-bin/menu/get"
_DELETE = "/cgi-bin/menu/delete"
NO_MENU = 46003

KEYED = (
    *("click", "scancode_push", "scancode_waitmsg", "location_select"),
    *("pic_sysphoto", "pic_photo_or_album", "pic_weixin"),
)
KINDS = (*KEYED, "view", "miniprogram")
MOST_BUTTONS, MOST_CHILDREN = 3, 5
KEY_BYTES, URL_BYTES = 128, 1024
# Bytes are what the platform takes; beyond this many Chinese characters it shows dots.
NAME_BYTES, NAME_WIDTH = 16, 4
CHILD_NAME_BYTES, CHILD_NAME_WIDTH = 60, 8


class Menus:
    """Fills ``gongdian.wechat_ports.MenuPort``."""

    def __init__(self, calls: AccountCalls) -> None:
        self._calls = calls

    def create(self, buttons: tuple[MenuButton, ...]) -> None:
        """Replace the menu; the same menu twice is the same menu."""
        check_menu(buttons)
        document = {"button": [_to_wire(button) for button in buttons]}
        self._calls.post(_CREATE, document, repeatable=True)

    def current(self) -> tuple[MenuButton, ...]:
        """The menu that was created; empty when there is none."""
        try:
            reply = self._calls.get(_GET, answer="menu")
        except PlatformRefusalError as error:
            if error.errcode == NO_MENU:
                return ()
            raise
        return _from_wire(mapping_in(reply, "menu", _GET).get("button"))

    def delete(self) -> None:
        """Take the menu away."""
        self._calls.get(_DELETE, answer="errcode")


def check_menu(buttons: tuple[MenuButton, ...]) -> None:
    """InputError when the platform would refuse the menu or show a name cut off."""
    if not 1 <= len(buttons) <= MOST_BUTTONS:
        raise InputError("menu_buttons", f"a menu has 1 to {MOST_BUTTONS} buttons")
    for button in buttons:
        _check_name(button, NAME_BYTES, NAME_WIDTH)
        if not button.children:
            _check_action(button)
            continue
        if button.kind:
            raise InputError("menu_kind", "a button with others below does nothing itself")
        if len(button.children) > MOST_CHILDREN:
            raise InputError("menu_buttons", f"at most {MOST_CHILDREN} below", button=button.name)
        for child in button.children:
            if child.children:
                raise InputError("menu_depth", "a menu has two levels", button=child.name)
            _check_name(child, CHILD_NAME_BYTES, CHILD_NAME_WIDTH)
            _check_action(child)


def _check_name(button: MenuButton, most_bytes: int, width: int) -> None:
    shown = sum(1 if char.isascii() else 2 for char in button.name)
    if not button.name.strip() or len(button.name.encode()) > most_bytes or shown > 2 * width:
        raise InputError(
            "menu_name", f"a name has 1 to {width} Chinese characters", button=button.name
        )


def _check_action(button: MenuButton) -> None:
    if button.kind not in KINDS:
        raise InputError("menu_kind", f"one of {', '.join(KINDS)}", button=button.name)
    if button.kind in KEYED and not 0 < len(button.key.encode()) <= KEY_BYTES:
        raise InputError("menu_key", f"a key has 1 to {KEY_BYTES} bytes", button=button.name)
    if button.kind in ("view", "miniprogram"):
        is_web = button.url.startswith(("http://", "https://"))
        if not is_web or len(button.url.encode()) > URL_BYTES:
            raise InputError("menu_url", "an address of at most 1024 bytes", button=button.name)
    if button.kind == "miniprogram" and not (button.appid and button.page):
        raise InputError("menu_miniprogram", "appid and page are needed", button=button.name)


def _to_wire(button: MenuButton) -> dict[str, Any]:
    if button.children:
        return {"name": button.name, "sub_button": [_to_wire(one) for one in button.children]}
    named = {"key": button.key, "url": button.url, "appid": button.appid, "pagepath": button.page}
    document = {"type": button.kind, "name": button.name}
    return {**document, **{name: value for name, value in named.items() if value}}


def _from_wire(buttons: object) -> tuple[MenuButton, ...]:
    """What the platform keeps as a list of buttons; nothing where there are none."""
    if buttons is None:
        return ()
    if not isinstance(buttons, list):
        raise unreadable(_GET)
    return tuple(_button(mapping(one, _GET)) for one in buttons)


def _button(one: Mapping[str, Any]) -> MenuButton:
    return MenuButton(
        name=optional_text(one, "name"),
        kind=optional_text(one, "type"),
        key=optional_text(one, "key"),
        url=optional_text(one, "url"),
        appid=optional_text(one, "appid"),
        page=optional_text(one, "pagepath"),
        children=_from_wire(one.get("sub_button")),
    )
