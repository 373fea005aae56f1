"""The intrinsic functions of JSONPath mode (内置函数): a parsed call becomes a Python closure.

Sources: ASL specification, Intrinsic Functions; AWS documentation, "Intrinsic functions".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from workflows.engine.language import intrinsic_arrays as arrays
from workflows.engine.language import intrinsic_texts as texts
from workflows.engine.language import intrinsic_values as values
from workflows.engine.language.environment import Environment
from workflows.engine.language.errors import INTRINSIC_FAILURE, DefinitionError, StatesError
from workflows.engine.language.intrinsic_arguments import ArgumentError
from workflows.engine.language.intrinsic_parser import Call, Literal, Node, parse_intrinsic
from workflows.engine.language.paths import Path

Evaluate = Callable[[Environment], Any]


class _Function(NamedTuple):
    """What a function does and how many arguments it takes (``most`` None: any number)."""

    apply: Callable[..., Any]
    least: int
    most: int | None


_FUNCTIONS: Final[dict[str, _Function]] = {
    "Array": _Function(arrays.array, 0, None),
    "ArrayContains": _Function(arrays.array_contains, 2, 2),
    "ArrayGetItem": _Function(arrays.array_get_item, 2, 2),
    "ArrayLength": _Function(arrays.array_length, 1, 1),
    "ArrayPartition": _Function(arrays.array_partition, 2, 2),
    "ArrayRange": _Function(arrays.array_range, 3, 3),
    "ArrayUnique": _Function(arrays.array_unique, 1, 1),
    "Base64Decode": _Function(texts.base64_decode, 1, 1),
    "Base64Encode": _Function(texts.base64_encode, 1, 1),
    "Format": _Function(texts.format_text, 1, None),
    "Hash": _Function(texts.hash_text, 2, 2),
    "JsonMerge": _Function(values.json_merge, 3, 3),
    "JsonToString": _Function(values.json_to_string, 1, 1),
    "MathAdd": _Function(values.math_add, 2, 2),
    "MathRandom": _Function(values.math_random, 2, 3),
    "StringSplit": _Function(texts.string_split, 2, 2),
    "StringToJson": _Function(values.string_to_json, 1, 1),
    "UUID": _Function(values.uuid, 0, 0),
}


def compile_intrinsic(text: str) -> Evaluate:
    """The closure of a call such as ``States.MathAdd($.a, 1)``.

    Raises DefinitionError when the text is no call, the function does not exist or takes another
    number of arguments. The closure raises StatesError(INTRINSIC_FAILURE) when the function cannot
    work with its arguments, PathMissingError when an argument's path finds nothing.
    """
    return _compile_call(parse_intrinsic(text))


def _compile_call(call: Call) -> Evaluate:
    apply = _function(call).apply
    if call.name == "Format" and isinstance(call.arguments[0], Literal):
        apply, nodes = _prepared_format(call.arguments[0]), call.arguments[1:]
    else:
        nodes = call.arguments
    arguments = tuple(_compile_node(node) for node in nodes)
    text = call.text

    def evaluate(environment: Environment) -> Any:
        given = [argument(environment) for argument in arguments]
        try:
            return apply(*given)
        except ArgumentError as error:
            cause = f"The function '{text}' had the following error: {error}"
            raise StatesError(INTRINSIC_FAILURE, cause) from None

    return evaluate


def _function(call: Call) -> _Function:
    function = _FUNCTIONS.get(call.name)
    if function is None:
        raise DefinitionError(f"There is no intrinsic function States.{call.name}")
    count = len(call.arguments)
    if count < function.least or (function.most is not None and count > function.most):
        raise DefinitionError(f"States.{call.name} does not take {count} arguments: {call.text!r}")
    return function


def _prepared_format(template: Literal) -> Callable[..., str]:
    """States.Format whose template stands in the definition: cut at its ``{}`` once."""
    if template.raw is None:
        raise DefinitionError("The first argument of States.Format must be a string")
    return texts.prepare_format(template.raw)


def _compile_node(node: Node) -> Evaluate:
    if isinstance(node, Path):
        return node.read
    if isinstance(node, Call):
        return _compile_call(node)
    value = node.value
    return lambda _environment: value
