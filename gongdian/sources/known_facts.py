"""What the database knows (已知事实) for the checks of a file: customers, the last meter readings.

``runs`` hands it to ``gongdian.sources.checks``. Everything is read page by page: the memory of an
import does not grow with the number of customers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import select

from gongdian.accounts.customer_tables import customers
from gongdian.billing.tables import bills
from gongdian.clock import china_date
from gongdian.db import Database
from gongdian.sources.check_rules import FEEDS
from gongdian.sources.checks import Known, LastReading

_PAGE = 10_000
# A meter that was not billed for longer has no usual use to compare with.
_LOOKS_BACK = timedelta(days=130)


def known_facts(database: Database, feed: str, is_correction: bool, now: datetime) -> Known:
    """What a file of this feed is checked against; a person has looked at corrected readings."""
    wants_readings = feed == "bills" and not is_correction
    return Known(
        customers=customer_numbers(database) if FEEDS[feed].names_customer else None,
        last_readings=last_readings(database, now) if wants_readings else None,
        now=now,
    )


def customer_numbers(database: Database) -> Iterator[str]:
    """Every 户号, closed ones too."""
    column = customers.c.customer_no
    last = ""
    while True:
        query = select(column).where(column > last).order_by(column).limit(_PAGE)
        with database.read() as session:
            page = list(session.scalars(query))
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1]


def last_readings(database: Database, now: datetime) -> Iterator[LastReading]:
    """What the bills of the last months said of each meter, with the period of each."""
    columns = bills.c
    since = china_date(now) - _LOOKS_BACK
    last = ""
    while True:
        query = (
            select(columns.customer_no, columns.period, columns.lines)
            .where(columns.customer_no > last, columns.is_current.is_(True))
            .where(columns.issued_on >= since)
            .order_by(columns.customer_no)
            .limit(_PAGE)
        )
        with database.read() as session:
            page = session.execute(query).all()
        # The last customer's bills may go on behind the page: that one is left to the next.
        whole = page if len(page) < _PAGE else [row for row in page if row[0] != page[-1][0]]
        for customer_no, period, lines in whole or page:
            for one in json.loads(lines).get("readings", ()):
                used = one["current"] - one["previous"]
                meter = str(one.get("meter", ""))
                yield LastReading(customer_no, meter, one["current"], used, period)
        if len(page) < _PAGE:
            return
        last = (whole or page)[-1][0]
