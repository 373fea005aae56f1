"""What a workflow run left behind (证据): functions' calls, answers, histories, rows left over."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import func, or_, select

from devtools.chaos.workflow_files import EVIDENCE, Tail
from devtools.chaos.workflow_machines import Outcome
from devtools.chaos.workflow_site import WorkflowSite
from gongdian.db import AnyRow, Session
from gongdian.workflow_tables import (
    workflow_answers,
    workflow_executions,
    workflow_history,
    workflow_tasks,
    workflow_timers,
)

_SWITCH_S = 0.5  # until every process has seen that its clock was shifted


class Step(NamedTuple):
    """One entry into a task's state; ``item`` and ``round`` are -1 outside of a Map or a loop."""

    execution: str
    state: str
    item: int = -1
    round: int = -1


@dataclass(slots=True)
class Call:
    """One call of a function; ``outcome`` is "" when it did not come to its end."""

    step: Step
    attempt: int
    key: str
    pid: int
    began: float
    ended: float | None = None
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class ClaimSeen:
    """A worker has claimed a task of this key, not before ``at``."""

    key: str
    pid: int
    at: float


@dataclass(frozen=True, slots=True)
class Sent:
    """A try to answer a token: ``kind`` success, failure or heartbeat; ``result`` ok or a code."""

    token: str
    kind: str
    result: str


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a history; ``at`` in seconds of the machine's clock, however it was shifted.

    ``payload`` is what a TaskScheduled gave to the function; ``error`` that of a failure.
    """

    id: int
    previous: int
    kind: str
    at: float
    payload: dict[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """An execution as the database has it; ``is_free``: nobody owns it, nothing wakes it."""

    name: str
    status: str
    output: Any
    error: str | None
    last_event: int
    events: tuple[Event, ...]
    is_free: bool = True


@dataclass(slots=True)
class Aftermath:
    """Everything that the checks compare."""

    due: dict[str, Outcome] = field(default_factory=dict)
    executions: list[Ended] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    claims: list[ClaimSeen] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    left_over: dict[str, int] = field(default_factory=dict)


def gather(site: WorkflowSite) -> Aftermath:
    """Read the evidence, then the database."""
    found = Aftermath(site.due)
    read_lines(Tail(site.folder / EVIDENCE).read(), found)
    with site.database.read() as session:
        found.executions = _executions(session, site.offsets)
        found.left_over = _left_over(session)
    return found


def read_lines(lines: Iterable[dict[str, Any]], found: Aftermath) -> None:
    """Sort out the lines that functions, workers and the person wrote."""
    calls: dict[str, Call] = {}
    for line in lines:
        what = line["what"]
        if what == "begin":
            step = Step(line["execution"], line["state"], line["item"], line["round"])
            calls[line["call"]] = Call(step, line["attempt"], line["key"], line["pid"], line["at"])
        elif what == "end":
            call = calls[line["call"]]
            call.ended, call.outcome = line["at"], line["outcome"]
        elif what == "claim":
            found.claims.append(ClaimSeen(line["key"], line["pid"], line["at"]))
        else:
            found.sent.append(Sent(line["token"], line["kind"], line["result"]))
    found.calls = list(calls.values())


def real_instant(shifted: float, offsets: list[tuple[float, float]]) -> float:
    """The machine's instant at which the shifted clock showed this one.

    Each shift is by far more than the run lasts, so only one of them fits.
    """
    ends = [since for since, _ in offsets[1:]] + [float("inf")]
    for (since, offset), end in zip(offsets, ends, strict=True):
        at = shifted - offset
        if since - _SWITCH_S <= at <= end + _SWITCH_S:
            return at
    return shifted - offsets[-1][1]


def _executions(session: Session, offsets: list[tuple[float, float]]) -> list[Ended]:
    of = workflow_history.c
    chunks: dict[int, list[AnyRow]] = {}
    for chunk in session.execute(select(workflow_history).order_by(of.first_event)):
        chunks.setdefault(chunk.execution_id, []).append(chunk)
    return [
        Ended(
            row.name,
            row.status,
            None if row.output is None else json.loads(row.output),
            row.error,
            row.last_event,
            tuple(_events(chunks.get(row.id, []), offsets)),
            row.owner is None and row.leased_until_ms is None and row.wake_at_ms is None,
        )
        for row in session.execute(select(workflow_executions))
    ]


def _events(chunks: list[AnyRow], offsets: list[tuple[float, float]]) -> Iterable[Event]:
    for chunk in chunks:
        for number, stored in enumerate(json.loads(chunk.events), chunk.first_event):
            kind, at, previous, fields = stored
            payload = fields["parameters"].get("Payload") if kind == "TaskScheduled" else None
            instant = real_instant(at / 1000, offsets)
            yield Event(number, previous, kind, instant, payload, fields.get("error"))


def _left_over(session: Session) -> dict[str, int]:
    """Rows that no execution needs any more when all have ended."""
    tasks = workflow_tasks.c
    is_open = or_(
        tasks.state != "closed",
        tasks.owner.is_not(None),
        tasks.lease_until_ms.is_not(None),
        tasks.payload.is_not(None),
    )
    queries = {
        "timers": select(func.count()).select_from(workflow_timers),
        "open tasks": select(func.count()).select_from(workflow_tasks).where(is_open),
        "answers": select(func.count()).select_from(workflow_answers),
    }
    return {name: session.execute(query).scalar_one() for name, query in queries.items()}


def count_log(folder: Path) -> dict[str, int]:
    """How often workers were fenced off, and turns failed, as their logs tell."""
    counts = {"executions_fenced": 0, "answer_dropped": 0, "turn_failed": 0}
    for path in folder.glob("worker-*.log"):
        for text in path.read_text("utf-8", "replace").splitlines():
            # A line may be cut where its worker was killed.
            if text.startswith("{") and text.endswith("}"):
                line = json.loads(text)
                if line.get("event") in counts:
                    counts[line["event"]] += line.get("count", 1)
    return counts
