"""Who is told about a customer, and where: levels, WeChat, phones on file, one person once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gongdian.accounts.binding_rows import bind_feed_person, bind_own_row
from gongdian.accounts.channels import mark_channel_refused, set_channel
from gongdian.accounts.model import ContactState, DecideConsent
from gongdian.accounts.people import Person, customers_of_contact, people_of
from gongdian.accounts.service import decide_consent, leave, mark_refused, meet_contact
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.model import FallbackStep, RecipientRefused
from tests.account_factories import (
    FIRM,
    HOME,
    PHONE,
    a_customer,
    a_firm,
    a_follower,
    a_person,
    put,
)
from tests.factories import ACCOUNT, openid

SMS = FallbackStep("sms", PHONE)


def people(database: Database, customer_no: str = HOME) -> tuple[Person, ...]:
    with database.read() as session:
        return people_of(session, ACCOUNT, [customer_no])[customer_no]


def bind(database: Database, clock: MovableClock, contact_id: int, person_id: int) -> None:
    assert database.run(lambda s: bind_feed_person(s, person_id, contact_id, clock.now()))


def test_people_come_by_level_and_position_and_the_manager_is_none_of_them(
    database: Database, clock: MovableClock
) -> None:
    put(
        database,
        clock.now(),
        a_firm(),
        a_person(FIRM, "3", role="legal_person", level=2, phone="13700000003"),
        a_person(FIRM, "2", role="electrical", position=2, phone="13700000002"),
        a_person(FIRM, "1", role="finance", phone="13700000001"),
        a_person(FIRM, "4", role="manager", phone="13700000004"),
    )
    found = people(database, FIRM)
    assert [one.role for one in found] == ["finance", "electrical", "legal_person"]
    assert [one.recipient for one in found] == [f"p{one.id}" for one in found]
    assert {one.openid for one in found} == {""}


def test_everybody_asked_for_is_answered_also_where_there_is_nobody(
    database: Database, clock: MovableClock
) -> None:
    put(database, clock.now(), a_customer(), a_person())
    with database.read() as session:
        found = people_of(session, ACCOUNT, [FIRM, HOME, HOME, "9900000000000"])
        assert people_of(session, ACCOUNT, []) == {}
    assert {number: len(one) for number, one in found.items()} == {
        FIRM: 0,
        HOME: 1,
        "9900000000000": 0,
    }


@pytest.mark.parametrize(
    ("channels", "phone", "mail", "wanted"),
    [
        ("wechat_template,sms", PHONE, "li@example.com", ["sms"]),
        ("mail,sms", PHONE, "li@example.com", ["mail", "sms"]),
        ("wechat_template", PHONE, "", []),
        ("", PHONE, "li@example.com", ["sms", "mail"]),
        ("sms", "0713-1234567", "", []),
        ("sms,mail", "", "nobody", []),
    ],
)
def test_without_wechat_phone_and_mail_on_file_are_used_as_the_file_says(
    database: Database,
    clock: MovableClock,
    channels: str,
    phone: str,
    mail: str,
    wanted: list[str],
) -> None:
    put(database, clock.now(), a_customer(), a_person(channels=channels, phone=phone, mail=mail))
    (person,) = people(database)
    assert [step.channel for step in person.fallbacks] == wanted


def test_a_follower_who_agreed_is_reached_over_wechat_and_at_the_phone_on_file(
    database: Database, clock: MovableClock
) -> None:
    put(database, clock.now(), a_customer(), a_person())
    contact = a_follower(database, clock.now())
    bind(database, clock, contact.id, people(database)[0].id)

    (person,) = people(database)

    assert (person.recipient, person.contact_id) == (contact.number, contact.id)
    assert (person.openid, person.fallbacks) == (openid(1), (SMS,))


def test_what_the_contact_said_about_their_channels_counts_before_the_file(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    put(database, now, a_customer(), a_person())
    contact = a_follower(database, now)
    bind(database, clock, contact.id, people(database)[0].id)
    mail = FallbackStep("mail", "li@example.com", timedelta(minutes=5))
    other = FallbackStep("sms", "13700007777")

    def work(session: object) -> None:
        set_channel(session, contact.id, other, 1, now)  # type: ignore[arg-type]
        set_channel(session, contact.id, mail, 0, now)  # type: ignore[arg-type]

    database.run(work)
    assert people(database)[0].fallbacks == (mail, other)

    refused = RecipientRefused(ACCOUNT, address_hash("13700007777"), "empty_number")
    database.run(lambda s: mark_channel_refused(s, refused, now))
    assert people(database)[0].fallbacks == (mail,)
    database.run(lambda s: set_channel(s, contact.id, mail, 0, now, is_wanted=False))
    assert people(database)[0].fallbacks == (), "who turned all off is not written to instead"


@pytest.mark.parametrize("why", ["never_asked", "declined", "not_following", "refused"])
def test_without_consent_or_following_no_openid_is_used(
    database: Database, clock: MovableClock, why: str
) -> None:
    now = clock.now()
    put(database, now, a_customer(), a_person())
    contact = a_follower(database, now, is_agreed=why not in ("never_asked",))
    if why == "not_following":
        contact = database.run(lambda s: meet_contact(s, ACCOUNT, openid(2), now))
        assert contact.state is ContactState.MET
    if why == "declined":
        no = DecideConsent(contact.id, "v1", "d", is_agreed=False, source="later")
        database.run(lambda s: decide_consent(s, no, now))
    if why == "refused":
        refused = RecipientRefused(ACCOUNT, address_hash(openid(1)), "wechat_43004")
        database.run(lambda s: mark_refused(s, refused, now))
    bind(database, clock, contact.id, people(database)[0].id)

    (person,) = people(database)

    assert (person.recipient, person.openid) == (contact.number, "")
    assert person.fallbacks == (SMS,)


def test_one_who_left_is_again_a_phone_on_file(database: Database, clock: MovableClock) -> None:
    put(database, clock.now(), a_customer(), a_person())
    contact = a_follower(database, clock.now())
    bind(database, clock, contact.id, people(database)[0].id)
    database.run(lambda s: leave(s, ACCOUNT, openid(1), clock.now()))

    (person,) = people(database)

    assert (person.recipient, person.contact_id, person.openid) == (f"p{person.id}", None, "")
    assert person.fallbacks == (SMS,)


def test_a_contact_of_another_account_is_a_phone_on_file_here(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    put(database, now, a_customer(), a_person())
    stranger = database.run(lambda s: meet_contact(s, "wxother", openid(1), now))
    bind(database, clock, stranger.id, people(database)[0].id)
    (person,) = people(database)
    assert (person.recipient, person.contact_id, person.openid) == (f"p{person.id}", None, "")


def test_one_phone_on_several_supply_points_of_a_party_is_one_recipient(
    database: Database, clock: MovableClock
) -> None:
    """Knock's batch key: three supply points out are one message."""
    numbers = [f"990000000000{number}" for number in range(3)]
    put(
        database,
        clock.now(),
        *(a_customer(number, party_no="P1") for number in numbers),
        a_customer("9900000000009", party_no="P2"),
        *(a_person(number) for number in [*numbers, "9900000000009"]),
    )
    with database.read() as session:
        found = people_of(session, ACCOUNT, [*numbers, "9900000000009"])
        alone = people_of(session, ACCOUNT, numbers[2:])
    recipients = {number: one[0].recipient for number, one in found.items()}
    assert len({recipients[number] for number in numbers}) == 1
    assert recipients["9900000000009"] not in {recipients[number] for number in numbers}
    assert alone[numbers[2]][0].recipient == recipients[numbers[2]], "whatever the batch"


def test_one_contact_has_many_customers_and_one_customer_many_contacts(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    put(database, now, a_customer(), a_firm(), a_person(), a_person(FIRM, phone="13700007777"))
    first, second = a_follower(database, now), a_follower(database, now, 2)
    bind(database, clock, first.id, people(database)[0].id)
    bind(database, clock, first.id, people(database, FIRM)[0].id)
    database.run(lambda s: bind_own_row(s, second.id, FIRM, 1, now, role="agent", level=2))

    with database.read() as session:
        mine = customers_of_contact(session, first.id)
        theirs = customers_of_contact(session, second.id)

    assert [(one.customer_no, one.role) for one in mine] == [(HOME, "owner"), (FIRM, "owner")]
    assert [(one.customer_no, one.role, one.level) for one in theirs] == [(FIRM, "agent", 2)]
    assert [one.recipient for one in people(database, FIRM)] == [first.number, second.number]


def test_a_person_tells_nothing_of_themselves_in_logs(
    database: Database, clock: MovableClock
) -> None:
    put(database, clock.now(), a_customer(), a_person())
    text = repr(people(database)[0])
    assert PHONE not in text
    assert "张" not in text
