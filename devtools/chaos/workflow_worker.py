"""``python -m devtools.chaos.workflow_worker FOLDER NAME``: an engine worker that may be killed.

Its functions leave evidence outside the engine's database: a line when a call begins, a line
when it ends, in between whatever a kill leaves.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from devtools.chaos.workflow_files import (
    EVIDENCE,
    MAILBOX,
    OFFSET,
    Lines,
    ShiftedClock,
    open_database,
    read_shared,
)
from devtools.chaos.workflow_machines import ASK, WORK, worked
from gongdian.logs import set_up_logs
from workflows.engine.performing import NamedFunctions, TaskCall
from workflows.engine.task_rows import ClaimedTask
from workflows.engine.worker import EngineWorker, WorkerParts, WorkerSettings

_CONNECTIONS = 2
_EARLY_S = 0.3


class Flaky(Exception):  # noqa: N818 - the name is what a Retry names
    """What a call raises that is told to fail."""


class WatchedWorker(EngineWorker):
    """Also leaves evidence of what it claims: not before which instant it can have done so."""

    def __init__(self, parts: WorkerParts, name: str, evidence: Lines) -> None:
        super().__init__(parts, name)
        self._evidence = evidence
        self._turn_began = time.time()

    def turn(self) -> bool:
        """One turn of the engine's worker."""
        self._turn_began = time.time()
        return super().turn()

    def _submit(self, task: ClaimedTask) -> None:
        self._evidence.add(what="claim", key=task.key, pid=os.getpid(), at=self._turn_began)
        super()._submit(task)


class Calls:
    """The functions that the machines call."""

    def __init__(self, evidence: Lines, mailbox: Lines) -> None:
        self._evidence = evidence
        self._mailbox = mailbox

    def work(self, event: dict[str, Any], call: TaskCall) -> dict[str, int]:
        """Take a while, then fail as often as told, then give a value."""
        number = self._begin(event, call)
        time.sleep(event["takes_ms"] / 1000)
        fails = event["always"] or event["attempt"] < event["fails"]
        self._end(number, "raised" if fails else "ok")
        if fails:
            raise Flaky(f"attempt {event['attempt']}")
        return {"value": worked(event["value"])}

    def ask(self, event: dict[str, Any], call: TaskCall) -> None:
        """Hand the token to the person, who may answer before this call has come back."""
        number = self._begin(event, call)
        self._mailbox.add(**{name: event[name] for name in _LETTER})
        if event["manner"] == "early":
            time.sleep(_EARLY_S)
        self._end(number, "ok")

    def _begin(self, event: dict[str, Any], call: TaskCall) -> str:
        number = secrets.token_hex(8)
        self._evidence.add(
            what="begin",
            call=number,
            execution=event["execution"],
            state=event["state"],
            item=event.get("item", -1),
            round=event.get("round", -1),
            attempt=event["attempt"],
            key=call.key,
            pid=os.getpid(),
            at=time.time(),
        )
        return number

    def _end(self, number: str, outcome: str) -> None:
        self._evidence.add(what="end", call=number, outcome=outcome, at=time.time())


_LETTER = ("token", "attempt", "value", "manner", "refusals", "rejects")


def main() -> int:
    """Work until SIGTERM."""
    folder, name = Path(sys.argv[1]), sys.argv[2]
    set_up_logs("WARNING")
    shared = read_shared(folder)
    evidence = Lines(folder / EVIDENCE)
    calls = Calls(evidence, Lines(folder / MAILBOX))
    settings = WorkerSettings(lease_s=shared.lease_s, task_lease_s=shared.lease_s, poll_s=0.1)
    parts = WorkerParts(
        open_database(shared, _CONNECTIONS),
        ShiftedClock(folder / OFFSET),
        NamedFunctions({WORK: calls.work, ASK: calls.ask}),
        settings=settings,
    )
    # A name of its own each time: what a killed worker held is not this one's.
    worker = WatchedWorker(parts, f"{name}:{os.getpid()}:{secrets.token_hex(3)}", evidence)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    worker.start()
    while not ended.wait(0.5):
        pass
    worker.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
