"""The durable engine on a database of its own, and a clock that moves when nobody works.

One worker serves all cases, one after the other; each case has a clock of its own that starts
at the same instant. Used by the command, by the comparison with moto and by tests.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from devtools.asl_conformance.cases import Case
from devtools.asl_conformance.outcomes import Outcome
from devtools.asl_conformance.stubs import Sleepers, Table
from gongdian.clock import MovableClock
from gongdian.db import Database, Session
from gongdian.errors import GongdianError
from gongdian.migrations.upgrade import upgrade_database
from gongdian.privacy import DataKeys, install_keys
from workflows.engine import executions, starting, store, versions
from workflows.engine.home import Home
from workflows.engine.journal import MOST_EVENTS
from workflows.engine.orders import Status
from workflows.engine.performing import Function
from workflows.engine.worker import EngineWorker, WorkerParts, WorkerSettings

START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
_THREADS = 32
_A_CENTURY_S = 100 * 365 * 86_400.0  # nobody takes a task away while the clock jumps
_HOME = Home("aws", "us-east-1", "111111111111", "arn:aws:iam::111111111111:role/snf")
_LOGGER = "gongdian.workflows"
_UNSUPPORTED = "UnsupportedDefinition"


class _CaseClock:
    """The clock of the case that is played."""

    def __init__(self) -> None:
        self.movable = MovableClock(START, running=False)

    def now(self) -> datetime:
        return self.movable.now()


class _CaseFunctions:
    """The functions of the case that is played."""

    def __init__(self) -> None:
        self.table: Table = {}

    def find(self, name: str) -> Function | None:
        return self.table.get(name)


class _Faults(logging.Handler):
    """Keeps what the worker logs about executions that crashed in our code."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            self.texts.append(f"{type(error).__name__}: {error}")


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a case is given up: turns of the worker, seconds of real time."""

    turns: int = 20_000
    seconds: float = 10.0


class Stage:
    """A migrated SQLite database in ``folder`` and a worker; a context manager."""

    def __init__(self, folder: Path, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._clock, self._functions, self._faults = _CaseClock(), _CaseFunctions(), _Faults()
        self._database = Database(f"sqlite:///{folder / 'cases.db'}")
        self._played = 0
        self.sleepers = Sleepers(self._clock.now)

    def __enter__(self) -> Stage:
        install_keys(DataKeys(current=b"k" * 32, index=b"i" * 32))
        upgrade_database(self._database)
        logger = logging.getLogger(_LOGGER)
        logger.addHandler(self._faults)
        self._was_propagating, logger.propagate = logger.propagate, False
        self._worker = self._new_worker()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        self._end_worker()
        logger = logging.getLogger(_LOGGER)
        logger.removeHandler(self._faults)
        logger.propagate = self._was_propagating
        self._database.close()

    def _new_worker(self) -> EngineWorker:
        settings = WorkerSettings(threads=_THREADS, task_lease_s=_A_CENTURY_S)
        parts = WorkerParts(
            self._database, self._clock, self._functions, home=_HOME, settings=settings
        )
        return EngineWorker(parts, f"conformance-{self._played}")

    def _end_worker(self) -> None:
        self._worker.stop()
        with suppress(Exception):  # what it still held may be what it failed on
            self._worker.close()

    # -- one case ---------------------------------------------------------------------------

    def play(self, case: Case, functions: Mapping[str, Function]) -> Outcome:
        """Run one execution to its end; whatever goes wrong is an outcome with a problem."""
        self._played += 1
        self._clock.movable = MovableClock(START, running=False)
        self._functions.table = functions
        self._faults.texts.clear()
        name = f"case-{self._played}"
        try:
            return self._play(case, name)
        except Exception as error:  # noqa: BLE001 - a fault of the engine is a failed case
            self._renew()
            unsupported = isinstance(error, GongdianError) and error.code == _UNSUPPORTED
            text = f"{type(error).__name__}: {error}"
            return Outcome(problem=text, is_unsupported=unsupported)
        finally:
            self._clear_away()

    def _play(self, case: Case, name: str) -> Outcome:
        text, now = case.definition_text, self._clock.now()
        kind = case.type if case.type in ("STANDARD", "EXPRESS") else "STANDARD"
        wanted = starting.Start(name, case.input_text, name)

        def begin(session: Session) -> None:
            versions.publish(session, name, text, now, kind)
            starting.start_execution(session, wanted, store.in_ms(now))

        self._database.run(begin)
        problem = self._drive(case, f"{name}:{name}")
        if self._faults.texts:
            problem = f"crashed: {self._faults.texts[0]}"
        return self._outcome(f"{name}:{name}", problem)

    def _drive(self, case: Case, given: str) -> str:
        """Turn until the execution has ended; why it did not, or ""."""
        deadline = time.monotonic() + self._bounds.seconds
        turns = 0
        while not self._faults.texts:
            if time.monotonic() > deadline or turns > self._bounds.turns:
                return "did not end"
            if self._worker.turn():
                turns += 1
            elif self._has_ended(given):
                return ""
            elif self._is_at_work():
                time.sleep(0.0002)
            elif case.expected.get("status") == Status.ABORTED.value:
                self._stop(given, case.expected.get("error"))
            elif not self._move():
                return "did not end: nothing is left that could happen"
        return ""

    def _has_ended(self, given: str) -> bool:
        with self._database.read() as session:
            found = executions.describe(session, given, _HOME)
        return found.status is not Status.RUNNING

    def _is_at_work(self) -> bool:
        """Whether a function does something else than sleep."""
        asleep, _ = self.sleepers.state()
        return self._worker.in_flight > asleep < _THREADS

    def _move(self) -> bool:
        """Move the clock to what is next; False when nothing is."""
        with self._database.read() as session:
            wake = store.next_wake(session)
        _, first = self.sleepers.state()
        moments = [] if wake is None else [store.from_ms(wake)]
        moments += [] if first is None else [first]
        if not moments:
            return False
        step = min(moments) - self._clock.now()
        if step > timedelta(0):
            self._clock.movable.move(step)
            self.sleepers.look()
        return True

    def _stop(self, given: str, error: str | None) -> None:
        now = store.in_ms(self._clock.now())
        self._database.run(
            lambda session: executions.stop(session, given, _HOME, now, error=error, cause=None)
        )

    def _outcome(self, given: str, problem: str) -> Outcome:
        with self._database.read() as session:
            found = executions.describe(session, given, _HOME)
            history = executions.history(session, given, most=MOST_EVENTS + 1)
        states = (one.get("stateEnteredEventDetails", {}).get("name") for one in history)
        return Outcome(
            found.status.value,
            found.output,
            found.error,
            found.cause,
            tuple(event["type"] for event in history),
            tuple(state for state in states if state is not None),
            problem,
        )

    # -- between cases ----------------------------------------------------------------------

    def _renew(self) -> None:
        """A worker that failed in a turn would fail again: take another one."""
        self.sleepers.send_home()
        self._end_worker()
        self._worker = self._new_worker()

    def _clear_away(self) -> None:
        """Send functions home and end what still runs, so that the next case is alone."""
        self.sleepers.send_home()
        self._faults.texts.clear()
        with self._database.read() as session:
            left, _ = executions.list_executions(session, status=Status.RUNNING)
        for one in left:
            self._stop(f"{one.machine}:{one.name}", None)
        deadline = time.monotonic() + 2.0
        while self._worker.in_flight and time.monotonic() < deadline:
            self._worker.turn()
            time.sleep(0.0002)
