"""One state (状态): what all types share, then what its type asks for.

Source: ASL specification, States; the AWS message "There should only be one of the following
fields: [Next, End]".
"""

from __future__ import annotations

from collections.abc import Callable

from workflows.engine.verdict.assigns import check_assign
from workflows.engine.verdict.choices import check_choice, check_timestamp
from workflows.engine.verdict.fields import BY_TYPE, LANGUAGES, check_state_fields
from workflows.engine.verdict.maps import Part, check_map, check_parallel
from workflows.engine.verdict.nodes import (
    JSONATA,
    JSONPATH,
    LARGEST_SECONDS,
    Node,
    is_jsonata_text,
    listed,
)
from workflows.engine.verdict.paths import (
    check_path,
    check_reference,
    check_result_path,
    check_text_source,
)
from workflows.engine.verdict.payloads import check_payloads
from workflows.engine.verdict.retries import check_catch, check_retry
from workflows.engine.verdict.tasks import check_task

_ONWARD = ("Next", "End")


def check_state(state: Node, outer: frozenset[str]) -> list[Part]:
    """Judge a state; the machines within it are returned, not judged."""
    if not state.require("Type"):
        return []
    kind = state.choice_of("Type", tuple(BY_TYPE))
    if kind is None:
        return []
    state.text("Comment")
    check_state_fields(state, kind, _check_language(state))
    if "Next" in BY_TYPE[kind]:
        _check_onward(state)
    _check_data(state)
    if "Assign" in BY_TYPE[kind]:
        check_assign(state, outer)
    if "Retry" in BY_TYPE[kind]:
        check_retry(state)
        check_catch(state, outer)
    if kind == "Choice":
        check_choice(state, outer)
    return _PARTS[kind](state) if kind in _PARTS else _check_plain(state, kind)


def _check_language(state: Node) -> bool:
    """QueryLanguage; whether the state asks for JSONPath although the machine is JSONata."""
    is_downgraded = (
        state.machine.language == JSONATA and state.fields.get("QueryLanguage") == JSONPATH
    )
    if is_downgraded:
        state.refuse(
            "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine"
        )
    state.choice_of("QueryLanguage", LANGUAGES)
    return is_downgraded


def _check_onward(state: Node) -> None:
    """Exactly one way on: Next, or End that is true."""
    state.text("Next")
    state.flag("End")
    ends = state.has("End") and state.fields["End"] is not False
    if ends and state.has("Next"):
        state.refuse(f"There should only be one of the following fields: {listed(_ONWARD)}")
    elif not ends and not state.has("Next"):
        fields = listed(_ONWARD)
        state.refuse(f"This object should have only one of the following fields: {fields}")


def _check_data(state: Node) -> None:
    """Input and output fields of the state's query language."""
    if state.language == JSONATA:
        check_payloads(state, ["Arguments", "Output"])
        return
    check_path(state, "InputPath")
    check_path(state, "OutputPath")
    check_result_path(state)
    check_payloads(state, ["Parameters", "ResultSelector"])


def _check_plain(state: Node, kind: str) -> list[Part]:
    if kind in _OTHERS:
        _OTHERS[kind](state)
    return []


def _check_wait(state: Node) -> None:
    names = ("SecondsPath", "Seconds", "TimestampPath", "Timestamp")  # AWS's order
    if not state.exactly_one(*names):
        return
    state.integer("Seconds", 0, LARGEST_SECONDS, dynamic=True)
    if not (state.language == JSONATA and is_jsonata_text(state.fields.get("Timestamp"))):
        check_timestamp(state, "Timestamp")
    if state.language != JSONATA:
        check_reference(state, "SecondsPath")
        check_reference(state, "TimestampPath")


def _check_fail(state: Node) -> None:
    for name in ("Error", "Cause"):
        state.at_most_one(name, f"{name}Path")
        state.text(name)
        if state.language == JSONATA:
            check_payloads(state, [name])
        else:
            check_text_source(state, f"{name}Path")


_PARTS: dict[str, Callable[[Node], list[Part]]] = {
    "Parallel": check_parallel,
    "Map": check_map,
}
_OTHERS: dict[str, Callable[[Node], None]] = {
    "Task": check_task,
    "Wait": _check_wait,
    "Fail": _check_fail,
}
