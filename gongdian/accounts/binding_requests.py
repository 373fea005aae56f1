"""Requests to bind (绑定申请) in the database: limits, what waits for the office, how they end.

Bindings, erasure, commands and the worker's sweep call it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, insert, select, update

from gongdian.accounts.binding_model import (
    OPEN_STATES,
    RATE_WINDOW,
    RESIDENTIAL,
    Applicant,
    RequestKind,
    RequestState,
    WaitingRequest,
)
from gongdian.accounts.customer_tables import binding_requests, customer_contacts, customers
from gongdian.accounts.messages import code_message_key
from gongdian.db import AnyRow, Session
from gongdian.errors import NotFoundError
from gongdian.outbox.forgetting import forget_content

_REQUEST = binding_requests.c
_SWEPT_AT_ONCE = 500
_SHOWN_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request to be written down; ``matched_id`` is the person on file who gets the code."""

    contact_id: int
    customer_no: str
    kind: RequestKind
    state: RequestState
    holder: int
    consent_version: str
    consent_digest: str
    expires_at: datetime
    matched_id: int | None = None
    applicant: Mapping[str, str] = field(default_factory=dict, repr=False)


def insert_request(session: Session, request: NewRequest, now: datetime) -> int:
    """Write a request down; returns its number."""
    inserted = session.execute(
        insert(binding_requests).values(
            contact_id=request.contact_id,
            customer_no=request.customer_no,
            kind=request.kind.value,
            state=request.state.value,
            holder=request.holder,
            consent_version=request.consent_version,
            consent_digest=request.consent_digest,
            applicant=dict(request.applicant),
            matched_id=request.matched_id,
            requested_at=now,
            expires_at=request.expires_at,
        )
    )
    return int(inserted.lastrowid)


def count_recent(session: Session, contact_id: int, kind: RequestKind, now: datetime) -> int:
    """How many requests of this kind a contact made within the hour."""
    query = select(func.count()).where(
        _REQUEST.contact_id == contact_id,
        _REQUEST.kind == kind.value,
        _REQUEST.requested_at > now - RATE_WINDOW,
    )
    return int(session.execute(query).scalar_one())


def count_codes_to(session: Session, phone_digest: bytes, now: datetime) -> int:
    """How many codes went to a phone within the hour, whoever asked; its rows are locked, so
    that of two requests at once the second one counts the first."""
    people = customer_contacts.c
    same_phone = (
        select(people.id)
        .where(people.phone_hash == phone_digest)
        .order_by(people.id)
        .with_for_update()
    )
    ids = session.execute(same_phone).scalars().all()
    query = select(func.count()).where(
        _REQUEST.matched_id.in_(ids), _REQUEST.requested_at > now - RATE_WINDOW
    )
    return int(session.execute(query).scalar_one())


def count_waiting(session: Session, contact_id: int) -> int:
    """How many of a contact's requests wait for the office."""
    query = select(func.count()).where(
        _REQUEST.contact_id == contact_id, _REQUEST.state == RequestState.WAITING.value
    )
    return int(session.execute(query).scalar_one())


def end_requests(
    session: Session,
    state: RequestState,
    by: str,
    reason: str,
    now: datetime,
    *conditions: ColumnElement[bool],
) -> int:
    """End the open requests that meet the conditions, erase code, its message and applicant."""
    query = (
        select(_REQUEST.id, _REQUEST.contact_id, _REQUEST.matched_id)
        .where(_REQUEST.state.in_(OPEN_STATES), *conditions)
        .order_by(_REQUEST.id)
        .limit(_SWEPT_AT_ONCE)
        .with_for_update()
    )
    rows = session.execute(query).all()
    for row in rows:
        close_request(session, row, state, by, reason, now)
    return len(rows)


