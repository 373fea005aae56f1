"""Payload templates (数据模板): Parameters, ItemSelector, Assign, Arguments, Output and so on.

In JSONPath a field whose name ends in ``.$`` holds a path or an intrinsic function; in JSONata any
string may be ``{% ... %}``. Source: ASL specification, Payload Templates and JSONata Templates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from workflows.engine.verdict.expressions import is_valid_expression
from workflows.engine.verdict.nodes import JSONATA, Node


def check_payloads(node: Node, names: Iterable[str]) -> None:
    """The fields of these names, those that are there, as templates of the node's language."""
    for name in names:
        if node.has(name):
            check_payload(node, node.fields[name], name)


def check_payload(node: Node, value: Any, place: str) -> None:
    """A template that stands at ``place`` within the node."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            if node.language != JSONATA and name.endswith(".$"):
                _check_dynamic(node, name, part, place)
            else:
                check_payload(node, part, f"{place}/{name}")
    elif isinstance(value, list):
        for at, part in enumerate(value):
            check_payload(node, part, f"{place}[{at}]")
    elif node.language == JSONATA and isinstance(value, str):
        _check_jsonata(node, value, place)


def _check_dynamic(node: Node, name: str, value: Any, place: str) -> None:
    if not isinstance(value, str) or not is_valid_expression(value):
        node.refuse(
            f"The value for the field '{name}' must be a valid JSONPath or a valid intrinsic "
            "function call",
            place,
        )


def _check_jsonata(node: Node, value: str, place: str) -> None:
    if value.startswith("{%") and not (value.endswith("%}") and len(value) > 3):
        node.refuse("JSONata string must start with {% and end with %}", place)
