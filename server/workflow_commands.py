"""Commands about workflows (流程命令): validate, publish, start, look at, stop, answer, redrive."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from gongdian.audit import record_audit
from gongdian.clock import china_text
from gongdian.db import Session
from gongdian.errors import InputError
from gongdian.settings import Settings
from gongdian.wiring import House, build_house
from workflows.engine import executions, starting, tokens, versions
from workflows.engine.executions import Execution
from workflows.engine.home import Home, machine_of
from workflows.engine.orders import Status
from workflows.engine.profile import unsupported
from workflows.engine.starting import Start
from workflows.engine.store import from_ms, in_ms
from workflows.engine.verdict.check import check_definition
from workflows.shipped import read_workflow

T = TypeVar("T")

STATUS_LABELS = {
    Status.RUNNING: "进行中",
    Status.SUCCEEDED: "成功",
    Status.FAILED: "失败",
    Status.TIMED_OUT: "超时",
    Status.ABORTED: "已终止",
}
_HOME = Home()


@contextmanager
def _opened(settings: Settings) -> Iterator[House]:
    house = build_house(settings)
    try:
        yield house
    finally:
        house.close()


def _changed(house: House, by: str, what: str, subject: str, work: Callable[[Session], T]) -> T:
    """Do something in one transaction with its audit row."""

    def both(session: Session) -> T:
        done = work(session)
        at = house.clock.now()
        record_audit(
            session, at, by or getpass.getuser(), f"workflow:execution:{what}", subject, {}
        )
        return done

    return house.database.run(both)


def validate(settings: Settings, options: argparse.Namespace) -> int:
    """Print AWS's verdict on a file, then what this engine does not run; 1 when AWS refuses."""
    text = read_workflow(Path(options.file))
    findings = check_definition(text, options.type)
    for one in findings:
        print(f"{one.severity}\t{one.code}\t{one.location}\t{one.message}")
    if any(one.severity == "ERROR" for one in findings):
        print(f"不通过：{options.file}")
        return 1
    print(f"通过：{options.file}")
    for place, reason in unsupported(json.loads(text)):
        print(f"本机引擎暂不支持\t{place}\t{reason}")
    return 0


def publish(settings: Settings, options: argparse.Namespace) -> int:
    """Make a file the newest version of a machine."""
    text = read_workflow(Path(options.file))
    with _opened(settings) as house:
        now = house.clock.now()
        version = _changed(
            house,
            options.by,
            "published",
            options.machine,
            lambda session: versions.publish(session, options.machine, text, now, options.type),
        )
    print(f"{version.machine} 第 {version.number} 版")
    return 0


def list_versions(settings: Settings, options: argparse.Namespace) -> int:
    """Print the versions of one machine or of all; one version's definition with ``--number``."""
    with _opened(settings) as house, house.database.read() as session:
        if options.number is not None:
            print(versions.find_version(session, options.machine, options.number).definition)
            return 0
        found = versions.list_versions(session, options.machine)
    for one in found:
        print(f"{one.machine}\t第 {one.number} 版\t{one.kind}\t{china_text(one.created_at)}")
    if not found:
        print("没有流程")
    return 0


def start(settings: Settings, options: argparse.Namespace) -> int:
    """Start an execution; with ``--wait`` until it has ended, 1 when it did not succeed."""
    text = _input(options.input)
    with _opened(settings) as house:
        now = house.clock.now()
        wanted = Start(machine_of(options.machine), text, options.name, version=options.version)
        started = _changed(
            house,
            options.by,
            "started",
            options.name or options.machine,
            lambda session: starting.start_execution(session, wanted, in_ms(now)),
        )
        subject = f"{started.machine}:{started.name}"
        print(subject if started.is_new else f"{subject}\t已在进行，未重复启动")
        return _await_end(house, subject, options.wait) if options.wait else 0


def _await_end(house: House, subject: str, seconds: float) -> int:
    until = time.monotonic() + seconds
    while True:
        with house.database.read() as session:
            found = executions.describe(session, subject, _HOME)
        if found.status is not Status.RUNNING:
            _print_execution(found)
            return 0 if found.status is Status.SUCCEEDED else 1
        if time.monotonic() > until:
            print(f"{seconds:.0f} 秒内没有结束；请确认后台进程（server worker）在运行")
            return 1
        time.sleep(0.1)


def _input(given: str) -> str:
    """The input's text: JSON, ``@FILE``, or ``-`` for standard input."""
    if given == "-":
        return sys.stdin.read()
    if given.startswith("@"):
        try:
            return Path(given[1:]).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError("unreadable_input", f"{given[1:]}: {error}") from error
    return given


