"""Customers (用电客户) as the feed tells them: imports apply its rows, flows read.

A change of 客户编号 or 户名 is a new holder (过户、更名): what was bound before is revoked, and the
people on file count no more until the feed names others or a clerk says that they stay
(``customer_contacts``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import select

from gongdian.accounts.bindings import revoke_former_holder
from gongdian.accounts.bulk import chunks, texts, write_rows
from gongdian.accounts.customer_keys import name_hash
from gongdian.accounts.customer_tables import customers
from gongdian.clock import china_date
from gongdian.db import AnyRow, Session

CLOSED = "closed"


class CustomerRow(NamedTuple):
    """One row of the feed of customers, checked and typed."""

    customer_no: str
    party_no: str
    name: str
    address: str
    customer_class: str
    voltage_kv: str
    station: str
    region: str
    capacity_kva: float | None
    is_important: bool
    is_prepaid: bool
    autopay: str
    state: str
    row_no: int


@dataclass(slots=True)
class CustomersApplied:
    """What a batch of customers changed; ``new + changed + same`` are its customers."""

    new: int = 0
    changed: int = 0
    same: int = 0
    holder_changed: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    # of both: the party that messages were about until now
    former_parties: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """What flows know of a customer; ``holder`` grows with each 过户 or 更名."""

    customer_no: str
    party_no: str
    name: str = field(repr=False)
    customer_class: str
    voltage_kv: str
    station: str
    region: str
    is_important: bool
    is_prepaid: bool
    autopay: str
    state: str
    holder: int
    holder_since_on: date | None = None


_FACTS = (
    customers.c.customer_no,
    customers.c.party_no,
    customers.c.name,
    customers.c.customer_class,
    customers.c.voltage_kv,
    customers.c.station,
    customers.c.region,
    customers.c.is_important,
    customers.c.is_prepaid,
    customers.c.autopay,
    customers.c.state,
    customers.c.holder,
    customers.c.holder_since_on,
)
# What a row of the feed says, in its order and without the row's number.
_CUSTOMER_FIELDS = CustomerRow._fields[:-1]


def customers_of(session: Session, customer_nos: Iterable[str]) -> dict[str, CustomerFacts]:
    """The customers of these 户号; unknown ones are left out."""
    found: dict[str, CustomerFacts] = {}
    for batch in chunks(dict.fromkeys(customer_nos)):
        query = select(*_FACTS).where(customers.c.customer_no.in_(batch))
        for row in session.execute(query):
            found[row.customer_no] = CustomerFacts(*tuple(row))
    return found


def apply_customers(
    session: Session, rows: Sequence[tuple[Any, ...]], run_id: int, now: datetime
) -> CustomersApplied:
    """Write a batch of ``CustomerRow`` (1,000 to 5,000); the last row of a 户号 counts.

    A 户号 that is closed or has a new holder loses its bindings in the same transaction.
    """
    given = {row[0]: _cleaned(CustomerRow._make(row)) for row in rows}
    known = _known(session, given)
    applied = CustomersApplied()
    fresh: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for row in given.values():
        old = known.get(row.customer_no)
        if old is not None and _is_same(row, old):
            applied.same += 1
            continue
        holder, since = (1, None) if old is None else (old.holder, old.holder_since_on)
        values = {
            **row._asdict(),
            "name_hash": name_hash(row.name),
            "run_id": run_id,
            "changed_at": now,
        }
        if old is None:
            fresh.append({**values, "holder": holder, "holder_since_on": since})
            continue
        if old.party_no != row.party_no or name_hash(old.name) != values["name_hash"]:
            holder, since = holder + 1, china_date(now)
            applied.former_parties.add(old.party_no)
            applied.holder_changed.append(row.customer_no)
        if row.state == CLOSED and old.state != CLOSED:
            applied.former_parties.add(old.party_no)
            applied.closed.append(row.customer_no)
        changed.append({**values, "holder": holder, "holder_since_on": since, "id": old.id})
    write_rows(session, customers, fresh, changed)
    applied.new, applied.changed = len(fresh), len(changed)
    by = f"import:{run_id}"
    revoke_former_holder(session, applied.holder_changed, "holder_changed", by, now)
    revoke_former_holder(session, applied.closed, "closed", by, now)
    return applied


def _known(session: Session, customer_nos: Iterable[str]) -> dict[str, AnyRow]:
    """These customers, locked; what the feed says of them begins at column 3."""
    columns = [customers.c[name] for name in _CUSTOMER_FIELDS]
    own = (customers.c.id, customers.c.holder, customers.c.holder_since_on)
    query = select(*own, *columns).with_for_update()
    found: dict[str, AnyRow] = {}
    for batch in chunks(customer_nos):
        rows = session.execute(query.where(customers.c.customer_no.in_(batch)))
        found.update((row.customer_no, row) for row in rows)
    return found


def _cleaned(row: CustomerRow) -> CustomerRow:
    """Nothing is empty text; a source without 客户编号 has one party for each 户号."""
    capacity_kva = row.capacity_kva
    if None in row:
        row = CustomerRow._make(texts(row))._replace(capacity_kva=capacity_kva)
    return row if row.party_no else row._replace(party_no=row.customer_no)


def _is_same(row: CustomerRow, old: AnyRow) -> bool:
    return tuple(old[3:]) == row[:-1]
