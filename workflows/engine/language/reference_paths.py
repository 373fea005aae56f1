"""Where a state puts its result (结果写入): ResultPath, a path that names exactly one place.

Source: ASL specification, Reference Paths and ResultPath.
"""

from __future__ import annotations

from typing import Any

from workflows.engine.language.errors import (
    RESULT_PATH_MATCH_FAILURE,
    DefinitionError,
    StatesError,
)
from workflows.engine.language.json_text import to_json
from workflows.engine.language.path_segments import Index, Names, Segment, cut_path

_Step = str | int


class ReferencePath:
    """A compiled reference path: names and indexes from ``$``."""

    __slots__ = ("_steps", "text")

    def __init__(self, text: str, steps: tuple[_Step, ...]) -> None:
        self.text = text
        self._steps = steps

    def put(self, document: Any, value: Any) -> Any:
        """A new document with ``value`` at this place; the given one stays as it was.

        Objects that do not exist on the way are created, arrays are not. What lies beside the way
        is shared with the given document. Raises StatesError(RESULT_PATH_MATCH_FAILURE) when a step
        meets something that is no object (or no array, for an index) or an index past the end.
        """
        if not self._steps:
            return value
        try:
            return _put(document, self._steps, 0, value)
        except LookupError:
            cause = f"Unable to apply ReferencePath {self.text} to input {to_json(document)}"
            raise StatesError(RESULT_PATH_MATCH_FAILURE, cause) from None

    def __repr__(self) -> str:
        return f"ReferencePath({self.text!r})"


def parse_reference_path(text: str) -> ReferencePath:
    """Compile a reference path; raises DefinitionError when it could name several places."""
    root, segments = cut_path(text)
    if root != "$":
        raise DefinitionError(f"Not a reference path: {text!r} must begin with $. or $[")
    return ReferencePath(text, tuple(_step(text, segment) for segment in segments))


def _step(text: str, segment: Segment) -> _Step:
    if isinstance(segment, Names) and len(segment.names) == 1:
        return segment.names[0]
    if isinstance(segment, Index) and not segment.from_end and segment.number >= 0:
        return segment.number
    raise DefinitionError(f"Not a reference path: {text!r} does not name exactly one place")


def _put(document: Any, steps: tuple[_Step, ...], depth: int, value: Any) -> Any:
    """The document with the value put in from step ``depth`` on; LookupError if it does not fit."""
    step = steps[depth]
    is_last = depth == len(steps) - 1
    if isinstance(step, str):
        if not isinstance(document, dict):
            raise LookupError(step)
        member = value if is_last else _put(document.get(step, {}), steps, depth + 1, value)
        return {**document, step: member}
    if not isinstance(document, list) or step >= len(document):
        raise LookupError(step)
    changed = document.copy()
    changed[step] = value if is_last else _put(document[step], steps, depth + 1, value)
    return changed
