"""The people of customers (客户联系人) as the feed tells them: imports apply its rows.

After 过户 or 更名 a row with the same name and phone is the former holder's: it stays with them,
whatever else the feed says, until its name or phone changes or a clerk says that they stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select, update

from gongdian.accounts.binding_model import MANAGER
from gongdian.accounts.binding_rows import ACTIVE, BINDING, DISOWNED, FEED, REVOKED, release_people
from gongdian.accounts.bulk import chunks, texts, write_rows
from gongdian.accounts.customer_keys import name_hash, phone_hash
from gongdian.accounts.customer_tables import customer_contacts, customers
from gongdian.accounts.recipients import Addressee, addressees_of
from gongdian.audit import record_audit
from gongdian.db import AnyRow, Session


class ContactRow(NamedTuple):
    """One row of the feed of contacts; ``channels`` as ``wechat_template,sms,mail``."""

    customer_no: str
    contact_no: str
    role: str
    level: int
    position: int
    name: str
    phone: str
    mail: str
    channels: str
    state: str
    row_no: int


@dataclass(slots=True)
class ContactsApplied:
    """What a batch of people changed."""

    new: int = 0
    changed: int = 0
    same: int = 0
    # whose people are others now
    customers: set[str] = field(default_factory=set)
    # who is no more, or is somewhere else: what is queued to them must not go out
    left: set[Addressee] = field(default_factory=set)


_CONTACT_FIELDS = ContactRow._fields[:-1]


def apply_contacts(
    session: Session, rows: Sequence[tuple[Any, ...]], run_id: int, now: datetime
) -> ContactsApplied:
    """Write a batch of ``ContactRow``; the last row of a person counts.

    Who is missing from the feed stays; who is 失效 there is revoked. A number that another person
    has now (another name) loses the WeChat contact of the former one.
    """
    given = {(row[0], row[1]): ContactRow._make(texts(row)) for row in rows}
    holders = _holders(session, {number for number, _ in given})
    known = _known_people(session, {number for number, _ in given})
    fresh: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    replaced: list[AnyRow] = []
    left: list[int] = []
    for key, row in given.items():
        old = known.get(key)
        told = row._replace(state=_state(row, old))
        holder = _holder(row, old, holders.get(row.customer_no, 1))
        if old is not None and (old.origin == BINDING or _is_known(told, old, holder)):
            continue
        values = {
            **told._asdict(),
            "phone_hash": phone_hash(row.phone),
            "holder": holder,
            "run_id": run_id,
            "changed_at": now,
        }
        if old is None:
            fresh.append({**values, "origin": FEED})
            continue
        if old.contact_id is not None and (
            told.state != ACTIVE or old.holder != holder or _is_another(row, old)
        ):
            replaced.append(old)
        if old.state == ACTIVE and _has_left(told, old, holder):
            left.append(old.id)
        changed.append({**values, "origin": FEED, "id": old.id})
    addressees = addressees_of(session, left)
    release_people(session, replaced, "feed", f"import:{run_id}", now)
    write_rows(session, customer_contacts, fresh, changed)
    same = len(given) - len(fresh) - len(changed)
    touched = {str(one["customer_no"]) for one in (*fresh, *changed)}
    return ContactsApplied(len(fresh), len(changed), same, touched, addressees)


def confirm_people(session: Session, customer_no: str, by: str, now: datetime) -> int:
    """A clerk says that the people on file stay after 过户 or 更名 (a name that was only
    corrected); how many count again. WeChat bindings are made anew by whoever wants one.

    Only those of the holder before: who moved out earlier stays out.
    """
    of = customer_contacts.c
    query = select(customers.c.holder).where(customers.c.customer_no == customer_no)
    holder = session.execute(query.with_for_update()).scalar()
    if holder is None:
        return 0
    former = (of.customer_no == customer_no, of.origin == FEED, of.holder < holder)
    last = session.execute(select(func.max(of.holder)).where(*former)).scalar()
    if last is None:
        return 0
    confirmed = session.execute(
        update(customer_contacts)
        .where(of.customer_no == customer_no, of.origin == FEED, of.holder == last)
        .values(holder=holder, changed_at=now)
    ).rowcount
    details = {"people": confirmed}
    subject = f"customer {customer_no}"
    record_audit(session, now, by, "accounts:people:confirmed", subject, details)
    return confirmed


def customers_with_former_people(session: Session, customer_nos: Iterable[str]) -> list[str]:
    """Of these 户号 those in use whose people on file are all a former holder's."""
    person = customer_contacts.c
    reached = select(person.id).where(
        person.customer_no == customers.c.customer_no,
        person.state == ACTIVE,
        person.role != MANAGER,
        person.holder == customers.c.holder,
    )
    former = select(person.id).where(
        person.customer_no == customers.c.customer_no,
        person.state == ACTIVE,
        person.origin == FEED,
        person.role != MANAGER,
        person.holder < customers.c.holder,
    )
    found: list[str] = []
    for some in chunks(customer_nos):
        query = select(customers.c.customer_no).where(
            customers.c.customer_no.in_(some),
            customers.c.state == "active",
            former.exists(),
            ~reached.exists(),
        )
        found += session.execute(query).scalars()
    return found


def _holders(session: Session, customer_nos: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for batch in chunks(customer_nos):
        query = select(customers.c.customer_no, customers.c.holder).where(
            customers.c.customer_no.in_(batch)
        )
        found.update((row.customer_no, row.holder) for row in session.execute(query))
    return found


def _known_people(session: Session, customer_nos: Iterable[str]) -> dict[tuple[str, str], AnyRow]:
    """All people of these customers, by 户号 and number; what the feed says begins at column 4."""
    columns = customer_contacts.c
    told = [columns[name] for name in _CONTACT_FIELDS]
    query = select(columns.id, columns.contact_id, columns.holder, columns.origin, *told)
    found: dict[tuple[str, str], AnyRow] = {}
    for batch in chunks(customer_nos):
        # Locked: nobody binds one of them to WeChat between this look and the writing.
        rows = session.execute(query.where(columns.customer_no.in_(batch)).with_for_update())
        found.update(((row.customer_no, row.contact_no), row) for row in rows)
    return found


def _state(row: ContactRow, old: AnyRow | None) -> str:
    """Somebody who said 不是我的户号 stays out until the feed has other words for that number."""
    if row.state != ACTIVE:
        return REVOKED
    is_same = old is not None and (row.name, row.phone, row.mail) == (old.name, old.phone, old.mail)
    return DISOWNED if old is not None and is_same and old.state == DISOWNED else ACTIVE


def _holder(row: ContactRow, old: AnyRow | None, holder: int) -> int:
    """Whose person a row is; the file of the night of a 过户 may still name the former holder."""
    if old is not None and old.holder < holder and (row.name, row.phone) == (old.name, old.phone):
        return int(old.holder)
    return holder


def _has_left(told: ContactRow, old: AnyRow, holder: int) -> bool:
    """Whether what is queued to this row would reach somebody else, or nobody."""
    address = (told.name, told.phone, told.mail)
    return (
        told.state != ACTIVE
        or old.holder != holder
        or address != (old.name, old.phone, old.mail)
        or (told.role == MANAGER and old.role != MANAGER)
    )


def _is_known(told: ContactRow, old: AnyRow, holder: int) -> bool:
    return old.holder == holder and tuple(old[4:]) == told[:-1]


def _is_another(row: ContactRow, old: AnyRow) -> bool:
    """Whether the number stands for another person now; a new phone alone is the same one."""
    if name_hash(row.name) != name_hash(old.name):
        return True
    return not row.name and row.phone != old.phone
