"""What customers see of their electricity bills (电费页面): debts, months, sums for the chat.

Read models for H5 pages; nothing is changed here, and every figure is today's. Amounts are yuan.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import func, select, type_coerce

from gongdian.accounts.customer_tables import customer_contacts, customers
from gongdian.accounts.customers import CustomerFacts, customers_of
from gongdian.arrears.answers import ANSWER_LABELS
from gongdian.arrears.cutoff import CutFacts, CutoffRules, EarliestCut, earliest_cut
from gongdian.arrears.facts import DebtFacts, load_debts
from gongdian.arrears.late_fee import LateFeeRules
from gongdian.arrears.model import Ladder, Pause
from gongdian.arrears.page_bills import (
    ZERO,
    ShownBill,
    is_of_holder,
    late_fee_today,
    open_views,
    shown_bill,
)
from gongdian.arrears.page_views import MoneyOnItsWay, Party, Supply
from gongdian.arrears.rules import (
    cutoff_rules_in_force,
    ladder_in_force,
    late_fee_rules_in_force,
)
from gongdian.arrears.tables import answers
from gongdian.billing.model import METHOD_LABELS
from gongdian.billing.queries import (
    BillView,
    InFlight,
    balances_of,
    bills_of,
    in_flight,
    payments_of,
)
from gongdian.billing.tables import bills
from gongdian.clock import china_date, china_text
from gongdian.columns import Fen
from gongdian.db import Session
from gongdian.errors import NotFoundError
from gongdian.feeds import feed_state

log = logging.getLogger("gongdian.arrears")

# More 户号 than these would bury the sum; the rest is counted.
MOST_SHOWN = 20
MONTHS = 12
_PAUSE_TEXTS = {
    "hold": "供电公司已暂停提醒",
    "dispute": "您的疑问正在核实，提醒已暂停",
    "claimed_paid": "已记下您说的缴费，提醒已暂停，到账销账后自动结束",
    "transfer": "户号刚过户，欠费归属正在核实，提醒已暂停",
}


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """What was answered last to a message."""

    answer: str
    at: datetime

    @property
    def label(self) -> str:
        """The answer in words."""
        return ANSWER_LABELS[self.answer]


@dataclass(frozen=True, slots=True)
class OpenSum:
    """One bound 户号 and what it owes, for the chat; ``due_on`` None: nothing."""

    customer_no: str
    is_prepaid: bool
    principal: Decimal
    due_on: date | None


def party_page(session: Session, customer_nos: Sequence[str], now: datetime) -> Party:
    """These 户号 with their open bills, late fees, pauses and the earliest lawful cut.

    Of many the ``MOST_SHOWN`` first are listed, those that owe before the others.
    """
    today = china_date(now)
    views = open_views(session, customer_nos)
    order = sorted(dict.fromkeys(customer_nos), key=lambda number: (number not in views, number))
    shown = order[:MOST_SHOWN]
    known = customers_of(session, shown)
    builder = _Builder(session, today, known, views, now)
    every = [view for found in views.values() for view in found]
    feed = feed_state(session, "payments")
    return Party(
        today,
        tuple(builder.supply(number) for number in shown if number in known),
        sum((view.amount - view.paid for view in every), ZERO),
        min((view.due_on for view in every), default=None),
        len(order) - len(shown),
        feed.as_of if feed else None,
    )


class _Builder:
    """Builds the 户号 of one page from what a few queries found for all of them."""

    def __init__(
        self,
        session: Session,
        today: date,
        known: Mapping[str, CustomerFacts],
        views: Mapping[str, list[BillView]],
        now: datetime,
    ) -> None:
        owing = [number for number in known if number in views]
        self._session, self._today, self._known, self._views = session, today, known, views
        self._on_way = in_flight(session, owing) if owing else {}
        self._debts = load_debts(session, owing, now) if owing else {}
        prepaid = [number for number, facts in known.items() if facts.is_prepaid]
        self._balances = balances_of(session, prepaid) if prepaid else {}
        self._rules = (
            _Rules(session)
            if any(view.due_on < today for number in owing for view in views[number])
            else None
        )

    def supply(self, number: str) -> Supply:
        """One 户号."""
        facts = self._known[number]
        debt = self._debts.get(number)
        balance = self._balances.get(number)
        return Supply(
            facts,
            tuple(self._bills(facts)),
            tuple(
                _on_its_way(one)
                for one in self._on_way.get(number, [])
                if _is_since(facts, one.paid_at)
            ),
            tuple(_pause_text(one) for one in debt.pauses if one.kind in _PAUSE_TEXTS)
            if debt
            else (),
            self._cut(debt) if debt else None,
            balance if balance and _is_since(facts, balance.measured_at) else None,
            self._rules.late_fee_label if self._rules else "",
        )

    def _bills(self, facts: CustomerFacts) -> list[ShownBill]:
        found = []
        for view in self._views.get(facts.customer_no, []):
            late: Decimal | None = ZERO
            if view.due_on < self._today and self._rules is not None:
                late = self._late_fee(view, facts)
            found.append(shown_bill(view, self._today, late))
        return found

    def _late_fee(self, view: BillView, facts: CustomerFacts) -> Decimal | None:
        assert self._rules is not None  # noqa: S101 - an overdue bill made them
        paid = payments_of(self._session, facts.customer_no, 200) if view.paid else []
        rules = self._rules.late_fees
        return late_fee_today(view, paid, facts.customer_class, facts.region, rules, self._today)

    def _cut(self, debt: DebtFacts) -> EarliestCut | None:
        """The earliest lawful day for an overdue debt."""
        anchor, rules = debt.debt.anchor_on, self._rules
        if anchor is None or anchor >= self._today or rules is None or rules.cutoffs is None:
            return None
        if anchor < self._views[debt.customer.customer_no][0].due_on:
            return None  # it counts from a former holder's bill
        letter = debt.letter
        served = letter.served_on if letter and letter.anchor_on == anchor else None
        facts = CutFacts(
            debt.customer.region,
            debt.customer.customer_class,
            debt.customer.is_important,
            anchor,
            debt.demanded_on(rules.ladder) if rules.ladder else None,
            served,
        )
        return earliest_cut(facts, rules.cutoffs, self._today)


class _Rules:
    """The rule tables in force; what is missing is left out of the page."""

    def __init__(self, session: Session) -> None:
        self.late_fees: LateFeeRules | None = None
        self.cutoffs: CutoffRules | None = None
        self.ladder: Ladder | None = None
        self.late_fee_label = ""
        try:
            self.late_fees = late_fee_rules_in_force(session)
            self.late_fee_label = self.late_fees.label
            self.ladder = ladder_in_force(session)
            self.cutoffs = cutoff_rules_in_force(session)
        except NotFoundError:
            log.error("rules_missing")


def _is_since(facts: CustomerFacts, at: datetime) -> bool:
    """Whether something happened under the present holder."""
    return facts.holder_since_on is None or china_date(at) >= facts.holder_since_on


def _on_its_way(one: InFlight) -> MoneyOnItsWay:
    return MoneyOnItsWay(one.amount, METHOD_LABELS.get(one.method, "其他"), one.expected_on)


def _pause_text(pause: Pause) -> str:
    until = f"，最迟到 {china_text(pause.until)}" if pause.until else ""
    return f"{_PAUSE_TEXTS[pause.kind]}{until}。交费截止日和违约金不暂停。"


def month_lines(session: Session, customer_no: str) -> list[BillView]:
    """The current bills of the last months, newest first; none of a former holder's.

    An older one that is still open is there as long as ``open_views`` shows it.
    """
    found = bills_of(session, customer_no, MONTHS)
    facts = customers_of(session, [customer_no]).get(customer_no)
    since = facts.holder_since_on if facts else None
    if since is None:
        return found
    still_open = {view.bill_no for view in open_views(session, [customer_no]).get(customer_no, [])}
    return [view for view in found if view.issued_on >= since or view.bill_no in still_open]


def month_bills(session: Session, supply: Supply, period: str, today: date) -> list[ShownBill]:
    """The bills of one month line by line; none: it is not among those that can be seen."""
    still_open = {bill.view.bill_no: bill for bill in supply.bills}
    return [
        still_open.get(view.bill_no) or shown_bill(view, today)
        for view in month_lines(session, supply.customer_no)
        if view.period == period
    ]


def last_answer(session: Session, message_key: str, answer: str = "") -> LastAnswer | None:
    """The latest answer to a message; only such an ``answer`` where one is given."""
    columns = answers.c
    wanted = [columns.answer == answer] if answer else []
    row = session.execute(
        select(columns.answer, columns.at)
        .where(columns.message_key == message_key, *wanted)
        .order_by(columns.id.desc())
        .limit(1)
    ).first()
    return LastAnswer(row.answer, row.at) if row is not None else None


def open_sums(session: Session, contact_id: int) -> list[OpenSum]:
    """Each bound 户号 of a WeChat contact with its open amount, oldest debt first; one query."""
    owed = type_coerce(func.sum(bills.c.amount - bills.c.paid), Fen)
    query = (
        select(
            customers.c.customer_no,
            customers.c.is_prepaid,
            owed,
            func.min(bills.c.due_on),
        )
        .select_from(customer_contacts)
        .join(customers, customers.c.customer_no == customer_contacts.c.customer_no)
        .outerjoin(
            bills,
            (bills.c.customer_no == customers.c.customer_no) & bills.c.is_open & is_of_holder(),
        )
        .where(
            customer_contacts.c.contact_id == contact_id,
            customer_contacts.c.state == "active",
            customer_contacts.c.holder == customers.c.holder,
        )
        .group_by(customers.c.customer_no, customers.c.is_prepaid)
        .order_by(
            func.min(bills.c.due_on).is_(None), func.min(bills.c.due_on), customers.c.customer_no
        )
    )
    return [
        OpenSum(number, bool(is_prepaid), principal or ZERO, due_on)
        for number, is_prepaid, principal, due_on in session.execute(query)
    ]
