"""余额提醒 for 费控 customers: they have a balance and no due date, and never climb the ladder.

A dated rule table says below which balance who is told, and after how many days again. Of a 户号 is
told once for a threshold and those days, however often it runs: threshold, 户号 and day are in the
message's key. A card that was taken back before it went out told nobody; the next one is counted
in the key. A person gets one card a day for a party: that of the lowest balance, which counts
the others; they follow on later days if they are still low.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path

from sqlalchemy import or_, select

from gongdian.accounts.customer_tables import customers
from gongdian.accounts.customers import CustomerFacts, customers_of
from gongdian.accounts.people import Person, people_of
from gongdian.arrears.facts import NEEDED_FEEDS
from gongdian.arrears.holds import active_pauses
from gongdian.arrears.messages import FLOW, KIND_BALANCE, PAGE, balance_values
from gongdian.billing.bulk import chunks
from gongdian.billing.queries import Balance, balances_of
from gongdian.billing.settling import take_turn
from gongdian.clock import CHINA, china_date
from gongdian.db import AnyRow, Session
from gongdian.errors import InputError
from gongdian.feeds import stale_feeds
from gongdian.money import parse_yuan
from gongdian.outbox.model import MessageState, QueueMessage
from gongdian.outbox.queueing import Outbox, queue_message
from gongdian.outbox.tables import messages
from gongdian.rule_tables import Row, RuleSet, enforce_rules, has_rules, put_rules, rules_in_force

THRESHOLDS = "balance_thresholds"
_FILE = Path(__file__).with_name("rules") / "balance_thresholds.csv"
_FEEDS = ("balances", *(feed for feed in NEEDED_FEEDS if feed in ("customers", "contacts")))
BATCH = 500
# What was measured longer ago says nothing about today.
_MEASURED_WITHIN = timedelta(days=3)
_LONGEST_REPEAT = timedelta(days=31)
_ANY = "any"
_WAITING = (MessageState.QUEUED.value, MessageState.HELD.value, MessageState.SENDING.value)
# What ended like this without a try told nobody anything.
_UNTOLD = (
    MessageState.WITHDRAWN.value,
    MessageState.SUPERSEDED.value,
    MessageState.EXPIRED.value,
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """Below ``below`` yuan people up to ``max_level`` are told, again after ``repeat_days``."""

    customer_class: str
    below: Decimal
    repeat_days: int
    max_level: int


@dataclass(slots=True)
class Reminded:
    """What a batch did; ``after`` is the last customer looked at, '' when there is none left."""

    queued: int = 0
    after: str = ""
    left_out: dict[str, int] = field(default_factory=dict)

    def leave_out(self, reason: str, count: int = 1) -> None:
        """Count customers or cards that are not told, by reason."""
        self.left_out[reason] = self.left_out.get(reason, 0) + count


@dataclass(frozen=True, slots=True)
class _Low:
    """A customer below a threshold."""

    customer: CustomerFacts
    balance: Balance
    threshold: Threshold


def seed_thresholds(session: Session, by: str, now: datetime) -> list[str]:
    """Put the shipped thresholds in force where no version was ever written."""
    if has_rules(session, THRESHOLDS):
        return []
    with _FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    read_thresholds(RuleSet(THRESHOLDS, 1, "", tuple(rows)))
    version = put_rules(session, THRESHOLDS, rows, f"shipped {_FILE.name}", by, now)
    enforce_rules(session, THRESHOLDS, version, by, now)
    return [THRESHOLDS]


def read_thresholds(rules: RuleSet) -> tuple[Threshold, ...]:
    """Rows as thresholds, the lowest first; InputError ``bad_rule``."""
    found = []
    for number, row in enumerate(rules.rows, start=1):
        try:
            found.append(_threshold(row))
        except (KeyError, ValueError, InputError) as error:
            raise InputError("bad_rule", str(error), table=rules.name, row=number) from error
    return tuple(sorted(found, key=lambda one: one.below))


def _threshold(row: Row) -> Threshold:
    days = int(row["repeat_days"])
    if not 1 <= days <= _LONGEST_REPEAT.days:
        raise ValueError("repeat_days is from 1 to 31")
    below = parse_yuan(row["below_yuan"])
    return Threshold(row["customer_class"], below, days, int(row["max_level"]))


def remind_batch(session: Session, outbox: Outbox, after: str, now: datetime) -> Reminded:
    """Look at the next 费控 parties and queue a card for each person who is to hear.

    Nothing is told by stale balances, nor to who is held or disputes.
    """
    done = Reminded()
    numbers, done.after = _next_customers(session, after)
    if not numbers:
        return done
    # A recharge that comes in meanwhile waits, and takes back what is queued here.
    take_turn(session)
    if stale_feeds(session, _FEEDS, now):
        done.leave_out("stale_feed", len(numbers))
        return done
    low = _low(session, numbers, done, now)
    told = _told_lately(session, low, now)
    low = [one for one in low if not _is_told(one, told, now, done)]
    people = people_of(session, outbox.policy.account, [one.customer.customer_no for one in low])
    for party_no, party in groupby(low, key=lambda one: one.customer.party_no):
        for recipient, (person, theirs) in _by_person(list(party), people, done).items():
            if (party_no, recipient) in told.today:
                done.leave_out("told_today")
            else:
                _queue(session, outbox, told, recipient, person, theirs, done, now)
    return done


def _next_customers(session: Session, after: str) -> tuple[list[str], str]:
    """The 费控 customers of the next parties; the last party, '' when there are no more."""
    of = customers.c
    query = (
        select(of.party_no, of.customer_no)
        .where(of.is_prepaid, of.state == "active")
        .order_by(of.party_no)
    )
    rows = session.execute(query.where(of.party_no > after).limit(BATCH)).all()
    if len(rows) < BATCH:
        return [row.customer_no for row in rows], ""
    last = rows[-1].party_no
    rest = session.execute(query.where(of.party_no == last)).all()
    whole = [row for row in rows if row.party_no != last]
    return [row.customer_no for row in (*whole, *rest)], last


def _low(session: Session, numbers: Sequence[str], done: Reminded, now: datetime) -> list[_Low]:
    """Those below a threshold whom nothing holds back, by party and 户号."""
    thresholds = read_thresholds(rules_in_force(session, THRESHOLDS))
    facts = customers_of(session, numbers)
    balances = balances_of(session, numbers)
    pauses = active_pauses(session, numbers, now)
    found = []
    for number, balance in balances.items():
        customer = facts[number]
        threshold = _crossed(thresholds, customer, balance.balance)
        if threshold is None:
            continue
        if now - balance.measured_at > _MEASURED_WITHIN:
            done.leave_out("old_balance")
        elif number in pauses:
            done.leave_out(pauses[number][0].kind)
        else:
            found.append(_Low(customer, balance, threshold))
    return sorted(found, key=lambda one: (one.customer.party_no, one.customer.customer_no))


def _crossed(
    thresholds: Iterable[Threshold], customer: CustomerFacts, balance: Decimal
) -> Threshold | None:
    """The lowest threshold that the balance is under; zero itself counts as used up."""
    for one in thresholds:
        if one.customer_class not in (_ANY, customer.customer_class):
            continue
        if balance < one.below or (balance <= 0 and one.below == 0):
            return one
    return None


def _stem(threshold: Threshold, customer: CustomerFacts) -> str:
    return f"balance{threshold.below:.0f}#{customer.customer_no}"


def overtaken_cards(session: Session, customer_nos: Iterable[str]) -> list[str]:
    """Keys of the cards not out yet that new balances of these customers have overtaken.

    That is: the 户号 that it names is not below the threshold it was told for any more, or one of
    those that it counts may not be low any more.
    """
    found: list[str] = []
    of = customers.c
    for some in chunks(customer_nos):
        query = select(of.customer_no, of.party_no).where(of.customer_no.in_(some), of.is_prepaid)
        party_of = {row.customer_no: row.party_no for row in session.execute(query)}
        waiting = _waiting_cards(session, sorted(set(party_of.values())))
        if waiting:
            found += _overtaken(session, waiting, party_of)
    return sorted(set(found))


def _waiting_cards(session: Session, party_nos: Sequence[str]) -> Sequence[AnyRow]:
    if not party_nos:
        return []
    of = messages.c
    query = select(of.key, of.subject, of.occasion).where(
        of.flow == FLOW,
        of.subject.in_(party_nos),
        of.kind == KIND_BALANCE,
        or_(of.state.in_(_WAITING), of.next_step.is_not(None)),
    )
    return session.execute(query).all()


def _overtaken(
    session: Session, waiting: Sequence[AnyRow], party_of: Mapping[str, str]
) -> list[str]:
    thresholds = read_thresholds(rules_in_force(session, THRESHOLDS))
    facts, balances = customers_of(session, party_of), balances_of(session, party_of)
    stems: dict[str, str] = {}
    for number, balance in balances.items():
        crossed = _crossed(thresholds, facts[number], balance.balance)
        stems[number] = "" if crossed is None else _stem(crossed, facts[number])
    recovered = {party_of[number] for number, stem in stems.items() if not stem}
    found = []
    for row in waiting:
        stem, _, day = row.occasion.rpartition(".")
        named = stem.partition("#")[2]
        is_counted = "+" in day and row.subject in recovered
        if is_counted or stems.get(named, stem) != stem:
            found.append(row.key)
    return found


def _occasion(one: _Low, others: int, recipient: str, told: _Told, now: datetime) -> str:
    """The day's; when the card of that name told nobody, the next of the day."""
    first = f"{_stem(one.threshold, one.customer)}.{china_date(now):%Y%m%d}"
    first += f"+{others}" if others else ""
    for count in itertools.count(1):
        occasion = first if count == 1 else f"{first}-{count}"
        if (one.customer.party_no, recipient, occasion) not in told.keys:
            return occasion
    raise AssertionError("there is always a next one")


