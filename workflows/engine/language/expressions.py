"""The texts that fetch values in JSONPath mode (表达式): a path or an intrinsic function call.

Source: ASL specification, Paths, Context Object, Variables, Intrinsic Functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workflows.engine.language.environment import Environment
from workflows.engine.language.errors import DefinitionError
from workflows.engine.language.intrinsics import compile_intrinsic
from workflows.engine.language.paths import parse_path


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled text. ``evaluate(environment)`` gives its value.

    ``evaluate`` raises PathMissingError when a definite path finds nothing, StatesError
    (INTRINSIC_FAILURE) when an intrinsic function fails. ``is_path`` is False for a function call.
    """

    text: str
    evaluate: Callable[[Environment], Any]
    is_path: bool


def compile_expression(text: str) -> Expression:
    """Compile ``$...``, ``$$...``, ``$name...`` or ``States.X(...)``.

    Raises DefinitionError for anything else.
    """
    if text.startswith("$"):
        return Expression(text, parse_path(text).read, is_path=True)
    if text.startswith("States."):
        return Expression(text, compile_intrinsic(text), is_path=False)
    raise DefinitionError(f"Neither a JSONPath nor an intrinsic function: {text!r}")