def close_request(
    session: Session, row: AnyRow, state: RequestState, by: str, reason: str, now: datetime
) -> bool:
    """End one request (``id``, ``contact_id``, ``matched_id``); False when it had ended.

    An approved company keeps its authorisation: the office must be able to show it.
    """
    values: dict[str, Any] = {
        "state": state.value,
        "code_hash": None,
        "decided_at": now,
        "decided_by": by,
        "reason": reason.strip()[:190].strip(),
    }
    if state is not RequestState.APPROVED:
        values["applicant"] = {}
    changed = session.execute(
        update(binding_requests)
        .where(_REQUEST.id == row.id, _REQUEST.state.in_(OPEN_STATES))
        .values(**values)
    )
    if changed.rowcount == 1 and row.matched_id is not None:
        key = code_message_key(row.id, row.contact_id)
        forget_content(session, key, f"code_{state.value}", now)
    return changed.rowcount == 1


def expire_requests(session: Session, now: datetime) -> int:
    """End what is too old: codes after 5 minutes, waiting requests after 30 days.

    The worker's sweep calls it; at most 500 at once.
    """
    is_old = _REQUEST.expires_at <= now
    return end_requests(session, RequestState.EXPIRED, "sweep", "expired", now, is_old)


def waiting_requests(session: Session, now: datetime) -> list[WaitingRequest]:
    """What waits for the office, oldest first."""
    query = _company_requests().where(
        _REQUEST.state == RequestState.WAITING.value, _REQUEST.expires_at > now
    )
    return [_waiting(row) for row in session.execute(query.order_by(_REQUEST.id))]


def request_by_id(session: Session, request_id: int) -> WaitingRequest:
    """One company's request, whatever its state; NotFoundError ``no_request``."""
    query = _company_requests().where(_REQUEST.id == request_id)
    row = session.execute(query).first()
    if row is None:
        raise NotFoundError("no_request", "no such request", request=request_id)
    return _waiting(row)


def requests_of_contact(session: Session, contact_id: int) -> list[WaitingRequest]:
    """A contact's own requests for companies, newest first, for their pages.

    What the file says of the customer is left out: it is not theirs to read yet.
    """
    query = _company_requests().where(_REQUEST.contact_id == contact_id)
    rows = session.execute(query.order_by(_REQUEST.id.desc()).limit(_SHOWN_AT_ONCE))
    return [
        replace(_waiting(row), obstacle="", customer_name="", station="", decided_by="")
        for row in rows
    ]


def _company_requests() -> Select[Any]:
    return (
        select(
            binding_requests,
            customers.c.name.label("customer_name"),
            customers.c.station,
            customers.c.state.label("customer_state"),
            customers.c.customer_class,
            customers.c.holder.label("customer_holder"),
        )
        .outerjoin(customers, customers.c.customer_no == _REQUEST.customer_no)
        .where(_REQUEST.kind == RequestKind.COMPANY.value)
    )


def _waiting(row: AnyRow) -> WaitingRequest:
    return WaitingRequest(
        id=row.id,
        contact_id=row.contact_id,
        customer_no=row.customer_no,
        state=RequestState(row.state),
        applicant=Applicant(**row.applicant) if row.applicant else None,
        requested_at=row.requested_at,
        expires_at=row.expires_at,
        obstacle=_obstacle(row),
        customer_name=row.customer_name or "",
        station=row.station or "",
        decided_by=row.decided_by,
        reason=row.reason,
    )


def _obstacle(row: AnyRow) -> str:
    """Why the office cannot approve it as things stand; the applicant is not told."""
    if row.customer_state is None:
        return "no_customer"
    if row.customer_state != "active":
        return "closed"
    if row.customer_class == RESIDENTIAL:
        return "residential"
    return "" if row.customer_holder == row.holder else "holder_changed"


def open_request(
    session: Session,
    contact_id: int,
    customer_no: str,
    kind: RequestKind,
    now: datetime,
) -> AnyRow | None:
    """The contact's newest open request of a kind for a 户号."""
    query = select(binding_requests).where(
        _REQUEST.contact_id == contact_id,
        _REQUEST.customer_no == customer_no,
        _REQUEST.kind == kind.value,
        _REQUEST.state.in_(OPEN_STATES),
        _REQUEST.expires_at > now,
    )
    return session.execute(query.order_by(_REQUEST.id.desc()).limit(1)).first()
