"""Cases and their steps on both databases, with the bugs of others."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from gongdian.arrears.cases import TakeStep, take_step, untake_steps
from gongdian.arrears.events import facts_changed
from gongdian.arrears.holds import HoldCustomer, hold
from gongdian.arrears.rules import STAGES, ladder_in_force, seed_rules, shipped_rows
from gongdian.arrears.tables import cases, letters
from gongdian.arrears.worklist import (
    finish_item,
)
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.rule_tables import enforce_rules, put_rules
from tests.arrears_world import DUE, NUMBER, World
from tests.factories import claim

OTHER = "9900000345813"


@pytest.fixture
def world(database: Database) -> World:
    """Rules in force, feeds fresh, one customer."""
    world = World(database).begin()
    world.customer()
    return world


def test_the_first_open_bill_opens_the_one_case_and_the_last_payment_closes_it(
    world: World,
) -> None:
    world.bill()
    world.bill(due=DUE + timedelta(days=30), amount="13.60")
    case = world.case()
    assert case is not None
    assert (case.anchor_on, case.principal, case.bill_count) == (DUE, Decimal("100.00"), 2)
    assert (case.stage, case.holder, case.party_no) == (-1, 1, NUMBER)
    world.pay(amount="86.40")
    moved = world.case()
    assert moved is not None
    assert (moved.id, moved.anchor_on) == (case.id, DUE + timedelta(days=30))
    assert moved.principal == Decimal("13.60")
    world.pay(amount="13.60")
    assert world.case() is None
    assert [(one.state, one.close_reason) for one in world.all_cases()] == [("closed", "settled")]


def test_with_another_anchor_the_ladder_counts_from_what_that_one_has_taken(world: World) -> None:
    later = DUE + timedelta(days=30)
    world.bill()
    world.bill(due=later, amount="50.00")
    assert world.on(10).run() == [(NUMBER, 2)]
    world.send()
    assert world.on(11).run() == [(NUMBER, 0)], "the newer bill is announced"
    world.send()
    world.pay(amount="86.40")
    case = world.case()
    assert case is not None
    assert (case.anchor_on, case.stage) == (later, 0)
    assert world.on(12).run() == []
    world.bill(
        due=later + timedelta(days=5), amount="50.00", bill_no=f"{NUMBER}-{later:%Y%m}", version=2
    )
    moved = world.case()
    assert moved is not None
    assert (moved.anchor_on, moved.stage) == (later + timedelta(days=5), -1), "only the date moved"


def test_a_letter_about_a_debt_that_is_gone_is_void(world: World) -> None:
    world.bill()
    world.bill(due=DUE + timedelta(days=7), amount="50.00")
    world.told_on(1, 7, 15).on(33).letter()
    world.pay(amount="86.40")
    with world.database.read() as session:
        assert session.execute(select(letters.c.state)).scalars().all() == ["void"]
    world.told_on(34, 37, 40).on(45).letter(served=False)
    world.pay(amount="50.00")
    with world.database.read() as session:
        assert session.execute(select(letters.c.state)).scalars().all() == ["void", "void"]


def test_facts_told_twice_change_nothing(world: World) -> None:
    world.bill()
    world.on(1).run()
    before = (world.all_cases(), world.steps(), world.states())
    for _ in range(2):
        changed = world.database.run(lambda s: facts_changed(s, [NUMBER, "99unknown"], world.now))
        assert (changed.opened, changed.moved, changed.closed) == (0, [], [])
    assert (world.all_cases(), world.steps(), world.states()) == before


def test_a_case_that_was_settled_and_reversed_is_a_new_case(world: World) -> None:
    world.bill()
    payment = world.pay()
    world.pay(payment_no=payment, state="reversed")
    assert [one.state for one in world.all_cases()] == ["closed", "open"]
    case = world.case()
    assert case is not None
    assert case.principal == Decimal("86.40")


def test_killbill_687_a_payment_clears_the_state_and_every_open_reminder(world: World) -> None:
    """killbill #687: the overdue state was not cleared after the payment."""
    world.bill()
    world.on(1).run()
    world.database.run(
        lambda s: hold(
            s, HoldCustomer(NUMBER, "答复已缴费", "customer", None, "claimed_paid"), world.now
        )
    )
    world.pay()
    assert set(world.states().values()) == {"withdrawn"}
    assert world.case() is None
    assert [one.ended_by for one in world.holds()] == ["system"]
    assert world.items() == []
    assert claim(world.database, world.now + timedelta(hours=1)) == []
    assert world.on(2).run() == []


def test_killbill_2297_a_partial_payment_neither_skips_nor_repeats_a_stage(world: World) -> None:
    """killbill #2297: after a partial payment the state machine anchored to "now" and jumped."""
    world.bill(amount="100.00")
    assert world.on(1).run() == [(NUMBER, 2)]
    world.send()
    world.pay(amount="60.00")
    assert world.on(2).run() == []
    assert world.on(7).run() == [(NUMBER, 3)]
    world.send()
    world.pay(amount="39.00")
    assert [world.on(offset).run() for offset in (8, 14, 15)] == [[], [], [(NUMBER, 4)]]
    assert world.steps() == [(DUE, 2), (DUE, 3), (DUE, 4)]


