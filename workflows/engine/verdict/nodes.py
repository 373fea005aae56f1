"""An object of a definition with its place (节点), and the checks that all subjects share.

Messages are AWS's own where they are known ("These fields are required: [Next]", "Field 'X' is
not supported", "Minimum value is 0").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from workflows.engine.verdict.diagnostics import Report

JSONPATH = "JSONPath"
JSONATA = "JSONata"

LARGEST_SECONDS = 99_999_999


@dataclass
class Machine:
    """What holds for the whole definition while it is walked."""

    report: Report
    is_express: bool = False
    language: str = JSONPATH
    state_names: set[str] = field(default_factory=set)
    labels: set[str] = field(default_factory=set)


def is_jsonata_text(value: Any) -> bool:
    """Whether a value is a JSONata string: ``{% ... %}``."""
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}")


def listed(names: Iterable[str]) -> str:
    """Names as AWS lists them: ``[States, StartAt]``."""
    return f"[{', '.join(names)}]"


@dataclass(frozen=True)
class Node:
    """An object, where it stands and the query language that holds in it."""

    fields: Mapping[str, Any]
    location: str
    language: str
    machine: Machine

    def refuse(self, message: str, name: str | None = None) -> None:
        """Note an error of this object, or of one of its fields."""
        self.machine.report.schema(self.place(name), message)

    def place(self, name: str | None = None) -> str:
        """The location of this object, or of one of its fields."""
        if name is None:
            return self.location or "/"
        return f"{self.location}/{name}"

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self.fields

    def require(self, *names: str) -> bool:
        """All of the fields must be there."""
        missing = [name for name in names if name not in self.fields]
        if missing:
            self.refuse(f"These fields are required: {listed(missing)}")
        return not missing

    def allow_only(self, known: Iterable[str]) -> None:
        """No field but the known ones."""
        allowed = frozenset(known)
        for name in (name for name in self.fields if name not in allowed):
            self.refuse(f"Field '{name}' is not supported")

    def at_most_one(self, *names: str) -> None:
        """The fields exclude each other."""
        if sum(name in self.fields for name in names) > 1:
            self.refuse(f"There should only be one of the following fields: {listed(names)}")

    def exactly_one(self, *names: str) -> bool:
        """One of the fields, no more."""
        self.at_most_one(*names)
        if any(name in self.fields for name in names):
            return True
        self.refuse(f"This object should have only one of the following fields: {listed(names)}")
        return False

    def text(self, name: str) -> str | None:
        """A field that must be a string; None when it is not there or is something else."""
        value: str | None = self._typed(name, str, "STRING")
        return value

    def flag(self, name: str) -> None:
        """A field that must be true or false."""
        self._typed(name, bool, "BOOLEAN")

    def choice_of(self, name: str, values: Sequence[str]) -> str | None:
        """A field that must be one of some strings."""
        value = self.text(name)
        if value is None or value in values:
            return value
        self.refuse(f"Value should be one of the following: {listed(values)}", name)
        return None

    def integer(
        self, name: str, low: int = 0, high: int | None = None, dynamic: bool = False
    ) -> int | None:
        """A whole number within bounds; ``dynamic`` lets a JSONata state compute it."""
        value = self.fields.get(name)
        if not self.has(name) or (dynamic and self._is_computed(name)):
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
            self.refuse("Expected value of type [INTEGER]", name)
            return None
        self._check_bounds(name, value, low, high)
        return int(value)

    def number(
        self, name: str, low: float, high: float | None = None, dynamic: bool = False
    ) -> None:
        """A number within bounds, otherwise as ``integer``."""
        value = self.fields.get(name)
        if not self.has(name) or (dynamic and self._is_computed(name)):
            return
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            self.refuse("Expected value of type [NUMBER]", name)
            return
        self._check_bounds(name, value, low, high)

    def object(self, name: str) -> Node | None:
        """The node of a field that must be an object; None when it is absent or no object."""
        value = self._typed(name, Mapping, "OBJECT")
        return None if value is None else Node(value, self.place(name), self.language, self.machine)

    def objects(self, name: str, nonempty: bool = False) -> list[Node]:
        """The nodes of a field that must be a list of objects."""
        values = self._typed(name, list, "ARRAY")
        if nonempty and values == []:
            self.refuse("Value cannot be empty", name)
        return [
            Node(value, self.place(f"{name}[{at}]"), self.language, self.machine)
            for at, value in enumerate(values or [])
            if self._is_object(value, f"{name}[{at}]")
        ]

    def belongs_to(self, language: str, names: Iterable[str]) -> None:
        """Fields that exist in one query language only."""
        if self.language == language:
            return
        for name in names:
            if name in self.fields:
                self.refuse(
                    f"The QueryLanguage is set to '{self.language}', but field '{name}' is only "
                    f"supported for the '{language}' QueryLanguage"
                )

    def _is_computed(self, name: str) -> bool:
        """Whether a JSONata state gives a string there; a string that is no JSONata is refused."""
        value = self.fields[name]
        if self.language != JSONATA or not isinstance(value, str):
            return False
        if not is_jsonata_text(value):
            self.refuse("JSONata string must start with {% and end with %}", name)
        return True

    def _is_object(self, value: Any, name: str) -> bool:
        if isinstance(value, Mapping):
            return True
        self.refuse("Expected value of type [OBJECT]", name)
        return False

    def _typed(self, name: str, kind: type[Any], called: str) -> Any:
        if name not in self.fields:
            return None
        value = self.fields[name]
        if isinstance(value, kind):
            return value
        self.refuse(f"Expected value of type [{called}]", name)
        return None

    def _check_bounds(self, name: str, value: float, low: float, high: float | None) -> None:
        if value < low:
            self.refuse(f"Minimum value is {low}", name)
        elif high is not None and value > high:
            self.refuse(f"Maximum value is {high}", name)
