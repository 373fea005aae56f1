"""Imports of files: once, whole or not at all, and on from where they were cut off."""

from __future__ import annotations

import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gongdian.arrears.tables import cases
from gongdian.audit import audit_rows
from gongdian.billing.tables import bills, payments
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import ConflictError, InputError
from gongdian.feeds import feed_state
from gongdian.sources import loading, runs
from gongdian.sources.model import RunState
from gongdian.sources.turns import import_turn
from tests.import_stage import KNOWN, ImportStage
from tests.unit.sources.feed_files import BALANCE, CUSTOMER, PAYMENT, rows_of


@pytest.fixture
def stage(database: Database, clock: MovableClock, tmp_path: Path) -> ImportStage:
    made = ImportStage(database, clock, tmp_path)
    made.customers()
    return made


class KilledError(Exception):
    """Stands for kill -9: nothing of ours catches it."""


def kill_in_batch(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The process dies in a batch, after its rows were written and before the commit."""
    note, calls = loading.note_loaded, []

    def dying(*arguments: Any) -> None:
        calls.append(1)
        note(*arguments)
        if len(calls) == number:
            raise KilledError

    monkeypatch.setattr(loading, "note_loaded", dying)


def test_rows_know_their_run_and_row_and_open_a_case(stage: ImportStage) -> None:
    _, report = stage.bills(count=3)
    assert (report.state, report.rows_read, report.rows_new) == (RunState.DONE, 3, 3)
    assert stage.bills_in() == [
        ("9900000000001", report.run_id, 2),
        ("9900000000002", report.run_id, 3),
        ("9900000000003", report.run_id, 4),
    ]
    with stage.database.read() as session:
        case = session.execute(select(cases)).one()
    assert (case.customer_no, case.bill_count, str(case.principal)) == (KNOWN, 3, "361.50")


def test_the_same_file_is_one_run_whatever_its_name(stage: ImportStage) -> None:
    path, first = stage.bills()
    again = stage.load("bills", path)
    renamed = stage.load("bills", path.rename(path.with_name("other.csv")))
    for one in (again, renamed):
        assert one.is_repeat
        assert (one.run_id, one.rows_new) == (first.run_id, 5)
        assert "没有重复导入" in one.notices[0]
    assert stage.count(bills) == 5
    assert stage.states() == ["done"]


def test_the_raw_file_is_kept_as_it_came_and_read_only(stage: ImportStage) -> None:
    path, report = stage.bills(name="应收 2026/../11.csv".replace("/", "_"))
    kept = stage.data_dir / "imports" / report.kept_as
    assert kept.read_bytes() == path.read_bytes()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o444
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert kept.parent == stage.data_dir / "imports" / "bills"
    assert kept.name.startswith(f"{report.run_id}-")
    assert kept.suffix == ".csv"
    # nothing else is left
    assert [one.name for one in kept.parent.iterdir()] == [kept.name]


def test_a_run_killed_while_loading_goes_on_where_it_stopped(
    stage: ImportStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stage.file("bills_20261105.csv", "bills", rows_of("bills", 7, 应收电费="1.00"))
    with monkeypatch.context() as patch:
        kill_in_batch(patch, 2)
        with pytest.raises(KilledError):
            stage.load("bills", path)
    assert stage.states()[-1] == "loading"
    assert stage.count(bills) == 2  # the first batch; the second was rolled back
    with stage.database.read() as session:
        assert feed_state(session, "bills") is None  # not complete, not fresh
    report = stage.load("bills", path)
    assert report.is_resumed
    assert not report.is_repeat
    assert (report.state, report.rows_new, report.rows_same) == (RunState.DONE, 6, 0)
    assert len(stage.bills_in()) == 6
    assert stage.rejects(report.run_id) == [(8, "应收电费", "fees_differ", False)]
    assert stage.states() == ["done"]


def test_what_was_checked_is_what_goes_in_though_customers_came_meanwhile(
    stage: ImportStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of("bills", 6)
    rows[1]["户号"] = "9900000000002"  # not known yet
    path = stage.file("bills_20261105.csv", "bills", rows)
    with monkeypatch.context() as patch:
        kill_in_batch(patch, 2)
        with pytest.raises(KilledError):
            stage.load("bills", path)
    stage.customers(2)
    report = stage.load("bills", path)
    assert (report.rows_new, report.rows_rejected) == (5, 1)
    assert stage.rejects(report.run_id) == [(3, "户号", "unknown_customer", False)]
    assert [row_no for _, _, row_no in stage.bills_in()] == [2, 4, 5, 6, 7]


def test_a_run_whose_checked_rows_are_gone_starts_again_and_doubles_nothing(
    stage: ImportStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stage.file("bills_20261105.csv", "bills", rows_of("bills", 5))
    with monkeypatch.context() as patch:
        kill_in_batch(patch, 2)
        with pytest.raises(KilledError):
            stage.load("bills", path)
    next(stage.data_dir.glob("imports/bills/.work-*/good.parquet")).unlink()
    report = stage.load("bills", path)
    assert (report.rows_new, report.rows_same) == (3, 2)
    assert stage.count(bills) == 5


def test_a_run_killed_while_checking_starts_again(
    stage: ImportStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stage.file("bills_20261105.csv", "bills", rows_of("bills", 5, 应收电费="1.00"))

    def die(*_: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(loading, "keep_good", die)
        with pytest.raises(KilledError):
            stage.load("bills", path)
    assert stage.states()[-1] == "checking"
    report = stage.load("bills", path)
    assert report.is_resumed
    assert (report.rows_new, report.rows_rejected) == (4, 1)
    assert len(stage.rejects(report.run_id)) == 1  # not those of both tries


def test_a_broken_file_changes_nothing_and_is_kept(stage: ImportStage) -> None:
    before = [stage.count(one) for one in (bills, payments, cases)]
    path = stage.file("bills_20261105.csv", "bills", rows_of("bills", 5))
    path.write_bytes(path.read_bytes()[:-20])  # cut off within the last row
    report = stage.load("bills", path)
    assert report.state is RunState.REFUSED
    assert "截断" in report.problem
    assert [stage.count(one) for one in (bills, payments, cases)] == before
    with stage.database.read() as session:
        assert feed_state(session, "bills") is None
        actions = list(session.scalars(select(audit_rows.c.action)))
    assert actions[-2:] == ["sources:run:started", "sources:run:refused"]
    assert (stage.data_dir / "imports" / report.kept_as).read_bytes() == path.read_bytes()
    again = stage.load("bills", path)  # a refusal is not for ever
    assert again.run_id != report.run_id
    assert not again.is_repeat


def test_a_feed_is_fresh_when_its_file_is_in_and_by_the_mappings_period(
    stage: ImportStage,
) -> None:
    stage.bills()
    with stage.database.read() as session:
        state = feed_state(session, "bills")
    assert state is not None
    assert state.as_of == datetime(2026, 11, 5, 16, 0, tzinfo=UTC)  # the end of that day in China
    assert (state.period, state.grace) == (timedelta(days=35), timedelta(days=3))


def test_a_file_of_mostly_bad_rows_is_no_fresh_feed(stage: ImportStage) -> None:
    rows = rows_of("bills", 3)
    for row in rows[:2]:
        row["户号"] = "9900000009999"
    report = stage.load("bills", stage.file("bills_20261105.csv", "bills", rows))
    assert report.rows_rejected in (2, 0)
    if report.state is RunState.DONE:
        assert "不更新数据时效" in report.notices[-1]
    with stage.database.read() as session:
        assert feed_state(session, "bills") is None


def test_last_months_bills_fill_gaps_and_overwrite_nothing(stage: ImportStage) -> None:
    stage.bills("bills_20261105.csv", 3)
    older = rows_of("bills", 4, 应收编号="YS0")
    older[0] |= {"应收电费": "121.50", "购电费": "101.00"}  # the same version, another amount
    path = stage.file("bills_20261006.csv", "bills", older)
    report = stage.load("bills", path)
    assert (report.rows_new, report.rows_changed, report.rows_same) == (1, 0, 3)
    assert "早于已导入的2026-11-06 00:00" in report.notices[0]
    with stage.database.read() as session:
        amounts = dict(tuple(r) for r in session.execute(select(bills.c.bill_no, bills.c.amount)))
        state = feed_state(session, "bills")
    assert str(amounts["9900000000001"]) == "120.50"
    assert "YS0" in amounts
    assert state is not None
    assert state.as_of == datetime(2026, 11, 5, 16, 0, tzinfo=UTC)


def test_a_newer_version_stays_current_when_the_lower_one_comes_late(stage: ImportStage) -> None:
    rows = rows_of("bills", 1, 版本="2", 账单类型="冲红", 应收电费="0")
    stage.load("bills", stage.file("bills_20261120.csv", "bills", rows))
    stage.bills("bills_20261121.csv", 1)
    with stage.database.read() as session:
        found = session.execute(select(bills.c.version, bills.c.is_current, bills.c.is_open))
        assert sorted(tuple(row) for row in found) == [(1, False, False), (2, True, False)]


def test_an_older_file_of_customers_is_refused_unless_forced(stage: ImportStage) -> None:
    stage.load("customers", stage.file("customers_20261101.csv", "customers", [CUSTOMER]))
    old = stage.file("customers_20261001.csv", "customers", [dict(CUSTOMER, 供电单位="旧所")])
    report = stage.load("customers", old)
    assert report.state is RunState.REFUSED
    assert "旧档案不能覆盖新档案" in report.problem
    forced = stage.load("customers", old, force=True)
    assert (forced.state, forced.rows_changed) == (RunState.DONE, 1)
    with stage.database.read() as session:
        state = feed_state(session, "customers")
    assert state is not None
    assert state.as_of == datetime(2026, 11, 1, 16, 0, tzinfo=UTC)  # not set back


def test_a_payment_of_yesterdays_file_does_not_take_back_todays(stage: ImportStage) -> None:
    stage.bills(count=1)
    booked = dict(PAYMENT, 应收编号="9900000000001")
    stage.load("payments", stage.file("payments_20261122.csv", "payments", [booked]))
    flying = dict(booked, 状态="在途")
    late = stage.load("payments", stage.file("payments_20261121.csv", "payments", [flying]))
    assert (late.rows_changed, late.rows_same) == (0, 1)
    with stage.database.read() as session:
        assert session.execute(select(payments.c.state)).scalar_one() == "booked"
        assert session.execute(select(cases.c.state)).scalar_one() == "closed"
        assert session.execute(select(bills.c.is_open)).scalar_one() is False


def test_a_new_holder_closes_the_case_of_the_former_one(stage: ImportStage) -> None:
    stage.bills(count=1)
    other = dict(CUSTOMER, 客户编号="P2", 户名="云溪新主有限公司")
    stage.load("customers", stage.file("customers_20261110.csv", "customers", [other]))
    with stage.database.read() as session:
        query = select(cases.c.holder, cases.c.state).order_by(cases.c.id)
        assert [tuple(row) for row in session.execute(query)] == [(1, "closed"), (2, "open")]


def test_balances_come_in(stage: ImportStage) -> None:
    prepaid = stage.file("customers_20261111.csv", "customers", [dict(CUSTOMER, 费控标志="是")])
    stage.load("customers", prepaid)
    report = stage.load("balances", stage.file("balances_20261120.csv", "balances", [BALANCE]))
    assert report.rows_new == 1


@pytest.mark.parametrize(
    ("name", "as_of"),
    [
        ("bills_20261125.csv", None),
        ("bills_20261105.csv", datetime(2026, 11, 23, 2, 11, tzinfo=UTC)),
    ],
)
def test_facts_of_the_future_are_refused(
    stage: ImportStage, name: str, as_of: datetime | None
) -> None:
    path = stage.file(name, "bills", rows_of("bills", 1))
    report = stage.load("bills", path, as_of=as_of)
    assert report.state is RunState.REFUSED
    assert "在未来" in report.problem
    assert stage.count(bills) == 0


def test_todays_file_tells_up_to_now_and_a_clock_may_be_minutes_ahead(stage: ImportStage) -> None:
    _, today = stage.bills("bills_20261123.csv", 1)
    assert today.as_of == stage.clock.now()
    ahead = stage.clock.now() + timedelta(minutes=9)
    path = stage.file("more.csv", "bills", rows_of("bills", 2))
    assert stage.load("bills", path, as_of=ahead).as_of == stage.clock.now()


def test_a_file_that_does_not_say_its_time_asks_for_it(stage: ImportStage) -> None:
    path = stage.file("customers.csv", "customers", [dict(CUSTOMER, 供电单位="新所")])
    report = stage.load("customers", path)
    assert report.state is RunState.REFUSED
    assert "--as-of" in report.problem
    told = stage.load("customers", path, as_of=stage.clock.now() - timedelta(hours=1))
    assert told.state is RunState.DONE


def test_of_two_imports_at_once_one_wins(stage: ImportStage) -> None:
    path = stage.file("bills_20261105.csv", "bills", rows_of("bills", 5))
    reports: list[Any] = []
    entered, go_on = threading.Event(), threading.Event()

    def slowly(done: int, total: int | None, phase: str) -> None:
        entered.set()
        assert go_on.wait(20)

    thread = threading.Thread(
        target=lambda: reports.append(stage.load("bills", path, progress=slowly))
    )
    thread.start()
    try:
        assert entered.wait(20)
        with pytest.raises(ConflictError, match="import_running"):
            stage.load("bills", path)
    finally:
        go_on.set()
        thread.join()
    assert reports[0].state is RunState.DONE
    assert stage.count(bills) == 5
    assert stage.load("bills", path).is_repeat


def test_who_waits_gets_the_turn_when_it_is_free(stage: ImportStage) -> None:
    path = stage.file("bills_20261105.csv", "bills", rows_of("bills", 1))
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with import_turn(stage.database, stage.data_dir):
            held.set()
            done.wait(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(20)
    assert stage.load("bills", path, patience_s=20.0).rows_new == 1
    thread.join()


def test_what_shall_be_done_with_the_run_is_done_in_its_last_transaction(
    stage: ImportStage,
) -> None:
    path = stage.file("bills_20261105.csv", "bills", rows_of("bills", 1))

    def fail(*_: Any) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        stage.load("bills", path, then=fail)
    assert stage.states()[-1] == "loading"
    assert stage.load("bills", path).state is RunState.DONE


def test_a_file_that_cannot_be_read_leaves_no_run(stage: ImportStage) -> None:
    before = stage.states()
    with pytest.raises(InputError, match="no_such_file"):
        stage.load("bills", stage.inbox / "nothing.csv")
    with pytest.raises(InputError, match="not_a_file"):
        stage.load("bills", stage.inbox)
    assert stage.states() == before
    assert not list((stage.data_dir / "imports" / "bills").glob(".arriving*"))


def test_a_mapping_that_changed_is_another_run(stage: ImportStage, tmp_path: Path) -> None:
    path, first = stage.bills(count=2)
    shipped = Path(runs.__file__).parent / "mappings" / "sg186_bills.toml"
    own = tmp_path / "own_bills.toml"
    own.write_text(shipped.read_text("utf-8") + "\n# ours\n", "utf-8")
    report = runs.import_file(stage.place, path, own, "王工")
    assert report.run_id != first.run_id
    assert (report.rows_new, report.rows_same) == (0, 2)
