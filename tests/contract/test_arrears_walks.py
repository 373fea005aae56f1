"""Random histories of debts on both databases: no illegal stage, no message after settlement, no
lost case, totals to the fen.

What was billed and paid is kept here too, and settled by the pure function of billing: the tables
of cases must say the same after every step.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from gongdian.arrears.answers import RecordAnswer, record_answer
from gongdian.arrears.holds import HoldCustomer, active_pauses, end_hold, hold
from gongdian.arrears.tables import cases, letters, recipients, steps
from gongdian.arrears.worklist import finish_item
from gongdian.billing.model import Bill, Payment, latest_versions, settle
from gongdian.clock import china_date
from gongdian.db import Database
from gongdian.errors import GongdianError
from gongdian.migrations.schema import metadata
from gongdian.money import to_fen
from gongdian.outbox.tables import messages
from tests.arrears_world import DUE, World

NUMBERS = ("9900000345812", "9900000345813", "9900000345814")
# 9900000345813 and ...14 belong to one party
PARTIES = {NUMBERS[0]: "P1", NUMBERS[1]: "P2", NUMBERS[2]: "P2"}
FIRST_DAY = {0: None, 1: -3, 2: 1, 3: 7, 4: 15, 5: 31}
LAST_DAY = {0: -4, 1: 0}
REFUSALS = (
    "no_open_case",
    "no_case",
    "not_overdue_long_enough",
    "debt_changed",
    "hold_ended",
    "letter_not_approved",
    "letter_not_due",
    "letter_not_draft",
    "served_before_approval",
)
WAITING = ("queued", "held", "sending")


@dataclass
class Known:
    """What this test knows of one customer."""

    bills: list[Bill] = field(default_factory=list)
    payments: dict[str, Payment] = field(default_factory=dict)

    def owed(self) -> list[tuple[date, int]]:
        """What is unpaid [fen] by due date, oldest first."""
        paid = settle(self.bills, self.payments.values()).paid_fen
        left = [
            (bill.due_on, bill.amount_fen - paid[bill.bill_no])
            for bill in latest_versions(self.bills).values()
        ]
        return sorted((due, fen) for due, fen in left if fen > 0)


class Walk:
    """One history; ``do`` takes a step, ``look`` checks everything."""

    def __init__(self, database: Database) -> None:
        with database.begin() as session:
            for table in metadata.tables.values():
                session.execute(table.delete())
        self.world = World(database).begin()
        self.world.on(-20)
        self.known = {number: Known() for number in NUMBERS}
        for number in NUMBERS:
            self.world.customer(number, party_no=PARTIES[number])

    def do(self, step: tuple[Any, ...]) -> None:
        """Take one step; what a service refuses is no change."""
        name, *rest = step
        try:
            getattr(self, f"_{name}")(*rest)
        except GongdianError as error:
            if error.code not in REFUSALS:
                raise
        self.look()

    def _bill(self, which: int, days: int, yuan: str) -> None:
        number, known = NUMBERS[which], self.known[NUMBERS[which]]
        due = self.world.today + timedelta(days=days)
        bill_no = f"B{len(known.bills)}"
        kind = "normal" if Decimal(yuan) >= 0 else "adjustment"
        self._told(number, Bill(bill_no, 1, f"{due:%Y%m}", to_fen(Decimal(yuan)), due), kind)

    def _version(self, which: int, pick: int, kind: str, yuan: str) -> None:
        number, known = NUMBERS[which], self.known[NUMBERS[which]]
        latest = sorted(latest_versions(known.bills).values())
        if latest:
            old = latest[pick % len(latest)]
            fen = 0 if kind == "reversal" else abs(to_fen(Decimal(yuan)))
            new = old._replace(version=old.version + 1, amount_fen=fen)
            self._told(number, new, kind)

    def _told(self, number: str, bill: Bill, kind: str) -> None:
        self.known[number].bills.append(bill)
        self.world.bill(
            number,
            f"{Decimal(bill.amount_fen).scaleb(-2)}",
            bill.due_on,
            bill_no=bill.bill_no,
            version=bill.version,
            kind=kind,
        )

    def _pay(self, which: int, yuan: str, pick: int, state: str, days: int) -> None:
        number, known = NUMBERS[which], self.known[NUMBERS[which]]
        names = ["", *(bill.bill_no for bill in known.bills)]
        expected = self.world.today + timedelta(days=days) if state == "in_flight" else None
        bill_no = names[pick % len(names)]
        payment_no = f"T{number[-2:]}-{len(known.payments)}"
        self.world.pay(
            number, yuan, bill_no=bill_no, payment_no=payment_no, state=state, expected_on=expected
        )
        known.payments[payment_no] = Payment(bill_no, to_fen(Decimal(yuan)), state)

    def _settle_all(self, which: int) -> None:
        fen = sum(amount for _, amount in self.known[NUMBERS[which]].owed())
        if fen:
            self._pay(which, f"{Decimal(fen).scaleb(-2)}", 0, "booked", 0)

    def _turn(self, which: int, pick: int, state: str) -> None:
        """Money on its way arrives or fails, booked money is reversed."""
        number, known = NUMBERS[which], self.known[NUMBERS[which]]
        allowed = {"booked": "in_flight", "failed": "in_flight", "reversed": "booked"}[state]
        found = [no for no, one in known.payments.items() if one.state == allowed]
        if found:
            payment_no = found[pick % len(found)]
            old = known.payments[payment_no]
            yuan = f"{Decimal(old.amount_fen).scaleb(-2)}"
            self.world.pay(number, yuan, bill_no=old.bill_no, payment_no=payment_no, state=state)
            known.payments[payment_no] = old._replace(state=state)

    def _hold(self, which: int, days: int) -> None:
        until = self.world.now + timedelta(days=days) if days else None
        command = HoldCustomer(NUMBERS[which], "协议", "clerk", until)
        self.world.database.run(lambda s: hold(s, command, self.world.now))

    def _end_hold(self, pick: int) -> None:
        found = self.world.holds()
        if found:
            hold_id = found[pick % len(found)].id
            self.world.database.run(lambda s: end_hold(s, hold_id, "clerk", self.world.now))

    def _answer(self, which: int, answer: str) -> None:
        command = RecordAnswer(NUMBERS[which], answer, 5)
        self.world.database.run(lambda s: record_answer(s, command, self.world.now))

    def _finish(self, pick: int) -> None:
        found = self.world.items()
        if found:
            item_id = found[pick % len(found)].id
            self.world.database.run(
                lambda s: finish_item(s, item_id, "已处理", "clerk", self.world.now)
            )

    def _letter(self, which: int, served: bool) -> None:
        self.world.letter(NUMBERS[which], served=served)

    def _transfer(self, which: int, name: str) -> None:
        self.world.customer(NUMBERS[which], party_no=PARTIES[NUMBERS[which]], name=name)

    def _send(self, is_arriving: bool = True) -> None:
        pauses = self.world.database.run(lambda s: active_pauses(s, NUMBERS, self.world.now))
        sent = set(self.world.send())
        if is_arriving:
            self.world.arrive()
        for _, number, _, key in self.world.told:
            if key in sent:
                assert self.known[number].owed(), "a message after the settlement"
                assert number not in pauses, "a message while nobody is to be reminded"

    def _days(self, count: int, is_sending: bool = True) -> None:
        """The clock moves day by day, with a run each day, sometimes two."""
        for number in range(count):
            self.world.today += timedelta(days=1)
            self.world.freshen()
            self._run_once()
            if number % 5 == 0:
                assert self.world.run(*NUMBERS, campaign=1) == [], "two runs, one stage"
            if is_sending:
                self._send()

    def _sleep(self, days: int) -> None:
        """Days without any run, then one."""
        self.world.today += timedelta(days=days)
        self.world.freshen()
        self._run_once()

    def _run_once(self) -> None:
        pauses = self.world.database.run(lambda s: active_pauses(s, NUMBERS, self.world.now))
        told = self.world.run(*NUMBERS)
        assert len({number for number, _ in told}) == len(told)
        for number, _ in told:
            assert number not in pauses
            assert self.known[number].owed()

    def look(self) -> None:
        """Everything that must hold whatever happened."""
        with self.world.database.read() as session:
            rows = session.execute(select(cases)).all()
            taken = session.execute(select(steps).order_by(steps.c.id)).all()
            served = session.execute(select(letters)).all()
            waiting = session.execute(
                select(messages.c.subject).where(messages.c.state.in_(WAITING))
            ).scalars()
            parties = set(waiting)
            reached = select(recipients.c.campaign_id, recipients.c.cases).join(
                messages, messages.c.key == recipients.c.message_key
            )
            arrived = session.execute(reached.where(messages.c.state == "delivered")).all()
        self.arrived = {(one.campaign_id, json.loads(one.cases)[0][0]) for one in arrived}
        self._look_at_cases(rows)
        for party in parties - self._debtors():
            raise AssertionError(f"messages wait for {party}, who owes nothing")
        for row in rows:
            own = [one for one in taken if one.case_id == row.id]
            self._look_at_steps(own, [one for one in served if one.case_id == row.id])
            stages = [one.stage for one in own if one.anchor_on == row.anchor_on]
            if row.state == "open":
                assert row.stage == max(stages, default=-1)

    def _debtors(self) -> set[str]:
        return {PARTIES[number] for number, known in self.known.items() if known.owed()}

    def _look_at_cases(self, rows: Sequence[Any]) -> None:
        """No case is lost, and each says what is owed to the fen."""
        for number, known in self.known.items():
            owed = known.owed()
            found = [row for row in rows if row.customer_no == number and row.state == "open"]
            assert len(found) == (1 if owed else 0)
            for row in found:
                assert row.anchor_on == owed[0][0]
                assert to_fen(row.principal) == sum(fen for _, fen in owed)
                assert row.bill_count == len(owed)

    def _look_at_steps(self, own: Sequence[Any], served: Sequence[Any]) -> None:
        days = [china_date(one.taken_at) for one in own]
        assert len(set(days)) == len(days), "two stages on one day"
        for index, one in enumerate(own):
            before = [other for other in own[:index] if other.anchor_on == one.anchor_on]
            assert all(other.stage < one.stage for other in before)
            day = (days[index] - one.anchor_on).days
            first = FIRST_DAY[one.stage]
            assert first is None or day >= first
            assert day <= LAST_DAY.get(one.stage, 10_000)
            if one.stage == 5:
                demands = [other for other in before if other.stage == 4]
                assert demands, "the demand was skipped"
                proof = (demands[0].campaign_id, demands[0].case_id)
                assert proof in self.arrived, "the demand reached nobody"
                proofs = [
                    letter
                    for letter in served
                    if letter.anchor_on == one.anchor_on
                    and letter.served_at is not None
                    and letter.served_at <= one.taken_at + timedelta(hours=1)
                ]
                assert proofs, "the letter's stage without its proof"


_which = st.integers(0, 2)
_yuan = st.sampled_from(["0.50", "1.00", "30.00", "86.40", "100.00", "186452.37"])
_pick = st.integers(0, 9)
STEPS = st.one_of(
    st.tuples(st.just("bill"), _which, st.integers(-40, 25), _yuan),
    st.tuples(st.just("bill"), _which, st.integers(0, 25), st.sampled_from(["-20.00", "-500.00"])),
    st.tuples(st.just("version"), _which, _pick, st.sampled_from(["reissue", "reversal"]), _yuan),
    st.tuples(
        st.just("pay"), _which, _yuan, _pick, st.sampled_from(["booked", "in_flight"]), _pick
    ),
    st.tuples(st.just("turn"), _which, _pick, st.sampled_from(["booked", "failed", "reversed"])),
    st.tuples(st.just("settle_all"), _which),
    st.tuples(st.just("hold"), _which, st.sampled_from([0, 1, 4, 20])),
    st.tuples(st.just("end_hold"), _pick),
    st.tuples(st.just("answer"), _which, st.sampled_from(["known", "paid", "dispute"])),
    st.tuples(st.just("finish"), _pick),
    st.tuples(st.just("letter"), _which, st.booleans()),
    st.tuples(st.just("transfer"), _which, st.sampled_from(["张三", "李四"])),
    st.tuples(st.just("send"), st.booleans()),
    st.tuples(st.just("days"), st.integers(1, 8), st.just(True)),
    st.tuples(st.just("days"), st.integers(1, 8), st.booleans()),
    st.tuples(st.just("sleep"), st.integers(1, 40)),
)


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(STEPS, min_size=5, max_size=22))
def test_whatever_happens_cases_stay_lawful_and_true_to_the_fen(
    database: Database, history: list[tuple[Any, ...]]
) -> None:
    walk = Walk(database)
    walk.do(("bill", 0, 20, "86.40"))
    walk.do(("bill", 1, -2, "100.00"))
    for step in history:
        walk.do(step)


def test_a_whole_climb_with_a_partial_payment_and_a_second_bill(database: Database) -> None:
    """The long way by hand: the random histories seldom come to the letter."""
    walk = Walk(database)
    for step in (
        ("bill", 0, 20, "100.00"),
        ("days", 8),
        ("days", 8),
        ("days", 8),
        ("pay", 0, "30.00", 0, "booked", 0),
        ("days", 8),
        ("bill", 0, 20, "86.40"),
        ("sleep", 9),
        ("send",),
        ("sleep", 20),
        ("letter", 0, True),
        ("days", 3),
        ("settle_all", 0),
        ("days", 8),
    ):
        walk.do(step)
    due = DUE
    stages = [stage for anchor, stage in walk.world.steps(NUMBERS[0]) if anchor == due]
    assert stages == [0, 1, 2, 3, 4, 5]
    assert walk.world.case(NUMBERS[0]) is None
    assert {state for state in walk.world.states().values() if state in WAITING} == set()
