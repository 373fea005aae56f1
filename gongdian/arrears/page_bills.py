"""Bills as customers read them (账单明细): parsed lines, what is left, the late fee of today.

``page`` builds from it. Amounts are yuan, energy is kWh.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import ColumnElement, or_, select

from gongdian.accounts.customer_tables import customers
from gongdian.arrears.holds import TRANSFER
from gongdian.arrears.late_fee import LateFeeRules, PaidPart, late_fee
from gongdian.arrears.tables import holds
from gongdian.billing.model import BOOKED, KIND_LABELS, KIND_NORMAL, BillLines, bill_lines
from gongdian.billing.queries import BillView, PaymentView
from gongdian.billing.tables import bills
from gongdian.clock import china_date
from gongdian.db import Session
from gongdian.errors import InputError

ZERO = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class ShownBill:
    """One bill of a page; ``late_fee`` None where it is not known, 0 before it is overdue."""

    view: BillView
    lines: BillLines
    overdue_days: int
    late_fee: Decimal | None

    @property
    def left(self) -> Decimal:
        """The principal that is still open."""
        return self.view.amount - self.view.paid

    @property
    def kind_label(self) -> str:
        """退补, 冲红, 重发; empty for an ordinary bill."""
        kind = self.view.kind
        return "" if kind == KIND_NORMAL else KIND_LABELS[kind]


def shown_bill(view: BillView, today: date, late: Decimal | None = None) -> ShownBill:
    """A bill with its lines; those that cannot be read are left out, the sums stand."""
    try:
        lines = bill_lines(view.lines, view.amount)
    except InputError:
        lines = BillLines((), 0.0, (), (), adds_up=False)
    overdue = max(0, (today - view.due_on).days) if view.is_open else 0
    return ShownBill(view, lines, overdue, late)


def is_of_holder() -> ColumnElement[bool]:
    """Whether a row of ``bills`` is for the eyes of the present holder of its row of ``customers``.

    What was issued before 过户 is the former holder's; what of it is still open is shown once a
    clerk has said that the new holder bears it.
    """
    transfer = select(holds.c.id).where(
        holds.c.customer_no == bills.c.customer_no,
        holds.c.kind == TRANSFER,
        holds.c.ended_at.is_(None),
    )
    since = customers.c.holder_since_on
    is_settled = ~transfer.correlate(bills).exists()
    return or_(since.is_(None), bills.c.issued_on >= since, is_settled)


def open_views(session: Session, customer_nos: Sequence[str]) -> dict[str, list[BillView]]:
    """The open bills that the holders of these may see, with their lines, oldest due first."""
    columns = bills.c
    query = (
        select(*(columns[name] for name in BillView._fields))
        .outerjoin_from(bills, customers, customers.c.customer_no == columns.customer_no)
        .where(columns.is_open, columns.customer_no.in_(customer_nos), is_of_holder())
        .order_by(columns.due_on, columns.period, columns.bill_no)
    )
    found: dict[str, list[BillView]] = {}
    for row in session.execute(query):
        found.setdefault(row.customer_no, []).append(BillView(*row))
    return found


def late_fee_today(
    view: BillView,
    payments: Iterable[PaymentView],
    customer_class: str,
    region: str,
    rules: LateFeeRules | None,
    today: date,
) -> Decimal | None:
    """The late fee of an open bill [yuan]; None where no rule is in force."""
    if rules is None:
        return None
    parts = paid_parts(view, payments)
    try:
        found = late_fee(view.amount, view.due_on, parts, customer_class, region, rules, today)
    except InputError:
        return None
    return found.amount


def paid_parts(view: BillView, payments: Iterable[PaymentView]) -> list[PaidPart]:
    """What was paid of an open bill, and when; together it is ``view.paid``.

    Payments that name the bill come first. The rest is loose money, which pays the oldest bill
    first: of the open ones it has reached one at most, so that bill got the latest of it. What no
    payment explains (a credit from 退补) counts as paid in time.
    """
    booked = [one for one in payments if one.state == BOOKED]
    named = [one for one in booked if one.bill_no == view.bill_no]
    loose = [one for one in booked if not one.bill_no]
    parts: list[PaidPart] = []
    left = view.paid
    # Named ones as they came; of the loose ones the latest first.
    for one in [
        *sorted(named, key=lambda one: one.paid_at),
        *sorted(loose, key=lambda one: one.paid_at, reverse=True),
    ]:
        amount = min(left, one.amount)
        if amount > ZERO:
            parts.append(PaidPart(china_date(one.paid_at), amount))
            left -= amount
    if left > ZERO:
        parts.append(PaidPart(view.due_on, left))
    return parts