@dataclass(slots=True)
class _Told:
    """Cards of the last weeks: when of which threshold and 户号, to whom today; all their keys."""

    at: dict[str, datetime] = field(default_factory=dict)
    today: set[tuple[str, str]] = field(default_factory=set)
    keys: set[tuple[str, str, str]] = field(default_factory=set)


def _told_lately(session: Session, low: Sequence[_Low], now: datetime) -> _Told:
    of = messages.c
    parties = sorted({one.customer.party_no for one in low})
    untold = of.state.in_(_UNTOLD) & (of.attempts == 0) & of.unknown_since.is_(None)
    query = select(of.subject, of.occasion, of.recipient, of.queued_at, untold).where(
        of.flow == FLOW,
        of.subject.in_(parties),
        of.kind == KIND_BALANCE,
        of.queued_at > now - _LONGEST_REPEAT,
    )
    found = _Told()
    for subject, occasion, recipient, at, is_untold in session.execute(query) if parties else ():
        found.keys.add((subject, recipient, occasion))
        if is_untold:
            continue
        stem = occasion.rpartition(".")[0]
        found.at[stem] = max(at, found.at.get(stem, at))
        if china_date(at) == china_date(now):
            found.today.add((subject, recipient))
    return found


def _is_told(one: _Low, told: _Told, now: datetime, done: Reminded) -> bool:
    at = told.at.get(_stem(one.threshold, one.customer))
    if at is None or china_date(now) - china_date(at) >= timedelta(one.threshold.repeat_days):
        return False
    done.leave_out("told_lately")
    return True


