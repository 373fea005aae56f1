"""Settling (结算): writes how attempts ended, many in one transaction; relay and sweep call it.

A worker that lost its lease may still report: its attempt is kept, and an acceptance counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, case, insert, select, update

from gongdian.db import Session
from gongdian.outbox.costs import add_cost, is_spent, spent_alarm
from gongdian.outbox.model import (
    FINAL_STATES,
    Attempt,
    ClaimedMessage,
    MessageState,
    Outcome,
    OutcomeKind,
    RecipientRefused,
    SendingPolicy,
    SettleReport,
    Verdict,
)
from gongdian.outbox.policy import decide
from gongdian.outbox.receipts import match_pending
from gongdian.outbox.tables import message_attempts, message_steps, messages


def settle_attempts(
    session: Session, attempts: Sequence[Attempt], policy: SendingPolicy, now: datetime
) -> SettleReport:
    """Write the ends of attempts; switches, alarms and refused recipients are reported back."""
    report = SettleReport()
    session.execute(insert(message_attempts), [_attempt_row(one) for one in attempts])
    verdicts = [decide(one.message, one.outcome, now, policy) for one in attempts]
    accepted = [one for one in attempts if one.outcome.kind is OutcomeKind.ACCEPTED]
    others = [
        _change(one, verdict, now)
        for one, verdict in zip(attempts, verdicts, strict=True)
        if verdict.state is not MessageState.ACCEPTED
    ]
    changed = _accept(session, accepted, now)
    if others:
        changed += session.execute(_settle_statement(), others).rowcount
    if changed != len(attempts):
        _settle_late(session, attempts, report, now)
    _end_withdrawn(session, attempts, verdicts, now)
    _hold_back(session, attempts, verdicts, now)
    _recall_acceptance(session, attempts)
    for one, verdict in zip(attempts, verdicts, strict=True):
        _report(report, one, verdict, policy)
    add_cost(session, policy, sum(one.outcome.cost_fen for one in accepted), now)
    if accepted and is_spent(session, policy, now):
        report.alarms.append(spent_alarm(policy.channel))
    match_pending(session, policy, [one.outcome.platform_msgid for one in accepted], now)
    return report


def not_yet_written(session: Session, attempts: Sequence[Attempt]) -> list[Attempt]:
    """Those that no row tells of; after a commit whose answer was lost, others are written."""
    columns = message_attempts.c
    query = select(columns.message_id, columns.worker, columns.started_at).where(
        columns.message_id.in_([one.message.id for one in attempts])
    )
    written = {tuple(row) for row in session.execute(query)}
    return [
        one
        for one in attempts
        if (one.message.id, one.message.worker, one.started_at) not in written
    ]


def _attempt_row(one: Attempt) -> dict[str, Any]:
    return {
        "message_id": one.message.id,
        "channel": one.message.channel,
        "worker": one.message.worker,
        "started_at": one.started_at,
        "ended_at": one.ended_at,
        "outcome": one.outcome.kind.value,
        "errcode": one.outcome.errcode,
        "detail": one.outcome.detail[:200],
        "rid": one.outcome.rid[:64],
        "platform_msgid": one.outcome.platform_msgid[:32],
        "cost_fen": one.outcome.cost_fen,
    }


def _accept(session: Session, accepted: Sequence[Attempt], now: datetime) -> int:
    """Nearly all attempts end so: one statement for those of equal fence, not one for each."""
    columns = messages.c
    by_fence: dict[int, dict[int, str]] = {}
    for one in accepted:
        msgid = one.outcome.platform_msgid[:32]
        by_fence.setdefault(one.message.fence, {})[one.message.id] = msgid
    changed = 0
    for fence, msgids in by_fence.items():
        changed += session.execute(
            update(messages)
            .where(
                columns.id.in_(list(msgids)),
                columns.fence == fence,
                columns.state == MessageState.SENDING.value,
            )
            .values(
                state=MessageState.ACCEPTED.value,
                reason="",
                platform_msgid=case(msgids, value=columns.id),
                accepted_at=now,
                attempts=columns.attempts + 1,
                claimed_by=None,
                lease_until=None,
            )
        ).rowcount
    return changed


def _change(one: Attempt, verdict: Verdict, now: datetime) -> dict[str, Any]:
    return {
        "b_id": one.message.id,
        "b_fence": one.message.fence,
        "state": verdict.state.value,
        "reason": verdict.reason,
        "not_before": verdict.not_before or one.message.claimed_at,
        "attempts": one.message.attempts + (1 if verdict.counts else 0),
        "unknown_since": verdict.unknown_since,
        "closed_at": now if verdict.state in FINAL_STATES else None,
    }


def _settle_statement() -> Any:
    columns = messages.c
    return (
        update(messages)
        .where(
            columns.id == bindparam("b_id"),
            columns.fence == bindparam("b_fence"),
            columns.state == MessageState.SENDING.value,
        )
        .values(
            claimed_by=None,
            lease_until=None,
            **{
                name: bindparam(name)
                for name in (
                    "state",
                    "reason",
                    "not_before",
                    "attempts",
                    "unknown_since",
                    "closed_at",
                )
            },
        )
    )


def _settle_late(
    session: Session, attempts: Sequence[Attempt], report: SettleReport, now: datetime
) -> None:
    """Leases that were lost: an acceptance still counts unless another attempt is under way."""
    ids = [one.message.id for one in attempts]
    query = select(messages.c.id, messages.c.fence).where(messages.c.id.in_(ids))
    fences = {row.id: row.fence for row in session.execute(query)}
    for one in attempts:
        if fences.get(one.message.id) == one.message.fence:
            continue
        report.late += 1
        if one.outcome.kind is OutcomeKind.ACCEPTED:
            doubtful = (MessageState.QUEUED, MessageState.HELD, MessageState.UNKNOWN)
            _accept_late(session, one.message, doubtful, one.outcome.platform_msgid, one.ended_at)


def _accept_late(
    session: Session,
    message: ClaimedMessage,
    states: Sequence[MessageState],
    msgid: str,
    at: datetime,
) -> None:
    """It counts; for a message that has gone on to another channel only its report will."""
    changed = session.execute(
        update(messages)
        .where(
            messages.c.id == message.id,
            messages.c.channel == message.channel,
            messages.c.state.in_([state.value for state in states]),
            messages.c.receipt_at.is_(None),
        )
        .values(
            state=MessageState.ACCEPTED.value,
            reason="",
            platform_msgid=msgid[:32],
            accepted_at=at,
            closed_at=None,
            fence=messages.c.fence + 1,
        )
    )
    if changed.rowcount == 0:
        steps = message_steps.c
        session.execute(
            update(message_steps)
            .where(
                steps.message_id == message.id,
                steps.channel == message.channel,
                steps.platform_msgid == "",
            )
            .values(platform_msgid=msgid[:32])
        )


def _recall_acceptance(session: Session, attempts: Sequence[Attempt]) -> None:
    """A try that failed while an earlier one, reported late meanwhile, had been accepted."""
    asked = {
        (one.message.id, one.message.channel): one.message
        for one in attempts
        if one.message.unknown_since and one.outcome.kind is not OutcomeKind.ACCEPTED
    }
    if not asked:
        return
    columns = message_attempts.c
    query = select(message_attempts).where(
        columns.message_id.in_([number for number, _ in asked]),
        columns.outcome == OutcomeKind.ACCEPTED.value,
    )
    for row in session.execute(query).all():
        message = asked.get((row.message_id, row.channel))
        if message is not None:
            states = (MessageState.QUEUED, MessageState.UNKNOWN, MessageState.FAILED)
            _accept_late(session, message, states, row.platform_msgid, row.ended_at)


def _end_withdrawn(
    session: Session, attempts: Sequence[Attempt], verdicts: Sequence[Verdict], now: datetime
) -> None:
    """A message whose withdrawal was asked for while it was being sent is not tried again."""
    again = _coming_back(attempts, verdicts)
    if not again:
        return
    columns = messages.c
    ours = update(messages).where(
        columns.id.in_(again),
        columns.withdraw_requested.is_(True),
        columns.state == MessageState.QUEUED.value,
    )
    for state, doubt in (
        (MessageState.UNKNOWN, columns.unknown_since.is_not(None)),
        (MessageState.SUPERSEDED, columns.is_superseded.is_(True)),
        (MessageState.WITHDRAWN, columns.is_superseded.is_(False)),
    ):
        session.execute(ours.where(doubt).values(state=state.value, closed_at=now))


def _coming_back(attempts: Sequence[Attempt], verdicts: Sequence[Verdict]) -> list[int]:
    return [
        one.message.id
        for one, verdict in zip(attempts, verdicts, strict=True)
        if verdict.state is MessageState.QUEUED
    ]


def _hold_back(
    session: Session, attempts: Sequence[Attempt], verdicts: Sequence[Verdict], now: datetime
) -> None:
    """A message that was held while it was being sent is not tried again until released."""
    again = _coming_back(attempts, verdicts)
    columns = messages.c
    if again:
        session.execute(
            update(messages)
            .where(
                columns.id.in_(again),
                columns.held_until > now,
                columns.state == MessageState.QUEUED.value,
            )
            .values(state=MessageState.HELD.value)
        )


def _report(report: SettleReport, one: Attempt, verdict: Verdict, policy: SendingPolicy) -> None:
    report.states[verdict.state] = report.states.get(verdict.state, 0) + 1
    if verdict.stop is not None and verdict.stop not in report.stops:
        report.stops.append(verdict.stop)
    if verdict.alarm and verdict.alarm not in report.alarms:
        report.alarms.append(verdict.alarm)
    if verdict.is_recipient_refused:
        report.refused.append(
            RecipientRefused(policy.account, one.message.address_hash, verdict.reason)
        )


def lost_outcome() -> Outcome:
    """The end of an attempt whose worker is gone: nobody knows."""
    return Outcome(OutcomeKind.UNKNOWN, detail="the worker's lease ran out")
