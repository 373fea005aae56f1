"""Views of other databases: read by cursor, once, resumed from their snapshot, secrets kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, select, text

from gongdian.billing.tables import balances
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import InputError, UpstreamError
from gongdian.feeds import feed_state
from gongdian.sources import sql_views
from gongdian.sources.mapping import Mapping, load_mapping
from gongdian.sources.model import RunReport
from gongdian.sources.sql_views import cursor_position, from_json, pull_view, to_json
from tests.import_stage import ImportStage

SHIPPED = Path(sql_views.__file__).parent / "mappings" / "sg186_balances.toml"
VIEW = """
[sql]
view = "v_balances"
cursor = ["measured", "id"]
[sql.columns]
"户号" = "cons_no"
"可用余额" = "left_yuan"
"测算时间" = "measured"
"""


class Source:
    """The company's database: a table of balances and the view that we may read."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'sg186.db'}"
        self.engine = create_engine(self.url)
        self.reads: list[str] = []
        self.run("CREATE TABLE b (id INTEGER, cons_no TEXT, left_yuan NUMERIC, measured TEXT)")
        self.run("CREATE VIEW v_balances AS SELECT * FROM b")

    def run(self, statement: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def add(self, number: int, yuan: str, measured: str, *, cons: int = 0) -> None:
        self.run(
            "INSERT INTO b VALUES (:id, :cons, :yuan, :at)",
            id=number,
            cons=f"{9900000000000 + (cons or number)}",
            yuan=yuan,
            at=measured,
        )


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    made = Source(tmp_path)
    yield made
    made.engine.dispose()


@pytest.fixture
def stage(database: Database, clock: MovableClock, tmp_path: Path) -> ImportStage:
    made = ImportStage(database, clock, tmp_path)
    made.customers(9)
    return made


@pytest.fixture
def mapping(tmp_path: Path) -> Mapping:
    path = tmp_path / "own_balances.toml"
    path.write_text(SHIPPED.read_text("utf-8") + VIEW, "utf-8")
    return load_mapping(path)


def stored(stage: ImportStage) -> dict[str, str]:
    with stage.database.read() as session:
        found = session.execute(select(balances.c.customer_no, balances.c.balance))
        return {row[0][-1]: str(row[1]) for row in found}


def pull(stage: ImportStage, mapping: Mapping, source: Source) -> RunReport | None:
    return pull_view(stage.place, mapping, source.url, "王工")


def test_what_is_new_comes_in_and_the_cursor_follows(
    stage: ImportStage, mapping: Mapping, source: Source
) -> None:
    source.add(1, "12.30", "2026-11-20 06:00:00")
    source.add(2, "-5", "2026-11-20 06:00:00")
    first = pull(stage, mapping, source)
    assert first is not None
    assert (first.rows_new, first.as_of) == (2, stage.clock.now())
    assert cursor_position(stage.database, "own_balances") == ("2026-11-20 06:00:00", 2)
    assert (stage.data_dir / "imports" / first.kept_as).is_file()
    stage.clock.move(timedelta(hours=1))
    source.add(3, "7.00", "2026-11-20 06:00:00")  # with the last cursor value, but later
    source.add(4, "8.00", "2026-11-21 06:00:00")
    second = pull(stage, mapping, source)
    assert second is not None
    assert (second.rows_new, second.rows_same) == (2, 1)
    assert stored(stage) == {"1": "12.30", "2": "-5.00", "3": "7.00", "4": "8.00"}


def test_a_view_that_is_quiet_keeps_the_feed_fresh(
    stage: ImportStage, mapping: Mapping, source: Source
) -> None:
    assert pull(stage, mapping, source) is None  # an empty view
    source.add(1, "12.30", "2026-11-20 06:00:00")
    pull(stage, mapping, source)
    runs = stage.states()
    for hours in (1, 2):
        stage.clock.move(timedelta(hours=hours))
        pull(stage, mapping, source)
        with stage.database.read() as session:
            state = feed_state(session, "balances")
        assert state is not None
        assert state.as_of == stage.clock.now()
    assert stage.states() == runs  # the same rows once more are no new run


def test_pages_with_one_cursor_value_lose_and_double_nothing(
    stage: ImportStage, mapping: Mapping, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_views, "_PAGE", 2)
    for number in range(1, 10):
        source.run("UPDATE b SET id = 0")  # the second cursor column tells nothing apart
        source.add(0, "1.00", f"2026-11-2{number // 8} 06:00:00", cons=number)
    report = pull(stage, mapping, source)
    assert report is not None
    assert (report.rows_read, report.rows_new) == (9, 9)


def test_a_row_that_changes_while_it_is_read_comes_once(
    stage: ImportStage, mapping: Mapping, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_views, "_PAGE", 2)
    for number in range(1, 6):
        source.add(number, "1.00", f"2026-11-20 0{number}:00:00")
    pages = sql_views._from
    changed: list[int] = []

    def meanwhile(*arguments: Any) -> Any:
        if not changed:
            changed.append(1)
            source.run("UPDATE b SET left_yuan = 2, measured = '2026-11-21 00:00:00' WHERE id = 1")
        return pages(*arguments)

    monkeypatch.setattr(sql_views, "_from", meanwhile)
    report = pull(stage, mapping, source)
    assert report is not None
    assert (report.rows_new, report.rows_rejected) == (5, 0)
    assert stored(stage)["1"] == "1.00"
    stage.clock.move(timedelta(hours=1))
    pull(stage, mapping, source)
    assert stored(stage)["1"] == "2.00"


def test_a_pull_that_was_cut_off_is_finished_from_its_snapshot(
    stage: ImportStage, mapping: Mapping, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise KilledError

    source.add(1, "12.30", "2026-11-20 06:00:00")
    with monkeypatch.context() as patch:
        patch.setattr(sql_views, "_advance", die)
        with pytest.raises(KilledError):
            pull(stage, mapping, source)
    assert cursor_position(stage.database, "own_balances") is None
    source.run("DELETE FROM b")
    report = pull(stage, mapping, source)
    assert report is not None
    assert report.is_resumed
    assert cursor_position(stage.database, "own_balances") == ("2026-11-20 06:00:00", 1)
    assert stored(stage) == {"1": "12.30"}
    assert not list((stage.data_dir / "imports" / "balances").glob(".pull-*/*"))


def test_a_refused_snapshot_does_not_move_the_cursor(
    stage: ImportStage, mapping: Mapping, source: Source
) -> None:
    for number in range(1, 21):
        source.add(number, "no money", "2026-11-20 06:00:00")
    report = pull(stage, mapping, source)
    assert report is not None
    assert report.problem
    assert cursor_position(stage.database, "own_balances") is None


def test_the_rows_are_read_by_key_and_not_all_at_once(
    stage: ImportStage, mapping: Mapping, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_views, "_PAGE", 2)
    for number in range(1, 6):
        source.add(number, "1.00", f"2026-11-20 0{number}:00:00")
    made = sql_views.create_engine
    statements: list[str] = []

    def watched(*arguments: Any, **options: Any) -> Any:
        engine = made(*arguments, **options)
        event.listen(
            engine,
            "before_cursor_execute",
            lambda c, cursor, statement, *rest: statements.append(statement),
        )
        return engine

    monkeypatch.setattr(sql_views, "create_engine", watched)
    pull(stage, mapping, source)
    read = [one for one in statements if "LIMIT" in one]
    assert len(read) >= 3
    assert all(re.search(r"ORDER BY .*measured, .*id", one) for one in read)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("no address", "bad_url"),
        ("strange://user:hunter2@host/db", "bad_url"),
        ("mysql+pymysql://user:hunter2@127.0.0.1:1/db", "source_unavailable"),
        ("sqlite:////nowhere/hunter2/x.db", "source_unavailable"),
    ],
)
def test_a_database_that_does_not_answer_is_named_without_its_password(
    stage: ImportStage, mapping: Mapping, url: str, code: str
) -> None:
    with pytest.raises((InputError, UpstreamError)) as caught:
        pull_view(stage.place, mapping, url, "王工")
    assert caught.value.code == code
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None or "hunter2" not in str(caught.value.__cause__)


def test_a_mapping_without_a_view_is_refused(stage: ImportStage) -> None:
    with pytest.raises(InputError, match="no_view"):
        pull_view(stage.place, load_mapping("sg186_bills"), "sqlite://", "王工")


def test_cursor_values_keep_their_types() -> None:
    position = (datetime(2026, 11, 20, 6, tzinfo=UTC), date(2026, 11, 1), Decimal("1.50"), 7, "a")
    assert from_json(to_json(position)) == position
