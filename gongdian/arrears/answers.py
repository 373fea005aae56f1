"""What customers answer (客户答复): 已知晓, 已缴费, 有疑问, 不是我的户号; the page calls it.

The page has checked that whoever answers is a person of that customer. No answer moves the due
date, the late fee or the lawful order of things: two of them pause our reminders, for a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from gongdian.accounts.customers import CustomerFacts, customers_of
from gongdian.arrears.holds import (
    CLAIMED_PAID,
    CLEARING_DAYS,
    HoldCustomer,
    end_of_day,
    hold,
    running_holds,
)
from gongdian.arrears.holds import DISPUTE as DISPUTED
from gongdian.arrears.leavers import disown_customer, disown_on_file
from gongdian.arrears.rules import holidays_in_force
from gongdian.arrears.tables import answers, cases
from gongdian.arrears.worklist import NewItem, add_item
from gongdian.clock import china_date
from gongdian.db import AnyRow, Session
from gongdian.errors import ConflictError, InputError, NotFoundError
from gongdian.outbox.answers import mark_answered
from gongdian.outbox.tables import messages

KNOWN, PAID, DISPUTE, NOT_MINE = "known", "paid", "dispute", "not_mine"
ANSWER_LABELS = {KNOWN: "已知晓", PAID: "已缴费", DISPUTE: "有疑问", NOT_MINE: "不是我的户号"}

# What each answer pauses and what it does not; the page shows it beside the button.
ANSWER_EFFECTS = {
    KNOWN: "只表示您已看到，不暂停任何事项：交费截止日、违约金和后续提醒照常。",
    PAID: "提醒最多暂停3个工作日，到账销账后自动结束；没有到账的，违约金照常计算，之后继续提醒。",
    DISPUTE: "提醒暂停，由供电所核实后答复您；交费截止日和违约金不暂停。"
    "核实期间请先交费，多退少补。",
    NOT_MINE: "本户号从您的微信移除，不再向您发送它的消息；欠费和其他联系人不受影响。",
}
ANSWER_AGAIN = "这笔欠费已经按“已缴费”暂停过一次，这次不再暂停；供电所会人工核实您的缴费。"
LONGEST_NOTE = 500
_ONE_TAP = timedelta(minutes=10)
_NO_CASE = 0


@dataclass(frozen=True, slots=True)
class RecordAnswer:
    """One answer; either ``contact_id`` (WeChat) or ``person_id`` (a link in a text message)."""

    customer_no: str
    answer: str
    contact_id: int | None = None
    person_id: int | None = None
    message_key: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the answer did: ``effect`` is for the page, ``paused_until`` None: not or open-ended."""

    answer_id: int
    effect: str
    is_paused: bool = False
    paused_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """An answer as pages show it; the note is for those who may read it."""

    answer: str
    note: str
    at: datetime

    @property
    def label(self) -> str:
        """The answer in words."""
        return ANSWER_LABELS[self.answer]


def record_answer(session: Session, command: RecordAnswer, now: datetime) -> Recorded:
    """Keep the answer and do what it does; the same answer within ten minutes is one.

    InputError ``bad_answer``, ``note_too_long`` (500 characters); NotFoundError ``no_customer``;
    ConflictError ``no_open_case`` when nothing is owed any more (never for 不是我的户号).
    """
    customer = _checked(session, command)
    case = _locked_case(session, command.customer_no)
    if case is None and command.answer != NOT_MINE:
        raise ConflictError("no_open_case", "nothing is owed", customer=command.customer_no)
    was_claimed = case is not None and _was_claimed(session, case)
    case_id = _NO_CASE if case is None else case.id
    answer_id = _same_answer(session, command, case_id, now)
    answer_id = answer_id or _keep(session, command, case, now)
    _mark(session, command, now)
    if case is not None and command.answer == PAID:
        return _paid(session, customer, case.id, answer_id, was_claimed, now)
    if case is not None and command.answer == DISPUTE:
        return _disputed(session, command, customer, case.id, answer_id, now)
    if command.answer == NOT_MINE:
        _disown(session, command, customer, now)
    return Recorded(answer_id, ANSWER_EFFECTS[command.answer])


def answers_of(session: Session, customer_no: str, limit: int = 10) -> list[AnswerFacts]:
    """A customer's last answers, newest first; also those about debts that are settled."""
    case_ids = select(cases.c.id).where(cases.c.customer_no == customer_no)
    query = (
        select(answers.c.answer, answers.c.note, answers.c.at)
        .where(answers.c.case_id.in_(case_ids))
        .order_by(answers.c.id.desc())
        .limit(limit)
    )
    return [AnswerFacts(*row) for row in session.execute(query)]


