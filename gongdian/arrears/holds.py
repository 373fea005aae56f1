"""Holds (暂停催收): why and until when a customer is not reminded; they end by themselves.

Clerks, answers and changes of holder make them. A hold keeps back what is queued and not sent;
it moves neither the due date nor the late fee.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, String, or_, select, type_coerce, update

from gongdian.accounts.customers import customers_of
from gongdian.arrears.model import Pause
from gongdian.arrears.rules import holidays_in_force
from gongdian.arrears.tables import cases, holds
from gongdian.arrears.working_days import HolidayCalendar, add_working_days
from gongdian.audit import record_audit
from gongdian.billing.bulk import chunks
from gongdian.billing.queries import InFlight, in_flight
from gongdian.clock import CHINA, china_date, next_china_midnight
from gongdian.db import Session, change_one
from gongdian.errors import InputError, NotFoundError
from gongdian.outbox.holding import Selection, change_end, hold_messages, release_messages

HOLD, DISPUTE, CLAIMED_PAID, TRANSFER = "hold", "dispute", "claimed_paid", "transfer"
HOLD_LABELS = {HOLD: "暂停催收", DISPUTE: "有疑问", CLAIMED_PAID: "已缴费", TRANSFER: "过户"}
# How long money may be on its way, and a claim of having paid be believed.
CLEARING_DAYS = 3
FLOW = "arrears"


@dataclass(frozen=True, slots=True)
class HoldCustomer:
    """Stop reminding a customer; ``until`` None: until somebody ends it.

    ``kind``: hold (a clerk's), dispute, claimed_paid, transfer.
    """

    customer_no: str
    reason: str
    by: str
    until: datetime | None = None
    kind: str = HOLD


@dataclass(frozen=True, slots=True)
class HoldFacts:
    """A hold as pages show it; ``ended_at`` None: by itself at ``until``, if that is given."""

    id: int
    customer_no: str
    kind: str
    reason: str
    until: datetime | None
    made_by: str
    made_at: datetime
    ended_at: datetime | None


def hold(session: Session, command: HoldCustomer, now: datetime) -> int:
    """Hold; of the same kind there is one at a time, and the later end counts. Its number.

    InputError ``no_reason``, ``no_such_kind``, ``until_passed``; NotFoundError ``no_customer``.
    """
    if command.kind not in HOLD_LABELS:
        raise InputError("no_such_kind", "there is no such hold", kind=command.kind)
    if not command.reason.strip():
        raise InputError("no_reason", "say why")
    if command.until is not None and command.until <= now:
        raise InputError("until_passed", "the end has passed", until=command.until)
    facts = customers_of(session, [command.customer_no]).get(command.customer_no)
    if facts is None:
        raise NotFoundError("no_customer", "no such customer", customer=command.customer_no)
    # A campaign that is queueing is waited for: its messages are not seen before.
    lock_open_cases(session, party_nos=[facts.party_no])
    found = select(holds.c.id, holds.c.until).where(
        holds.c.customer_no == command.customer_no, holds.c.kind == command.kind, _runs(now)
    )
    known = session.execute(found.with_for_update()).first()
    if known is None:
        hold_id = _make(session, command, now)
    else:
        hold_id = int(known.id)
        _prolong(session, hold_id, known.until, command, now)
    chosen = Selection(flow=FLOW, subject=facts.party_no)
    hold_messages(session, chosen, command.kind, command.until, now)
    _note(session, [command.customer_no], command.kind, now)
    return hold_id


def end_hold(session: Session, hold_id: int, by: str, now: datetime) -> None:
    """End (撤销) a hold early; ConflictError ``hold_ended`` when it has ended.

    What it kept back goes on, unless another hold keeps it back too.
    """
    change_one(
        session,
        update(holds).where(holds.c.id == hold_id, _runs(now)).values(ended_at=now, ended_by=by),
        "hold_ended",
        hold=hold_id,
    )
    customer_no = session.execute(select(holds.c.customer_no).where(holds.c.id == hold_id)).scalar()
    record_audit(session, now, by, "arrears:hold:ended", f"customer {customer_no}", {})
    release_held(session, [str(customer_no)], now)


def end_holds(
    session: Session,
    customer_nos: Collection[str],
    kinds: Sequence[str],
    by: str,
    now: datetime,
    *,
    reason: str | None = None,
) -> int:
    """End all running holds of these kinds; how many. What they kept back is left to the caller.

    ``reason`` is a clerk's words: they stand in an encrypted column, never in the audit.
    """
    ended = 0
    for some in chunks(customer_nos):
        ended += session.execute(
            update(holds)
            .where(holds.c.customer_no.in_(some), holds.c.kind.in_(kinds), _runs(now))
            .values(ended_at=now, ended_by=by, end_reason=reason)
        ).rowcount
    return ended


def release_held(session: Session, customer_nos: Iterable[str], now: datetime) -> None:
    """Let messages go on that no hold of any 户号 of their party keeps back; others wait for the
    last of the holds that are left."""
    facts = customers_of(session, customer_nos)
    _note(session, list(facts), "", now)
    for party_no in sorted({one.party_no for one in facts.values()}):
        theirs = select(cases.c.customer_no).where(
            cases.c.party_no == party_no, cases.c.state == "open"
        )
        chosen = Selection(flow=FLOW, subject=party_no)
        left = running_holds(session, session.execute(theirs).scalars().all(), now)
        ends = [pause.until for pauses in left.values() for pause in pauses]
        if not ends:
            release_messages(session, chosen, now)
        else:
            fixed = [end for end in ends if end is not None]
            change_end(session, chosen, max(fixed) if len(fixed) == len(ends) else None, now)


def lock_open_cases(
    session: Session, customer_nos: Collection[str] = (), party_nos: Collection[str] = ()
) -> set[str]:
    """Lock the open cases of these 户号 and parties until the transaction ends; whose they are.

    A running campaign has them locked from its look at the facts until its messages are queued.
    """
    of = cases.c
    chosen: list[ColumnElement[bool]] = [of.open_key.in_(some) for some in chunks(customer_nos)]
    chosen += [(of.party_no.in_(some)) & (of.state == "open") for some in chunks(party_nos)]
    found: set[str] = set()
    for one in chosen:
        query = select(of.party_no).where(one).order_by(of.id)
        found.update(session.execute(query.with_for_update()).scalars())
    return found


def running_holds(
    session: Session, customer_nos: Iterable[str], now: datetime
) -> dict[str, list[Pause]]:
    """The holds that run, by 户号."""
    columns = holds.c
    query = select(columns.customer_no, columns.kind, columns.until, columns.id).where(_runs(now))
    found: dict[str, list[Pause]] = {}
    for some in chunks(customer_nos):
        for number, *pause in session.execute(
            query.where(type_coerce(columns.customer_no, String()).in_(some))
        ):
            found.setdefault(number, []).append(Pause(*pause))
    return found


def active_pauses(
    session: Session, customer_nos: Iterable[str], now: datetime
) -> dict[str, list[Pause]]:
    """The holds that run and the money on its way, by 户号.

    Money on its way (代扣, 托收, 未达账) pauses to the end of its 扣款日, or for three working days
    where the feed names none. What is not booked by then is reminded again.
    """
    numbers = list(customer_nos)
    found = running_holds(session, numbers, now)
    moving = in_flight(session, numbers)
    if moving:
        calendar = holidays_in_force(session)
        for number, payments in moving.items():
            ends = [end for end in (_arrives(one, calendar) for one in payments) if end > now]
            if ends:
                found.setdefault(number, []).append(Pause("in_flight", max(ends)))
    return found


def end_of_day(on_or_after: datetime, days: int, calendar: HolidayCalendar) -> datetime:
    """The end of the China day that is ``days`` working days later."""
    last = add_working_days(china_date(on_or_after), days, calendar)
    return next_china_midnight(datetime(last.year, last.month, last.day, tzinfo=CHINA))


def holds_of(session: Session, customer_no: str, limit: int = 20) -> list[HoldFacts]:
    """A customer's last holds, newest first."""
    columns = [holds.c[name] for name in HoldFacts.__dataclass_fields__]
    query = select(*columns).where(holds.c.customer_no == customer_no)
    rows = session.execute(query.order_by(holds.c.id.desc()).limit(limit))
    return [HoldFacts(*row) for row in rows]


def _runs(now: datetime) -> ColumnElement[bool]:
    return holds.c.ended_at.is_(None) & or_(holds.c.until.is_(None), holds.c.until > now)


def _make(session: Session, command: HoldCustomer, now: datetime) -> int:
    values = {
        "customer_no": command.customer_no,
        "kind": command.kind,
        "reason": command.reason,
        "until": command.until,
        "made_by": command.by,
        "made_at": now,
    }
    made = session.execute(holds.insert().values(**values)).inserted_primary_key
    details = {"kind": command.kind, "until": command.until}
    subject = f"customer {command.customer_no}"
    record_audit(session, now, command.by, "arrears:hold:made", subject, details)
    return int(made[0]) if made else 0


def _prolong(
    session: Session, hold_id: int, known: datetime | None, command: HoldCustomer, now: datetime
) -> None:
    if known is None or (command.until is not None and command.until <= known):
        return
    session.execute(update(holds).where(holds.c.id == hold_id).values(until=command.until))
    details = {"kind": command.kind, "until": command.until}
    subject = f"customer {command.customer_no}"
    record_audit(session, now, command.by, "arrears:hold:prolonged", subject, details)


def _note(session: Session, customer_nos: Sequence[str], kind: str, now: datetime) -> None:
    """Say it on the case at once; the next run looks at it anew."""
    session.execute(
        update(cases)
        .where(cases.c.open_key.in_(customer_nos))
        .values(paused_by=kind, next_on=china_date(now), changed_at=now)
    )


def _arrives(payment: InFlight, calendar: HolidayCalendar) -> datetime:
    """Until when it may be on its way."""
    if payment.expected_on is None:
        return end_of_day(payment.paid_at, CLEARING_DAYS, calendar)
    on = payment.expected_on + timedelta(days=1)
    return datetime(on.year, on.month, on.day, tzinfo=CHINA)
