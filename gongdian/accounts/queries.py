"""Reading the accounts (查询); pages and handlers call it."""

from __future__ import annotations

from sqlalchemy import func, select

from gongdian.accounts.channels import channels_of
from gongdian.accounts.model import SERVICE_NOTICES, Contact, ContactCard, ContactState, Decision
from gongdian.accounts.tables import consents, contacts
from gongdian.db import Session
from gongdian.errors import NotFoundError
from gongdian.outbox.addresses import address_hash


def contact_by_id(session: Session, contact_id: int) -> Contact:
    """A contact that has not left; NotFoundError otherwise."""
    columns = contacts.c
    row = session.execute(
        select(columns.id, columns.openid, columns.state).where(columns.id == contact_id)
    ).first()
    if row is None or row.openid is None:
        raise NotFoundError("no_contact", "no such contact, or they left", contact=contact_id)
    return Contact(row.id, row.openid, ContactState(row.state))


def contact_card(session: Session, account: str, contact_id: int) -> ContactCard:
    """What is known of a contact, also one who left; NotFoundError for nobody of this account."""
    row = session.execute(
        select(contacts.c.id, contacts.c.state, contacts.c.refused_reason).where(
            contacts.c.id == contact_id, contacts.c.account == account
        )
    ).first()
    if row is None:
        raise NotFoundError("no_contact", "no such contact", contact=contact_id)
    latest = session.execute(
        select(consents.c.decision, consents.c.version, consents.c.decided_at)
        .where(consents.c.contact_id == row.id, consents.c.purpose == SERVICE_NOTICES)
        .order_by(consents.c.id.desc())
        .limit(1)
    ).first()
    return ContactCard(
        number=f"c{row.id}",
        state=ContactState(row.state),
        refused_reason=row.refused_reason,
        decision=Decision(latest.decision) if latest else None,
        version=latest.version if latest else "",
        decided_at=latest.decided_at if latest else None,
        channels=channels_of(session, row.id),
    )


def contact_id_of(session: Session, account: str, openid: str) -> int | None:
    """The contact of an openid, also one who left; None when we never met them."""
    columns = contacts.c
    query = select(columns.id).where(
        columns.account == account, columns.openid_hash == address_hash(openid)
    )
    return session.execute(query).scalar()


def count_contacts(session: Session) -> dict[str, int]:
    """How many contacts stand in each state."""
    query = select(contacts.c.state, func.count()).group_by(contacts.c.state)
    return {row[0]: row[1] for row in session.execute(query)}
