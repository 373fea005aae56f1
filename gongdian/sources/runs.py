"""Imports (数据导入): a file goes in once, whole or not at all, and goes on after a kill.

The command line, the worker and the demo call ``import_file``. The order: keep the file, check it,
store its rejects, load its good rows batch by batch, note that the feed is fresh. Every step may
be repeated; what is done is read from the run's row.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from gongdian.clock import Clock, china_text
from gongdian.db import Database, Session
from gongdian.errors import ConfigError, ConflictError, InputError
from gongdian.feeds import FeedState, feed_state, note_feed
from gongdian.sources import kept_files, loading, rejects, run_rows
from gongdian.sources.checking import check_file
from gongdian.sources.checks import Checked
from gongdian.sources.corrections import corrected_rows, mapping_of_corrections
from gongdian.sources.known_facts import known_facts
from gongdian.sources.mapping import Mapping, load_mapping
from gongdian.sources.model import CLOCK_SKEW, FEED_LABELS, RunReport, RunState
from gongdian.sources.progress import Progress, no_progress
from gongdian.sources.turns import import_turn

# The rest of what a file says replaces what is known, so an older one would take it back.
_STATE_FEEDS = ("customers", "contacts")
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Importing:
    """What imports work with; ``patience_s`` is how long one waits for another to end."""

    database: Database
    clock: Clock
    data_dir: Path
    batch: int = 2_500  # some 150 ms a transaction: callbacks wait for no more on SQLite
    patience_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is asked besides the file: see ``import_file``."""

    by: str
    as_of: datetime | None = None
    corrects_run: int | None = None
    force: bool = False
    then: Callable[[Session, datetime], None] | None = None


@dataclass(frozen=True, slots=True)
class _Job:
    """One run at work."""

    place: Importing
    mapping: Mapping
    wish: _Wish
    run_id: int
    file_name: str
    kept: Path
    work: Path
    progress: Progress


def import_file(
    place: Importing,
    path: Path,
    mapping: str | Path | Mapping,
    by: str,
    *,
    as_of: datetime | None = None,
    corrects_run: int | None = None,
    force: bool = False,
    then: Callable[[Session, datetime], None] | None = None,
    progress: Progress = no_progress,
) -> RunReport:
    """Import a file by a mapping (its name or path); the report of its run.

    The same file with the same mapping is one run: ``is_repeat`` says that it was in already,
    ``is_resumed`` that an earlier try had been cut off. A file that is refused gives a report in
    state refused with its Chinese ``problem``; nothing but the kept file and its run is left.
    ``as_of`` is up to when the file tells, if the mapping's rule shall not say it.
    ``corrects_run`` names the run whose exported rejects this file brings back. ``force`` lets an
    older file of customers or contacts in. ``then`` is done in the transaction that ends the run.

    ConflictError ``import_running`` while another import runs; InputError for a file that cannot
    be read, an unknown mapping, a run that cannot be corrected; ConfigError for a bad mapping.
    """
    chosen = mapping if isinstance(mapping, Mapping) else load_mapping(mapping)
    wish = _Wish(by, as_of, corrects_run, force, then)
    with import_turn(place.database, place.data_dir, place.patience_s):
        if corrects_run is not None:
            _check_corrected_run(place, chosen, corrects_run)
        arrived = kept_files.take_file(place.data_dir, chosen.feed, path)
        try:
            return _import(place, chosen, wish, arrived, progress)
        finally:
            kept_files.forget_draft(arrived)


def _check_corrected_run(place: Importing, mapping: Mapping, corrects_run: int) -> None:
    with place.database.read() as session:
        corrected = run_rows.run_by_id(session, corrects_run)
    if corrected.feed != mapping.feed or corrected.state is not RunState.DONE:
        raise InputError(
            "wrong_run",
            f"导入批次{corrects_run}是{FEED_LABELS[corrected.feed]}，"
            f"不能用{FEED_LABELS[mapping.feed]}文件更正"
            if corrected.feed != mapping.feed
            else f"导入批次{corrects_run}没有完成，不能更正",
            run=corrects_run,
        )


