"""What this engine refuses although it is ASL: every place is named."""

from __future__ import annotations

from typing import Any

import pytest

from gongdian.errors import InputError
from tests.unit.workflows.run_driver import machine, mapping, passing, task
from workflows.engine.profile import refuse_unsupported, unsupported

QUEUE = "arn:aws:states:::sns:publish"


def places(document: dict[str, Any]) -> list[str]:
    return [place for place, _ in unsupported(document)]


def test_what_runs_is_not_refused() -> None:
    chart = machine({"A": passing(), "T": task()})
    document = machine({"M": mapping(chart), "P": {"Type": "Parallel", "Branches": [chart]}})
    refuse_unsupported(document)
    assert places({**document, "QueryLanguage": "JSONPath"}) == []


def test_every_place_is_named() -> None:
    bad = {"Type": "Task", "Resource": QUEUE}
    branch = machine({"B": bad, "C": passing(QueryLanguage="JSONata")})
    states = {
        "T": {**bad, "Credentials": {"RoleArn": "arn:aws:iam::1:role/r"}},
        "P": {"Type": "Parallel", "Branches": [machine({"A": passing()}), branch]},
        "M": mapping(machine({"I": bad}), ItemReader={}, ResultWriter={}, ItemBatcher={}),
        "L": {"Type": "Map", "Iterator": machine({"J": bad})},
    }
    assert places(machine(states)) == [
        "/States/T/Credentials",
        "/States/T/Resource",
        "/States/P/Branches[1]/States/B/Resource",
        "/States/P/Branches[1]/States/C/QueryLanguage",
        "/States/M/ItemReader",
        "/States/M/ItemBatcher",
        "/States/M/ResultWriter",
        "/States/M/ItemProcessor/States/I/Resource",
        "/States/L/Iterator/States/J/Resource",
    ]


def test_the_language_is_that_of_the_machine_or_the_state() -> None:
    inner = machine({"A": passing()})
    state = {"Type": "Parallel", "Branches": [inner], "QueryLanguage": "JSONata"}
    assert places(machine({"P": state})) == ["/States/P/QueryLanguage"]
    whole = machine({"P": {"Type": "Parallel", "Branches": [inner]}}, QueryLanguage="JSONata")
    assert places(whole) == [
        "/States/P/QueryLanguage",
        "/States/P/Branches[0]/States/A/QueryLanguage",
    ]


def test_the_refusal() -> None:
    document = machine(
        {"A": {"Type": "Task", "Resource": QUEUE}, "B": passing(QueryLanguage="JSONata")}
    )
    with pytest.raises(InputError) as caught:
        refuse_unsupported(document)
    assert caught.value.code == "UnsupportedDefinition"
    assert "/States/A/Resource: this engine performs" in caught.value.text
    assert "/States/B/QueryLanguage: JSONata" in caught.value.text
