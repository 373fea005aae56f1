"""``python -m devtools.chaos.workflow_person FOLDER NAME``: who answers the tokens.

Answers once or twice, from two threads at the same instant, before the call that handed the
token out has ended, or late and with heartbeats meanwhile. Each try and what came of it is told.
"""

from __future__ import annotations

import hashlib
import json
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from devtools.chaos.workflow_files import (
    ANSWERED,
    EVIDENCE,
    MAILBOX,
    OFFSET,
    Lines,
    ShiftedClock,
    Tail,
    open_database,
    read_shared,
)
from devtools.chaos.workflow_machines import agreed
from gongdian.db import Database, Session
from gongdian.errors import ConflictError, GongdianError, InputError, UpstreamError
from gongdian.logs import set_up_logs
from workflows.engine import tokens
from workflows.engine.store import in_ms

_THREADS = 48
_CONNECTIONS = 4
_TRIES = 30


def token_name(token: str) -> str:
    """What evidence and history call a token."""
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()[:16]


class Person:
    """Answers letters, each in a thread of its own."""

    def __init__(self, database: Database, clock: ShiftedClock, folder: Path) -> None:
        self._database = database
        self._clock = clock
        self._evidence = Lines(folder / EVIDENCE)
        self._answered = Lines(folder / ANSWERED)
        self._two = ThreadPoolExecutor(_THREADS * 2)

    def take(self, letter: dict[str, Any]) -> None:
        """Answer one letter in its manner; a letter that comes again is answered again."""
        manner = letter["manner"]
        if manner == "late":
            beats = random.randint(2, 3)
            while beats and self._heartbeat(letter):
                beats -= 1
                time.sleep(1.0)
        elif manner != "early":
            time.sleep(random.random() * 0.5)
        if manner == "threads":
            barrier = threading.Barrier(2)
            pair = [self._two.submit(self._answer, letter, barrier) for _ in range(2)]
            for one in pair:
                one.result()
        else:
            for _ in range(2 if manner == "twice" else 1):
                self._answer(letter)
        self._answered.add(token=token_name(letter["token"]))

    def _answer(self, letter: dict[str, Any], barrier: threading.Barrier | None = None) -> None:
        token = letter["token"]
        error = "Rejected" if letter["rejects"] else "Refused"
        fails = letter["rejects"] or letter["attempt"] < letter["refusals"]
        if barrier is not None:
            barrier.wait()
        if fails:
            self._send(token, "failure", lambda one: tokens.send_failure(one, token, error, "no"))
            return
        output = json.dumps({"agreed": agreed(letter["value"])})
        self._send(token, "success", lambda one: tokens.send_success(one, token, output))

    def _heartbeat(self, letter: dict[str, Any]) -> bool:
        token, now = letter["token"], in_ms(self._clock.now())
        return self._send(token, "heartbeat", lambda one: tokens.send_heartbeat(one, token, now))

    def _send(self, token: str, kind: str, work: Callable[[Session], object]) -> bool:
        """Do it, again while the database is busy, and tell what came of it; True when taken."""
        result = ""
        began = time.time()
        for _ in range(_TRIES):
            result = self._tried(work)
            if result != "busy":
                break
            time.sleep(0.1)
        self._evidence.add(
            what="sent",
            token=token_name(token),
            kind=kind,
            result=result,
            began=began,
            at=time.time(),
        )
        return result == "ok"

    def _tried(self, work: Callable[[Session], object]) -> str:
        try:
            self._database.run(work)
        except UpstreamError:
            return "busy"
        except (ConflictError, InputError) as error:
            return error.code
        except GongdianError as error:
            return f"unexpected {error.code}"
        return "ok"


def main() -> int:
    """Answer until SIGTERM."""
    folder = Path(sys.argv[1])
    set_up_logs("WARNING")
    database = open_database(read_shared(folder), _CONNECTIONS)
    person = Person(database, ShiftedClock(folder / OFFSET), folder)
    letters = Tail(folder / MAILBOX)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with ThreadPoolExecutor(_THREADS) as pool:
        while not ended.wait(0.02):
            for letter in letters.read():
                pool.submit(person.take, letter).add_done_callback(_tell_failure)
    return 0


def _tell_failure(done: Any) -> None:
    done.result()  # an exception here is logged by the pool, with its traceback


if __name__ == "__main__":
    sys.exit(main())
