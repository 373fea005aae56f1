"""The checks of the workflow runs of `make chaos` can fail: each is shown what it must find."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devtools.chaos.workflow_checks import WorkflowResult, compare
from devtools.chaos.workflow_evidence import (
    Aftermath,
    Call,
    ClaimSeen,
    Ended,
    Event,
    Sent,
    Step,
    count_log,
    read_lines,
    real_instant,
)
from devtools.chaos.workflow_files import Lines, ShiftedClock, Tail, write_offset
from devtools.chaos.workflow_machines import (
    LONG,
    SHAPES,
    Outcome,
    children_of,
    definitions,
    draw_input,
    outcome_of,
)
from devtools.chaos.workflow_table import workflow_text
from workflows.engine.compiling import compile_machine

NAME, TOKEN = "approval-00001", "sha256:1"
ASK, BOOK = Step(NAME, "Ask"), Step(NAME, "Book")


def payload(state: str, **more: Any) -> dict[str, Any]:
    return {"execution": NAME, "state": state, "attempt": 0, "fails": 0, **more}


def events(*kinds: str | tuple[str, dict[str, Any]]) -> tuple[Event, ...]:
    """A chain of events, one a second, from instant 1 on."""
    found = []
    for number, kind in enumerate(kinds, 1):
        name, more = (kind, {}) if isinstance(kind, str) else kind
        previous = number - 1 if number > 2 else 0
        found.append(Event(number, previous, name, float(number), **more))
    return tuple(found)


SOUND = events(
    "ExecutionStarted",
    "TaskStateEntered",
    ("TaskScheduled", {"payload": payload("Ask", token=TOKEN)}),  # 3
    "TaskStarted",
    "TaskSubmitted",
    "TaskSucceeded",  # 6
    "TaskStateExited",
    "TaskStateEntered",
    ("TaskScheduled", {"payload": payload("Book", fails=1)}),  # 9
    "TaskStarted",
    ("TaskFailed", {"error": "Flaky"}),
    ("TaskScheduled", {"payload": payload("Book", fails=1, attempt=1)}),  # 12
    "TaskStarted",
    "TaskSucceeded",  # 14
    "TaskStateExited",
    "ExecutionSucceeded",
)


def aftermath() -> Aftermath:
    """One execution that did everything as it should; a call of it was cut off and repeated."""
    return Aftermath(
        due={NAME: Outcome("SUCCEEDED", {"booked": 7})},
        executions=[Ended(NAME, "SUCCEEDED", {"booked": 7}, None, len(SOUND), SOUND)],
        calls=[
            Call(ASK, 0, "k:Ask:2", 1, 3.2),
            Call(ASK, 0, "k:Ask:2", 2, 3.6, 3.7, "ok"),
            Call(BOOK, 0, "k:Book:5", 1, 9.5, 9.6, "raised"),
            Call(BOOK, 1, "k:Book:5", 1, 12.5, 12.6, "ok"),
        ],
        claims=[
            ClaimSeen("k:Ask:2", 1, 3.1),
            ClaimSeen("k:Ask:2", 2, 3.5),
            ClaimSeen("k:Book:5", 1, 9.4),
            ClaimSeen("k:Book:5", 1, 12.4),
        ],
        sent=[Sent(TOKEN, "success", "ok"), Sent(TOKEN, "success", "TaskTimedOut")],
        left_over={"timers": 0, "open tasks": 0, "answers": 0},
    )


def compared(found: Aftermath) -> WorkflowResult:
    result = WorkflowResult("test", "sqlite")
    compare(found, result)
    return result


def with_events(found: Aftermath, changed: tuple[Event, ...], **row: Any) -> Aftermath:
    fields = {"events": changed, "last_event": len(changed), **row}
    found.executions = [replace(found.executions[0], **fields)]
    return found


def test_a_sound_aftermath_has_figures_and_no_failures() -> None:
    result = compared(aftermath())

    assert result.failures == []
    assert (result.executions, result.events, result.calls) == (1, 16, 4)
    assert (result.repeats, result.calls_cut_off, result.begun_late) == (1, 1, 0)
    assert (result.tokens, result.answers, result.answers_refused) == (1, 2, 1)


@pytest.mark.parametrize(
    ("row", "failure"),
    [
        ({"status": "RUNNING"}, "ended otherwise"),
        ({"status": "FAILED"}, "ended otherwise"),
        ({"output": {"booked": 8}}, "ended otherwise"),
        ({"output": None}, "ended otherwise"),
        ({"name": "other"}, "nobody started"),
        ({"is_free": False}, "still have an owner"),
        ({"last_event": 17}, "gaps"),
    ],
)
def test_a_wrong_row_is_found(row: dict[str, Any], failure: str) -> None:
    found = aftermath()
    found.executions = [replace(found.executions[0], **row)]

    assert failure in " ".join(compared(found).failures)


def test_a_lost_execution_is_found() -> None:
    found = aftermath()
    found.executions = []

    assert f"1 executions lost: {NAME}" in compared(found).failures


def test_an_execution_in_two_rows_is_found() -> None:
    found = aftermath()
    found.executions *= 2

    assert f"1 executions started twice: {NAME}" in compared(found).failures


def test_the_wrong_error_is_found() -> None:
    found = aftermath()
    found.due[NAME] = Outcome("FAILED", error="Flaky")
    changed = (*SOUND[:-1], replace(SOUND[-1], kind="ExecutionFailed"))
    with_events(found, changed, status="FAILED", output=None, error="Other")

    assert "ended otherwise" in compared(found).failures[0]


@pytest.mark.parametrize(
    ("changed", "failure"),
    [
        ((*SOUND, replace(SOUND[-1], id=17, previous=16)), "2 ends"),
        (SOUND[:-1], "0 ends"),
        ((*SOUND[:-1], replace(SOUND[-1], kind="ExecutionFailed")), "does not agree"),
        ((*SOUND[:-2], SOUND[-1], SOUND[-2]), "does not agree"),
        ((*SOUND[:4], *SOUND[5:]), "gaps or repetitions"),
        ((*SOUND[:4], SOUND[3], *SOUND[4:]), "gaps or repetitions"),
        ((*SOUND[:7], replace(SOUND[7], previous=9), *SOUND[8:]), "event 8 follows 9"),
        ((*SOUND[:7], replace(SOUND[7], previous=0), *SOUND[8:]), "event 8 follows 0"),
        ((*SOUND[:7], replace(SOUND[7], previous=6), *SOUND[8:]), "event 6 has several"),
    ],
)
def test_a_history_that_cannot_be_is_found(changed: tuple[Event, ...], failure: str) -> None:
    assert failure in " ".join(compared(with_events(aftermath(), changed)).failures)


def test_branches_and_abortions_are_no_doubled_transitions() -> None:
    chain = events(
        "ExecutionStarted",
        "ParallelStateEntered",
        "ParallelStateStarted",
        "WaitStateEntered",
        "WaitStateEntered",
        "WaitStateAborted",
        "WaitStateExited",
        "ExecutionSucceeded",
    )
    links = (0, 0, 2, 3, 3, 5, 4, 7)
    changed = tuple(replace(one, previous=link) for one, link in zip(chain, links, strict=True))
    found = Aftermath(due={NAME: Outcome("SUCCEEDED")})
    found.executions = [Ended(NAME, "SUCCEEDED", None, None, 8, changed)]

    assert compared(found).failures == []


def test_a_step_with_two_keys_is_found() -> None:
    found = aftermath()
    found.calls[1].key = "k:Ask:3"

    assert "1 steps with several keys" in " ".join(compared(found).failures)


def test_a_key_of_two_steps_is_found() -> None:
    found = aftermath()
    found.calls[2].key = found.calls[3].key = "k:Ask:2"

    assert "1 keys of several steps: k:Ask:2" in compared(found).failures


def test_a_completed_step_that_runs_again_is_found() -> None:
    found = aftermath()
    found.claims.append(ClaimSeen("k:Book:5", 2, 14.5))
    found.calls.append(Call(BOOK, 1, "k:Book:5", 2, 14.6, 14.7, "ok"))

    result = compared(found)

    assert result.begun_late == 1
    assert "completed steps that ran again" in " ".join(result.failures)


def test_a_call_after_success_that_nobody_claimed_is_found() -> None:
    found = aftermath()
    found.calls.append(Call(BOOK, 1, "k:Book:5", 9, 14.6, 14.7, "ok"))

    assert "completed steps that ran again" in " ".join(compared(found).failures)


def test_a_call_that_was_claimed_before_the_success_is_told_and_no_failure() -> None:
    found = aftermath()
    found.claims.append(ClaimSeen("k:Book:5", 2, 13.0))
    found.calls.append(Call(BOOK, 1, "k:Book:5", 2, 14.6, 14.7, "ok"))

    result = compared(found)

    assert (result.begun_late, result.failures) == (1, [])


def test_a_success_without_a_call_is_found() -> None:
    found = aftermath()
    found.calls = found.calls[:2]

    assert "without having been called" in " ".join(compared(found).failures)


def test_a_step_that_succeeded_twice_is_found() -> None:
    again = Event(15, 12, "TaskSucceeded", 14.5)
    rest = (replace(SOUND[14], id=16, previous=15), replace(SOUND[15], id=17, previous=16))

    found = with_events(aftermath(), (*SOUND[:14], again, *rest))

    assert "steps that succeeded twice" in " ".join(compared(found).failures)


def test_a_failure_that_was_not_recorded_is_found() -> None:
    changed = (*SOUND[:10], replace(SOUND[10], error="Other"), *SOUND[11:])

    failures = " ".join(compared(with_events(aftermath(), changed)).failures)

    assert "failed otherwise than told" in failures
    assert "0 times, not 1" in failures


@pytest.mark.parametrize(
    ("sent", "failure"),
    [
        ([Sent(TOKEN, "success", "ok")] * 2, "worked more than once"),
        ([Sent(TOKEN, "success", "TaskTimedOut")], "answered in history by nobody"),
        ([], "answered in history by nobody"),
        ([Sent(TOKEN, "failure", "ok")], "are not in history"),
        ([Sent(TOKEN, "success", "ok"), Sent("other", "success", "ok")], "are not in history"),
        ([Sent(TOKEN, "success", "ok"), Sent(TOKEN, "success", "busy")], "came back as busy"),
    ],
)
def test_a_token_that_did_not_work_once_is_found(sent: list[Sent], failure: str) -> None:
    found = aftermath()
    found.sent = sent

    assert failure in " ".join(compared(found).failures)


def test_a_token_with_two_answers_in_history_is_found() -> None:
    changed = (*SOUND[:4], replace(SOUND[4], kind="TaskTimedOut"), *SOUND[5:])

    failures = " ".join(compared(with_events(aftermath(), changed)).failures)

    assert "several answers in history" in failures


@pytest.mark.parametrize("what", ["timers", "open tasks", "answers"])
def test_what_is_left_over_is_found(what: str) -> None:
    found = aftermath()
    found.left_over[what] = 2

    assert compared(found).failures == [f"2 {what} left over"]


def test_evidence_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "evidence")
    step = {"execution": NAME, "state": "Ask", "item": -1, "round": -1, "attempt": 0}
    lines.add(what="claim", key="k", pid=1, at=1.0)
    lines.add(what="begin", call="a", key="k", pid=1, at=2.0, **step)
    lines.add(what="begin", call="b", key="k", pid=1, at=2.5, **step)
    lines.add(what="end", call="b", outcome="ok", at=3.0)
    lines.add(what="sent", token=TOKEN, kind="success", result="ok", began=3.0, at=3.1)
    found = Aftermath()

    read_lines(Tail(tmp_path / "evidence").read(), found)

    assert found.calls == [Call(ASK, 0, "k", 1, 2.0), Call(ASK, 0, "k", 1, 2.5, 3.0, "ok")]
    assert found.claims == [ClaimSeen("k", 1, 1.0)]
    assert found.sent == [Sent(TOKEN, "success", "ok")]


def test_a_tail_gives_whole_lines_once(tmp_path: Path) -> None:
    path = tmp_path / "mailbox"
    tail = Tail(path)
    assert tail.read() == []
    path.write_bytes(b'{"a": 1}\n{"a"')
    assert tail.read() == [{"a": 1}]
    path.write_bytes(b'{"a": 1}\n{"a": 2}\n')
    assert tail.read() == [{"a": 2}]
    assert tail.read() == []


def test_the_clock_is_shifted_by_the_file(tmp_path: Path) -> None:
    write_offset(tmp_path / "offset", 3600.0)
    plain = ShiftedClock(tmp_path / "none").now()

    shifted = ShiftedClock(tmp_path / "offset").now()

    assert timedelta(seconds=3599) < shifted - plain < timedelta(seconds=3660)


def test_a_shifted_instant_is_found_again() -> None:
    offsets = [(1000.0, 0.0), (1010.0, 3600.0), (1020.0, 0.0), (1030.0, -3600.0), (1040.0, 1e6)]
    for at, offset in ((1005, 0), (1015, 3600), (1025, 0), (1035, -3600), (1050, 1e6)):
        assert real_instant(at + offset, offsets) == at


def test_logs_are_counted_although_a_kill_cut_a_line(tmp_path: Path) -> None:
    lines = ['{"event": "executions_fenced", "count": 3}', '{"event": "answer_dropped"}', '{"eve']
    (tmp_path / "worker-1.log").write_text("\n".join(lines), "utf-8")

    found = count_log(tmp_path)

    assert (found["executions_fenced"], found["answer_dropped"], found["turn_failed"]) == (3, 1, 0)


def test_the_table_tells_failures() -> None:
    result = WorkflowResult("F test", "sqlite", kills=3, failures=["lost"], fenced={"fenced": 1})

    text = workflow_text(result)

    assert text.startswith("F test | sqlite, 4 worker(s)")
    assert text.endswith("  FAILED: lost")


def test_what_is_demanded_is_computed_from_the_input_alone() -> None:
    given = {
        **draw_input(random.Random(1), "fan"),
        "value": 2,
        "items": [0, 1],
        "rounds": 2,
        "rejects": False,
    }

    assert outcome_of("steps", given).output == {"fetched": 7, "last": 22, "rounds": 2}
    assert outcome_of("approval", given).output == {"error": "none", "booked": 28}
    assert outcome_of("fan", given).output == {"parts": [7, 7, [1, 4], 9], "child": 22}
    assert outcome_of("caught", given).output == {"error": "Flaky", "mended": 7}
    assert outcome_of("failing", given) == Outcome("FAILED", error="Flaky")
    assert outcome_of(LONG, given).output == {"value": 22}
    rejected = {**given, "rejects": True}
    assert outcome_of("approval", rejected).output == {"error": "Rejected", "booked": 7}
    assert children_of("caught", "c", given) == {"c-slow": Outcome("ABORTED")}
    assert children_of("fan", "f", given) == {"f-child": outcome_of(LONG, given)}


def test_every_shape_has_a_machine_that_the_engine_takes() -> None:
    machines = definitions()

    assert machines.keys() >= {*SHAPES, LONG}
    for definition in machines.values():
        compile_machine(definition)
