"""What goes wrong with one execution, one row, one turn: it stays alone, and nothing is lost."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from gongdian.alarms import standing_alarms
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import UpstreamError
from gongdian.workflow_tables import workflow_history
from tests.workflow_crew import HOME, QUICK, Crew, Held, invoke, machine
from workflows.engine import executions, task_rows, tokens
from workflows.engine.orders import Status
from workflows.engine.task_pool import Since
from workflows.engine.worker import WorkerSettings

CHAIN = machine(A={"Type": "Pass", "Next": "B"}, B={"Type": "Pass", "End": True})


@pytest.fixture
def crew(database: Database, clock: MovableClock) -> Iterator[Crew]:
    crew = Crew(database, clock, {"echo": lambda event, call: event})
    yield crew
    for worker in crew.workers:
        worker._tasks._pool.shutdown(wait=True)


def turn_as_run_does(worker: Any) -> None:
    """One round of EngineWorker.run: what fails is tried again."""
    with contextlib.suppress(Exception):
        worker.turn()


# -- 1. leases of tasks that nobody performs are renewed for ever ---------------------------------


def test_a_task_whose_claim_got_no_answer_is_taken_by_another(
    database: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held()
    crew = Crew(database, clock, {"held": held, "echo": lambda event, call: event})
    crew.publish("slow", machine(A=invoke("held")))
    crew.publish("task", machine(A=invoke("echo")))
    crew.start("slow")
    busy, other = crew.worker("busy"), crew.worker("other")
    busy.turn()
    busy.turn()
    assert held.entered.wait(5)
    started = crew.start("task", 7)
    busy.turn()  # claimed and advanced
    real = database.run

    def lossy(work: Any, **options: Any) -> Any:
        real(work, **options)
        raise UpstreamError("database_unavailable", "the answer was lost")

    monkeypatch.setattr(database, "run", lossy)
    turn_as_run_does(busy)  # stored with the task as its own; the answer is lost
    monkeypatch.setattr(database, "run", real)
    for _ in range(20):  # ten leases pass; the worker is alive and busy with something else
        clock.move(timedelta(seconds=QUICK.task_lease_s / 2))
        monkeypatch.setattr(busy._tasks, "_renewed", Since(-1e9, 0))
        busy.turn()
        other.turn()
        time.sleep(0.02)
    found = crew.look(started).status
    held.let_go.set()
    crew.close()
    assert found is Status.SUCCEEDED


def test_a_result_is_not_thrown_away_when_the_database_goes_away(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew.publish("chain", CHAIN)
    crew.publish("task", machine(A=invoke("echo")))
    started = crew.start("task", 7)
    worker = crew.worker()
    worker.turn()
    worker.turn()
    while not worker._tasks._results.qsize():
        time.sleep(0.001)
    bad = crew.start("chain", name="bad")
    monkeypatch.setattr(worker, "_collect", lambda: None)
    worker.turn()  # claims the bad one
    monkeypatch.undo()
    crew.database.run(
        lambda session: session.execute(
            workflow_history.insert().values(
                execution_id=bad.id, first_event=1, last_event=1, events="[]"
            )
        )
    )
    real, calls = task_rows.record_result, iter([False, True])

    def away(*given: Any, **named: Any) -> bool:
        if next(calls, False):
            raise UpstreamError("database_unavailable", "away for a moment")
        return real(*given, **named)

    monkeypatch.setattr(task_rows, "record_result", away)
    for _ in range(5):
        turn_as_run_does(worker)
    assert crew.look(started).status is Status.SUCCEEDED


# -- 2. one row that cannot be written stops the worker for ever ----------------------------------


def child_of(name: str) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution",
        "Parameters": {"StateMachineArn.$": "$.machine", "Input": {}},
        "End": True,
    }


def function_of_input() -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName.$": "$.machine", "Payload": {}},
        "End": True,
    }


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (child_of("x"), "m" * 81),
        (child_of("x"), "m "),
        (function_of_input(), "echo "),
        (function_of_input(), "echo\ud800"),
    ],
    ids=["long-machine", "blank-machine", "blank-function", "surrogate-function"],
)
def test_a_name_that_a_key_column_refuses_fails_its_own_execution(
    crew: Crew, state: dict[str, Any], name: str
) -> None:
    crew.publish("bad", machine(A=state))
    crew.publish("chain", CHAIN)
    bad = crew.start("bad", {"machine": name})
    sound = crew.start("chain")
    worker = crew.worker()
    for _ in range(10):
        turn_as_run_does(worker)
    # the worker is stuck: it can neither save what it did nor claim anything else
    later = crew.start("chain", name="later")
    for _ in range(10):
        turn_as_run_does(worker)
        time.sleep(0.002)
    assert crew.look(sound).status is Status.SUCCEEDED
    assert crew.look(later).status is Status.SUCCEEDED
    assert crew.look(bad).status is Status.FAILED


@pytest.mark.parametrize("size", [40_000_000])
def test_a_result_that_no_packet_holds_fails_its_own_task(
    database: Database, clock: MovableClock, size: int
) -> None:
    big = random.Random(1).randbytes(size // 2).hex()
    crew = Crew(database, clock, {"big": lambda event, call: big, "echo": lambda event, call: 1})
    crew.publish("big", machine(A=invoke("big")))
    crew.publish("chain", CHAIN)
    bad = crew.start("big")
    worker = crew.worker()
    worker.turn()
    worker.turn()
    while not worker._tasks._results.qsize():
        time.sleep(0.01)
    sound = crew.start("chain")
    for _ in range(6):
        turn_as_run_does(worker)
    found = crew.look(sound).status, crew.look(bad).status
    worker._tasks._pool.shutdown()
    assert found == (Status.SUCCEEDED, Status.FAILED)


# -- 3. one row that cannot be read stops all workers for ever ------------------------------------


def spoil(crew: Crew, statement: str, **values: Any) -> None:
    crew.database.run(lambda session: session.execute(text(statement), values))


def sound_beside(crew: Crew, worker: Any) -> None:
    sound = crew.start("chain", name="sound")
    for _ in range(10):
        turn_as_run_does(worker)
        time.sleep(0.002)
    assert crew.look(sound).status is Status.SUCCEEDED


@pytest.mark.parametrize("column", ["input", "snapshot", "output", "cause"])
def test_an_execution_that_cannot_be_decrypted_holds_up_nobody(crew: Crew, column: str) -> None:
    crew.publish("chain", CHAIN)
    bad = crew.start("chain", name="bad")
    spoil(
        crew, f"UPDATE workflow_executions SET {column} = :x WHERE id = :id", x=b"\x07?", id=bad.id
    )
    sound_beside(crew, crew.worker())


def test_a_task_that_cannot_be_decrypted_holds_up_nobody(crew: Crew) -> None:
    crew.publish("chain", CHAIN)
    crew.publish("task", machine(A=invoke("echo")))
    worker = crew.worker("w1")
    bad = crew.start("task")
    worker.turn()
    for one in worker._advanced:  # stored without room: for whoever comes first
        crew.database.run(lambda session, one=one: worker._save_one(session, one))
    worker._advanced = []
    spoil(
        crew,
        "UPDATE workflow_tasks SET payload = :x WHERE execution_id = :id",
        x=b"\x07?",
        id=bad.id,
    )
    sound_beside(crew, worker)


def test_an_answer_that_cannot_be_decrypted_holds_up_nobody(crew: Crew) -> None:
    crew.publish("chain", CHAIN)
    resource = "arn:aws:states:local:000000000000:activity:count"
    crew.publish("activity", machine(A={"Type": "Task", "Resource": resource, "End": True}))
    bad = crew.start("activity")
    worker = crew.worker()
    crew.settle(worker)
    given = crew.database.run(lambda s: tokens.get_activity_task(s, "count", crew.now_ms()))
    assert given is not None
    crew.database.run(lambda s: tokens.send_success(s, given.token, "1"))
    spoil(
        crew,
        "UPDATE workflow_answers SET output = :x WHERE execution_id = :id AND kind = 'succeeded'",
        x=b"\x07?",
        id=bad.id,
    )
    sound_beside(crew, worker)


def test_a_version_that_this_release_cannot_compile_holds_up_nobody(crew: Crew) -> None:
    crew.publish("chain", CHAIN)
    version = crew.publish("newer", machine(A={"Type": "Pass", "End": True}))
    crew.start("newer")
    newer = '{"StartAt":"A","States":{"A":{"Type":"Oracle","End":true}}}'  # of a later release
    spoil(
        crew, "UPDATE workflow_versions SET definition = :x WHERE id = :id", x=newer, id=version.id
    )
    sound_beside(crew, crew.worker())


def test_a_broken_execution_can_be_stopped(crew: Crew) -> None:
    crew.publish("wait", machine(A={"Type": "Wait", "Seconds": 60, "End": True}))
    bad = crew.start("wait", name="bad")
    crew.settle(crew.worker())
    crew.database.run(
        lambda s: s.execute(
            executions.update(executions.workflow_executions)
            .where(executions._of.id == bad.id)
            .values(snapshot="{}")
        )
    )
    crew.database.run(
        lambda s: executions.stop(s, "wait:bad", HOME, crew.now_ms(), error=None, cause=None)
    )
    assert crew.look(bad).status is Status.ABORTED


# -- 4. stuck executions --------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", [".sync", ".sync:2"])
def test_a_parent_hears_of_a_child_that_ran_already(crew: Crew, pattern: str) -> None:
    crew.publish("child", machine(A={"Type": "Wait", "Seconds": 60, "End": True}))
    task = {
        "Type": "Task",
        "Resource": f"arn:aws:states:::states:startExecution{pattern}",
        "Parameters": {"StateMachineArn": "child", "Name": "case-7", "Input": {}},
        "End": True,
    }
    crew.publish("parent", machine(A=task))
    one = crew.start("parent", name="one")
    two = crew.start("parent", name="two")  # the same case from two sides
    worker = crew.worker()
    for _ in range(5):
        crew.settle(worker)
        crew.clock.move(timedelta(hours=1))
    assert crew.look(one).status is Status.SUCCEEDED
    assert crew.look(two).status is not Status.RUNNING


def test_advancing_that_takes_longer_than_the_lease_comes_to_an_end(
    database: Database,
) -> None:
    class Ticking:
        """A clock that moves with the work: 10 ms for each transition."""

        def __init__(self) -> None:
            self.at = MovableClock(running=False)

        def now(self) -> Any:
            return self.at.move(timedelta(milliseconds=10))

    clock: Any = Ticking()
    crew = Crew(database, clock, {})
    names = [f"S{i}" for i in range(30)]
    states: dict[str, Any] = {
        name: {"Type": "Pass", "Next": follows} for name, follows in itertools.pairwise(names)
    }
    states[names[-1]] = {"Type": "Pass", "End": True}
    crew.publish("chain", machine(**states))
    started = [crew.start("chain", name=f"e{i}") for i in range(200)]  # 200 * 30 * 10 ms = 60 s
    settings = WorkerSettings(threads=1, lease_s=30)
    one, two = crew.worker("one", settings), crew.worker("two", settings)
    for _ in range(20):
        one.turn()
        two.turn()
    done = sum(crew.look(each).status is Status.SUCCEEDED for each in started)
    for worker in (one, two):
        worker._tasks._pool.shutdown()
    assert done == len(started), (done, one.counts, two.counts)


# -- 5. clean stop ---------------------------------------------------------------------------------


def test_a_worker_that_stops_keeps_the_lease_of_what_it_finishes(
    database: Database, clock: MovableClock
) -> None:
    moving = MovableClock()
    held = Held()
    crew = Crew(database, moving, {"work": held})
    crew.publish("task", machine(A=invoke("work")))
    started = crew.start("task")
    settings = WorkerSettings(threads=2, task_lease_s=0.6, poll_s=0.01)
    stopping, other = crew.worker("stopping", settings), crew.worker("other", settings)
    stopping.start()
    assert held.entered.wait(5)
    other.start()
    thread = threading.Thread(target=stopping.stop)
    thread.start()  # a clean stop: finish what is in flight
    time.sleep(2)
    calls = len(held.calls)
    held.let_go.set()
    thread.join()
    other.stop()
    assert crew.look(started).status is Status.SUCCEEDED
    assert calls == 1, "another worker began the step while the first one was finishing it"


def test_a_worker_that_stops_saves_what_can_be_saved(crew: Crew) -> None:
    crew.publish("chain", CHAIN)
    crew.publish("task", machine(A=invoke("echo")))
    started = crew.start("task", 7)
    worker = crew.worker()
    worker.turn()
    worker.turn()
    while not worker._tasks._results.qsize():
        time.sleep(0.001)
    bad = crew.start("chain", name="bad")
    collect, worker._collect = worker._collect, lambda: None  # type: ignore[method-assign]
    worker.turn()
    worker._collect = collect  # type: ignore[method-assign]
    crew.database.run(
        lambda session: session.execute(
            workflow_history.insert().values(
                execution_id=bad.id, first_event=1, last_event=1, events="[]"
            )
        )
    )
    with contextlib.suppress(Exception):
        worker.close()
    crew.workers.clear()
    crew.settle(crew.worker("next"))  # at once: no lease has run out
    assert crew.look(started).status is Status.SUCCEEDED


# -- 6. smaller things ----------------------------------------------------------------------------


def test_a_clock_that_jumps_back_does_not_keep_what_a_dead_worker_had(
    database: Database, clock: MovableClock
) -> None:
    if not database.is_sqlite:
        return  # several machines: another one's clock may be ahead
    crew = Crew(database, clock, {"echo": lambda event, call: event})
    crew.publish("chain", CHAIN)
    started = crew.start("chain")
    dead = crew.worker("dead")
    dead.turn()  # claims, and dies
    back = MovableClock(clock.now() - timedelta(hours=24), running=False)
    late = Crew(database, back, {})
    alive = late.worker("alive")
    late.settle(alive)
    back.move(timedelta(minutes=30))  # sixty leases later
    late.settle(alive)
    dead._tasks._pool.shutdown()
    late.close()
    assert late.look(started).status is Status.SUCCEEDED


def test_an_alarm_repeats_nothing_of_an_execution_s_data(crew: Crew) -> None:
    crew.publish("fail", machine(A={"Type": "Fail", "ErrorPath": "$.who"}))
    crew.start("fail", {"who": "王小明13800000000"})
    crew.settle(crew.worker())
    with crew.database.read() as session:
        assert not [one for one in standing_alarms(session) if "13800000000" in one.text]


@pytest.mark.mariadb
def test_prune_leaves_alone_what_is_redriven_meanwhile(
    empty_mariadb_url: str, clock: MovableClock
) -> None:
    database = Database(empty_mariadb_url)
    crew = Crew(database, clock, {})
    crew.publish("fail", machine(A={"Type": "Wait", "Seconds": 5, "Next": "B"}, B={"Type": "Fail"}))
    started = crew.start("fail", name="x")
    worker = crew.worker()
    crew.until(started, worker)
    clock.move(timedelta(days=8))
    now = clock.now()
    with database.begin() as session:
        executions.redrive(session, "fail:x", HOME, crew.now_ms())
        pruned: list[int] = []

        def prune() -> None:  # GONGDIAN_WORKFLOW_KEPT_DAYS=7
            before = now - timedelta(days=7)
            pruned.append(database.run(lambda s: executions.prune(s, before, now)))

        thread = threading.Thread(target=prune)
        thread.start()
        time.sleep(1)
    thread.join()
    found = crew.look(started)
    worker._tasks._pool.shutdown()
    database.close()
    assert (found.is_pruned, found.input) == (False, "{}"), found.status
