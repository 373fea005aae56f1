"""A workflow run while it goes on (现场): a database, four workers, one person, what is fed.

The runs drive it; ``workflow_evidence`` reads what it leaves.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Table, func, select

from devtools.chaos.crew import Crew
from devtools.chaos.ground import Ground
from devtools.chaos.installation import shared_keys
from devtools.chaos.site import StuckError
from devtools.chaos.workflow_files import (
    ANSWERED,
    MAILBOX,
    OFFSET,
    Shared,
    ShiftedClock,
    Tail,
    open_database,
    write_offset,
    write_shared,
)
from devtools.chaos.workflow_machines import (
    LONG,
    SHAPES,
    Outcome,
    children_of,
    definitions,
    draw_input,
    outcome_of,
)
from gongdian.db import Database, Session
from gongdian.errors import UpstreamError
from gongdian.migrations.upgrade import upgrade_database
from gongdian.workflow_tables import workflow_executions, workflow_tasks
from workflows.engine import versions
from workflows.engine.starting import Start, start_execution
from workflows.engine.store import in_ms

WORKERS = 4
_CONNECTIONS = 3
LOT = 20
_POLL_S = 0.05
_ROOT = Path(__file__).parents[2]
_RUNNING = "RUNNING"


@dataclass(frozen=True, slots=True)
class WorkflowPlan:
    """How a run goes; ``in_flight`` bounds how many executions are open at once."""

    title: str
    executions: int
    kills: int = 0
    pauses: int = 0
    in_flight: int = 150
    lease_s: float = 2.0
    patience_s: float = 240.0
    seed: int = 1


class WorkflowCrew(Crew):
    """Processes of this package: ``worker`` and ``person``; workers may be paused too."""

    def start(self, name: str, command: str) -> None:
        """Start ``python -m devtools.chaos.workflow_COMMAND``."""
        self._commands[name] = command
        module = f"devtools.chaos.workflow_{command}"
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", module, str(self._folder), name],
                cwd=_ROOT,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one."""
        self._running[name].send_signal(number)


