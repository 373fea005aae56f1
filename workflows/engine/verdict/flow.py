"""Ways through a machine (流程): targets exist, every state is led to, the machine can end.

AWS's rules, as its answers show: a target is sought in the same ``States`` only and is called
'Next' wherever it stands; a state is unreachable when neither StartAt nor any state leads to it;
only the top machine is asked for a terminal state, and without one nothing else is unreachable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workflows.engine.verdict.diagnostics import MISSING_END, MISSING_TARGET
from workflows.engine.verdict.nodes import Node


def check_flow(container: Node, is_top: bool) -> None:
    """Judge the transitions of one ``States`` object; StartAt and States are there."""
    states, start = container.fields["States"], container.fields["StartAt"]
    if not isinstance(states, Mapping) or not isinstance(start, str):
        return
    report = container.machine.report
    led_to = {start}
    for target, place in _transitions(states):
        led_to.add(target)
        if target not in states:
            location = container.place(f"States/{place}")
            report.add(MISSING_TARGET, location, f"Missing 'Next' target: {target}")
    if start not in states:
        location = container.place("StartAt")
        report.add(MISSING_TARGET, location, f"Missing 'Next' target: {start}")
    if is_top and not any(_is_terminal(state) for state in states.values()):
        report.add(MISSING_END, "", "Workflow has no terminal state")
        return
    for name in states:
        if name not in led_to:
            location = container.place(f"States/{name}")
            report.add(MISSING_TARGET, location, f'State "{name}" is not reachable.')


def _transitions(states: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every target with its place below ``States``."""
    for name, state in states.items():
        if not isinstance(state, Mapping):
            continue
        for field in ("Next", "Default"):
            if isinstance(state.get(field), str):
                yield state[field], f"{name}/{field}"
        for field in ("Choices", "Catch"):
            yield from _targets_of(state.get(field), f"{name}/{field}")


def _targets_of(entries: Any, place: str) -> Iterator[tuple[str, str]]:
    if not isinstance(entries, list):
        return
    for at, entry in enumerate(entries):
        if isinstance(entry, Mapping) and isinstance(entry.get("Next"), str):
            yield entry["Next"], f"{place}[{at}]/Next"


def _is_terminal(state: Any) -> bool:
    if not isinstance(state, Mapping):
        return False
    return state.get("Type") in ("Succeed", "Fail") or state.get("End") is True
