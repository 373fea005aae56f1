"""Workflows as operators use them: the command line and a worker, as real processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from gongdian.audit import audit_rows
from gongdian.clock import SystemClock
from gongdian.db import Database
from gongdian.local_keys import with_local_keys
from gongdian.migrations.upgrade import upgrade_database
from gongdian.privacy import DataKeys, install_keys
from gongdian.settings import Settings
from gongdian.workflow_tables import workflow_executions
from tests.flows.test_command_line import ROOT, Place
from tests.workflow_crew import HOME, machine
from workflows.engine import tokens
from workflows.engine.store import in_ms
from workflows.shipped import SUBSTITUTIONS, read_workflow, shipped_workflows


@pytest.fixture
def place(tmp_path: Path) -> Place:
    settings = with_local_keys(Settings(data_dir=str(tmp_path)))
    install_keys(DataKeys(settings.data_key, settings.index_key))
    database = Database(settings.database)
    upgrade_database(database)
    return Place(tmp_path, database, settings)


@contextmanager
def working(place: Place) -> Iterator[subprocess.Popen[str]]:
    """A worker process; it must stop cleanly when asked."""
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "worker"],
        cwd=ROOT,
        env=place.environment({}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def definition(place: Place, name: str, document: Any) -> str:
    path = place.folder / name
    path.write_text(json.dumps(document), "utf-8")
    return str(path)


def step(task: str) -> dict[str, Any]:
    """A Task state of the house's one function."""
    return {
        "Type": "Task",
        "Resource": "arn:${Partition}:states:::lambda:invoke",
        "Parameters": {"FunctionName": "${TasksFunction}", "Payload": {"task": task}},
        "End": True,
    }


def until(place: Place, expected: str, *arguments: str) -> str:
    """What a command prints, once it says what is expected."""
    for _ in range(60):
        done = place.run("workflow", *arguments)
        if expected in done.stdout:
            return done.stdout
        time.sleep(0.2)
    raise AssertionError(f"{expected!r} never shown: {done.stdout}{done.stderr}")


def test_the_self_check_runs_to_its_end(place: Place) -> None:
    with working(place):
        until(place, "selfcheck\t第 1 版", "versions")
        done = place.run("workflow", "start", "selfcheck", "--name", "t1", "--wait", "30")
        assert (done.returncode, done.stderr) == (0, "")
        assert '"result":"sound"' in done.stdout
        assert '"attempts":2' in done.stdout
    history = place.run("workflow", "history", "selfcheck:t1").stdout
    assert "TaskFailed" in history
    assert "ExecutedVersion" not in history
    assert 'TaskSucceeded\tresource=invoke output={"attempts":2}' in history
    assert "cause=selfcheck: the first attempt fails on purpose（UpstreamError）" in history
    assert history.splitlines()[-1].split("\t")[2] == "ExecutionSucceeded"
    as_json = place.run("workflow", "history", "selfcheck:t1", "--json", "--most", "2").stdout
    assert [json.loads(line)["id"] for line in as_json.splitlines()] == [1, 2]


def test_shipped_workflows_are_accepted_by_aws_and_by_us(place: Place) -> None:
    assert "selfcheck" in shipped_workflows()
    for path in shipped_workflows().values():
        done = place.run("workflow", "validate", str(path))
        assert (done.returncode, done.stdout) == (0, f"通过：{path}\n")
    text = read_workflow(shipped_workflows()["selfcheck"])
    assert "${" not in text
    assert SUBSTITUTIONS["TasksFunction"] in text


def test_validate_names_what_aws_refuses_and_what_we_do_not_run(place: Place) -> None:
    bad = definition(place, "bad.asl.json", machine(A={"Type": "Pass", "Next": "B"}))
    done = place.run("workflow", "validate", bad)
    assert done.returncode == 1
    assert "MISSING_TRANSITION_TARGET\t/States/A/Next" in done.stdout
    assert done.stdout.splitlines()[-1] == f"不通过：{bad}"
    aws_only = definition(
        place,
        "jsonata.asl.json",
        {"QueryLanguage": "JSONata", **machine(A={"Type": "Pass", "End": True})},
    )
    done = place.run("workflow", "validate", aws_only)
    assert done.returncode == 0  # the verdict is AWS's
    assert place.run("workflow", "validate", aws_only, "--runs-here").returncode == 1
    assert done.stdout.splitlines() == [
        f"AWS 接受，本机引擎暂不支持：{aws_only}",
        "  /States/A/QueryLanguage：JSONata",
    ]
    published = place.run("workflow", "publish", "x", aws_only)
    assert (published.returncode, "UnsupportedDefinition" in published.stderr) == (1, True)
    assert "  /States/A/QueryLanguage：JSONata" in published.stderr
    published = place.run("workflow", "publish", "x", bad)
    assert "  /States/A/Next：Missing 'Next' target: B" in published.stderr
    nobody = definition(place, "task.asl.json", machine(A=step("no.such.step")))
    done = place.run("workflow", "validate", nobody, "--runs-here")
    assert done.returncode == 1
    assert done.stdout.splitlines()[1:] == [
        "  /States/A：任务表（workflows/tasks.py）里没有“no.such.step”"
    ]
    foreign = machine(A={"Type": "Pass", "Result": "${AccountId}", "End": True})
    foreign_path = definition(place, "foreign.asl.json", foreign)
    assert place.run("workflow", "validate", foreign_path).returncode == 0
    assert "AccountId" in place.run("workflow", "publish", "x", foreign_path).stderr
    done = place.run("workflow", "validate", str(place.folder / "none.json"))
    assert (done.returncode, "none.json" in done.stderr) == (1, True)


