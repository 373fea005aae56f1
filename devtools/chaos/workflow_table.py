"""How results of workflow runs are told (结果表); ``__main__`` prints it."""

from __future__ import annotations

from devtools.chaos.workflow_checks import WorkflowResult
from devtools.chaos.workflow_site import WORKERS


def workflow_text(result: WorkflowResult) -> str:
    """One run as a table of figures, its notes and its failures."""
    told = result.answers, result.answers_refused
    fenced = ", ".join(f"{name} {count}" for name, count in sorted(result.fenced.items()))
    statuses = ", ".join(f"{name} {count}" for name, count in sorted(result.statuses.items()))
    rows = [
        ("executions, by status", f"{result.executions}: {statuses}"),
        ("events in histories", f"{result.events}"),
        ("kills; of a worker that held something", f"{result.kills}; {result.kills_inside}"),
        ("pauses longer than the lease", f"{result.pauses}"),
        ("calls; cut off in the midst", f"{result.calls}; {result.calls_cut_off}"),
        ("steps in flight that ran again", f"{result.repeats}"),
        ("claimed before a success, begun after", f"{result.begun_late}"),
        ("tokens; that nobody answered in time", f"{result.tokens}; {result.unanswered_tokens}"),
        ("answers; refused as too late", f"{told[0]}; {told[1]}"),
        ("fenced off and the like", fenced),
        ("took", f"{result.seconds:.0f} s"),
    ]
    lines = [f"{result.run} | {result.backend}, {WORKERS} worker(s)"]
    lines += [f"  {name:<40}{value}" for name, value in rows]
    lines += [f"  note: {note}" for note in result.notes]
    lines += [f"  FAILED: {failure}" for failure in result.failures]
    return "\n".join(lines)
