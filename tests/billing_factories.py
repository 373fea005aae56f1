"""Bills and payments to apply in tests (测试账单), and a look at what came of them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from gongdian.billing.model import BOOKED
from gongdian.billing.queries import credits_of, open_bills
from gongdian.billing.rows import Applied, BillRow, PaymentRow
from gongdian.billing.service import apply_bills, apply_payments
from gongdian.db import Database

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
DUE = date(2026, 11, 25)
WANG = "9900000345812"
ZHAO = "9900001203457"
LINES = json.dumps({"fees": {"energy": 8640}})


def a_bill(bill_no: str = "B1", fen: int = 8640, **changes: Any) -> BillRow:
    row = BillRow(
        row_no=2,
        customer_no=WANG,
        bill_no=bill_no,
        version=1,
        kind="normal",
        period="202610",
        amount_fen=fen,
        issued_on=date(2026, 11, 5),
        due_on=DUE,
        kwh=123456789.25,
        lines=LINES,
    )
    return row._replace(**changes)


def a_payment(payment_no: str = "P1", fen: int = 8640, **changes: Any) -> PaymentRow:
    row = PaymentRow(
        row_no=2,
        payment_no=payment_no,
        customer_no=WANG,
        bill_no="B1",
        amount_fen=fen,
        state=BOOKED,
        method="wechat",
        paid_at=NOW,
        expected_on=None,
    )
    return row._replace(**changes)


class Books:
    """Applies rows and looks at what came of them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.run_id = 0

    def bills(self, *rows: BillRow) -> Applied:
        self.run_id += 1
        return self.database.run(lambda s: apply_bills(s, rows, self.run_id, NOW))

    def payments(self, *rows: PaymentRow) -> Applied:
        self.run_id += 1
        return self.database.run(lambda s: apply_payments(s, rows, self.run_id, NOW))

    def open(self, customer_no: str = WANG) -> dict[str, str]:
        """What each open bill still asks for."""
        with self.database.read() as session:
            found = open_bills(session, [customer_no]).get(customer_no, [])
        return {one.bill_no: str(one.open_amount) for one in found}

    def credit(self, customer_no: str = WANG) -> str:
        with self.database.read() as session:
            return str(credits_of(session, [customer_no]).get(customer_no, Decimal(0)))

    def rows(self, *columns: Any) -> list[tuple[Any, ...]]:
        with self.database.read() as session:
            query = select(*columns).order_by(columns[0].table.primary_key.columns[0])
            return [tuple(row) for row in session.execute(query)]
