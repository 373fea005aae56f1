"""The worklist (待办): what people must do about debts; the same open thing is asked for once.

Decisions, answers and unreachable people make items; a clerk finishes them with what came of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from gongdian.accounts.customer_contacts import confirm_people
from gongdian.arrears.holds import DISPUTE, TRANSFER, end_holds, release_held
from gongdian.arrears.tables import worklist
from gongdian.audit import record_audit
from gongdian.billing.bulk import chunks
from gongdian.db import Session, change_one, insert_once
from gongdian.errors import InputError, NotFoundError

ITEM_LABELS = {
    "dispute": "核实客户疑问",
    "claimed_paid": "核实客户说的缴费",
    "unreachable": "联系不上，请电话或上门",
    "demand_unproven": "催告没有送达，请电话、上门或书面催告并登记",
    "letter_due": "出停电通知书（须负责人审批）",
    "proof_due": "补停电通知书送达凭证",
    "not_mine": "核对户号的联系人",
    "overdue": "跟进欠费",
    "transfer": "核实过户前的欠费",
    "closed": "处理销户欠费",
    "new_holder": "核对过户或更名后的联系人",
}
NEW_HOLDER = "new_holder"
# Of these a clerk may say that the people on file stay.
_ABOUT_PEOPLE = ("transfer", NEW_HOLDER)
# Of these nothing is left to do once the debt is settled; a question still wants its answer.
ENDED_BY_PAYMENT = (
    "claimed_paid",
    "unreachable",
    "demand_unproven",
    "letter_due",
    "proof_due",
    "overdue",
    "transfer",
    "closed",
)
_PATIENCE = timedelta(days=3)
# What a clerk has finished is not asked for again at once.
_REST = timedelta(days=7)
_PAUSE_OF = {"dispute": DISPUTE, "transfer": TRANSFER}


@dataclass(frozen=True, slots=True)
class NewItem:
    """Something to do; ``case_id`` or else the 户号 makes it the same thing.

    ``due_at`` None: in three days.
    """

    kind: str
    customer_no: str
    station: str
    case_id: int | None = None
    note: str = ""
    due_at: datetime | None = None

    @property
    def key(self) -> str:
        """What an open one of the same thing has too."""
        return f"{self.kind}:{self.case_id or self.customer_no}"


@dataclass(frozen=True, slots=True)
class Item:
    """An item as lists show it; the note is for those who may read it."""

    id: int
    kind: str
    customer_no: str
    station: str
    case_id: int | None
    note: str
    due_at: datetime
    made_at: datetime
    is_escalated: bool

    @property
    def label(self) -> str:
        """The kind in words."""
        return ITEM_LABELS[self.kind]


def add_item(session: Session, item: NewItem, now: datetime) -> bool:
    """Ask for it; False when the same thing is open already."""
    found = select(worklist.c.id).where(worklist.c.open_key == item.key)
    if session.execute(found).first() is not None:
        return False
    return insert_once(session, worklist, _values(item, now))


def add_items(session: Session, items: Sequence[NewItem], now: datetime) -> int:
    """Ask for many at once; how many are new.

    What is open, or was finished within the last seven days, is not asked for again.
    """
    wanted = {item.key: item for item in items}
    known: set[str] = set()
    of = worklist.c
    query = select(of.kind, of.case_id, of.customer_no).where(
        or_(of.state == "open", of.done_at > now - _REST)
    )
    for some in chunks({item.customer_no for item in items}):
        for kind, case_id, customer_no in session.execute(query.where(of.customer_no.in_(some))):
            known.add(f"{kind}:{case_id or customer_no}")
    fresh = [_values(item, now) for key, item in wanted.items() if key not in known]
    return sum(_insert(session, some_rows) for some_rows in chunks(fresh))


def finish_item(
    session: Session,
    item_id: int,
    outcome: str,
    by: str,
    now: datetime,
    *,
    people_stay: bool = False,
) -> None:
    """It is done, with what came of it; ConflictError ``item_done`` when it was.

    A finished dispute or transfer ends the pause that it made. ``people_stay``: after 过户 or 更名
    the people on file are told again. The note goes: of what a customer wrote it is a copy.
    InputError ``no_outcome``, ``not_about_people``.
    """
    if not outcome.strip():
        raise InputError("no_outcome", "say what came of it", item=item_id)
    of = worklist.c
    query = select(of.kind, of.customer_no).where(of.id == item_id)
    row = session.execute(query).first()
    if row is None:
        raise NotFoundError("no_item", "no such work item", item=item_id)
    if people_stay and row.kind not in _ABOUT_PEOPLE:
        raise InputError("not_about_people", "no item of a new holder", item=item_id)
    change_one(
        session,
        update(worklist)
        .where(of.id == item_id, of.state == "open")
        .values(state="done", open_key=None, done_at=now, done_by=by, outcome=outcome, note=""),
        "item_done",
        item=item_id,
    )
    subject = f"customer {row.customer_no}"
    record_audit(session, now, by, "arrears:worklist:done", subject, {"kind": row.kind})
    pause = _PAUSE_OF.get(row.kind)
    if pause and end_holds(session, [row.customer_no], [pause], by, now):
        release_held(session, [row.customer_no], now)
    if people_stay and confirm_people(session, row.customer_no, by, now):
        end_items(session, [row.customer_no], outcome, now, kinds=(NEW_HOLDER,))


def end_items(
    session: Session,
    customer_nos: Sequence[str],
    why: str,
    now: datetime,
    kinds: Sequence[str] = ENDED_BY_PAYMENT,
) -> None:
    """The debt is gone, or what was asked for is there: these items are done, by nobody."""
    of = worklist.c
    for some in chunks(customer_nos):
        session.execute(
            update(worklist)
            .where(of.customer_no.in_(some), of.state == "open", of.kind.in_(kinds))
            .values(
                state="done", open_key=None, done_at=now, done_by="system", outcome=why, note=""
            )
        )


def escalate_items(session: Session, now: datetime) -> int:
    """Mark open items whose time has passed (升级); how many are new."""
    return session.execute(
        update(worklist)
        .where(
            worklist.c.state == "open",
            worklist.c.due_at < now,
            worklist.c.is_escalated.is_(False),
        )
        .values(is_escalated=True)
    ).rowcount


def open_items(
    session: Session, *, station: str = "", kind: str = "", after: int = 0, limit: int = 100
) -> list[Item]:
    """Open items by number, those of one station or kind only when given."""
    columns = [worklist.c[name] for name in Item.__dataclass_fields__]
    query = select(*columns).where(worklist.c.state == "open", worklist.c.id > after)
    if station:
        query = query.where(worklist.c.station == station)
    if kind:
        query = query.where(worklist.c.kind == kind)
    rows = session.execute(query.order_by(worklist.c.id).limit(limit))
    return [Item(*row) for row in rows]


def _insert(session: Session, rows: list[dict[str, object]]) -> int:
    try:
        with session.begin_nested():
            session.execute(insert(worklist), rows)
    except IntegrityError:  # somebody else was first with one of them
        return sum(insert_once(session, worklist, row) for row in rows)
    return len(rows)


def _values(item: NewItem, now: datetime) -> dict[str, object]:
    if item.kind not in ITEM_LABELS:
        raise InputError("no_such_kind", "there is no such work item", kind=item.kind)
    return {
        "open_key": item.key,
        "kind": item.kind,
        "customer_no": item.customer_no,
        "station": item.station,
        "case_id": item.case_id,
        "note": item.note,
        "state": "open",
        "due_at": item.due_at or now + _PATIENCE,
        "made_at": now,
    }
