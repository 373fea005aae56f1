"""Whether a text fetches a value (表达式): a path, or a well-formed call of a known function.

The engine's own compiler judges, so that what the verdict accepts can be run. Source: ASL
specification, Paths and Intrinsic Functions.
"""

from __future__ import annotations

from workflows.engine.language.errors import DefinitionError
from workflows.engine.language.expressions import compile_expression
from workflows.engine.language.paths import Path, parse_path


def is_valid_expression(text: str) -> bool:
    """A path, or an intrinsic function that exists, with as many arguments as it takes."""
    try:
        compile_expression(text)
    except DefinitionError:
        return False
    return True


def path_of(text: str) -> Path | None:
    """The compiled path; None when the text is none."""
    try:
        return parse_path(text)
    except DefinitionError:
        return None