def _import(
    place: Importing,
    mapping: Mapping,
    wish: _Wish,
    arrived: kept_files.Arrived,
    progress: Progress,
) -> RunReport:
    database = place.database
    now = place.clock.now()
    new = run_rows.NewRun(
        feed=mapping.feed,
        source=mapping.name,
        file_name=arrived.name,
        file_hash=arrived.digest,
        mapping_hash=mapping.digest,
        as_of=now,
        corrects_run=wish.corrects_run,
        by=wish.by,
    )
    with database.read() as session:
        earlier = run_rows.run_of_file(session, new.file_key)
    if earlier is not None and earlier.state is RunState.DONE:
        return replace(earlier, is_repeat=True, notices=(_repeat_text(earlier),))
    run_id = earlier.run_id if earlier is not None else _begin(place, new, now)
    name = earlier.kept_as if earlier is not None else ""
    name = name or kept_files.kept_name(mapping.feed, run_id, arrived)
    kept = kept_files.keep_file(place.data_dir, name, arrived)
    work = kept_files.work_folder(place.data_dir, mapping.feed, run_id)
    job = _Job(place, mapping, wish, run_id, arrived.name, kept, work, progress)
    database.run(lambda session: run_rows.note_kept(session, run_id, name))
    notices = _run(job, earlier)
    kept_files.clear_work(work)
    with database.read() as session:
        report = run_rows.run_by_id(session, run_id)
    return replace(report, is_resumed=earlier is not None, notices=tuple(notices))


def _begin(place: Importing, new: run_rows.NewRun, now: datetime) -> int:
    run_id = place.database.run(lambda session: run_rows.begin_run(session, new, now))
    if run_id is None:  # the turn is held, so only a machine with a data folder of its own
        raise ConflictError("import_running", "同一个文件正在另一台机器上导入")
    return run_id


def _repeat_text(earlier: RunReport) -> str:
    ended = china_text(earlier.ended_at or earlier.started_at)
    return f"这个文件已于{ended}导入（批次{earlier.run_id}），没有重复导入"


def _run(job: _Job, earlier: RunReport | None) -> list[str]:
    """Check, unless an earlier try had, and load; the notices."""
    database = job.place.database
    loads = earlier is not None and earlier.state is RunState.LOADING
    if not loads or not loading.has_good(job.work, job.wish.corrects_run):
        if earlier is not None:
            database.run(lambda session: run_rows.begin_again(session, job.run_id))
            kept_files.clear_work(job.work)
            job.work.mkdir(mode=0o700)
        try:
            _check(job)
        except InputError as error:
            _refuse(job, error.code, str(error.context.get("problem", error.text)))
            return []
        except ConfigError as error:  # the mapping has a pattern that DuckDB does not know
            _refuse(job, error.code, f"映射文件有误：{error.context.get('key', '')} {error.text}")
            raise
    _load(job)
    return _finish(job)


def _refuse(job: _Job, code: str, problem: str) -> None:
    now = job.place.clock.now()
    job.place.database.run(
        lambda session: run_rows.refuse_run(session, job.run_id, problem, code, now)
    )
    kept_files.clear_work(job.work)


def _check(job: _Job) -> None:
    """Check the file; rejects and good rows are kept, the run is loading. InputError: refused."""
    place = job.place
    now = place.clock.now()
    told = _as_of_told(job, now)
    if told is not None:
        _refuse_older(job, told)
    mapping = job.mapping
    if job.wish.corrects_run is not None:
        mapping = mapping_of_corrections(mapping, job.kept)
    known = known_facts(place.database, mapping.feed, job.wish.corrects_run is not None, now)
    checked = check_file(job.kept, mapping, job.work, known, job.progress)
    try:
        as_of = told or _capped(job, checked.as_of, now)
        _refuse_older(job, as_of)
        rejects.store_rejects(place.database, job.run_id, checked)
        if job.wish.corrects_run is not None:
            loading.keep_corrects(_corrects(job, checked), job.work)
        loading.keep_good(checked.connection, mapping.feed, job.work)
    finally:
        checked.close()
    place.database.run(lambda session: run_rows.begin_loading(session, job.run_id, checked, as_of))


