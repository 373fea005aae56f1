"""Strict reading of TOML tables (配置表读取): each error names file, table and field.

Called by the registry and the consents; nothing is guessed and nothing unknown passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Never, TypeVar

from gongdian.errors import ConfigError

T = TypeVar("T")


class Table:
    """One TOML table; take every field, then ``close``."""

    def __init__(self, raw: object, *, file: str, table: str = "") -> None:
        self.file = file
        self.table = table
        if not isinstance(raw, dict):
            self.refuse("", "must be a table")
        self._raw: dict[str, object] = dict(raw)

    def refuse(self, field: str, text: str) -> Never:
        """Raise the ConfigError for a field of this table."""
        raise ConfigError(
            "templates_invalid", text, file=self.file, table=self.table or "(top)", field=field
        )

    def text(self, field: str, pattern: str = r".+") -> str:
        """A needed text that matches as a whole."""
        value = self._take(field)
        if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
            self.refuse(field, f"must be a text that matches {pattern}")
        return value

    def flag(self, field: str) -> bool:
        """A needed true or false."""
        value = self._take(field)
        if not isinstance(value, bool):
            self.refuse(field, "must be true or false")
        return value

    def count(self, field: str, low: int, high: int) -> int:
        """A needed whole number in low..high."""
        value = self._take(field)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.refuse(field, f"must be a whole number in {low}..{high}")
        return value

    def texts(self, field: str) -> tuple[str, ...]:
        """A needed list of texts."""
        value = self._take(field)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.refuse(field, "must be a list of texts")
        return tuple(value)

    def child(self, field: str) -> Table:
        """A needed table."""
        return Table(self._take(field), file=self.file, table=self._path(field))

    def children(self, field: str) -> list[Table]:
        """A needed list of tables, at least one."""
        value = self._take(field)
        if not isinstance(value, list) or not value:
            self.refuse(field, "must be a list of tables")
        return [
            Table(item, file=self.file, table=f"{self._path(field)}[{index}]")
            for index, item in enumerate(value)
        ]

    def has(self, field: str) -> bool:
        """Whether an optional field is there."""
        return field in self._raw

    def names(self) -> tuple[str, ...]:
        """The fields that are not taken yet, in file order."""
        return tuple(self._raw)

    def value(self, field: str, read: Callable[[str], T], wanted: str) -> T:
        """A needed text turned into a value; ``read`` raises ValueError to refuse it."""
        raw = self.text(field)
        try:
            return read(raw)
        except ValueError:
            self.refuse(field, f"must be one of: {wanted}")

    def close(self) -> None:
        """Refuse fields that nobody took."""
        if self._raw:
            self.refuse(next(iter(self._raw)), "is not a known field")

    def _take(self, field: str) -> object:
        if field not in self._raw:
            self.refuse(field, "is missing")
        return self._raw.pop(field)

    def _path(self, field: str) -> str:
        return f"{self.table}.{field}" if self.table else field
