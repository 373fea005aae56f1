"""Steps that every way of binding takes (绑定步骤): who may ask, what follows an approval.

``bindings`` and ``company_bindings`` call it.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from gongdian.accounts.binding_model import DecidedRequest
from gongdian.accounts.binding_rows import is_bound
from gongdian.accounts.customer_tables import customers
from gongdian.accounts.messages import tell_decision
from gongdian.accounts.model import Contact, ContactState, DecideConsent, Decision
from gongdian.accounts.service import current_decision, decide_consent, has_decided_since
from gongdian.accounts.tables import contacts
from gongdian.audit import record_audit
from gongdian.db import AnyRow, Session
from gongdian.errors import ConflictError, NotFoundError
from gongdian.outbox.queueing import Outbox


def locked_contact(session: Session, contact_id: int) -> Contact | None:
    """A contact who has not left; their row is locked until the transaction ends, so that they
    cannot leave, or ask twice, meanwhile."""
    columns = contacts.c
    row = session.execute(
        select(columns.openid, columns.state).where(columns.id == contact_id).with_for_update()
    ).first()
    if row is None or row.openid is None or row.state == ContactState.LEFT.value:
        return None
    return Contact(contact_id, row.openid, ContactState(row.state))


def asking_contact(session: Session, contact_id: int, customer_no: str) -> Contact:
    """The locked contact who may ask for a 户号; NotFoundError ``no_contact``, ConflictError
    ``already_bound``."""
    contact = locked_contact(session, contact_id)
    if contact is None:
        raise NotFoundError("no_contact", "no such contact, or they left", contact=contact_id)
    if is_bound(session, contact_id, customer_no):
        raise ConflictError("already_bound", "the contact has this customer already")
    return contact


def is_still_holder(session: Session, customer_no: str, holder: int) -> bool:
    """Whether a request was made by the present holder; the customer's row is locked, so that a
    过户 that is being imported is waited for."""
    query = select(customers.c.holder, customers.c.state).where(
        customers.c.customer_no == customer_no
    )
    row = session.execute(query.with_for_update()).first()
    return row is not None and (row.holder, row.state) == (holder, "active")


def after_binding(
    session: Session, outbox: Outbox, row: AnyRow, by: str, tip: str, now: datetime
) -> None:
    """The consent given with the request counts from now on, and the contact is told.

    What they decided since they asked counts for more: who refused notices meanwhile is bound,
    may look, and is told nothing.
    """
    audit_request(session, now, by, "bound", row)
    if has_decided_since(session, row.contact_id, row.requested_at):
        if current_decision(session, row.contact_id) is not Decision.AGREED:
            return
    else:
        decide_consent(session, _consent_of(row), now)
    contact = locked_contact(session, row.contact_id)
    if contact is not None:
        told = DecidedRequest(row.id, row.customer_no, is_approved=True, tip=tip)
        tell_decision(session, outbox, contact, told, now)


def _consent_of(row: AnyRow) -> DecideConsent:
    return DecideConsent(
        row.contact_id,
        row.consent_version,
        row.consent_digest,
        is_agreed=True,
        source=f"binding:{row.id}",
    )


def audit_request(session: Session, now: datetime, by: str, verb: str, row: AnyRow) -> None:
    """Keep who did what to a request (``id``, ``contact_id``, ``customer_no``)."""
    details = {"customer_no": row.customer_no, "request": row.id}
    record_audit(session, now, by, f"accounts:binding:{verb}", f"c{row.contact_id}", details)
