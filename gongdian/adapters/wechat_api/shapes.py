"""Reading the platform's answers strictly (应答取值); the subjects of the API client call it.

What is missing or of another kind than documented is OutcomeUnknownError: the platform has
answered, so it may have acted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gongdian.adapters.wechat_api.calls import unreadable

_ID = re.compile(r"[!-~]{1,32}")


def text_in(reply: Mapping[str, Any], name: str, path: str) -> str:
    """A text that must be there."""
    value = reply.get(name)
    if not isinstance(value, str) or not value:
        raise unreadable(path)
    return value


def optional_text(reply: Mapping[str, Any], name: str) -> str:
    """A text, empty when it is missing or no text."""
    value = reply.get(name)
    return value if isinstance(value, str) else ""


def number_in(reply: Mapping[str, Any], name: str, path: str) -> int:
    """A whole number that must be there; the platform writes some of them as text."""
    try:
        return int(reply[name])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise unreadable(path) from error


def instant_in(reply: Mapping[str, Any], name: str, path: str) -> datetime:
    """An instant that must be there, told in seconds since 1970."""
    try:
        return datetime.fromtimestamp(number_in(reply, name, path), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise unreadable(path) from error


def mapping_in(reply: Mapping[str, Any], name: str, path: str) -> dict[str, Any]:
    """A JSON object that must be there."""
    return mapping(reply.get(name), path)


def mapping(value: object, path: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise unreadable(path)
    return value


def message_id_in(reply: Mapping[str, Any], name: str) -> str:
    """The platform's id of a message, or ``"0"`` (none) when it is nothing that can be one."""
    value = reply.get(name)
    told = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return told if _ID.fullmatch(told) else "0"
