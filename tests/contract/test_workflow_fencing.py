"""Several workers: leases, fencing, crashes, pauses, lost answers; nothing doubled or lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from gongdian.alarms import standing_alarms
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import UpstreamError
from gongdian.workflow_tables import workflow_executions, workflow_history, workflow_tasks
from tests.workflow_crew import HOME, QUICK, Crew, Held, invoke, machine
from workflows.engine import executions
from workflows.engine.orders import Status
from workflows.engine.starting import Started
from workflows.engine.task_pool import Since
from workflows.engine.worker import EngineWorker, WorkerSettings

CHAIN = machine(A={"Type": "Pass", "Next": "B"}, B={"Type": "Pass", "End": True})


@pytest.fixture
def crew(database: Database, clock: MovableClock) -> Iterator[Crew]:
    crew = Crew(database, clock, {"echo": lambda event, call: event})
    yield crew
    crew.close()


def whole(crew: Crew, started: Any) -> bool:
    """Whether the history has no gap, no double, and one end."""
    ids = [event["id"] for event in crew.events(started)]
    ends = [one for one in crew.types(started) if one.startswith("Execution")][1:]
    return ids == list(range(1, len(ids) + 1)) and len(ends) == 1


def test_a_worker_that_was_overtaken_writes_nothing(crew: Crew) -> None:
    crew.publish("chain", CHAIN)
    started = crew.start("chain")
    slow, fast = crew.worker("slow"), crew.worker("fast")
    slow.turn()  # has claimed and advanced, has not saved
    crew.settle(fast)
    assert crew.look(started).status is Status.RUNNING  # leased to the slow one
    crew.clock.move(timedelta(seconds=QUICK.lease_s))
    crew.settle(fast)
    assert crew.look(started).status is Status.SUCCEEDED
    crew.settle(slow)
    assert slow.counts.fenced == 1
    assert (slow.counts.closed, fast.counts.closed) == (0, 1)
    assert whole(crew, started)


def test_an_overtaken_worker_does_not_disturb_what_still_runs(crew: Crew) -> None:
    wait = {"Type": "Wait", "Seconds": 900, "End": True}
    crew.publish("wait", machine(A={"Type": "Pass", "Next": "B"}, B=wait))
    started = crew.start("wait")
    slow, fast = crew.worker("slow"), crew.worker("fast")
    slow.turn()
    crew.clock.move(timedelta(seconds=QUICK.lease_s))
    crew.settle(fast)
    crew.settle(slow)
    assert slow.counts.fenced == 1
    with crew.database.read() as session:
        assert standing_alarms(session) == []
    assert crew.until(started, fast).status is Status.SUCCEEDED
    assert whole(crew, started)


def test_a_stale_result_does_not_end_the_task_that_another_works_on(
    database: Database, clock: MovableClock
) -> None:
    first, second = Held(lambda event: "stale"), Held(lambda event: "right")
    slow, fast = Crew(database, clock, {"work": first}), Crew(database, clock, {"work": second})
    slow.publish("task", machine(A=invoke("work")))
    started = slow.start("task")
    paused, other = slow.worker("paused"), fast.worker("other")
    paused.turn()
    paused.turn()
    assert first.entered.wait(5)
    clock.move(timedelta(seconds=QUICK.task_lease_s))
    other.turn()
    assert second.entered.wait(5)
    first.let_go.set()
    slow.settle(paused)
    assert slow.look(started).status is Status.RUNNING
    second.let_go.set()
    fast.settle(other)
    assert fast.look(started).output == '"right"'
    assert first.calls == second.calls
    slow.close()
    fast.close()


def test_a_dead_worker_s_execution_goes_on_where_it_was_saved(crew: Crew) -> None:
    crew.publish("task", machine(A=invoke("echo", Next="B"), B=invoke("echo")))
    started = crew.start("task", {"n": 1})
    dead = crew.worker("dead")
    crew.settle(dead)
    other = crew.start("task", {"n": 2})
    dead.turn()
    crew.workers.clear()  # it never comes back
    alive = crew.worker("alive")
    crew.clock.move(timedelta(seconds=QUICK.task_lease_s))
    crew.settle(alive)
    assert crew.look(started).status is Status.SUCCEEDED
    assert crew.look(other).status is Status.SUCCEEDED
    assert whole(crew, other)
    dead.close()


def test_a_paused_worker_s_task_is_done_by_another_and_its_own_result_dropped(
    database: Database, clock: MovableClock
) -> None:
    held, results = Held(lambda event: "late"), Counter[str]()
    slow = Crew(database, clock, {"work": held})

    def quick(event: Any, call: Any) -> str:
        results[call.key] += 1
        return "in time"

    fast = Crew(database, clock, {"work": quick})
    slow.publish("task", machine(A=invoke("work")))
    started = slow.start("task")
    paused, other = slow.worker("paused"), fast.worker("other")
    paused.turn()
    paused.turn()
    assert held.entered.wait(5)
    clock.move(timedelta(seconds=QUICK.task_lease_s))
    fast.settle(other)
    assert fast.look(started).output == '"in time"'
    held.let_go.set()
    slow.settle(paused)
    assert slow.look(started).output == '"in time"'
    assert held.calls == list(results)  # the same key
    assert slow.types(started).count("TaskSucceeded") == 1
    assert whole(slow, started)
    slow.close()
    fast.close()


@dataclass(frozen=True)
class Paused:
    """A worker of one thread that performs one task and has another one in its queue."""

    crew: Crew
    worker: EngineWorker
    started: Started
    held: Held
    calls: Counter[str]


@pytest.fixture
def paused(database: Database, clock: MovableClock) -> Iterator[Paused]:
    held, calls = Held(), Counter[str]()

    def count(event: Any, call: Any) -> Any:
        calls[call.key] += 1
        return event

    crew = Crew(database, clock, {"held": held, "count": count})
    branches = [machine(A=invoke("held")), machine(B=invoke("count"))]
    crew.publish("both", machine(Both={"Type": "Parallel", "Branches": branches, "End": True}))
    started = crew.start("both")
    worker = crew.worker("paused", WorkerSettings(threads=1))
    worker.turn()
    worker.turn()
    assert held.entered.wait(5)
    yield Paused(crew, worker, started, held, calls)
    held.let_go.set()
    crew.close()


def test_a_worker_that_wakes_late_does_not_begin_what_it_had_queued(
    paused: Paused, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr("workflows.engine.task_pool.time.monotonic", lambda: now + 61)
    clock.move(timedelta(seconds=61))
    paused.held.let_go.set()
    while paused.worker.in_flight:
        paused.worker._collect()
    assert paused.calls == {}
    monkeypatch.undo()
    paused.crew.settle(paused.worker, paused.crew.worker("other"))
    assert paused.crew.look(paused.started).status is Status.SUCCEEDED
    assert list(paused.calls.values()) == [1]


def test_a_worker_that_wakes_late_does_not_begin_what_others_took(
    paused: Paused, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.move(timedelta(seconds=61))
    other = paused.crew.worker("other", WorkerSettings(threads=1))
    other.turn()  # takes both; its one thread is held too
    assert other.in_flight == 2
    monkeypatch.setattr(paused.worker._tasks, "_renewed", Since(-1e9, 0))
    paused.worker.turn()  # renews, and learns that nothing is its own any more
    paused.held.let_go.set()
    paused.crew.settle(paused.worker, other)
    assert paused.crew.look(paused.started).status is Status.SUCCEEDED
    assert list(paused.calls.values()) == [1]


def test_a_slow_task_keeps_its_lease_while_its_worker_lives(
    database: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held()
    crew = Crew(database, clock, {"work": held})
    crew.publish("task", machine(A=invoke("work")))
    started = crew.start("task")
    worker, other = crew.worker("w1"), crew.worker("w2")
    worker.turn()
    worker.turn()
    assert held.entered.wait(5)
    for _ in range(5):
        clock.move(timedelta(seconds=QUICK.task_lease_s / 2))
        monkeypatch.setattr(worker._tasks, "_renewed", Since(-1e9, 0))
        worker.turn()
        other.turn()
    held.let_go.set()
    crew.settle(worker, other)
    assert len(held.calls) == 1
    assert crew.look(started).status is Status.SUCCEEDED
    crew.close()


def test_a_stop_beats_a_worker_that_holds_the_execution(crew: Crew) -> None:
    crew.publish("chain", CHAIN)
    started = crew.start("chain")
    worker = crew.worker()
    worker.turn()
    crew.database.run(
        lambda session: executions.stop(
            session, f"chain:{started.name}", HOME, crew.now_ms(), error=None, cause=None
        )
    )
    crew.settle(worker)
    assert crew.look(started).status is Status.ABORTED
    assert worker.counts.fenced == 1
    assert crew.types(started) == ["ExecutionStarted", "ExecutionAborted"]


def test_when_the_answer_to_a_commit_is_lost_nothing_is_written_twice(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew.publish("task", machine(A=invoke("echo", Next="B"), B=invoke("echo")))
    started = crew.start("task", 7)
    worker = crew.worker()
    real = crew.database.run
    losses = iter([False, True, False, True, True])

    def lossy(work: Any, **options: Any) -> Any:
        done = real(work, **options)
        if next(losses, False):
            raise UpstreamError("database_unavailable", "the answer was lost")
        return done

    monkeypatch.setattr(crew.database, "run", lossy)
    for _ in range(60):
        try:
            worker.turn()
        except UpstreamError:
            crew.clock.move(timedelta(seconds=QUICK.task_lease_s))
        if crew.look(started).status is not Status.RUNNING and not worker.in_flight:
            break
    assert next(losses, None) is None
    crew.settle(worker)
    assert crew.look(started).output == "7"
    assert whole(crew, started)


def test_many_workers_share_one_database(database: Database, clock: MovableClock) -> None:
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def count(event: Any, call: Any) -> Any:
        with lock:
            seen[call.key] += 1
        return event

    crew = Crew(database, clock, {"count": count})
    each = {
        "Type": "Map",
        "ItemProcessor": machine(A=invoke("count", Next="B"), B=invoke("count")),
        "End": True,
    }
    crew.publish("each", machine(Each=each))
    started = [crew.start("each", [1, 2, 3, 4]) for _ in range(10)]
    workers = [crew.worker(f"w{number}") for number in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(1000):
        if all(crew.look(one).status is not Status.RUNNING for one in started):
            break
        threading.Event().wait(0.02)
    crew.close()
    assert all(crew.look(one).output == "[1,2,3,4]" for one in started)
    assert all(whole(crew, one) for one in started)
    assert len(seen) == 80
    assert set(seen.values()) == {1}
    assert sum(worker.counts.closed for worker in workers) == 10


def test_a_worker_that_stops_gives_back_what_it_holds(crew: Crew) -> None:
    crew.publish("chain", CHAIN)
    first = crew.worker("first", WorkerSettings(threads=1, events_at_once=1))
    started = crew.start("chain")
    first.turn()
    first.close()
    crew.workers.clear()
    second = crew.worker("second")
    crew.settle(second)  # the clock has not moved: no lease has run out
    assert crew.look(started).status is Status.SUCCEEDED
    assert whole(crew, started)


def test_tasks_beyond_a_worker_s_room_are_taken_by_others(
    database: Database, clock: MovableClock
) -> None:
    crew = Crew(database, clock, {"echo": lambda event, call: event})
    each = {"Type": "Map", "ItemProcessor": machine(A=invoke("echo")), "End": True}
    crew.publish("each", machine(Each=each))
    started = crew.start("each", list(range(20)))
    small = crew.worker("small", WorkerSettings(threads=1))
    other = crew.worker("other", WorkerSettings(threads=1))
    crew.settle(small, other)
    assert crew.look(started).output == str(list(range(20))).replace(" ", "")
    assert small.counts.tasks + other.counts.tasks == 20
    assert min(small.counts.tasks, other.counts.tasks) > 0
    crew.close()


def crashing(crew: Crew, name: str) -> Any:
    """An execution whose stored position cannot be read."""
    started = crew.start("wait", name=name)
    worker = crew.worker(f"before-{name}")
    crew.settle(worker)
    crew.database.run(
        lambda session: session.execute(
            update(workflow_executions)
            .where(workflow_executions.c.id == started.id)
            .values(snapshot="no JSON")
        )
    )
    return started


def test_one_execution_that_cannot_go_on_holds_up_nobody(crew: Crew) -> None:
    crew.publish("wait", machine(A={"Type": "Wait", "Seconds": 60, "End": True}))
    crew.publish("chain", CHAIN)
    broken = crashing(crew, "broken")
    sound = crew.start("chain")
    crew.clock.move(timedelta(seconds=60))
    worker = crew.worker()
    crew.settle(worker)
    assert crew.look(sound).status is Status.SUCCEEDED
    assert crew.look(broken).status is Status.RUNNING
    with crew.database.read() as session:
        keys = [alarm.key for alarm in standing_alarms(session)]
    assert keys == ["workflow_crashed"]


def test_what_the_database_refuses_is_found_and_the_rest_is_saved(crew: Crew) -> None:
    crew.publish("chain", CHAIN)
    bad, good = crew.start("chain", name="bad"), crew.start("chain", name="good")
    crew.database.run(
        lambda session: session.execute(
            workflow_history.insert().values(
                execution_id=bad.id, first_event=1, last_event=1, events="[]"
            )
        )
    )
    worker = crew.worker()
    for _ in range(4):
        worker.turn()
    assert crew.look(good).status is Status.SUCCEEDED
    assert crew.look(bad).status is Status.RUNNING


def test_operators_hear_of_what_failed_and_not_of_what_was_stopped(crew: Crew) -> None:
    crew.publish("broken", machine(A={"Type": "Fail", "Error": "No"}))
    crew.publish("chain", CHAIN)
    worker = crew.worker()
    crew.until(crew.start("chain"), worker)
    stopped = crew.start("broken")
    crew.database.run(
        lambda session: executions.stop(
            session, f"broken:{stopped.name}", HOME, crew.now_ms(), error="x", cause=None
        )
    )
    with crew.database.read() as session:
        assert standing_alarms(session) == []
    failed = crew.start("broken")
    crew.until(failed, worker)
    with crew.database.read() as session:
        (alarm,) = standing_alarms(session)
    assert alarm.key == "workflow_failed:broken"
    assert failed.name in alarm.text


def test_the_clock_may_jump(crew: Crew) -> None:
    crew.publish(
        "wait", machine(A={"Type": "Wait", "Seconds": 3600, "Next": "B"}, B=invoke("echo"))
    )
    started = crew.start("wait")
    worker = crew.worker()
    crew.settle(worker)
    back = MovableClock(crew.clock.now() - timedelta(hours=5), running=False)
    late = Crew(crew.database, back, {"echo": lambda event, call: event})
    behind = late.worker("behind")  # a machine whose clock is five hours slow
    late.settle(behind)
    fresh = late.start("wait", name="fresh")
    late.settle(behind)
    crew.clock.move(timedelta(days=40))
    crew.settle(worker)
    assert crew.look(started).status is Status.SUCCEEDED
    assert crew.look(fresh).status is Status.SUCCEEDED
    assert whole(crew, started)
    late.close()


def test_an_answer_wakes_an_execution_whatever_the_clock_says(
    database: Database, clock: MovableClock
) -> None:
    crew = Crew(database, clock, {"echo": lambda event, call: event})
    crew.publish("task", machine(A=invoke("echo")))
    started = crew.start("task", 1)
    ahead = crew.worker("ahead")
    ahead.turn()
    behind = Crew(
        database,
        MovableClock(clock.now() - timedelta(seconds=20), running=False),
        {"echo": lambda event, call: event},
    )
    crew.settle(ahead, behind.worker("behind"))
    assert crew.look(started).status is Status.SUCCEEDED
    crew.close()
    behind.close()


def test_no_task_is_left_open(crew: Crew) -> None:
    crew.publish("task", machine(A=invoke("echo")))
    crew.until(crew.start("task", 1), crew.worker())
    with crew.database.read() as session:
        assert session.execute(select(workflow_tasks)).all() == []


def test_a_worker_s_thread_outlives_a_database_that_is_away(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew.publish("chain", CHAIN)
    worker: EngineWorker = crew.worker()
    real = worker.turn
    failures = iter([UpstreamError("database_unavailable"), RuntimeError("a fault of ours")])

    def failing() -> bool:
        error = next(failures, None)
        if error is not None:
            raise error
        return real()

    monkeypatch.setattr(worker, "turn", failing)
    started = crew.start("chain")
    worker.start()
    for _ in range(500):
        if crew.look(started).status is not Status.RUNNING:
            break
        threading.Event().wait(0.01)
    assert crew.look(started).status is Status.SUCCEEDED
