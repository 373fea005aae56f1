"""Task names and their steps (任务表): what a workflow file may ask for, and who does it.

Every task of a shipped workflow calls one function, named by the substitution
``${TasksFunction}``, with a payload ``{"task": NAME, "key": ..., ...}``; the same file runs on
AWS, where that function is a Lambda. A step is ``step(house, payload, call)``; it is imported
when it is first asked for, so that a cloud function loads no more than it needs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from gongdian.errors import InputError, NotFoundError
from gongdian.wiring import House
from workflows.engine.performing import Function, TaskCall

# What ``${TasksFunction}`` stands for on this machine.
TASKS_FUNCTION = "gongdian-tasks"

Step = Callable[[House, Mapping[str, Any], TaskCall], Any]

TASKS: Mapping[str, str] = {
    "arrears.prepare": "workflows.arrears:prepare",
    "arrears.await_approval": "workflows.arrears:await_approval",
    "arrears.run": "workflows.arrears:run",
    "arrears.await_deliveries": "workflows.arrears:await_deliveries",
    "arrears.summarise": "workflows.arrears:summarise",
    "arrears.expire": "workflows.arrears:expire",
    "arrears.fail": "workflows.arrears:fail",
    "selfcheck.clock": "workflows.selfcheck:read_clock",
    "selfcheck.database": "workflows.selfcheck:count_messages",
    "selfcheck.once": "workflows.selfcheck:fail_once",
}


class HouseTasks:
    """The functions of this installation: one, which finds the step."""

    def __init__(self, house: House, tasks: Mapping[str, str] = TASKS) -> None:
        self._house = house
        self._tasks = tasks

    def find(self, name: str) -> Function | None:
        """The function of a name, or None."""
        return self._perform if name == TASKS_FUNCTION else None

    def _perform(self, event: Any, call: TaskCall) -> Any:
        name = event.get("task") if isinstance(event, dict) else None
        if not isinstance(name, str):
            raise InputError("no_task", "the payload names no task")
        return self._step(name)(self._house, event, call)

    def _step(self, name: str) -> Step:
        path = self._tasks.get(name)
        if path is None:
            raise NotFoundError("unknown_task", f"there is no task '{name}'")
        module, _, function = path.partition(":")
        step: Step = getattr(importlib.import_module(module), function)
        return step
