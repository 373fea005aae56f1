"""The machine and the machines within it (状态机): top-level fields, then every state.

Source: ASL specification, "Top-level fields".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.engine.verdict.assigns import variables_of
from workflows.engine.verdict.diagnostics import DUPLICATE_STATE, INVALID_STATE_NAME, Report
from workflows.engine.verdict.fields import LANGUAGES, MACHINE, language_of
from workflows.engine.verdict.flow import check_flow
from workflows.engine.verdict.nodes import JSONPATH, LARGEST_SECONDS, Machine, Node
from workflows.engine.verdict.states import check_state

LONGEST_STATE_NAME = 80


def check_machine(document: Mapping[str, Any], report: Report, is_express: bool) -> None:
    """Judge a whole definition."""
    machine = Machine(report, is_express, language_of(document, JSONPATH))
    top = Node(document, "", machine.language, machine)
    top.allow_only(MACHINE)
    top.text("Comment")
    top.choice_of("Version", ("1.0",))
    top.choice_of("QueryLanguage", LANGUAGES)
    top.integer("TimeoutSeconds", 1, LARGEST_SECONDS)
    _check_states(top, frozenset(), is_top=True)


def _check_states(container: Node, outer: frozenset[str], is_top: bool) -> None:
    """The states of a machine, branch or processor; ``outer``: variables of the scopes around."""
    is_whole = container.require("States", "StartAt")
    container.text("StartAt")
    states = container.object("States")
    if states is None:
        return
    machine = container.machine
    own = variables_of(states.fields, lambda fields: language_of(fields, machine.language))
    for name, fields in states.fields.items():
        _check_name(states, name)
        if not isinstance(fields, Mapping):
            states.refuse("Expected value of type [OBJECT]", name)
            continue
        language = language_of(fields, machine.language)
        state = Node(fields, states.place(name), language, machine)
        for part in check_state(state, outer):
            # A sub-machine's states speak the machine's language, not that of the state around.
            inner = Node(part.node.fields, part.node.location, machine.language, machine)
            _check_states(inner, outer | own if part.sees_outer else frozenset(), is_top=False)
    if is_whole:
        check_flow(container, is_top)


def _check_name(states: Node, name: str) -> None:
    """State names: at most 80 characters, each once in the whole machine."""
    machine, place = states.machine, states.place(name)
    if len(name) > LONGEST_STATE_NAME:
        reason = f"exceeds the {LONGEST_STATE_NAME}-character limit allowed by the service"
        message = f"Invalid State name: State '{name}' {reason}"
        machine.report.add(INVALID_STATE_NAME, place, message)
    if name in machine.state_names:
        machine.report.add(DUPLICATE_STATE, place, f"Duplicate State name: {name}")
    machine.state_names.add(name)
