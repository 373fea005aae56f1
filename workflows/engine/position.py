"""The position of an execution as JSON text (执行位置存取), so that any worker can go on from it.

What several scopes share, the variables and the input of branches, is written once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workflows.engine.documents import Document, joined, to_json
from workflows.engine.scopes import Scope, scope_from_json, scope_to_json

if TYPE_CHECKING:
    from workflows.engine.run import Run

# Characters of a position: far above what the limits of a document allow to be of use.
LARGEST_POSITION = 8_000_000


class _Pool:
    """Texts of values, each value once; the places are their names."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.size = 0
        self._places: dict[int, int] = {}

    def document(self, document: Document) -> int:
        """The place of a document's value."""
        return self._place(document.value, document)

    def value(self, value: Any) -> int:
        """The place of a value."""
        return self._place(value, None)

    def _place(self, value: Any, document: Document | None) -> int:
        # The scopes hold the values, so that no identity is used twice meanwhile.
        place = self._places.get(id(value))
        if place is None:
            text = to_json(value) if document is None else document.text
            place = self._places[id(value)] = len(self.texts)
            self.texts.append(text)
            self.size += len(text)
        return place


def write_position(run: Run) -> str:
    """The position as JSON text; "" when it is larger than can be stored."""
    pool = _Pool()
    scopes: list[str] = []
    size = 0
    for scope in run.scopes.values():
        packed = scope_to_json(scope, pool.document(scope.input), pool.value(scope.variables))
        scopes.append(to_json(packed))
        size += len(scopes[-1])
        # Asked for every scope, so that no text is ever made that is far too large.
        if size + pool.size > LARGEST_POSITION:
            return ""
    return joined(
        {
            "counter": str(run.counter),
            "ready": to_json(list(run.ready)),
            "scopes": f"[{','.join(scopes)}]",
            "pool": f"[{','.join(pool.texts)}]",
        }
    )


def read_position(run: Run, position: Mapping[str, Any]) -> None:
    """Put a run where a position says."""
    run.counter = position["counter"]
    run.ready = deque(position["ready"])
    pool = position["pool"]
    documents: dict[int, Document] = {}
    run.scopes = {}
    for packed in position["scopes"]:
        scope = _scope(packed, pool, documents)
        run.scopes[scope.id] = scope


def _scope(packed: list[Any], pool: list[Any], documents: dict[int, Document]) -> Scope:
    *rest, input, variables = packed
    if input not in documents:
        documents[input] = Document(pool[input])
    return scope_from_json(rest, documents[input], pool[variables])
