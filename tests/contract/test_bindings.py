"""Binding a household and ending it: what residents do, one 户号 at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from gongdian.accounts.binding_model import CodeAnswer, CodeChecked
from gongdian.accounts.bindings import (
    not_mine,
    not_mine_person,
    unbind_customer,
)
from gongdian.accounts.customer_tables import binding_requests, customer_contacts
from gongdian.accounts.messages import code_message_key
from gongdian.accounts.model import Contact, Decision
from gongdian.accounts.people import people_of
from gongdian.accounts.service import current_decision, leave
from gongdian.accounts.tables import consents
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import ConflictError, InputError, NotFoundError
from gongdian.outbox.model import SendingPolicy
from gongdian.outbox.tables import messages
from tests.account_factories import (
    HOLDER,
    HOME,
    PHONE,
    a_customer,
    a_follower,
    a_person,
    put,
)
from tests.factories import ACCOUNT, an_outbox, claim, openid
from tests.resident_binding import (
    OTHER,
    ask,
    audited,
    bind,
    bound,
    code_of,
    confirm,
    request_row,
)

SMS_POLICY = SendingPolicy(account=ACCOUNT, channel="sms")


@pytest.fixture
def home(database: Database, clock: MovableClock) -> Contact:
    """A household on file, and its holder who follows."""
    put(database, clock.now(), a_customer(), a_person())
    return a_follower(database, clock.now(), is_agreed=False)


def test_a_resident_binds_by_the_code_to_the_phone_on_file(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    asked = ask(database, clock, home, name=f" {HOLDER[0]} {HOLDER[1:]}")
    code = code_of(database, home, asked)
    assert (len(code), asked.expires_at) == (6, clock.now() + timedelta(minutes=5))

    done = confirm(database, clock, home, asked, f" {code[:3]} {code[3:]}")

    assert done == CodeChecked(CodeAnswer.BOUND, HOME)
    assert bound(database, home) == [HOME]
    with database.read() as session:
        (person,) = people_of(session, ACCOUNT, [HOME])[HOME]
        row = session.execute(select(consents)).one()
        kinds = session.execute(select(messages.c.kind, messages.c.channel)).all()
    assert (person.recipient, person.openid) == (home.number, openid(1))
    assert (row.decision, row.version, row.source) == (
        "agreed",
        "v3",
        f"binding:{asked.request_id}",
    )
    assert [tuple(kind) for kind in kinds] == [
        ("binding_code", "sms"),
        ("binding_done", "wechat_template"),
    ]
    assert audited(database) == ["accounts:binding:bound"]


def test_a_used_code_is_gone_from_request_message_and_timeline(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    asked = ask(database, clock, home)
    key, code = code_message_key(asked.request_id, home.id), code_of(database, home, asked)
    with database.read() as session:
        shown = session.execute(select(messages.c.content).where(messages.c.key == key)).scalar()
    assert code not in str(shown["fields"]), "clerks never see it, not even before it is used"
    (sent,) = claim(database, clock.now(), policy=SMS_POLICY)
    assert sent.content["params"]["code"] == code

    confirm(database, clock, home, asked, code)

    with database.read() as session:
        row = session.execute(select(messages).where(messages.c.key == key)).one()
    assert code not in str(row.content)
    assert set(row.content) == {"title", "fields", "url"}
    assert row.address == ""
    assert request_row(database, asked).code_hash is None


def test_a_second_contact_with_the_same_phone_on_file_gets_a_row_of_their_own(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    spouse = a_follower(database, clock.now(), 2)
    bind(database, clock, home)
    bind(database, clock, spouse)

    with database.read() as session:
        rows = session.execute(select(customer_contacts).order_by(customer_contacts.c.id)).all()
    assert [(row.contact_no, row.contact_id, row.role, row.level) for row in rows] == [
        ("L1", home.id, "owner", 1),
        (f"wx{spouse.id}", spouse.id, "owner", 1),
    ]
    assert rows[1].phone == "", "the phone is that of the person on file"
    assert bound(database, spouse) == [HOME]


def test_a_holder_who_changes_between_code_and_confirmation_is_not_bound(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    asked = ask(database, clock, home)
    code = code_of(database, home, asked)
    put(database, clock.now(), a_customer(name="李四"), a_person(name="李四"))
    assert confirm(database, clock, home, asked, code).answer is CodeAnswer.EXPIRED
    assert request_row(database, asked).state == "withdrawn"
    assert bound(database, home) == []


def test_one_who_left_confirms_nothing(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    asked = ask(database, clock, home)
    code = code_of(database, home, asked)
    database.run(lambda s: leave(s, ACCOUNT, openid(1), clock.now()))
    assert confirm(database, clock, home, asked, code).answer is CodeAnswer.EXPIRED
    with pytest.raises(NotFoundError):
        ask(database, clock, home)


def test_unbinding_one_customer_leaves_the_others_and_the_phone_on_file(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    put(database, clock.now(), a_customer(OTHER), a_person(OTHER, phone="13700007777"))
    bind(database, clock, home)
    bind(database, clock, home, OTHER)

    assert database.run(lambda s: unbind_customer(s, home.id, HOME, clock.now()))
    assert not database.run(lambda s: unbind_customer(s, home.id, HOME, clock.now()))

    assert bound(database, home) == [OTHER]
    with database.read() as session:
        (person,) = people_of(session, ACCOUNT, [HOME])[HOME]
        assert current_decision(session, home.id) is Decision.AGREED
    assert (person.contact_id, person.fallbacks[0].address) == (None, PHONE)
    assert audited(database)[-1] == "accounts:binding:unbound"


def test_not_mine_ends_the_binding_and_the_use_of_the_phone_until_it_is_proven_again(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    bind(database, clock, home)
    assert database.run(lambda s: not_mine(s, home.id, HOME, clock.now()))
    assert not database.run(lambda s: not_mine(s, home.id, HOME, clock.now()))
    with database.read() as session:
        assert people_of(session, ACCOUNT, [HOME])[HOME] == ()
    assert audited(database)[-1] == "accounts:binding:disowned"

    bind(database, clock, home)
    with database.read() as session:
        assert len(people_of(session, ACCOUNT, [HOME])[HOME]) == 1


def test_not_mine_without_wechat_silences_that_phone_for_that_customer_alone(
    database: Database, clock: MovableClock
) -> None:
    put(
        database,
        clock.now(),
        a_customer(),
        a_person(),
        a_person(contact_no="L2", role="agent"),
        a_customer(OTHER),
        a_person(OTHER),
    )
    with database.read() as session:
        person = people_of(session, ACCOUNT, [OTHER])[OTHER][0]

    assert database.run(lambda s: not_mine_person(s, person.id, HOME, clock.now()))
    assert not database.run(lambda s: not_mine_person(s, person.id, HOME, clock.now()))

    with database.read() as session:
        found = people_of(session, ACCOUNT, [HOME, OTHER])
    assert (len(found[HOME]), len(found[OTHER])) == (0, 1)
    assert audited(database) == ["accounts:binding:disowned"]


@pytest.mark.parametrize("number", ["", "12", "99' OR 1=1", "9" * 21, "户号"])
def test_what_cannot_be_a_number_is_refused_before_anything_is_looked_up(
    database: Database, clock: MovableClock, home: Contact, number: str
) -> None:
    with pytest.raises(InputError, match="bad_customer_no"):
        ask(database, clock, home, number)
    with pytest.raises(InputError, match="bad_name"):
        ask(database, clock, home, HOME, " ")
    with database.read() as session:
        assert session.execute(select(binding_requests)).all() == []


def test_a_full_width_number_is_the_same_number(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    wide = "".join(chr(ord(one) + 0xFEE0) for one in HOME)
    assert code_of(database, home, ask(database, clock, home, wide))


def test_a_customer_who_is_bound_already_is_told_so(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    bind(database, clock, home)
    with pytest.raises(ConflictError, match="already_bound"):
        ask(database, clock, home)


def test_an_installation_without_text_messages_says_so_to_everybody(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    for number in (HOME, OTHER):
        with pytest.raises(ConflictError, match="no_sms"):
            ask(database, clock, home, number, outbox=an_outbox())
