"""Retry and Catch (重试与捕获).

Source: ASL specification, Errors; Developer Guide, "Handling errors in Step Functions workflows".
"""

from __future__ import annotations

from collections.abc import Sequence

from workflows.engine.language.errors import ALL
from workflows.engine.verdict.assigns import check_assign
from workflows.engine.verdict.nodes import JSONATA, JSONPATH, LARGEST_SECONDS, Node
from workflows.engine.verdict.paths import check_result_path
from workflows.engine.verdict.payloads import check_payloads

LONGEST_DELAY = 31_622_400  # a year of 366 days, in seconds

_RETRIER = (
    "Comment",
    "ErrorEquals",
    "IntervalSeconds",
    "MaxAttempts",
    "BackoffRate",
    "MaxDelaySeconds",
    "JitterStrategy",
)
_CATCHER = ("Comment", "ErrorEquals", "Next", "ResultPath", "Output", "Assign")


def check_retry(state: Node) -> None:
    """The retriers of a Task, Parallel or Map."""
    retriers = state.objects("Retry")
    _check_errors(retriers)
    for retrier in retriers:
        retrier.allow_only(_RETRIER)
        retrier.text("Comment")
        interval = retrier.integer("IntervalSeconds", 1, LARGEST_SECONDS)
        retrier.integer("MaxAttempts", 0, LARGEST_SECONDS)
        retrier.number("BackoffRate", 1.0)
        longest = retrier.integer("MaxDelaySeconds", 1, LONGEST_DELAY)
        if interval is not None and longest is not None and longest <= interval:
            retrier.refuse(
                "MaxDelaySeconds must be greater than IntervalSeconds", "MaxDelaySeconds"
            )
        retrier.choice_of("JitterStrategy", ("NONE", "FULL"))


def check_catch(state: Node, outer: frozenset[str]) -> None:
    """The catchers of a Task, Parallel or Map."""
    catchers = state.objects("Catch")
    _check_errors(catchers, "Next")
    for catcher in catchers:
        catcher.allow_only(_CATCHER)
        catcher.text("Comment")
        catcher.text("Next")
        catcher.belongs_to(JSONPATH, ["ResultPath"])
        catcher.belongs_to(JSONATA, ["Output"])
        check_assign(catcher, outer)
        if catcher.language == JSONATA:
            check_payloads(catcher, ["Output"])
        else:
            check_result_path(catcher)


def _check_errors(entries: Sequence[Node], *also_required: str) -> None:
    """ErrorEquals of each: names, at least one; States.ALL alone and in the last entry."""
    for at, entry in enumerate(entries):
        entry.require("ErrorEquals", *also_required)
        if entry.has("ErrorEquals"):
            _check_names(entry, is_last=at == len(entries) - 1)


def _check_names(entry: Node, is_last: bool) -> None:
    names = entry.fields["ErrorEquals"]
    if not isinstance(names, list):
        entry.refuse("Expected value of type [ARRAY]", "ErrorEquals")
        return
    if not names:
        entry.refuse("Value cannot be empty", "ErrorEquals")
    for position, name in enumerate(names):
        place = f"ErrorEquals[{position}]"
        if not isinstance(name, str):
            entry.refuse("Expected value of type [STRING]", place)
        elif name == ALL and not (is_last and len(names) == 1):
            entry.refuse("States.ALL must appear alone and at end of list", place)
