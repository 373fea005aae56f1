"""Makes the whole county (生成云溪县): the same seed, scale and day give the same bytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

from devtools.demo.county import notable
from devtools.demo.county.billing import Bill, bills_of, misread, refund
from devtools.demo.county.customers import Customer
from devtools.demo.county.feeds import (
    HEADINGS,
    Row,
    balance_row,
    bill_row,
    contact_rows,
    customer_row,
    payment_row,
    wiring_row,
    write_feed,
)
from devtools.demo.county.high_voltage import high_voltage_customers
from devtools.demo.county.low_voltage import low_voltage_customers
from devtools.demo.county.months import BillingMonth, billing_months
from devtools.demo.county.notable import notable_customers
from devtools.demo.county.paying import Payment, payments_of
from devtools.demo.county.places import public_transformers
from devtools.demo.county.prices import PRICE_NOTE

HIGH, LOW = 2_200, 20_000
LATE = 6
AMOUNT, ENERGY_FEE = HEADINGS["bills"].index("应收电费"), HEADINGS["bills"].index("购电费")
LEAST_HIGH, LEAST_LOW = 20, 100
CLOSED_AFTER_MONTHS = 6
SAMPLE_NOTE = "低压客户为抽样：实际高压与低压户数约为1:100"


@dataclass(slots=True)
class County:
    """What was made; ``files`` maps a word to a file name below ``folder``."""

    folder: Path
    today: date
    seed: int
    scale: float
    months: list[BillingMonth]
    customers: list[Customer]
    files: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Rows:
    """Rows of the bill and payment files, split at the newest month."""

    bills: list[Row] = field(default_factory=list)
    new_bills: list[Row] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    new_payments: list[Payment] = field(default_factory=list)


def make_county(folder: Path, today: date, *, scale: float = 1.0, seed: int = 42) -> County:
    """Write all feeds and ``county.json`` below ``folder``, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    transformers = public_transformers(scale, seed)
    known = notable_customers(transformers, seed)
    high = sum(customer.is_high_voltage for customer in known)
    customers = [
        *known,
        *high_voltage_customers(
            max(round(HIGH * scale), LEAST_HIGH) - high, seed, {one.name for one in known}
        ),
        *low_voltage_customers(
            max(round(LOW * scale), LEAST_LOW) - (len(known) - high), transformers, seed
        ),
    ]
    customers.sort(key=lambda customer: customer.customer_no)
    county = County(folder, today, seed, scale, billing_months(today), customers)
    _write_people(county)
    _write_money(county)
    _write_changes(county)
    (folder / "county.json").write_text(
        json.dumps(county_facts(county), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    return county


def _write(county: County, word: str, name: str, feed: str, rows: Iterator[Row]) -> None:
    county.files[word] = name
    county.counts[word] = write_feed(county.folder / name, feed, rows)


def _write_people(county: County) -> None:
    customers, day = county.customers, f"{county.today:%Y%m%d}"
    _write(county, "customers", f"customers_{day}.csv", "customers", map(customer_row, customers))
    _write(
        county,
        "contacts",
        f"contacts_{day}.csv",
        "contacts",
        (row for customer in customers for row in contact_rows(customer)),
    )
    prepaid = (customer for customer in customers if customer.is_prepaid)
    _write(
        county,
        "balances",
        f"balances_{day}.csv",
        "balances",
        (balance_row(customer, county.today) for customer in prepaid),
    )
    _write(county, "wiring", "wiring.csv", "wiring", map(wiring_row, customers))


def _write_money(county: County) -> None:
    rows, newest = _Rows(), county.months[-1]
    for customer in county.customers:
        _bill_and_pay(county, customer, rows)
    numbers = (f"JF{place:011d}" for place in range(1, 10**9))
    for word, bills, name in (
        ("bills_history", rows.bills, f"bills_until_{county.months[-2].period}.csv"),
        ("bills_newest", rows.new_bills[:-LATE], f"bills_{newest.period}.csv"),
        ("bills_late", _late(rows.new_bills[-LATE:]), f"bills_{newest.period}_late.csv"),
    ):
        _write(county, word, name, "bills", iter(bills))
    for word, payments, name in (
        ("payments_history", rows.payments, f"payments_until_{county.months[-2].period}.csv"),
        ("payments_newest", rows.new_payments, f"payments_{county.today:%Y%m%d}.csv"),
    ):
        _write(
            county, word, name, "payments", (payment_row(next(numbers), one) for one in payments)
        )


def _bill_and_pay(county: County, customer: Customer, rows: _Rows) -> None:
    rng = Random(f"{county.seed}:money:{customer.customer_no}")
    months = county.months[:CLOSED_AFTER_MONTHS] if customer.is_closed else county.months
    bills = bills_of(customer, months, rng)
    newest = county.months[-1].period
    for bill in bills:
        of_month = rows.new_bills if bill.month.period == newest else rows.bills
        for version in _versions(customer, bill, county.months):
            of_month.append(bill_row(customer.customer_no, version))
    for payment in payments_of(customer, bills, county.today, rng):
        is_new = payment.bill_no.startswith(newest)
        (rows.new_payments if is_new else rows.payments).append(payment)
    county.counts["owing"] += customer.habit.owes > 0 and not customer.is_closed
    county.counts[f"newest_{customer.habit.newest}"] += not customer.is_closed


def _versions(customer: Customer, bill: Bill, months: list[BillingMonth]) -> list[Bill]:
    """The bill as it was issued; the last month but one of some customers has a story."""
    if not customer.incident or bill.month is not months[-2]:
        return [bill]
    return misread(bill, 100) if customer.incident == "冲红重发" else [bill, refund(bill, 1_200)]


def _late(rows: list[Row]) -> list[Row]:
    """The newest bills of the last customers come in a file of their own (补发), three of its rows
    spoilt: the amount, a fee, and one of a 户号 that nobody knows."""
    late = [list(row) for row in rows]
    late[1][AMOUNT] = "八十六元四角"
    late[3][ENERGY_FEE] = f"{float(late[3][ENERGY_FEE] or 0) + 1:.2f}"
    stray = ["9900009999999", *late[0][1:]]
    return [tuple(row) for row in (*late, stray)]


def _write_changes(county: County) -> None:
    """What comes later: one supply point changes hands (过户)."""
    (before,) = (one for one in county.customers if one.customer_no == notable.TRANSFERRED_NO)
    after = notable.new_holder(before, county.seed)
    day = f"{county.today:%Y%m%d}"
    _write(
        county,
        "transfer_customers",
        f"customers_{day}_transfer.csv",
        "customers",
        iter([customer_row(after)]),
    )
    gone = [(*row[:-1], "失效") for row in contact_rows(before)]
    _write(
        county,
        "transfer_contacts",
        f"contacts_{day}_transfer.csv",
        "contacts",
        iter([*gone, *contact_rows(after)]),
    )


def county_facts(county: County) -> dict[str, Any]:
    """What the story needs to know: whose phone is whose, which file is which."""
    customers = county.customers
    parties = Counter(customer.party_no for customer in customers)
    return {
        "name": "云溪县",
        "today": str(county.today),
        "seed": county.seed,
        "scale": county.scale,
        "notes": [SAMPLE_NOTE, PRICE_NOTE],
        "counts": {
            **county.counts,
            "high_voltage": sum(customer.is_high_voltage for customer in customers),
            "low_voltage": sum(not customer.is_high_voltage for customer in customers),
            "several_supply_points": sum(held > 1 for held in parties.values()),
        },
        "periods": [month.period for month in county.months],
        "issued_on": str(county.months[-1].issued_on),
        "due_on": str(county.months[-1].due_on),
        "files": county.files,
        "stations": sorted({customer.wiring.station for customer in customers}),
        "cast": {
            name: [
                customer.customer_no
                for customer in customers
                if phone in [person.phone for person in customer.people]
            ]
            for name, phone in notable.PHONES.items()
        },
        # The name on file: of the household, or of the person who speaks for the company.
        "holders": {
            name: next(
                person.name
                for customer in customers
                for person in customer.people
                if person.phone == phone
            )
            for name, phone in notable.PHONES.items()
        },
        "important": [customer.name for customer in customers if customer.is_important],
        "prepaid_low": notable.LOW_BALANCE_NO,
        "reissued": notable.REISSUED_NO,
        "refunded": notable.REFUNDED_NO,
        "transferred": notable.TRANSFERRED_NO,
    }
