"""What the workflow commands say to people: refusals, pages of events, where a run stands."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gongdian.alarms import raise_alarm
from gongdian.audit import audit_rows
from gongdian.clock import SystemClock
from gongdian.db import Database
from gongdian.settings import Settings
from server.arguments import build_parser
from server.workflow_texts import cause_text, event_line, places_text
from tests.flows.test_command_line import ROOT, Place
from tests.flows.test_workflow_commands import definition, place, step, until, working
from tests.workflow_crew import machine

__all__ = ["place"]  # a fixture

WAIT = machine(A={"Type": "Wait", "Seconds": 600, "End": True})


def subjects(place: Place, action: str) -> list[str]:
    found = select(audit_rows.c.subject).where(audit_rows.c.action == action)
    with place.database.read() as session:
        return list(session.execute(found.order_by(audit_rows.c.id)).scalars())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("start nothing", "没有名为 nothing 的流程"),
        ("start wait --version 9", "wait 没有第 9 版"),
        ("versions wait --number 7", "wait 没有第 7 版"),
        ("versions nothing", "没有名为 nothing 的流程"),
        ("list nothing", "没有名为 nothing 的流程"),
        ("versions --number 1", "--number 要和流程名称一起写"),
        ("start wait --name a:b", "[InvalidName]"),
        ("start wait --input {", "--input 不是合法的 JSON："),
        ("start wait --input @/no/file", "读不到文件 /no/file：文件不存在"),
        ("start wait --name w --input []", "实例名 w 已用过"),
        ("start wait --name a\udcffb", "参数不是 UTF-8 文字"),
        ("describe wait", "“wait”不是实例：应写成 流程:实例名 [InvalidArn]"),
        ("describe wait:no", "没有实例 wait:no"),
        ("redrive wait:w", "还在进行 [ExecutionNotRedrivable]"),
        ("success none", "令牌不对：请核对是否复制完整 [InvalidToken]"),
        ("success -", "标准输入里没有令牌"),
        ("success none --output {", "--output 不是合法的 JSON："),
        ("validate /no/file", "读不到文件 /no/file：文件不存在"),
    ],
)
def test_refusals_are_told_in_chinese_with_the_name_that_aws_gives(
    place: Place,
    words: str,
    expected: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(place, "publish", "wait", definition(place, "wait.asl.json", WAIT))
    run(place, "start", "wait", "--name", "w")
    monkeypatch.setattr("sys.stdin", StringIO())
    assert run(place, *words.split()) == 1
    assert expected in capsys.readouterr().err


def run(place: Place, *words: str) -> int:
    """A command in this process."""
    options = build_parser().parse_args(["workflow", *words])
    status: int = options.work(place.settings, options)
    return status


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("start wait --wait 0", "应大于 0 秒"),
        ("start wait --wait nan", "应大于 0 秒"),
        ("start wait --name=", "不能为空"),
        ("history wait:w --after -1", "应为 0 以上的整数"),
        ("list --before -1", "应为 0 以上的整数"),
        ("history wait:w --most x", "应为整数"),
    ],
)
def test_wrong_usage_is_told_clearly(
    words: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        build_parser().parse_args(["workflow", *words.split()])
    assert refused.value.code == 2
    assert expected in capsys.readouterr().err


def test_a_database_without_tables_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(data_dir=str(tmp_path))
    empty = Place(tmp_path, Database(settings.database), settings)
    assert run(empty, "list") == 1
    assert "请先执行 python -m server migrate [database_unavailable]" in capsys.readouterr().err


def test_events_come_in_pages_that_say_where_the_next_begins(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    done = {"Type": "Pass", "Result": "x" * 300, "End": True}
    run(place, "publish", "long", definition(place, "long.asl.json", machine(A=done)))
    run(place, "start", "long", "--name", "a")
    with working(place):
        until(place, "状态\t成功", "describe", "long:a")
    capsys.readouterr()
    history = ("history", "long:a", "--most", "2")
    run(place, *history)
    assert capsys.readouterr().out.splitlines()[-1] == "还有更多：--after 2"
    run(place, *history, "--after", "2")
    page = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in page] == ["3", "4"]
    assert page[0].endswith("x…（--json 看全文）")
    run(place, *history, "--reverse")
    assert capsys.readouterr().out.splitlines()[-1] == "还有更早的：--reverse --after 3"
    run(place, *history, "--reverse", "--after", "3", "--json")
    shown = capsys.readouterr()
    assert [json.loads(line)["id"] for line in shown.out.splitlines()] == [2, 1]
    assert shown.err == ""


def test_stop_leaves_what_has_ended_and_says_so(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    run(place, "publish", "wait", definition(place, "wait.asl.json", WAIT))
    run(place, "start", "wait", "--name", "w")
    assert run(place, "stop", "wait:w") == 0
    capsys.readouterr()
    assert run(place, "stop", "wait:w") == 0
    assert capsys.readouterr().out == "实例早已结束（已终止），没有终止\n"
    assert subjects(place, "workflow:execution:stopped") == ["wait:w"]


def test_waiting_can_be_broken_off_and_the_execution_goes_on(place: Place) -> None:
    run(place, "publish", "wait", definition(place, "wait.asl.json", WAIT))
    command = [sys.executable, "-m", "server", "workflow", "start", "wait", "--wait", "60"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=place.environment({}), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    subject = process.stdout.readline().strip()
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    assert said == f"不再等待；流程仍在执行：workflow describe {subject}\n"
    assert process.returncode == 130
    assert subjects(place, "workflow:execution:started") == [subject]
    assert "状态\t进行中" in place.run("workflow", "describe", subject).stdout


def test_describe_says_where_a_run_stands_and_why_it_failed(place: Place) -> None:
    activity = "arn:aws:states:local:000000000000:activity:visit"
    visit = machine(Visit={"Type": "Task", "Resource": activity, "End": True})
    run(place, "publish", "visit", definition(place, "visit.asl.json", visit))
    bad = definition(place, "bad.asl.json", machine(A=step("no.such.step")))
    run(place, "publish", "bad", bad)
    with working(place):
        run(place, "start", "visit", "--name", "v")
        until(place, "所在步骤\tVisit（等待领取）", "describe", "visit:v")
        assert run(place, "start", "bad", "--name", "b", "--wait", "20", "--by", "张三") == 1
    shown = place.run("workflow", "describe", "bad:b").stdout
    assert "原因\tunknown_task: there is no task 'no.such.step'（NotFoundError）" in shown
    as_json = json.loads(place.run("workflow", "describe", "bad:b", "--json").stdout)
    assert json.loads(as_json["cause"])["errorType"] == "NotFoundError"
    # the end that --wait showed, and the two looks
    assert subjects(place, "workflow:execution:viewed").count("bad:b") == 3


def event(number: int, previous: int, kind: str, name: str = "") -> dict[str, Any]:
    key = "stateExitedEventDetails" if kind.endswith("Exited") else "stateEnteredEventDetails"
    details = {key: {"name": name}} if name else {}
    return {"id": number, "previousEventId": previous, "timestamp": 0, "type": kind, **details}


def test_a_branch_that_was_given_up_is_no_place() -> None:
    branches = [
        event(2, 0, "ParallelStateEntered", "Both"),
        event(3, 2, "ParallelStateStarted"),
        event(4, 3, "WaitStateEntered", "Left"),
        event(5, 3, "TaskStateEntered", "Right"),
        event(6, 5, "TaskScheduled"),
        event(7, 6, "TaskSubmitted"),
    ]
    assert places_text(branches) == "Left（等到时间）、Right（等待答复）"
    caught = [
        event(8, 4, "ParallelStateFailed"),
        event(9, 8, "ParallelStateExited", "Both"),
        event(10, 9, "TaskStateEntered", "Repair"),
    ]
    assert places_text([*branches, *caught]) == "Repair"
    assert places_text([]).startswith("尚未开始")


def test_what_is_shown_stays_in_its_line() -> None:
    assert cause_text('{"errorMessage":"m"}') == "m"
    assert cause_text("[1]") == "[1]"
    failed = {
        **event(1, 0, "ExecutionFailed"),
        "executionFailedEventDetails": {"cause": "a\nb\x1b"},
    }
    assert event_line(failed).endswith("ExecutionFailed\tcause=a b ")


def test_clearing_an_alarm_leaves_an_audit_row(place: Place) -> None:
    now = SystemClock().now()
    place.database.run(lambda session: raise_alarm(session, "a:b", "告警", now))
    done = place.run("alarms", "clear", "--key", "a:b", "--by", "张三")
    assert (done.returncode, done.stdout) == (0, "已清除\n")
    assert place.run("alarms", "clear", "--key", "a:b").returncode == 1
    assert subjects(place, "alarms:alarm:cleared") == ["a:b"]
