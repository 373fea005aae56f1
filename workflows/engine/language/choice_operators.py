"""Comparisons of the Choice state (比较运算符). Source: ASL specification, Data-test expression.

A value of another type than the operator's matches nothing: no conversion takes place.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from workflows.engine.language.errors import RUNTIME, DefinitionError, StatesError
from workflows.engine.language.timestamps import parse_timestamp

Test = Callable[[Any], bool]
_Compare = Callable[[Any, Any], bool]

_COMPARISONS: Final[Mapping[str, _Compare]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}


def is_number(value: Any) -> bool:
    """A JSON number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_timestamp(value: Any) -> bool:
    """A string that is an RFC 3339 time stamp as AWS takes it."""
    return isinstance(value, str) and parse_timestamp(value) is not None


IS_OPERATORS: Final[Mapping[str, Test]] = {
    "IsNull": lambda value: value is None,
    "IsNumeric": is_number,
    "IsString": lambda value: isinstance(value, str),
    "IsBoolean": lambda value: isinstance(value, bool),
    "IsTimestamp": is_timestamp,
}


def _numeric(compare: _Compare, operand: Any) -> Test:
    if not is_number(operand):
        raise DefinitionError("a number is needed")
    return lambda value: is_number(value) and compare(value, operand)


def _text(compare: _Compare, operand: Any) -> Test:
    """Strings are compared by UTF-16 code units, as Java does; for ASCII that is Python's order."""
    if not isinstance(operand, str):
        raise DefinitionError("a string is needed")
    if operand.isascii() or compare is operator.eq:
        return lambda value: isinstance(value, str) and compare(value, operand)
    units = _code_units(operand)
    return lambda value: isinstance(value, str) and compare(_code_units(value), units)


def _code_units(text: str) -> bytes:
    return text.encode("utf-16-be", errors="surrogatepass")


def _boolean(compare: _Compare, operand: Any) -> Test:
    if not isinstance(operand, bool):
        raise DefinitionError("true or false is needed")
    return lambda value: value is operand


def _timestamp(compare: _Compare, operand: Any) -> Test:
    moment = parse_timestamp(operand) if isinstance(operand, str) else None
    if moment is None:
        raise DefinitionError("a time stamp is needed")

    def test(value: Any) -> bool:
        given: datetime | None = parse_timestamp(value) if isinstance(value, str) else None
        return given is not None and compare(given, moment)

    return test


def _matching(_compare: _Compare, pattern: Any) -> Test:
    r"""StringMatches: ``*`` is any text, ``\*`` a star, ``\\`` a backslash."""
    if not isinstance(pattern, str):
        raise DefinitionError("a string is needed")
    pieces = _pieces(pattern)
    if pieces is None:
        return _open_escape
    if len(pieces) == 1:
        whole = pieces[0]
        return lambda value: isinstance(value, str) and value == whole
    first, *middle, last = pieces
    shortest = len(first) + len(last)

    def test(value: Any) -> bool:
        if not isinstance(value, str) or len(value) < shortest:
            return False
        if not value.startswith(first) or not value.endswith(last):
            return False
        # The leftmost place for each piece is always good enough, so no pattern takes long.
        position, end = len(first), len(value) - len(last)
        for piece in middle:
            found = value.find(piece, position, end)
            if found < 0:
                return False
            position = found + len(piece)
        return True

    return test


def _pieces(pattern: str) -> list[str] | None:
    """The texts between the wildcards; None when a backslash escapes nothing."""
    pieces = [""]
    characters = iter(pattern)
    for character in characters:
        if character == "*":
            pieces.append("")
            continue
        if character == "\\":
            character = next(characters, "")
            if not character or character not in "*\\":
                return None
        pieces[-1] += character
    return pieces


def _open_escape(_value: Any) -> bool:
    """Specification: an open escape backslash in StringMatches is an error at run time."""
    raise StatesError(RUNTIME, "The string of StringMatches holds an open escape backslash.")


def _prepare(kind: Callable[[_Compare, Any], Test], compare: _Compare) -> Callable[[Any], Test]:
    return lambda operand: kind(compare, operand)


# Operator name -> a function that takes the operand and gives the test of the variable's value; it
# raises DefinitionError when the operand is of the wrong type.
OPERATORS: Final[Mapping[str, Callable[[Any], Test]]] = {
    **{f"Numeric{name}": _prepare(_numeric, compare) for name, compare in _COMPARISONS.items()},
    **{f"String{name}": _prepare(_text, compare) for name, compare in _COMPARISONS.items()},
    **{f"Timestamp{name}": _prepare(_timestamp, compare) for name, compare in _COMPARISONS.items()},
    "BooleanEquals": _prepare(_boolean, operator.eq),
    "StringMatches": _prepare(_matching, operator.eq),
}
