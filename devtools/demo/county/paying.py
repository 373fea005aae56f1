"""What the county's customers paid (交费记录): by habit, late, broken off, on its way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random

from devtools.demo.county.billing import Bill
from devtools.demo.county.customers import Customer, Habit

BOOKED, IN_FLIGHT, FAILED, REVERSED = "已销账", "在途", "扣款失败", "已冲正"
PART_OF_YUAN = 1_000


@dataclass(frozen=True, slots=True)
class Payment:
    """One row of the payment feed without its number; China time."""

    customer_no: str
    bill_no: str
    amount: int
    state: str
    method: str
    paid_at: datetime
    expected_on: date | None = None


def payments_of(customer: Customer, bills: list[Bill], today: date, rng: Random) -> list[Payment]:
    """Payments for the current versions of these bills, the newest bill last."""
    payer = _Payer(customer.customer_no, customer.habit, today, rng)
    newest = len(bills) - 1
    owed_from = newest - customer.habit.owes
    made: list[Payment] = []
    for place, bill in enumerate(bills):
        if bill.amount <= 0:
            continue
        if place == newest and not customer.is_closed:
            made += payer.newest(bill)
        elif place >= owed_from and customer.habit.owes:
            made += payer.owed(bill, is_oldest=place == owed_from)
        else:
            made += payer.settled(bill, is_last=place == newest - 1)
    return made


@dataclass(slots=True)
class _Payer:
    customer_no: str
    habit: Habit
    today: date
    rng: Random

    def settled(self, bill: Bill, *, is_last: bool) -> list[Payment]:
        """Paid in full; the last old one of some was reversed and paid again."""
        day = self._usual_day(bill)
        if is_last and self.habit.is_reversed:
            first = self._made(bill, bill.amount, REVERSED, day - timedelta(days=1))
            return [first, self._made(bill, bill.amount, BOOKED, day)]
        return [self._made(bill, bill.amount, BOOKED, day)]

    def owed(self, bill: Bill, *, is_oldest: bool) -> list[Payment]:
        """Not paid: nothing came, a part of it, or what came did not last."""
        after = bill.month.due_on + timedelta(days=3)
        if self._is_autopay():
            expected = bill.month.due_on - timedelta(days=1)
            started = expected - timedelta(days=2)
            return [self._made(bill, bill.amount, FAILED, started, expected)]
        if is_oldest and self.habit.is_reversed:
            return [self._made(bill, bill.amount, REVERSED, min(after, self._yesterday()))]
        part = int(bill.amount * self.rng.uniform(0.3, 0.7)) // PART_OF_YUAN * PART_OF_YUAN
        if is_oldest and self.habit.is_partial and part:
            return [self._made(bill, part, BOOKED, min(after, self._yesterday()))]
        return []

    def newest(self, bill: Bill) -> list[Payment]:
        """What has become of this month's bill by today."""
        if self.habit.newest == "paid":
            return [self._made(bill, bill.amount, BOOKED, self._usual_day(bill))]
        if self.habit.newest == "in_flight":
            expected = self.today + timedelta(days=1)
            return [self._made(bill, bill.amount, IN_FLIGHT, self._yesterday(), expected)]
        if self.habit.newest == "failed":
            expected = self.today - timedelta(days=2)
            started = expected - timedelta(days=2)
            return [self._made(bill, bill.amount, FAILED, started, expected)]
        return []

    def _is_autopay(self) -> bool:
        return self.habit.method in ("银行代扣", "托收")

    def _usual_day(self, bill: Bill) -> date:
        day = bill.month.due_on + timedelta(days=self.habit.punctuality + self.rng.randint(-2, 2))
        first = bill.month.issued_on + timedelta(days=1)
        return max(first, min(day, self._yesterday()))

    def _yesterday(self) -> date:
        return self.today - timedelta(days=1)

    def _made(
        self, bill: Bill, amount: int, state: str, day: date, expected_on: date | None = None
    ) -> Payment:
        rng = self.rng
        moment = time(rng.randint(8, 19), rng.randrange(60), rng.randrange(60))
        return Payment(
            self.customer_no,
            bill.bill_no,
            amount,
            state,
            self.habit.method,
            datetime.combine(day, moment),
            expected_on,
        )
