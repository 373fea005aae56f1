"""Cases (催费案): opened with the first open bill, kept up with the facts, closed when settled.

``events.facts_changed`` calls ``sync_cases`` after each change of facts; ``refresh_cases`` also
decides, and campaigns do the same with facts they have loaded (``note_decisions``). The case rows
are locked before the facts are read: of two transactions about one customer the second one sees
what the first one changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Subquery,
    and_,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from gongdian.accounts.customer_tables import customers
from gongdian.arrears.facts import DebtFacts, as_text, load_debts
from gongdian.arrears.model import PAUSE_KINDS, Decision
from gongdian.arrears.rules import STAGES, ladder_in_force
from gongdian.arrears.steps import (
    TakeStep,
    count_anew,
    take_step,
    take_steps,
    untake_steps,
)
from gongdian.arrears.tables import cases
from gongdian.arrears.worklist import NewItem, add_items
from gongdian.billing.bulk import as_fen, chunks
from gongdian.billing.tables import bills
from gongdian.clock import china_date
from gongdian.db import Session
from gongdian.rule_tables import has_rules, rules_in_force

# Steps are a case's too: whoever handles cases finds them here.
__all__ = [
    "CasesChanged",
    "MovedCase",
    "TakeStep",
    "note_decisions",
    "refresh_cases",
    "sync_cases",
    "take_step",
    "take_steps",
    "untake_steps",
]

# A unique key that another transaction took first shows once it has committed.
_TRIES = 3
# Decisions that are for people.
_WORK = {
    "demand_unproven": "demand_unproven",
    "letter_due": "letter_due",
    "proof_due": "proof_due",
    "closed_customer": "closed",
}

# In whole fen: the difference of two sums has forgotten that it is money.
_owed = (func.sum(as_fen(bills.c.amount)) - func.sum(as_fen(bills.c.paid))).label("principal")


@dataclass(frozen=True, slots=True)
class MovedCase:
    """A case that a refresh closed or changed, and why: settled, prepaid, holder, anchor, amount.

    ``party_no`` is the party that its messages were sent to.
    """

    id: int
    customer_no: str
    party_no: str
    why: str


@dataclass(slots=True)
class CasesChanged:
    """What a refresh changed."""

    opened: int = 0
    moved: list[MovedCase] = field(default_factory=list)
    closed: list[MovedCase] = field(default_factory=list)


def refresh_cases(session: Session, customer_nos: Iterable[str], now: datetime) -> CasesChanged:
    """Open, change and close the cases of these customers by the facts, and decide anew.

    Again, it changes nothing. The messages of what has changed are ``events.facts_changed``'s.
    """
    numbers = list(customer_nos)
    changed = sync_cases(session, numbers, now)
    ladder = ladder_in_force(session)
    facts = load_debts(session, numbers, now)
    today = china_date(now)
    decisions = {number: one.decide(ladder, today) for number, one in facts.items()}
    note_decisions(session, facts, decisions, ladder.label, now)
    return changed


def sync_cases(session: Session, customer_nos: Iterable[str], now: datetime) -> CasesChanged:
    """Let the cases of these customers follow bills and customers; some thousand a call.

    A customer has one open case while anything is unpaid. 费控 customers have none. A new holder
    has a case of their own: the former one's is closed.
    """
    changed = CasesChanged()
    for some in chunks(sorted(set(customer_nos))):
        # Bills of a whole month open as many cases: a case just opened need not be compared.
        known = _with_case(session, some)
        missing = [number for number in some if number not in known]
        if missing:
            opened, was_first = _open_missing(session, missing, now)
            changed.opened += opened
            known = known if was_first else set(some)
        if not known:
            continue
        moved, closed = _compare(session, sorted(known))
        _close(session, closed, now)
        _move(session, moved, now)
        again = [one.customer_no for one in closed if one.why == "holder"]
        if again:
            changed.opened += _open_missing(session, again, now)[0]
        changed.moved += moved
        changed.closed += closed
    return changed


def note_decisions(
    session: Session,
    facts: Mapping[str, DebtFacts],
    decisions: Mapping[str, Decision],
    rules: str,
    now: datetime,
) -> None:
    """Write down when to look again and what pauses; ask people for what only they can do."""
    groups: dict[tuple[date | None, str], list[int]] = {}
    items: list[NewItem] = []
    for number, decision in decisions.items():
        case = facts[number].case
        if case is None:
            continue
        paused_by = decision.why if decision.why in PAUSE_KINDS else ""
        if (case.next_on, case.paused_by, case.rules) != (decision.next_on, paused_by, rules):
            groups.setdefault((decision.next_on, paused_by), []).append(case.id)
        if decision.why in _WORK:
            station = facts[number].customer.station
            items.append(NewItem(_WORK[decision.why], number, station, case.id))
    for (next_on, paused_by), ids in groups.items():
        values = {"next_on": next_on, "paused_by": paused_by, "rules": rules, "changed_at": now}
        for some in chunks(ids):
            session.execute(
                update(cases).where(cases.c.id.in_(some), cases.c.state == "open").values(values)
            )
    if items:
        add_items(session, items, now)


def _with_case(session: Session, some: Sequence[str]) -> set[str]:
    query = select(cases.c.open_key).where(as_text(cases.c.open_key).in_(some))
    return set(session.execute(query).scalars())


def _debts(some: Sequence[str]) -> Subquery:
    """The oldest due date, sum [fen] and number of open bills, by 户号."""
    return (
        select(
            bills.c.customer_no,
            func.min(bills.c.due_on).label("anchor_on"),
            _owed,
            func.count().label("bill_count"),
        )
        .where(bills.c.is_open, as_text(bills.c.customer_no).in_(some))
        .group_by(bills.c.customer_no)
        .subquery()
    )


def _open_missing(session: Session, some: Sequence[str], now: datetime) -> tuple[int, bool]:
    """Open a case where something is unpaid and none is open; how many, and whether nobody else
    opened one meanwhile."""
    owed = _debts(some)
    rules = rules_in_force(session, STAGES).label if has_rules(session, STAGES) else ""
    wanted = (
        select(
            owed.c.customer_no,
            customers.c.party_no,
            customers.c.holder,
            literal("open"),
            owed.c.customer_no,
            owed.c.anchor_on,
            owed.c.principal,
            owed.c.bill_count,
            literal(-1),
            literal(china_date(now)),
            literal(rules),
            literal(now, cases.c.opened_at.type),
            literal(now, cases.c.changed_at.type),
        )
        .join_from(owed, customers, customers.c.customer_no == owed.c.customer_no)
        .outerjoin(cases, cases.c.open_key == owed.c.customer_no)
        .where(cases.c.id.is_(None), customers.c.is_prepaid.is_(False))
    )
    names = (
        "customer_no party_no holder state open_key anchor_on principal bill_count stage next_on "
        "rules opened_at changed_at"
    )
    statement = insert(cases).from_select(names.split(), wanted)
    for attempt in range(1, _TRIES + 1):
        try:
            with session.begin_nested():
                return session.execute(statement).rowcount, attempt == 1
        except IntegrityError:
            if attempt == _TRIES:
                raise
    raise AssertionError("unreachable")


def _compare(session: Session, some: Sequence[str]) -> tuple[list[MovedCase], list[MovedCase]]:
    """The open cases that differ from the facts: to change, to close."""
    of = cases.c
    lock = select(of.id).where(as_text(of.open_key).in_(some)).order_by(of.id)
    session.execute(lock.with_for_update()).all()
    owed = _debts(some)
    same = and_(
        owed.c.anchor_on == of.anchor_on,
        owed.c.principal == as_fen(of.principal),
        owed.c.bill_count == of.bill_count,
        customers.c.holder == of.holder,
        customers.c.is_prepaid.is_(False),
    )
    differs: ColumnElement[bool] = or_(owed.c.customer_no.is_(None), ~same)
    query = (
        select(
            of.id,
            of.customer_no,
            of.party_no,
            owed.c.customer_no.is_(None).label("is_settled"),
            (customers.c.holder != of.holder).label("is_transferred"),
            customers.c.is_prepaid,
            (owed.c.anchor_on == of.anchor_on).label("is_same_anchor"),
        )
        .join_from(cases, customers, customers.c.customer_no == of.customer_no)
        .outerjoin(owed, owed.c.customer_no == of.customer_no)
        .where(as_text(of.open_key).in_(some), differs)
        .order_by(of.id)
    )
    moved: list[MovedCase] = []
    closed: list[MovedCase] = []
    for case_id, number, party_no, *state, is_same_anchor in session.execute(query):
        why = _closing(*state)
        if why:
            closed.append(MovedCase(case_id, number, party_no, why))
        else:
            why = "amount" if is_same_anchor else "anchor"
            moved.append(MovedCase(case_id, number, party_no, why))
    return moved, closed


def _closing(is_settled: bool, is_transferred: bool, is_prepaid: bool) -> str:
    """Why a case ends, '' when it does not."""
    if is_settled:
        return "settled"
    if is_transferred:
        return "holder"
    return "prepaid" if is_prepaid else ""


def _close(session: Session, closed: Sequence[MovedCase], now: datetime) -> None:
    for why in sorted({one.why for one in closed}):
        for some in chunks(one.id for one in closed if one.why == why):
            session.execute(
                update(cases)
                .where(cases.c.id.in_(some), cases.c.state == "open")
                .values(
                    state="closed",
                    open_key=null(),
                    closed_at=now,
                    close_reason=why,
                    next_on=null(),
                    paused_by="",
                    changed_at=now,
                )
            )


def _move(session: Session, moved: Sequence[MovedCase], now: datetime) -> None:
    """Take over the facts, by one statement for all; the rows are locked and open."""
    if not moved:
        return

    def of_case(value: ColumnElement[Any]) -> ScalarSelect[Any]:
        theirs = select(value).where(bills.c.is_open, bills.c.customer_no == cases.c.customer_no)
        return theirs.correlate(cases).scalar_subquery()

    session.execute(
        update(cases)
        .where(cases.c.id.in_([one.id for one in moved]))
        .values(
            anchor_on=of_case(func.min(bills.c.due_on)),
            principal=of_case(_owed),
            bill_count=of_case(func.count()),
            next_on=china_date(now),
            changed_at=now,
        )
    )
    count_anew(session, [one.id for one in moved if one.why == "anchor"])