@dataclass(slots=True)
class WorkflowSite:
    """What runs, what was fed to it (``due``: how each must end), what was done to it."""

    plan: WorkflowPlan
    ground: Ground
    database: Database
    crew: WorkflowCrew
    dice: random.Random
    clock: ShiftedClock
    due: dict[str, Outcome] = field(default_factory=dict)
    fed: int = 0
    goal: int = 0
    kills: int = 0
    kills_inside: int = 0
    pauses: int = 0
    offsets: list[tuple[float, float]] = field(default_factory=lambda: [(time.time(), 0.0)])
    notes: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where logs and evidence are."""
        return self.ground.folder

    def feed(self) -> None:
        """Start executions until the goal, as many as may be open at once."""
        room = self.plan.in_flight - (self.fed - self.ended())
        count = min(room, self.goal - self.fed, LOT)
        if count > 0:
            self.start([self.dice.choice(SHAPES) for _ in range(count)])

    def start(self, shapes: list[str]) -> None:
        """Start one execution of each shape, in one transaction."""
        starts = []
        for number, shape in enumerate(shapes, self.fed):
            name, given = f"{shape}-{number:05}", draw_input(self.dice, shape)
            starts.append(Start(shape, json.dumps(given), name))
            self.due |= {name: outcome_of(shape, given), **children_of(shape, name, given)}
        now = in_ms(self.clock.now())

        def write(session: Session) -> None:
            for one in starts:
                start_execution(session, one, now)

        self.database.run(write, tries=20)
        self.fed += len(shapes)

    def start_long(self, count: int) -> None:
        """Start executions that wait for two days."""
        self.start([LONG] * count)
        self.goal += count

    def ended(self) -> int:
        """How many of those that were fed have ended."""
        of = workflow_executions.c
        return self._count(of.status != _RUNNING, of.parent_id.is_(None))

    def open(self) -> int:
        """How many have not ended, children included."""
        return self._count(workflow_executions.c.status == _RUNNING)

    def _count(self, *conditions: Any) -> int:
        found = select(func.count()).select_from(workflow_executions).where(*conditions)
        with self.database.read() as session:
            return session.execute(found).scalar_one()

    def _is_owned(self, table: Table, worker: str) -> ColumnElement[bool]:
        owner = f"{worker}:{self.crew.pid(worker)}:"
        return table.c.owner.startswith(owner, autoescape=True)

    def blocks_nobody(self, worker: str) -> bool:
        """Whether a worker that was paused holds no lock, so that others can take over."""
        rows = select(workflow_executions.c.id).where(self._is_owned(workflow_executions, worker))
        impatient = self.database.impatient(0.2)
        try:
            with impatient.begin() as session:
                session.execute(rows.with_for_update(nowait=True)).all()
        except UpstreamError:
            return False
        finally:
            impatient.close()
        return True

    def held_by(self, worker: str) -> tuple[int, int]:
        """How many executions and how many tasks a worker holds now."""
        found = []
        with self.database.read() as session:
            for table in (workflow_executions, workflow_tasks):
                query = select(func.count()).select_from(table)
                query = query.where(self._is_owned(table, worker))
                found.append(session.execute(query).scalar_one())
        return found[0], found[1]

    def kill_one(self) -> None:
        """SIGKILL a worker drawn from those that hold something (from all when none does)."""
        held = {name: sum(self.held_by(name)) for name in self.crew.workers()}
        busy = [name for name, count in held.items() if count]
        victim = self.dice.choice(busy or list(held))
        self.crew.kill(victim)
        self.kills += 1
        self.kills_inside += bool(held[victim])

    def shift_clock(self, seconds: float) -> None:
        """From now on every process's clock is off by this much."""
        write_offset(self.folder / OFFSET, seconds)
        self.offsets.append((time.time(), seconds))

    def wait_until(
        self, is_true: Callable[[], bool], what: str, limit_s: float | None = None
    ) -> None:
        """Go on feeding; StuckError names what did not come."""
        end = time.monotonic() + (limit_s or self.plan.patience_s)
        while not is_true():
            self.crew.look_after()
            self.feed()
            time.sleep(_POLL_S)
            if time.monotonic() > end:
                raise StuckError(f"{what} did not come; {self.open()} executions are open")

    def wait_for_the_end(self) -> None:
        """Until every execution has ended and the person has answered every letter."""
        self.wait_until(lambda: self.fed >= self.goal, "the last start")
        self.wait_until(lambda: self.open() == 0, "the end of every execution")
        letters, answers = Tail(self.folder / MAILBOX), Tail(self.folder / ANSWERED)
        counts = [0, 0]

        def is_answered() -> bool:
            counts[0] += len(letters.read())
            counts[1] += len(answers.read())
            return counts[0] == counts[1]

        self.wait_until(is_answered, "the person's last answer")
        # What a killed or paused worker left is taken over when its lease has ended.
        time.sleep(self.plan.lease_s + 0.5)


@contextmanager
def running_site(plan: WorkflowPlan, ground: Ground) -> Iterator[WorkflowSite]:
    """Make the database, publish the machines, start the processes; stop them at the end."""
    keys = shared_keys()
    shared = Shared(ground.database_url, keys[0].hex(), keys[1].hex(), plan.lease_s)
    write_shared(ground.folder, shared)
    database = open_database(shared, _CONNECTIONS)
    clock = ShiftedClock(ground.folder / OFFSET)
    crew = WorkflowCrew(dict(os.environ), ground.folder)
    dice = random.Random(plan.seed)
    site = WorkflowSite(plan, ground, database, crew, dice, clock, goal=plan.executions)
    try:
        upgrade_database(database)
        _publish(database, clock)
        for number in range(1, WORKERS + 1):
            crew.start(f"worker-{number}", "worker")
        crew.start("person", "person")
        yield site
    finally:
        for name in crew.workers():
            crew.signal(name, signal.SIGCONT)
        crew.stop()
        database.close()


def _publish(database: Database, clock: ShiftedClock) -> None:
    now = clock.now()

    def write(session: Session) -> None:
        for name, definition in definitions().items():
            versions.publish(session, name, json.dumps(definition), now)

    database.run(write)
