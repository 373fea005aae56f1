"""Intrinsic functions for JSON, numbers and identifiers (其他内置函数).

Source: AWS documentation, "Intrinsic functions".
"""

from __future__ import annotations

import json
import random
from typing import Any, NoReturn
from uuid import uuid4

from workflows.engine.language.intrinsic_arguments import (
    ArgumentError,
    need_integer,
    need_object,
    need_string,
)
from workflows.engine.language.json_text import to_json


def string_to_json(text: Any) -> Any:
    """States.StringToJson; empty or blank text gives null."""
    whole = need_string(text, "The argument").strip()
    if not whole:
        return None
    try:
        return json.loads(whole, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ArgumentError("The argument is not JSON text") from error


def json_to_string(value: Any) -> str:
    """States.JsonToString: compact JSON text."""
    return to_json(value)


def json_merge(first: Any, second: Any, deep: Any) -> dict[str, Any]:
    """States.JsonMerge: members of both, the second's win; only shallow merging exists."""
    if not isinstance(deep, bool):
        raise ArgumentError("The third argument must be a boolean")
    if deep:
        raise ArgumentError("Deep merging is not supported: the third argument must be false")
    merged = need_object(first, "The first argument")
    return {**merged, **need_object(second, "The second argument")}


def math_add(first: Any, second: Any) -> int:
    """States.MathAdd: the sum; each argument is rounded first."""
    return need_integer(first, "The first argument") + need_integer(second, "The second argument")


def math_random(start: Any, end: Any, seed: Any = None) -> int:
    """States.MathRandom: a whole number from ``start`` (included) to ``end`` (excluded).

    The same seed gives the same number, though not the number that AWS would draw.
    """
    low = need_integer(start, "The first argument")
    high = need_integer(end, "The second argument")
    if low >= high:
        raise ArgumentError("The first argument must be less than the second")
    # No secret hangs on these numbers.
    source = random.Random(None if seed is None else need_integer(seed, "The seed"))  # noqa: S311
    return source.randrange(low, high)


def uuid() -> str:
    """States.UUID: a new random identifier (version 4)."""
    return str(uuid4())


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # Python reads NaN and Infinity, JSON does not know them
