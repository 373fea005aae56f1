"""Claiming and loading executions (领取): the engine's side of the database, half of it.

Ownership is a lease with a fencing number: a claim takes ``epoch + 1``, a save is refused when
the row has another one. Whoever wants something of an execution (an answer, a stop) locks the
execution's row first, then its tasks: one order, so that no two wait for each other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gongdian.columns import opened
from gongdian.db import AnyRow, Session
from gongdian.errors import InputError
from gongdian.workflow_tables import workflow_answers, workflow_executions
from workflows.engine import statements
from workflows.engine.documents import EMPTY, Document, read_json
from workflows.engine.home import Home
from workflows.engine.language.errors import RUNTIME
from workflows.engine.orders import Answer, AnswerKind, Facts, TimerFired, TimerKind
from workflows.engine.run import Run, Surroundings
from workflows.engine.signals import absurd_lease
from workflows.engine.states import Chart, Machine

_of = workflow_executions.c
_sealed = workflow_answers.c


@dataclass(frozen=True, slots=True)
class Claim:
    """An execution that this worker may advance until its lease ends."""

    row: AnyRow
    epoch: int
    signals: tuple[Answer | TimerFired, ...]
    answer_ids: tuple[int, ...]


def is_any_due(session: Session, now_ms: int, lease_ms: int) -> bool:
    """Whether an execution waits for a worker."""
    due = {"b_now": now_ms, "b_absurd": absurd_lease(session, now_ms, lease_ms)}
    return session.execute(statements.ANY_DUE, due).first() is not None


def next_wake(session: Session) -> int | None:
    """When the next execution falls due, milliseconds."""
    found: int | None = session.execute(statements.NEXT_WAKE).scalar()
    return found


def claim(session: Session, owner: str, now_ms: int, lease_ms: int, most: int) -> list[Claim]:
    """Claim executions that are due, with what they are to be told."""
    absurd = absurd_lease(session, now_ms, lease_ms)
    due = {"b_now": now_ms, "b_absurd": absurd, "b_most": most}
    rows = session.execute(statements.CLAIMABLE, due).all()
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
        text, cause = opened(_sealed.output, row.output), opened(_sealed.cause, row.cause)
        output = None if text is None else Document(read_json(text), text)
    except (InputError, ValueError, RecursionError):
        return Answer(*place, AnswerKind.FAILED, None, RUNTIME, "The answer cannot be read.")
    return Answer(*place, AnswerKind(row.kind), output, row.error, cause, row.worker)


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


def give_back(session: Session, claims: Sequence[Claim]) -> None:
    """Executions that this worker claimed and did not get round to."""
    values = [{"b_id": one.row.id, "b_epoch": one.epoch} for one in claims]
    if values:
        session.execute(statements.GIVE_BACK, values)


def load(claimed: Claim, machine: Machine, home: Home, around: Surroundings) -> Run:
    """The run of a claimed execution, where it stands; a new one has made its first event.

    InputError, ValueError and the like when its row cannot be read.
    """
    row = claimed.row
    run = Run(machine, facts_of(row, home), row.last_event, around)
    snapshot = opened(_of.snapshot, row.snapshot)
    if snapshot is None:
        run.start()
    else:
        run.restore(json.loads(snapshot))
    return run


def load_unread(claimed: Claim, home: Home, around: Surroundings) -> Run:
    """A run without position or input, of an execution that cannot be read: it can only end."""
    empty = Machine((Chart("", {}),))
    return Run(empty, facts_of(claimed.row, home, EMPTY), claimed.row.last_event, around)


def facts_of(row: AnyRow, home: Home, input: Document | None = None) -> Facts:
    """What is fixed for an execution, from its row as it is claimed."""
    if input is None:
        text = opened(_of.input, row.input)
        input = Document(read_json(text), text)
    return Facts(
        row.id,
        home.execution_arn(row.machine, row.name),
        row.name,
        home.machine_arn(row.machine),
        row.machine,
        home.role_arn,
        input,
        in_ms(row.started_at),
        row.redrives,
    )


def in_ms(at: datetime) -> int:
    """An instant in milliseconds since 1970."""
    return round(at.timestamp() * 1000)


def from_ms(at: int) -> datetime:
    """The inverse of ``in_ms``."""
    return datetime.fromtimestamp(at / 1000, UTC)
