"""Checking of a file that came (导入校验): good rows and rejects, by column in DuckDB.

Called by the imports (``gongdian.sources.runs``) and by tests; our own database is not touched. One
pass over all rows tells good from bad; only the bad ones are read again for their reasons.
"""

# ruff: noqa: S608 - names and codes of mappings are quoted; cells never become SQL

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from gongdian.clock import CHINA, next_china_midnight
from gongdian.errors import ConfigError, UpstreamError
from gongdian.sources.check_rules import FEEDS, REASONS, Feed
from gongdian.sources.check_sql import SQL_TYPES, FieldSql, name, quoted
from gongdian.sources.checks import Checked, Known
from gongdian.sources.cross_checks import check_customers, check_keys, check_readings
from gongdian.sources.findings import refuse_mostly_bad
from gongdian.sources.mapping import Mapping
from gongdian.sources.progress import Progress, no_progress
from gongdian.sources.reading import read_rows
from gongdian.sources.work_rows import REJECT_HEADINGS, RowsRead

# DuckDB spills to the work folder beyond this; with Python and its buffers below 250 MB.
_MEMORY = "110MB"
_THREADS = 2
_MAX_LINE = 5 << 20  # a row of the work file may hold several lines of a megabyte


def check_file(
    path: Path,
    mapping: Mapping,
    work: Path,
    known: Known,
    progress: Progress = no_progress,
) -> Checked:
    """Read and check a file; ``work`` is a folder for this alone, which the caller removes.

    InputError for a fault of the file as a whole, with ``problem``, a Chinese sentence, in its
    context: nothing may be changed then. ConfigError when the mapping has a pattern that DuckDB
    does not know; UpstreamError ``check_failed`` for a full disk and the like.
    """
    work.mkdir(parents=True, exist_ok=True)
    rows = read_rows(path, mapping, work, progress)
    progress(0, rows.rows, "checking")
    connection = _connect(work)
    try:
        checked = _Check(connection, mapping, rows, known, work).run()
    except duckdb.Error as error:
        connection.close()
        # Its text may quote a row, so it does not travel along.
        raise UpstreamError("check_failed", f"DuckDB: {type(error).__name__}") from None
    except BaseException:
        connection.close()
        raise
    progress(rows.rows, rows.rows, "checking")
    return checked


