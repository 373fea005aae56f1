"""Imports on the command line: what clerks see, the exit status, what the audit keeps."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text

from gongdian.audit import audit_rows
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.local_keys import with_local_keys
from gongdian.migrations.upgrade import upgrade_database
from gongdian.privacy import DataKeys, install_keys
from gongdian.settings import Settings
from gongdian.sources import sql_views
from gongdian.sources.turns import import_turn
from gongdian.wiring import build_house
from server import source_commands
from server.arguments import build_parser
from server.source_progress import ProgressLine
from tests.conftest import MORNING
from tests.flows.test_command_line import Place
from tests.unit.sources.feed_files import CUSTOMER, rows_of, write_csv

Run = Callable[..., str]


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(MORNING, running=False)


@pytest.fixture
def place(tmp_path: Path, clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> Place:
    settings = with_local_keys(Settings(data_dir=str(tmp_path / "var")))
    install_keys(DataKeys(settings.data_key, settings.index_key))
    database = Database(settings.database)
    upgrade_database(database)
    monkeypatch.setattr(source_commands, "build_house", lambda given: build_house(given, clock))
    return Place(tmp_path, database, settings)


@pytest.fixture
def run(place: Place, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``source …``; returns what it prints, on both streams."""

    def command(*words: str, returns: int = 0) -> str:
        options = build_parser().parse_args(["source", *words])
        status = options.work(place.settings, options)
        printed = capsys.readouterr()
        assert status == returns, printed
        return printed.out + printed.err

    return command


@pytest.fixture
def customers(place: Place, run: Run) -> None:
    path = write_csv(place.folder / "customers_20261101.csv", "customers", [CUSTOMER])
    run("import", "customers", str(path), "--by", "王工")


def bills(place: Place, name: str = "bills_20261105.csv", **changes: str) -> str:
    return str(write_csv(place.folder / name, "bills", rows_of("bills", 3, **changes)))


def test_a_file_comes_in_and_its_run_can_be_looked_at(
    place: Place, run: Run, customers: None
) -> None:
    told = run("import", "bills", bills(place), "--by", "王工")
    assert "批次2\t完成\t电费账单（sg186_bills）\tbills_20261105.csv" in told
    assert "数据截至 2026-11-06 00:00" in told
    assert "读取3行：新增3，更新0，不变0，拒收0" in told
    assert "入库中…" in told  # no terminal: a line a phase
    listed = run("runs")
    assert listed.splitlines()[0].startswith("2\t2026-11-23 10:00\t完成\t电费账单\t")
    assert "customers_20261101.csv" in listed.splitlines()[1]
    assert run("runs", "--feed", "payments") == "没有导入过\n"
    shown = run("show", "2")
    assert "imports/bills/2-" in shown
    assert "导入人 王工" in shown
    again = run("import", "bills", bills(place), "--by", "王工")
    assert "没有重复导入" in again


def test_rejects_are_told_by_file_row_column_value_and_reason(
    place: Place, run: Run, customers: None
) -> None:
    told = run("import", "bills", bills(place, 应收电费="12.345"), "--by", "王工", returns=3)
    assert "bills_20261105.csv\t第4行\t应收电费：金额有不足一分的小数（值“12.345”）" in told
    assert "--corrects 2" in told


def test_values_of_personal_columns_are_not_shown(place: Place, run: Run) -> None:
    bad = [dict(CUSTOMER, 户号="9900000000002", 户名="张三丰\ufffd"), CUSTOMER]
    path = write_csv(place.folder / "customers_20261101.csv", "customers", bad)
    told = run("import", "customers", str(path), "--by", "王工", returns=3)
    assert "户名：" in told
    assert "张三丰" not in told
    assert "张三丰" not in run("show", "1")


def test_rejects_go_out_are_corrected_and_come_back(
    place: Place, run: Run, customers: None
) -> None:
    run("import", "bills", bills(place, 应收电费="12.345"), "--by", "王工", returns=3)
    out = place.folder / "out.csv"
    assert "已导出1行" in run("rejects", "2", "--out", str(out), "--by", "李班长")
    assert "没有覆盖" in run("rejects", "2", "--out", str(out), "--by", "李", returns=1)
    fixed = out.read_text("utf-8-sig").replace("12.345", "120.50")
    out.write_text(fixed, "utf-8-sig")
    told = run("import", "bills", str(out), "--corrects", "2", "--by", "李班长")
    assert "新增1" in told
    assert "已更正1" in run("show", "2")
    with place.database.read() as session:
        actions = select(audit_rows.c.actor, audit_rows.c.action).order_by(audit_rows.c.id)
        found = [tuple(row) for row in session.execute(actions)]
    assert ("李班长", "sources:rejects:exported") in found
    assert found[-1] == ("李班长", "sources:run:done")


def test_a_broken_file_is_refused_with_its_reason(place: Place, run: Run, customers: None) -> None:
    path = place.folder / "bills_20261105.csv"
    path.write_bytes("户号,金额\n1,2\n".encode())
    told = run("import", "bills", str(path), "--by", "王工", returns=1)
    assert "没有导入任何数据：缺少列：" in told
    assert "批次2\t拒绝" in told


