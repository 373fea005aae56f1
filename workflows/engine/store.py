"""Claiming and loading executions (领取): the engine's side of the database, half of it.

Ownership is a lease with a fencing number: a claim takes ``epoch + 1``, a save is refused when
the row has another one. Whoever wants something of an execution (an answer, a stop) locks the
execution's row first, then its tasks: one order, so that no two wait for each other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from gongdian.db import AnyRow, Session
from workflows.engine import statements
from workflows.engine.documents import Document, read_json
from workflows.engine.home import Home
from workflows.engine.language.errors import RUNTIME
from workflows.engine.orders import Answer, AnswerKind, Facts, TimerFired, TimerKind
from workflows.engine.run import Run, Surroundings
from workflows.engine.states import Machine


@dataclass(frozen=True, slots=True)
class Claim:
    """An execution that this worker may advance until its lease ends."""

    row: AnyRow
    epoch: int
    signals: tuple[Answer | TimerFired, ...]
    answer_ids: tuple[int, ...]


def is_any_due(session: Session, now_ms: int) -> bool:
    """Whether an execution waits for a worker."""
    return session.execute(statements.ANY_DUE, {"b_now": now_ms}).first() is not None


def next_wake(session: Session) -> int | None:
    """When the next execution falls due, milliseconds."""
    found: int | None = session.execute(statements.NEXT_WAKE).scalar()
    return found


def claim(session: Session, owner: str, now_ms: int, lease_ms: int, most: int) -> list[Claim]:
    """Claim executions that are due, with what they are to be told."""
    rows = session.execute(statements.CLAIMABLE, {"b_now": now_ms, "b_most": most}).all()
    if not rows:
        return []
    taken = {"b_ids": [row.id for row in rows], "n_owner": owner, "n_until": now_ms + lease_ms}
    session.execute(statements.TAKE, taken)
    # What is new has no timer, and what was never woken has no answer (signals.py).
    answers = _answers(session, [row.id for row in rows if row.signals])
    fired = _fired(session, [row.id for row in rows if row.snapshot is not None], now_ms)
    return [
        Claim(
            row,
            row.epoch + 1,
            (*(one for _, one in answers.get(row.id, ())), *fired.get(row.id, ())),
            tuple(number for number, _ in answers.get(row.id, ())),
        )
        for row in rows
    ]


def _answers(session: Session, ids: list[int]) -> dict[int, list[tuple[int, Answer]]]:
    found: dict[int, list[tuple[int, Answer]]] = {}
    rows = session.execute(statements.ANSWERS, {"b_ids": ids}).all() if ids else ()
    for row in rows:
        answer = _answer(row)
        found.setdefault(row.execution_id, []).append((row.id, answer))
    return found


def _answer(row: AnyRow) -> Answer:
    """A stored answer; one that cannot be read fails its own task and nobody else's."""
    place = row.scope, row.serial
    try:
        output = None if row.output is None else Document(read_json(row.output), row.output)
    except (ValueError, RecursionError):
        return Answer(*place, AnswerKind.FAILED, None, RUNTIME, "The answer cannot be read.")
    return Answer(*place, AnswerKind(row.kind), output, row.error, row.cause, row.worker)


def _fired(session: Session, ids: list[int], now_ms: int) -> dict[int, list[TimerFired]]:
    found: dict[int, list[TimerFired]] = {}
    values = {"b_ids": ids, "b_now": now_ms}
    rows = session.execute(statements.FIRED, values).all() if ids else ()
    for row in rows:
        fired = TimerFired(row.scope, TimerKind(row.kind), row.serial)
        found.setdefault(row.execution_id, []).append(fired)
    return found


def release(session: Session, owner: str) -> None:
    """A worker that stops gives its executions to the others."""
    session.execute(statements.RELEASE, {"b_owner": owner})


def load(claimed: Claim, machine: Machine, home: Home, around: Surroundings) -> Run:
    """The run of a claimed execution, where it stands; a new one has made its first event."""
    row = claimed.row
    facts = facts_of(row, home)
    run = Run(machine, facts, row.last_event, around)
    if row.snapshot is None:
        run.start()
    else:
        run.restore(json.loads(row.snapshot))
    return run


def facts_of(row: AnyRow, home: Home) -> Facts:
    """What is fixed for an execution, from its row."""
    return Facts(
        row.id,
        home.execution_arn(row.machine, row.name),
        row.name,
        home.machine_arn(row.machine),
        row.machine,
        home.role_arn,
        Document(read_json(row.input), row.input),
        in_ms(row.started_at),
        row.redrives,
    )


def in_ms(at: datetime) -> int:
    """An instant in milliseconds since 1970."""
    return round(at.timestamp() * 1000)


def from_ms(at: int) -> datetime:
    """The inverse of ``in_ms``."""
    return datetime.fromtimestamp(at / 1000, UTC)
