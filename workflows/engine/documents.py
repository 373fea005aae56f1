"""JSON documents as they pass between states (数据): the value, its text and its size together.

The text is made once: it is what history stores, what limits measure, what a caller reads.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from workflows.engine.language.errors import DATA_LIMIT_EXCEEDED, RUNTIME, StatesError

# Bytes of UTF-8 that one input, output or result may have (Step Functions service quotas).
LARGEST_DOCUMENT = 262_144
# Levels of arrays and objects: what is stored must be readable wherever it is read.
DEEPEST_DOCUMENT = 400

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_encode_ascii = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Document:
    """A JSON value and its compact text; neither ever changes."""

    __slots__ = ("_text", "value")

    def __init__(self, value: Any, text: str | None = None) -> None:
        self.value = value
        self._text = text

    @property
    def text(self) -> str:
        """Compact JSON; ValueError or TypeError when the value is no JSON."""
        if self._text is None:
            self._text = to_json(self.value)
        return self._text

    @property
    def size(self) -> int:
        """Bytes of UTF-8."""
        text = self.text
        return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))

    @property
    def is_too_deep(self) -> bool:
        """Whether arrays and objects are nested over ``DEEPEST_DOCUMENT`` levels."""
        # A text with few brackets needs no counting of levels.
        if self.text.count("[") + self.text.count("{") <= DEEPEST_DOCUMENT:
            return False
        level: list[Any] = [self.value]
        for _ in range(DEEPEST_DOCUMENT + 1):
            level = [inner for one in level for inner in _inside(one)]
            if not level:
                return False
        return True

    def within_limit(self, who: str) -> Document:
        """This document, or DataLimitExceeded in the name of a state or task."""
        text = self.text
        if self.is_too_deep:
            raise StatesError(RUNTIME, f"The data has more than {DEEPEST_DOCUMENT} levels.")
        # A character has 4 bytes at most, so short texts need no counting.
        if len(text) * 4 > LARGEST_DOCUMENT and self.size > LARGEST_DOCUMENT:
            raise StatesError(
                DATA_LIMIT_EXCEEDED,
                f"The state/task '{who}' returned a result with a size exceeding the maximum "
                "number of bytes service limit.",
            )
        return self


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


EMPTY = Document({}, "{}")
NULL = Document(None, "null")


def to_json(value: Any) -> str:
    """Compact JSON text of a value; it can be stored as UTF-8 whatever the value holds."""
    text = _encode(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # half a surrogate pair: written as an escape
            return _encode_ascii(value)
    return text


def storable(text: str | None) -> str | None:
    """A text without half surrogate pairs, which no database takes."""
    return text and text.encode("utf-8", "replace").decode("utf-8")


def read_json(text: str) -> Any:
    """The value of a JSON text; ValueError when it is none (NaN and infinities are none)."""
    return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def joined(parts: Mapping[str, str]) -> str:
    """An object's text from the texts of its members."""
    return "{" + ",".join(f"{_encode(name)}:{text}" for name, text in parts.items()) + "}"
