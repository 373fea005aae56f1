"""Limits: 262,144 bytes, 25,000 events, levels, positions; and data that is odd."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.workflows.run_driver import (
    Driver,
    TaskError,
    distributed,
    drive,
    machine,
    mapping,
    passing,
    result,
    task,
)
from workflows.engine import position, run
from workflows.engine.documents import Document, read_json, to_json
from workflows.engine.language.errors import DefinitionError, StatesError

LIMIT = 262_144
TOO_MUCH = "States.DataLimitExceeded"


@pytest.mark.parametrize("letter", ["x", "é", "订", "😀"])
def test_the_largest_output_is_counted_in_bytes(letter: str) -> None:
    width = len(letter.encode())
    fits = letter * ((LIMIT - 2) // width)
    assert result(task(), {}, {"f": lambda _: fits}) == fits
    done = drive(machine({"T": task()}), {}, {"f": lambda _: fits + letter})
    assert done.error == TOO_MUCH
    assert done.types[-2:] == ["LambdaFunctionFailed", "ExecutionFailed"]
    assert done.cause == (
        "The state/task 'arn:aws:lambda:local:000000000000:function:f' returned a result with a "
        "size exceeding the maximum number of bytes service limit."
    )


HALF = "x" * (LIMIT // 2)


@pytest.mark.parametrize(
    "fields",
    [
        {"Parameters": {"a.$": "$", "b.$": "$"}},
        {"ResultPath": "$.again"},
        {"Parameters": {"x": 1}, "Assign": {"a.$": "$$.Execution.Input", "b.$": "$$"}},
    ],
)
def test_what_states_make_is_limited(fields: dict[str, Any]) -> None:
    done = drive(machine({"S": passing(**fields)}), {"half": HALF})
    assert (done.status, done.error) == ("FAILED", TOO_MUCH)
    assert done.cause == (
        "The state/task 'S' returned a result with a size exceeding the maximum number of bytes "
        "service limit."
    )


def test_what_children_are_given_is_limited() -> None:
    twice = {"a.$": "$$.Execution.Input", "b.$": "$$.Execution.Input"}
    chart = machine({"A": passing()})
    for state in (
        {"Type": "Parallel", "Branches": [chart], "Parameters": twice},
        mapping(chart, ItemsPath="$.l", ItemSelector=twice),
        task(Parameters=twice),
    ):
        done = drive(machine({"S": state}), {"half": HALF, "l": [1]})
        assert done.error == TOO_MUCH


def test_results_together_are_limited() -> None:
    state = mapping(machine({"T": task()}))
    done = drive(machine({"M": state}), [1, 2, 3], {"f": lambda _: HALF})
    assert (done.error, done.types[-2]) == (TOO_MUCH, "MapStateSucceeded")


def loop(**fields: Any) -> dict[str, Any]:
    """Two events a round."""
    return {"StartAt": "A", "States": {"A": passing(Next="A", **fields)}}


def test_an_execution_fails_at_event_25000() -> None:
    done = drive(loop())
    assert (done.status, done.error) == ("FAILED", "States.Runtime")
    assert done.cause == "The execution reached the maximum number of history events (25000)."
    assert len(done.events) == 25_000
    assert done.chain[-2:] == ["PassStateExited(24998)", "ExecutionFailed(24999)"]


@pytest.mark.parametrize(
    ("items", "status"),
    # Started, Entered, MapStarted, then 4 an item, 2 more a round, MapSucceeded, Exited, Succeeded.
    [(6248, "SUCCEEDED"), (6249, "FAILED")],
)
def test_success_at_exactly_25000(items: int, status: str) -> None:
    states = {"A": passing(Next="M"), "M": mapping(machine({"P": passing()}))}
    done = drive(machine(states), [0] * items)
    assert done.status == status
    if status == "SUCCEEDED":
        assert len(done.events) == 8 + 4 * items == 25_000
    else:
        assert len(done.events) == 25_000
        assert done.run.output is None


def test_what_is_ordered_beyond_the_limit_is_not_done() -> None:
    state = mapping(machine({"P": passing(Next="P2"), "P2": passing(Next="T"), "T": task()}))
    begun = Driver(machine({"M": state}), [0] * 5_000, events_at_once=100_000)
    begun.functions = {"f": lambda _: 1}
    begun.go()
    assert len(begun.events) == 25_000
    assert not begun.open


def test_a_batch_is_bounded_in_events_and_in_size() -> None:
    begun = Driver(loop())
    begun.run.advance(10)
    assert begun.run.journal.last == 11
    assert begun.run.ready
    begun = Driver(loop(), {"x": "y" * 200_000})
    begun.run.advance()
    assert len(begun.run.journal.text()) < run.LARGEST_BATCH + 1_000_000
    assert begun.run.ready


def test_a_position_that_is_too_large_ends_the_execution() -> None:
    chart = machine({"W": {"Type": "Wait", "Seconds": 5}})
    selector = {"n.$": "$$.Map.Item.Index", "x.$": "$.x"}
    state = distributed(chart, ItemsPath="$.l", ItemSelector=selector)
    begun = Driver(machine({"M": state}), {"x": "y" * 200_000, "l": [0] * 200})
    begun.run.advance()
    assert begun.run.snapshot() == ""
    assert (begun.status, begun.error) == ("FAILED", TOO_MUCH)
    assert begun.types[-1] == "ExecutionFailed"
    assert begun.run.snapshot() == ""  # and none to redrive from


def test_variables_and_inputs_that_are_shared_are_stored_once() -> None:
    chart = machine({"W": {"Type": "Wait", "Seconds": 5, "OutputPath": "$.n"}})
    states = {
        "A": passing(Assign={"v.$": "$.x"}, Next="M"),
        "M": {"Type": "Parallel", "Branches": [chart] * 200},
    }
    begun = Driver(machine(states), {"x": "y" * 100_000, "n": 1})
    begun.advance()
    text = begun.run.snapshot()
    assert len(text) < 300_000 < position.LARGEST_POSITION
    begun.restore()
    assert begun.go().output == [1] * 200


# -- odd data ---------------------------------------------------------------------------------


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_levels_are_limited() -> None:
    assert result(task(), {}, {"f": lambda _: nested(400)}) == nested(400)
    for levels in (402, 900):
        done = drive(machine({"T": task()}), {}, {"f": lambda _, n=levels: nested(n)})
        assert (done.error, "400 levels" in (done.cause or "")) == ("States.Runtime", True)


def test_a_loop_that_nests_comes_to_an_end() -> None:
    done = drive(loop(Parameters={"x.$": "$"}), events_at_once=50, restores=True)
    assert done.error == "States.Runtime"
    assert "400 levels" in (done.cause or "")


def test_machines_are_not_nested_without_end() -> None:
    def within(levels: int) -> dict[str, Any]:
        chart = machine({"A0": passing()})
        for level in range(levels):
            chart = machine({f"P{level}": {"Type": "Parallel", "Branches": [chart]}})
        return chart

    assert drive(within(40), 1, restores=True, events_at_once=7).status == "SUCCEEDED"
    with pytest.raises(DefinitionError, match="nested over 40 levels"):
        drive(within(41))


def test_half_a_surrogate_pair_can_be_stored() -> None:
    half = "订\ud83d"
    text = to_json({"x": half})
    assert text.encode()
    assert read_json(text) == {"x": half}
    definition = machine({"T": task(ResultPath="$.r")})
    assert drive(definition, {"订": 1}, {"f": lambda _: half}).output["r"] == half

    def broken(_: Any) -> Any:
        raise TaskError("E\ud83d", "c\ud83d")

    done = drive(definition, {}, {"f": broken})
    assert (done.error, done.cause) == ("E?", "c?")
    assert done.run.journal.text().encode()


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", '{"x":-1e400}', "{"])
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text)


def test_numbers_stay_as_they_are() -> None:
    assert read_json("[1,1.5,1e5,12345678901234567890]") == [1, 1.5, 1e5, 12345678901234567890]


def test_what_cannot_be_written_fails_the_state() -> None:
    done = drive(machine({"T": task(ResultPath="$.r")}), {}, {"f": lambda _: float("inf")})
    assert (done.status, done.error) == ("FAILED", "States.Runtime")
    assert "The data cannot be processed" in (done.cause or "")


def test_document_limits() -> None:
    assert Document({"x": 1}).within_limit("S").text == '{"x":1}'
    assert Document("订").size == 5
    assert not Document([[]] * 1_000).is_too_deep
    with pytest.raises(StatesError):
        Document("x" * LIMIT).within_limit("S")
