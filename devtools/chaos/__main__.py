"""``python -m devtools.chaos``: break things while messages go out, and see what comes of it."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

from devtools.chaos.checks import Result
from devtools.chaos.runs import fallback_run, fault_run, kill_run, redis_run
from devtools.chaos.site import Plan
from devtools.chaos.table import result_text
from devtools.chaos.workflow_checks import WorkflowResult
from devtools.chaos.workflow_runs import clock_run, worker_kill_run
from devtools.chaos.workflow_site import WorkflowPlan
from devtools.chaos.workflow_table import workflow_text
from gongdian.logs import set_up_logs

AnyResult = Result | WorkflowResult
Run = Callable[[], AnyResult]
# With one worker a kill stops everything: B and E take too long there for a quick look.
_SHORT_ON_BOTH = "AC"


def main() -> int:
    """Run everything; 1 when a promise was broken."""
    options = _options()
    set_up_logs("ERROR")
    began = time.monotonic()
    results = []
    with ThreadPoolExecutor(options.lanes) as lanes:
        for future in [lanes.submit(run) for run in _runs(options)]:
            results.append(future.result())
            print(_text(results[-1]), end="\n\n", flush=True)
    if options.json:
        rows = [asdict(result) for result in results]
        options.json.write_text(json.dumps(rows, ensure_ascii=False, indent=1), "utf-8")
    failed = sum(bool(result.failures) for result in results)
    print(f"took {time.monotonic() - began:.0f} s")
    print(f"chaos: {len(results)} runs, {failed} failed")
    return 1 if failed else 0


def _text(result: AnyResult) -> str:
    return workflow_text(result) if isinstance(result, WorkflowResult) else result_text(result)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m devtools.chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="600 messages, 8 kills, 6 lanes")
    parser.add_argument("--backend", choices=("sqlite", "mariadb", "both"), default="both")
    parser.add_argument("--messages", type=int, help="messages of a kill run (5000)")
    parser.add_argument("--kills", type=int, help="kills of a kill run (50)")
    parser.add_argument(
        "--executions", type=int, help="executions of run F (2000); G has about half"
    )
    parser.add_argument("--worker-kills", type=int, help="kills of run F (100)")
    parser.add_argument("--only", default="ABCDEFG", help="letters of the runs, such as AE")
    parser.add_argument("--lanes", type=int, help="runs at the same time (3)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments, victims and faults")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    usual = (600, 8, 6) if options.short else (5000, 50, 3)
    options.messages = options.messages or usual[0]
    options.kills = usual[1] if options.kills is None else options.kills
    options.lanes = options.lanes or usual[2]
    workflows = (200, 12) if options.short else (2000, 100)
    options.executions = options.executions or workflows[0]
    if options.worker_kills is None:
        options.worker_kills = workflows[1]
    return options


def _runs(options: argparse.Namespace) -> list[Run]:
    """The longest first; runs of both backends side by side, in short not of each."""
    backends = ("sqlite", "mariadb") if options.backend == "both" else (options.backend,)
    few = max(180, options.messages // 5)
    killed = partial(Plan, messages=options.messages, kills=options.kills, seed=options.seed)
    broken = partial(Plan, messages=few, seed=options.seed)
    # A killed worker keeps the receipts that it was reading for a minute: wait longer for them,
    # with many kills for two such workers.
    receipt_s = 70.0 if options.short else 150.0
    half = 2 if options.short else 1
    other_channels = partial(
        Plan,
        messages=options.messages // half,
        kills=options.kills // half,
        seed=options.seed,
        with_fallback=True,
        receipt_timeout_s=receipt_s,
    )
    plans: list[tuple[Callable[[Plan, str], Result], Plan]] = [
        (fallback_run, other_channels("E kills with fallback on")),
        (fault_run, broken("C faults of the platform")),
        (kill_run, killed("A kills")),
        (kill_run, killed("B kills, ids ignored", honours_id=False)),
    ]
    runs: list[Run] = [
        partial(_guarded, run, plan, backend)
        for run, plan in plans
        for backend in backends
        if plan.title[0] in options.only
        and (not options.short or plan.title[0] in _SHORT_ON_BOTH or backend == backends[-1])
    ]
    if "mariadb" in backends and "D" in options.only:
        if shutil.which("redis-server"):
            plan = broken("D Redis gone for good", answer_s=0.1)
            runs.append(partial(_guarded, redis_run, plan, "mariadb"))
        else:
            print("D Redis gone for good: left out, there is no redis-server here", flush=True)
    return runs + _workflow_runs(options, backends)


def _workflow_runs(options: argparse.Namespace, backends: tuple[str, ...]) -> list[Run]:
    """The runs of the workflow engine: every one on every backend, in short too."""
    open_at_once = 60 if options.short else 150
    plan = partial(WorkflowPlan, seed=options.seed)
    killed = plan(
        "F workflow workers killed",
        options.executions,
        kills=options.worker_kills,
        in_flight=open_at_once,
    )
    jumped = plan(
        "G workflow workers paused, clock",
        options.executions // 2,
        pauses=3 if options.short else 15,
        in_flight=60,
    )
    plans = ((worker_kill_run, killed), (clock_run, jumped))
    return [
        partial(_guarded_workflow, run, one, backend)
        for run, one in plans
        for backend in backends
        if one.title[0] in options.only
    ]


def _guarded_workflow(
    run: Callable[[WorkflowPlan, str], WorkflowResult], plan: WorkflowPlan, backend: str
) -> WorkflowResult:
    try:
        return run(plan, backend)
    except Exception as error:  # noqa: BLE001 - one broken run must not hide the others
        traceback.print_exc()
        failure = f"{type(error).__name__}: {error}"
        return WorkflowResult(plan.title, backend, failures=[failure])


def _guarded(run: Callable[[Plan, str], Result], plan: Plan, backend: str) -> Result:
    try:
        return run(plan, backend)
    except Exception as error:  # noqa: BLE001 - one broken run must not hide the others
        traceback.print_exc()
        failure = f"{type(error).__name__}: {error}"
        return Result(plan.title, backend, 0, plan.honours_id, failures=[failure])


if __name__ == "__main__":
    sys.exit(main())
