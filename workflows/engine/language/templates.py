"""Payload templates (载荷模板): documents whose members ending in ``.$`` are fetched when rendered.

Source: ASL specification, Payload Template; the texts of the errors are AWS's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from workflows.engine.language.environment import Environment
from workflows.engine.language.errors import RUNTIME, DefinitionError, StatesError
from workflows.engine.language.expressions import Expression, compile_expression
from workflows.engine.language.json_text import to_json
from workflows.engine.language.paths import PathMissingError

Render = Callable[[Environment], Any]


class Template:
    """A compiled payload template. ``is_constant``: it has no ``.$`` member at all."""

    __slots__ = ("is_constant", "render")

    render: Render
    """Gives the document. Raises StatesError (RUNTIME for a missing path, INTRINSIC_FAILURE).

    A constant template gives the same object each time; others share their constant parts.
    """

    def __init__(self, render: Render, *, is_constant: bool) -> None:
        self.render = render
        self.is_constant = is_constant


def compile_template(document: Any) -> Template:
    """Compile a payload template; raises DefinitionError with the place of the faulty member."""
    render = _compile(document)
    if render is None:
        return Template(lambda _environment: document, is_constant=True)
    return Template(render, is_constant=False)


def missing_path_error(error: PathMissingError, expression: Expression, field: str) -> StatesError:
    """AWS's error for a path of a template that found nothing in ``error.document``."""
    if error.document is None and error.path.startswith("$."):
        return StatesError(RUNTIME, "Unable to apply Path transformation to null or empty input.")
    searched = to_json(error.document)
    if expression.is_path:
        cause = (
            f"The JSONPath '{error.path}' specified for the field '{field}' "
            f"could not be found in the input '{searched}'"
        )
        return StatesError(RUNTIME, cause)
    cause = (
        f"The function '{expression.text}' had the following error: The JsonPath argument for the "
        f"field '{error.path}' could not be found in the input '{searched}'"
    )
    return StatesError(RUNTIME, cause)


class _Field(NamedTuple):
    """A member that is fetched: its name in the result, its name in the template."""

    name: str
    field: str
    expression: Expression


def _compile(document: Any) -> Render | None:
    """The closure of a document; None when it is constant."""
    if isinstance(document, Mapping):
        return _compile_object(document)
    if isinstance(document, list):
        return _compile_array(document)
    return None


def _compile_object(document: Mapping[str, Any]) -> Render | None:
    base: dict[str, Any] = {}  # keeps the order of the members; fetched ones are filled in later
    fields: list[_Field] = []
    nested: list[tuple[str, Render]] = []
    for key, value in document.items():
        if key.endswith(".$"):
            base[key[:-2]] = None
            fields.append(_Field(key[:-2], key, _expression(key, value)))
            continue
        base[key] = value
        try:
            render = _compile(value)
        except DefinitionError as error:
            raise error.at(f"/{key}") from None
        if render is not None:
            nested.append((key, render))
    if not fields and not nested:
        return None
    return _object_renderer(base, fields, nested)


def _object_renderer(
    base: dict[str, Any], fields: list[_Field], nested: list[tuple[str, Render]]
) -> Render:
    fetched = tuple((field.name, field.expression.evaluate) for field in fields)
    by_name = {field.name: field for field in fields}
    inner = tuple(nested)

    def render(environment: Environment) -> dict[str, Any]:
        result = base.copy()
        name = ""
        try:
            for name, evaluate in fetched:
                result[name] = evaluate(environment)
        except PathMissingError as error:
            field = by_name[name]
            raise missing_path_error(error, field.expression, field.field) from None
        for key, render_inner in inner:
            result[key] = render_inner(environment)
        return result

    return render


def _compile_array(document: list[Any]) -> Render | None:
    renders: list[tuple[int, Render]] = []
    for index, item in enumerate(document):
        try:
            render = _compile(item)
        except DefinitionError as error:
            raise error.at(f"/{index}") from None
        if render is not None:
            renders.append((index, render))
    if not renders:
        return None

    def render_array(environment: Environment) -> list[Any]:
        result = document.copy()
        for index, render_item in renders:
            result[index] = render_item(environment)
        return result

    return render_array


def _expression(key: str, value: Any) -> Expression:
    if not isinstance(value, str):
        raise DefinitionError(
            f"The value for the field '{key}' must be a STRING that contains a JSONPath but was "
            f"{_kind(value)}",
            f"/{key}",
        )
    try:
        return compile_expression(value)
    except DefinitionError as error:
        raise DefinitionError(
            f"The value for the field '{key}' must be a valid JSONPath or a valid intrinsic "
            f"function call ({error.message})",
            f"/{key}",
        ) from error


def _kind(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, (int, float)):
        return "NUMBER"
    return "ARRAY" if isinstance(value, list) else "OBJECT"
