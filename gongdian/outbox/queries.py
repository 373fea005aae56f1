"""Reading the outbox (查询): timelines, links, counts; for pages, the command line and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select

from gongdian.db import AnyRow, Session
from gongdian.errors import NotFoundError
from gongdian.ids import token_digest
from gongdian.outbox.model import MessageState, Priority, SendingPolicy
from gongdian.outbox.policy import may_disturb, quiet_end, quiet_ended
from gongdian.outbox.tables import intents, message_attempts, message_events, messages


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of a message's timeline; ``cost_fen`` is what the channel charged."""

    at: datetime
    what: str
    detail: str = ""
    errcode: int | None = None
    rid: str = ""
    channel: str = ""
    cost_fen: int = 0


@dataclass(frozen=True, slots=True)
class Timeline:
    """A message and everything that happened to it, oldest first."""

    key: str
    kind: str
    account: str
    state: MessageState
    reason: str
    platform_msgid: str
    content: Mapping[str, Any]
    entries: tuple[TimelineEntry, ...]


@dataclass(frozen=True, slots=True)
class LinkedMessage:
    """The message whose card opened a page; ``channel`` and ``step`` say where it is now."""

    id: int
    key: str
    kind: str
    flow: str
    subject: str
    recipient: str
    person_hash: bytes
    queued_at: datetime
    expires_at: datetime
    channel: str
    step: int
    answer: str
    answered_at: datetime | None


def message_timeline(session: Session, key: str) -> Timeline:
    """The whole timeline; NotFoundError when no message has the key."""
    row = session.execute(select(messages).where(messages.c.key == key)).first()
    if row is None:
        raise NotFoundError("no_message", "no message has this key", key=key)
    entries = _own_entries(row)
    for one in session.execute(
        select(message_attempts).where(message_attempts.c.message_id == row.id)
    ):
        worker = f"worker {one.worker}"
        entries.append(
            TimelineEntry(one.started_at, "attempt_started", worker, channel=one.channel)
        )
        detail = " ".join(part for part in (one.detail, _msgid(one.platform_msgid)) if part)
        entries.append(
            TimelineEntry(
                one.ended_at,
                f"attempt_{one.outcome}",
                detail,
                one.errcode,
                one.rid,
                one.channel,
                one.cost_fen,
            )
        )
    for one in session.execute(select(message_events).where(message_events.c.message_id == row.id)):
        entries.append(TimelineEntry(one.at, one.what, one.detail))
    entries.sort(key=lambda entry: entry.at)
    return Timeline(
        key=row.key,
        kind=row.kind,
        account=row.account,
        state=MessageState(row.state),
        reason=row.reason,
        platform_msgid=row.platform_msgid,
        content=row.content,
        entries=tuple(entries),
    )


def _msgid(msgid: str) -> str:
    return f"MsgID {msgid}" if msgid else ""


def _own_entries(row: AnyRow) -> list[TimelineEntry]:
    waits = row.state in (MessageState.QUEUED.value, MessageState.HELD.value)
    due = f"not before {row.not_before.isoformat()}" if waits else ""
    found = [TimelineEntry(row.queued_at, "queued", due)]
    if row.receipt_at is not None:
        found.append(TimelineEntry(row.receipt_at, "receipt", row.receipt_status))
    if row.state == MessageState.SENDING.value:
        found.append(TimelineEntry(row.claimed_at, "claimed", f"worker {row.claimed_by}"))
    if row.closed_at is not None and row.receipt_at is None:
        found.append(TimelineEntry(row.closed_at, row.state, row.reason))
    return found


def message_of_link(session: Session, token: str) -> LinkedMessage:
    """The message whose card carries this link token; NotFoundError when there is none."""
    return _linked(session, messages.c.link_hash == token_digest(token))


def linked_message(session: Session, message_id: int) -> LinkedMessage:
    """The same for a message that is known by its id."""
    return _linked(session, messages.c.id == message_id)


def _linked(session: Session, condition: ColumnElement[bool]) -> LinkedMessage:
    columns = [messages.c[one.name] for one in fields(LinkedMessage)]
    row = session.execute(select(*columns).where(condition)).first()
    if row is None:
        raise NotFoundError("no_such_link", "no message carries this link")
    return LinkedMessage(**{**row._asdict(), "person_hash": bytes(row.person_hash)})


def link_target(session: Session, token: str) -> str:
    """The address that a link token stands for; NotFoundError when there is none."""
    found = session.execute(
        select(messages.c.content).where(messages.c.link_hash == token_digest(token))
    ).scalar()
    if not found or not found.get("url"):
        raise NotFoundError("no_such_link", "no message carries this link")
    return str(found["url"])


def next_occasion(session: Session, flow: str, subject: str, recipient: str, stem: str) -> str:
    """The next counted occasion of a message (``request#3`` after ``request#2``)."""
    columns = messages.c
    query = select(func.count()).where(
        columns.flow == flow,
        columns.subject == subject,
        columns.recipient == recipient,
        columns.occasion.startswith(f"{stem}#"),
    )
    return f"{stem}#{session.execute(query).scalar_one() + 1}"


def count_by_state(session: Session) -> dict[str, int]:
    """How many messages stand in each state."""
    query = select(messages.c.state, func.count()).group_by(messages.c.state)
    return {row[0]: row[1] for row in session.execute(query)}


def oldest_due(session: Session, policy: SendingPolicy, now: datetime) -> float:
    """How many seconds the longest-waiting due message has waited; 0 when none is due.

    What quiet hours held back waits from their end on.
    """
    columns = messages.c
    query = (
        select(
            columns.channel, columns.priority, columns.passes_quiet, func.min(columns.not_before)
        )
        .where(columns.state == MessageState.QUEUED.value, columns.not_before <= now)
        .group_by(columns.channel, columns.priority, columns.passes_quiet)
    )
    waited = [0.0]
    for channel, priority, passes_quiet, since in session.execute(query):
        if may_disturb(channel, Priority(priority), passes_quiet):
            waited.append((now - since).total_seconds())
        elif quiet_end(now, policy.quiet_hours) is None:
            since = max(since, quiet_ended(now, policy.quiet_hours) or since)
            waited.append((now - since).total_seconds())
    return max(waited)


def count_intents(session: Session) -> dict[str, int]:
    """How many intents stand in each state."""
    query = select(intents.c.state, func.count()).group_by(intents.c.state)
    return {row[0]: row[1] for row in session.execute(query)}
