"""Subscription credits (订阅次数): how often a contact lets us send a template as a notification.

WeChat handlers apply the platform's three events; whoever sends and is told 43101 clears the
credit. Events may come late and out of order: ``at`` is when they happened. In doubt we believe
that we may send less often than we may, never more.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, case, delete, func, literal, select, update

from gongdian.accounts.model import SubscriptionCredit
from gongdian.accounts.tables import subscription_credits
from gongdian.columns import UtcDateTime
from gongdian.db import Session, insert_once

_ROW = subscription_credits.c
NONE = SubscriptionCredit(0, is_long_term=False, refused_at=None)


def credits_of(session: Session, contact_id: int, template_id: str) -> SubscriptionCredit:
    """What a contact lets us send of a template; ``NONE`` when they were never asked."""
    row = session.execute(
        select(_ROW.credits, _ROW.is_long_term, _ROW.refused_at).where(
            *_key(contact_id, template_id)
        )
    ).first()
    return SubscriptionCredit(row.credits, row.is_long_term, row.refused_at) if row else NONE


def accept_subscription(
    session: Session, contact_id: int, template_id: str, at: datetime, *, is_long_term: bool
) -> None:
    """The contact said yes in the popup: one message more, or any number for a long-term one."""
    if not _is_known(session, contact_id, template_id):
        fresh = {
            "contact_id": contact_id,
            "template_id": template_id,
            "credits": 0,
            "is_long_term": False,
            "refused_at": None,
            "changed_at": at,
        }
        insert_once(session, subscription_credits, fresh)
    session.execute(
        update(subscription_credits)
        .where(
            *_key(contact_id, template_id),
            # A refusal after this yes took it back already.
            func.coalesce(_ROW.refused_at, _instant(at)) <= _instant(at),
        )
        .values(
            credits=_ROW.credits + (0 if is_long_term else 1),
            is_long_term=is_long_term,
            refused_at=None,
            changed_at=_later(at),
        )
    )


def decline_subscription(session: Session, contact_id: int, template_id: str, at: datetime) -> None:
    """The contact said no in the popup; what they granted before stays."""
    if not _is_known(session, contact_id, template_id):
        refused = {
            "contact_id": contact_id,
            "template_id": template_id,
            "credits": 0,
            "is_long_term": False,
            "refused_at": at,
            "changed_at": at,
        }
        if insert_once(session, subscription_credits, refused):
            return
    session.execute(
        update(subscription_credits)
        .where(*_not_after(contact_id, template_id, at))
        .values(refused_at=at, changed_at=at)
    )


def refuse_subscription(session: Session, contact_id: int, template_id: str, at: datetime) -> None:
    """The contact refused in the settings of their phone: nothing may be sent any more."""
    decline_subscription(session, contact_id, template_id, at)
    clear_credits(session, contact_id, template_id, at)


def use_credit(session: Session, contact_id: int, template_id: str, at: datetime) -> None:
    """A notification was delivered: one credit less, unless it is a long-term one."""
    session.execute(
        update(subscription_credits)
        .where(
            *_key(contact_id, template_id), _ROW.credits > 0, _ROW.is_long_term == literal(False)
        )
        .values(credits=_ROW.credits - 1, changed_at=_later(at))
    )


def clear_credits(session: Session, contact_id: int, template_id: str, at: datetime) -> None:
    """The platform says that we may not send (43101); ``at`` is when we asked it."""
    session.execute(
        update(subscription_credits)
        .where(*_not_after(contact_id, template_id, at))
        .values(credits=0, is_long_term=False, changed_at=at)
    )


def forget_credits(session: Session, contact_id: int) -> None:
    """The person left: what they allowed is gone with them."""
    session.execute(delete(subscription_credits).where(_ROW.contact_id == contact_id))


def _key(contact_id: int, template_id: str) -> tuple[ColumnElement[bool], ...]:
    return (_ROW.contact_id == contact_id, _ROW.template_id == template_id)


def _not_after(contact_id: int, template_id: str, at: datetime) -> tuple[ColumnElement[bool], ...]:
    """The row, unless something newer than ``at`` is known already."""
    return (*_key(contact_id, template_id), _ROW.changed_at <= at)


def _is_known(session: Session, contact_id: int, template_id: str) -> bool:
    query = select(literal(1)).where(*_key(contact_id, template_id))
    return session.execute(query.select_from(subscription_credits)).first() is not None


def _instant(at: datetime) -> ColumnElement[datetime]:
    return literal(at, UtcDateTime())


def _later(at: datetime) -> ColumnElement[datetime]:
    return case((_ROW.changed_at < at, _instant(at)), else_=_ROW.changed_at)