def test_a_person_answers_by_token_and_a_failure_is_redriven(place: Place) -> None:
    activity = "arn:aws:states:local:000000000000:activity:visit"
    path = definition(
        place,
        "visit.asl.json",
        machine(Visit={"Type": "Task", "Resource": activity, "HeartbeatSeconds": 600, "End": True}),
    )
    assert place.run("workflow", "publish", "visit", path, "--by", "张三").stdout == (
        "visit 第 1 版\n"
    )

    def take() -> str:
        poll = partial(tokens.get_activity_task, activity="visit", worker="me")
        for _ in range(100):
            task = place.database.run(partial(poll, now_ms=in_ms(SystemClock().now())))
            if task is not None:
                return task.token
            time.sleep(0.1)
        raise AssertionError("the activity was never scheduled")

    with working(place):
        done = place.run("workflow", "start", "visit", "--name", "v1", "--input", '{"户号":"1"}')
        assert done.stdout == "visit:v1\n"
        first = take()
        assert place.run("workflow", "heartbeat", first).stdout == "已续期\n"
        done = place.run("workflow", "failure", first, "--error", "无人在家", "--cause", "改天再来")
        assert done.stdout == "已记为失败\n"
        shown = until(place, "状态\t失败", "describe", "visit:v1")
        assert "错误\t无人在家" in shown
        assert place.run("workflow", "success", first).returncode == 1
        assert "状态\t进行中" in place.run("workflow", "redrive", "visit:v1").stdout
        done = place.run("workflow", "success", take(), "--output", '"done"')
        assert (done.returncode, done.stdout) == (0, "已完成\n")
        shown = until(place, "状态\t成功", "describe", "visit:v1")
        assert "重新执行\t1 次" in shown
        assert '输出\t"done"' in shown
    listed = place.run("workflow", "list", "visit", "--status", "SUCCEEDED").stdout
    assert listed.strip().endswith("成功\tvisit:v1")
    with place.database.read() as session:
        rows = session.execute(select(audit_rows.c.action, audit_rows.c.subject)).all()
    actions = {row.action for row in rows}
    for verb in ("published", "started", "answered", "renewed", "redriven", "viewed"):
        assert f"workflow:execution:{verb}" in actions
    ours = {row.subject for row in rows if row.action.startswith("workflow:")}
    assert ours == {"visit", "visit:v1"}


def test_an_execution_is_started_once_and_stopped(place: Place) -> None:
    path = definition(
        place, "wait.asl.json", machine(A={"Type": "Wait", "Seconds": 600, "End": True})
    )
    place.run("workflow", "publish", "wait", path)
    assert place.run("workflow", "start", "wait", "--name", "w").stdout == "wait:w\n"
    again = place.run("workflow", "start", HOME.machine_arn("wait"), "--name", "w")
    assert (again.returncode, again.stdout) == (0, "wait:w\t已在进行，未重复启动\n")
    other = place.run("workflow", "start", "wait", "--name", "w", "--input", "[]")
    assert (other.returncode, "ExecutionAlreadyExists" in other.stderr) == (1, True)
    waited = place.run("workflow", "start", "wait", "--wait", "0.3")
    assert (waited.returncode, "请确认后台进程" in waited.stdout) == (1, True)
    stopped = place.run("workflow", "stop", "wait:w", "--cause", "客户撤回")
    assert "状态\t已终止" in stopped.stdout
    assert "原因\t客户撤回" in stopped.stdout
    assert place.run("workflow", "describe", "wait:nobody").returncode == 1
    bad = place.run("workflow", "start", "wait", "--input", "@/no/such/file")
    assert (bad.returncode, "/no/such/file" in bad.stderr) == (1, True)


def test_old_executions_are_pruned_by_the_worker(place: Place) -> None:
    path = definition(place, "end.asl.json", machine(A={"Type": "Succeed"}))
    place.run("workflow", "publish", "end", path)
    with working(place):
        place.run("workflow", "start", "end", "--name", "old", "--wait", "20")
    long_ago = SystemClock().now() - timedelta(days=100)
    place.database.run(
        lambda session: session.execute(update(workflow_executions).values(stopped_at=long_ago))
    )
    with working(place):
        until(place, "已按保留期限清除", "describe", "end:old")
