"""Binding for a company (单位绑定): its 经办人 asks with an authorisation, the office decides.

Pages ask, commands of the office decide. An unknown or closed 户号 is answered as any other.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from gongdian.accounts.binding_model import (
    WAITING_AT_ONCE,
    WAITING_LIFE,
    Applicant,
    AskCompanyBinding,
    DecideCompanyBinding,
    DecidedRequest,
    RequestKind,
    RequestState,
    clean_applicant,
    clean_customer_no,
)
from gongdian.accounts.binding_requests import (
    NewRequest,
    close_request,
    count_waiting,
    insert_request,
    open_request,
    request_by_id,
)
from gongdian.accounts.binding_rows import bind_own_row
from gongdian.accounts.binding_steps import (
    after_binding,
    asking_contact,
    audit_request,
    is_still_holder,
    locked_contact,
)
from gongdian.accounts.channels import address_problem
from gongdian.accounts.customer_tables import binding_requests, customers
from gongdian.accounts.messages import tell_decision
from gongdian.accounts.model import Contact
from gongdian.audit import record_audit
from gongdian.db import AnyRow, Session
from gongdian.errors import ConflictError, InputError
from gongdian.outbox.model import CHANNEL_SMS
from gongdian.outbox.queueing import Outbox

_REQUEST = binding_requests.c


def ask_company_binding(session: Session, command: AskCompanyBinding, now: datetime) -> int:
    """Write the request down; returns its number, the same one while it waits.

    InputError ``bad_customer_no``, ``bad_applicant``, ``bad_address`` (the phone); NotFoundError
    ``no_contact``; ConflictError ``already_bound``, ``too_many_requests`` (5 wait). An unknown or
    closed 户号 is answered alike: the office sees it and refuses.
    """
    customer_no = clean_customer_no(command.customer_no)
    applicant = clean_applicant(command.applicant)
    problem = address_problem(CHANNEL_SMS, applicant.phone)
    if problem:
        raise InputError("bad_address", problem, field="phone")
    contact = asking_contact(session, command.contact_id, customer_no)
    kind = RequestKind.COMPANY
    waiting = open_request(session, command.contact_id, customer_no, kind, now)
    if waiting is not None:
        return int(waiting.id)
    if count_waiting(session, command.contact_id) >= WAITING_AT_ONCE:
        raise ConflictError("too_many_requests", "at most 5 requests wait at once")
    holder = session.execute(
        select(customers.c.holder).where(customers.c.customer_no == customer_no)
    ).scalar()
    request = NewRequest(
        command.contact_id,
        customer_no,
        kind,
        RequestState.WAITING,
        holder or 0,
        command.consent_version,
        command.consent_digest,
        now + WAITING_LIFE,
        applicant=applicant.as_json(),
    )
    request_id = insert_request(session, request, now)
    details = {"customer_no": customer_no, "request": request_id}
    record_audit(session, now, "wechat", "accounts:binding:asked", contact.number, details)
    return request_id


def decide_company_binding(
    session: Session, outbox: Outbox, command: DecideCompanyBinding, now: datetime
) -> None:
    """Approve or refuse, and tell the applicant; a refusal needs a reason, which they read.

    NotFoundError ``no_request``; ConflictError ``not_waiting`` and, for an approval, what stands
    in its way (``no_customer``, ``closed``, ``residential``, ``holder_changed``,
    ``contact_left``); InputError ``no_reason``, ``bad_level``.
    """
    if not command.is_approved and not command.reason.strip():
        raise InputError("no_reason", "the applicant must learn why", field="reason")
    if not 1 <= command.level <= 9:
        raise InputError("bad_level", "from 1 to 9", field="level")
    found = request_by_id(session, command.request_id)
    contact = locked_contact(session, found.contact_id)
    row = session.execute(
        select(binding_requests)
        .where(
            _REQUEST.id == command.request_id,
            _REQUEST.state == RequestState.WAITING.value,
            _REQUEST.expires_at > now,
        )
        .with_for_update()
    ).first()
    if row is None:
        raise ConflictError("not_waiting", "it was decided, or is too old", request=found.id)
    if not command.is_approved:
        _refuse(session, outbox, row, contact, command, now)
        return
    obstacle = _obstacle(session, row, contact)
    if obstacle:
        raise ConflictError(obstacle, "it cannot be approved as things stand", request=row.id)
    applicant = Applicant(**row.applicant)
    close_request(session, row, RequestState.APPROVED, command.by, command.reason, now)
    bind_own_row(
        session,
        row.contact_id,
        row.customer_no,
        row.holder,
        now,
        role="agent",
        level=command.level,
        applicant=applicant,
    )
    audit_request(session, now, command.by, "approved", row)
    after_binding(session, outbox, row, command.by, "如办理人变更，请及时解绑", now)


def _obstacle(session: Session, row: AnyRow, contact: Contact | None) -> str:
    """What stands in the way of an approval; the customer's row is locked before it is read."""
    if not is_still_holder(session, row.customer_no, row.holder):
        return request_by_id(session, row.id).obstacle or "holder_changed"
    return request_by_id(session, row.id).obstacle or ("" if contact else "contact_left")


def _refuse(
    session: Session,
    outbox: Outbox,
    row: AnyRow,
    contact: Contact | None,
    command: DecideCompanyBinding,
    now: datetime,
) -> None:
    close_request(session, row, RequestState.REFUSED, command.by, command.reason, now)
    audit_request(session, now, command.by, "refused", row)
    if contact is not None:
        told = DecidedRequest(row.id, row.customer_no, is_approved=False, tip=command.reason)
        tell_decision(session, outbox, contact, told, now)
