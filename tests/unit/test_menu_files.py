"""Menu files, and that the shipped menu does what its buttons say."""

from __future__ import annotations

from pathlib import Path

import pytest

from gongdian.adapters.wechat_api.menus import check_menu
from gongdian.errors import InputError
from gongdian.render.loader import TEMPLATES
from gongdian.wechat_ports import MenuButton
from server.menu_files import read_menu
from wechat_handlers.messages import parse_message
from wechat_handlers.rules import build_router

URL = "https://gongdian.example"
CLICK = (
    "<xml><ToUserName>gh_1</ToUserName><FromUserName>oA</FromUserName>"
    "<CreateTime>1767600000</CreateTime><MsgType>event</MsgType><Event>CLICK</Event>"
    "<EventKey>{key}</EventKey></xml>"
)


def test_the_shipped_menu_passes_and_each_of_its_keys_has_a_rule() -> None:
    buttons = read_menu(TEMPLATES / "menus" / "demo.toml", URL)
    check_menu(buttons)
    leaves = [leaf for button in buttons for leaf in button.children or (button,)]
    keys = [leaf.key for leaf in leaves if leaf.kind == "click"]
    router = build_router()

    assert "BIND" in keys
    for key in keys:
        rule = router.match(parse_message(CLICK.format(key=key).encode(), is_json=False))
        assert rule is not None
        assert rule.key == key


def test_a_path_is_one_of_this_installation(tmp_path: Path) -> None:
    file = tmp_path / "menu.toml"
    file.write_text('[[button]]\nname = "停电"\nkind = "view"\nurl = "/h5/outage"\n')

    assert read_menu(file, URL) == (MenuButton("停电", "view", url=f"{URL}/h5/outage"),)


@pytest.mark.parametrize(
    "text",
    [
        "button = 1",
        "[[knob]]\nname = 'a'",
        "[[button]]\nkind = 'click'",
        "[[button]]\nname = 'a'\ncolour = 'red'",
        "[[button]]\nname = 1",
        "[[button]]\nname = 'a'\nbelow = 'b'",
        "not toml at all",
    ],
)
def test_a_file_that_is_no_menu_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "menu.toml"
    file.write_text(text)

    with pytest.raises(InputError):
        read_menu(file, URL)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_menu(tmp_path / "none.toml", URL)
