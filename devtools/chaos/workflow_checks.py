"""What a workflow run came to (核对): histories beside inputs, functions' calls and answers.

A *failure* breaks a promise of the engine; everything else is a figure, told and not judged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from devtools.chaos.workflow_evidence import Aftermath, Call, Ended, Event, Step

_EXAMPLES = 3
_ENDS = {
    "ExecutionSucceeded": "SUCCEEDED",
    "ExecutionFailed": "FAILED",
    "ExecutionAborted": "ABORTED",
    "ExecutionTimedOut": "TIMED_OUT",
}
# These end a scope or an execution from outside: nothing led to them.
_FROM_OUTSIDE = {"ExecutionAborted", "ExecutionTimedOut"}
# Several scopes begin after these; an abortion is told beside what was going on.
_FORKS = {"ParallelStateStarted", "MapStateStarted", "MapIterationStarted"}
_ANSWERS = ("TaskSucceeded", "TaskFailed", "TaskTimedOut")


@dataclass(slots=True)
class WorkflowResult:
    """The figures of one run; ``repeats`` are calls of an attempt beyond its first."""

    run: str
    backend: str
    executions: int = 0
    seconds: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    events: int = 0
    kills: int = 0
    kills_inside: int = 0
    pauses: int = 0
    calls: int = 0
    calls_cut_off: int = 0
    repeats: int = 0
    begun_late: int = 0
    tokens: int = 0
    answers: int = 0
    answers_refused: int = 0
    unanswered_tokens: int = 0
    fenced: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def compare(found: Aftermath, result: WorkflowResult) -> None:
    """All checks."""
    check_ends(found, result)
    check_histories(found.executions, result)
    check_calls(found, result)
    check_tokens(found, result)
    check_left_over(found, result)


def fail(result: WorkflowResult, what: str, names: Iterable[str]) -> None:
    """Note what breaks a promise; none is well."""
    listed = list(names)
    if listed:
        examples = ", ".join(listed[:_EXAMPLES])
        result.failures.append(f"{len(listed)} {what}: {examples}")


def check_ends(found: Aftermath, result: WorkflowResult) -> None:
    """Every execution that was started has ended, once, as its input demands."""
    names = Counter(one.name for one in found.executions)
    result.executions = len(found.executions)
    result.statuses = dict(Counter(one.status for one in found.executions))
    fail(result, "executions lost", sorted(found.due.keys() - names.keys()))
    fail(result, "executions nobody started", sorted(names.keys() - found.due.keys()))
    fail(result, "executions started twice", [name for name, count in names.items() if count > 1])
    wrong = []
    for one in found.executions:
        due = found.due.get(one.name)
        if due is None:
            continue
        if one.status != due.status:
            wrong.append(f"{one.name} {one.status}, not {due.status} ({one.error})")
        elif one.output != due.output or (due.error is not None and one.error != due.error):
            wrong.append(f"{one.name} {one.output or one.error}, not {due.output or due.error}")
    fail(result, "executions that ended otherwise than demanded", wrong)


def check_histories(executions: Iterable[Ended], result: WorkflowResult) -> None:
    """Ids 1..n, one end that agrees with the status, and one successor for each event."""
    faults = []
    for one in executions:
        result.events += len(one.events)
        faults += [f"{one.name}: {fault}" for fault in _faults_of(one)]
    fail(result, "faults of histories", faults)


def _faults_of(one: Ended) -> list[str]:
    faults = []
    if [event.id for event in one.events] != list(range(1, one.last_event + 1)):
        faults.append("ids have gaps or repetitions")
    ends = [event for event in one.events if event.kind in _ENDS]
    if len(ends) != 1:
        faults.append(f"{len(ends)} ends")
    elif _ENDS[ends[0].kind] != one.status or ends[0] is not one.events[-1]:
        faults.append(f"the end {ends[0].kind} does not agree with {one.status}")
    faults += [f"event {event.id} follows {event.previous}" for event in _astray(one.events)]
    faults += [f"event {number} has several successors" for number in _forked(one.events)]
    return faults


def _astray(events: tuple[Event, ...]) -> list[Event]:
    """Events whose previous event cannot have been before them."""
    return [
        event
        for event in events
        if not 0 <= event.previous < event.id
        or (event.previous == 0 and event.id > 2 and event.kind not in _FROM_OUTSIDE)
    ]


def _forked(events: tuple[Event, ...]) -> list[int]:
    """Events after which two things went on that cannot both: a transition was made twice."""
    kinds = {event.id: event.kind for event in events}
    followers = Counter(event.previous for event in events if not _is_aside(event))
    return [
        number
        for number, count in followers.items()
        if number and count > 1 and kinds.get(number) not in _FORKS
    ]


def _is_aside(event: Event) -> bool:
    return event.kind.endswith("Aborted")


def check_calls(found: Aftermath, result: WorkflowResult) -> None:
    """One key for each step; no call after the step's success; no success without a call."""
    by_step: dict[Step, list[Call]] = defaultdict(list)
    for call in found.calls:
        by_step[call.step].append(call)
    attempts = Counter((call.step, call.attempt) for call in found.calls)
    result.calls = len(found.calls)
    result.calls_cut_off = sum(1 for call in found.calls if call.ended is None)
    result.repeats = sum(attempts.values()) - len(attempts)
    keys = {step: {call.key for call in calls} for step, calls in by_step.items()}
    fail(result, "steps with several keys", [str(s) for s, some in keys.items() if len(some) > 1])
    steps_of: dict[str, set[Step]] = defaultdict(set)
    for step, some in keys.items():
        for key in some:
            steps_of[key].add(step)
    fail(result, "keys of several steps", [key for key, some in steps_of.items() if len(some) > 1])
    _check_successes(found, by_step, result)


