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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from gongdian.alarms import raise_alarm
from gongdian.clock import Clock
from gongdian.db import Database, Session, is_ready
from gongdian.errors import GongdianError, UpstreamError
from workflows.engine import saving, store, task_rows
from workflows.engine.home import Home
from workflows.engine.language.errors import RUNTIME
from workflows.engine.orders import Answer, AnswerKind
from workflows.engine.performing import Functions, Queues, perform
from workflows.engine.run import Surroundings
from workflows.engine.saving import Advanced, Saved
from workflows.engine.store import Claim
from workflows.engine.task_pool import TaskPool
from workflows.engine.task_rows import ClaimedTask, Seat
from workflows.engine.versions import CompiledVersions

log = logging.getLogger("gongdian.workflows")

# How often a worker that stops tries to save while the database does not answer.
_LAST_TRIES = 10


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How much a worker takes on; times in seconds."""

    threads: int = 8
    executions_at_once: int = 200
    events_at_once: int = 2_000  # of one execution, before it is saved
    turn_s: float = 2.0  # a turn advances no more executions after this
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
    kept: set[tuple[int, int, int]]  # tasks in flight whose lease was renewed


class EngineWorker:
    """One worker; ``run`` blocks, ``start`` and ``stop`` use a thread of their own.

    ``name`` must be another one at each start: leases are given back by it.
    """

    def __init__(self, parts: WorkerParts, name: str) -> None:
        self._parts = parts
        self._name = name
        self._settings = parts.settings
        self._around = Surroundings(self._now_ms, is_late=self._is_late)
        self._versions = CompiledVersions()
        self._advanced: list[Advanced] = []
        self._unsaved: list[tuple[ClaimedTask, Answer]] = []
        self._crashed: list[str] = []
        self._left: list[Claim] = []
        self._bite = parts.settings.executions_at_once
        self._deadline = 0.0
        self._nudge = threading.Event()
        self._stopping = threading.Event()
        self._is_leaving = False
        self._tasks = TaskPool(
            parts.settings.threads,
            parts.settings.task_lease_s,
            self._perform,
            self._nudge.set,
            self._now_ms,
        )
        self._since = self._tasks.since()
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
            if not self._tried():
                self._rest()
        self.close()

    def _tried(self) -> bool:
        """A turn; False when it had nothing to do, or failed."""
        try:
            return self.turn()
        except GongdianError as error:
            log.warning("turn_failed", extra={"detail": str(error)})
        except Exception:
            log.exception("turn_crashed")
        return False

    def stop(self) -> None:
        """Take nothing new, finish the tasks in flight, save, give the rest back."""
        self._stopping.set()
        self._nudge.set()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """The end of ``run``; by itself for who turns by hand. Leases are renewed to the last."""
        self._is_leaving = True
        self._tasks.close()
        failures = 0
        while failures < _LAST_TRIES and (self._tasks.in_flight or self._has_news()):
            if not self._tried():
                failures += 0 if self._tasks.in_flight else 1
                self._rest()
        try:
            self._parts.database.run(self._release)
        except GongdianError as error:  # the leases run out
            log.warning("not_released", extra={"detail": str(error)})

    def _release(self, session: Session) -> None:
        store.release(session, self._name)
        task_rows.release_tasks(session, self._name)

    def nudge(self) -> None:
        """Something was started in this process: look now."""
        self._nudge.set()

    @property
    def in_flight(self) -> int:
        """Tasks that this worker performs now."""
        return self._tasks.in_flight

    def _rest(self) -> None:
        self._nudge.wait(self._settings.poll_s)
        self._nudge.clear()

    # -- one turn ---------------------------------------------------------------------------

    def turn(self) -> bool:
        """Save, claim, advance; False when there was nothing to do."""
        self._collect()
        if not self._has_news() and not self._is_due():
            return False
        must_renew = self._tasks.must_renew
        self._since = self._tasks.since()
        turn = self._written(must_renew)
        if must_renew:
            self._tasks.renewed(turn.kept, self._since)
        self._count(turn.saved)
        self._advanced, self._unsaved, self._crashed, self._left = [], [], [], []
        for task in (*turn.saved.mine, *turn.tasks):
            self._submit(task)
        self._advance(turn.claims)
        # The claim has shown that nothing else is due; a task that ends nudges.
        return self._has_news()

    def _has_news(self) -> bool:
        return bool(
            self._advanced or self._unsaved or self._crashed or self._left or self._tasks.must_renew
        )

    def _collect(self) -> None:
        for task, answer in self._tasks.collect():
            if answer is None:
                log.warning("task_too_old", extra={"key": task.key})
                continue
            self.counts.tasks += 1
            self._unsaved.append((task, answer))

    def _is_due(self) -> bool:
        if self._is_leaving:
            return False
        seat = self._seat(self._tasks.room())
        with self._parts.database.read() as session:
            if store.is_any_due(session, seat.now_ms, self._lease_ms):
                return True
            return seat.room > 0 and task_rows.is_any_task_due(session, seat)

    def _write(self, session: Session, must_renew: bool) -> _Turn:
        seat = self._seat(0 if self._is_leaving else self._tasks.room())
        for name in self._crashed:
            text = f"流程实例 {name} 无法继续，请查看后台日志 execution_crashed"
            raise_alarm(session, "workflow_crashed", text, self._parts.clock.now())
        self._record(session)
        saved = saving.save(session, self._advanced, seat, self._parts.home)
        store.give_back(session, self._left)
        kept = task_rows.renew_tasks(session, seat, self._tasks.tasks) if must_renew else set()
        if self._is_leaving:
            return _Turn(saved, [], [], kept)
        tasks = task_rows.claim_tasks(session, self._seat(seat.room - len(saved.mine)))
        claims = store.claim(session, self._name, seat.now_ms, self._lease_ms, self._bite)
        self._versions.fetch(session, {one.row.version_id for one in claims})
        return _Turn(saved, tasks, claims, kept)

    def _record(self, session: Session) -> None:
        # In one order, so that two workers do not wait for each other's executions.
        for task, answer in sorted(self._unsaved, key=lambda one: one[0].execution_id):
            if not task_rows.record_result(session, task, answer):
                log.warning("answer_dropped", extra={"key": task.key})

    # -- when the database does not take it ---------------------------------------------------

    def _written(self, must_renew: bool) -> _Turn:
        database = self._parts.database
        try:
            return database.run(lambda session: self._write(session, must_renew))
        except Exception as error:
            if self._is_passing(error) or not (self._advanced or self._unsaved):
                raise
            self._write_apart()
            return database.run(lambda session: self._write(session, must_renew))

    def _is_passing(self, error: Exception) -> bool:
        """Whether the same may succeed later: the database is away, or somebody is in the way."""
        if not isinstance(error, UpstreamError):
            return False
        if error.context.get("transient"):
            return True
        try:
            with self._parts.database.read() as session:
                return not is_ready(session)
        except GongdianError:
            return True

    def _write_apart(self) -> None:
        """Find what the database does not take, so that it holds up nobody else."""
        while self._advanced:
            one = self._advanced[0]
            try:
                self._insist(partial(self._save_one, one=one))
            except Exception as error:
                if self._is_passing(error):
                    raise
                log.exception("execution_not_stored", extra={"execution": one.claim.row.name})
                self._give_up(one.claim)
            del self._advanced[0]
        while self._unsaved:
            task, answer = self._unsaved[0]
            try:
                self._insist(partial(task_rows.record_result, task=task, answer=answer))
            except Exception as error:
                if self._is_passing(error):
                    raise
                log.exception("answer_not_stored", extra={"key": task.key})
                if answer != _refused(task):
                    self._unsaved[0] = (task, _refused(task))
                    continue
            del self._unsaved[0]

    def _insist(self, work: Callable[[Session], object]) -> None:
        """Write one thing, again when the connection broke: it may be the thing, or chance."""
        for tries_left in (2, 1, 0):
            try:
                self._parts.database.run(work)
                return
            except UpstreamError as error:
                if not tries_left or self._is_passing(error):
                    raise

    def _save_one(self, session: Session, one: Advanced) -> None:
        # No room: the tasks that it orders are left to whoever comes first.
        saving.save(session, [one], self._seat(0), self._parts.home)

    # -- advancing --------------------------------------------------------------------------

    def _advance(self, claims: Sequence[Claim]) -> None:
        self._deadline = time.monotonic() + self._settings.turn_s
        leave_off = self._now_ms() + self._lease_ms // 3
        for place, claim in enumerate(claims):
            if place and (self._is_late() or self._now_ms() > leave_off):
                self._left = list(claims[place:])
                self._bite = place
                return
            try:
                self._advance_one(claim)
            except Exception:
                # A fault of ours in one execution must not hold up the others.
                log.exception("execution_crashed", extra={"execution": claim.row.name})
                self._give_up(claim)
        self._bite = min(self._bite * 2, self._settings.executions_at_once)

    def _advance_one(self, claim: Claim) -> None:
        machine = self._versions.machine(claim.row.version_id)
        run = store.load(claim, machine, self._parts.home, self._around)
        for signal in claim.signals:
            run.apply(signal)
        run.advance(self._settings.events_at_once)
        self._advanced.append(saving.advanced(claim, run))

    def _is_late(self) -> bool:
        return time.monotonic() > self._deadline

    def _give_up(self, claim: Claim) -> None:
        """Leave an execution alone until its lease ends, and say so."""
        self._crashed.append(f"{claim.row.machine}:{claim.row.name}")

    # -- small things -----------------------------------------------------------------------

    def _submit(self, task: ClaimedTask) -> None:
        self._tasks.submit(task, self._since)

    def _perform(self, task: ClaimedTask) -> Answer:
        return perform(task, self._parts.functions, self._parts.queues)

    def _seat(self, room: int) -> Seat:
        lease_ms = round(self._settings.task_lease_s * 1000)
        return Seat(self._name, self._now_ms(), lease_ms, room)

    @property
    def _lease_ms(self) -> int:
        return round(self._settings.lease_s * 1000)

    def _now_ms(self) -> int:
        return store.in_ms(self._parts.clock.now())

    def _count(self, saved: Saved) -> None:
        self.counts.events += saved.events
        self.counts.saves += 1
        self.counts.closed += saved.closed
        self.counts.fenced += saved.fenced
        if saved.fenced:
            log.warning("executions_fenced", extra={"count": saved.fenced})


def _refused(task: ClaimedTask) -> Answer:
    """What becomes of a result that no row can hold."""
    cause = "The task's result cannot be stored."
    return Answer(task.scope, task.serial, AnswerKind.FAILED, None, RUNTIME, cause)
