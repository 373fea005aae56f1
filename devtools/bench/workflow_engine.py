"""The engine's own speed: executions one at a time and many at once, one worker.

``alone`` is what one caller sees: start in a transaction, nudge the worker's thread, wait for
the end, next. ``together`` starts many first and lets the worker have them all, as a worker that
is behind does: their transitions share commits.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from devtools.bench.workflow_machines import (
    CHAIN_EVENTS,
    CHAIN_STATES,
    MAP_INPUT,
    Place,
    check_histories,
    new_worker,
    start_many,
)
from devtools.bench.workflow_peers import middle_rate
from workflows.engine.worker import EngineWorker

_PATIENCE_S = 300.0
_LAMBDA_EVENTS = 5 * CHAIN_STATES + 2
_REST_S = 0.1


@dataclass(frozen=True, slots=True)
class Load:
    """How much is run: ``seconds`` of executions one at a time, ``together`` at once."""

    seconds: float
    together: int
    lambdas: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Speed:
    """Transitions a second, and medians of seconds; ``idle``: the worker rested before."""

    alone: float
    alone_s: float
    idle_s: float
    together: float
    map_s: float
    lambda_s: float
    lambdas: float


def run(place: Place, load: Load) -> Speed:
    """Measure one worker on a place; every history is checked."""
    with running_worker(place) as worker:
        _ = [_time_one(place, worker, "chain") for _ in range(20)]
        alone = _alone(place, worker, load.seconds)
        idle = _idle(place, worker, 4 * load.rounds)
        ended = 20 + len(alone) + len(idle)
        rates = [_together(place, worker, "chain", load.together) for _ in range(load.rounds)]
        check_histories(place.database, "chain", ended + load.rounds * load.together, CHAIN_EVENTS)
        maps = [_time_one(place, worker, "map", MAP_INPUT) for _ in range(2 * load.rounds)]
        tasks = [_time_one(place, worker, "lambda") for _ in range(4 * load.rounds)]
        many = [_together(place, worker, "lambda", load.lambdas) for _ in range(load.rounds)]
        ended = len(tasks) + load.rounds * load.lambdas
        check_histories(place.database, "lambda", ended, _LAMBDA_EVENTS)
    return Speed(
        alone=middle_rate(alone) * CHAIN_STATES,
        alone_s=statistics.median(alone),
        idle_s=statistics.median(idle),
        together=statistics.median(rates) * CHAIN_STATES,
        map_s=statistics.median(maps),
        lambda_s=statistics.median(tasks),
        lambdas=statistics.median(many) * CHAIN_STATES,
    )


@contextmanager
def running_worker(place: Place) -> Iterator[EngineWorker]:
    """One worker in a thread of this process, as ``all in one`` has it."""
    worker = new_worker(place.database, "bench")
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def _alone(place: Place, worker: EngineWorker, seconds: float) -> list[float]:
    end = time.perf_counter() + seconds
    times = []
    while time.perf_counter() < end:
        times.append(_time_one(place, worker, "chain"))
    return times


def _idle(place: Place, worker: EngineWorker, rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        time.sleep(_REST_S)
        times.append(_time_one(place, worker, "chain"))
    return times


def _time_one(place: Place, worker: EngineWorker, machine: str, text: str = "{}") -> float:
    closed, began = worker.counts.closed, time.perf_counter()
    start_many(place.database, machine, [text])
    _wait(worker, closed + 1)
    return time.perf_counter() - began


def _together(place: Place, worker: EngineWorker, machine: str, count: int) -> float:
    """Executions a second, from the commit that starts them to the commit that ends the last."""
    closed = worker.counts.closed
    start_many(place.database, machine, ["{}"] * count)
    began = time.perf_counter()
    _wait(worker, closed + count)
    return count / (time.perf_counter() - began)


def _wait(worker: EngineWorker, closed: int) -> None:
    worker.nudge()
    end = time.monotonic() + _PATIENCE_S
    while worker.counts.closed < closed:
        if time.monotonic() > end:
            raise TimeoutError("the executions do not end")
        time.sleep(0.0005)
