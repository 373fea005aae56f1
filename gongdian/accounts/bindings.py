"""Binding and unbinding a 户号 (绑定与解绑户号): pages, commands and imports call it.

A resident proves that they hold the phone on file; for companies see ``company_bindings``.
What is asked about an unknown or closed 户号 is answered as about any other, so that nobody can
list customers; who tries is limited in the database, on the contact's locked row.
"""

from __future__ import annotations

import hmac
import secrets
import unicodedata
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select, update

from gongdian.accounts.binding_model import (
    CODE_LIFE,
    CODE_TRIES,
    CODES_AN_HOUR,
    MANAGER,
    RESIDENTIAL,
    AskResidentBinding,
    CodeAnswer,
    CodeAsked,
    CodeChecked,
    CodeMessage,
    ConfirmCode,
    RequestKind,
    RequestState,
    clean_customer_no,
)
from gongdian.accounts.binding_requests import (
    NewRequest,
    close_request,
    count_codes_to,
    count_recent,
    end_requests,
    insert_request,
)
from gongdian.accounts.binding_rows import (
    PROVABLE,
    bind_feed_person,
    bind_own_row,
    bound_people,
    disown,
    is_bound,
    release_people,
)
from gongdian.accounts.binding_steps import (
    after_binding,
    asking_contact,
    is_still_holder,
    locked_contact,
)
from gongdian.accounts.bulk import chunks
from gongdian.accounts.customer_keys import name_hash, normalised_name
from gongdian.accounts.customer_tables import binding_requests, customer_contacts, customers
from gongdian.accounts.messages import check_can_send_codes, send_code
from gongdian.accounts.recipients import ids_on_file
from gongdian.audit import record_audit
from gongdian.channels import is_mobile
from gongdian.db import AnyRow, Session
from gongdian.errors import ConflictError, InputError
from gongdian.outbox.queueing import Outbox
from gongdian.privacy import blind_index

_REQUEST = binding_requests.c
_PERSON = customer_contacts.c
_CODE = "binding_requests.code"


def ask_resident_binding(
    session: Session, outbox: Outbox, command: AskResidentBinding, now: datetime
) -> CodeAsked:
    """Send a code to the phone on file; the answer is the same when nothing was sent.

    InputError ``bad_customer_no``, ``bad_name``; NotFoundError ``no_contact``; ConflictError
    ``already_bound``, ``too_many_codes`` (3 an hour), ``no_sms``. A newer request ends the one
    before.
    """
    check_can_send_codes(outbox)
    customer_no = clean_customer_no(command.customer_no)
    if not 1 <= len(normalised_name(command.customer_name)) <= 100:
        raise InputError("bad_name", "1 to 100 characters", field="customer_name")
    asking_contact(session, command.contact_id, customer_no)
    kind = RequestKind.RESIDENT
    if count_recent(session, command.contact_id, kind, now) >= CODES_AN_HOUR:
        raise ConflictError("too_many_codes", "at most 3 codes an hour")
    is_older = (_REQUEST.contact_id == command.contact_id, _REQUEST.kind == kind.value)
    end_requests(session, RequestState.WITHDRAWN, "wechat", "asked_again", now, *is_older)
    match = _person_on_file(session, customer_no, command.customer_name, now)
    expires_at = now + CODE_LIFE
    request = NewRequest(
        command.contact_id,
        customer_no,
        kind,
        RequestState.CODE_SENT,
        match.holder if match else 0,
        command.consent_version,
        command.consent_digest,
        expires_at,
        matched_id=match.id if match else None,
    )
    request_id = insert_request(session, request, now)
    # Without a match the digest is that of nothing: no code fits, and no branch tells it.
    digest = secrets.token_bytes(32)
    if match:
        code = f"{secrets.randbelow(10**6):06d}"
        digest = _code_digest(request_id, code)
        message = CodeMessage(
            request_id, command.contact_id, customer_no, code, match.phone, expires_at
        )
        send_code(session, outbox, message, now)
    session.execute(
        update(binding_requests).where(_REQUEST.id == request_id).values(code_hash=digest)
    )
    return CodeAsked(request_id, expires_at)


def _person_on_file(
    session: Session, customer_no: str, customer_name: str, now: datetime
) -> AnyRow | None:
    """Who may prove that this household is theirs; None also when their phone had its codes."""
    query = (
        select(_PERSON.id, _PERSON.phone, _PERSON.phone_hash, customers.c.holder)
        .join(customers, customers.c.customer_no == _PERSON.customer_no)
        .where(
            _PERSON.customer_no == customer_no,
            _PERSON.state.in_(PROVABLE),
            _PERSON.role != MANAGER,
            _PERSON.phone_hash.is_not(None),
            _PERSON.holder == customers.c.holder,
            customers.c.name_hash == name_hash(customer_name),
            customers.c.customer_class == RESIDENTIAL,
            customers.c.state == "active",
        )
        .order_by(_PERSON.level, _PERSON.position, _PERSON.id)
    )
    found = next((row for row in session.execute(query) if is_mobile(row.phone)), None)
    if found is None or count_codes_to(session, found.phone_hash, now) >= CODES_AN_HOUR:
        return None
    return found


