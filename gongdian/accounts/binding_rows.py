"""Who is bound to a 户号 (绑定关系): the rows that bindings, feeds and erasure add and end.

A person of the feed is bound by ``contact_id`` and stays without it, as a phone on file. One who
came by binding has a row of their own, which ends with the binding and keeps no personal data.
Every row that ends leaves an audit row without personal data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update

from gongdian.accounts.binding_model import Applicant
from gongdian.accounts.customer_keys import phone_hash
from gongdian.accounts.customer_tables import customer_contacts, customers
from gongdian.audit import record_audit
from gongdian.db import AnyRow, Session
from gongdian.outbox.model import CHANNEL_SMS, CHANNEL_TEMPLATE

ACTIVE, REVOKED, DISOWNED = "active", "revoked", "disowned"
FEED, BINDING = "feed", "binding"
# Whose phone may prove a binding.
PROVABLE = (ACTIVE, DISOWNED)

_ROW = customer_contacts.c
_NOBODY: dict[str, Any] = {"name": "", "phone": "", "phone_hash": None, "mail": ""}


def bound_people(session: Session, *conditions: ColumnElement[bool]) -> Sequence[AnyRow]:
    """The active rows with a WeChat contact that meet the conditions; locked, in order."""
    query = (
        select(_ROW.id, _ROW.customer_no, _ROW.contact_id, _ROW.origin, _ROW.phone_hash)
        .where(_ROW.contact_id.is_not(None), _ROW.state == ACTIVE, *conditions)
        .order_by(_ROW.id)
        .with_for_update()
    )
    return session.execute(query).all()


def is_bound(session: Session, contact_id: int, customer_no: str) -> bool:
    """Whether a WeChat contact is bound to a 户号 of the present holder."""
    query = (
        select(_ROW.id)
        .join(customers, customers.c.customer_no == _ROW.customer_no)
        .where(
            _ROW.contact_id == contact_id,
            _ROW.customer_no == customer_no,
            _ROW.state == ACTIVE,
            _ROW.holder == customers.c.holder,
        )
    )
    return session.execute(query.limit(1)).first() is not None


def bind_feed_person(session: Session, person_id: int, contact_id: int, now: datetime) -> bool:
    """Put a WeChat contact to a person on file; False when another one is there already.

    One who said 不是我的户号 before has just proven the opposite.
    """
    changed = session.execute(
        update(customer_contacts)
        .where(_ROW.id == person_id, _ROW.state.in_(PROVABLE), _ROW.contact_id.is_(None))
        .values(contact_id=contact_id, state=ACTIVE, changed_at=now)
    )
    return changed.rowcount == 1


def bind_own_row(
    session: Session,
    contact_id: int,
    customer_no: str,
    holder: int,
    now: datetime,
    *,
    role: str,
    level: int,
    applicant: Applicant | None = None,
) -> None:
    """Give a WeChat contact a row of their own; one that ended before begins again."""
    number = f"wx{contact_id}"
    channels = [CHANNEL_TEMPLATE, CHANNEL_SMS] if applicant else [CHANNEL_TEMPLATE]
    values = {
        **_NOBODY,
        "role": role,
        "level": level,
        "position": 1,
        "channels": ",".join(channels),
        "contact_id": contact_id,
        "holder": holder,
        "state": ACTIVE,
        "origin": BINDING,
        "changed_at": now,
    }
    if applicant is not None:
        values |= {
            "name": applicant.name,
            "phone": applicant.phone,
            "phone_hash": phone_hash(applicant.phone),
        }
    mine = (_ROW.customer_no == customer_no, _ROW.contact_no == number)
    # The contact's row is locked by the caller: nobody else can add this one meanwhile.
    if session.execute(update(customer_contacts).where(*mine).values(**values)).rowcount == 0:
        session.execute(
            insert(customer_contacts).values(customer_no=customer_no, contact_no=number, **values)
        )


def release_people(
    session: Session,
    rows: Iterable[AnyRow],
    why: str,
    by: str,
    now: datetime,
    *,
    verb: str = "revoked",
) -> int:
    """End these bindings; returns how many."""
    ended = 0
    for row in rows:
        values: dict[str, Any] = {"contact_id": None, "changed_at": now}
        if row.origin == BINDING:
            values |= {**_NOBODY, "state": REVOKED}
        changed = session.execute(
            update(customer_contacts)
            .where(_ROW.id == row.id, _ROW.contact_id == row.contact_id)
            .values(**values)
        )
        if changed.rowcount == 1:
            ended += 1
            details = {"customer_no": row.customer_no, "why": why, "origin": row.origin}
            action = f"accounts:binding:{verb}"
            record_audit(session, now, by, action, f"c{row.contact_id}", details)
    return ended


def disown(session: Session, person_id: int, now: datetime) -> bool:
    """Use what the feed has on file of a person no more, until the feed changes it."""
    changed = session.execute(
        update(customer_contacts)
        .where(_ROW.id == person_id, _ROW.state == ACTIVE, _ROW.origin == FEED)
        .values(state=DISOWNED, changed_at=now)
    )
    return changed.rowcount == 1
