"""Customers and their people from the feeds: new, changed, the same; 过户, 更名, 销户."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from gongdian.accounts.binding_rows import bind_feed_person, bind_own_row
from gongdian.accounts.bindings import not_mine
from gongdian.accounts.customer_contacts import apply_contacts
from gongdian.accounts.customer_keys import name_hash
from gongdian.accounts.customer_tables import customer_contacts, customers
from gongdian.accounts.customers import CustomersApplied, apply_customers, customers_of
from gongdian.accounts.people import customers_of_contact, people_of
from gongdian.audit import audit_rows
from gongdian.clock import MovableClock
from gongdian.db import AnyRow, Database
from tests.account_factories import (
    COMPANY,
    FIRM,
    HOLDER,
    HOME,
    PHONE,
    a_customer,
    a_firm,
    a_follower,
    a_person,
    put,
)
from tests.factories import ACCOUNT


def stored(database: Database, table: Any, **by: Any) -> list[AnyRow]:
    with database.read() as session:
        query = select(table).where(*(table.c[name] == value for name, value in by.items()))
        return list(session.execute(query.order_by(table.c.id)))


def bind(database: Database, clock: MovableClock, customer_no: str, contact_id: int) -> None:
    """Bind a contact to the first person on file."""
    (person, *_) = stored(database, customer_contacts, customer_no=customer_no)
    assert database.run(lambda s: bind_feed_person(s, person.id, contact_id, clock.now()))


def bound(database: Database, contact_id: int) -> list[str]:
    with database.read() as session:
        return [one.customer_no for one in customers_of_contact(session, contact_id)]


def test_rows_are_counted_as_new_the_same_or_changed_and_know_their_run(
    database: Database, clock: MovableClock
) -> None:
    first = put(database, clock.now(), a_customer(), a_firm(row_no=3), run_id=7)
    again = put(database, clock.now(), a_customer(row_no=9), a_firm(row_no=8), run_id=8)
    moved = put(database, clock.now(), a_customer(station="城东供电所", row_no=5), run_id=9)

    assert (first.new, first.changed, first.same) == (2, 0, 0)
    assert (again.new, again.changed, again.same) == (0, 0, 2)
    assert moved == CustomersApplied(changed=1)
    (home,) = stored(database, customers, customer_no=HOME)
    (firm,) = stored(database, customers, customer_no=FIRM)
    assert (home.run_id, home.row_no, home.station) == (9, 5, "城东供电所")
    assert (firm.run_id, firm.row_no) == (7, 3)
    assert (home.name, home.address) == (HOLDER, "云溪县城关镇东关村2组18号")


def test_the_same_batch_twice_changes_nothing(database: Database, clock: MovableClock) -> None:
    rows = [a_customer(f"99{number:011d}", capacity_kva=33.3) for number in range(50)]
    assert put(database, clock.now(), *rows).new == 50
    assert put(database, clock.now(), *rows).same == 50


def test_the_last_row_of_a_number_counts_within_a_batch(
    database: Database, clock: MovableClock
) -> None:
    applied = put(database, clock.now(), a_customer(station="甲"), a_customer(station="乙"))
    assert applied.new == 1
    assert stored(database, customers, customer_no=HOME)[0].station == "乙"


def test_a_source_without_parties_has_one_for_each_customer_and_nothing_is_empty_text(
    database: Database, clock: MovableClock
) -> None:
    row = a_customer(party_no=None, autopay=None, capacity_kva=None)
    put(database, clock.now(), row)
    (home,) = stored(database, customers, customer_no=HOME)
    assert (home.party_no, home.autopay, home.capacity_kva) == (HOME, "", None)
    assert put(database, clock.now(), row).same == 1


@pytest.mark.parametrize("change", [{"party_no": "P2"}, {"name": "李四"}])
def test_a_new_party_or_name_is_a_new_holder_and_revokes_what_was_bound(
    database: Database, clock: MovableClock, change: dict[str, str]
) -> None:
    put(database, clock.now(), a_customer(), a_person())
    old, other = a_follower(database, clock.now()), a_follower(database, clock.now(), 2)
    bind(database, clock, HOME, old.id)
    database.run(lambda s: bind_own_row(s, other.id, HOME, 1, clock.now(), role="owner", level=1))
    assert bound(database, old.id) == bound(database, other.id) == [HOME]

    applied = put(database, clock.now(), a_customer(**change), run_id=4)

    assert (applied.changed, applied.holder_changed, applied.closed) == (1, [HOME], [])
    assert bound(database, old.id) == bound(database, other.id) == []
    with database.read() as session:
        assert customers_of(session, [HOME])[HOME].holder == 2
        rows = session.execute(
            select(audit_rows).where(audit_rows.c.action == "accounts:binding:revoked")
        ).all()
    assert [(row.subject, row.actor) for row in rows] == [
        (old.number, "import:4"),
        (other.number, "import:4"),
    ]
    assert all(HOLDER not in row.details and PHONE not in row.details for row in rows)


def test_a_name_in_other_brackets_or_with_blanks_is_the_same_holder(
    database: Database, clock: MovableClock
) -> None:
    put(database, clock.now(), a_firm(name="云溪县（城东）米厂"))
    applied = put(database, clock.now(), a_firm(name="云溪县 (城东) 米厂 "))
    assert (applied.changed, applied.holder_changed) == (1, [])
    assert name_hash("云溪县[城东]米厂") == name_hash("云溪县（城东）米厂")
    assert name_hash("云溪县城东米厂") != name_hash("云溪县（城东）米厂")


def test_closing_revokes_bindings_once_and_opening_again_gives_none_back(
    database: Database, clock: MovableClock
) -> None:
    put(database, clock.now(), a_customer(), a_person())
    contact = a_follower(database, clock.now())
    bind(database, clock, HOME, contact.id)

    closed = put(database, clock.now(), a_customer(state="closed"))
    again = put(database, clock.now(), a_customer(state="closed"))
    put(database, clock.now(), a_customer(), a_person())

    assert (closed.closed, closed.holder_changed) == ([HOME], [])
    assert again.closed == []
    assert bound(database, contact.id) == []


def test_the_people_on_file_count_for_a_new_holder_when_the_feed_names_them_again(
    database: Database, clock: MovableClock
) -> None:
    put(database, clock.now(), a_customer(), a_person())
    put(database, clock.now(), a_customer(name="李四", party_no="P2"))
    with database.read() as session:
        assert people_of(session, ACCOUNT, [HOME]) == {HOME: ()}

    put(database, clock.now(), a_person(name="李四", phone="13700007777"))

    with database.read() as session:
        (person,) = people_of(session, ACCOUNT, [HOME])[HOME]
    assert (person.name, person.fallbacks[0].address) == ("李四", "13700007777")


def test_people_are_counted_kept_when_missing_and_revoked_when_the_feed_says_so(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    put(database, now, a_firm())
    people = [a_person(FIRM, "1"), a_person(FIRM, "2", role="finance", phone="13700007777")]

    def applied(*rows: Any) -> tuple[int, int, int]:
        done = database.run(lambda s: apply_contacts(s, rows, 3, now))
        return done.new, done.changed, done.same

    assert applied(*people) == (2, 0, 0)
    assert applied(*people) == (0, 0, 2)
    assert applied(people[0]._replace(level=2)) == (0, 1, 0)
    assert applied(people[1]._replace(state="revoked")) == (0, 1, 0)
    with database.read() as session:
        found = people_of(session, ACCOUNT, [FIRM])[FIRM]
    assert [(one.role, one.level) for one in found] == [("owner", 2)]
    assert applied(people[1]) == (0, 1, 0), "the feed may take it back"


def test_one_whom_the_feed_revokes_or_replaces_loses_the_wechat_contact(
    database: Database, clock: MovableClock
) -> None:
    put(database, clock.now(), a_customer(), a_person())
    contact = a_follower(database, clock.now())

    bind(database, clock, HOME, contact.id)
    put(database, clock.now(), a_person(phone="13700007777"))
    assert bound(database, contact.id) == [HOME], "the same person with a new number"

    put(database, clock.now(), a_person(name="李四", phone="13700007777"))
    assert bound(database, contact.id) == []

    bind(database, clock, HOME, contact.id)
    put(database, clock.now(), a_person(name="李四", phone="13700007777", state="revoked"))
    put(database, clock.now(), a_person(name="李四", phone="13700007777"))
    assert bound(database, contact.id) == [], "what was revoked is bound anew or not at all"


def test_a_feed_cannot_take_over_what_came_by_binding(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    put(database, now, a_customer())
    contact = a_follower(database, now)
    database.run(lambda s: bind_own_row(s, contact.id, HOME, 1, now, role="owner", level=1))
    put(database, now, a_person(contact_no=f"wx{contact.id}"))
    (row,) = stored(database, customer_contacts)
    assert (row.origin, row.phone, row.contact_id) == ("binding", "", contact.id)


def test_who_said_not_mine_stays_out_until_the_feed_has_another_number(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    put(database, now, a_customer(), a_person())
    contact = a_follower(database, now)
    bind(database, clock, HOME, contact.id)
    assert database.run(lambda s: not_mine(s, contact.id, HOME, now))

    put(database, now, a_person(), run_id=2)
    with database.read() as session:
        assert people_of(session, ACCOUNT, [HOME])[HOME] == ()
    put(database, now, a_person(phone="13700007777"), run_id=3)
    with database.read() as session:
        assert len(people_of(session, ACCOUNT, [HOME])[HOME]) == 1


def test_names_phones_and_addresses_are_not_readable_in_the_database(
    database: Database, clock: MovableClock
) -> None:
    put(database, clock.now(), a_firm(), a_person(FIRM, mail="li@example.com"))
    with database.read() as session:
        raw = b"".join(
            bytes(value) if isinstance(value, bytes) else str(value).encode()
            for table in ("customers", "customer_contacts")
            for row in session.exec_driver_sql(f"SELECT * FROM {table}")
            for value in row
        )
    for word in (COMPANY, HOLDER, PHONE, "东关村", "li@example.com"):
        assert word.encode() not in raw


def test_unknown_numbers_are_left_out_of_the_facts(database: Database, clock: MovableClock) -> None:
    put(database, clock.now(), a_customer(is_prepaid=True, autopay="bank_debit"))
    with database.read() as session:
        facts = customers_of(session, [HOME, FIRM, HOME])
    assert list(facts) == [HOME]
    assert (facts[HOME].is_prepaid, facts[HOME].autopay, facts[HOME].name) == (
        True,
        "bank_debit",
        HOLDER,
    )
    assert HOLDER not in repr(facts)


def test_an_empty_batch_does_nothing(database: Database, clock: MovableClock) -> None:
    now = clock.now() + timedelta(days=1)
    assert database.run(lambda s: apply_customers(s, [], 1, now)) == CustomersApplied()
    assert database.run(lambda s: apply_contacts(s, [], 1, now)).new == 0
