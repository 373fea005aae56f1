"""How workflow commands show executions and events (流程文字): one line each, for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from gongdian.clock import china_text
from workflows.engine.executions import Execution
from workflows.engine.home import Home
from workflows.engine.orders import Status
from workflows.engine.store import from_ms

STATUS_LABELS = {
    Status.RUNNING: "进行中",
    Status.SUCCEEDED: "成功",
    Status.FAILED: "失败",
    Status.TIMED_OUT: "超时",
    Status.ABORTED: "已终止",
}
_LONGEST_EVENT = 200
_MOST_PLACES = 5
_SHOWN = ("name", "index", "resource", "error", "cause", "input", "output", "parameters")
_WAITS = {
    "TaskSubmitted": "等待答复",
    "ActivityScheduled": "等待领取",
    "ActivityStarted": "等待答复",
    "TaskScheduled": "等待执行",
    "TaskStarted": "执行中",
    "WaitStateEntered": "等到时间",
}
# A branch or an iteration whose last event is one of these has nothing under way.
_OVER = ("Exited", "Aborted", "IterationSucceeded", "IterationFailed")


def print_execution(found: Execution, places: str = "") -> None:
    """Print an execution; ``places`` are the states where it stands."""
    rows: list[tuple[str, str | None]] = [
        ("流程", f"{found.machine}（第 {found.version} 版）"),
        ("实例", found.name),
        ("状态", STATUS_LABELS[found.status]),
        ("所在步骤", places or None),
        ("开始", instant_text(found.started_at)),
        ("结束", instant_text(found.stopped_at) if found.stopped_at else None),
        ("重新执行", f"{found.redrives} 次" if found.redrives else None),
        ("输入", found.input),
        ("输出", found.output),
        ("错误", found.error),
        ("原因", None if found.cause is None else cause_text(found.cause)),
        ("数据", "已按保留期限清除" if found.is_pruned else None),
    ]
    for label, value in rows:
        if value is not None:
            print(f"{label}\t{_printable(value)}")


def as_described(found: Execution, home: Home) -> dict[str, Any]:
    """An execution in the shape of DescribeExecution; what is not known is left out."""
    known = {
        "executionArn": found.arn,
        "stateMachineArn": home.machine_arn(found.machine),
        "stateMachineVersionArn": f"{home.machine_arn(found.machine)}:{found.version}",
        "name": found.name,
        "status": found.status.value,
        "startDate": found.started_at.isoformat(timespec="milliseconds"),
        "stopDate": found.stopped_at and found.stopped_at.isoformat(timespec="milliseconds"),
        "input": found.input,
        "output": found.output,
        "error": found.error,
        "cause": found.cause,
        "redriveCount": found.redrives,
    }
    return {key: value for key, value in known.items() if value is not None}


def instant_text(at: datetime) -> str:
    """An instant in China's time, with seconds."""
    return f"{china_text(at)}:{at:%S}"


def cause_text(cause: str) -> str:
    """A cause as people read it: of a function's failure its message and type."""
    about = _object_of(cause)
    if "errorMessage" not in about:
        return cause
    kind = f"（{about['errorType']}）" if "errorType" in about else ""
    return f"{about['errorMessage']}{kind}"


def event_line(event: dict[str, Any]) -> str:
    """One event in one line; what is too long ends in a hint at --json."""
    details = next((value for value in event.values() if isinstance(value, dict)), {})
    values = {**details}
    if "cause" in values:
        values["cause"] = cause_text(values["cause"])
    if details.get("resourceType") == "lambda" and "output" in values:
        values["output"] = _payload_of(values["output"])
    text = _printable(" ".join(f"{key}={values[key]}" for key in _SHOWN if key in values))
    if len(text) > _LONGEST_EVENT:
        text = f"{text[:_LONGEST_EVENT]}…（--json 看全文）"
    at = instant_text(from_ms(event["timestamp"]))
    return f"{event['id']}\t{at}\t{event['type']}\t{text}"


def _payload_of(output: str) -> str:
    """What a function returned, without what the service wraps around it."""
    answer = _object_of(output)
    if "Payload" not in answer or "SdkHttpMetadata" not in answer:
        return output
    return json.dumps(answer["Payload"], ensure_ascii=False, separators=(",", ":"))


def _object_of(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _printable(text: str) -> str:
    """Text that stays in its line and changes no terminal."""
    return "".join(one if one.isprintable() else " " for one in text)


def places_text(events: Sequence[dict[str, Any]]) -> str:
    """Where a running execution stands, from its last events: states and what they wait for."""
    if not events:
        return "尚未开始，等后台进程领取"
    known = {event["id"]: event for event in events}
    exits = [event for event in events if event["type"].endswith("StateExited")]
    exited = {_entry_of(event, known) for event in exits}
    followed = {event["previousEventId"] for event in events}
    found: Counter[str] = Counter()
    for event in sorted(events, key=lambda one: int(one["id"])):
        if event["id"] in followed or event["type"].endswith(_OVER):
            continue
        standing = _open_states(event, known)
        if standing and not exited & set(standing):
            wait = _WAITS.get(event["type"])
            name = _state_of(known[standing[0]])
            found[f"{name}（{wait}）" if wait else name] += 1
    texts = [f"{text}{count}处" if count > 1 else text for text, count in found.items()]
    rest = "等" if len(texts) > _MOST_PLACES else ""
    return "、".join(texts[:_MOST_PLACES]) + rest


def _state_of(event: dict[str, Any]) -> str:
    details = event.get("stateEnteredEventDetails") or event.get("stateExitedEventDetails") or {}
    return str(details.get("name", ""))


def _before(event: dict[str, Any], known: dict[int, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What led to an event, the nearest first, as far as it is known."""
    at = known.get(event["previousEventId"])
    while at is not None:
        yield at
        at = known.get(at["previousEventId"])


def _entry_of(left: dict[str, Any], known: dict[int, dict[str, Any]]) -> int:
    """The id of the StateEntered event of a StateExited event; 0 when it is not known."""
    for event in _before(left, known):
        # States of branches that were given up may stand between; names are unique.
        if event["type"].endswith("StateEntered") and _state_of(event) == _state_of(left):
            return int(event["id"])
    return 0


def _open_states(event: dict[str, Any], known: dict[int, dict[str, Any]]) -> list[int]:
    """Ids of the StateEntered events around an event, the innermost first."""
    found: list[int] = []
    left: list[str] = []  # states that were left before: their inside is over
    for at in (event, *_before(event, known)):
        if at["type"].endswith("StateExited"):
            left.append(_state_of(at))
        elif at["type"].endswith("StateEntered"):
            if not left:
                found.append(int(at["id"]))
            elif left[-1] == _state_of(at):
                left.pop()
    return found
