"""The engine's worker (流程后台): claims executions and tasks, advances, performs, saves.

One thread turns: each turn writes everything that is known (results of tasks, runs that were
advanced) and claims what is due in one transaction, then advances what it claimed in memory.
Tasks run in a pool of threads, so that a slow one holds up nobody. Any number of workers may
run on one database.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue

from gongdian.alarms import raise_alarm
from gongdian.clock import Clock
from gongdian.db import Database, Session
from gongdian.errors import GongdianError
from workflows.engine import saving, store, task_rows
from workflows.engine.home import Home
from workflows.engine.orders import Answer
from workflows.engine.performing import Functions, Queues, perform
from workflows.engine.run import Surroundings
from workflows.engine.saving import Advanced, Saved
from workflows.engine.states import Machine
from workflows.engine.store import Claim
from workflows.engine.task_rows import ClaimedTask, Seat
from workflows.engine.versions import CompiledVersions

log = logging.getLogger("gongdian.workflows")


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How much a worker takes on; times in seconds."""

    threads: int = 8
    executions_at_once: int = 200
    events_at_once: int = 2_000  # of one execution, before it is saved
    lease_s: float = 30.0
    task_lease_s: float = 60.0
    poll_s: float = 0.2


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What a worker works with."""

    database: Database
    clock: Clock
    functions: Functions
    queues: Queues | None = None
    home: Home = field(default_factory=Home)
    settings: WorkerSettings = field(default_factory=WorkerSettings)


@dataclass(slots=True)
class Counts:
    """What a worker has done since its start, for metrics and benches."""

    events: int = 0
    saves: int = 0
    closed: int = 0
    fenced: int = 0
    tasks: int = 0


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one transaction brought."""

    saved: Saved
    tasks: list[ClaimedTask]
    claims: list[Claim]
    machines: dict[int, Machine]


