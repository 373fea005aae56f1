"""What an engine answered to a case, and whether that is what was recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from devtools.asl_conformance.cases import Case
from devtools.asl_conformance.comparing import (
    cause_difference,
    event_difference,
    first_difference,
)

MOTO = "moto"  # its tests look at parts of an answer only


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution ended; ``output`` is JSON text, ``states`` the names as entered.

    ``problem`` is set when there is no answer to compare: refused, crashed, never ended.
    """

    status: str = ""
    output: str | None = None
    error: str | None = None
    cause: str | None = None
    events: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    problem: str = ""
    is_unsupported: bool = False

    @property
    def output_value(self) -> Any:
        """The output as a value; None when there is none."""
        return None if self.output is None else json.loads(self.output)


@dataclass(frozen=True, slots=True)
class Result:
    """A case, what came of it, and how it differs: "" is as recorded.

    ``event_difference`` is None when the record holds no events. Causes and events do not decide
    whether a case passed.
    """

    case: Case
    outcome: Outcome
    difference: str
    event_difference: str | None
    cause_difference: str

    @property
    def has_passed(self) -> bool:
        """Whether status, output and error are as recorded."""
        return not self.difference


def judge(case: Case, outcome: Outcome) -> Result:
    """Compare an outcome with the record of its case."""
    recorded = case.expected
    events: str | None = None
    if recorded.get("events"):
        events = event_difference(outcome.events, recorded["events"], unordered=case.unordered)
    cause = ""
    if recorded.get("cause") is not None and not outcome.problem:
        cause = cause_difference(outcome.cause, recorded["cause"], fuzzy=case.fuzzy)
    return Result(case, outcome, _difference(case, outcome), events, cause)


def _difference(case: Case, outcome: Outcome) -> str:
    if outcome.problem:
        return outcome.problem
    recorded = case.expected
    found = []
    if "status" in recorded:
        found.append(first_difference(outcome.status, recorded["status"], place="status"))
    if "output" in recorded:
        found.append(_output_difference(case, outcome))
    if "error" in recorded or case.suite != MOTO:
        error = recorded.get("error")
        found.append(first_difference(outcome.error, error, fuzzy=case.fuzzy, place="error"))
    return "; ".join(one for one in found if one)


def _output_difference(case: Case, outcome: Outcome) -> str:
    if outcome.output is None:
        return "output: none"
    recorded = case.expected["output"]
    return first_difference(outcome.output_value, recorded, fuzzy=case.fuzzy, place="output")
