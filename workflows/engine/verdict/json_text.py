"""The text of a definition (定义文本): JSON, no name twice in an object, at most 1 MB.

Source: CreateStateMachine, ``definition`` (length 1 to 1048576); AWS refuses doubled names too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from workflows.engine.verdict.diagnostics import (
    INVALID_JSON,
    MISSING_DESCRIPTION,
    TOO_DEEP,
    TOO_LARGE,
    Report,
)

LARGEST_DEFINITION = 1_048_576

_COLON = re.compile(r"\s*:")


class _DoubledNameError(ValueError):
    """An object names a field twice."""


def parse_definition(text: str, report: Report) -> Any:
    """The document of a text; None and a diagnostic when it cannot be read."""
    if not text.strip():
        report.add(MISSING_DESCRIPTION, "", "Received a null or empty workflow input.")
        return None
    if not within_limit(text, report):
        return None
    try:
        return json.loads(text, object_pairs_hook=_object_of, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        report.add(INVALID_JSON, "", f"{error.msg} at line: {error.lineno}, column: {error.colno}")
    except RecursionError:
        too_deep(report)
    except ValueError as error:  # a doubled name, a constant such as NaN
        report.add(INVALID_JSON, "", _with_place(text, error))
    return None


def within_limit(text: str, report: Report) -> bool:
    """Whether the text is short enough; a diagnostic when it is not."""
    if len(text) <= LARGEST_DEFINITION:
        return True
    message = f"Member must have length less than or equal to {LARGEST_DEFINITION}"
    report.add(TOO_LARGE, "", message)
    return False


def too_deep(report: Report) -> None:
    """Note that the definition is nested beyond what can be walked."""
    report.add(TOO_DEEP, "", "The states are too deeply nested.")


def _object_of(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _DoubledNameError(name)
        found[name] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"Non-standard token '{name}'")


def _with_place(text: str, error: ValueError) -> str:
    """The message with line and column; json tells none here, so the doubled name is sought."""
    if not isinstance(error, _DoubledNameError):
        word = str(error).partition("'")[2].rstrip("'")
        return f"{error} at {_place_of(text, text.find(word))}"
    name = str(error)
    return f"Duplicate field '{name}' at {_place_of(text, _second_place(text, name))}"


def _second_place(text: str, name: str) -> int:
    """Where the name is repeated in one object; its last occurrence when escapes hide it."""
    decoder = json.JSONDecoder(strict=False)
    open_objects: list[set[str]] = []
    at = 0
    while at < len(text):
        if text[at] == "{":
            open_objects.append(set())
        elif text[at] == "}" and open_objects:
            open_objects.pop()
        elif text[at] == '"':
            value, end = decoder.raw_decode(text, at)
            if _COLON.match(text, end):
                if value == name and value in open_objects[-1]:
                    return at
                open_objects[-1].add(value)
            at = end - 1
        at += 1
    return max(text.rfind(json.dumps(name)), 0)


def _place_of(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    return f"line: {line}, column: {column}"