def test_killbill_535_a_late_run_counts_from_the_due_date(world: World) -> None:
    """killbill #535: a timer that fires late must not move what follows: ``anchor_on`` decides,
    ``taken_at`` is only kept."""
    world.bill()
    assert world.on(6).run() == [(NUMBER, 2)]
    world.send()
    assert world.on(9).run() == [(NUMBER, 3)]
    assert world.on(15).run() == [(NUMBER, 4)]


def test_killbill_1978_the_first_reminder_is_before_the_due_date(world: World) -> None:
    """killbill #1978: reminders before the due date."""
    world.bill()
    assert world.run() == [(NUMBER, 0)]
    world.send()
    assert world.on(-3).run() == [(NUMBER, 1)]
    assert world.on(0).run() == []


def test_two_runs_on_one_day_take_one_stage(world: World) -> None:
    """novu #2569, #12373: a step that runs twice neither doubles nor loses its message."""
    world.bill()
    assert world.on(10).run() == [(NUMBER, 2)]
    assert world.run(campaign=99) == []
    assert world.run() == []
    assert len(world.states()) == 1


def test_a_step_is_refused_when_its_facts_have_gone(world: World) -> None:
    world.bill()
    case = world.on(1).case()
    assert case is not None

    def take(anchor: date, stage: int) -> bool:
        wanted = TakeStep(case.id, anchor, stage, 1, "arrears_stages v1")
        return world.database.run(lambda s: take_step(s, wanted, world.now))

    assert take(DUE - timedelta(days=30), 2) is False, "that debt is settled"
    assert take(DUE, 3) is True
    assert take(DUE, 4) is False, "one a day"
    world.on(2)
    assert (take(DUE, 3), take(DUE, 2)) == (False, False), "never again, never back"
    world.pay()
    world.on(9)
    assert take(DUE, 4) is False, "closed"


def test_two_imports_at_once_open_one_case_and_lose_no_bill(world: World) -> None:
    world.bill()
    world.database.run(lambda s: s.execute(cases.delete()))
    start = threading.Barrier(3)

    def tell() -> None:
        start.wait()
        for _ in range(5):
            world.database.run(lambda s: facts_changed(s, [NUMBER], world.now))

    threads = [threading.Thread(target=tell) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(one.state, one.principal) for one in world.all_cases()] == [("open", Decimal("86.40"))]


def test_an_overtaken_message_is_withdrawn_and_its_stage_comes_again(world: World) -> None:
    """退补, 冲红, 重发: the next run tells the new amount, on another day."""
    bill_no = world.bill()
    world.on(1).run()
    world.bill(bill_no=bill_no, version=2, kind="reissue", amount="80.00")
    assert set(world.states().values()) == {"withdrawn"}
    case = world.case()
    assert case is not None
    assert (case.stage, case.principal) == (-1, Decimal("80.00"))
    assert world.steps() == []
    assert world.on(2).run() == [(NUMBER, 2)]
    world.bill(bill_no=bill_no, version=3, kind="reversal", amount="0.00")
    assert world.case() is None
    assert set(world.states().values()) == {"withdrawn"}


def test_a_message_that_went_out_keeps_its_step(world: World) -> None:
    world.bill(amount="100.00")
    world.on(1).run()
    world.send()
    world.pay(amount="1.00")
    assert set(world.states().values()) == {"accepted"}
    assert world.steps() == [(DUE, 2)]
    assert world.on(2).run() == []


def test_a_message_that_is_being_sent_is_not_taken_back(world: World) -> None:
    """openpanel PR #452: what may have reached somebody is not sent again."""
    world.bill(amount="100.00")
    world.on(1).run()
    claim(world.database, world.now + timedelta(minutes=1))
    world.pay(amount="1.00")
    assert set(world.states().values()) == {"sending"}
    assert world.steps() == [(DUE, 2)]


def test_what_expired_unsent_is_told_again(world: World) -> None:
    world.bill()
    world.on(1).run()
    world.expire()
    assert world.database.run(lambda s: untake_steps(s, [NUMBER], world.now)) == 1
    assert world.database.run(lambda s: untake_steps(s, [NUMBER], world.now)) == 0
    assert world.on(2).run() == [(NUMBER, 2)]


def test_several_supply_accounts_of_a_party_are_withdrawn_together(world: World) -> None:
    world.customer(NUMBER, party_no="P1")
    world.customer(OTHER, party_no="P1")
    for number in (NUMBER, OTHER):
        world.bill(number)
    world.on(1).refresh(NUMBER, OTHER)
    world.run(NUMBER, OTHER)
    world.pay(OTHER)
    assert set(world.states().values()) == {"withdrawn"}
    assert world.steps(NUMBER) == [], "the open one is told again, with its own amount"
    assert world.steps(OTHER) == [(DUE, 2)]


