"""Claiming (领取): due messages for one worker, within budgets, caps and stops; the relay calls.

Workers may claim at once: MariaDB skips rows that another has locked, SQLite has one writer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import product
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, select, update

from gongdian.clock import china_date
from gongdian.db import AnyRow, Session, upsert
from gongdian.errors import ConflictError
from gongdian.outbox.costs import is_spent
from gongdian.outbox.model import (
    ClaimedMessage,
    MessageState,
    Priority,
    SendingPolicy,
    Stop,
    channel_stop,
    kind_stop,
)
from gongdian.outbox.policy import budget_limit, may_disturb, next_day_start, quiet_end
from gongdian.outbox.superseding import end_superseded
from gongdian.outbox.tables import contact_days, daily_budgets, messages


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Which worker wants how many messages."""

    worker: str
    wanted: int


def claim_messages(
    session: Session,
    request: ClaimRequest,
    policy: SendingPolicy,
    stops: dict[str, Stop],
    now: datetime,
) -> list[ClaimedMessage]:
    """Claim up to ``wanted`` messages, the most urgent class first, in it those in doubt."""
    if channel_stop(policy.channel, policy.account) in stops or request.wanted <= 0:
        return []
    chosen: list[AnyRow] = []
    for priority, in_doubt in product(Priority, (True, False)):
        room = request.wanted - len(chosen)
        if room <= 0:
            break
        if is_spent(session, policy, now, priority):
            continue
        due = session.execute(_due(priority, in_doubt, policy, stops, now).limit(room)).all()
        due = _without_superseded(session, due, now)
        due = _within_budget(session, due, priority, policy, now)
        due = _within_caps(session, due, priority, policy, now)
        _charge_budget(session, due, policy, now)
        chosen += due
    if not chosen:
        return []
    return _mark(session, chosen, request, policy, now)


def count_due(
    session: Session,
    policy: SendingPolicy,
    stops: dict[str, Stop],
    now: datetime,
    most: int,
) -> int:
    """How many messages a claim would find, up to ``most``, without locks or budgets."""
    if not _is_any_due(session, policy, now):
        return 0
    found = 0
    for priority, in_doubt in product(Priority, (True, False)):
        if found < most:
            query = _due(priority, in_doubt, policy, stops, now, messages.c.id).limit(most - found)
            found += len(session.execute(query).all())
    return found


def _is_any_due(session: Session, policy: SendingPolicy, now: datetime) -> bool:
    """One question instead of eight: an idle worker asks several times a second."""
    columns = messages.c
    query = select(columns.id).where(
        columns.state == MessageState.QUEUED.value,
        columns.account == policy.account,
        columns.channel == policy.channel,
        columns.priority.in_([priority.value for priority in Priority]),
        columns.not_before <= now,
    )
    return session.execute(query.limit(1)).first() is not None


def _due(
    priority: Priority,
    in_doubt: bool,
    policy: SendingPolicy,
    stops: dict[str, Stop],
    now: datetime,
    *wanted: Any,
) -> Any:
    columns = messages.c
    # Those in doubt go before the rest of their class: behind a long queue the time in which
    # the platform knows them again would run out, and nobody could settle them any more.
    doubt = columns.unknown_since > now - policy.unknown_window
    conditions: list[ColumnElement[bool]] = [
        columns.state == MessageState.QUEUED.value,
        columns.account == policy.account,
        columns.channel == policy.channel,
        columns.priority == priority.value,
        columns.not_before <= now,
        columns.expires_at > now,
        doubt if in_doubt else columns.unknown_since.is_(None),
    ]
    if quiet_end(now, policy.quiet_hours):
        if not may_disturb(policy.channel, priority, kind_passes_quiet=True):
            conditions.append(false())
        conditions.append(columns.passes_quiet.is_(True))
    ours = (kind_stop(policy.account, ""), kind_stop(policy.account, "", policy.channel))
    stopped = [name.rpartition(":")[2] for name in stops if name.startswith(ours)]
    if stopped:
        conditions.append(columns.kind.not_in(stopped))
    query = select(*wanted) if wanted else select(messages).with_for_update(skip_locked=True)
    return query.where(and_(*conditions)).order_by(columns.not_before, columns.id)


def _without_superseded(session: Session, due: Sequence[AnyRow], now: datetime) -> list[AnyRow]:
    """End what has a newer message of its topic: two queued at the same time did not see each
    other."""
    topics = {row.topic for row in due if row.topic}
    if not topics:
        return list(due)
    columns = messages.c
    newest = (
        select(columns.topic, func.max(columns.id))
        .where(columns.topic.in_(topics))
        .group_by(columns.topic)
    )
    last = {row[0]: row[1] for row in session.execute(newest)}
    return [
        row
        for row in due
        if not row.topic or row.id == last[row.topic] or not end_superseded(session, row, now)
    ]


