"""Commands about imports (数据导入命令): import a file, pull a view, look at runs, export rejects.

Exit status: 0 done, 3 done with rejected rows, 1 refused.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from gongdian.clock import CHINA, china_date, china_text
from gongdian.db import Session
from gongdian.errors import ConfigError, GongdianError, InputError
from gongdian.settings import Settings
from gongdian.sources.freshness import HEALTH_LABELS, FeedHealth, feed_health
from gongdian.sources.mapping import Mapping, load_mapping
from gongdian.sources.model import FEED_LABELS, RUN_LABELS, RunReport, RunState
from gongdian.sources.reject_files import export_rejects
from gongdian.sources.rejects import Reject, count_reasons, list_rejects
from gongdian.sources.run_rows import latest_runs, run_by_id
from gongdian.sources.runs import Importing, import_file
from gongdian.sources.sql_views import pull_view
from gongdian.wiring import House, build_house
from server.source_progress import ProgressLine

DONE, REFUSED, WITH_REJECTS = 0, 1, 3
_SHOWN_REJECTS = 10
# Their values stay in the export, which is audited.
_PERSONAL = frozenset({"name", "address", "phone", "mail"})

Work = Callable[[Settings, argparse.Namespace], int]


def _told(work: Work) -> Work:
    """The same command; what it is refused is told in Chinese."""

    @wraps(work)
    def telling(settings: Settings, options: argparse.Namespace) -> int:
        try:
            return work(settings, options)
        except GongdianError as error:
            if isinstance(error, ConfigError) and "mapping" not in error.code:
                raise
            print(f"未完成：{_refusal(error)} [{error.code}]", file=sys.stderr)
        except DBAPIError as error:  # MariaDB's "no such table" is a programming error to it
            print(f"未完成：{_database_text(str(error.orig))}", file=sys.stderr)
        return REFUSED

    return telling


def _refusal(error: GongdianError) -> str:
    context = error.context
    if "problem" in context:
        return str(context["problem"])
    if error.code == "unknown_mapping":
        return f"没有这个映射：{context['name']}；自带的有 {context['shipped']}"
    if error.code in ("bad_mapping", "mapping_unreadable"):
        return f"映射文件有误：{context.get('file')} {context.get('key', '')}：{error.text}"
    if error.code == "database_unavailable":
        return _database_text(error.text)
    if error.code == "source_unavailable":
        return f"来源数据库不能读取：{error.text}"
    return error.text


def _database_text(text: str) -> str:
    if "no such table" in text or "doesn't exist" in text:
        return "数据库结构不是最新，请先执行 python -m server migrate"
    return f"数据库不可用：{text}"


@contextmanager
def _opened(settings: Settings) -> Iterator[House]:
    house = build_house(settings)
    try:
        yield house
    finally:
        house.close()


@contextmanager
def _watched() -> Iterator[ProgressLine]:
    line = ProgressLine()
    try:
        yield line
    finally:
        line.close()


def _importing(house: House, wait_s: float) -> Importing:
    folder = Path(house.settings.data_dir)
    return Importing(house.database, house.clock, folder, patience_s=wait_s)


def _mapping(given: str) -> Mapping:
    """A feed stands for the shipped mapping of SG186."""
    return load_mapping(f"sg186_{given}" if given in FEED_LABELS else given)


@_told
def import_one(settings: Settings, options: argparse.Namespace) -> int:
    """Import a file."""
    mapping = _mapping(options.mapping)
    with _opened(settings) as house:
        with _watched() as line:
            report = import_file(
                _importing(house, options.wait),
                Path(options.file),
                mapping,
                options.by,
                as_of=_as_of(options.as_of, house.clock.now()),
                corrects_run=options.corrects,
                force=options.force,
                progress=line,
            )
        return _tell(house, report, mapping)


def _as_of(given: date | None, now: datetime) -> datetime | None:
    """A day counts to its end, today to now."""
    if given is None or isinstance(given, datetime):
        return given
    end = datetime(given.year, given.month, given.day, tzinfo=CHINA).astimezone(UTC)
    end += timedelta(days=1)
    return min(end, now) if given <= china_date(now) else end


@_told
def pull(settings: Settings, options: argparse.Namespace) -> int:
    """Read what is new in a view of another database, and import it."""
    mapping = _mapping(options.mapping)
    # The operator names the variable; it is no setting of ours, and its value is never shown.
    url = os.environ.get(options.url_from, "")  # noqa: TID251
    if not url:
        raise InputError("no_url", f"环境变量 {options.url_from} 没有值，应为数据库地址")
    with _opened(settings) as house:
        with _watched() as line:
            place = _importing(house, options.wait)
            report = pull_view(place, mapping, url, options.by, progress=line)
        if report is None:
            print("视图里没有数据")
            return DONE
        return _tell(house, report, mapping)


def _tell(house: House, report: RunReport, mapping: Mapping) -> int:
    if report.is_resumed:
        print("上一次导入没有完成，已接着导入")
    with house.database.read() as session:
        _print_report(session, report, mapping)
    if report.state is RunState.REFUSED:
        return REFUSED
    return WITH_REJECTS if report.rows_rejected else DONE


def _print_report(session: Session, report: RunReport, mapping: Mapping | None) -> None:
    print(
        f"批次{report.run_id}\t{RUN_LABELS[report.state]}\t{FEED_LABELS[report.feed]}"
        f"（{report.source}）\t{report.file_name}"
    )
    if report.state is RunState.REFUSED:
        print(f"没有导入任何数据：{report.problem}")
        return
    if report.state is not RunState.DONE:
        print("没有完成；再次导入同一个文件即可继续")
    print(f"数据截至 {china_text(report.as_of)}")
    print(
        f"读取{report.rows_read}行：新增{report.rows_new}，更新{report.rows_changed}，"
        f"不变{report.rows_same}，拒收{report.rows_rejected}"
    )
    for notice in report.notices:
        print(f"注意：{notice}")
    if report.rows_rejected:
        _print_rejects(session, report, mapping)


def _print_rejects(session: Session, report: RunReport, mapping: Mapping | None) -> None:
    waiting = 0
    for one in count_reasons(session, report.run_id):
        waiting += one.rows - one.corrected
        done = f"，已更正{one.corrected}" if one.corrected else ""
        print(f"拒收\t{one.rows}行{done}\t{one.message}")
    if not waiting:
        return
    found = list_rejects(session, report.run_id, most=_SHOWN_REJECTS, with_corrected=False)
    for reject in found:
        print(f"{report.file_name}\t{_reject_text(reject, mapping)}")
    if waiting > len(found):
        print("……其余请导出查看")
    print(f"导出更正：python -m server source rejects {report.run_id} --out 文件.xlsx --by 姓名")
    print(
        f"更正后导入：python -m server source import {report.feed} 文件.xlsx "
        f"--corrects {report.run_id} --by 姓名"
    )


def _reject_text(reject: Reject, mapping: Mapping | None) -> str:
    fields = {one.heading: one.field for one in mapping.columns} if mapping is not None else {}
    parts = []
    for fault in reject.faults:
        value = str(reject.values.get(fault.column, ""))
        is_open = fields.get(fault.column, "name") not in _PERSONAL
        shown = f"（值“{value[:40]}”）" if is_open and value else ""
        parts.append(f"{fault.message}{shown}")
    return f"第{reject.row_no}行\t{'；'.join(parts)}"


@_told
def list_runs(settings: Settings, options: argparse.Namespace) -> int:
    """Print the latest runs."""
    with _opened(settings) as house, house.database.read() as session:
        found = latest_runs(session, options.most, options.feed)
    for one in found:
        counts = (
            f"读取{one.rows_read} 新增{one.rows_new} 更新{one.rows_changed} "
            f"不变{one.rows_same} 拒收{one.rows_rejected}"
        )
        print(
            f"{one.run_id}\t{china_text(one.started_at)}\t{RUN_LABELS[one.state]}\t"
            f"{FEED_LABELS[one.feed]}\t{one.file_name}\t{counts}\t{one.started_by}"
        )
    if not found:
        print("没有导入过")
    return DONE


@_told
def show(settings: Settings, options: argparse.Namespace) -> int:
    """Print one run with its reasons and first rejects."""
    with _opened(settings) as house, house.database.read() as session:
        report = run_by_id(session, options.run)
        _print_report(session, report, _mapping_of(report))
        print(f"原始文件 {settings.data_dir}/imports/{report.kept_as}")
        print(f"导入人 {report.started_by}，开始于 {china_text(report.started_at)}")
    return DONE


def _mapping_of(report: RunReport) -> Mapping | None:
    """The shipped mapping of a run; None when it was a file of its own."""
    try:
        return load_mapping(report.source)
    except GongdianError:
        return None


@_told
def export(settings: Settings, options: argparse.Namespace) -> int:
    """Write the rejects of a run to a file; who did is in the audit."""
    with _opened(settings) as house:
        path = Path(options.out)
        now = house.clock.now()
        rows = export_rejects(house.database, options.run, path, options.by, now)
    print(f"已导出{rows}行到 {options.out}；文件含个人信息，用后请删除")
    return DONE


@_told
def list_feeds(settings: Settings, options: argparse.Namespace) -> int:
    """Print how fresh each feed is."""
    with _opened(settings) as house, house.database.read() as session:
        found = feed_health(session, house.clock.now())
    for one in found:
        print("\t".join((FEED_LABELS[one.feed], HEALTH_LABELS[one.health], *_times(one))))
    return DONE


def _times(one: FeedHealth) -> Iterator[str]:
    if one.known is None or one.expected_at is None or one.stale_at is None:
        return
    yield f"截至{china_text(one.known.as_of)}"
    yield f"应在{china_text(one.expected_at)}前更新"
    yield f"{china_text(one.stale_at)}起停发"
    yield f"批次{one.known.run_id}"
