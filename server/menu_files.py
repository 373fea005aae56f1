"""Menu files (菜单文件): TOML in ``templates/menus`` to buttons; ``menu push`` calls it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gongdian.errors import InputError
from gongdian.wechat_ports import MenuButton

_TEXTS = ("name", "kind", "key", "url", "appid", "page")


def read_menu(path: Path, public_url: str) -> tuple[MenuButton, ...]:
    """The buttons of a file; a ``url`` that is a path gets ``public_url`` in front.

    InputError for a file that is no menu; what the platform allows is checked when it is pushed.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError("menu_unreadable", str(error), file=str(path)) from error
    if document.keys() != {"button"}:
        raise InputError("menu_unreadable", "write [[button]] tables", file=str(path))
    return tuple(_buttons(document["button"], public_url))


def _buttons(rows: Any, public_url: str) -> Iterator[MenuButton]:
    if not isinstance(rows, list):
        raise InputError("menu_unreadable", "write [[button]] and [[button.below]] tables")
    for row in rows:
        yield _button(row, public_url)


def _button(row: Any, public_url: str) -> MenuButton:
    if not isinstance(row, Mapping) or row.keys() - {*_TEXTS, "below"}:
        raise InputError("menu_unreadable", f"a button has {', '.join(_TEXTS)}, below")
    texts = {name: row[name] for name in _TEXTS if name in row}
    if not all(isinstance(value, str) for value in texts.values()) or "name" not in texts:
        raise InputError("menu_unreadable", "a button has a name, and texts only")
    if texts.get("url", "").startswith("/"):
        texts["url"] = public_url + texts["url"]
    return MenuButton(**texts, children=tuple(_buttons(row.get("below", []), public_url)))
