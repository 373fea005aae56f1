"""Payment files that come during the demo (后来的交费): who pays is said by the story.

The files look like those of the county and go through the same import.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from devtools.demo.county.feeds import payment_row, write_feed
from devtools.demo.county.paying import BOOKED, FAILED, Payment
from devtools.demo.stage import Stage
from gongdian.billing.queries import InFlight, OpenBill, in_flight, open_bills, open_customers
from gongdian.clock import CHINA

PAGE = 2_000
# How the source calls the ways of money that is on its way.
WAYS = {"bank_debit": "银行代扣", "collection": "托收", "transfer": "转账"}
# Of those who still owe, how many pay within the next days.
PAYING_PERCENT = 35
# Of 代扣 and 托收 on its way, how much arrives.
ARRIVING_PERCENT = 94


class LaterPayments:
    """Writes payment files as of the stage's clock."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage = stage
        self._folder = folder
        self._files = itertools.count(1)
        self._numbers = itertools.count(1)

    def of_customers(self, customer_nos: Iterable[str]) -> Path:
        """These customers pay everything that they owe."""
        with self._stage.house.database.read() as session:
            owed = open_bills(session, list(customer_nos))
        rows = [self._paid(number, bill) for number, bills in owed.items() for bill in bills]
        return self._written(rows)

    def of_the_last_days(self, but: Iterable[str]) -> Path:
        """A third of those who owe pay, what was on its way arrives; ``but`` these customers."""
        left_out = set(but)
        rows: list[tuple[str, Payment]] = []
        after = ""
        while numbers := self._open_after(after):
            after = numbers[-1]
            with self._stage.house.database.read() as session:
                owed = open_bills(session, numbers)
                flying = in_flight(session, numbers)
            for number in numbers:
                if number in left_out:
                    continue
                chance = zlib.crc32(number.encode()) % 100
                if number in flying:
                    rows += self._arrived(number, flying[number], chance)
                elif chance < PAYING_PERCENT:
                    rows += [self._paid(number, bill) for bill in owed[number]]
        return self._written(rows)

    def _open_after(self, after: str) -> list[str]:
        with self._stage.house.database.read() as session:
            return open_customers(session, after, PAGE)

    def _arrived(
        self, number: str, flying: Iterable[InFlight], chance: int
    ) -> list[tuple[str, Payment]]:
        state = BOOKED if chance < ARRIVING_PERCENT else FAILED
        return [
            (
                money.payment_no,
                Payment(
                    number,
                    money.bill_no,
                    round(money.amount * 100),
                    state,
                    WAYS[money.method],
                    money.paid_at.astimezone(CHINA).replace(tzinfo=None, microsecond=0),
                    money.expected_on,
                ),
            )
            for money in flying
        ]

    def _paid(self, number: str, bill: OpenBill) -> tuple[str, Payment]:
        payment = Payment(
            number, bill.bill_no, round(bill.open_amount * 100), BOOKED, "微信", self._moment()
        )
        return f"YX{payment.paid_at:%y%m%d}{next(self._numbers):07d}", payment

    def _moment(self) -> datetime:
        """Half a minute ago, in China."""
        now = self._stage.clock.now() - timedelta(seconds=30)
        return now.astimezone(CHINA).replace(tzinfo=None, microsecond=0)

    def _written(self, rows: Iterable[tuple[str, Payment]]) -> Path:
        day = self._moment()
        path = self._folder / f"payments_{day:%Y%m%d}_{next(self._files)}.csv"
        write_feed(path, "payments", (payment_row(number, one) for number, one in rows))
        return path
