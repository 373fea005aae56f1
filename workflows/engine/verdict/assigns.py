"""Assign (变量赋值): names that AWS allows for variables, and what is assigned to them.

Source: Developer Guide, "Passing data between states with variables": names are Unicode
identifiers of at most 80 characters; ``$states`` is reserved; a Parallel branch or an inline Map
iteration may read but not assign the variables of the scopes around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workflows.engine.verdict.diagnostics import (
    DUPLICATE_VARIABLE,
    INVALID_VARIABLE,
    RESERVED_VARIABLE,
)
from workflows.engine.verdict.nodes import JSONPATH, Node
from workflows.engine.verdict.payloads import check_payloads

LONGEST_NAME = 80
_RESERVED = "states"


def check_assign(node: Node, outer: frozenset[str]) -> None:
    """An Assign field of a state, a Choice rule or a catcher.

    ``outer`` are the variables of the scopes around the one the node stands in.
    """
    assigned = node.object("Assign")
    if assigned is None:
        return
    for key in assigned.fields:
        fault = _fault_of(_name_of(key, node.language), outer)
        if fault is not None:
            node.machine.report.add(fault[0], assigned.place(key), fault[1])
    check_payloads(node, ["Assign"])


def variables_of(states: Mapping[str, Any], language_of: Any) -> frozenset[str]:
    """All names that the states of one scope assign; ``language_of`` gives a state's language."""
    return frozenset(
        _name_of(key, language_of(state))
        for state in states.values()
        if isinstance(state, Mapping)
        for assigned in _assigns_of(state)
        for key in assigned
    )


def _assigns_of(state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    places = [state]
    for field in ("Choices", "Catch"):
        entries = state.get(field)
        if isinstance(entries, list):
            places += [entry for entry in entries if isinstance(entry, Mapping)]
    for place in places:
        assigned = place.get("Assign")
        if isinstance(assigned, Mapping):
            yield assigned


def _name_of(key: str, language: str) -> str:
    return key.removesuffix(".$") if language == JSONPATH else key


def _fault_of(name: str, outer: frozenset[str]) -> tuple[str, str] | None:
    if name == _RESERVED:
        return RESERVED_VARIABLE, f"Cannot assign to reserved variable '${name}'."
    if len(name) > LONGEST_NAME:
        reason = f"the variable name exceeds the {LONGEST_NAME}-character limit"
        return INVALID_VARIABLE, f"Invalid variable name '{name}': {reason}."
    # An underscore may begin a Python name, but is no ID_Start.
    if not name.isidentifier() or name.startswith("_"):
        reason = "the variable name contains invalid characters"
        return INVALID_VARIABLE, f"Invalid variable name '{name}': {reason}."
    if name in outer:
        message = f"The variable name '{name}' was already defined in a parent scope."
        return DUPLICATE_VARIABLE, message
    return None
