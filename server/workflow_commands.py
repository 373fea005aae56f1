"""Commands about executions (流程实例命令): start, look at, stop, redrive."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gongdian.db import Session
from gongdian.errors import NotFoundError
from gongdian.settings import Settings
from gongdian.wiring import House
from server.workflow_audit import audited, opened, subject_of, text_given, viewed
from server.workflow_texts import (
    STATUS_LABELS,
    as_described,
    event_line,
    instant_text,
    places_text,
    print_execution,
)
from workflows.engine import executions, starting, versions
from workflows.engine.executions import Execution
from workflows.engine.home import Home, machine_of
from workflows.engine.orders import Status
from workflows.engine.starting import Start, Started
from workflows.engine.store import in_ms

_HOME = Home()
_INTERRUPTED = 130  # what shells give for Ctrl+C
_TAIL = 1_000


def start(settings: Settings, options: argparse.Namespace) -> int:
    """Start an execution; with ``--wait`` until it has ended, 1 when it did not succeed."""
    text = text_given(options.input)
    with _broken_off() as stop, opened(settings) as house:
        now = house.clock.now()
        name = options.name or ""
        wanted = Start(machine_of(options.machine), text, name, version=options.version)
        started = audited(
            house,
            options.by,
            "started",
            lambda done: _started_subject(done) if done.is_new else "",
            lambda session: starting.start_execution(session, wanted, in_ms(now)),
        )
        subject = _started_subject(started)
        print(subject if started.is_new else f"{subject}\t已在进行，未重复启动", flush=True)
        return 0 if options.wait is None else _await_end(house, subject, options, stop)


@contextmanager
def _broken_off() -> Iterator[threading.Event]:
    """Set by Ctrl+C, whenever it comes: what was started is to be told all the same."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _started_subject(started: Started) -> str:
    return f"{started.machine}:{started.name}"


def _await_end(
    house: House, subject: str, options: argparse.Namespace, stop: threading.Event
) -> int:
    until = time.monotonic() + options.wait
    while True:
        with house.database.read() as session:
            found = executions.describe(session, subject, _HOME)
        if found.status is not Status.RUNNING:
            # The output is shown: the same as a look at it.
            shown = viewed(
                house,
                options.by,
                subject,
                lambda session: executions.describe(session, subject, _HOME),
            )
            print_execution(shown)
            return 0 if shown.status is Status.SUCCEEDED else 1
        if time.monotonic() > until:
            print(f"{options.wait:g} 秒内没有结束；请确认后台进程（server worker）在运行")
            return 1
        if stop.wait(0.1):
            print(f"不再等待；流程仍在执行：workflow describe {subject}")
            return _INTERRUPTED


def describe(settings: Settings, options: argparse.Namespace) -> int:
    """Print an execution and where it stands; ``--json`` as DescribeExecution gives it."""

    def work(session: Session) -> tuple[Execution, str]:
        found = executions.describe(session, options.execution, _HOME)
        if found.status is not Status.RUNNING:
            return found, ""
        tail = executions.history(session, options.execution, most=_TAIL, is_reversed=True)
        return found, places_text(tail)

    with opened(settings) as house:
        found, places = viewed(house, options.by, options.execution, work)
    if options.json:
        print(json.dumps(as_described(found, _HOME), ensure_ascii=False))
    else:
        print_execution(found, places)
    return 0


def list_executions(settings: Settings, options: argparse.Namespace) -> int:
    """Print executions, the latest first."""
    status = Status(options.status) if options.status else None
    machine = None if options.machine is None else machine_of(options.machine)
    with opened(settings) as house, house.database.read() as session:
        found, following = executions.list_executions(
            session,
            machine=machine,
            status=status,
            before=options.before,
            most=options.most,
        )
        if machine is not None and not found and not versions.list_versions(session, machine):
            raise NotFoundError("StateMachineDoesNotExist", machine)
    for one in found:
        subject = f"{one.machine}:{one.name}"
        print(f"{instant_text(one.started_at)}\t{STATUS_LABELS[one.status]}\t{subject}")
    if following is not None:
        print(f"还有更多：--before {following}")
    if not found:
        print("没有流程实例")
    return 0


@dataclass(frozen=True, slots=True)
class _Page:
    """Events that are shown, and how many the execution has."""

    events: list[dict[str, Any]]
    total: int


def history(settings: Settings, options: argparse.Namespace) -> int:
    """Print an execution's events; ``--json`` as GetExecutionHistory gives them."""

    def work(session: Session) -> _Page:
        events = executions.history(
            session,
            options.execution,
            after=options.after,
            most=options.most,
            is_reversed=options.reverse,
        )
        return _Page(events, executions.describe(session, options.execution, _HOME).events)

    with opened(settings) as house:
        page = viewed(house, options.by, options.execution, work)
    for event in page.events:
        print(json.dumps(event, ensure_ascii=False) if options.json else event_line(event))
    # Beside JSON lines, which programs read, what is for people goes to the other stream.
    rest = _rest(page, options.reverse)
    if rest:
        print(rest, file=sys.stderr if options.json else sys.stdout)
    if not page.events:
        print("没有事件", file=sys.stderr)
    return 0


def _rest(page: _Page, is_reversed: bool) -> str:
    last = int(page.events[-1]["id"]) if page.events else 0
    if is_reversed:
        return f"还有更早的：--reverse --after {last}" if last > 1 else ""
    return f"还有更多：--after {last}" if 0 < last < page.total else ""


def stop(settings: Settings, options: argparse.Namespace) -> int:
    """End an execution as aborted; one that has ended stays as it is."""

    def work(session: Session) -> tuple[Execution, bool]:
        before = executions.describe(session, options.execution, _HOME)
        if before.status is not Status.RUNNING:
            return before, False
        now = in_ms(house.clock.now())
        found = executions.stop(
            session, options.execution, _HOME, now, error=options.error, cause=options.cause
        )
        # It may have ended by itself before its row was locked.
        return found, found.status is Status.ABORTED

    with opened(settings) as house:
        found, is_stopped = audited(
            house,
            options.by,
            "stopped",
            lambda done: subject_of(options.execution) if done[1] else "",
            work,
        )
    if is_stopped:
        print_execution(found)
    else:
        print(f"实例早已结束（{STATUS_LABELS[found.status]}），没有终止")
    return 0


def redrive(settings: Settings, options: argparse.Namespace) -> int:
    """Let an execution that failed go on from where it failed."""

    def work(session: Session) -> Execution:
        now = in_ms(house.clock.now())
        return executions.redrive(session, options.execution, _HOME, now)

    with opened(settings) as house:
        found = audited(
            house, options.by, "redriven", lambda _: subject_of(options.execution), work
        )
    print_execution(found)
    return 0