@pytest.mark.parametrize(
    ("words", "text_"),
    [
        (("import", "bills", "nowhere.csv", "--by", "王工"), "文件不存在：nowhere.csv"),
        (("import", "strange", "x.csv", "--by", "王工"), "没有这个映射：strange；自带的有 sg186_"),
        (("show", "9"), "没有这个导入批次：9"),
        (("rejects", "9", "--out", "x.csv", "--by", "王工"), "没有这个导入批次：9"),
        (("pull", "bills", "--url-from", "NO_SUCH_NAME", "--by", "王工"), "环境变量 NO_SUCH_NAME"),
    ],
)
def test_what_cannot_be_done_is_said_in_chinese(
    run: Run, words: tuple[str, ...], text_: str
) -> None:
    assert f"未完成：{text_}" in run(*words, returns=1)


def test_a_mapping_file_that_is_wrong_is_named_with_its_key(place: Place, run: Run) -> None:
    path = place.folder / "own.toml"
    path.write_text('feed = "bills"\ntitle = "x"\n', "utf-8")
    told = run("import", str(path), bills(place), "--by", "王工", returns=1)
    assert "映射文件有误：own.toml columns" in told


def test_without_the_newest_tables_the_answer_is_to_migrate(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'gongdian.db'}")
    answer = Place(tmp_path, database, Settings()).run("source", "runs")
    assert answer.returncode == 1
    assert "server migrate" in answer.stderr


def test_a_day_counts_to_its_end_and_today_to_now(
    place: Place, run: Run, customers: None, clock: MovableClock
) -> None:
    yesterday = run("import", "bills", bills(place), "--by", "王工", "--as-of", "2026-11-22")
    assert "数据截至 2026-11-23 00:00" in yesterday
    path = bills(place, "more.csv", 应收编号="YS9")
    assert "数据截至 2026-11-23 10:00" in run(
        "import", "bills", path, "--by", "王工", "--as-of", "2026-11-23"
    )
    path = bills(place, "most.csv", 应收编号="YS10")
    told = run("import", "bills", path, "--by", "王工", "--as-of", "2026-11-24", returns=1)
    assert "在未来" in told
    with pytest.raises(SystemExit):
        run("import", "bills", path, "--by", "王工", "--as-of", "tomorrow")


def test_while_another_import_runs_this_one_says_so(place: Place, run: Run) -> None:
    path = bills(place)
    with import_turn(place.database, Path(place.settings.data_dir)):
        told = run("import", "bills", path, "--by", "王工", returns=1)
    assert "另一个导入正在进行" in told


def test_feeds_tell_how_fresh_they_are(
    place: Place, run: Run, customers: None, clock: MovableClock
) -> None:
    lines = run("feeds").splitlines()
    assert lines[0].startswith("客户档案\t正常\t截至2026-11-02 00:00")
    assert lines[2] == "电费账单\t过期"  # there are customers, and no bills ever came
    assert lines[4] == "费控余额\t未导入"
    clock.move(timedelta(days=15))
    assert run("feeds").startswith("客户档案\t迟到（宽限期内）")
    clock.move(timedelta(days=3))
    assert run("feeds").startswith("客户档案\t过期")


def test_a_view_is_pulled_by_an_address_that_is_never_shown(
    place: Place, run: Run, customers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{place.folder / 'sg186.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE v (cons TEXT, yuan TEXT, at TEXT)"))
        connection.execute(text("INSERT INTO v VALUES ('9900000000001', '5', '2026-11-20 06:00')"))
    engine.dispose()
    shipped = Path(sql_views.__file__).parent / "mappings" / "sg186_balances.toml"
    view = (
        '\n[sql]\nview = "v"\ncursor = ["at"]\n[sql.columns]\n'
        '"户号" = "cons"\n"可用余额" = "yuan"\n"测算时间" = "at"\n'
    )
    own = place.folder / "own_balances.toml"
    own.write_text(shipped.read_text("utf-8") + view, "utf-8")
    monkeypatch.setenv("SG186_URL", url)
    told = run("pull", str(own), "--url-from", "SG186_URL", "--by", "王工")
    assert "新增1" in told
    assert "sg186.db" not in told
    monkeypatch.setenv("SG186_URL", "mysql+pymysql://u:hunter2@127.0.0.1:1/x")
    told = run("pull", str(own), "--url-from", "SG186_URL", "--by", "王工", returns=1)
    assert "来源数据库不能读取" in told
    assert "hunter2" not in told


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_and_is_left_clean() -> None:
    stream = Terminal()
    line = ProgressLine(stream)
    line(0, None, "reading")
    line(500, 1000, "loading")
    line(1000, 1000, "loading")
    line.close()
    shown = stream.getvalue().split("\r")
    assert any("入库 [###############...............]  50% 500 行" in one for one in shown)
    assert "100% 1,000 行" in stream.getvalue()
    assert shown[-1] == ""
    assert shown[-2].strip() == ""
