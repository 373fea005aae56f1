"""The letter before a cut: who may do what, what proof it needs, when it is worth nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update

from gongdian.accounts.customers import apply_customers
from gongdian.arrears.demands import RecordDemand, record_demand
from gongdian.arrears.events import facts_changed
from gongdian.arrears.facts import NEEDED_FEEDS, load_debts
from gongdian.arrears.letters import (
    ApproveLetter,
    LetterFacts,
    RecordService,
    approve_letter,
    letter_facts,
    letter_pdf,
    prepare_letter,
    record_service,
    void_letter,
)
from gongdian.arrears.rules import notice_of, seed_rules
from gongdian.arrears.tables import letters
from gongdian.audit import audit_rows
from gongdian.billing.rows import BillRow, PaymentRow
from gongdian.billing.service import apply_bills, apply_payments
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import ConflictError, InputError, NotFoundError, PermissionDeniedError
from gongdian.feeds import FeedState, note_feed
from tests.account_factories import FIRM, a_firm

DUE = date(2026, 10, 20)
PDF = b"%PDF-1.7 the paper"
CLERK, BOSS = "张工", "陈所长"


@pytest.fixture
def debtor(database: Database, clock: MovableClock) -> Database:
    """A firm that owes 9,000.00 yuan since 2026-10-20 and was visited; it is 34 days later."""

    def work(session):
        now = clock.now()
        seed_rules(session, "test", now)
        apply_customers(session, [a_firm()], 1, now)
        lines = "{}"
        row = BillRow(
            1, FIRM, "Y1", 1, "normal", "202609", 900_000, date(2026, 10, 5), DUE, 0.0, lines
        )
        apply_bills(session, [row], 1, now)
        facts_changed(session, [FIRM], now)
        told = RecordDemand(FIRM, "visit", "照片 1", now - timedelta(days=18), CLERK)
        record_demand(session, told, now)

    database.run(work)
    fresh(database, clock)
    return database


def fresh(database: Database, clock: MovableClock) -> None:
    """Every feed has just come, and the next one may take long."""
    for feed in NEEDED_FEEDS:
        at = clock.now()
        state = FeedState(feed, at, at, 1, timedelta(days=30), timedelta(hours=6))
        database.run(lambda session: note_feed(session, state))  # noqa: B023


def prepares(database: Database, clock: MovableClock, by: str = CLERK) -> LetterFacts:
    def work(session):
        notice = notice_of(session, FIRM, clock.now())
        return prepare_letter(session, FIRM, notice, by, clock.now())

    return database.run(work)


def approves(database: Database, clock: MovableClock, number: str, by: str = BOSS) -> None:
    command = ApproveLetter(number, by, (BOSS, CLERK), PDF)
    database.run(lambda session: approve_letter(session, command, clock.now()))


def serves(database: Database, clock: MovableClock, number: str, **changes) -> date:
    given = {"kind": "signed", "reference": "李敏签收", "served_at": clock.now(), "by": CLERK}
    command = RecordService(number, **{**given, **changes})
    return database.run(lambda session: record_service(session, command, clock.now()))


def pays(database: Database, clock: MovableClock, fen: int) -> None:
    def work(session):
        row = PaymentRow(1, "P1", FIRM, "", fen, "booked", "counter", clock.now(), None)
        apply_payments(session, [row], 2, clock.now())
        facts_changed(session, [FIRM], clock.now())

    database.run(work)


def state(database: Database, clock: MovableClock, number: str) -> str:
    with database.read() as session:
        return letter_facts(session, number, clock.now()).state


def test_a_letter_goes_from_draft_over_approval_to_service_and_counts_from_its_proof(
    debtor: Database, clock: MovableClock
) -> None:
    facts = prepares(debtor, clock)
    assert facts.number == "TD20261123-000001"
    assert (facts.state, facts.principal, facts.notice_days) == ("draft", Decimal("9000.00"), 7)
    approves(debtor, clock, facts.number)
    clock.move(timedelta(days=2))
    assert serves(debtor, clock, facts.number) == date(2026, 12, 2)
    with debtor.read() as session:
        debt = load_debts(session, [FIRM], clock.now())[FIRM]
        assert debt.letter is not None
        assert (debt.letter.state, debt.letter.served_on) == ("served", date(2026, 11, 25))
        actions = [row.action for row in session.execute(audit_rows.select())]
    for verb in ("prepared", "approved", "served"):
        assert f"arrears:letter:{verb}" in actions


def test_preparing_twice_is_one_letter(debtor: Database, clock: MovableClock) -> None:
    assert prepares(debtor, clock).number == prepares(debtor, clock, "别人").number


def test_no_letter_up_to_thirty_days_after_the_due_date(
    debtor: Database, clock: MovableClock
) -> None:
    early = MovableClock(datetime(2026, 11, 19, 2, tzinfo=UTC), running=False)
    with pytest.raises(InputError) as caught:
        prepares(debtor, early)
    assert caught.value.code == "not_overdue_long_enough"
    assert "2026-11-20" in str(caught.value)
    early.move(timedelta(days=1))
    assert prepares(debtor, early).state == "draft"


def test_only_a_named_responsible_person_approves_and_never_the_preparer(
    debtor: Database, clock: MovableClock
) -> None:
    number = prepares(debtor, clock).number
    with pytest.raises(PermissionDeniedError, match="not_responsible"):
        approves(debtor, clock, number, "路人")
    for same in (CLERK, f" {CLERK} "):
        with pytest.raises(PermissionDeniedError, match="own_letter"):
            approves(debtor, clock, number, same)
    with pytest.raises(ConflictError, match="letter_not_approved"):
        debtor.run(lambda session: letter_pdf(session, number, CLERK, clock.now()))
    approves(debtor, clock, number)
    approves(debtor, clock, number)  # a second click changes nothing
    assert debtor.run(lambda s: letter_pdf(s, number, CLERK, clock.now())) == PDF


def test_a_payment_before_the_approval_makes_the_draft_worthless(
    debtor: Database, clock: MovableClock
) -> None:
    number = prepares(debtor, clock).number
    pays(debtor, clock, 100_000)
    with pytest.raises(ConflictError, match="debt_changed"):
        approves(debtor, clock, number)


def test_a_part_paid_between_approval_and_service_needs_a_new_letter(
    debtor: Database, clock: MovableClock
) -> None:
    number = prepares(debtor, clock).number
    approves(debtor, clock, number)
    pays(debtor, clock, 1)
    with pytest.raises(ConflictError, match="debt_changed"):
        serves(debtor, clock, number)
    debtor.run(lambda session: void_letter(session, number, "金额有变", CLERK, clock.now()))
    again = prepares(debtor, clock)
    assert again.number == "TD20261123-000002"
    assert again.principal == Decimal("8999.99")


def test_settling_the_debt_voids_a_served_letter(debtor: Database, clock: MovableClock) -> None:
    number = prepares(debtor, clock).number
    approves(debtor, clock, number)
    serves(debtor, clock, number)
    pays(debtor, clock, 900_000)
    assert state(debtor, clock, number) == "void"
    with pytest.raises(NotFoundError, match="no_case"):
        prepares(debtor, clock)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "wechat"}, "unknown_proof"),
        ({"reference": "  "}, "no_proof"),
        ({"served_at": datetime(2026, 11, 20, tzinfo=UTC)}, "served_before_approval"),
        ({"served_at": datetime(2026, 12, 20, tzinfo=UTC)}, "served_in_future"),
    ],
)
def test_service_needs_a_real_proof_at_a_possible_time(
    debtor: Database, clock: MovableClock, changes: dict, code: str
) -> None:
    number = prepares(debtor, clock).number
    approves(debtor, clock, number)
    with pytest.raises(InputError, match=code):
        serves(debtor, clock, number, **changes)
    assert state(debtor, clock, number) == "approved"


def test_a_draft_cannot_be_served(debtor: Database, clock: MovableClock) -> None:
    number = prepares(debtor, clock).number
    with pytest.raises(InputError, match="served_before_approval"):
        serves(debtor, clock, number)


def test_the_same_proof_twice_changes_nothing_and_another_one_is_refused(
    debtor: Database, clock: MovableClock
) -> None:
    number = prepares(debtor, clock).number
    approves(debtor, clock, number)
    first = serves(debtor, clock, number)
    assert serves(debtor, clock, number) == first
    with pytest.raises(ConflictError, match="letter_not_approved"):
        serves(debtor, clock, number, kind="mailed")


def test_a_paper_that_was_changed_in_the_database_is_not_given_out(
    debtor: Database, clock: MovableClock
) -> None:
    number = prepares(debtor, clock).number
    approves(debtor, clock, number)
    forged = update(letters).where(letters.c.number == number).values(pdf=b"%PDF forged")
    debtor.run(lambda session: session.execute(forged))
    with pytest.raises(ConflictError, match="letter_changed"):
        debtor.run(lambda session: letter_pdf(session, number, CLERK, clock.now()))
