"""The threads of a worker (执行线程): what they perform now, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from workflows.engine.orders import Answer
from workflows.engine.task_rows import ClaimedTask

# A pool whose tasks take longer than this takes no more than it has threads for.
_QUICK_S = 1.0


@dataclass(frozen=True, slots=True)
class Since:
    """An instant from which leases count; one has run out when either clock says so.

    The wall clock, by which others judge, may jump; and a process may be paused.
    """

    monotonic: float
    clock_ms: int


@dataclass(frozen=True, slots=True)
class _Flight:
    task: ClaimedTask
    submitted: float
    future: Future[None]


class TaskPool:
    """Performs tasks in threads; all but ``_perform`` belongs to the worker's own thread."""

    def __init__(
        self,
        threads: int,
        lease_s: float,
        perform: Callable[[ClaimedTask], Answer],
        on_done: Callable[[], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._threads = threads
        self._lease_s = lease_s
        self._do = perform
        self._on_done = on_done
        self._now_ms = now_ms
        self._pool = ThreadPoolExecutor(threads, "workflow-task")
        self._flights: dict[tuple[int, int, int], _Flight] = {}
        self._results: SimpleQueue[tuple[ClaimedTask, Answer | None]] = SimpleQueue()
        self._renewed = self.since()
        self._lost: frozenset[tuple[int, int, int]] = frozenset()

    @property
    def in_flight(self) -> int:
        """Tasks that are performed or wait for a thread."""
        return len(self._flights)

    @property
    def tasks(self) -> list[ClaimedTask]:
        """What is in flight."""
        return [one.task for one in self._flights.values()]

    def room(self) -> int:
        """How many more may be claimed: a few wait here as long as tasks are quick."""
        now = time.monotonic()
        is_slow = any(now - one.submitted > _QUICK_S for one in self._flights.values())
        return self._threads * (1 if is_slow else 2) - len(self._flights)

    def submit(self, task: ClaimedTask, since: Since) -> None:
        """Perform a task that this worker has claimed, its lease counting from ``since``."""
        future = self._pool.submit(self._perform, task, since)
        self._flights[_key(task)] = _Flight(task, time.monotonic(), future)

    def _perform(self, task: ClaimedTask, since: Since) -> None:
        # A process that was paused wakes up with tasks that others may have begun by now.
        age = time.monotonic() - max(since.monotonic, self._renewed.monotonic)
        age_ms = self._now_ms() - max(since.clock_ms, self._renewed.clock_ms)
        is_mine = max(age, age_ms / 1000) < self._lease_s and _key(task) not in self._lost
        answer = self._do(task) if is_mine else None
        self._results.put((task, answer))
        self._on_done()

    def collect(self) -> list[tuple[ClaimedTask, Answer | None]]:
        """What has ended since; no answer means that the lease was gone before it began."""
        ended = []
        while True:
            try:
                ended.append(self._results.get_nowait())
            except Empty:
                return ended
            self._flights.pop(_key(ended[-1][0]), None)

    @property
    def must_renew(self) -> bool:
        """Whether the leases of what is in flight are to be renewed."""
        return (
            bool(self._flights) and time.monotonic() - self._renewed.monotonic > self._lease_s / 3
        )

    def renewed(self, kept: set[tuple[int, int, int]], since: Since) -> None:
        """They have been renewed, but for those that others have taken meanwhile."""
        self._lost = frozenset(self._flights.keys() - kept)
        self._renewed = since

    def since(self) -> Since:
        """Now, by both clocks: to be read before the lease is taken."""
        return Since(time.monotonic(), self._now_ms())

    def close(self) -> None:
        """Begin nothing more; what only waited for a thread is not in flight any more."""
        self._pool.shutdown(wait=False)
        for key, flight in list(self._flights.items()):
            if flight.future.cancel():
                del self._flights[key]


def _key(task: ClaimedTask) -> tuple[int, int, int]:
    return task.execution_id, task.serial, task.epoch