def _corrects(job: _Job, checked: Checked) -> array[int]:
    with job.place.database.read() as session:
        found = rejects.every_reject(session, job.wish.corrects_run or 0)
        return corrected_rows(checked, job.work / "rows.csv", found)


def _as_of_told(job: _Job, now: datetime) -> datetime | None:
    """Up to when the file tells, by the caller, the corrected run or the file's name."""
    if job.wish.as_of is not None:
        return _capped(job, job.wish.as_of, now, is_exact=True)
    if job.wish.corrects_run is not None:
        with job.place.database.read() as session:
            return run_rows.run_by_id(session, job.wish.corrects_run).as_of
    named = job.mapping.as_of_from_name(job.file_name)
    return None if named is None else _capped(job, named, now)


def _capped(
    job: _Job, as_of: datetime | None, now: datetime, *, is_exact: bool = False
) -> datetime:
    """At most now; InputError when it lies in the future. A day counts to its end, so today's may
    lie up to a day ahead."""
    if as_of is None:
        raise InputError(
            "no_as_of",
            "不知道数据截至何时：文件名里没有日期，也没有可用的列；请用 --as-of 说明",
            file=job.file_name,
        )
    ahead = CLOCK_SKEW if is_exact else CLOCK_SKEW + _ONE_DAY
    if as_of > now + ahead:
        raise InputError(
            "as_of_in_future",
            f"数据截至时间{china_text(as_of)}在未来，请检查文件名或 --as-of",
            file=job.file_name,
        )
    return min(as_of, now)


def _refuse_older(job: _Job, as_of: datetime) -> None:
    """Refuse a file of customers or contacts that is older than what is known."""
    if job.mapping.feed not in _STATE_FEEDS or job.wish.force:
        return
    with job.place.database.read() as session:
        known = feed_state(session, job.mapping.feed)
    if known is not None and as_of < known.as_of:
        label = FEED_LABELS[job.mapping.feed]
        raise InputError(
            "older_than_known",
            f"{label}文件的数据截至{china_text(as_of)}，早于已导入的{china_text(known.as_of)}"
            f"（批次{known.run_id}）：旧档案不能覆盖新档案，未导入；确需导入请加 --force",
            file=job.file_name,
        )


def _load(job: _Job) -> None:
    place = job.place
    with place.database.read() as session:
        report = run_rows.run_by_id(session, job.run_id)
        done = run_rows.rows_loaded(session, job.run_id)
        known = feed_state(session, report.feed)
    load = loading.Load(
        run_id=job.run_id,
        feed=report.feed,
        folder=job.work,
        rows=report.rows_read - report.rows_rejected,
        corrects_run=job.wish.corrects_run,
        is_late=report.feed == "bills" and known is not None and report.as_of < known.as_of,
    )
    loading.load_rows(place.database, place.clock, load, done, place.batch, job.progress)


def _finish(job: _Job) -> list[str]:
    """End the run and note the feed, in one transaction; what whoever asked should know."""

    def work(session: Session) -> list[str]:
        now = job.place.clock.now()
        report = run_rows.run_by_id(session, job.run_id)
        run_rows.end_run(session, job.run_id, now)
        if job.wish.then is not None:
            job.wish.then(session, now)
        known = feed_state(session, report.feed)
        notices = []
        if known is not None and report.as_of < known.as_of:
            notices.append(_older_text(report, known))
        if report.corrects_run is not None:
            return notices  # it adds to a file that came, it is no newer news
        if report.rows_rejected * 2 > report.rows_read:
            notices.append(
                f"{report.rows_read}行中有{report.rows_rejected}行被拒收，"
                "不能视为完整数据：本次不更新数据时效"
            )
            return notices
        mapping = job.mapping
        state = FeedState(
            report.feed, report.as_of, now, report.run_id, mapping.period, mapping.grace
        )
        note_feed(session, state)
        return notices

    return job.place.database.run(work)


def _older_text(report: RunReport, known: FeedState) -> str:
    return (
        f"文件的数据截至{china_text(report.as_of)}，早于已导入的{china_text(known.as_of)}"
        f"（批次{known.run_id}）：只补充缺少的，没有覆盖较新的"
    )
