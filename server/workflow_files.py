"""Commands about workflow files (流程文件命令): validate, publish, versions."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gongdian.clock import china_text
from gongdian.errors import InputError, NotFoundError
from gongdian.settings import Settings
from server.workflow_audit import audited, opened
from workflows.engine import versions
from workflows.engine.home import machine_of
from workflows.engine.profile import unsupported
from workflows.engine.verdict.check import check_definition
from workflows.engine.verdict.diagnostics import Diagnostic
from workflows.shipped import read_workflow
from workflows.tasks import TASKS, TASKS_FUNCTION


def validate(settings: Settings, options: argparse.Namespace) -> int:
    """Print AWS's verdict on a file, 1 when it refuses, and what cannot be run here.

    With ``--runs-here`` what cannot be run here is a 1 too.
    """
    text = read_workflow(Path(options.file), is_strict=False)
    findings = check_definition(text, options.type)
    for one in findings:
        print(f"{one.severity}\t{one.code}\t{one.location}\t{one.message}")
    if _errors(findings):
        print(f"不通过：{options.file}")
        return 1
    document = json.loads(text)
    lacking = _lacking(text, document, options.type)
    unknown = [f"{place}：{missing}" for place, missing in _unknown_tasks(document)]
    if lacking:
        print(f"AWS 接受，本机引擎暂不支持：{options.file}")
    elif unknown:
        print(f"AWS 接受，本机还不能运行：{options.file}")
    else:
        print(f"通过：{options.file}")
    for line in (*lacking, *unknown):
        print(f"  {line}")
    return 1 if options.runs_here and (lacking or unknown) else 0


def _errors(findings: list[Diagnostic]) -> list[Diagnostic]:
    return [one for one in findings if one.severity == "ERROR"]


def _lacking(text: str, document: Mapping[str, Any], kind: str) -> list[str]:
    """What AWS runs and this engine does not: ``place：reason``."""
    found = [f"{place}：{reason}" for place, reason in unsupported(document)]
    if not found:
        try:
            versions.load_definition(text, kind)
        except InputError as error:
            found.append(error.text)
    return found


def _unknown_tasks(document: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Places of Task states that name a step which nobody has written."""
    for name, state in document["States"].items():
        where = f"{place}/States/{name}"
        task = _task_of(state)
        if task is not None and task not in TASKS:
            yield where, f"任务表（workflows/tasks.py）里没有“{task}”"
        for index, branch in enumerate(state.get("Branches", ())):
            yield from _unknown_tasks(branch, f"{where}/Branches[{index}]")
        for part in ("ItemProcessor", "Iterator"):
            if part in state:
                yield from _unknown_tasks(state[part], f"{where}/{part}")


def _task_of(state: Mapping[str, Any]) -> str | None:
    """The step that a Task state names literally, or None."""
    given = state.get("Parameters")
    if state["Type"] != "Task" or not isinstance(given, dict):
        return None
    payload = given.get("Payload")
    if given.get("FunctionName") != TASKS_FUNCTION or not isinstance(payload, dict):
        return None
    task = payload.get("task")
    return task if isinstance(task, str) else None


def publish(settings: Settings, options: argparse.Namespace) -> int:
    """Make a file the newest version of a machine."""
    text = read_workflow(Path(options.file))
    errors = _errors(check_definition(text, options.type))
    if errors:
        print(f"未完成：AWS 不接受 {options.file} [InvalidDefinition]", file=sys.stderr)
        for one in errors:
            at = f"{one.location}：" if one.location else ""
            print(f"  {at}{one.message}", file=sys.stderr)
        return 1
    document = json.loads(text)
    lacking = [f"{place}：{reason}" for place, reason in unsupported(document)]
    if lacking:
        refused = f"未完成：AWS 接受，本机引擎暂不支持：{options.file} [UnsupportedDefinition]"
        print("\n  ".join((refused, *lacking)), file=sys.stderr)
        return 1
    with opened(settings) as house:
        now = house.clock.now()
        version = audited(
            house,
            options.by,
            "published",
            lambda done: done.machine,
            lambda session: versions.publish(session, options.machine, text, now, options.type),
        )
    print(f"{version.machine} 第 {version.number} 版")
    for place, missing in _unknown_tasks(document):
        print(f"注意：{place}：{missing}", file=sys.stderr)
    return 0


def list_versions(settings: Settings, options: argparse.Namespace) -> int:
    """Print the versions of one machine or of all; one version's definition with ``--number``."""
    if options.number is not None and options.machine is None:
        print("--number 要和流程名称一起写", file=sys.stderr)
        return 1
    machine = None if options.machine is None else machine_of(options.machine)
    with opened(settings) as house, house.database.read() as session:
        found = versions.list_versions(session, machine)
        if machine is not None and options.number is not None and found:
            print(versions.find_version(session, machine, options.number).definition)
            return 0
    if not found and machine is not None:
        options.number = None
        raise NotFoundError("StateMachineDoesNotExist", machine)
    for one in found:
        print(f"{one.machine}\t第 {one.number} 版\t{one.kind}\t{china_text(one.created_at)}")
    if not found:
        print("没有流程")
    return 0
