"""Executions through the store and a worker, on every database: states, tasks, waits, ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import ConflictError, InputError, NotFoundError
from gongdian.workflow_tables import (
    workflow_answers,
    workflow_executions,
    workflow_history,
    workflow_tasks,
    workflow_timers,
)
from tests.workflow_crew import HOME, Crew, invoke, machine
from workflows.engine import executions, versions
from workflows.engine.orders import Status
from workflows.engine.performing import TaskCall

CALLS: list[tuple[str, Any]] = []


def flaky(event: Any, call: TaskCall) -> Any:
    """Fails twice for each key."""
    CALLS.append((call.key, event))
    if sum(key == call.key for key, _ in CALLS) < 3:
        raise TimeoutError("not yet")
    return {"done": True}


FUNCTIONS = {
    "echo": lambda event, call: event,
    "double": lambda event, call: event * 2,
    "flaky": flaky,
}


@pytest.fixture
def crew(database: Database, clock: MovableClock) -> Iterator[Crew]:
    CALLS.clear()
    crew = Crew(database, clock, FUNCTIONS)
    yield crew
    crew.close()


def rows(crew: Crew, table: Any) -> int:
    with crew.database.read() as session:
        count: int = session.execute(select(func.count()).select_from(table)).scalar_one()
    return count


CHAIN = machine(A={"Type": "Pass", "Next": "B"}, B={"Type": "Succeed"})


def test_an_execution_runs_to_its_end_and_its_history_tells_how(crew: Crew) -> None:
    crew.publish("chain", CHAIN)
    started = crew.start("chain", {"户号": "0123"})
    found = crew.until(started, crew.worker())
    assert (found.status, json.loads(found.output or "")) == (Status.SUCCEEDED, {"户号": "0123"})
    events = crew.events(started)
    assert [(event["id"], event["previousEventId"], event["type"]) for event in events] == [
        (1, 0, "ExecutionStarted"),
        (2, 0, "PassStateEntered"),
        (3, 2, "PassStateExited"),
        (4, 3, "SucceedStateEntered"),
        (5, 4, "SucceedStateExited"),
        (6, 5, "ExecutionSucceeded"),
    ]
    assert json.loads(events[0]["executionStartedEventDetails"]["input"]) == {"户号": "0123"}
    assert events[1]["stateEnteredEventDetails"]["name"] == "A"


def test_no_plain_text_of_inputs_is_in_the_database(crew: Crew) -> None:
    crew.publish("chain", CHAIN)
    crew.until(crew.start("chain", {"phone": "13800000000"}), crew.worker())
    with crew.database.read() as session:
        for table in (workflow_executions, workflow_history):
            for row in session.exec_driver_sql(f"SELECT * FROM {table.name}"):
                assert b"13800000000" not in repr(tuple(row)).encode()


def test_a_task_runs_once_and_its_result_goes_on(crew: Crew) -> None:
    crew.publish("task", machine(A=invoke("double", Next="B"), B=invoke("double")))
    found = crew.until(crew.start("task", 21), crew.worker())
    assert found.output == "84"


def test_retries_wait_by_the_clock_and_keep_their_key(crew: Crew) -> None:
    retry = [{"ErrorEquals": ["TimeoutError"], "IntervalSeconds": 600, "BackoffRate": 2}]
    crew.publish("retry", machine(A=invoke("flaky", Retry=retry)))
    began = crew.clock.now()
    started = crew.start("retry", {"n": 1}, name="r1")
    found = crew.until(started, crew.worker())
    assert found.status is Status.SUCCEEDED
    assert crew.clock.now() - began == timedelta(seconds=1800)
    keys = {key for key, _ in CALLS}
    assert len(CALLS) == 3
    assert len(keys) == 1
    assert crew.types(started).count("TaskFailed") == 2


def test_two_days_of_waiting_cost_no_time(crew: Crew) -> None:
    crew.publish("wait", machine(A={"Type": "Wait", "Seconds": 172_800, "End": True}))
    began = crew.clock.now()
    started = crew.start("wait")
    worker = crew.worker()
    crew.settle(worker)
    assert rows(crew, workflow_timers) == 1
    crew.clock.move(timedelta(seconds=172_799))
    crew.settle(worker)
    assert crew.look(started).status is Status.RUNNING
    crew.clock.move(timedelta(seconds=1))
    crew.settle(worker)
    found = crew.look(started)
    assert found.status is Status.SUCCEEDED
    assert found.stopped_at == began + timedelta(days=2)
    assert rows(crew, workflow_timers) == 0


def test_parallel_and_map_with_tasks_join_in_order(crew: Crew) -> None:
    definition = machine(
        Both={
            "Type": "Parallel",
            "Branches": [machine(L=invoke("double")), machine(R={"Type": "Pass", "End": True})],
            "ResultSelector": {"items.$": "States.ArrayRange($[0], $[1], -1)"},
            "Next": "Each",
        },
        Each={
            "Type": "Map",
            "ItemsPath": "$.items",
            "MaxConcurrency": 2,
            "ItemProcessor": machine(D=invoke("double")),
            "End": True,
        },
    )
    crew.publish("join", definition)
    found = crew.until(crew.start("join", 3), crew.worker())
    assert found.output == "[12,10,8,6]"
    assert rows(crew, workflow_tasks) == 0


def test_the_machine_time_limit_ends_it(crew: Crew) -> None:
    definition = machine(A={"Type": "Wait", "Seconds": 900, "End": True})
    crew.publish("late", {**definition, "TimeoutSeconds": 60})
    started = crew.start("late")
    found = crew.until(started, crew.worker())
    assert (found.status, found.error, found.cause) == (Status.TIMED_OUT, None, None)
    assert crew.types(started)[-1] == "ExecutionTimedOut"
    assert rows(crew, workflow_timers) == 0


def test_starting_twice_is_starting_once(crew: Crew) -> None:
    crew.publish("chain", CHAIN)
    first = crew.start("chain", {"a": 1}, name="one")
    again = crew.start("chain", {"a": 1}, name="one")
    assert (first.is_new, again.is_new, first.id) == (True, False, again.id)
    with pytest.raises(ConflictError, match="ExecutionAlreadyExists"):
        crew.start("chain", {"a": 2}, name="one")
    crew.until(first, crew.worker())
    with pytest.raises(ConflictError, match="ExecutionAlreadyExists"):
        crew.start("chain", {"a": 1}, name="one")


@pytest.mark.parametrize(
    ("machine_name", "input", "name", "code"),
    [
        ("nobody", "{}", "", "StateMachineDoesNotExist"),
        ("chain", "{", "", "InvalidExecutionInput"),
        ("chain", "NaN", "", "InvalidExecutionInput"),
        ("chain", '"' + "电" * 90_000 + '"', "", "InvalidExecutionInput"),
        ("chain", "{}", "a b", "InvalidName"),
        ("chain", "{}", "x" * 81, "InvalidName"),
    ],
)
def test_bad_starts_are_refused(
    crew: Crew, machine_name: str, input: str, name: str, code: str
) -> None:
    from workflows.engine import starting
    from workflows.engine.starting import Start

    crew.publish("chain", CHAIN)
    with pytest.raises((InputError, NotFoundError)) as caught:
        crew.database.run(
            lambda session: starting.start_execution(
                session, Start(machine_name, input, name), crew.now_ms()
            )
        )
    assert caught.value.code == code
    assert rows(crew, workflow_executions) == 0


def test_an_execution_keeps_the_version_that_it_started_with(crew: Crew) -> None:
    wait = {"Type": "Wait", "Seconds": 60, "Next": "B"}
    old = machine(A=wait, B={"Type": "Pass", "Result": "old", "End": True})
    new = machine(A=wait, B={"Type": "Pass", "Result": "new", "End": True})
    assert crew.publish("v", old).number == 1
    assert crew.publish("v", old).number == 1
    worker = crew.worker()
    first = crew.start("v")
    crew.settle(worker)
    assert crew.publish("v", new).number == 2
    second = crew.start("v")
    assert crew.until(first, worker).output == '"old"'
    assert crew.until(second, worker).output == '"new"'
    assert (crew.look(first).version, crew.look(second).version) == (1, 2)
    assert crew.publish("v", old).number == 3
    with crew.database.read() as session:
        numbers = [one.number for one in versions.list_versions(session, "v")]
    assert numbers == [3, 2, 1]


def test_what_cannot_run_is_refused_with_place_and_reason(crew: Crew) -> None:
    jsonata = machine(A={"Type": "Pass", "QueryLanguage": "JSONata", "End": True})
    with pytest.raises(InputError, match=r"/States/A/QueryLanguage: JSONata"):
        crew.publish("x", jsonata)
    with pytest.raises(InputError, match=r"InvalidDefinition.*/States/A/Next"):
        crew.publish("x", machine(A={"Type": "Pass", "Next": "B"}))
    with pytest.raises(InputError, match="InvalidName"):
        crew.publish("a/b", CHAIN)
    assert rows(crew, workflow_executions) == 0


def test_stop_ends_it_at_once_and_its_task_is_not_wanted(crew: Crew) -> None:
    crew.publish("wait", machine(A={"Type": "Wait", "Seconds": 60, "End": True}))
    started = crew.start("wait")
    worker = crew.worker()
    crew.settle(worker)
    subject = f"wait:{started.name}"
    stopped = crew.database.run(
        lambda session: executions.stop(
            session, subject, HOME, crew.now_ms(), error="Enough", cause="客户撤回"
        )
    )
    assert (stopped.status, stopped.error, stopped.cause) == (Status.ABORTED, "Enough", "客户撤回")
    again = crew.database.run(
        lambda session: executions.stop(
            session, subject, HOME, crew.now_ms(), error="Again", cause=None
        )
    )
    assert again.error == "Enough"
    crew.clock.move(timedelta(hours=1))
    crew.settle(worker)
    assert crew.types(started)[-2:] == ["WaitStateEntered", "ExecutionAborted"]
    assert rows(crew, workflow_timers) == 0


def test_redrive_goes_on_where_it_failed(crew: Crew) -> None:
    definition = machine(
        Both={
            "Type": "Parallel",
            "Branches": [
                machine(Good=invoke("double")),
                machine(Bad=invoke("flaky")),
            ],
            "End": True,
        }
    )
    crew.publish("redrive", definition)
    started = crew.start("redrive", 5)
    worker = crew.worker()
    assert crew.until(started, worker).status is Status.FAILED
    subject = f"redrive:{started.name}"

    def redrive() -> None:
        crew.database.run(lambda session: executions.redrive(session, subject, HOME, crew.now_ms()))

    redrive()
    assert crew.until(started, worker).status is Status.FAILED
    redrive()
    found = crew.until(started, worker)
    assert (found.status, found.redrives) == (Status.SUCCEEDED, 2)
    assert found.output == '[10,{"done":true}]'
    types = crew.types(started)
    assert types.count("ExecutionRedriven") == 2
    assert types[-1] == "ExecutionSucceeded"
    with pytest.raises(ConflictError, match="ExecutionNotRedrivable"):
        redrive()


def test_redrive_ends_after_fourteen_days(crew: Crew) -> None:
    crew.publish("fail", machine(A={"Type": "Fail", "Error": "No"}))
    started = crew.start("fail")
    crew.until(started, crew.worker())
    crew.clock.move(timedelta(days=14, seconds=1))
    with pytest.raises(ConflictError, match="redrivable period exceeded"):
        crew.database.run(
            lambda session: executions.redrive(session, f"fail:{started.name}", HOME, crew.now_ms())
        )


def test_what_was_too_large_to_keep_is_not_redriven(crew: Crew) -> None:
    crew.publish("fail", machine(A={"Type": "Fail", "Error": "No"}))
    started = crew.start("fail")
    crew.until(started, crew.worker())
    crew.database.run(
        lambda session: session.execute(update(workflow_executions).values(snapshot=None))
    )
    with pytest.raises(ConflictError, match="too large to be kept"):
        crew.database.run(
            lambda session: executions.redrive(session, f"fail:{started.name}", HOME, crew.now_ms())
        )
    assert crew.types(started).count("ExecutionStarted") == 1


def test_history_is_read_by_pages_in_both_directions(crew: Crew) -> None:
    states = {f"S{n}": {"Type": "Pass", "Next": f"S{n + 1}"} for n in range(30)}
    crew.publish("long", machine(**states, S30={"Type": "Succeed"}))
    started = crew.start("long")
    crew.until(started, crew.worker())
    whole = [event["id"] for event in crew.events(started)]
    assert whole == list(range(1, 65))
    subject = f"long:{started.name}"
    with crew.database.read() as session:
        pages, after = [], 0
        while page := executions.history(session, subject, after=after, most=10):
            pages += [event["id"] for event in page]
            after = pages[-1]
        assert pages == whole
        back, after = [], 0
        while page := executions.history(session, subject, after=after, most=7, is_reversed=True):
            back += [event["id"] for event in page]
            after = back[-1]
            if after == 1:
                break
        assert back == whole[::-1]


def test_lists_show_the_latest_first_by_status_and_page(crew: Crew) -> None:
    crew.publish("chain", CHAIN)
    crew.publish("wait", machine(A={"Type": "Wait", "Seconds": 60, "End": True}))
    for number in range(5):
        crew.start("chain", name=f"c{number}")
    crew.start("wait", name="w")
    crew.settle(crew.worker())
    with crew.database.read() as session:
        first, following = executions.list_executions(session, machine="chain", most=3)
        rest, end = executions.list_executions(session, machine="chain", before=following, most=3)
        waiting, _ = executions.list_executions(session, status=Status.RUNNING)
        counts = executions.count_by_status(session, crew.clock.now() - timedelta(days=1))
        later = executions.count_by_status(session, crew.clock.now() + timedelta(days=1))
    assert [one.name for one in first + rest] == ["c4", "c3", "c2", "c1", "c0"]
    assert end is None
    assert [one.name for one in waiting] == ["w"]
    assert counts == {"SUCCEEDED": 5, "RUNNING": 1}
    assert later == {"RUNNING": 1}


def test_pruning_keeps_the_name_and_how_it_ended(crew: Crew) -> None:
    crew.publish("chain", CHAIN)
    started = crew.start("chain", {"phone": "1"}, name="old")
    worker = crew.worker()
    crew.until(started, worker)
    crew.clock.move(timedelta(days=91))
    young = crew.start("chain", {}, name="young")
    crew.until(young, worker)
    now = crew.clock.now()
    before = now - timedelta(days=90)
    assert crew.database.run(lambda session: executions.prune(session, before, now)) == 1
    assert crew.database.run(lambda session: executions.prune(session, before, now)) == 0
    found = crew.look(started)
    assert (found.status, found.input, found.output) == (Status.SUCCEEDED, None, None)
    assert found.is_pruned
    assert crew.events(started) == []
    assert len(crew.events(young)) == 6
    with pytest.raises(ConflictError, match="ExecutionAlreadyExists"):
        crew.start("chain", {"phone": "1"}, name="old")


def test_nothing_is_left_over_after_the_end(crew: Crew) -> None:
    crew.publish(
        "retry",
        machine(
            A=invoke(
                "flaky",
                TimeoutSeconds=30,
                Retry=[{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1}],
            )
        ),
    )
    crew.until(crew.start("retry", {}), crew.worker())
    for table in (workflow_timers, workflow_tasks, workflow_answers):
        assert rows(crew, table) == 0
    with crew.database.read() as session:
        row = session.execute(select(workflow_executions)).one()
    assert (row.wake_at_ms, row.leased_until_ms, row.owner, row.snapshot) == (None,) * 4