def _within_caps(
    session: Session,
    due: Sequence[AnyRow],
    priority: Priority,
    policy: SendingPolicy,
    now: datetime,
) -> list[AnyRow]:
    """Defer what is over a contact's daily cap; legal notices and critical news are exempt."""
    today = china_date(now)
    capped = [row for row in due if not row.is_legal and row.cap_on != today]
    if priority is Priority.CRITICAL or not capped:
        return list(due)
    used = _lock_contact_days(session, sorted({bytes(row.person_hash) for row in capped}), today)
    over, taken = set(), Counter[bytes]()
    for row in capped:
        person = bytes(row.person_hash)
        if used[person] + taken[person] >= policy.contact_daily_cap:
            over.add(row.id)
        else:
            taken[person] += 1
    if taken:
        _add_to_contact_days(session, taken, today)
    if over:
        session.execute(
            update(messages)
            .where(messages.c.id.in_(over))
            .values(not_before=next_day_start(now, policy), reason="contact_daily_cap")
        )
    return [row for row in due if row.id not in over]


def _lock_contact_days(session: Session, people: list[bytes], today: date) -> dict[bytes, int]:
    """Today's counters of these contacts, locked until the transaction ends."""
    columns = contact_days.c
    touch = upsert(session, contact_days, ("person_hash", "on"), {"used": columns.used})
    rows = [{"person_hash": person, "on": today, "used": 0} for person in people]
    session.execute(touch, rows)
    query = select(columns.person_hash, columns.used).where(
        columns.on == today, columns.person_hash.in_(people)
    )
    return {bytes(row.person_hash): row.used for row in session.execute(query)}


def _add_to_contact_days(session: Session, taken: Counter[bytes], today: date) -> None:
    columns = contact_days.c
    by_count: dict[int, list[bytes]] = {}
    for person, count in taken.items():
        by_count.setdefault(count, []).append(person)
    for count, people in by_count.items():
        statement = update(contact_days).where(columns.on == today, columns.person_hash.in_(people))
        session.execute(statement.values(used=columns.used + count))


def _within_budget(
    session: Session,
    due: Sequence[AnyRow],
    priority: Priority,
    policy: SendingPolicy,
    now: datetime,
) -> list[AnyRow]:
    """Cut the list where the class's part of the day's quota ends; nothing is charged yet."""
    today = china_date(now)
    uncounted = [row for row in due if row.budget_on != today]
    if not uncounted:
        return list(due)
    columns = daily_budgets.c
    touch = upsert(session, daily_budgets, ("account", "on"), {"used": columns.used})
    session.execute(touch, {"account": policy.budget_name, "on": today, "used": 0})
    ours = and_(columns.account == policy.budget_name, columns.on == today)
    used = session.execute(select(columns.used).where(ours)).scalar_one()
    room = max(0, budget_limit(priority, policy.daily_quota) - used)
    cut = {row.id for row in uncounted[room:]}
    return [row for row in due if row.id not in cut]


def _charge_budget(
    session: Session, taken: Sequence[AnyRow], policy: SendingPolicy, now: datetime
) -> None:
    """Count what is claimed, once a day for each message; the row is locked since the cut."""
    today = china_date(now)
    counted = sum(row.budget_on != today for row in taken)
    if counted:
        columns = daily_budgets.c
        ours = and_(columns.account == policy.budget_name, columns.on == today)
        session.execute(update(daily_budgets).where(ours).values(used=columns.used + counted))


def _mark(
    session: Session,
    chosen: list[AnyRow],
    request: ClaimRequest,
    policy: SendingPolicy,
    now: datetime,
) -> list[ClaimedMessage]:
    lease_until = now + policy.lease
    changed = session.execute(
        update(messages)
        .where(
            messages.c.id.in_([row.id for row in chosen]),
            messages.c.state == MessageState.QUEUED.value,
        )
        .values(
            state=MessageState.SENDING.value,
            fence=messages.c.fence + 1,
            claimed_by=request.worker,
            claimed_at=now,
            lease_until=lease_until,
            budget_on=china_date(now),
            cap_on=china_date(now),
        )
    )
    if changed.rowcount != len(chosen):
        raise ConflictError("claimed_by_another", wanted=len(chosen), got=changed.rowcount)
    return [
        ClaimedMessage(
            id=row.id,
            key=row.key,
            kind=row.kind,
            channel=row.channel,
            address=row.address,
            address_hash=bytes(row.address_hash),
            content=row.content,
            client_msg_id=row.client_msg_id,
            fence=row.fence + 1,
            worker=request.worker,
            claimed_at=now,
            lease_until=lease_until,
            expires_at=row.expires_at,
            attempts=row.attempts,
            unknown_since=row.unknown_since,
            last_reason=row.reason,
        )
        for row in chosen
    ]
