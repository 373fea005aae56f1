"""A resident who asks for a code, types it and is bound (居民绑定); tests of bindings use it."""

from __future__ import annotations

from sqlalchemy import select

from gongdian.accounts.binding_model import CodeAnswer, CodeAsked, CodeChecked, ConfirmCode
from gongdian.accounts.bindings import (
    ask_resident_binding,
    confirm_code,
)
from gongdian.accounts.customer_tables import binding_requests
from gongdian.accounts.messages import code_message_key
from gongdian.accounts.model import Contact
from gongdian.accounts.people import customers_of_contact
from gongdian.audit import audit_rows
from gongdian.clock import MovableClock
from gongdian.db import AnyRow, Database
from gongdian.outbox.queueing import Outbox
from gongdian.outbox.tables import messages
from tests.account_factories import (
    HOLDER,
    HOME,
    PHONE,
    bound_nos,
    resident_asks,
    sms_outbox,
)
from tests.factories import openid

OTHER = "9900000999999"  # on nobody's file


def ask(
    database: Database,
    clock: MovableClock,
    contact: Contact,
    customer_no: str = HOME,
    name: str = HOLDER,
    outbox: Outbox | None = None,
) -> CodeAsked:
    asked = resident_asks(contact, customer_no, name)
    return database.run(
        lambda s: ask_resident_binding(s, outbox or sms_outbox(), asked, clock.now())
    )


def code_of(database: Database, contact: Contact, asked: CodeAsked) -> str:
    """The code as the phone shows it; empty when none was sent."""
    key = code_message_key(asked.request_id, contact.id)
    with database.read() as session:
        content = session.execute(select(messages.c.content).where(messages.c.key == key)).scalar()
    return str(content["params"]["code"]) if content else ""


def confirm(
    database: Database, clock: MovableClock, contact: Contact, asked: CodeAsked, code: str
) -> CodeChecked:
    command = ConfirmCode(contact.id, asked.request_id, code)
    return database.run(lambda s: confirm_code(s, sms_outbox(), command, clock.now()))


def bound(database: Database, contact: Contact) -> list[str]:
    with database.read() as session:
        return bound_nos(customers_of_contact(session, contact.id))


def bind(database: Database, clock: MovableClock, contact: Contact, number: str = HOME) -> None:
    asked = ask(database, clock, contact, number)
    done = confirm(database, clock, contact, asked, code_of(database, contact, asked))
    assert done.answer is CodeAnswer.BOUND


def request_row(database: Database, asked: CodeAsked) -> AnyRow:
    with database.read() as session:
        query = select(binding_requests).where(binding_requests.c.id == asked.request_id)
        return session.execute(query).one()


def audited(database: Database) -> list[str]:
    with database.read() as session:
        rows = session.execute(select(audit_rows).order_by(audit_rows.c.id)).all()
    for row in rows:
        for secret in (HOLDER, PHONE, "13700007777", openid(1)):
            assert secret not in row.details + row.subject
    return [row.action for row in rows if row.action.startswith("accounts:binding")]
