"""Contacts and consents: meeting, following, leaving, deciding."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from gongdian.accounts.channels import fallback_steps, set_channel
from gongdian.accounts.model import Contact, ContactState, DecideConsent, Decision
from gongdian.accounts.queries import contact_by_id, count_contacts
from gongdian.accounts.service import (
    current_decision,
    decide_consent,
    follow,
    leave,
    mark_refused,
    meet_contact,
    withdraw_consent,
)
from gongdian.accounts.tables import consents, contacts
from gongdian.audit import audit_rows
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import NotFoundError
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.model import CHANNEL_SMS, FallbackStep, RecipientRefused
from tests.factories import ACCOUNT, OPENID, claim, queue, row_of, state_of


def follows(database: Database, clock: MovableClock, openid: str = OPENID) -> Contact:
    return database.run(lambda s: follow(s, ACCOUNT, openid, "qr_1", clock.now()))


def decides(
    database: Database,
    clock: MovableClock,
    contact: Contact,
    source: str,
    *,
    is_agreed: bool = True,
    version: str = "v1",
) -> None:
    asked = DecideConsent(contact.id, version, "digest", is_agreed, source)
    database.run(lambda s: decide_consent(s, asked, clock.now()))


def decision(database: Database, contact: Contact) -> Decision | None:
    with database.read() as session:
        return current_decision(session, contact.id)


def recorded(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        query = select(consents.c.decision, consents.c.version).order_by(consents.c.id)
        return [(row[0], row[1]) for row in session.execute(query)]


def test_a_person_is_met_once_and_named_by_number(database: Database, clock: MovableClock) -> None:
    first = database.run(lambda s: meet_contact(s, ACCOUNT, OPENID, clock.now()))
    again = database.run(lambda s: meet_contact(s, ACCOUNT, OPENID, clock.now()))
    other = database.run(lambda s: meet_contact(s, "wxother", OPENID, clock.now()))
    assert first == again
    assert (first.state, first.number) == (ContactState.MET, f"c{first.id}")
    assert other.id != first.id


def test_following_after_meeting_is_the_same_person(
    database: Database, clock: MovableClock
) -> None:
    met = database.run(lambda s: meet_contact(s, ACCOUNT, OPENID, clock.now()))
    assert follows(database, clock) == Contact(met.id, OPENID, ContactState.FOLLOWING)
    with database.read() as session:
        assert count_contacts(session) == {"following": 1}


def test_leaving_erases_the_openid_withdraws_messages_and_ends_the_consent(
    database: Database, clock: MovableClock
) -> None:
    contact = follows(database, clock)
    decides(database, clock, contact, "m1")
    queued, sending = queue(database, clock.now(), "one#1"), queue(database, clock.now(), "two#1")
    claim(database, clock.now(), wanted=1)
    assert database.run(lambda s: leave(s, ACCOUNT, OPENID, clock.now())) == 1
    with database.read() as session:
        row = session.execute(select(contacts)).one()
        assert (row.state, row.openid, row.scene) == ("left", None, "")
        with pytest.raises(NotFoundError):
            contact_by_id(session, contact.id)
    states = {state_of(database, queued), state_of(database, sending)}
    assert states == {"sending", "withdrawn"}
    assert [row_of(database, key).address for key in (queued, sending)] == ["", ""]
    assert decision(database, contact) is Decision.WITHDRAWN


def test_leaving_twice_or_unseen_changes_nothing_more(
    database: Database, clock: MovableClock
) -> None:
    contact = follows(database, clock)
    decides(database, clock, contact, "m1")
    for _ in range(2):
        database.run(lambda s: leave(s, ACCOUNT, OPENID, clock.now()))
    assert database.run(lambda s: leave(s, ACCOUNT, "oStranger", clock.now())) == 0
    assert recorded(database) == [("agreed", "v1"), ("withdrawn", "")]


def test_following_again_keeps_the_number_but_not_the_consent(
    database: Database, clock: MovableClock
) -> None:
    contact = follows(database, clock)
    decides(database, clock, contact, "m1")
    database.run(lambda s: leave(s, ACCOUNT, OPENID, clock.now()))
    assert follows(database, clock) == contact
    assert decision(database, contact) is Decision.WITHDRAWN


def test_the_same_decision_is_recorded_once_and_a_new_version_anew(
    database: Database, clock: MovableClock
) -> None:
    contact = follows(database, clock)
    decides(database, clock, contact, "m1")
    decides(database, clock, contact, "m1")
    decides(database, clock, contact, "m2", version="v2")
    assert recorded(database) == [("agreed", "v1"), ("agreed", "v2")]


def test_the_latest_decision_counts_whatever_came_before(
    database: Database, clock: MovableClock
) -> None:
    contact = follows(database, clock)
    for is_agreed in (True, False, True):
        decides(database, clock, contact, "m1", is_agreed=is_agreed)
    assert decision(database, contact) is Decision.AGREED


def test_unbinding_ends_the_consent_and_forgets_the_address(
    database: Database, clock: MovableClock
) -> None:
    contact = follows(database, clock)
    decides(database, clock, contact, "m1")
    key = queue(database, clock.now())
    step = FallbackStep(CHANNEL_SMS, "13800001111")
    database.run(lambda s: set_channel(s, contact.id, step, 0, clock.now()))
    assert database.run(lambda s: withdraw_consent(s, contact, "text", clock.now()))
    with database.read() as session:
        assert fallback_steps(session, contact.id) == (step,)
    assert not database.run(lambda s: withdraw_consent(s, contact, "text", clock.now()))
    assert (state_of(database, key), row_of(database, key).address) == ("withdrawn", "")
    assert decision(database, contact) is Decision.WITHDRAWN
    again = database.run(lambda s: meet_contact(s, ACCOUNT, OPENID, clock.now()))
    assert again == contact, "still following, and known again when they write"


def test_a_refused_recipient_is_marked_until_they_follow_again(
    database: Database, clock: MovableClock
) -> None:
    contact = follows(database, clock)
    refused = RecipientRefused(ACCOUNT, address_hash(OPENID), "wechat_43004")
    database.run(lambda s: mark_refused(s, refused, clock.now()))
    with database.read() as session:
        assert contact_by_id(session, contact.id).state is ContactState.REFUSED
    clock.move(timedelta(days=1))
    assert follows(database, clock).state is ContactState.FOLLOWING
    database.run(lambda s: leave(s, ACCOUNT, OPENID, clock.now()))
    database.run(lambda s: mark_refused(s, refused, clock.now()))
    with database.read() as session:
        assert count_contacts(session) == {"left": 1}


def test_consents_and_leaving_are_audited_without_personal_data(
    database: Database, clock: MovableClock
) -> None:
    contact = follows(database, clock)
    decides(database, clock, contact, "m1")
    database.run(lambda s: leave(s, ACCOUNT, OPENID, clock.now()))
    with database.read() as session:
        rows = session.execute(select(audit_rows).order_by(audit_rows.c.id)).all()
    assert [row.action for row in rows] == [
        "accounts:consent:agreed",
        "accounts:consent:withdrawn",
        "accounts:contact:left",
    ]
    assert all(OPENID not in row.details and row.subject == contact.number for row in rows)
