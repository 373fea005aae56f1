"""Checking of a file that came in (导入校验): good rows and rejects, by column in DuckDB.

Called by the imports (``gongdian.sources.runs``) and by tests. Nothing here touches our database.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import duckdb

from gongdian.sources.mapping import Mapping


@dataclass(frozen=True, slots=True)
class LastReading:
    """What the last bill of a meter said; bills of that ``period`` or before are not compared."""

    customer_no: str
    meter_no: str
    reading: float
    usual: float | None  # the advance of a bill, not kWh; None when unknown
    period: str = ""  # 202610


@dataclass(frozen=True, slots=True)
class Known:
    """What the database knows, for cross checks; None switches a check off.

    ``customers``: every 户号 there is. ``last_readings``: leave it out for a file of corrected
    rejects, since a person has looked at each of those jumps. ``now``: instants and issue dates
    after it are refused.
    """

    customers: Iterable[str] | None = None
    last_readings: Iterable[LastReading] | None = None
    now: datetime | None = None


@dataclass(slots=True)
class Checked:
    """A checked file: tables ``good`` and ``rejects`` in ``connection``.

    ``good``: row_no INTEGER and every field of the feed, typed, in the order of row_no. Money is
    BIGINT fen, days DATE, instants TIMESTAMP (UTC, naive), flags BOOLEAN, quantities DOUBLE;
    what the file leaves empty is NULL, or '' where the field is a text that may be empty.
    ``rejects``: row_no, column_name (heading; '' for the row), reason, message (Chinese), value
    (JSON object of the row by heading, cells as they came without blanks around them; surplus
    cells as a list under '').
    rows_read = rows_good + rows_rejected + rows_duplicate.
    """

    connection: duckdb.DuckDBPyConnection
    mapping: Mapping
    headings: tuple[str, ...]
    rows_read: int
    rows_good: int
    rows_rejected: int
    rows_duplicate: int
    as_of: datetime | None  # up to when the rows tell, from the mapping's column; aware UTC
    reasons: dict[str, int] = field(default_factory=dict)  # rejects by reason

    def close(self) -> None:
        """Close DuckDB; its file stays in the work folder, which the caller removes."""
        self.connection.close()