class EngineWorker:
    """One worker; ``run`` blocks, ``start`` and ``stop`` use a thread of their own.

    ``name`` must be another one at each start: leases are renewed and given back by it.
    """

    def __init__(self, parts: WorkerParts, name: str) -> None:
        self._parts = parts
        self._name = name
        self._settings = parts.settings
        self._around = Surroundings(self._now_ms)
        self._versions = CompiledVersions()
        self._advanced: list[Advanced] = []
        self._results: SimpleQueue[tuple[ClaimedTask, Answer | None]] = SimpleQueue()
        self._unsaved: list[tuple[ClaimedTask, Answer]] = []
        self._crashed: list[str] = []
        self._running = 0
        self._renewed = time.monotonic()
        self._nudge = threading.Event()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(parts.settings.threads, "workflow-task")
        self._thread: threading.Thread | None = None
        self.counts = Counts()

    # -- life -------------------------------------------------------------------------------

    def start(self) -> None:
        """Work in a thread until ``stop``."""
        self._thread = threading.Thread(target=self.run, name="workflows")
        self._thread.start()

    def run(self) -> None:
        """Work until ``stop`` is called; a turn that fails is logged and tried again."""
        while not self._stopping.is_set():
            try:
                was_busy = self.turn()
            except GongdianError as error:
                log.warning("turn_failed", extra={"detail": str(error)})
                was_busy = False
            except Exception:
                log.exception("turn_crashed")
                was_busy = False
            if not was_busy:
                self._rest()
        self._wind_up()

    def stop(self) -> None:
        """Take nothing new, finish the tasks in flight, save, give the rest back."""
        self._stopping.set()
        self._nudge.set()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """Finish and save without a thread: for who turns by hand."""
        self._wind_up()

    def nudge(self) -> None:
        """Something was started in this process: look now."""
        self._nudge.set()

    @property
    def in_flight(self) -> int:
        """Tasks that this worker performs now."""
        return self._running

    def _rest(self) -> None:
        self._nudge.wait(self._settings.poll_s)
        self._nudge.clear()

    def _wind_up(self) -> None:
        self._pool.shutdown(wait=True)
        try:
            self._collect()
            self._parts.database.run(self._last_words)
        except GongdianError as error:
            log.warning("wind_up_failed", extra={"detail": str(error)})

    def _last_words(self, session: Session) -> None:
        self._record(session)
        saving.save(session, self._advanced, self._seat(0), self._parts.home)
        store.release(session, self._name)
        task_rows.release_tasks(session, self._name)

    # -- one turn ---------------------------------------------------------------------------

    def turn(self) -> bool:
        """Save, claim, advance; False when there was nothing to do."""
        self._collect()
        must_renew = self._must_renew()
        has_news = bool(self._advanced or self._unsaved or self._crashed or must_renew)
        if not has_news and not self._is_due():
            return False
        turn = self._written(must_renew)
        if must_renew:
            self._renewed = time.monotonic()
        self._count(turn.saved)
        self._advanced, self._unsaved, self._crashed = [], [], []
        for task in (*turn.saved.mine, *turn.tasks):
            self._submit(task)
        self._advance(turn.claims, turn.machines)
        # The claim has shown that nothing else is due; a task that ends nudges.
        return bool(self._advanced or self._crashed)

    def _written(self, must_renew: bool) -> _Turn:
        database = self._parts.database
        try:
            return database.run(lambda session: self._write(session, must_renew))
        except GongdianError:
            raise  # the database is away, or somebody was in the way: the same again later
        except Exception:
            if len(self._advanced) + len(self._unsaved) == 0:
                raise
            self._write_apart()
            return database.run(lambda session: self._write(session, must_renew))

    def _write_apart(self) -> None:
        """Find what the database does not take, so that it holds up nobody else."""
        advanced, results = self._advanced, self._unsaved
        self._advanced, self._unsaved = [], []
        database = self._parts.database
        for one in advanced:
            try:
                database.run(partial(self._save_one, one=one))
            except Exception:
                log.exception("execution_not_stored", extra={"execution": one.claim.row.name})
                self._give_up(one.claim)
        for task, answer in results:
            try:
                database.run(partial(task_rows.record_result, task=task, answer=answer))
            except Exception:
                log.exception("answer_not_stored", extra={"key": task.key})

    def _save_one(self, session: Session, one: Advanced) -> None:
        # No room: the tasks that it orders are left to whoever comes first.
        saving.save(session, [one], self._seat(0), self._parts.home)

    def _collect(self) -> None:
        while True:
            try:
                task, answer = self._results.get_nowait()
            except Empty:
                return
            self._running -= 1
            if answer is None:
                log.warning("task_too_old", extra={"key": task.key})
                continue
            self.counts.tasks += 1
            self._unsaved.append((task, answer))

    def _must_renew(self) -> bool:
        age = time.monotonic() - self._renewed
        return self._running > 0 and age > self._settings.task_lease_s / 3

    def _is_due(self) -> bool:
        now = self._now_ms()
        with self._parts.database.read() as session:
            if store.is_any_due(session, now):
                return True
            return self._room() > 0 and task_rows.is_any_task_due(session, now)

    def _write(self, session: Session, must_renew: bool) -> _Turn:
        seat = self._seat(self._room())
        for name in self._crashed:
            text = f"流程实例 {name} 无法继续，请查看后台日志 execution_crashed"
            raise_alarm(session, "workflow_crashed", text, self._parts.clock.now())
        self._record(session)
        saved = saving.save(session, self._advanced, seat, self._parts.home)
        if must_renew:
            task_rows.renew_tasks(session, seat)
        rest = self._seat(seat.room - len(saved.mine))
        tasks = task_rows.claim_tasks(session, rest)
        lease_ms = round(self._settings.lease_s * 1000)
        most = self._settings.executions_at_once
        claims = store.claim(session, self._name, seat.now_ms, lease_ms, most)
        machines = self._versions.get(session, {one.row.version_id for one in claims})
        return _Turn(saved, tasks, claims, machines)

    def _record(self, session: Session) -> None:
        # In one order, so that two workers do not wait for each other's executions.
        for task, answer in sorted(self._unsaved, key=lambda one: one[0].execution_id):
            if not task_rows.record_result(session, task, answer):
                log.warning("answer_dropped", extra={"key": task.key})

    def _advance(self, claims: Sequence[Claim], machines: dict[int, Machine]) -> None:
        parts = self._parts
        for claim in claims:
            try:
                run = store.load(claim, machines[claim.row.version_id], parts.home, self._around)
                for signal in claim.signals:
                    run.apply(signal)
                run.advance(self._settings.events_at_once)
                self._advanced.append(saving.advanced(claim, run))
            except Exception:
                # A fault of ours in one execution must not hold up the others.
                log.exception("execution_crashed", extra={"execution": claim.row.name})
                self._give_up(claim)

    def _give_up(self, claim: Claim) -> None:
        """Leave an execution alone until its lease ends, and say so."""
        self._crashed.append(f"{claim.row.machine}:{claim.row.name}")

    # -- tasks ------------------------------------------------------------------------------

    def _room(self) -> int:
        return self._settings.threads * 2 - self._running

    def _submit(self, task: ClaimedTask) -> None:
        self._running += 1
        self._pool.submit(self._perform, task, time.monotonic())

    def _perform(self, task: ClaimedTask, submitted: float) -> None:
        # A process that was paused wakes up with tasks that others may have begun by now.
        age = time.monotonic() - max(submitted, self._renewed)
        answer = None
        if age < self._settings.task_lease_s:
            answer = perform(task, self._parts.functions, self._parts.queues)
        self._results.put((task, answer))
        self._nudge.set()

    # -- small things -----------------------------------------------------------------------

    def _seat(self, room: int) -> Seat:
        lease_ms = round(self._settings.task_lease_s * 1000)
        return Seat(self._name, self._now_ms(), lease_ms, room)

    def _now_ms(self) -> int:
        return store.in_ms(self._parts.clock.now())

    def _count(self, saved: Saved) -> None:
        self.counts.events += saved.events
        self.counts.saves += 1
        self.counts.closed += saved.closed
        self.counts.fenced += saved.fenced
        if saved.fenced:
            log.warning("executions_fenced", extra={"count": saved.fenced})
