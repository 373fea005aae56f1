"""What a channel has used of its day (渠道当日用量): messages and fen, against its limits.

Costs are counted as attempts settle; claims and the fallback ask.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, select

from gongdian.clock import china_date
from gongdian.db import Session, upsert
from gongdian.outbox.model import Priority, SendingPolicy
from gongdian.outbox.policy import budget_limit
from gongdian.outbox.tables import daily_budgets


def _name(policy: SendingPolicy) -> str:
    return f"cost:{policy.budget_name}"


def add_cost(session: Session, policy: SendingPolicy, fen: int, now: datetime) -> None:
    """Count what accepted attempts cost, in fen, on the China day of ``now``."""
    if fen:
        used = daily_budgets.c.used + fen
        statement = upsert(session, daily_budgets, ("account", "on"), {"used": used})
        day = {"account": _name(policy), "on": china_date(now), "used": fen}
        session.execute(statement, day)


def spent_fen(session: Session, policy: SendingPolicy, now: datetime) -> int:
    """What the channel has cost today, in fen."""
    columns = daily_budgets.c
    ours = and_(columns.account == _name(policy), columns.on == china_date(now))
    return session.execute(select(columns.used).where(ours)).scalar() or 0


def is_spent(
    session: Session, policy: SendingPolicy, now: datetime, priority: Priority = Priority.CRITICAL
) -> bool:
    """Whether a class has used its part of the day's budget; what is in flight may go a little
    over."""
    limit = policy.daily_cost_fen
    if limit is None:
        return False
    return spent_fen(session, policy, now) >= budget_limit(priority, limit)


def spent_alarm(channel: str) -> str:
    """The key of the alarm that a channel's budget of the day is used up."""
    return f"daily_cost_{channel}"


def sent_today(session: Session, policy: SendingPolicy, now: datetime) -> int:
    """How many messages of the channel's daily quota are used."""
    columns = daily_budgets.c
    ours = and_(columns.account == policy.budget_name, columns.on == china_date(now))
    return session.execute(select(columns.used).where(ours)).scalar() or 0


def is_used_up(session: Session, policy: SendingPolicy, now: datetime, priority: Priority) -> bool:
    """Whether a class has used its part of the day's quota."""
    return sent_today(session, policy, now) >= budget_limit(priority, policy.daily_quota)