def describe(settings: Settings, options: argparse.Namespace) -> int:
    """Print an execution; who looked is kept, since inputs may concern customers."""
    with _opened(settings) as house:
        found = _changed(
            house,
            options.by,
            "viewed",
            options.execution,
            lambda session: executions.describe(session, options.execution, _HOME),
        )
    _print_execution(found)
    return 0


def _print_execution(found: Execution) -> None:
    rows: list[tuple[str, str | None]] = [
        ("流程", f"{found.machine}（第 {found.version} 版）"),
        ("实例", found.name),
        ("状态", STATUS_LABELS[found.status]),
        ("开始", _instant(found.started_at)),
        ("结束", _instant(found.stopped_at) if found.stopped_at else None),
        ("重新执行", f"{found.redrives} 次" if found.redrives else None),
        ("输入", found.input),
        ("输出", found.output),
        ("错误", found.error),
        ("原因", found.cause),
        ("数据", "已按保留期限清除" if found.is_pruned else None),
    ]
    for label, value in rows:
        if value is not None:
            print(f"{label}\t{value}")


def _instant(at: datetime) -> str:
    return f"{china_text(at)}:{at:%S}"


def list_executions(settings: Settings, options: argparse.Namespace) -> int:
    """Print executions, the latest first."""
    status = Status(options.status) if options.status else None
    with _opened(settings) as house, house.database.read() as session:
        found, following = executions.list_executions(
            session,
            _HOME,
            machine=options.machine,
            status=status,
            before=options.before,
            most=options.most,
        )
    for one in found:
        subject = f"{one.machine}:{one.name}"
        print(f"{_instant(one.started_at)}\t{STATUS_LABELS[one.status]}\t{subject}")
    if following is not None:
        print(f"还有更多：--before {following}")
    if not found:
        print("没有流程实例")
    return 0


def history(settings: Settings, options: argparse.Namespace) -> int:
    """Print an execution's events; ``--json`` as GetExecutionHistory gives them."""

    def page(session: Session) -> list[dict[str, Any]]:
        return executions.history(
            session,
            options.execution,
            after=options.after,
            most=options.most,
            is_reversed=options.reverse,
        )

    with _opened(settings) as house:
        events = _changed(house, options.by, "viewed", options.execution, page)
    for event in events:
        if options.json:
            print(json.dumps(event, ensure_ascii=False))
        else:
            at = _instant(from_ms(event["timestamp"]))
            print(f"{event['id']}\t{at}\t{event['type']}\t{_event_text(event)}")
    if not events:
        print("没有事件", file=sys.stderr)
    return 0


def _event_text(event: dict[str, Any]) -> str:
    details = next((value for value in event.values() if isinstance(value, dict)), {})
    wanted = ("name", "index", "resource", "error", "cause", "input", "output", "parameters")
    return " ".join(f"{key}={str(details[key])[:200]}" for key in wanted if key in details)


def stop(settings: Settings, options: argparse.Namespace) -> int:
    """End an execution as aborted."""

    def work(session: Session) -> Execution:
        now = in_ms(house.clock.now())
        return executions.stop(
            session, options.execution, _HOME, now, error=options.error, cause=options.cause
        )

    with _opened(settings) as house:
        found = _changed(house, options.by, "stopped", options.execution, work)
    _print_execution(found)
    return 0


def redrive(settings: Settings, options: argparse.Namespace) -> int:
    """Let an execution that failed go on from where it failed."""

    def work(session: Session) -> Execution:
        now = in_ms(house.clock.now())
        return executions.redrive(session, options.execution, _HOME, now)

    with _opened(settings) as house:
        found = _changed(house, options.by, "redriven", options.execution, work)
    _print_execution(found)
    return 0


def success(settings: Settings, options: argparse.Namespace) -> int:
    """Finish the task of a token."""
    token, output = _token(options), _input(options.output)
    with _opened(settings) as house:
        _changed(
            house,
            options.by,
            "answered",
            "task",
            lambda session: tokens.send_success(session, token, output),
        )
    print("已完成")
    return 0


def failure(settings: Settings, options: argparse.Namespace) -> int:
    """Fail the task of a token."""
    token = _token(options)
    with _opened(settings) as house:
        _changed(
            house,
            options.by,
            "answered",
            "task",
            lambda session: tokens.send_failure(session, token, options.error, options.cause),
        )
    print("已记为失败")
    return 0


def heartbeat(settings: Settings, options: argparse.Namespace) -> int:
    """Tell that the task of a token is still worked on."""
    token = _token(options)
    with _opened(settings) as house:
        now = in_ms(house.clock.now())
        house.database.run(lambda session: tokens.send_heartbeat(session, token, now))
    print("已续期")
    return 0


def _token(options: argparse.Namespace) -> str:
    """The token; ``-`` reads it from standard input, where no process list shows it."""
    given: str = options.token
    return sys.stdin.readline().strip() if given == "-" else given
