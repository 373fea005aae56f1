"""AWS's recorded verdicts on definitions, and ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from devtools.asl_conformance.cases import Case
from workflows.engine.verdict.check import check_definition

_CODE = re.compile(r"An error occurred \((\w+)\)")
_FINDING = "ERROR"


class Recorded(StrEnum):
    """What AWS said."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    CALL = "concerns the call, not the definition"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Both verdicts on one definition; ``findings`` are ours."""

    case: Case
    recorded: Recorded
    code: str
    findings: tuple[str, ...]
    problem: str = ""

    @property
    def is_counted(self) -> bool:
        """Whether the record is a verdict on the definition at all."""
        return self.recorded is not Recorded.CALL

    @property
    def is_as_recorded(self) -> bool:
        """Whether ours is the same."""
        is_refused = self.recorded is Recorded.REFUSED
        return not self.problem and bool(self.findings) == is_refused

    @property
    def difference(self) -> str:
        """How they differ; "" when they do not."""
        if not self.is_counted or self.is_as_recorded:
            return ""
        ours = self.problem or "; ".join(self.findings) or "accepted"
        return f"verdict: {ours}, recorded: {self.recorded.value}"


def judge_definition(case: Case) -> Verdict:
    """Our verdict beside the recorded one; an execution's definition was accepted."""
    recorded, code = Recorded.ACCEPTED, ""
    if not case.is_execution:
        recorded, code = recorded_verdict(case.expected)
    kind = case.type if case.type in ("STANDARD", "EXPRESS") else "STANDARD"
    try:
        given = case.definition
        found = check_definition(given if isinstance(given, str | Mapping) else str(given), kind)
    except Exception as error:  # noqa: BLE001 - a fault of the check is a failed case
        return Verdict(case, recorded, code, (), f"{type(error).__name__}: {error}")
    findings = [f"{one.message} at {one.location}" for one in found if one.severity == _FINDING]
    return Verdict(case, recorded, code, tuple(findings))


def recorded_verdict(expected: Mapping[str, Any]) -> tuple[Recorded, str]:
    """What was recorded, and the error's code."""
    diagnostics = expected.get("diagnostics")
    if isinstance(diagnostics, Mapping):
        is_ok = diagnostics.get("result") == "OK"
        return (Recorded.ACCEPTED if is_ok else Recorded.REFUSED), ""
    error = expected.get("error")
    if error is None:
        return Recorded.ACCEPTED, ""
    code, text = _code_of(error), str(error)
    # A ValidationException names the member of the call that it is about.
    is_about = code in ("", "InvalidDefinition") or "at 'definition'" in text
    return (Recorded.REFUSED if is_about else Recorded.CALL), code


def _code_of(error: Any) -> str:
    if isinstance(error, Mapping):
        inner = error.get("Error", error)
        return str(inner.get("Code", "")) if isinstance(inner, Mapping) else ""
    found = _CODE.search(str(error))
    return found[1] if found else ""