def _connect(work: Path) -> duckdb.DuckDBPyConnection:
    file, spill = work / "checked.duckdb", work / "spill"
    for old in (file, file.with_suffix(".duckdb.wal")):
        old.unlink(missing_ok=True)
    shutil.rmtree(spill, ignore_errors=True)
    return duckdb.connect(
        str(file),
        config={
            "memory_limit": _MEMORY,
            "threads": _THREADS,
            "temp_directory": str(spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )


class _Check:
    """The check of one file."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        mapping: Mapping,
        rows: RowsRead,
        known: Known,
        work: Path,
    ) -> None:
        self._db = connection
        self._mapping = mapping
        self._rows = rows
        self._known = known
        self._work = work
        self._feed: Feed = FEEDS[mapping.feed]
        self._fields = [self._field_sql(one.name) for one in self._feed.fields]
        self._texts = ", ".join(f"coalesce(c{at}, '') AS t{at}" for at in range(len(rows.headings)))

    def run(self) -> Checked:
        """The steps in their order: a repeated row is dropped before its reasons are told."""
        self._check_patterns()
        self._type_rows()
        key_columns = [one.heading for one in self._fields if one.field.name in self._feed.key]
        self._db.execute(
            "CREATE TABLE rejects (row_no INTEGER, place INTEGER, column_name VARCHAR, "
            "reason VARCHAR, message VARCHAR)"
        )
        duplicates = check_keys(self._db, self._feed, self._cells(), key_columns[-1])
        customer = next((one for one in self._fields if one.field.name == "customer_no"), None)
        if self._feed.names_customer and customer is not None and self._known.customers is not None:
            check_customers(self._db, self._known.customers, customer.heading, self._work)
        if self._feed.name == "bills" and self._known.last_readings is not None:
            heading = next(x.heading for x in self._fields if x.field.name == "current_reading")
            check_readings(self._db, self._known.last_readings, heading, self._work)
        self._tell_reasons()
        return self._finish(duplicates)

    def _field_sql(self, field: str) -> FieldSql:
        column = next((one for one in self._mapping.columns if one.field == field), None)
        if column is not None and column.heading not in self._rows.headings:
            column = None
        text = f"t{self._rows.headings.index(column.heading)}" if column is not None else "''"
        zone = self._mapping.time_zone
        return FieldSql(self._feed.by_name[field], column, text, zone, self._known.now)

    def _check_patterns(self) -> None:
        for one in self._mapping.columns:
            try:
                self._db.execute(f"SELECT regexp_full_match('', {quoted(one.pattern)})")
            except duckdb.Error as error:
                raise ConfigError(
                    "bad_mapping", str(error), file=self._mapping.name, key=one.heading
                ) from error

    def _source(self) -> str:
        """SQL of the work file: row_no and the cells as they came."""
        cells = "".join(f", 'c{at}': 'VARCHAR'" for at in range(len(self._rows.headings)))
        return (
            f"read_csv({quoted(str(self._rows.good))}, auto_detect=false, header=false, "
            f"delim={quoted(self._rows.delimiter)}, quote='\"', escape='\"', new_line='\\n', "
            f"max_line_size={_MAX_LINE}, buffer_size={2 * _MAX_LINE}, "
            f"columns={{'row_no': 'INTEGER'{cells}}})"
        )

    def _cells(self) -> str:
        """SQL of the rows: row_no and the texts of the cells."""
        return f"(SELECT row_no, {self._texts} FROM {self._source()})"

    def _values(self, source: str) -> str:
        """SQL of the rows with their typed values."""
        values = ", ".join(f"{one.value()} AS {one.field.name}" for one in self._fields)
        return f"(SELECT *, {values} FROM {source})"

    def _rules(self) -> list[tuple[str, str, str]]:
        """SQL of each rule over several fields, its reason and the heading that it names."""
        by_name = {one.field.name: one for one in self._fields}
        rules = []
        for rule in self._feed.rules:
            readable = " AND ".join(f"NOT {by_name[one].is_bad()}" for one in rule.fields)
            condition = f"coalesce(({rule.sql}) AND {readable}, false)"
            rules.append((condition, rule.reason, by_name[rule.field].heading))
        return rules

    def _type_rows(self) -> None:
        """The one pass over everything: ``checked`` has typed values and whether they are good."""
        bad = [one.is_bad() for one in self._fields if one.column is not None]
        bad += [f"coalesce({rule.sql}, false)" for rule in self._feed.rules]
        names = ", ".join(one.field.name for one in self._fields)
        key = f"hash({', '.join(self._feed.key)})"
        self._db.execute(
            f"CREATE TABLE checked AS SELECT row_no, {names}, NOT ({' OR '.join(bad)}) AS is_good, "
            f"{key} AS key_hash FROM {self._values(self._cells())}"
        )

    def _tell_reasons(self) -> None:
        """Every fault of every bad row; bad by a check above counts too, for the whole row."""
        self._db.execute(
            f"CREATE TABLE bad_rows AS SELECT * FROM {self._source()} "
            "WHERE row_no IN (SELECT row_no FROM checked WHERE NOT is_good)"
        )
        texts = f"(SELECT row_no, {self._texts} FROM bad_rows)"
        self._db.execute(f"CREATE TABLE bad_values AS SELECT * FROM {self._values(texts)}")
        for place, one in enumerate(self._fields):
            if one.column is not None:
                self._add(place, one)
        for place, (condition, reason, heading) in enumerate(self._rules(), len(self._fields)):
            text = f"{heading}：{REASONS[reason]}"
            self._db.execute(
                f"INSERT INTO rejects SELECT row_no, {place}, {quoted(heading)}, {quoted(reason)}, "
                f"{quoted(text)} FROM bad_values WHERE {condition}"
            )
        if self._rows.odd_rows:
            self._db.execute(
                "CREATE TABLE odd_rows AS SELECT * FROM "
                f"read_csv({quoted(str(self._rows.odd))}, auto_detect=false, header=false, "
                "delim=',', quote='\"', escape='\"', "
                f"max_line_size={4 * _MAX_LINE}, buffer_size={8 * _MAX_LINE}, "
                "columns={'row_no': 'INTEGER', 'reason': 'VARCHAR', 'value': 'VARCHAR'})"
            )
            for reason in ("wrong_cell_count", "bad_quotes"):
                self._db.execute(
                    f"INSERT INTO rejects SELECT row_no, 0, '', reason, {quoted(REASONS[reason])} "
                    f"FROM odd_rows WHERE reason = {quoted(reason)}"
                )

    def _add(self, place: int, one: FieldSql) -> None:
        query = f"SELECT row_no, {one.reason()} FROM bad_values WHERE {one.is_bad()}"
        messages = " ".join(
            f"WHEN {quoted(code)} THEN {quoted(one.message(code))}"
            for code in dict.fromkeys(one.reasons())
        )
        self._db.execute(
            f"INSERT INTO rejects SELECT row_no, {place}, {quoted(one.heading)}, reason, "
            f"CASE reason {messages} END FROM ({query}) AS faults(row_no, reason)"
        )

    def _finish(self, duplicates: int) -> Checked:
        """Tables as promised, counts, and no row lost."""
        self._db.execute("DELETE FROM checked WHERE NOT is_good")
        rejected = self._count("SELECT count(DISTINCT row_no) FROM rejects")
        good = self._count("SELECT count(*) FROM checked")
        reasons = dict(
            self._db.execute(
                "SELECT reason, count(*) FROM rejects GROUP BY reason ORDER BY 2 DESC, 1"
            ).fetchall()
        )
        refuse_mostly_bad(self._db, self._fields, self._rows.rows, rejected, reasons)
        if good + rejected + duplicates != self._rows.rows:
            raise AssertionError("a row is neither good nor rejected nor a duplicate")
        self._finish_rejects()
        names = ", ".join(one.field.name for one in self._fields)
        self._db.execute(f"CREATE VIEW good AS SELECT row_no, {names} FROM checked")
        return Checked(
            connection=self._db,
            mapping=self._mapping,
            headings=self._rows.headings,
            rows_read=self._rows.rows,
            rows_good=good,
            rows_rejected=rejected,
            rows_duplicate=duplicates,
            as_of=self._as_of(),
            reasons=reasons,
        )

    def _finish_rejects(self) -> None:
        """Each reject with its row as it came."""
        cells = ", ".join(
            f"{quoted(heading)}, coalesce(c{at}, '')"
            for at, heading in enumerate(self._rows.headings)
            if heading not in REJECT_HEADINGS
        )
        values = f"SELECT row_no, CAST(json_object({cells}) AS VARCHAR) AS value FROM bad_rows"
        if self._rows.odd_rows:
            values += " UNION ALL SELECT row_no, value FROM odd_rows"
        self._db.execute("ALTER TABLE rejects RENAME TO faults")
        self._db.execute(
            "CREATE TABLE rejects AS SELECT row_no, column_name, reason, message, value "
            f"FROM faults JOIN ({values}) USING (row_no) ORDER BY row_no, place"
        )
        self._db.execute("DROP TABLE faults")
        self._db.execute("DROP TABLE bad_rows")
        self._db.execute("DROP TABLE bad_values")

    def _as_of(self) -> datetime | None:
        """Up to when the good rows tell, by the mapping's column; a day counts to its end."""
        column = next(
            (x for x in self._mapping.columns if x.heading == self._mapping.as_of.column), None
        )
        if column is None:
            return None
        latest = self._db.execute(f"SELECT max({name(column.field)}) FROM checked").fetchone()
        value = latest[0] if latest is not None else None
        if value is None:
            return None
        if SQL_TYPES[self._feed.by_name[column.field].kind] == "TIMESTAMP":
            return value.replace(tzinfo=UTC)  # type: ignore[no-any-return]
        return next_china_midnight(datetime(value.year, value.month, value.day, tzinfo=CHINA))

    def _count(self, query: str) -> int:
        row = self._db.execute(query).fetchone()
        return int(row[0]) if row is not None else 0
