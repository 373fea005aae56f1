"""Binding for a company: the 经办人 asks, the office decides, the applicant is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from gongdian.accounts.binding_model import DecideCompanyBinding, RequestState
from gongdian.accounts.binding_requests import (
    expire_requests,
    request_by_id,
    requests_of_contact,
    waiting_requests,
)
from gongdian.accounts.bindings import unbind_customer
from gongdian.accounts.company_bindings import ask_company_binding, decide_company_binding
from gongdian.accounts.customer_tables import binding_requests, customer_contacts
from gongdian.accounts.model import Contact, DecideConsent, Decision
from gongdian.accounts.people import customers_of_contact, people_of
from gongdian.accounts.service import current_decision, decide_consent, leave
from gongdian.accounts.tables import consents
from gongdian.audit import audit_rows
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import ConflictError, InputError, NotFoundError
from gongdian.outbox.tables import messages
from tests.account_factories import (
    COMPANY,
    FIRM,
    HOME,
    a_customer,
    a_firm,
    a_follower,
    a_person,
    bound_nos,
    company_asks,
    put,
    sms_outbox,
)
from tests.factories import ACCOUNT, openid

WORDS = ("李敏", "13900002222", "财务主管", "授权书2026-11号")


@pytest.fixture
def clerk(database: Database, clock: MovableClock) -> Contact:
    """A foundry on file, and its accountant who follows."""
    put(database, clock.now(), a_firm(), a_person(FIRM, role="legal_person", level=2))
    return a_follower(database, clock.now(), is_agreed=False)


def ask(
    database: Database, clock: MovableClock, contact: Contact, number: str = FIRM, **changes: str
) -> int:
    asked = company_asks(contact, number, **changes)
    return database.run(lambda s: ask_company_binding(s, asked, clock.now()))


def decide(
    database: Database, clock: MovableClock, request_id: int, *, is_approved: bool, **changes: Any
) -> None:
    given = {"by": "王工", "reason": "" if is_approved else "授权书没有盖章", **changes}
    command = DecideCompanyBinding(request_id, is_approved, **given)
    database.run(lambda s: decide_company_binding(s, sms_outbox(), command, clock.now()))


def waiting(database: Database, clock: MovableClock) -> list[tuple[int, str]]:
    with database.read() as session:
        return [(one.id, one.obstacle) for one in waiting_requests(session, clock.now())]


def bound(database: Database, contact: Contact) -> list[str]:
    with database.read() as session:
        return bound_nos(customers_of_contact(session, contact.id))


def told(database: Database) -> list[dict[str, str]]:
    """What the applicant read, by label."""
    with database.read() as session:
        query = select(messages.c.content).where(messages.c.kind == "binding_done")
        rows = session.execute(query.order_by(messages.c.id)).scalars().all()
    return [dict(row["fields"]) for row in rows]


def audited(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        rows = session.execute(select(audit_rows).order_by(audit_rows.c.id)).all()
    for row in rows:
        for word in (*WORDS, COMPANY, openid(1)):
            assert word not in row.details + row.subject
    return [(row.action, row.actor) for row in rows if "binding" in row.action]


def test_an_approved_applicant_is_bound_at_the_level_the_office_chose_and_told(
    database: Database, clock: MovableClock, clerk: Contact
) -> None:
    request_id = ask(database, clock, clerk)
    assert waiting(database, clock) == [(request_id, "")]
    assert bound(database, clerk) == []
    with database.read() as session:
        assert current_decision(session, clerk.id) is None, "nothing counts before the office"

    decide(database, clock, request_id, is_approved=True, level=1)

    assert bound(database, clerk) == [FIRM]
    with database.read() as session:
        first, second = people_of(session, ACCOUNT, [FIRM])[FIRM]
        row = session.execute(select(consents)).one()
        found = request_by_id(session, request_id)
    assert (first.role, first.level, first.name) == ("agent", 1, "李敏")
    assert (first.openid, first.fallbacks[0].address) == (openid(1), "13900002222")
    assert second.role == "legal_person"
    assert (row.version, row.decision) == ("v3", "agreed")
    assert (found.state, found.decided_by) == (RequestState.APPROVED, "王工")
    assert found.applicant is not None
    assert told(database)[0]["结果"] == "已绑定"
    assert told(database)[0]["事项"] == f"绑定户号{FIRM}"
    assert waiting(database, clock) == []
    assert audited(database) == [
        ("accounts:binding:asked", "wechat"),
        ("accounts:binding:approved", "王工"),
        ("accounts:binding:bound", "王工"),
    ]


def test_a_refused_applicant_is_told_why_and_their_data_is_erased(
    database: Database, clock: MovableClock, clerk: Contact
) -> None:
    request_id = ask(database, clock, clerk)
    decide(
        database,
        clock,
        request_id,
        is_approved=False,
        reason="授权书没有盖章，请补盖公章后再申请一次，谢谢",
    )
    assert bound(database, clerk) == []
    assert told(database)[0]["结果"] == "未通过"
    assert told(database)[0]["提示"].startswith("授权书没有盖章")
    with database.read() as session:
        found = request_by_id(session, request_id)
        mine = requests_of_contact(session, clerk.id)
    assert found.applicant is None
    assert [(one.id, one.state) for one in mine] == [(request_id, RequestState.REFUSED)]
    assert audited(database)[-1] == ("accounts:binding:refused", "王工")


def test_a_request_is_decided_once(database: Database, clock: MovableClock, clerk: Contact) -> None:
    request_id = ask(database, clock, clerk)
    decide(database, clock, request_id, is_approved=True)
    for is_approved in (True, False):
        with pytest.raises(ConflictError, match="not_waiting"):
            decide(database, clock, request_id, is_approved=is_approved)
    assert bound(database, clerk) == [FIRM]
    assert len(told(database)) == 1


@pytest.mark.parametrize("number", ["9900000999999", HOME, "9900000000001"])
def test_unknown_residential_and_closed_customers_are_answered_alike_and_seen_by_the_office(
    database: Database, clock: MovableClock, clerk: Contact, number: str
) -> None:
    put(database, clock.now(), a_customer(), a_firm("9900000000001", state="closed"))
    request_id = ask(database, clock, clerk, number)
    ((listed, obstacle),) = waiting(database, clock)
    wanted = {"9900000999999": "no_customer", HOME: "residential", "9900000000001": "closed"}
    assert (listed, obstacle) == (request_id, wanted[number])
    with pytest.raises(ConflictError, match=obstacle):
        decide(database, clock, request_id, is_approved=True)
    assert waiting(database, clock) == [(request_id, obstacle)], "the office may still refuse it"
    decide(database, clock, request_id, is_approved=False)


def test_after_a_new_holder_the_waiting_request_is_gone(
    database: Database, clock: MovableClock, clerk: Contact
) -> None:
    request_id = ask(database, clock, clerk)
    put(database, clock.now(), a_firm(name="云溪新泰铸造有限公司", party_no="P2"))
    assert waiting(database, clock) == []
    with pytest.raises(ConflictError, match="not_waiting"):
        decide(database, clock, request_id, is_approved=True)


def test_a_customer_that_came_after_the_request_needs_a_new_one(
    database: Database, clock: MovableClock, clerk: Contact
) -> None:
    request_id = ask(database, clock, clerk, "9900000000001")
    put(database, clock.now(), a_firm("9900000000001"))
    with pytest.raises(ConflictError, match="holder_changed"):
        decide(database, clock, request_id, is_approved=True)


def test_the_applicant_reads_nothing_of_the_companys_file(
    database: Database, clock: MovableClock, clerk: Contact
) -> None:
    """Whether a 户号 exists, and whose it is, must not show on the page of who asks for it."""
    for number in (FIRM, "9900000999999"):
        ask(database, clock, clerk, number)
    with database.read() as session:
        mine = requests_of_contact(session, clerk.id)
    told = [(one.obstacle, one.customer_name, one.station, one.state) for one in mine]
    assert told == [("", "", "", RequestState.WAITING)] * 2


def test_asking_twice_is_one_request_and_five_may_wait(
    database: Database, clock: MovableClock, clerk: Contact
) -> None:
    assert ask(database, clock, clerk) == ask(database, clock, clerk, name="王伟")
    for number in range(1, 5):
        ask(database, clock, clerk, f"990000000000{number}")
    with pytest.raises(ConflictError, match="too_many_requests"):
        ask(database, clock, clerk, "9900000000009")
    assert ask(database, clock, clerk) > 0, "the one that waits is still found"


def test_a_request_waits_thirty_days(
    database: Database, clock: MovableClock, clerk: Contact
) -> None:
    request_id = ask(database, clock, clerk)
    clock.move(timedelta(days=30))
    assert waiting(database, clock) == []
    with pytest.raises(ConflictError, match="not_waiting"):
        decide(database, clock, request_id, is_approved=True)
    assert database.run(lambda s: expire_requests(s, clock.now())) == 1
    with database.read() as session:
        found = request_by_id(session, request_id)
    assert (found.state, found.applicant) == (RequestState.EXPIRED, None)
    assert ask(database, clock, clerk) != request_id


def test_unbinding_erases_the_persons_row_and_asking_again_begins_anew(
    database: Database, clock: MovableClock, clerk: Contact
) -> None:
    decide(database, clock, ask(database, clock, clerk), is_approved=True)
    with pytest.raises(ConflictError, match="already_bound"):
        ask(database, clock, clerk)
    database.run(lambda s: unbind_customer(s, clerk.id, FIRM, clock.now(), "王工"))
    with database.read() as session:
        query = select(customer_contacts).where(customer_contacts.c.origin == "binding")
        row = session.execute(query).one()
    assert (row.state, row.name, row.phone, row.phone_hash) == ("revoked", "", "", None)

    decide(database, clock, ask(database, clock, clerk, name="王伟"), is_approved=True, level=3)
    with database.read() as session:
        people = people_of(session, ACCOUNT, [FIRM])[FIRM]
    assert [(one.role, one.level, one.name) for one in people][-1] == ("agent", 3, "王伟")


def test_one_who_left_meanwhile_is_not_bound_and_their_words_are_erased(
    database: Database, clock: MovableClock, clerk: Contact
) -> None:
    request_id = ask(database, clock, clerk)
    database.run(lambda s: leave(s, ACCOUNT, openid(1), clock.now()))
    assert waiting(database, clock) == []
    with pytest.raises(ConflictError, match="not_waiting"):
        decide(database, clock, request_id, is_approved=True)
    with database.read() as session:
        assert session.execute(select(binding_requests.c.applicant)).scalar() == {}
        assert current_decision(session, clerk.id) is not Decision.AGREED


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": " "}, "bad_applicant"),
        ({"position": "财" * 41}, "bad_applicant"),
        ({"authorisation": ""}, "bad_applicant"),
        ({"phone": "12345"}, "bad_address"),
        ({"phone": "0713-1234567"}, "bad_address"),
    ],
)
def test_what_an_applicant_leaves_out_is_named_and_not_repeated(
    database: Database, clock: MovableClock, clerk: Contact, changes: dict[str, str], code: str
) -> None:
    with pytest.raises(InputError, match=code) as caught:
        ask(database, clock, clerk, **changes)
    assert "0713" not in str(caught.value)
    assert waiting(database, clock) == []


def test_senseless_decisions_are_refused(
    database: Database, clock: MovableClock, clerk: Contact
) -> None:
    request_id = ask(database, clock, clerk)
    with pytest.raises(InputError, match="no_reason"):
        decide(database, clock, request_id, is_approved=False, reason="  ")
    with pytest.raises(InputError, match="bad_level"):
        decide(database, clock, request_id, is_approved=True, level=0)
    with pytest.raises(NotFoundError, match="no_request"):
        decide(database, clock, 99, is_approved=True)
    assert waiting(database, clock) == [(request_id, "")]


def test_who_refused_notices_since_asking_is_bound_and_told_nothing(
    database: Database, clock: MovableClock, clerk: Contact
) -> None:
    request_id = ask(database, clock, clerk)
    clock.move(timedelta(days=1))
    refusal = DecideConsent(clerk.id, "v9", "d", False, "page")
    database.run(lambda s: decide_consent(s, refusal, clock.now()))
    clock.move(timedelta(days=1))
    decide(database, clock, request_id, is_approved=True)

    assert bound(database, clerk) == [FIRM]
    with database.read() as session:
        assert current_decision(session, clerk.id) is Decision.DECLINED
    assert told(database) == []


def test_who_agreed_on_their_own_since_asking_is_told(
    database: Database, clock: MovableClock, clerk: Contact
) -> None:
    request_id = ask(database, clock, clerk)
    clock.move(timedelta(days=1))
    consent = DecideConsent(clerk.id, "v9", "d", True, "page")
    database.run(lambda s: decide_consent(s, consent, clock.now()))
    decide(database, clock, request_id, is_approved=True)
    with database.read() as session:
        assert current_decision(session, clerk.id) is Decision.AGREED
    assert len(told(database)) == 1
