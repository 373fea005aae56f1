"""What happens to cases when facts change (事实变化): imports call it in their transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select

from gongdian.accounts.customers import customers_of
from gongdian.arrears.balance_reminders import overtaken_cards
from gongdian.arrears.cases import CasesChanged, MovedCase, sync_cases
from gongdian.arrears.holds import (
    CLAIMED_PAID,
    DISPUTE,
    FLOW,
    TRANSFER,
    HoldCustomer,
    active_pauses,
    end_holds,
    hold,
    lock_open_cases,
)
from gongdian.arrears.leavers import ask_for_people
from gongdian.arrears.letters import void_letter
from gongdian.arrears.steps import untake_steps
from gongdian.arrears.tables import cases, letters
from gongdian.arrears.worklist import NewItem, add_item, end_items
from gongdian.billing.bulk import chunks
from gongdian.db import Session
from gongdian.outbox.holding import Selection, withdraw_messages
from gongdian.outbox.model import MessageState
from gongdian.outbox.tables import messages

# The longest that a message of this flow waits (templates/messages), with a day in hand.
_MESSAGE_LIFE = timedelta(days=4)
_WAITING = (MessageState.QUEUED.value, MessageState.HELD.value, MessageState.SENDING.value)
_WHY = {
    "settled": "settled",
    "prepaid": "prepaid",
    "holder": "holder_changed",
    "anchor": "debt_changed",
    "amount": "debt_changed",
}


def facts_changed(session: Session, customer_nos: Iterable[str], now: datetime) -> CasesChanged:
    """After bills, payments, customers or people changed; up to some thousand customers a call.

    Cases follow the facts. A settled case closes at once, its unsent messages are withdrawn and
    its 已缴费 pause ends. A message whose amount was overtaken (退补, 冲红, 重发, a part paid) or
    whose money is on its way is withdrawn, and its stage may be taken again. So is a 余额提醒 that
    a recharge (充值) has overtaken.
    """
    numbers = list(customer_nos)
    changed = sync_cases(session, numbers, now)
    by_reason: dict[str, set[str]] = {}
    for one in (*changed.closed, *changed.moved):
        by_reason.setdefault(_WHY[one.why], set()).add(one.party_no)
    by_reason.setdefault("in_flight", set()).update(_now_in_flight(session, numbers, now))
    _withdraw(session, by_reason, now)
    for key in overtaken_cards(session, numbers):
        withdraw_messages(session, Selection(key=key), "recharged", now)
    _end_what_closed(session, changed.closed, now)
    _void_letters(session, changed, now)
    return changed


def holder_changed(
    session: Session,
    customer_nos: Iterable[str],
    now: datetime,
    former_parties: Iterable[str] = (),
) -> CasesChanged:
    """After 过户, 更名 or 销户: unsent messages are withdrawn, the former holder's case is closed.

    What is still owed waits for a clerk to say whose it is (a transfer hold and a work item); of a
    closed customer it stays in its case, for people. ``former_parties`` are those whose 户号 these
    were: a 费控 customer was told of a balance and has no case.
    """
    numbers = list(customer_nos)
    # A campaign that is queueing is waited for: its messages are not seen before.
    before = lock_open_cases(session, numbers)
    _withdraw(session, {"holder_changed": {*before, *former_parties}}, now)
    changed = facts_changed(session, numbers, now)
    ask_for_people(session, numbers, now)
    return changed


def _withdraw(session: Session, by_reason: dict[str, set[str]], now: datetime) -> None:
    """Withdraw what is not out yet of these parties, whatever 户号 of theirs it is about."""
    parties = sorted(set().union(*by_reason.values()))
    of = messages.c
    waiting: set[str] = set()
    for some in chunks(parties):
        query = select(of.subject).where(
            of.flow == FLOW,
            of.subject.in_(some),
            or_(of.state.in_(_WAITING), of.next_step.is_not(None)),
        )
        waiting.update(session.execute(query.distinct()).scalars())
    for reason, theirs in by_reason.items():
        for party_no in sorted(theirs & waiting):
            withdraw_messages(session, Selection(flow=FLOW, subject=party_no), reason, now)
    untake_steps(session, waiting, now)


def _now_in_flight(session: Session, numbers: Sequence[str], now: datetime) -> set[str]:
    """Parties that were just told of a debt, and whose money is on its way now."""
    told: dict[str, str] = {}
    for some in chunks(numbers):
        query = select(cases.c.customer_no, cases.c.party_no).where(
            cases.c.open_key.in_(some), cases.c.stage_at > now - _MESSAGE_LIFE
        )
        told.update((number, party_no) for number, party_no in session.execute(query))
    pauses = active_pauses(session, told, now) if told else {}
    return {
        told[number]
        for number, ones in pauses.items()
        if any(pause.kind == "in_flight" for pause in ones)
    }


def _end_what_closed(session: Session, closed: Sequence[MovedCase], now: datetime) -> None:
    settled = [one.customer_no for one in closed if one.why in ("settled", "prepaid")]
    if settled:
        end_holds(session, settled, (CLAIMED_PAID, TRANSFER), "system", now)
        end_items(session, settled, "已结清", now)
    for one in closed:
        if one.why == "holder":
            _leave_to_clerk(session, one, now)


def _leave_to_clerk(session: Session, former: MovedCase, now: datetime) -> None:
    """The former holder's pauses go with them; nobody is reminded of what they may have left."""
    number = former.customer_no
    end_holds(session, [number], (CLAIMED_PAID, DISPUTE), "system", now)
    end_items(session, [number], "已过户", now)
    reason = "过户或更名时还有欠费，须核实由谁承担"
    hold(session, HoldCustomer(number, reason, "system", None, TRANSFER), now)
    case_id = session.execute(select(cases.c.id).where(cases.c.open_key == number)).scalar()
    station = customers_of(session, [number])[number].station
    add_item(session, NewItem("transfer", number, station, case_id, reason), now)


def _void_letters(session: Session, changed: CasesChanged, now: datetime) -> None:
    """A letter about a debt that is settled, or about another holder's, counts no more."""
    ids = {one.id: one.why for one in changed.closed}
    ids |= {one.id: one.why for one in changed.moved if one.why == "anchor"}
    of = letters.c
    for some in chunks(ids):
        query = select(of.number, of.case_id).where(of.case_id.in_(some), of.state != "void")
        for number, case_id in session.execute(query).all():
            void_letter(session, number, _WHY[ids[case_id]], "system", now)
