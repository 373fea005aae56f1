"""Checks of rows against other rows and against what we know (交叉校验), in DuckDB.

Called by ``gongdian.sources.checking`` on its table ``checked``: a row that fails is told in
``rejects`` and is good no more.
"""

# ruff: noqa: S608 - names and codes of mappings are quoted; cells never become SQL

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import duckdb

from gongdian.sources.check_rules import REASONS, Feed
from gongdian.sources.check_sql import quoted
from gongdian.sources.checks import LastReading

# An advance ten times the usual one is a slip of the meter reader, if it is worth a look at all:
# from this many kWh, and where the usual one is no idle month.
_JUMP = 10
_JUMP_FROM_KWH = 1000
_IDLE_BELOW_KWH = 100
_AFTER_RULES = 100  # place of these faults among those of a row


def check_keys(db: duckdb.DuckDBPyConnection, feed: Feed, cells: str, heading: str) -> int:
    """Rows with one key: alike, the first is kept and the others dropped; else all are rejected.

    ``cells``: SQL of row_no and the texts. Gives how many rows were dropped.
    """
    db.execute(
        "CREATE TEMP TABLE twice AS SELECT row_no FROM checked WHERE key_hash IN "
        "(SELECT key_hash FROM checked GROUP BY key_hash HAVING count(*) > 1)"
    )
    keys = ", ".join(feed.key)
    is_whole = " AND ".join(f"{key} IS NOT NULL" for key in feed.key)
    contents = (
        "SELECT row_no, CAST(to_json(list_value(*COLUMNS('^t[0-9]+$'))) AS VARCHAR) AS content "
        f"FROM {cells} WHERE row_no IN (SELECT row_no FROM twice)"
    )
    db.execute(
        f"CREATE TEMP TABLE repeated AS SELECT row_no, {keys}, content "
        f"FROM checked JOIN ({contents}) USING (row_no) WHERE {is_whole}"
    )
    db.execute(
        "CREATE TEMP TABLE groups AS SELECT min(row_no) AS first_row, count(DISTINCT content) AS "
        f"contents, {keys} FROM repeated GROUP BY {keys} HAVING count(*) > 1"
    )
    db.execute(
        "CREATE TEMP TABLE dropped AS SELECT row_no FROM repeated JOIN groups "
        f"USING ({keys}) WHERE contents = 1 AND row_no <> first_row"
    )
    _reject(
        db,
        f"SELECT row_no FROM repeated JOIN groups USING ({keys}) WHERE contents > 1",
        "repeated_key",
        heading,
    )
    db.execute("DELETE FROM checked WHERE row_no IN (SELECT row_no FROM dropped)")
    counted = db.execute("SELECT count(*) FROM dropped").fetchone()
    for table in ("dropped", "groups", "repeated", "twice"):
        db.execute(f"DROP TABLE {table}")
    return int(counted[0]) if counted is not None else 0


def check_customers(
    db: duckdb.DuckDBPyConnection, customers: Iterable[str], heading: str, work: Path
) -> None:
    """Rows of a 户号 that we do not know are rejected."""
    path = work / "customers.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([one] for one in customers)
    db.execute(
        "CREATE TEMP TABLE known_customers AS SELECT * FROM "
        f"read_csv({quoted(str(path))}, auto_detect=false, header=false, delim=',', quote='\"', "
        "escape='\"', columns={'customer_no': 'VARCHAR'})"
    )
    _reject(
        db,
        "SELECT row_no FROM checked WHERE customer_no IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM known_customers AS k WHERE k.customer_no = checked.customer_no)",
        "unknown_customer",
        heading,
    )
    db.execute("DROP TABLE known_customers")
    path.unlink()


def check_readings(
    db: duckdb.DuckDBPyConnection, readings: Iterable[LastReading], heading: str, work: Path
) -> None:
    """Readings that go back behind the last bill of the meter, or jump, are rejected.

    The last bill is what we know or an earlier month of the same file. Going back: the bill begins
    below where the last one ended. A jump: more than ten times the usual advance and 1,000 kWh.
    """
    path = work / "readings.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            (one.customer_no, one.meter_no, one.period, one.reading, one.usual) for one in readings
        )
    db.execute(
        "CREATE TEMP TABLE last_readings AS SELECT * FROM "
        f"read_csv({quoted(str(path))}, auto_detect=false, header=false, delim=',', quote='\"', "
        "escape='\"', columns={'customer_no': 'VARCHAR', 'meter_no': 'VARCHAR', "
        "'period': 'VARCHAR', 'reading': 'DOUBLE', 'usual': 'DOUBLE'})"
    )
    path.unlink()
    metered = (
        "kind IN ('normal', 'reissue') AND meter_no <> '' AND is_good "
        "AND previous_reading IS NOT NULL AND current_reading IS NOT NULL"
    )
    _add_months_of_file(db, metered)
    against = (
        "SELECT c.row_no FROM checked AS c ASOF JOIN last_readings AS l "
        "ON c.customer_no = l.customer_no AND c.meter_no = l.meter_no AND c.period > l.period "
        f"WHERE {metered} AND "
    ).replace("meter_no <>", "c.meter_no <>")
    went_back = "c.previous_reading < l.reading - 0.005"
    advance = "(c.current_reading - l.reading)"
    jumped = (
        f"{advance} > {_JUMP} * l.usual AND {advance} * c.multiplier > {_JUMP_FROM_KWH} "
        f"AND l.usual * c.multiplier >= {_IDLE_BELOW_KWH}"
    )
    _reject(db, against + went_back, "reading_back", heading)
    _reject(db, against + jumped, "reading_jump", heading)
    db.execute("DROP TABLE last_readings")


def _add_months_of_file(db: duckdb.DuckDBPyConnection, metered: str) -> None:
    """In a file of several months each month follows the one before it."""
    months = db.execute("SELECT count(DISTINCT period) FROM checked WHERE is_good").fetchone()
    if months is None or months[0] < 2:
        return
    db.execute(
        "INSERT INTO last_readings SELECT customer_no, meter_no, period, "
        "arg_max(current_reading, version), arg_max(current_reading - previous_reading, version) "
        f"FROM checked WHERE {metered} GROUP BY customer_no, meter_no, period"
    )


def _reject(db: duckdb.DuckDBPyConnection, rows: str, reason: str, heading: str) -> None:
    text = f"{heading}：{REASONS[reason]}"
    db.execute(f"CREATE TEMP TABLE found AS {rows}")
    db.execute(
        f"INSERT INTO rejects SELECT row_no, {_AFTER_RULES}, {quoted(heading)}, {quoted(reason)}, "
        f"{quoted(text)} FROM found"
    )
    db.execute(
        "UPDATE checked SET is_good = false WHERE is_good AND row_no IN (SELECT row_no FROM found)"
    )
    db.execute("DROP TABLE found")
