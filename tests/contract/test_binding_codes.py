"""Codes (验证码): what an outsider tries, and what anybody may do how often."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import time, timedelta

import pytest
from sqlalchemy import select, update

from gongdian.accounts.binding_model import CodeAnswer, CodeAsked
from gongdian.accounts.binding_requests import expire_requests
from gongdian.accounts.bindings import ask_resident_binding, unbind_customer
from gongdian.accounts.customer_tables import customers
from gongdian.accounts.messages import code_message_key
from gongdian.accounts.model import Contact
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import ConflictError
from gongdian.outbox.tables import messages
from tests.account_factories import (
    HOLDER,
    HOME,
    a_customer,
    a_firm,
    a_follower,
    a_person,
    put,
    resident_asks,
    sms_outbox,
)
from tests.factories import state_of
from tests.resident_binding import (
    OTHER,
    ask,
    audited,
    bound,
    code_of,
    confirm,
    request_row,
)


@pytest.fixture
def home(database: Database, clock: MovableClock) -> Contact:
    """A household on file, and its holder who follows."""
    put(database, clock.now(), a_customer(), a_person())
    return a_follower(database, clock.now(), is_agreed=False)


def wrong(code: str) -> str:
    return f"{(int(code or '0') + 1) % 10**6:06d}"


def test_an_unsent_code_is_withdrawn_when_a_newer_one_is_asked_for(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    first = ask(database, clock, home)
    code = code_of(database, home, first)
    second = ask(database, clock, home)
    assert state_of(database, code_message_key(first.request_id, home.id)) == "withdrawn"
    assert confirm(database, clock, home, first, code).answer is CodeAnswer.EXPIRED
    bind_code = code_of(database, home, second)
    assert confirm(database, clock, home, second, bind_code).answer is CodeAnswer.BOUND


def test_a_code_goes_out_at_night_too(database: Database, clock: MovableClock) -> None:
    put(database, clock.now(), a_customer(), a_person())
    contact = a_follower(database, clock.now())
    clock.move(timedelta(hours=13))
    outbox = sms_outbox(quiet_hours=(time(22), time(7)))
    asked = ask(database, clock, contact, outbox=outbox)
    with database.read() as session:
        row = session.execute(select(messages)).one()
    assert row.not_before == clock.now()
    assert row.expires_at == asked.expires_at


@pytest.mark.parametrize(
    ("customer_no", "name"), [(OTHER, HOLDER), (HOME, "李四"), ("9900001203457", HOLDER)]
)
def test_what_does_not_match_is_answered_alike_and_sends_nothing(
    database: Database, clock: MovableClock, home: Contact, customer_no: str, name: str
) -> None:
    put(database, clock.now(), a_firm(name=HOLDER), a_person("9900001203457"))
    asked = ask(database, clock, home, customer_no, name)

    assert asked.expires_at == clock.now() + timedelta(minutes=5)
    assert code_of(database, home, asked) == ""
    left = [confirm(database, clock, home, asked, f"{n:06d}") for n in range(6)]
    assert [one.answer for one in left[:4]] == [CodeAnswer.WRONG] * 4
    assert [one.answer for one in left[4:]] == [CodeAnswer.TOO_MANY] * 2
    assert [one.tries_left for one in left] == [4, 3, 2, 1, 0, 0]
    assert bound(database, home) == []


def test_a_closed_customer_and_one_without_a_phone_are_answered_alike(
    database: Database, clock: MovableClock
) -> None:
    put(
        database,
        clock.now(),
        a_customer(state="closed"),
        a_person(),
        a_customer(OTHER),
        a_person(OTHER, phone="0713-1234567"),
        a_person(OTHER, "L2", role="manager"),
    )
    contact = a_follower(database, clock.now())
    for number in (HOME, OTHER):
        asked = ask(database, clock, contact, number)
        assert code_of(database, contact, asked) == ""
        assert confirm(database, clock, contact, asked, "000000").answer is CodeAnswer.WRONG


def test_guessing_ends_after_five_tries_even_with_the_right_code(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    asked = ask(database, clock, home)
    code = code_of(database, home, asked)
    for left in (4, 3, 2, 1):
        done = confirm(database, clock, home, asked, wrong(code))
        assert (done.answer, done.tries_left) == (CodeAnswer.WRONG, left)
    assert confirm(database, clock, home, asked, "").answer is CodeAnswer.TOO_MANY
    assert confirm(database, clock, home, asked, code).answer is CodeAnswer.TOO_MANY
    assert bound(database, home) == []
    assert request_row(database, asked).state == "refused"


def test_a_code_is_good_for_five_minutes(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    asked = ask(database, clock, home)
    code = code_of(database, home, asked)
    clock.move(timedelta(minutes=5))
    assert confirm(database, clock, home, asked, code).answer is CodeAnswer.EXPIRED

    assert database.run(lambda s: expire_requests(s, clock.now())) == 1
    assert database.run(lambda s: expire_requests(s, clock.now())) == 0
    row = request_row(database, asked)
    assert (row.state, row.code_hash) == ("expired", None)
    with database.read() as session:
        content = session.execute(select(messages.c.content)).scalar()
    assert code not in str(content)


def test_the_code_of_one_contact_does_not_serve_another(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    thief = a_follower(database, clock.now(), 2)
    asked = ask(database, clock, home)
    code = code_of(database, home, asked)

    assert confirm(database, clock, thief, asked, code).answer is CodeAnswer.EXPIRED
    assert request_row(database, asked).tries == 0, "nor can they use up the tries"
    theirs = ask(database, clock, thief)
    if code_of(database, thief, theirs) != code:
        assert confirm(database, clock, thief, theirs, code).answer is CodeAnswer.WRONG
    assert confirm(database, clock, home, asked, code).answer is CodeAnswer.BOUND
    assert bound(database, thief) == []


def test_a_code_is_used_once_and_the_form_sent_twice_is_told_the_same(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    asked = ask(database, clock, home)
    code = code_of(database, home, asked)
    for _ in range(2):
        assert confirm(database, clock, home, asked, code).answer is CodeAnswer.BOUND
    assert audited(database) == ["accounts:binding:bound"]

    database.run(lambda s: unbind_customer(s, home.id, HOME, clock.now()))
    assert confirm(database, clock, home, asked, code).answer is CodeAnswer.EXPIRED
    assert bound(database, home) == [], "a replayed code binds nothing"


def test_a_contact_gets_three_codes_an_hour(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    for _ in range(2):
        ask(database, clock, home)
    ask(database, clock, home, OTHER)
    with pytest.raises(ConflictError, match="too_many_codes"):
        ask(database, clock, home)
    clock.move(timedelta(hours=1))
    assert code_of(database, home, ask(database, clock, home))


def test_a_phone_gets_three_codes_an_hour_whoever_asks_and_the_fourth_is_told_nothing(
    database: Database, clock: MovableClock
) -> None:
    put(database, clock.now(), a_customer(), a_person(), a_customer(OTHER), a_person(OTHER))
    sent = []
    for number in range(1, 5):
        contact = a_follower(database, clock.now(), number)
        asked = ask(database, clock, contact, OTHER if number % 2 else HOME)
        sent.append(bool(code_of(database, contact, asked)))
    assert sent == [True, True, True, False]


def test_two_at_once_count_each_other(database: Database, clock: MovableClock) -> None:
    """The fourth asks while the third is not committed yet: it waits, then counts it."""
    put(database, clock.now(), a_customer(), a_person())
    crowd = [a_follower(database, clock.now(), number) for number in range(1, 5)]
    for contact in crowd[:2]:
        ask(database, clock, contact)
    asked: list[CodeAsked] = []
    fourth = threading.Thread(target=lambda: asked.append(ask(database, clock, crowd[3])))

    with database.begin() as session:
        command = resident_asks(crowd[2])
        third = ask_resident_binding(session, sms_outbox(), command, clock.now())
        fourth.start()
        fourth.join(timeout=0.5)
        assert fourth.is_alive(), "it waits for the phone's lock"
    fourth.join()

    assert code_of(database, crowd[2], third)
    assert code_of(database, crowd[3], asked[0]) == ""


def test_a_request_of_an_earlier_holder_confirms_nothing(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    """Asked while a 过户 was being imported: the import had ended the requests before this one."""
    asked = ask(database, clock, home)
    code = code_of(database, home, asked)
    database.run(lambda s: s.execute(update(customers).values(holder=2)))
    assert confirm(database, clock, home, asked, code).answer is CodeAnswer.EXPIRED
    assert request_row(database, asked).state == "expired"


def test_many_guesses_at_once_are_five_tries(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    asked = ask(database, clock, home)
    code = code_of(database, home, asked)
    answers: list[CodeAnswer] = []

    def guess() -> None:
        answers.append(confirm(database, clock, home, asked, wrong(code)).answer)

    _together([guess] * 8)

    assert sorted(answers) == [CodeAnswer.TOO_MANY] * 4 + [CodeAnswer.WRONG] * 4
    assert request_row(database, asked).tries == 5


def test_the_right_code_twice_at_once_binds_once(
    database: Database, clock: MovableClock, home: Contact
) -> None:
    asked = ask(database, clock, home)
    code = code_of(database, home, asked)
    answers: list[CodeAnswer] = []
    _together([lambda: answers.append(confirm(database, clock, home, asked, code).answer)] * 2)
    assert answers == [CodeAnswer.BOUND] * 2
    assert audited(database) == ["accounts:binding:bound"]


def _together(works: Sequence[Callable[[], object]]) -> None:
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        gate.wait()
        work()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
