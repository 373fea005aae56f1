"""The runs of the workflow engine (流程引擎的破坏): kills; pauses and clocks that jump."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial

from devtools.chaos.ground import open_ground
from devtools.chaos.site import StuckError
from devtools.chaos.workflow_checks import WorkflowResult, compare
from devtools.chaos.workflow_evidence import count_log, gather
from devtools.chaos.workflow_machines import SHAPES, TWO_DAYS_S
from devtools.chaos.workflow_site import (
    LOT,
    WorkflowPlan,
    WorkflowSite,
    running_site,
)

_HOUR_S = 3600.0
_LONG_ONES = 20
_TAKEN_OVER_S = 6.0
_WITHOUT_END = 10**9
_TRIES = 50


def worker_kill_run(plan: WorkflowPlan, backend: str) -> WorkflowResult:
    """Everything runs while workers are killed again and again."""
    return _play(plan, backend, _kill_while_running)


def clock_run(plan: WorkflowPlan, backend: str) -> WorkflowResult:
    """Workers are paused for longer than their leases, then the clock jumps."""
    return _play(plan, backend, _pause_and_jump)


def _play(
    plan: WorkflowPlan, backend: str, damage: Callable[[WorkflowSite], None]
) -> WorkflowResult:
    began = time.monotonic()
    result = WorkflowResult(plan.title, backend)
    with open_ground(backend) as ground:
        with running_site(plan, ground) as site:
            try:
                damage(site)
                site.wait_for_the_end()
            except StuckError as error:
                result.failures.append(str(error))
            compare(gather(site), result)
            result.kills, result.kills_inside = site.kills, site.kills_inside
            result.pauses, result.notes = site.pauses, site.notes
            if site.kills < plan.kills:
                result.failures.append(f"only {site.kills} kills fell before the end")
        result.fenced = count_log(ground.folder)
        result.failures += site.crew.fallen + site.crew.tracebacks()
        if plan.pauses and not result.fenced["executions_fenced"]:
            result.failures.append("no worker was fenced off: the pauses prove nothing")
    result.seconds = time.monotonic() - began
    return result


def _kill_while_running(site: WorkflowSite) -> None:
    """The way is cut into equal parts and one moment is drawn in each."""
    last, kills = site.plan.executions * 0.96, site.plan.kills
    for number in range(kills):
        goal = int(last * (number + site.dice.random()) / kills)
        site.wait_until(partial(_is_past, site, goal), f"execution {goal}")
        time.sleep(site.dice.random() * 0.1)
        site.kill_one()


def _is_past(site: WorkflowSite, goal: int) -> bool:
    return site.ended() >= goal


def _pause_and_jump(site: WorkflowSite) -> None:
    site.start_long(_LONG_ONES)
    _pause_again_and_again(site)
    # Forward, back, and to before the beginning: what waits in between waits on for an hour.
    for offset in (_HOUR_S, 0.0, -_HOUR_S):
        _go_on(site, site.plan.executions // 5)
        site.shift_clock(offset)
    _go_on(site, site.plan.executions // 5)
    time.sleep(2.0)
    waiting = site.open()
    site.shift_clock(TWO_DAYS_S + _HOUR_S)
    site.notes.append(f"{waiting} executions waited until the clock was two days further")


def _go_on(site: WorkflowSite, count: int) -> None:
    """Start so many more, and give them a moment in which they are under way."""
    while count > 0:
        site.start([site.dice.choice(SHAPES) for _ in range(min(count, LOT))])
        count -= LOT
    time.sleep(0.3 + site.dice.random())


def _pause_again_and_again(site: WorkflowSite) -> None:
    """Each pause is one of a worker that held an execution and performed a task."""
    site.goal = _WITHOUT_END
    for _ in range(site.plan.pauses):
        site.wait_until(lambda: _pause_one(site), "a pause of a worker that held something")
        site.pauses += 1
        time.sleep(site.dice.random() * 0.5)
    site.goal = site.fed


def _pause_one(site: WorkflowSite) -> bool:
    """Try for a moment: leases of executions are held for milliseconds only."""
    return any(_pause(site) for _ in range(_TRIES))


def _pause(site: WorkflowSite) -> bool:
    """Stop a worker for longer than its lease; False when it held too little to be worth it."""
    victim = site.dice.choice(site.crew.workers())
    site.crew.signal(victim, signal.SIGSTOP)
    try:
        executions, tasks = site.held_by(victim)
        if not executions or not tasks or not site.blocks_nobody(victim):
            return False
        end = time.monotonic() + _TAKEN_OVER_S
        while time.monotonic() < end and site.held_by(victim) != (0, 0):
            site.feed()
            time.sleep(0.1)
        time.sleep(0.3)
        return True
    finally:
        site.crew.signal(victim, signal.SIGCONT)
        time.sleep(0.003)
