"""What is erased when a person goes, and what lawfully stays (see gongdian.accounts.erasure)."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from gongdian.accounts.binding_model import ConfirmCode, DecideCompanyBinding
from gongdian.accounts.bindings import ask_resident_binding, confirm_code
from gongdian.accounts.company_bindings import ask_company_binding, decide_company_binding
from gongdian.accounts.customer_tables import binding_requests, customer_contacts, customers
from gongdian.accounts.messages import code_message_key
from gongdian.accounts.model import Contact, Decision
from gongdian.accounts.people import customers_of_contact, people_of
from gongdian.accounts.service import current_decision, follow, leave, withdraw_consent
from gongdian.accounts.tables import consents
from gongdian.audit import audit_rows
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.outbox.model import FallbackStep
from gongdian.outbox.tables import messages
from tests.account_factories import (
    FIRM,
    HOME,
    PHONE,
    a_customer,
    a_firm,
    a_follower,
    a_person,
    company_asks,
    put,
    resident_asks,
    sms_outbox,
)
from tests.factories import ACCOUNT, openid, queue, row_of, state_of

AGENT_PHONE = "13900002222"


@pytest.fixture
def bound(database: Database, clock: MovableClock) -> Contact:
    """A contact with a household of their own and a company that they act for."""
    now = clock.now()
    put(database, now, a_customer(), a_person(), a_firm(), a_person(FIRM, phone="13700007777"))
    contact = a_follower(database, now)
    outbox = sms_outbox()

    def household(session):  # type: ignore[no-untyped-def]
        asked = ask_resident_binding(session, outbox, resident_asks(contact), now)
        key = code_message_key(asked.request_id, contact.id)
        query = select(messages.c.content).where(messages.c.key == key)
        code = session.execute(query).scalar()["params"]["code"]
        confirm_code(session, outbox, ConfirmCode(contact.id, asked.request_id, code), now)

    def company(session):  # type: ignore[no-untyped-def]
        request_id = ask_company_binding(session, company_asks(contact), now)
        decision = DecideCompanyBinding(request_id, is_approved=True, by="王工")
        decide_company_binding(session, outbox, decision, now)

    database.run(household)
    database.run(company)
    return contact


def goes(database: Database, clock: MovableClock, contact: Contact, how: str) -> None:
    if how == "leaves":
        database.run(lambda s: leave(s, ACCOUNT, openid(1), clock.now()))
    else:
        database.run(lambda s: withdraw_consent(s, contact, "text", clock.now()))


@pytest.mark.parametrize("how", ["leaves", "unbinds"])
def test_every_binding_ends_and_what_the_person_told_is_erased(
    database: Database, clock: MovableClock, bound: Contact, how: str
) -> None:
    goes(database, clock, bound, how)
    goes(database, clock, bound, how)
    with database.read() as session:
        assert customers_of_contact(session, bound.id) == []
        people = session.execute(select(customer_contacts)).all()
        applicants = session.execute(select(binding_requests.c.applicant)).scalars().all()
        decision = current_decision(session, bound.id)
        actions = session.execute(select(audit_rows.c.action)).scalars().all()
    own = [row for row in people if row.origin == "binding"]
    assert [(row.state, row.name, row.phone, row.phone_hash) for row in own] == [
        ("revoked", "", "", None)
    ]
    assert {row.contact_id for row in people} == {None}
    assert applicants == [{}, {}]
    assert decision is Decision.WITHDRAWN
    assert actions.count("accounts:binding:revoked") == 2


@pytest.mark.parametrize("how", ["leaves", "unbinds"])
def test_the_companys_own_file_and_the_evidence_stay(
    database: Database, clock: MovableClock, bound: Contact, how: str
) -> None:
    goes(database, clock, bound, how)
    with database.read() as session:
        found = people_of(session, ACCOUNT, [HOME, FIRM])
        names = set(session.execute(select(customers.c.name)).scalars())
        keys = set(session.execute(select(messages.c.key)).scalars())
        decisions = session.execute(select(consents.c.decision)).scalars().all()
    assert [one.fallbacks for one in found[HOME]] == [(FallbackStep("sms", PHONE),)]
    assert len(found[FIRM]) == 1
    assert len(names) == 2
    occasions = sorted(key.split(":")[2].partition("#")[0] for key in keys)
    assert occasions == ["code", "decided", "decided"]
    assert decisions[-1] == "withdrawn"
    assert "agreed" in decisions


@pytest.mark.parametrize("how", ["leaves", "unbinds"])
def test_messages_to_a_phone_that_only_the_binding_told_are_withdrawn(
    database: Database, clock: MovableClock, bound: Contact, how: str
) -> None:
    def queued(phone: str, occasion: str) -> str:
        return queue(
            database,
            clock.now(),
            occasion,
            openid="",
            fallbacks=(FallbackStep("sms", phone),),
            recipient=bound.number,
            outbox=sms_outbox(),
            link_path="/h5/bill",
        )

    told, on_file = queued(AGENT_PHONE, "one#1"), queued("13700007777", "two#1")
    goes(database, clock, bound, how)
    assert (state_of(database, told), row_of(database, told).address) == ("withdrawn", "")
    assert (state_of(database, on_file), row_of(database, on_file).address) == (
        "queued",
        "13700007777",
    )


def test_a_phone_that_is_on_file_as_well_stays_in_use(
    database: Database, clock: MovableClock, bound: Contact
) -> None:
    put(database, clock.now(), a_person(FIRM, "L9", phone=AGENT_PHONE))
    key = queue(
        database,
        clock.now(),
        openid="",
        fallbacks=(FallbackStep("sms", AGENT_PHONE),),
        outbox=sms_outbox(),
        link_path="/h5/bill",
    )
    goes(database, clock, bound, "leaves")
    assert state_of(database, key) == "queued"


def test_who_comes_back_is_bound_to_nothing(
    database: Database, clock: MovableClock, bound: Contact
) -> None:
    goes(database, clock, bound, "leaves")
    again = database.run(lambda s: follow(s, ACCOUNT, openid(1), "", clock.now()))
    assert again.id == bound.id
    with database.read() as session:
        assert customers_of_contact(session, bound.id) == []


def test_others_are_untouched(database: Database, clock: MovableClock, bound: Contact) -> None:
    other = a_follower(database, clock.now(), 2)

    def company(session):  # type: ignore[no-untyped-def]
        request_id = ask_company_binding(session, company_asks(other), clock.now())
        chosen = DecideCompanyBinding(request_id, is_approved=True, by="王工")
        decide_company_binding(session, sms_outbox(), chosen, clock.now())

    database.run(company)
    goes(database, clock, bound, "leaves")
    with database.read() as session:
        assert [one.customer_no for one in customers_of_contact(session, other.id)] == [FIRM]
        decision = current_decision(session, other.id)
    assert decision is Decision.AGREED
