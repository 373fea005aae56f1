"""What tests of imports share (导入测试): a place to import to, files, what is in the tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from gongdian.accounts.customers import CustomerRow, apply_customers
from gongdian.billing.tables import bills
from gongdian.clock import Clock
from gongdian.db import Database
from gongdian.sources.model import RunReport
from gongdian.sources.runs import Importing, import_file
from gongdian.sources.tables import import_rejects, import_runs
from tests.unit.sources.feed_files import rows_of, write_csv

KNOWN = "9900000000001"


class ImportStage:
    """An installation's database and data folder, and a folder in which files arrive."""

    def __init__(self, database: Database, clock: Clock, folder: Path) -> None:
        self.database = database
        self.clock = clock
        self.data_dir = folder / "data"
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        self.place = Importing(database, clock, self.data_dir, batch=2)

    def file(self, name: str, feed: str, rows: list[dict[str, str]]) -> Path:
        """A file that came."""
        return write_csv(self.inbox / name, feed, rows)

    def load(self, feed: str, path: Path, **options: Any) -> RunReport:
        """Import a file by the shipped mapping."""
        patience = options.pop("patience_s", 0.0)
        place = replace(self.place, patience_s=patience)
        return import_file(place, path, f"sg186_{feed}", "王工", **options)

    def customers(self, count: int = 1) -> None:
        """Customers 9900000000001 and on, as an import leaves them; without the import's time."""
        now = self.clock.now()
        rows = [
            CustomerRow(
                *(f"{9900000000000 + number}", "P1", "云溪恒源铸造有限公司", "云溪县城东街1号"),
                *("industrial_two_part", "10", "城东供电所", "national", 315.0, False, False),
                *("", "active", number + 1),
            )
            for number in range(1, count + 1)
        ]
        self.database.run(lambda session: apply_customers(session, rows, 0, now))

    def bills(
        self, name: str = "bills_20261105.csv", count: int = 5, **changes: str
    ) -> tuple[Path, RunReport]:
        """Bills of the first customer, imported; ``changes`` go into the last one."""
        path = self.file(name, "bills", rows_of("bills", count, **changes))
        return path, self.load("bills", path)

    def bills_in(self) -> list[tuple[str, int, int]]:
        """bill_no, run and row of every bill."""
        columns = bills.c
        query = select(columns.bill_no, columns.run_id, columns.row_no)
        with self.database.read() as session:
            found = session.execute(query.order_by(columns.bill_no, columns.version))
            return [tuple(row) for row in found]

    def count(self, what: Any) -> int:
        """How many rows a table has."""
        with self.database.read() as session:
            return int(session.execute(select(func.count()).select_from(what)).scalar_one())

    def states(self) -> list[str]:
        """The states of the runs, first to last."""
        with self.database.read() as session:
            return list(session.scalars(select(import_runs.c.state).order_by(import_runs.c.id)))

    def rejects(self, run_id: int) -> list[tuple[int, str, str, bool]]:
        """Row number, column, reason and whether corrected, of a run's rejects."""
        columns = import_rejects.c
        wanted = (columns.row_no, columns.column_name, columns.reason, columns.is_corrected)
        query = select(*wanted).where(columns.run_id == run_id).order_by(columns.id)
        with self.database.read() as session:
            return [tuple(row) for row in session.execute(query)]
