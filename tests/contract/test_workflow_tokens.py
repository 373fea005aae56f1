"""Task tokens, activities, heartbeats, queues and nested executions, on every database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from gongdian.adapters.queue_local import LocalQueue
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import ConflictError, InputError
from gongdian.workflow_tables import workflow_answers, workflow_tasks
from tests.workflow_crew import HOME, Crew, Held, invoke, machine
from workflows.engine import executions, tokens
from workflows.engine.orders import Status
from workflows.engine.starting import Started

TOKENS: list[str] = []


def hand_out(event: Any, call: Any) -> str:
    """Keeps the token as a step would."""
    TOKENS.append(event["token"])
    return "sent"


@pytest.fixture
def crew(database: Database, clock: MovableClock) -> Iterator[Crew]:
    TOKENS.clear()
    functions = {"echo": lambda event, call: event, "hand_out": hand_out}
    crew = Crew(database, clock, functions, LocalQueue(database, clock))
    yield crew
    crew.close()


def ask(**fields: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {
            "FunctionName": "hand_out",
            "Payload": {"token.$": "$$.Task.Token", "input.$": "$"},
        },
        "End": True,
        **fields,
    }


def waiting(crew: Crew, **fields: Any) -> tuple[Started, Any]:
    """An execution that waits for the token in TOKENS, and its worker."""
    crew.publish("ask", machine(A=ask(**fields)))
    started = crew.start("ask", {"n": 1})
    worker = crew.worker()
    crew.settle(worker)
    assert len(TOKENS) == 1
    return started, worker


def succeed(crew: Crew, token: str, output: str = '{"ok":true}') -> None:
    crew.database.run(lambda session: tokens.send_success(session, token, output))


def test_a_token_finishes_its_task_once(crew: Crew) -> None:
    started, worker = waiting(crew)
    succeed(crew, TOKENS[0])
    for _ in range(2):
        with pytest.raises(ConflictError, match="TaskTimedOut"):
            succeed(crew, TOKENS[0])
        crew.settle(worker)
    found = crew.look(started)
    assert (found.status, found.output) == (Status.SUCCEEDED, '{"ok":true}')
    assert crew.types(started)[2:7] == [
        "TaskScheduled",
        "TaskStarted",
        "TaskSubmitted",
        "TaskSucceeded",
        "TaskStateExited",
    ]


def test_a_token_is_stored_as_its_hash_and_never_shown(crew: Crew) -> None:
    started, _ = waiting(crew)
    token = TOKENS[0]
    assert token not in json.dumps(crew.events(started))
    with crew.database.read() as session:
        row = session.execute(select(workflow_tasks)).one()
        stored = repr([tuple(one) for one in session.execute(select(workflow_tasks))])
    assert (row.state, row.payload) == ("waiting", None)
    assert token not in stored


def test_an_answer_may_come_before_the_function_has_returned(
    database: Database, clock: MovableClock
) -> None:
    function = Held()
    crew = Crew(database, clock, {"hand_out": function})
    crew.publish("ask", machine(A=ask()))
    started = crew.start("ask")
    worker = crew.worker()
    worker.turn()
    worker.turn()
    assert function.entered.wait(5)
    with crew.database.read() as session:
        payload = json.loads(session.execute(select(workflow_tasks.c.payload)).scalar_one())
    succeed(crew, payload["Payload"]["token"])
    function.let_go.set()
    crew.settle(worker)
    assert crew.look(started).status is Status.SUCCEEDED
    assert crew.types(started).count("TaskSucceeded") == 1
    crew.close()


def test_a_failure_by_token_is_caught_by_name(crew: Crew) -> None:
    crew.publish(
        "ask",
        machine(
            A=ask(Catch=[{"ErrorEquals": ["客户拒绝"], "Next": "B"}]),
            B={"Type": "Pass", "End": True},
        ),
    )
    started = crew.start("ask")
    worker = crew.worker()
    crew.settle(worker)
    crew.database.run(lambda session: tokens.send_failure(session, TOKENS[0], "客户拒绝", "不同意"))
    found = crew.until(started, worker)
    assert json.loads(found.output or "") == {"Error": "客户拒绝", "Cause": "不同意"}


def test_a_retry_has_a_new_token_and_the_old_one_is_dead(crew: Crew) -> None:
    crew.publish("ask", machine(A=ask(Retry=[{"ErrorEquals": ["Busy"], "IntervalSeconds": 5}])))
    started = crew.start("ask")
    worker = crew.worker()
    crew.settle(worker)
    crew.database.run(lambda session: tokens.send_failure(session, TOKENS[0], "Busy"))
    crew.settle(worker)
    crew.clock.move(timedelta(seconds=5))
    crew.settle(worker)
    first, second = TOKENS
    assert first != second
    with pytest.raises(ConflictError, match="TaskTimedOut"):
        succeed(crew, first)
    succeed(crew, second)
    assert crew.until(started, worker).status is Status.SUCCEEDED


@pytest.mark.parametrize("token", ["", "nonsense", "x" * 3000])
def test_a_token_that_was_never_given_is_invalid(crew: Crew, token: str) -> None:
    waiting(crew)
    with pytest.raises(InputError, match="InvalidToken"):
        succeed(crew, token)


def test_an_output_that_is_no_json_leaves_the_token_good(crew: Crew) -> None:
    started, worker = waiting(crew)
    for bad in ("{", "NaN", '"' + "x" * 262_143 + '"', "[" * 500 + "]" * 500, "[" * 99_999):
        with pytest.raises(InputError, match="InvalidOutput"):
            succeed(crew, TOKENS[0], bad)
    succeed(crew, TOKENS[0])
    assert crew.until(started, worker).status is Status.SUCCEEDED


def test_an_answer_that_cannot_be_read_fails_its_own_task_only(crew: Crew) -> None:
    started, worker = waiting(crew)
    succeed(crew, TOKENS[0])
    crew.database.run(
        lambda session: session.execute(workflow_answers.update().values(output="no JSON"))
    )
    crew.publish("sound", machine(A={"Type": "Succeed"}))
    sound = crew.start("sound")
    crew.settle(worker)
    assert crew.look(sound).status is Status.SUCCEEDED
    assert (crew.look(started).status, crew.look(started).error) == (
        Status.FAILED,
        "States.Runtime",
    )


def test_a_token_dies_with_its_time_limit(crew: Crew) -> None:
    started, worker = waiting(crew, TimeoutSeconds=3600)
    crew.clock.move(timedelta(seconds=3600))
    crew.settle(worker)
    found = crew.look(started)
    assert (found.status, found.error, found.cause) == (Status.FAILED, "States.Timeout", None)
    with pytest.raises(ConflictError, match="TaskTimedOut"):
        succeed(crew, TOKENS[0])


def test_heartbeats_keep_a_task_alive(crew: Crew) -> None:
    started, worker = waiting(crew, HeartbeatSeconds=60, TimeoutSeconds=600)
    for _ in range(3):
        crew.clock.move(timedelta(seconds=50))
        now = crew.now_ms()
        crew.database.run(lambda session, now=now: tokens.send_heartbeat(session, TOKENS[0], now))
        crew.settle(worker)
    assert crew.look(started).status is Status.RUNNING
    crew.clock.move(timedelta(seconds=60))
    crew.settle(worker)
    assert crew.look(started).error == "States.Timeout"
    assert "TaskTimedOut" in crew.types(started)
    with pytest.raises(ConflictError, match="TaskTimedOut"):
        crew.database.run(lambda session: tokens.send_heartbeat(session, TOKENS[0], crew.now_ms()))


@pytest.mark.parametrize("limit", ["HeartbeatSeconds", "TimeoutSeconds", "machine"])
def test_an_answer_that_was_accepted_counts_though_time_had_run_out(crew: Crew, limit: str) -> None:
    limits = {} if limit == "machine" else {limit: 60}
    definition = machine(A=ask(**limits))
    crew.publish("ask", {**definition, "TimeoutSeconds": 60} if limit == "machine" else definition)
    started = crew.start("ask")
    worker = crew.worker()
    crew.settle(worker)
    crew.clock.move(timedelta(seconds=60))
    worker.turn()  # has seen the time-out and has not saved it
    succeed(crew, TOKENS[0])
    crew.settle(worker)
    found = crew.look(started)
    assert (found.status, found.output) == (Status.SUCCEEDED, '{"ok":true}')
    assert "TaskTimedOut" not in crew.types(started)


def test_a_stopped_execution_takes_no_answer(crew: Crew) -> None:
    started, worker = waiting(crew)
    crew.database.run(
        lambda session: executions.stop(
            session, f"ask:{started.name}", HOME, crew.now_ms(), error=None, cause=None
        )
    )
    with pytest.raises(ConflictError, match="TaskTimedOut"):
        succeed(crew, TOKENS[0])
    crew.settle(worker)
    assert crew.types(started)[-1] == "ExecutionAborted"


ACTIVITY = "arn:aws:states:local:000000000000:activity:抄表"


def test_an_activity_is_polled_worked_and_answered(crew: Crew) -> None:
    crew.publish(
        "act",
        machine(A={"Type": "Task", "Resource": ACTIVITY, "HeartbeatSeconds": 30, "End": True}),
    )
    started = crew.start("act", {"meter": "7"})
    worker = crew.worker()

    def poll() -> tokens.ActivityTask | None:
        now = crew.now_ms()
        return crew.database.run(
            lambda session: tokens.get_activity_task(session, ACTIVITY, now, worker="班组一")
        )

    assert poll() is None
    crew.settle(worker)
    crew.clock.move(timedelta(hours=1))  # nobody polls: the heartbeat has not begun
    crew.settle(worker)
    task = poll()
    assert task is not None
    assert json.loads(task.input) == {"meter": "7"}
    assert poll() is None
    crew.settle(worker)
    succeed(crew, task.token, "12.5")
    assert crew.until(started, worker).output == "12.5"
    assert crew.types(started)[2:6] == [
        "ActivityScheduled",
        "ActivityStarted",
        "ActivitySucceeded",
        "TaskStateExited",
    ]


def test_an_activity_worker_that_falls_silent_times_out(crew: Crew) -> None:
    crew.publish(
        "act",
        machine(A={"Type": "Task", "Resource": ACTIVITY, "HeartbeatSeconds": 30, "End": True}),
    )
    started = crew.start("act")
    worker = crew.worker()
    crew.settle(worker)
    task = crew.database.run(
        lambda session: tokens.get_activity_task(session, "抄表", crew.now_ms())
    )
    assert task is not None
    found = crew.until(started, worker)
    assert found.error == "States.Timeout"
    assert crew.types(started)[-2:] == ["ActivityTimedOut", "ExecutionFailed"]


def test_a_queue_gets_the_message_once_with_its_key(crew: Crew) -> None:
    send = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage",
        "Parameters": {
            "QueueUrl": "https://sqs.local/000000000000/work",
            "MessageBody": {"户号.$": "$.no"},
            "MessageAttributes": {"kind": {"DataType": "String", "StringValue": "bill"}},
        },
        "End": True,
    }
    crew.publish("send", machine(A=send))
    found = crew.until(crew.start("send", {"no": "0123"}), crew.worker())
    assert "MD5OfMessageBody" in json.loads(found.output or "")
    queue = LocalQueue(crew.database, crew.clock)
    (message,) = queue.receive("work", most=10, hidden_for=timedelta(seconds=30))
    assert json.loads(message.body) == {"户号": "0123"}
    assert message.attributes == {"kind": "bill"}


def nested(pattern: str, **parameters: Any) -> dict[str, Any]:
    return machine(
        A={
            "Type": "Task",
            "Resource": f"arn:aws:states:::states:startExecution{pattern}",
            "Parameters": {"StateMachineArn": HOME.machine_arn("child"), **parameters},
            "End": True,
        }
    )


@pytest.mark.parametrize(("pattern", "expected"), [(".sync", '{"b":4}'), (".sync:2", {"b": 4})])
def test_a_nested_execution_gives_its_output(crew: Crew, pattern: str, expected: Any) -> None:
    crew.publish("child", machine(C={"Type": "Wait", "Seconds": 60, "End": True}))
    crew.publish("parent", nested(pattern, Input={"b.$": "$.n"}, Name="kid"))
    started = crew.start("parent", {"n": 4})
    found = crew.until(started, crew.worker())
    output = json.loads(found.output or "")
    assert output["Output"] == expected
    assert (output["Name"], output["Status"]) == ("kid", "SUCCEEDED")
    assert crew.types(started)[4:6] == ["TaskSubmitted", "TaskSucceeded"]


def test_a_nested_execution_that_is_only_started(crew: Crew) -> None:
    crew.publish("child", machine(C={"Type": "Wait", "Seconds": 60, "End": True}))
    crew.publish("parent", nested(""))
    started = crew.start("parent")
    worker = crew.worker()
    crew.settle(worker)
    assert crew.look(started).status is Status.SUCCEEDED
    with crew.database.read() as session:
        running, _ = executions.list_executions(session, status=Status.RUNNING)
    assert [one.machine for one in running] == ["child"]


def test_the_failure_of_a_nested_execution_is_a_failed_task(crew: Crew) -> None:
    crew.publish("child", machine(C={"Type": "Fail", "Error": "Broken", "Cause": "why"}))
    crew.publish("parent", nested(".sync:2"))
    found = crew.until(crew.start("parent"), crew.worker())
    assert found.error == "States.TaskFailed"
    cause = json.loads(found.cause or "")
    assert (cause["Error"], cause["Cause"], cause["Status"]) == ("Broken", "why", "FAILED")


def test_a_nested_execution_that_cannot_start(crew: Crew) -> None:
    crew.publish("parent", nested(".sync:2"))
    found = crew.until(crew.start("parent"), crew.worker())
    assert found.error == "StepFunctions.StateMachineDoesNotExistException"
    crew.publish("child", machine(C={"Type": "Succeed"}))
    crew.publish("parent", nested("", Name="taken"))
    worker = crew.worker("w2")
    crew.until(crew.start("parent"), worker)
    assert crew.until(crew.start("parent"), worker).error == (
        "StepFunctions.ExecutionAlreadyExistsException"
    )


def test_stopping_a_parent_stops_its_child(crew: Crew) -> None:
    crew.publish("child", machine(C={"Type": "Wait", "Seconds": 6000, "End": True}))
    crew.publish("parent", nested(".sync:2"))
    started = crew.start("parent")
    worker = crew.worker()
    crew.settle(worker)
    crew.database.run(
        lambda session: executions.stop(
            session, f"parent:{started.name}", HOME, crew.now_ms(), error=None, cause=None
        )
    )
    crew.settle(worker)
    with crew.database.read() as session:
        (line,), _ = executions.list_executions(session, machine="child")
        child = executions.describe(session, f"child:{line.name}", HOME)
    assert child.status is Status.ABORTED
    assert f"execution:parent:{started.name}" in (child.cause or "")


def test_a_function_that_is_not_there(crew: Crew) -> None:
    crew.publish("x", machine(A=invoke("nobody")))
    found = crew.until(crew.start("x"), crew.worker())
    assert found.error == "Lambda.ResourceNotFoundException"