def _check_successes(
    found: Aftermath, by_step: dict[Step, list[Call]], result: WorkflowResult
) -> None:
    claims: dict[tuple[str, int], list[float]] = defaultdict(list)
    for claim in found.claims:
        claims[claim.key, claim.pid].append(claim.at)
    twice, again, uncalled, miscounted = [], [], [], []
    for one in found.executions:
        successes, failures, told = _by_step(one)
        for step, instants in successes.items():
            calls = by_step.get(step, [])
            if len(instants) > 1:
                twice.append(str(step))
            if not any(call.began <= instants[0] for call in calls):
                uncalled.append(str(step))
            for call in calls:
                if call.began > instants[0]:
                    result.begun_late += 1
                    # Claimed before the success, begun after it: the worker slept in between,
                    # or a token was answered while it was handed out once more.
                    mine = [at for at in claims[call.key, call.pid] if at <= call.began]
                    if not mine or max(mine) > instants[0]:
                        again.append(str(step))
            if failures[step] != told[step]:
                miscounted.append(f"{step} {failures[step]} times, not {told[step]}")
    fail(result, "steps that succeeded twice", twice)
    fail(result, "completed steps that ran again", again)
    fail(result, "steps that succeeded without having been called", uncalled)
    fail(result, "steps that failed otherwise than told", miscounted)


def _by_step(one: Ended) -> tuple[dict[Step, list[float]], Counter[Step], Counter[Step]]:
    """Instants of success, recorded failures of functions and how many were told, by step."""
    successes: dict[Step, list[float]] = defaultdict(list)
    failures: Counter[Step] = Counter()
    told: Counter[Step] = Counter()
    events = {event.id: event for event in one.events}
    for event in one.events:
        if event.kind not in _ANSWERS:
            continue
        payload = scheduled_by(event, events)
        if payload is None:
            continue
        step = step_of(payload)
        told[step] = payload["fails"]
        if event.kind == "TaskSucceeded":
            successes[step].append(event.at)
        failures[step] += event.error == "Flaky"
    return successes, failures, told


def scheduled_by(event: Event, events: dict[int, Event]) -> dict[str, Any] | None:
    """The payload of the TaskScheduled that an answer belongs to; None for a child execution."""
    at: Event | None = event
    while at is not None and at.kind != "TaskScheduled":
        at = events.get(at.previous)
    return at.payload if at is not None else None


def step_of(payload: dict[str, Any]) -> Step:
    """The step that a payload names."""
    item, turn = payload.get("item", -1), payload.get("round", -1)
    return Step(payload["execution"], payload["state"], item, turn)


def check_tokens(found: Aftermath, result: WorkflowResult) -> None:
    """Of several answers to a token one worked, and history has just that one."""
    recorded: dict[str, Counter[str]] = defaultdict(Counter)
    for one in found.executions:
        events = {event.id: event for event in one.events}
        for event in one.events:
            payload = scheduled_by(event, events) if event.kind in _ANSWERS else None
            if payload is not None and "token" in payload:
                recorded[str(payload["token"])][event.kind] += 1
    worked: dict[str, list[str]] = defaultdict(list)
    for sent in found.sent:
        if sent.result not in ("ok", "TaskTimedOut"):
            result.failures.append(f"{sent.kind} to {sent.token} came back as {sent.result}")
        if sent.kind != "heartbeat":
            result.answers += 1
            result.answers_refused += sent.result != "ok"
            tries = worked[sent.token]
            if sent.result == "ok":
                tries.append(sent.kind)
    result.tokens = len(recorded)
    _compare_tokens(recorded, worked, result)


def _compare_tokens(
    recorded: dict[str, Counter[str]], worked: dict[str, list[str]], result: WorkflowResult
) -> None:
    fail(
        result,
        "tokens that worked more than once",
        [token for token, kinds in worked.items() if len(kinds) > 1],
    )
    twice = [token for token, kinds in recorded.items() if kinds.total() != 1]
    fail(result, "tokens with several answers in history", twice)
    kinds_of = {"success": "TaskSucceeded", "failure": "TaskFailed"}
    lost = []
    for token, kinds in worked.items():
        for kind in kinds[:1]:
            if recorded[token][kinds_of[kind]] != 1:
                lost.append(f"{token} {kind}, history {dict(recorded[token])}")
    fail(result, "answers that were taken and are not in history", lost)
    silent = [token for token in recorded if not worked.get(token)]
    result.unanswered_tokens = len(silent)
    invented = [token for token in silent if not recorded[token]["TaskTimedOut"]]
    fail(result, "tokens answered in history by nobody", invented)


def check_left_over(found: Aftermath, result: WorkflowResult) -> None:
    """No timer, open task, answer or lease is left when everything has ended."""
    for name, count in found.left_over.items():
        if count:
            result.failures.append(f"{count} {name} left over")
    held = [one.name for one in found.executions if not one.is_free]
    fail(result, "executions that still have an owner, a lease or a wake-up", held)
