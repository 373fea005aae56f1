"""Preparing a campaign: recipients a second on both databases, beside one customer at a time.

``python -m devtools.bench --only campaign``. Prepared means: facts read, stage decided, people
found, card rendered and checked, line written and committed. Half of the customers have somebody
in WeChat, the others a phone on file; one party in ten has two 户号. The peer does the same work
the naive way, a customer at a time, on a sample in the same database.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import func, insert, select

from devtools.bench.databases import open_backend
from devtools.bench.workflow_machines import backends, open_database
from gongdian.accounts.customer_contacts import ContactRow, apply_contacts
from gongdian.accounts.customer_tables import customer_contacts
from gongdian.accounts.customers import CustomerRow, apply_customers
from gongdian.accounts.model import SERVICE_NOTICES
from gongdian.accounts.tables import consents, contacts
from gongdian.arrears.campaigns import campaign_named
from gongdian.arrears.events import facts_changed
from gongdian.arrears.preparing import BATCH, prepare_batch
from gongdian.arrears.rules import seed_rules
from gongdian.arrears.service import StartCampaign, start_campaign
from gongdian.arrears.tables import recipients
from gongdian.billing.rows import BillRow
from gongdian.billing.service import apply_bills
from gongdian.db import Database, Session
from gongdian.feeds import FeedState, note_feed
from gongdian.migrations.upgrade import upgrade_database
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.composers import SmsComposer
from gongdian.outbox.model import CHANNEL_SMS, SendingPolicy
from gongdian.outbox.queueing import Outbox
from gongdian.render.registry import Registry

_ACCOUNT = "wxdemo0000000001"
_NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
_DUE_ON = date(2026, 11, 15)
_LEAST_PER_S = 5_000.0
_AT_ONCE = 5_000
_IN_WECHAT = 2  # every second one


@dataclass(frozen=True, slots=True)
class Row:
    """One figure as the table of ``make bench`` prints it."""

    what: str
    value: float
    unit: str
    target: str = ""
    is_met: bool = True
    beside: str = ""


@dataclass(frozen=True, slots=True)
class _Size:
    bills: int
    sample: int


_SHORT, _LONG = _Size(20_000, 300), _Size(500_000, 2_000)


def run(*, is_short: bool) -> Iterator[Row]:
    """Each backend that answers: the peer on a sample, then ours over everything."""
    size = _SHORT if is_short else _LONG
    print(f"campaign: load average {os.getloadavg()[0]:.2f} before", flush=True)
    for name in backends():
        with (
            tempfile.TemporaryDirectory() as folder,
            open_backend(name, Path(folder)) as backend,
        ):
            database = open_database(backend.database_url)
            try:
                yield from _measure(name.removesuffix("+redis"), database, size)
            finally:
                database.close()
    print(f"campaign: load average {os.getloadavg()[0]:.2f} after", flush=True)


def _measure(name: str, database: Database, size: _Size) -> Iterator[Row]:
    upgrade_database(database)
    began = time.perf_counter()
    _put_county(database, size.bills)
    print(f"campaign on {name}: facts put in {time.perf_counter() - began:.0f} s", flush=True)
    outbox = _outbox()
    naive = _per_s(database, outbox, "naive", 1, most=size.sample)
    ours = _per_s(database, outbox, "ours", BATCH)
    lines = _lines(database)
    yield Row(
        f"campaign of {size.bills} open bills on {name}: recipients prepared",
        ours,
        "/s",
        ">= 5000",
        ours >= _LEAST_PER_S and lines >= size.bills * 0.9,
        f"{ours / naive:.1f} x a customer at a time ({naive:.0f}/s on {size.sample})",
    )


def _per_s(database: Database, outbox: Outbox, code: str, batch: int, most: int = 0) -> float:
    """Recipients a second, batches of so many customers each in a transaction of its own."""
    database.run(lambda s: start_campaign(s, StartCampaign(code, "bench"), _NOW))
    with database.read() as session:
        campaign_id = campaign_named(session, code).id
    planned, began = 0, time.perf_counter()
    one = partial(prepare_batch, outbox=outbox, campaign_id=campaign_id, limit=batch, now=_NOW)
    while not most or planned < most:
        done = database.run(one)
        planned += done.planned
        if done.is_done:
            break
    return planned / (time.perf_counter() - began)


def _lines(database: Database) -> int:
    with database.read() as session:
        query = select(func.count()).select_from(recipients)
        return int(session.execute(query).scalar_one())


def _outbox() -> Outbox:
    registry = Registry.load()
    composers = {CHANNEL_SMS: SmsComposer(registry, _ACCOUNT)}
    return Outbox(SendingPolicy(account=_ACCOUNT), registry, "https://example.invalid", composers)


def _put_county(database: Database, count: int) -> None:
    """Customers, people, WeChat contacts, one overdue bill each; cases follow as in an import."""
    database.run(lambda s: seed_rules(s, "bench", _NOW))
    for feed in ("customers", "contacts", "bills", "payments"):
        state = FeedState(feed, _NOW, _NOW, 1, timedelta(days=1), timedelta(days=1))
        database.run(lambda s: note_feed(s, state))  # noqa: B023
    for start in range(1, count + 1, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, count + 1))
        database.run(partial(_put_batch, numbers=numbers))


def _put_batch(session: Session, numbers: range) -> None:
    customers = [_customer(number) for number in numbers]
    apply_customers(session, customers, 1, _NOW)
    apply_contacts(session, [_person(number) for number in numbers], 1, _NOW)
    _put_followers(session, [number for number in numbers if number % _IN_WECHAT == 0])
    apply_bills(session, [_bill(number) for number in numbers], 1, _NOW)
    facts_changed(session, [one.customer_no for one in customers], _NOW)


def _number(number: int) -> str:
    return f"99{number:011d}"


def _customer(number: int) -> CustomerRow:
    party = number - 1 if number % 10 == 0 else number
    return CustomerRow(
        _number(number),
        f"K{party:09d}",
        f"张建{number % 100}",
        "云溪县城关镇东关村2组18号",
        "residential",
        "0.22",
        f"{'东西南北'[number % 4]}关供电所",
        "national",
        8.0,
        False,
        False,
        "",
        "active",
        number,
    )


def _person(number: int) -> ContactRow:
    phone = f"138{number:08d}"
    channels = "wechat_template,sms"
    return ContactRow(
        _number(number), "L1", "owner", 1, 1, "张建", phone, "", channels, "active", number
    )


def _put_followers(session: Session, numbers: list[int]) -> None:
    """WeChat contacts who agreed; ``number`` is their number too."""
    openids = {number: f"oBench{number:022d}" for number in numbers}
    session.execute(
        insert(contacts),
        [
            {
                "id": number,
                "account": _ACCOUNT,
                "openid": openid,
                "openid_hash": address_hash(openid),
                "state": "following",
                "met_at": _NOW,
                "changed_at": _NOW,
            }
            for number, openid in openids.items()
        ],
    )
    session.execute(
        insert(consents),
        [
            {
                "contact_id": number,
                "purpose": SERVICE_NOTICES,
                "version": "v1",
                "decision": "agreed",
                "source": "bench",
                "decided_at": _NOW,
            }
            for number in numbers
        ],
    )
    # A WeChat contact's row on file: the people were numbered in order.
    session.execute(
        customer_contacts.update()
        .where(
            customer_contacts.c.customer_no.in_([_number(number) for number in numbers]),
            customer_contacts.c.contact_no == "L1",
        )
        .values(contact_id=customer_contacts.c.id)
    )


def _bill(number: int) -> BillRow:
    issued_on = _DUE_ON - timedelta(days=10)
    customer_no, fen = _number(number), 5_000 + number % 9_000
    return BillRow(
        number,
        customer_no,
        f"Y{number}",
        1,
        "normal",
        "202610",
        fen,
        issued_on,
        _DUE_ON,
        160.0,
        "{}",
    )