def confirm_code(
    session: Session, outbox: Outbox, command: ConfirmCode, now: datetime
) -> CodeChecked:
    """Check a code and bind. It returns, never raises, for a wrong one: the try must be kept.

    A request that is another contact's, unknown, used or too old is ``EXPIRED`` alike.
    """
    if locked_contact(session, command.contact_id) is None:
        return CodeChecked(CodeAnswer.EXPIRED)
    mine = (
        _REQUEST.id == command.request_id,
        _REQUEST.contact_id == command.contact_id,
        _REQUEST.kind == RequestKind.RESIDENT.value,
    )
    is_open = (_REQUEST.state == RequestState.CODE_SENT.value, _REQUEST.expires_at > now)
    # The try is counted before the code is looked at: of many at once at most five are.
    counted = session.execute(
        update(binding_requests)
        .where(*mine, *is_open, _REQUEST.tries < CODE_TRIES)
        .values(tries=_REQUEST.tries + 1)
    )
    row = session.execute(select(binding_requests).where(*mine)).first()
    if counted.rowcount != 1 or row is None:
        return _already(session, row)
    plain = "".join(unicodedata.normalize("NFKC", command.code).split())
    if not hmac.compare_digest(_code_digest(row.id, plain), bytes(row.code_hash)):
        left = CODE_TRIES - row.tries
        if left == 0:
            close_request(session, row, RequestState.REFUSED, "wechat", "too_many_tries", now)
        answer = CodeAnswer.WRONG if left else CodeAnswer.TOO_MANY
        return CodeChecked(answer, tries_left=left)
    return _bind_resident(session, outbox, row, now)


def _already(session: Session, row: AnyRow | None) -> CodeChecked:
    """What a form that was sent twice, or too late, is told."""
    if row is None:
        return CodeChecked(CodeAnswer.EXPIRED)
    is_mine = is_bound(session, row.contact_id, row.customer_no)
    if row.state == RequestState.APPROVED.value and is_mine:
        return CodeChecked(CodeAnswer.BOUND, row.customer_no)
    if row.reason == "too_many_tries":
        return CodeChecked(CodeAnswer.TOO_MANY)
    return CodeChecked(CodeAnswer.EXPIRED)


def _bind_resident(session: Session, outbox: Outbox, row: AnyRow, now: datetime) -> CodeChecked:
    if not is_still_holder(session, row.customer_no, row.holder):
        close_request(session, row, RequestState.EXPIRED, "wechat", "holder_changed", now)
        return CodeChecked(CodeAnswer.EXPIRED)
    close_request(session, row, RequestState.APPROVED, "wechat", "", now)
    if not is_bound(session, row.contact_id, row.customer_no) and not bind_feed_person(
        session, row.matched_id, row.contact_id, now
    ):
        # Another WeChat contact holds that phone's row (a couple with one number on file).
        bind_own_row(
            session, row.contact_id, row.customer_no, row.holder, now, role="owner", level=1
        )
    after_binding(session, outbox, row, "wechat", "回复“解绑”可随时停止接收", now)
    return CodeChecked(CodeAnswer.BOUND, row.customer_no)


def unbind_customer(
    session: Session, contact_id: int, customer_no: str, now: datetime, by: str = "wechat"
) -> bool:
    """The contact sees this 户号 no more, others stay; False when it was not bound.

    A phone on file stays what it was: the customer is told there.
    """
    mine = (_PERSON.contact_id == contact_id, _PERSON.customer_no == customer_no)
    rows = bound_people(session, *mine)
    return release_people(session, rows, "unbound", by, now, verb="unbound") > 0


def not_mine(session: Session, contact_id: int, customer_no: str, now: datetime) -> bool:
    """不是我的户号: as unbinding; the phone on file is used no more until the feed changes it."""
    mine = (_PERSON.contact_id == contact_id, _PERSON.customer_no == customer_no)
    rows = bound_people(session, *mine)
    release_people(session, rows, "not_mine", "wechat", now, verb="disowned")
    for row in rows:
        disown(session, row.id, now)
    return bool(rows)


def not_mine_person(session: Session, person_id: int, customer_no: str, now: datetime) -> bool:
    """不是我的户号 by somebody without WeChat, of a customer that their message was about.

    ``person_id`` is the number of the message's recipient ``p9``; every row of the customer with
    the same phone is used no more.
    """
    theirs = ids_on_file(session, person_id, customer_no)
    changed = [one for one in theirs if disown(session, one, now)]
    if changed:
        details = {"customer_no": customer_no, "why": "not_mine"}
        action = "accounts:binding:disowned"
        record_audit(session, now, "wechat", action, f"p{person_id}", details)
    return bool(changed)


def revoke_former_holder(
    session: Session, customer_nos: Iterable[str], why: str, by: str, now: datetime
) -> int:
    """After 过户, 更名, 销户: nobody bound before sees the 户号; returns how many were bound.

    Requests that still wait end too: they were the former holder's.
    """
    revoked = 0
    for batch in chunks(customer_nos):
        rows = bound_people(session, _PERSON.customer_no.in_(batch))
        revoked += release_people(session, rows, why, by, now)
        theirs = _REQUEST.customer_no.in_(batch)
        while end_requests(session, RequestState.WITHDRAWN, by, why, now, theirs):
            pass
    return revoked


def _code_digest(request_id: int, code: str) -> bytes:
    """A code fits one request only."""
    return blind_index(f"{request_id}:{code}", _CODE)