def _checked(session: Session, command: RecordAnswer) -> CustomerFacts:
    if command.answer not in ANSWER_LABELS:
        raise InputError("bad_answer", "one of the four", answer=command.answer)
    if len(command.note) > LONGEST_NOTE:
        raise InputError("note_too_long", f"at most {LONGEST_NOTE} characters")
    customer = customers_of(session, [command.customer_no]).get(command.customer_no)
    if customer is None:
        raise NotFoundError("no_customer", "no such customer", customer=command.customer_no)
    return customer


def _locked_case(session: Session, customer_no: str) -> AnyRow | None:
    query = select(cases.c.id, cases.c.anchor_on).where(cases.c.open_key == customer_no)
    return session.execute(query.with_for_update()).first()


def _was_claimed(session: Session, case: AnyRow) -> bool:
    """Whether somebody has said 已缴费 of this debt before."""
    of = answers.c
    query = select(of.id).where(
        of.case_id == case.id, of.anchor_on == case.anchor_on, of.answer == PAID
    )
    return session.execute(query.limit(1)).first() is not None


def _same_answer(
    session: Session, command: RecordAnswer, case_id: int, now: datetime
) -> int | None:
    """The same person's same answer a moment ago: a second tap, or a request sent twice."""
    of = answers.c
    query = select(of.id, of.customer_no, of.note).where(
        of.case_id == case_id,
        of.message_key == command.message_key,
        of.contact_id == command.contact_id,
        of.answer == command.answer,
        of.at > now - _ONE_TAP,
    )
    for row in session.execute(query.order_by(of.id.desc())):
        if (row.customer_no, row.note) == (command.customer_no, command.note):
            return int(row.id)
    return None


def _keep(session: Session, command: RecordAnswer, case: AnyRow | None, now: datetime) -> int:
    values = {
        "case_id": _NO_CASE if case is None else case.id,
        "customer_no": command.customer_no,
        "anchor_on": china_date(now) if case is None else case.anchor_on,
        "contact_id": command.contact_id,
        "message_key": command.message_key,
        "answer": command.answer,
        "note": command.note,
        "at": now,
    }
    made = session.execute(answers.insert().values(**values)).inserted_primary_key
    return int(made[0]) if made else 0


def _mark(session: Session, command: RecordAnswer, now: datetime) -> None:
    """The message behind it is answered: no further channel is tried."""
    if command.message_key:
        found = select(messages.c.id).where(messages.c.key == command.message_key)
        message_id = session.execute(found).scalar()
        if message_id is not None:
            mark_answered(session, message_id, command.answer, now)


def _paid(
    session: Session,
    customer: CustomerFacts,
    case_id: int,
    answer_id: int,
    was_claimed: bool,
    now: datetime,
) -> Recorded:
    """Pause once for a debt: whoever taps again and again would never be reminded."""
    number = customer.customer_no
    for pause in running_holds(session, [number], now).get(number, ()):
        if pause.kind == CLAIMED_PAID:
            return Recorded(answer_id, ANSWER_EFFECTS[PAID], True, pause.until)
    if was_claimed:
        item = NewItem("claimed_paid", number, customer.station, case_id, ANSWER_LABELS[PAID])
        add_item(session, item, now)
        return Recorded(answer_id, ANSWER_AGAIN)
    until = end_of_day(now, CLEARING_DAYS, holidays_in_force(session))
    hold(session, HoldCustomer(number, "客户答复已缴费", "customer", until, CLAIMED_PAID), now)
    return Recorded(answer_id, ANSWER_EFFECTS[PAID], True, until)


def _disputed(
    session: Session,
    command: RecordAnswer,
    customer: CustomerFacts,
    case_id: int,
    answer_id: int,
    now: datetime,
) -> Recorded:
    """Pause until a clerk has finished the work item."""
    number = customer.customer_no
    hold(session, HoldCustomer(number, "客户有疑问", "customer", None, DISPUTED), now)
    add_item(session, NewItem("dispute", number, customer.station, case_id, command.note), now)
    return Recorded(answer_id, ANSWER_EFFECTS[DISPUTE], True)


def _disown(
    session: Session, command: RecordAnswer, customer: CustomerFacts, now: datetime
) -> None:
    """They hear of it no more; somebody looks whom the company has on file there."""
    number = customer.customer_no
    if command.contact_id is not None:
        disown_customer(session, command.contact_id, number, now)
    elif command.person_id is not None:
        disown_on_file(session, command.person_id, number, now)
    add_item(session, NewItem("not_mine", customer.customer_no, customer.station), now)
