"""Reading ``States.Format('Hello {}', $.name)`` (内置函数解析): text to a small tree.

Source: ASL specification, Intrinsic Functions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from workflows.engine.language.errors import DefinitionError
from workflows.engine.language.paths import Path, parse_path

MAXIMUM_DEPTH: Final = 10

_SPACE: Final = re.compile(r"\s*")
_CALL: Final = re.compile(r"States\.([A-Za-z0-9]+)\s*\(")
_STRING: Final = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_WORD: Final = re.compile(r"(?:true|false|null)\b")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_WORDS: Final[dict[str, Any]] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, true, false, null, or a string; ``raw`` is the string before its escapes are read.

    States.Format needs ``raw``: ``{}`` is a place for an argument, ``\\{\\}`` is not.
    """

    value: Any
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """``States.<name>(<arguments>)``; ``text`` is the call as it stands in the definition."""

    name: str
    arguments: tuple[Node, ...]
    text: str


Node = Literal | Path | Call


def parse_intrinsic(text: str) -> Call:
    """The tree of an intrinsic function call; raises DefinitionError when it is none.

    Whether the function exists and takes so many arguments is not asked here.
    """
    reader = _Reader(text)
    call = reader.call(1)
    reader.end()
    return call


def unescape(raw: str) -> str:
    r"""A string literal with its escapes ``\'`` ``\{`` ``\}`` ``\\`` read.

    Raises DefinitionError for any other backslash ("open escape backslash").
    """
    return _ESCAPE.sub(_unescaped, raw) if "\\" in raw else raw


def _unescaped(match: re.Match[str]) -> str:
    character = match.group(1)
    if character not in "'{}\\":
        raise DefinitionError(
            f"An intrinsic function holds an open escape backslash: {match.group()}"
        )
    return character


class _Reader:
    """Reads one call from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def call(self, depth: int) -> Call:
        start = self._position
        name = self._take(_CALL)
        if name is None:
            raise self._error("a function of the form States.Name(...) is expected")
        if depth > MAXIMUM_DEPTH:
            raise self._error(f"calls are nested more than {MAXIMUM_DEPTH} deep")
        arguments: list[Node] = []
        if not self._skip(")"):
            while True:
                arguments.append(self._argument(depth))
                if self._skip(")"):
                    break
                if not self._skip(","):
                    raise self._error("a comma or a closing parenthesis is expected")
        return Call(name.group(1), tuple(arguments), self._text[start : self._position])

    def end(self) -> None:
        self._space()
        if self._position != len(self._text):
            raise self._error("nothing may follow the call")

    def _argument(self, depth: int) -> Node:
        self._space()
        if self._text.startswith("$", self._position):
            return self._path()
        if self._text.startswith("States.", self._position):
            return self.call(depth + 1)
        if (string := self._take(_STRING)) is not None:
            return Literal(unescape(string.group(1)), string.group(1))
        if (word := self._take(_WORD)) is not None:
            return Literal(_WORDS[word.group()])
        if (number := self._take(_NUMBER)) is not None:
            is_whole = number.group(1) is None and number.group(2) is None
            return Literal(int(number.group()) if is_whole else float(number.group()))
        raise self._error("an argument is expected")

    def _path(self) -> Path:
        """A path reaches to the next comma or parenthesis that is not inside brackets or quotes."""
        start = self._position
        depth = 0
        quote = ""
        while self._position < len(self._text):
            character = self._text[self._position]
            if quote:
                if character == "\\":
                    self._position += 1
                elif character == quote:
                    quote = ""
            elif depth and character in "'\"":
                quote = character
            elif character in "[(":
                depth += 1
            elif depth and character in "])":
                depth -= 1
            elif character in ",)" and not depth:
                break
            self._position += 1
        return parse_path(self._text[start : self._position].rstrip())

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self._text, self._position)
        if match is not None:
            self._position = match.end()
        return match

    def _skip(self, character: str) -> bool:
        self._space()
        if not self._text.startswith(character, self._position):
            return False
        self._position += 1
        return True

    def _space(self) -> None:
        match = _SPACE.match(self._text, self._position)
        if match is not None:
            self._position = match.end()

    def _error(self, what: str) -> DefinitionError:
        return DefinitionError(f"Not an intrinsic function: {what}: {self._text!r}")
