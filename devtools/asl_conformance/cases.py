"""Cases that AWS answered: one execution or one verdict on a definition each, read from a file.

The file is a JSON list of objects with the keys of ``Case``; what is missing has its default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

EXECUTION, VALIDATION = "execution", "validation"


@dataclass(frozen=True, slots=True)
class Case:
    """One case; ``functions`` maps ARNs to ``{"file": ..., "stub": ...}``."""

    name: str
    kind: str
    definition: Any
    expected: Mapping[str, Any]
    suite: str = ""
    area: str = ""
    aws_validated: str | None = None
    input: Any = None
    type: str = "STANDARD"
    tags: tuple[str, ...] = ()
    functions: Mapping[str, Mapping[str, str]] | None = None
    fuzzy: bool = False
    unordered: bool = False
    min_seconds: float = 0

    @property
    def is_execution(self) -> bool:
        """Whether the case is an execution (else a verdict on a definition)."""
        return self.kind == EXECUTION

    @property
    def is_jsonata(self) -> bool:
        """Whether a state of it is written in JSONata."""
        return "jsonata" in self.tags

    @property
    def definition_text(self) -> str:
        """The definition as it is sent."""
        if isinstance(self.definition, str):
            return self.definition
        return json.dumps(self.definition)

    @property
    def input_text(self) -> str:
        """The input as it is sent."""
        return json.dumps(self.input)


_KNOWN = {field.name for field in fields(Case)}


def read_cases(path: Path) -> list[Case]:
    """The cases of a file; ValueError when it is no list of cases."""
    document = json.loads(path.read_text("utf-8"))
    if not isinstance(document, list):
        raise ValueError("a file of cases is a JSON list")
    return [case_of(one) for one in document]


def case_of(given: Mapping[str, Any]) -> Case:
    """One case from its JSON object; keys that are not ours are passed over."""
    missing = {"name", "kind", "definition", "expected"} - set(given)
    if missing:
        raise ValueError(f"a case lacks {', '.join(sorted(missing))}")
    known = {
        key: value
        for key, value in given.items()
        if key in _KNOWN and (value is not None or key == "input")
    }
    # An execution without input is given an empty object, as StartExecution does.
    known.setdefault("input", {})
    known["tags"] = tuple(given.get("tags") or ())
    return Case(**known)
