"""What an intrinsic function may be given (内置函数参数): checks that say clearly what is wrong."""

from __future__ import annotations

import math
from typing import Any

from workflows.engine.language.json_text import to_json

_SHOWN = 200


class ArgumentError(Exception):
    """An intrinsic function cannot work with what it was given; the text says why."""


def need_array(value: Any, what: str) -> list[Any]:
    """The value if it is an array; ArgumentError otherwise."""
    if not isinstance(value, list):
        raise ArgumentError(f"{what} must be an array, got {_shown(value)}")
    return value


def need_string(value: Any, what: str) -> str:
    """The value if it is a string; ArgumentError otherwise."""
    if not isinstance(value, str):
        raise ArgumentError(f"{what} must be a string, got {_shown(value)}")
    return value


def need_object(value: Any, what: str) -> dict[str, Any]:
    """The value if it is an object; ArgumentError otherwise."""
    if not isinstance(value, dict):
        raise ArgumentError(f"{what} must be an object, got {_shown(value)}")
    return value


def need_integer(value: Any, what: str) -> int:
    """A number rounded as Java's Math.round does: to the nearest, halves up (-1.5 gives -1).

    AWS documentation of the intrinsics: a non-integer value is rounded off to the nearest integer.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ArgumentError(f"{what} must be a number, got {_shown(value)}")
    if isinstance(value, int):
        return value
    if not math.isfinite(value):
        raise ArgumentError(f"{what} must be a finite number")
    below = math.floor(value)  # adding 0.5 would lose precision: 0.49999999999999994
    return below + 1 if value - below >= 0.5 else below


def _shown(value: Any) -> str:
    text = to_json(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
