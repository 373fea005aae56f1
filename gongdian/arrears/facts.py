"""The facts of debts (欠费事实), in bulk: customer, bills, money on its way, holds, letters, steps.

``cases`` and campaigns load them by the thousand and let ``model.decide`` decide; they are read
anew before a message is queued.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Column, ColumnElement, String, select, type_coerce

from gongdian.accounts.customers import CustomerFacts, customers_of
from gongdian.arrears.demand_proofs import DEMAND, Told, proven_days, stages_to_prove
from gongdian.arrears.holds import active_pauses
from gongdian.arrears.model import (
    Debt,
    Decision,
    Ladder,
    Letter,
    Pause,
    Taken,
    decide,
    decide_letter,
)
from gongdian.arrears.tables import cases, letters, steps
from gongdian.billing.bulk import as_fen, as_yuan, chunks
from gongdian.billing.queries import OpenBill, open_bills
from gongdian.clock import china_date
from gongdian.db import Session
from gongdian.feeds import stale_feeds

# Silence in one of these may mean that nobody paid or moved, or that the file did not come.
NEEDED_FEEDS = ("customers", "contacts", "bills", "payments")


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """The open case (催费案) of a customer as it stands in its table."""

    id: int
    party_no: str
    holder: int
    anchor_on: date
    principal: Decimal
    bill_count: int
    stage: int
    next_on: date | None
    paused_by: str
    rules: str
    was_told: bool


@dataclass(frozen=True, slots=True)
class DebtFacts:
    """Everything that decides about one customer's debt; ``case`` None: none is open yet."""

    customer: CustomerFacts
    debt: Debt
    bills: tuple[OpenBill, ...]
    pauses: tuple[Pause, ...]
    taken: tuple[Taken, ...]
    letter: Letter | None
    case: CaseFacts | None

    def decide(self, ladder: Ladder, today: date) -> Decision:
        """What the ladder says today."""
        return decide(self.debt, self.taken, self.pauses, self.letter, ladder, today)

    def demanded_on(self, ladder: Ladder) -> date | None:
        """The first proven 催告 for the debt of today."""
        demands = {rule.stage for rule in ladder.rules if rule.code == DEMAND}
        anchor = self.debt.anchor_on
        return min(
            (
                one.proven_on
                for one in self.taken
                if one.proven_on is not None and one.anchor_on == anchor and one.stage in demands
            ),
            default=None,
        )

    def decide_letter(self, ladder: Ladder, today: date) -> Decision:
        """Whether today a letter before a cut may be made or served."""
        return decide_letter(self.debt, self.taken, self.pauses, self.letter, ladder, today)


def load_debts(
    session: Session, customer_nos: Iterable[str], now: datetime
) -> dict[str, DebtFacts]:
    """The facts of those of these customers that are known and owe something or have an open case.

    Set queries only, up to some thousand customers a call. While a feed of ``NEEDED_FEEDS`` is
    stale (过期) or never came, every debt is paused by ``stale_feed``.
    """
    given = list(dict.fromkeys(customer_nos))
    bills = open_bills(session, given)
    known = _open_cases(session, given)
    wanted = [number for number in given if number in bills or number in known]
    customers = customers_of(session, wanted)
    pauses = active_pauses(session, wanted, now)
    taken = _taken(
        session, {one.id: number for number, one in known.items() if one.was_told}, known
    )
    # No letter is prepared before the statute's 30 days are over.
    late = china_date(now) - timedelta(days=30)
    served = _letters(
        session, {one.id: number for number, one in known.items() if one.anchor_on < late}
    )
    stale = (Pause("stale_feed"),) if stale_feeds(session, NEEDED_FEEDS, now) else ()
    found = {}
    for number in wanted:
        customer = customers.get(number)
        if customer is None:
            continue
        own = tuple(bills.get(number, ()))
        found[number] = DebtFacts(
            customer,
            _debt(customer, own),
            own,
            (*stale, *pauses.get(number, ())),
            tuple(taken.get(number, ())),
            served.get(number),
            known.get(number),
        )
    return found


def as_text(column: Column[str]) -> ColumnElement[str]:
    """A key column to compare with keys that came out of the database: they need no check, and a
    column type costs a call a key."""
    return type_coerce(column, String())


def _debt(customer: CustomerFacts, bills: tuple[OpenBill, ...]) -> Debt:
    return Debt(
        customer.customer_no,
        customer.region,
        customer.customer_class,
        customer.is_important,
        customer.is_prepaid,
        customer.state == "closed",
        bills,
    )


def _open_cases(session: Session, customer_nos: Iterable[str]) -> dict[str, CaseFacts]:
    of = cases.c
    query = select(
        of.open_key,
        of.id,
        of.party_no,
        of.holder,
        of.anchor_on,
        as_fen(of.principal),
        of.bill_count,
        of.stage,
        of.next_on,
        of.paused_by,
        of.rules,
        of.stage_at.is_not(None),
    )
    found = {}
    for some in chunks(customer_nos):
        for row in session.execute(query.where(as_text(of.open_key).in_(some))):
            number, case_id, party, holder, anchor, principal, *rest = row
            found[number] = CaseFacts(case_id, party, holder, anchor, as_yuan(principal), *rest)
    return found


def _taken(
    session: Session, numbers: dict[int, str], known: Mapping[str, CaseFacts]
) -> dict[str, list[Taken]]:
    of = steps.c
    query = select(of.case_id, of.anchor_on, of.stage, of.taken_at, of.campaign_id, of.proven_on)
    rows = [
        row
        for some in chunks(numbers)
        for row in session.execute(query.where(of.case_id.in_(some)))
    ]
    # Receipts are looked up of what must be proven only: few stages, and of the debt of today.
    needed = stages_to_prove(session) if rows else frozenset()
    told = [
        (Told(campaign_id, case_id, anchor), case.party_no)
        for case_id, anchor, stage, _, campaign_id, proven_on in rows
        if stage in needed and proven_on is None and campaign_id
        if anchor == (case := known[numbers[case_id]]).anchor_on
    ]
    arrived = proven_days(session, told)
    found: dict[str, list[Taken]] = {}
    for case_id, anchor, stage, at, campaign_id, proven_on in rows:
        if proven_on is None and stage in needed:
            proven_on = arrived.get(Told(campaign_id, case_id, anchor))
        one = Taken(anchor, stage, china_date(at), proven_on)
        found.setdefault(numbers[case_id], []).append(one)
    return found


def _letters(session: Session, numbers: dict[int, str]) -> dict[str, Letter]:
    """The latest letter of each case that is not void."""
    of = letters.c
    query = (
        select(of.case_id, of.anchor_on, of.state, of.served_at, of.notice_days)
        .where(of.state != "void")
        .order_by(of.id)
    )
    found: dict[str, Letter] = {}
    for some in chunks(numbers):
        row: Any
        for row in session.execute(query.where(of.case_id.in_(some))):
            served_on = None if row.served_at is None else china_date(row.served_at)
            letter = Letter(row.anchor_on, row.state, served_on, row.notice_days)
            found[numbers[row.case_id]] = letter
    return found
