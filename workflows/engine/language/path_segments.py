"""The pieces of a JSONPath text (路径分段): names, indexes and the rest, cut, not yet evaluated.

AWS accepts more than RFC 9535 (``$.abc.['def ghi']``, ``$.array[(@.length-1)]``) and reads names up
to the next dot or bracket, so we cut paths ourselves. Sources: ASL specification, Paths; AWS
documentation, "Using JSONPath paths".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from workflows.engine.language.errors import DefinitionError

_ROOT: Final = re.compile(r"\$(\$|[^\W\d]\w*)?")
# sum() and the like are names to AWS: accepted, but nothing is found (only length() is a function).
_DOT_NAME: Final = re.compile(r"\.([^.\[\]()\s*'\"]+(?:\(\))?)")
_QUOTED: Final = re.compile(r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*""", re.DOTALL)
_INDEX: Final = re.compile(r"\s*(-?\d+)\s*")
_FROM_END: Final = re.compile(r"\s*\(\s*@\.length(?:\(\))?\s*-\s*(\d+)\s*\)\s*")
_LENGTH: Final = re.compile(r"\.length\(\s*\)")
_FILTER_OPERAND: Final = r"(@(?:\.\w+|\['[^']*'\])*)"
_FILTER_LENGTH: Final = re.compile(_FILTER_OPERAND + r"\.length\(\)")
_FILTER_NOT_IN: Final = re.compile(_FILTER_OPERAND + r"\s+nin\s+(\[[^\]]*\])")
_ESCAPE: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_LETTER_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Names:
    """``.name`` or ``['name']``; several names (``['a','b']``) choose members of one object."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """``[n]``, or with ``from_end`` counted from the end: ``[(@.length-1)]`` is 1 from the end."""

    number: int
    from_end: bool = False


@dataclass(frozen=True, slots=True)
class Many:
    """What can find several nodes; ``query`` is the same thing for the JSONPath library."""

    query: str


@dataclass(frozen=True, slots=True)
class Length:
    """``.length()`` at the end of a path."""


Segment = Names | Index | Many | Length


def cut_path(text: str) -> tuple[str, tuple[Segment, ...]]:
    """The root of a path ("$", "$$" or a variable's name) and its segments.

    Raises DefinitionError when the text is no JSONPath.
    """
    root = _ROOT.match(text)
    if root is None:
        raise DefinitionError(f"Not a JSONPath: {text!r} must begin with $")
    segments: list[Segment] = []
    position = root.end()
    while position < len(text):
        segment, position = _cut_segment(text, position)
        segments.append(segment)
    if any(isinstance(segment, Length) for segment in segments[:-1]):
        raise DefinitionError(f"Not a JSONPath: length() must end it: {text!r}")
    name = root.group(1)
    if name is None:
        return "$", tuple(segments)
    return ("$$" if name == "$" else name), tuple(segments)


def quoted(name: str) -> str:
    """A member name as a bracket step: ``['name']``."""
    return "['" + name.replace("\\", "\\\\").replace("'", "\\'") + "']"


def _cut_segment(text: str, position: int) -> tuple[Segment, int]:
    if text.startswith("..", position):
        return _cut_descent(text, position)
    if text.startswith(".*", position):
        return Many("[*]"), position + 2
    if text.startswith(".[", position):
        position += 1  # AWS writes $.abc.['def ghi'] in its own documentation
    if text[position] == "[":
        end = _closing_bracket(text, position)
        return _bracket(text, text[position + 1 : end]), end + 1
    length = _LENGTH.match(text, position)
    if length is not None:
        return Length(), length.end()
    name = _DOT_NAME.match(text, position)
    if name is None:
        raise DefinitionError(f"Not a JSONPath: cannot read {text[position:]!r} of {text!r}")
    return Names((name.group(1),)), name.end()


def _cut_descent(text: str, position: int) -> tuple[Segment, int]:
    """``..name``, ``..*`` or ``..[...]``."""
    if text.startswith("..*", position):
        return Many("..[*]"), position + 3
    if text.startswith("..[", position):
        end = _closing_bracket(text, position + 2)
        return Many(".." + text[position + 2 : end + 1]), end + 1
    name = _DOT_NAME.match(text, position + 1)
    if name is None:
        raise DefinitionError(f"Not a JSONPath: nothing follows .. in {text!r}")
    return Many(".." + quoted(name.group(1))), name.end()


def _bracket(text: str, inner: str) -> Segment:
    if (index := _INDEX.fullmatch(inner)) is not None:
        return Index(int(index.group(1)))
    if (from_end := _FROM_END.fullmatch(inner)) is not None:
        return Index(int(from_end.group(1)), from_end=True)
    names = _names(inner)
    if names:
        return Names(names)
    if not inner.strip():
        raise DefinitionError(f"Not a JSONPath: empty brackets in {text!r}")
    if "?" in inner:  # Jayway's words for what the library writes otherwise
        inner = _FILTER_LENGTH.sub(r"length(\1)", inner)
        inner = _FILTER_NOT_IN.sub(r"!(\1 in \2)", inner)
    return Many(f"[{inner}]")


def _names(inner: str) -> tuple[str, ...]:
    """The names of ``'a','b'``; empty when the text is something else."""
    names: list[str] = []
    position = 0
    while (match := _QUOTED.match(inner, position)) is not None:
        raw = match.group(1) if match.group(1) is not None else match.group(2)
        names.append(_ESCAPE.sub(_unescape, raw))
        position = match.end()
        if position == len(inner):
            return tuple(names)
        if inner[position] != ",":
            break
        position += 1
    return ()


def _unescape(match: re.Match[str]) -> str:
    what = match.group(1)
    if len(what) == 5:
        return chr(int(what[1:], 16))
    return _LETTER_ESCAPES.get(what, what)


def _closing_bracket(text: str, opening: int) -> int:
    """Where the bracket at ``opening`` closes; brackets in quotes do not count."""
    depth = 0
    quote = ""
    position = opening
    while position < len(text):
        character = text[position]
        if quote:
            if character == "\\":
                position += 1
            elif character == quote:
                quote = ""
        elif character in "'\"":
            quote = character
        elif character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    raise DefinitionError(f"Not a JSONPath: a bracket is not closed in {text!r}")
