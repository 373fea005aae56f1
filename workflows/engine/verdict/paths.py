"""Fields that hold a path (路径字段): InputPath, ResultPath, SecondsPath and so on.

Sources: ASL specification, Paths and Reference Paths; the AWS messages "Value must be a valid
JSONPath." and "Value is not a Reference Path". Syntax is judged by ``language.paths``.
"""

from __future__ import annotations

from workflows.engine.language.errors import DefinitionError
from workflows.engine.language.reference_paths import parse_reference_path
from workflows.engine.verdict.expressions import is_valid_expression, path_of
from workflows.engine.verdict.nodes import Node

_NO_REFERENCE = "Value is not a Reference Path"
_NO_PATH = "Value must be a valid JSONPath."
_NO_DOLLAR = "Reference path didn't start with '$'"


def check_path(node: Node, name: str) -> None:
    """InputPath, OutputPath: any path of the input, the context object or a variable; or null."""
    text = _text_or_null(node, name)
    if text is not None and path_of(text) is None:
        node.refuse(_NO_PATH, name)


def check_result_path(node: Node) -> None:
    """ResultPath: a place in the state's input, or null."""
    text = _text_or_null(node, "ResultPath")
    if text is None:
        return
    try:
        parse_reference_path(text)
    except DefinitionError:
        node.refuse(_why_no_reference(text), "ResultPath")


def check_reference(node: Node, name: str, with_context: bool = True) -> None:
    """A path that finds one value of the input, a variable or, mostly, the context object."""
    text = node.text(name)
    if text is None:
        return
    found = path_of(text)
    if found is None or not found.is_definite or (found.root == "$$" and not with_context):
        node.refuse(_why_no_reference(text), name)


def check_any_reference(node: Node, name: str) -> None:
    """The path of a comparison (``NumericEqualsPath``): AWS asks for one, of whatever kind."""
    text = node.text(name)
    if text is not None and path_of(text) is None:
        node.refuse(_why_no_reference(text), name)


def check_text_source(node: Node, name: str) -> None:
    """ErrorPath, CausePath: a reference path or an intrinsic function that gives a string."""
    text = node.fields.get(name)
    if isinstance(text, str) and text.startswith("States."):
        if not is_valid_expression(text):
            node.refuse(_NO_PATH, name)
    else:
        check_reference(node, name)


def _why_no_reference(text: str) -> str:
    return _NO_REFERENCE if text.startswith("$") else f"{_NO_REFERENCE}: {_NO_DOLLAR}"


def _text_or_null(node: Node, name: str) -> str | None:
    return None if node.fields.get(name) is None else node.text(name)
