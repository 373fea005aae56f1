"""Playing executions on the engine: each case with the functions that the record lets guess."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from devtools.asl_conformance.cases import Case
from devtools.asl_conformance.outcomes import Result, judge
from devtools.asl_conformance.stage import Stage
from devtools.asl_conformance.stubs import tables


@contextmanager
def without_alarms() -> Iterator[None]:
    """Cases fail on purpose: what the engine would tell operators is not the report."""
    logger = logging.getLogger("gongdian.alarms")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def play_all(cases: Sequence[Case], stage: Stage) -> Iterator[Result]:
    """Play the executions among the cases, one after the other."""
    return (play_case(case, stage) for case in cases if case.is_execution)


def play_case(case: Case, stage: Stage) -> Result:
    """Play one execution with each likely table of functions until one gives what is recorded.

    Where the functions are known by a word there is one table only, and so one try.
    """
    first: Result | None = None
    for table in tables(case, stage.sleepers):
        result = judge(case, stage.play(case, table))
        if result.has_passed:
            return result
        first = first or result
    if first is None:
        raise AssertionError("there is always one table")
    return first