def test_money_on_its_way_pauses_until_the_debit_day_and_not_longer(world: World) -> None:
    world.bill()
    world.on(1).run()
    payment = world.pay(state="in_flight", expected_on=DUE + timedelta(days=4))
    assert set(world.states().values()) == {"withdrawn"}, "queued before the money was on its way"
    assert (world.on(2).decide().why, world.run()) == ("in_flight", [])
    case = world.case()
    assert case is not None
    assert (case.paused_by, case.next_on) == ("in_flight", DUE + timedelta(days=5))
    assert world.on(4).run() == []
    world.pay(payment_no=payment, state="failed")
    assert world.run() == [(NUMBER, 2)], "扣款失败"
    world.send()
    world.pay(state="in_flight")
    assert world.on(7).decide().why == "in_flight", "no day in the feed: three working days"
    assert world.on(8).run() == [(NUMBER, 3)]


def test_a_stale_feed_stops_everything(world: World) -> None:
    world.bill()
    world.on(1)
    world.today += timedelta(days=2)
    assert (world.decide().why, world.run()) == ("stale_feed", [])
    case = world.case()
    assert case is not None
    assert case.paused_by == "stale_feed"
    world.freshen()
    assert world.run() == [(NUMBER, 2)]


def test_the_cutoff_letter_is_for_people_and_its_message_follows_the_proof(world: World) -> None:
    world.bill()
    world.told_on(1, 7, 15)
    assert [one.kind for one in world.items()] == ["overdue"], "催告: the manager follows it up"
    assert world.on(30).run() == []
    assert world.on(31).run() == []
    assert sorted(one.kind for one in world.items()) == ["letter_due", "overdue"]
    assert world.on(32).run() == []
    assert len(world.items("letter_due")) == 1
    world.letter(served=False)
    assert world.on(33).run() == []
    assert len(world.items("proof_due")) == 1
    world.on(34)
    world.pay(amount="40.00")
    world.pay(amount="46.40")
    assert world.items() == []
    assert world.case() is None


def test_a_served_letter_lets_the_notice_go_out_once(world: World) -> None:
    world.bill()
    world.told_on(1, 7, 15).on(31).letter()
    assert world.on(32).run() == [(NUMBER, 5)]
    assert [world.on(offset).run() for offset in (33, 39, 60)] == [[], [], []]


def test_prepaid_customers_have_no_case(world: World) -> None:
    world.customer(OTHER, is_prepaid=True)
    world.bill(OTHER)
    assert world.case(OTHER) is None
    assert world.on(1).run(OTHER) == []
    world.bill()
    world.run()
    world.customer(is_prepaid=True)
    assert [(one.state, one.close_reason) for one in world.all_cases()] == [("closed", "prepaid")]
    assert set(world.states().values()) == {"withdrawn"}


def test_a_closed_customers_debt_stays_in_its_case_for_people(world: World) -> None:
    world.bill()
    world.on(1).run()
    world.customer(state="closed")
    assert set(world.states().values()) == {"withdrawn"}
    assert world.on(2).run() == []
    assert world.case() is not None
    assert [one.kind for one in world.items()] == ["closed"]
    world.on(3).run()
    assert len(world.items()) == 1


def test_a_new_holder_is_not_reminded_of_what_may_be_the_former_ones(world: World) -> None:
    world.bill()
    world.on(1).run()
    assert world.customer(party_no="P-new", name="李四") == [NUMBER]
    assert set(world.states().values()) == {"withdrawn"}
    assert [(one.state, one.holder) for one in world.all_cases()] == [("closed", 1), ("open", 2)]
    assert (world.on(2).decide().why, world.run()) == ("transfer", [])
    (item,) = world.items("transfer")
    world.database.run(lambda s: finish_item(s, item.id, "由新户主承担", "clerk", world.now))
    assert world.on(3).run() == [(NUMBER, 2)], "the ladder begins anew for them"


def test_rules_are_seeded_once_and_a_new_version_counts_from_its_enforcement(
    world: World, clock: MovableClock
) -> None:
    assert world.database.run(lambda s: seed_rules(s, "x", clock.now())) == []
    rows = [
        {**row, "from_day": "2"} if row["stage"] == "2" else row for row in shipped_rows(STAGES)
    ]

    def change(version: int) -> None:
        world.database.run(lambda s: enforce_rules(s, STAGES, version, "chief", clock.now()))

    version = world.database.run(
        lambda s: put_rules(s, STAGES, rows, "本公司", "clerk", clock.now())
    )
    world.bill()
    change(version)
    assert world.database.run(ladder_in_force).label == "arrears_stages v2"
    assert world.on(1).run() == []
    assert world.on(2).run() == [(NUMBER, 2)]
    case = world.case()
    assert case is not None
    assert case.rules == "arrears_stages v2"
