"""JSON documents as they pass between states (数据): the value, its text and its size together.

The text is made once: it is what history stores, what limits measure, what a caller reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from workflows.engine.language.errors import DATA_LIMIT_EXCEEDED, StatesError

# Bytes of UTF-8 that one input, output or result may have (Step Functions service quotas).
LARGEST_DOCUMENT = 262_144

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


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
            self._text = _encode(self.value)
        return self._text

    @property
    def size(self) -> int:
        """Bytes of UTF-8."""
        text = self.text
        return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))

    def within_limit(self, who: str) -> Document:
        """This document, or DataLimitExceeded in the name of a state or task."""
        text = self.text
        # A character has 4 bytes at most, so short texts need no counting.
        if len(text) * 4 > LARGEST_DOCUMENT and self.size > LARGEST_DOCUMENT:
            raise StatesError(
                DATA_LIMIT_EXCEEDED,
                f"The state/task '{who}' returned a result with a size exceeding the maximum "
                "number of bytes service limit.",
            )
        return self


EMPTY = Document({}, "{}")
NULL = Document(None, "null")


def to_json(value: Any) -> str:
    """Compact JSON text of a value."""
    return _encode(value)


def read_json(text: str) -> Any:
    """The value of a JSON text; ValueError when it is none (NaN and infinities are none)."""
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def joined(parts: Mapping[str, str]) -> str:
    """An object's text from the texts of its members."""
    return "{" + ",".join(f"{_encode(name)}:{text}" for name, text in parts.items()) + "}"
