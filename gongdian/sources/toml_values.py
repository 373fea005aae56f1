"""Values of a TOML file, read strictly (配置取值); a wrong one is refused with file and key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from gongdian.errors import ConfigError


class TomlTable:
    """One table of a file; ``done`` refuses the keys that nobody asked for."""

    def __init__(self, values: Mapping[str, Any], file: str, key: str = "") -> None:
        self._values = values
        self._file = file
        self._key = key
        self._asked: set[str] = set()

    def fail(self, key: str, text: str) -> NoReturn:
        """Refuse a key."""
        raise ConfigError("bad_mapping", text, file=self._file, key=self._name(key))

    def text(self, key: str, default: str | None = None, *, among: tuple[str, ...] = ()) -> str:
        """A text; with ``among`` one of those."""
        value = self._take(key, default)
        if not isinstance(value, str):
            self.fail(key, "a text is needed")
        if among and value not in among:
            self.fail(key, f"one of {', '.join(among)}")
        return value

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of texts; one text alone counts as a list of one."""
        value = self._take(key, default)
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
            self.fail(key, "a list of texts is needed")
        return tuple(value)

    def number(self, key: str, default: float | None = None) -> float:
        """A number above zero, or zero."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e12:
            self.fail(key, "a number from 0 is needed")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            self.fail(key, "true or false is needed")
        return value

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """A table of texts, in its order; empty when it is not there."""
        value = self._take(key, {})
        if not isinstance(value, Mapping) or not all(
            isinstance(one, str) for one in value.values()
        ):
            self.fail(key, "a table of texts is needed")
        return tuple(value.items())

    def table(self, key: str) -> TomlTable | None:
        """A table within; None when it is not there."""
        value = self._take(key, {})
        if not isinstance(value, Mapping):
            self.fail(key, "a table is needed")
        return TomlTable(value, self._file, self._name(key)) if key in self._values else None

    def tables(self, key: str) -> list[TomlTable]:
        """The tables of an array, ``[[key]]``."""
        value = self._take(key, None)
        if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
            self.fail(key, f"[[{key}]] tables are needed")
        return [
            TomlTable(one, self._file, f"{self._name(key)}[{number}]")
            for number, one in enumerate(value, 1)
        ]

    def done(self) -> None:
        """Refuse what was not asked for."""
        unknown = sorted(set(self._values) - self._asked)
        if unknown:
            self.fail(unknown[0], f"unknown key; known are {', '.join(sorted(self._asked))}")

    def _take(self, key: str, default: Any) -> Any:
        self._asked.add(key)
        if key in self._values:
            return self._values[key]
        if default is None:
            self.fail(key, "is missing")
        return default

    def _name(self, key: str) -> str:
        return f"{self._key}.{key}" if self._key else key
