"""Made-up bills of the import bench: a CSV or XLSX file, and the customers that they are for.

One normal bill for each customer, as 电费发行 brings them; one row in a thousand is bad. The same
numbers each time.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from openpyxl import Workbook

from gongdian.accounts.customers import CustomerRow, apply_customers
from gongdian.db import Database

# 10:00 in China, the morning after the bills were issued.
NOW = datetime(2026, 11, 6, 2, 0, tzinfo=UTC)
BAD_EVERY = 1_000
_HEADING = (
    "户号,应收编号,版本,账单类型,电费年月,应收电费,发行日期,交费截止日期,表资产号,上期示数,本期示数,"
    "倍率,变线损电量,计费电量,尖电量,峰电量,平电量,谷电量,购电费,上网环节线损费,输配电费,系统运行费,"
    "政府性基金及附加,容需量电费,力调电费,其他费用"
)
_TEXTS = 5  # the first columns are text in a workbook, too
_SEED = 20_261_105


def customer_no(number: int) -> str:
    """The 户号 of a made-up customer."""
    return f"99{number:011d}"


def bill_rows(count: int) -> Iterator[list[str]]:
    """Cells of ``count`` bills; each thousandth has a fault of one of three kinds."""
    dice = random.Random(_SEED)
    for number in range(count):
        multiplier = dice.choice((1, 1, 1, 20, 40))
        previous = dice.randrange(1_000, 50_000)
        current = previous + dice.randrange(60, 900)
        kwh = (current - previous) * multiplier
        fees = [round(kwh * price) for price in (31.27, 1.9, 11.3, 2.2, 2.4)]
        amount = sum(fees)
        if number % BAD_EVERY == BAD_EVERY // 2:
            amount += 1  # the fees do not add up
        cells = [
            customer_no(number),
            f"Y202610{number:09d}",
            "1",
            "正常",
            "202610",
            _yuan(amount),
            "2026-11-05",
            "2026-11-25",
            f"M{number:010d}",
            str(previous),
            str(current),
            str(multiplier),
            "0",
            str(kwh),
            "",
            *(str(part) for part in (kwh // 3, kwh // 3, kwh - kwh // 3 * 2)),
            *map(_yuan, fees),
            "",
            "",
            "",
        ]
        yield cells


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def write_csv(path: Path, count: int) -> None:
    """A CSV file as the SG186 mapping reads it."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADING.split(","))
        writer.writerows(bill_rows(count))


def write_xlsx(path: Path, count: int) -> None:
    """A workbook: texts as texts, figures as numbers, as people save it."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("应收")
    sheet.append(_HEADING.split(","))
    for cells in bill_rows(count):
        sheet.append([*cells[:_TEXTS], *map(_cell, cells[_TEXTS:])])
    book.save(path)


def _cell(text: str) -> object:
    try:
        return float(text) if text else None
    except ValueError:
        return text


def put_customers(database: Database, count: int) -> None:
    """The customers of the bills."""
    for begin in range(0, count, 5_000):
        rows = [
            CustomerRow(
                customer_no=customer_no(number),
                party_no=customer_no(number),
                name=f"示例客户{number}",
                address="云溪县示例路1号",
                customer_class="residential",
                voltage_kv="0.22",
                station="城关供电所",
                region="national",
                capacity_kva=None,
                is_important=False,
                is_prepaid=False,
                autopay="",
                state="active",
                row_no=number + 2,
            )
            for number in range(begin, min(begin + 5_000, count))
        ]
        database.run(partial(apply_customers, rows=rows, run_id=0, now=NOW))
