"""The ladder: which stage, when, and why none; the shipped rows and rows of a company's own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongdian.arrears.model import (
    PAUSE_KINDS,
    WHY_LABELS,
    Decision,
    Ladder,
    Letter,
    Pause,
    Taken,
    decide,
    decide_letter,
)
from tests.unit.arrears.debts import (
    DUE,
    changed_rule,
    day,
    debt,
    shipped_ladder,
    taken,
    with_rule,
)

LADDER = shipped_ladder()
SERVED = Letter(DUE, "served", day(33))


def look(offset: int, steps: tuple[Taken, ...] = (), **given: object) -> Decision:
    """Decide about 86.40 yuan due on ``DUE``, some days after it."""
    return decide(
        given.get("debt", debt()),  # type: ignore[arg-type]
        steps,
        given.get("pauses", ()),  # type: ignore[arg-type]
        given.get("letter"),  # type: ignore[arg-type]
        given.get("ladder", LADDER),  # type: ignore[arg-type]
        day(offset),
    )


@pytest.mark.parametrize(
    ("offset", "steps", "stage", "why"),
    [
        (-20, (), 0, "announce"),
        (-4, (), 0, "announce"),
        (-10, ((0, -20),), None, "not_yet"),
        (-3, (), 1, "due"),
        (0, ((0, -20),), 1, "due"),
        (0, ((1, -3),), None, "not_yet"),
        (1, ((1, -1),), 2, "due"),
        (1, ((1, 0),), 2, "due"),
        (6, ((2, 1),), None, "not_yet"),
        (7, ((2, 1),), 3, "due"),
        (7, ((2, 6),), None, "gap"),
        (14, ((3, 7),), None, "not_yet"),
        (15, ((3, 7),), 4, "due"),
        (17, ((3, 15),), None, "gap"),
        (30, ((4, 15),), None, "not_yet"),
        (31, ((4, 15),), None, "letter_due"),
    ],
)
def test_each_stage_has_its_days(
    offset: int, steps: tuple[tuple[int, int], ...], stage: int | None, why: str
) -> None:
    found = look(offset, taken(*steps))
    assert (found.stage, found.why) == (stage, why)


def test_one_who_was_never_told_climbs_from_the_bottom_however_late() -> None:
    """Nobody hears of a cut first: after a hundred days the ladder begins with 逾期提醒."""
    steps: tuple[Taken, ...] = ()
    told = []
    for offset in range(100, 130):
        found = look(offset, steps)
        if found.stage is not None:
            told.append((offset, found.stage))
            steps += taken((found.stage, offset))
    assert told == [(100, 2), (103, 3), (106, 4)]
    assert look(129, steps).why == "letter_due"


def test_never_two_stages_on_one_day_even_for_another_anchor() -> None:
    two = debt((DUE, "10.00"), (day(45), "20.00"))
    assert look(16, taken((4, 16)), debt=two).stage is None, "the new bill waits a day"
    assert look(17, taken((4, 16)), debt=two).why == "announce"
    steps = (Taken(day(-31), 4, day(8)),)
    assert look(8, steps).why == "gap", "the older bill was paid on the day it was told of"
    assert look(9, steps).stage == 2


def test_the_demand_is_never_skipped_and_the_letter_waits_for_people_and_proof() -> None:
    """A legally needed notice is never skipped (product.md 2.2, killbill #2297)."""
    for offset in range(31, 400, 7):
        found = look(offset, taken((2, 1), (3, 7)))
        assert found.stage == 4, "催告 comes before everything later"
    steps = taken((2, 1), (3, 7), (4, 15))
    assert look(60, steps).why == "letter_due"
    assert look(60, steps, letter=Letter(DUE, "draft")).why == "letter_due"
    assert look(60, steps, letter=Letter(DUE, "approved")).why == "proof_due"
    assert look(60, steps, letter=SERVED).stage == 5
    other = Letter(day(-30), "served", day(33))
    assert look(60, steps, letter=other).why == "letter_due", "another debt's letter proves nothing"


def test_a_demand_that_reached_nobody_is_no_demand() -> None:
    """Queueing proves nothing: only an arrival or a clerk's record passes a required stage."""
    queued = (Taken(DUE, 4, day(15)),)
    found = look(31, queued)
    assert (found.stage, found.why, found.next_on) == (None, "demand_unproven", day(31))
    assert look(60, queued, letter=SERVED).why == "demand_unproven", "not even with a letter"
    later = (Taken(DUE, 4, day(15), day(40)),)
    assert look(39, later).why == "demand_unproven"
    assert look(40, later).why == "letter_due"
    other = (*queued, Taken(day(-31), 4, day(15), day(15)))
    assert look(31, other).why == "demand_unproven", "another debt's demand proves nothing"
    assert look(7, (Taken(DUE, 2, day(1)),)).stage == 3, "what is not required needs no proof"


def letter_of(offset: int, steps: tuple[Taken, ...] = (), **changes: object) -> str:
    given: dict = {"debt": debt(), "pauses": (), "letter": None, "ladder": LADDER, **changes}
    return decide_letter(
        given["debt"], steps, given["pauses"], given["letter"], given["ladder"], day(offset)
    ).why


def test_a_letter_is_called_for_by_the_ladder_alone() -> None:
    steps = taken((2, 1), (3, 7), (4, 15))
    assert letter_of(31, steps) == "letter_due"
    assert letter_of(31, steps, letter=Letter(DUE, "draft")) == "letter_due"
    assert letter_of(31, steps, letter=Letter(DUE, "approved")) == "proof_due"
    assert letter_of(30, steps) == "not_yet"
    assert letter_of(31, steps[:2]) == "due", "the demand comes first"
    assert letter_of(31, (*steps[:2], Taken(DUE, 4, day(15)))) == "demand_unproven"
    assert letter_of(31, steps, pauses=(Pause("dispute"),)) == "dispute"
    assert letter_of(40, (*steps, *taken((5, 34)))) == "letter_due", "made anew after a part paid"
    two = debt((DUE, "10.00"), (day(45), "20.00"))
    told = (*steps, *taken((0, -14), due=day(45)))
    assert letter_of(31, steps, debt=two) == "letter_due", "a newer bill waits for its own card"
    assert letter_of(31, told, debt=two) == "letter_due", "whose card of today is no hindrance"


def test_a_required_stage_is_taken_late_and_one_that_is_not_is_left_out() -> None:
    steps = taken((2, 1))
    optional = changed_rule(LADDER, 3, to_day=14)
    assert look(20, steps, ladder=optional).stage == 4
    required = changed_rule(LADDER, 3, to_day=14, is_required=True)
    assert look(20, steps, ladder=required).stage == 3
    dear = changed_rule(LADDER, 3, min_amount=Decimal("100.00"))
    assert look(20, steps, ladder=dear).stage == 4
    needed = changed_rule(LADDER, 3, min_amount=Decimal("100.00"), is_required=True)
    assert look(20, steps, ladder=needed).why == "below_minimum", "nothing harsher before it"


def test_after_the_letter_nothing_follows_without_its_proof_and_its_days() -> None:
    visit = next(rule for rule in LADDER.rules if rule.stage == 2)
    visit = replace(visit, stage=6, code="visit", from_day=32, min_gap_days=1)
    ladder = Ladder("with a visit", (*LADDER.rules, visit))
    steps = taken((4, 15), (5, 34))
    assert look(36, steps, ladder=ladder).why == "proof_due"
    assert look(39, steps, ladder=ladder, letter=SERVED).why == "notice_runs"
    assert look(39, steps, ladder=ladder, letter=SERVED).next_on == day(40)
    assert look(40, steps, ladder=ladder, letter=SERVED).stage == 6


def test_killbill_2297_a_partial_payment_cannot_reach_a_harsher_stage() -> None:
    """killbill #2297: after a partial payment the next check counted from "now" and jumped to the
    harshest state. Here less debt of the same or a later date never gives more than before."""
    steps = taken((2, 1))
    before = look(8, steps, debt=debt((DUE, "100.00"), (day(5), "100.00")))
    after = look(8, steps, debt=debt((DUE, "0.01"), (day(5), "100.00")))
    assert (before.stage, after.stage) == (3, 3)
    moved = look(8, steps, debt=debt((day(5), "100.00")))
    assert (moved.stage, moved.anchor_on) == (2, day(5)), "the paid anchor is gone: it counts anew"


def test_killbill_535_days_count_from_the_due_date_whenever_the_run_is() -> None:
    """killbill #535: late timers must not shift what follows."""
    late = taken((2, 5))  # the run of day 1 came on day 5
    assert look(7, late).next_on == day(8), "only the gap waits"
    assert look(8, late).stage == 3
    assert look(14, (*late, *taken((3, 8)))).next_on == day(15), "stage 4 stays on its day"


def test_killbill_1978_there_is_a_reminder_before_the_due_date() -> None:
    """killbill #1978: reminders before the due date."""
    stages = [rule.stage for rule in LADDER.rules if (rule.to_day or 0) < 0 or rule.stage == 1]
    assert stages == [0, 1]
    assert look(-3, taken((0, -15))).rule.kind == "arrears_due_soon"  # type: ignore[union-attr]


def test_the_window_before_the_due_date_passes() -> None:
    assert look(2, taken((0, -15))).stage == 2, "no 到期提醒 after the date"
    assert look(-2).stage == 1, "no announcement three days before the date"


def test_a_new_bill_is_announced_while_an_older_debt_is_further_up() -> None:
    two = debt((DUE, "50.00"), (day(30), "86.40"))
    steps = taken((2, 1), (3, 7))
    found = look(10, steps, debt=two)
    assert (found.stage, found.anchor_on, found.why) == (0, day(30), "announce")
    assert (found.principal, found.bill_count) == (Decimal("86.40"), 1)
    told = (*steps, Taken(day(30), 0, day(14)))
    assert look(14, told, debt=two).why == "not_yet"
    assert look(15, told, debt=two).stage == 4, "the announcement holds up no reminder"
    assert look(28, taken((2, 1), (3, 7), (4, 15)), debt=two).why == "not_yet", "its window is over"


def test_a_message_claims_what_is_overdue_and_nothing_more() -> None:
    two = debt((DUE, "50.00"), (day(-30), "30.00"), (day(20), "7.00"))
    found = look(1, taken((1, 0), due=day(-30)), debt=two)
    assert (found.principal, found.bill_count) == (Decimal("80.00"), 2)
    early = look(-31, debt=two)
    assert (early.principal, early.bill_count) == (Decimal("87.00"), 3)


def test_less_than_a_yuan_is_announced_and_not_dunned() -> None:
    small = debt((DUE, "0.99"))
    assert look(-10, debt=small).stage == 0
    assert look(-2, debt=small).stage == 1
    assert look(1, debt=small).why == "below_minimum"
    assert look(50, debt=small).why == "below_minimum"
    assert look(1, debt=debt((DUE, "1.00"))).stage == 2
    more = debt((DUE, "0.99"), (day(9), "50.00"))
    announced = (Taken(day(9), 0, day(-9)),)
    assert look(5, announced, debt=more).next_on == day(7)
    assert look(8, announced, debt=more).next_on == day(10), "then it is worth another look"


@pytest.mark.parametrize("kind", PAUSE_KINDS)
def test_every_pause_stops_every_stage(kind: str) -> None:
    until = datetime(2026, 12, 3, 16, tzinfo=UTC)
    for offset in (-10, 0, 1, 20):
        found = look(offset, pauses=[Pause(kind, until)])
        assert (found.stage, found.why) == (None, kind)
        assert found.label == WHY_LABELS[kind]


def test_of_several_pauses_the_last_end_counts() -> None:
    early, late = datetime(2026, 11, 27, tzinfo=UTC), datetime(2026, 12, 3, 16, tzinfo=UTC)
    both = look(1, pauses=[Pause("in_flight", late), Pause("hold", early)])
    assert (both.why, both.until, both.next_on) == ("hold", late, date(2026, 12, 4))
    endless = look(1, pauses=[Pause("in_flight", late), Pause("dispute")])
    assert (endless.why, endless.until, endless.next_on) == ("dispute", None, None)
    stale = look(1, pauses=[Pause("stale_feed")])
    assert (stale.why, stale.next_on) == ("stale_feed", day(1))


def test_prepaid_and_closed_customers_are_not_on_the_ladder() -> None:
    assert look(20, debt=debt(is_prepaid=True)).why == "prepaid"
    assert look(20, debt=debt(is_closed=True)).why == "closed_customer"


def test_nothing_owed_is_nothing_said() -> None:
    nothing = debt()
    empty = type(nothing)("99", "national", "residential", False, False, False, ())
    assert look(20, debt=empty) == Decision(None, None, "no_debt", None)


def test_the_region_wins_over_the_class_and_the_class_over_the_general_row() -> None:
    ladder = with_rule(LADDER, 2, customer_class="industrial_two_part", from_day=2)
    ladder = with_rule(ladder, 2, region="yunxi", from_day=4)
    assert look(2, ladder=ladder, debt=debt(customer_class="industrial_two_part")).stage == 2
    assert look(1, ladder=ladder, debt=debt(customer_class="industrial_two_part")).why == "not_yet"
    both = debt(customer_class="industrial_two_part", region="yunxi")
    assert look(3, ladder=ladder, debt=both).why == "not_yet"
    assert look(4, ladder=ladder, debt=both).stage == 2
    assert look(1, ladder=ladder).stage == 2, "others keep the general row"


def test_important_customers_may_have_rows_of_their_own() -> None:
    ladder = with_rule(LADDER, 3, important="yes", from_day=10)
    assert look(8, taken((2, 1)), ladder=ladder, debt=debt(is_important=True)).stage is None
    assert look(8, taken((2, 1)), ladder=ladder).stage == 3


def test_of_rows_with_conditions_the_harshest_that_is_met_counts() -> None:
    """killbill-admin-ui #70: every condition of the engine is a column of the row."""
    ladder = with_rule(LADDER, 3, min_amount=Decimal("10000.00"), from_day=3, max_level=9)
    rich = debt((DUE, "10000.00"), customer_class="industrial_two_part")
    found = look(4, taken((2, 1)), ladder=ladder, debt=rich)
    assert found.stage == 3
    assert found.rule is not None
    assert found.rule.max_level == 9
    assert look(4, taken((2, 1)), ladder=ladder).why == "not_yet"
    counted = changed_rule(LADDER, 2, min_count=2)
    assert look(3, ladder=counted).why == "below_minimum"
    assert look(3, ladder=counted).next_on == day(7), "stage 3 is to come"
    assert look(3, ladder=counted, debt=debt((DUE, "5.00"), (DUE, "6.00"))).stage == 2


def test_rules_have_their_time() -> None:
    ladder = changed_rule(LADDER, 2, effective_to=DUE)
    ladder = with_rule(ladder, 2, effective_from=day(1), effective_to=None, from_day=3)
    assert look(2, ladder=ladder).why == "not_yet"
    assert look(3, ladder=ladder).stage == 2
    assert look(1, ladder=Ladder("none", ())).why == "no_rules"


@st.composite
def _histories(draw: st.DrawFn) -> tuple[list[tuple[int, str]], list[int]]:
    amounts = st.sampled_from(["0.50", "1.00", "86.40", "186452.37"])
    bills = draw(st.lists(st.tuples(st.integers(0, 60), amounts), min_size=1, max_size=4))
    days = draw(st.lists(st.integers(-25, 120), min_size=1, max_size=60))
    return bills, sorted(days)


@given(_histories())
def test_whatever_the_days_of_the_runs_each_stage_comes_once_and_in_order(
    history: tuple[list[tuple[int, str]], list[int]],
) -> None:
    bills, days = history
    owed = debt(*((day(offset), amount) for offset, amount in bills))
    steps: list[Taken] = []
    for offset in days:
        found = decide(owed, steps, (), None, LADDER, day(offset))
        assert found == decide(owed, steps, (), None, LADDER, day(offset))
        assert found.why in WHY_LABELS
        if found.stage is None or found.anchor_on is None:
            continue
        own = [one for one in steps if one.anchor_on == found.anchor_on]
        assert all(one.on < day(offset) for one in steps), "two on one day"
        assert all(one.stage < found.stage for one in own), "again, or backwards"
        assert found.stage < 5, "the letter is for people"
        if found.anchor_on != owed.anchor_on:
            assert found.stage == 0
        days_late = (day(offset) - found.anchor_on).days
        assert days_late >= {0: -99, 1: -3, 2: 1, 3: 7, 4: 15}[found.stage]
        assert days_late <= {0: -4, 1: 0}.get(found.stage, 999)
        assert not (found.stage == 4 and 3 not in {one.stage for one in own})
        steps.append(Taken(found.anchor_on, found.stage, day(offset)))


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 99_999)), min_size=1, max_size=4),
    st.integers(0, 100),
    st.integers(-1, 4),
    st.data(),
)
def test_paying_anything_never_makes_today_harsher(
    bills: list[tuple[int, int]], offset: int, highest: int, data: st.DataObject
) -> None:
    """killbill #2297, whatever is paid and of which bill."""
    made = [(day(due), fen) for due, fen in bills]
    oldest = min(due for due, _ in made)
    steps = [Taken(oldest, stage, day(offset) - timedelta(days=9)) for stage in range(highest + 1)]
    left = [(due, fen - data.draw(st.integers(0, fen), label="paid")) for due, fen in made]
    owed = debt(*((due, f"{fen / 100:.2f}") for due, fen in made))
    rest = [(due, f"{fen / 100:.2f}") for due, fen in left if fen]
    before = decide(owed, steps, (), None, LADDER, day(offset))
    if not rest:
        return
    after = decide(debt(*rest), steps, (), None, LADDER, day(offset))
    reached = max(highest, -1 if before.stage is None else before.stage)
    assert after.stage is None or after.stage <= max(reached, 0) or _was_next(before, after)


def _was_next(before: Decision, after: Decision) -> bool:
    """A stage that the whole debt was due for too, had it not been told of something newer."""
    return before.rule is not None and after.stage is not None and before.rule.stage >= after.stage