def _by_person(
    party: Sequence[_Low], people: Mapping[str, tuple[Person, ...]], done: Reminded
) -> dict[str, tuple[Person, list[_Low]]]:
    found: dict[str, tuple[Person, list[_Low]]] = {}
    for one in party:
        heard = [
            person
            for person in people.get(one.customer.customer_no, ())
            if person.level <= one.threshold.max_level and (person.openid or person.fallbacks)
        ]
        if not heard:
            done.leave_out("unreachable")
        for person in heard:
            found.setdefault(person.recipient, (person, []))[1].append(one)
    return found


def _queue(
    session: Session,
    outbox: Outbox,
    told: _Told,
    recipient: str,
    person: Person,
    theirs: Sequence[_Low],
    done: Reminded,
    now: datetime,
) -> None:
    lowest = min(theirs, key=lambda one: one.balance.balance)
    others = [one.customer.customer_no for one in theirs if one is not lowest]
    try:
        values = balance_values(
            [lowest.customer.customer_no, *others],
            lowest.balance.balance,
            _spoken(lowest.balance.measured_at),
            lowest.threshold.below,
        )
        command = QueueMessage(
            flow=FLOW,
            subject=lowest.customer.party_no,
            occasion=_occasion(lowest, len(others), recipient, told, now),
            recipient=recipient,
            openid=person.openid,
            kind=KIND_BALANCE,
            values=values,
            link_path=PAGE,
            topic="balance",
            fallbacks=person.fallbacks,
        )
        queued = queue_message(session, outbox, command, now)
    except InputError as error:  # this card alone
        done.leave_out(error.code)
        return
    if queued.is_new:
        done.queued += 1
    else:
        done.leave_out("told_lately")


def _spoken(at: datetime) -> str:
    """``2026年11月20日 06:00``, China time."""
    local = at.astimezone(CHINA)
    return f"{local.year}年{local.month}月{local.day}日 {local:%H:%M}"
