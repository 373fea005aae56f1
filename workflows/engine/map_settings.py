"""What a Map reads from its input before it begins (迭代设置): items, concurrency, tolerance.

Limits and conditions are those of the developer guide, Map workflow state.
"""

from __future__ import annotations

import math
from typing import Any

from workflows.engine.language.environment import Environment
from workflows.engine.language.errors import RUNTIME, StatesError
from workflows.engine.language.paths import PathMissingError
from workflows.engine.states import Evaluates, MapState

# An inline Map runs up to 40 iterations at once, whatever MaxConcurrency says.
MOST_INLINE = 40
# A choice of ours (AWS: 10,000 child executions): all that run at once are stored together.
MOST_DISTRIBUTED = 1_000


def items(state: MapState, seen: Environment) -> list[Any]:
    """The array to iterate over."""
    found = state.items_path.evaluate(seen) if state.items_path else seen.input
    if not isinstance(found, list):
        text = state.items_path.text if state.items_path else "$"
        raise StatesError(RUNTIME, f'Reference path "{text}" must point to array.')
    return found


def concurrency(state: MapState, seen: Environment) -> int:
    """How many iterations may run at once."""
    given = _number(state.concurrency, seen, "MaxConcurrency")
    if given < 0:
        raise StatesError(RUNTIME, "The MaxConcurrency field must be a non-negative integer.")
    most = MOST_DISTRIBUTED if state.is_distributed else MOST_INLINE
    return min(int(given) or most, most)


def tolerated(state: MapState, seen: Environment, length: int) -> int:
    """How many iterations of a distributed Map may fail; of two thresholds both hold."""
    thresholds = []
    if state.tolerated_count is not None:
        count = _number(state.tolerated_count, seen, "ToleratedFailureCount")
        if count < 0:
            raise StatesError(RUNTIME, "ToleratedFailureCount cannot be negative.")
        thresholds.append(int(count))
    if state.tolerated_percentage is not None:
        percentage = _number(state.tolerated_percentage, seen, "ToleratedFailurePercentage")
        if not 0 <= percentage <= 100:
            text = "ToleratedFailurePercentage must be between 0 and 100."
            raise StatesError(RUNTIME, text)
        thresholds.append(int(length * percentage / 100))
    return min(thresholds, default=0)


def _number(given: float | Evaluates, seen: Environment, name: str) -> float:
    """A number that is fixed or read by a path."""
    if isinstance(given, int | float):
        return given
    try:
        found: Any = given.evaluate(seen)
    except PathMissingError:
        text = f"The {name}Path parameter does not reference an input value: {given.text}"
        raise StatesError(RUNTIME, text) from None
    if isinstance(found, str):
        try:
            found = float(found)
        except ValueError:
            found = None
    if isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found):
        return found
    text = f"The {name}Path parameter does not reference a number: {given.text}"
    raise StatesError(RUNTIME, text)
