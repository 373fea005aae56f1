"""The letter before a supply cut (停电通知书): prepared, approved, served with proof, or void.

A letter cuts nothing: it is paper with a date. It is approved by a responsible person who did not
prepare it, and it counts only from its proof of service (送达); a message on a phone is no such
proof. Every step looks at the debt again: a letter about money that was paid is void, and none is
made or served without a proven 催告, during a pause, or from stale feeds.
Source of the order: 电力供应与使用条例 art. 39; 供电营业规则 procedure (rows of ``cutoff_rules``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import func, select, update

from gongdian.accounts.customer_tables import customers
from gongdian.accounts.customers import CustomerFacts, customers_of
from gongdian.arrears.facts import load_debts
from gongdian.arrears.model import WHY_LABELS
from gongdian.arrears.rules import ladder_in_force
from gongdian.arrears.second_person import is_same_person
from gongdian.arrears.tables import cases, letters
from gongdian.audit import record_audit
from gongdian.billing.queries import OpenBill, open_bills
from gongdian.clock import china_date
from gongdian.db import AnyRow, Session, change_one, insert_once
from gongdian.errors import ConflictError, InputError, NotFoundError, PermissionDeniedError

DRAFT, APPROVED, SERVED, VOID = "draft", "approved", "served", "void"
STATE_LABELS = {DRAFT: "待审批", APPROVED: "已审批，待送达", SERVED: "已送达", VOID: "已作废"}
PROOF_LABELS = {
    "signed": "直接签收",
    "left": "留置（附照片）",
    "mailed": "邮寄",
    "electronic": "约定电子送达",
}
_UNPAID_LONG = timedelta(days=30)  # the statute's: more than 30 days overdue
_CLOCKS_DIFFER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class LetterFacts:
    """A letter with what it claims today; ``bills`` are those overdue, oldest first."""

    number: str
    state: str
    case_id: int
    customer: CustomerFacts
    address: str = field(repr=False)
    anchor_on: date
    principal: Decimal
    earliest_cut_on: date
    notice_days: int
    rules: str
    prepared_by: str
    approved_by: str
    proof_kind: str
    served_at: datetime | None
    void_reason: str
    bills: tuple[OpenBill, ...]


@dataclass(frozen=True, slots=True)
class ApproveLetter:
    """A responsible person (负责人) approves; ``responsible`` are those who may."""

    number: str
    by: str
    responsible: tuple[str, ...]
    pdf: bytes


@dataclass(frozen=True, slots=True)
class RecordService:
    """The proof that a letter was served (送达凭证); ``reference`` says where the proof lies."""

    number: str
    kind: str
    reference: str
    served_at: datetime
    by: str


def prepare_letter(
    session: Session, customer_no: str, notice: tuple[int, str], by: str, now: datetime
) -> LetterFacts:
    """A draft for a customer's overdue debt; the one that stands when there is one already.

    ``notice`` is the days of notice and the label of the rules that say so. InputError
    ``not_overdue_long_enough`` up to 30 days after the due date; ConflictError ``letter_not_due``
    where the ladder does not call for one, with its reason.
    """
    case = _open_case(session, customer_no)
    standing = session.execute(
        select(letters.c.number).where(letters.c.case_id == case.id, letters.c.state != VOID)
    ).scalar()
    if standing is not None:
        return letter_facts(session, standing, now)
    today = china_date(now)
    if today - case.anchor_on <= _UNPAID_LONG:
        day = case.anchor_on + _UNPAID_LONG + timedelta(days=1)
        raise InputError("not_overdue_long_enough", f"not before {day}", customer=customer_no)
    _require_due(session, customer_no, "letter_due", now)
    overdue = _overdue(session, customer_no, today)
    days, rules = notice
    number = _number(session, today)
    values = {
        "case_id": case.id,
        "customer_no": customer_no,
        "anchor_on": case.anchor_on,
        "number": number,
        "state": DRAFT,
        "principal": sum((bill.open_amount for bill in overdue), Decimal(0)),
        "earliest_cut_on": today + timedelta(days=days),
        "notice_days": days,
        "rules": rules,
        "prepared_by": by,
        "prepared_at": now,
    }
    if not insert_once(session, letters, values):
        raise ConflictError("letter_number_taken", "another letter was prepared just now")
    record_audit(session, now, by, "arrears:letter:prepared", number, {"case": case.id})
    return letter_facts(session, number, now)


def letter_facts(session: Session, number: str, now: datetime) -> LetterFacts:
    """A letter and the overdue bills of its customer today; NotFoundError ``no_letter``."""
    row = _row(session, number)
    return LetterFacts(
        number=row.number,
        state=row.state,
        case_id=row.case_id,
        customer=customers_of(session, [row.customer_no])[row.customer_no],
        address=_address(session, row.customer_no),
        anchor_on=row.anchor_on,
        principal=row.principal,
        earliest_cut_on=row.earliest_cut_on,
        notice_days=row.notice_days,
        rules=row.rules,
        prepared_by=row.prepared_by,
        approved_by=row.approved_by,
        proof_kind=row.proof_kind,
        served_at=row.served_at,
        void_reason=row.void_reason or "",
        bills=tuple(_overdue(session, row.customer_no, china_date(now))),
    )


def approve_letter(session: Session, command: ApproveLetter, now: datetime) -> None:
    """Approve and keep the paper; the same person again changes nothing.

    PermissionDeniedError for one who is not responsible or who prepared it; ConflictError
    ``debt_changed`` when something was paid since: then a new letter must be prepared.
    """
    facts = letter_facts(session, command.number, now)
    if not any(is_same_person(command.by, one) for one in command.responsible):
        raise PermissionDeniedError("not_responsible", "this person may not approve letters")
    if is_same_person(command.by, facts.prepared_by):
        raise PermissionDeniedError("own_letter", "who prepared a letter may not approve it")
    if facts.state in (APPROVED, SERVED) and facts.approved_by == command.by:
        return
    _require_same_debt(session, facts, now)
    if facts.state == DRAFT:
        _require_due(session, facts.customer.customer_no, "letter_due", now)
    digest = hashlib.sha256(command.pdf).digest()
    today = china_date(now)
    change_one(
        session,
        update(letters)
        .where(letters.c.number == command.number, letters.c.state == DRAFT)
        .values(
            state=APPROVED,
            approved_by=command.by,
            approved_at=now,
            earliest_cut_on=today + timedelta(days=facts.notice_days),
            pdf=command.pdf,
            pdf_digest=digest,
        ),
        "letter_not_draft",
        number=command.number,
    )
    details = {"pdf": digest.hex()}
    record_audit(session, now, command.by, "arrears:letter:approved", command.number, details)


def record_service(session: Session, command: RecordService, now: datetime) -> date:
    """Record the proof of service; the first day on which a cut would be lawful by its notice.

    InputError for an unknown kind, a missing reference, a time before the approval or in the
    future; ConflictError when the letter is not approved or the debt has changed.
    """
    facts = letter_facts(session, command.number, now)
    if command.kind not in PROOF_LABELS:
        raise InputError("unknown_proof", f"one of {', '.join(PROOF_LABELS)}", kind=command.kind)
    if not command.reference.strip():
        raise InputError("no_proof", "say where the proof lies", number=command.number)
    row = _row(session, command.number)
    # people write down minutes
    if row.approved_at is None or command.served_at < row.approved_at.replace(
        second=0, microsecond=0
    ):
        raise InputError("served_before_approval", "a letter is served after its approval")
    if command.served_at > now + _CLOCKS_DIFFER:
        raise InputError("served_in_future", "a letter cannot be served later than now")
    earliest = china_date(command.served_at) + timedelta(days=facts.notice_days)
    is_repeat = facts.state == SERVED and row.served_at == command.served_at
    if is_repeat and row.proof_kind == command.kind:
        return earliest
    _require_same_debt(session, facts, now)
    if facts.state == APPROVED:
        _require_due(session, facts.customer.customer_no, "proof_due", now)
    change_one(
        session,
        update(letters)
        .where(letters.c.number == command.number, letters.c.state == APPROVED)
        .values(
            state=SERVED,
            proof_kind=command.kind,
            proof_ref=command.reference,
            served_at=command.served_at,
            earliest_cut_on=earliest,
        ),
        "letter_not_approved",
        number=command.number,
    )
    details = {"kind": command.kind, "served_at": command.served_at.isoformat()}
    record_audit(session, now, command.by, "arrears:letter:served", command.number, details)
    return earliest


def void_letter(session: Session, number: str, reason: str, by: str, now: datetime) -> bool:
    """Take a letter back (作废); False when it was void before."""
    _row(session, number)
    changed = session.execute(
        update(letters)
        .where(letters.c.number == number, letters.c.state != VOID)
        .values(state=VOID, void_reason=reason[:200])
    )
    if changed.rowcount:
        record_audit(session, now, by, "arrears:letter:void", number, {})
    return changed.rowcount == 1


def letter_pdf(session: Session, number: str, by: str, now: datetime) -> bytes:
    """The approved paper; who took it out is kept. ConflictError before the approval."""
    row = session.execute(
        select(letters.c.pdf, letters.c.pdf_digest).where(letters.c.number == number)
    ).first()
    if row is None:
        raise NotFoundError("no_letter", "no such letter", number=number)
    if row.pdf is None:
        raise ConflictError("letter_not_approved", "there is no paper before the approval")
    pdf = bytes(row.pdf)
    if hashlib.sha256(pdf).digest() != bytes(row.pdf_digest):
        raise ConflictError("letter_changed", "the kept paper is not the approved one")
    record_audit(session, now, by, "arrears:letter:printed", number, {})
    return pdf


def _row(session: Session, number: str) -> AnyRow:
    row = session.execute(select(letters).where(letters.c.number == number)).first()
    if row is None:
        raise NotFoundError("no_letter", "no such letter", number=number)
    return row


def _open_case(session: Session, customer_no: str) -> AnyRow:
    # locked: a hold or payment meanwhile waits
    query = select(cases.c.id, cases.c.anchor_on).where(cases.c.open_key == customer_no)
    row = session.execute(query.with_for_update()).first()
    if row is None:
        raise NotFoundError("no_case", "this customer has no open case", customer=customer_no)
    return row


def _address(session: Session, customer_no: str) -> str:
    query = select(customers.c.address).where(customers.c.customer_no == customer_no)
    return str(session.execute(query).scalar_one())


def _overdue(session: Session, customer_no: str, today: date) -> list[OpenBill]:
    found = open_bills(session, [customer_no]).get(customer_no, [])
    return [bill for bill in found if bill.due_on < today]


def _require_due(session: Session, customer_no: str, wanted: str, now: datetime) -> None:
    """The ladder must call for this very step of a letter today."""
    facts = load_debts(session, [customer_no], now).get(customer_no)
    why = "no_debt"
    if facts is not None:
        why = facts.decide_letter(ladder_in_force(session), china_date(now)).why
    if why != wanted:
        raise ConflictError("letter_not_due", WHY_LABELS[why], why=why, customer=customer_no)


def _require_same_debt(session: Session, facts: LetterFacts, now: datetime) -> None:
    """What the letter claims must still be owed, to the fen, by the same case."""
    of_case = (cases.c.id == facts.case_id, cases.c.state == "open")
    is_open = session.execute(select(cases.c.id).where(*of_case).with_for_update()).first()
    number, today = facts.customer.customer_no, china_date(now)
    bills = _overdue(session, number, today)  # read anew: the case is locked only now
    claimed = sum((bill.open_amount for bill in bills), Decimal(0))
    if is_open is None or claimed != facts.principal:
        raise ConflictError(
            "debt_changed", "the debt is not what the letter says", number=facts.number
        )


def _number(session: Session, today: date) -> str:
    """``TD20261121-000001``: counted within the day; the unique key settles a tie."""
    start = f"TD{today:%Y%m%d}-"
    latest = session.execute(
        select(func.max(letters.c.number)).where(letters.c.number.startswith(start))
    ).scalar()
    return f"{start}{int(latest[-6:]) + 1 if latest else 1:06d}"
