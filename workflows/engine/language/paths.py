"""JSONPath as AWS Step Functions reads it (路径求值): compiled once, read very often.

A definite path (names and indexes) is a tuple of steps that we walk ourselves; what can find
several nodes goes to python-jsonpath, over which we lay AWS's rules: always a list, empty when
nothing on the way exists, and ``[n]`` after it picks from the list. Sources: ASL specification,
Paths; AWS documentation, "Using JSONPath paths"; answers of AWS in the conformance cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import jsonpath

from workflows.engine.language.environment import Environment
from workflows.engine.language.errors import DefinitionError
from workflows.engine.language.path_segments import (
    Index,
    Length,
    Many,
    Names,
    Segment,
    cut_path,
    quoted,
)
from workflows.engine.language.reference_paths import ReferencePath, parse_reference_path

__all__ = ["Path", "PathMissingError", "ReferencePath", "parse_path", "parse_reference_path"]

# Steps: a str is a member, an int an index (below zero: from the end), None finds nothing. AWS
# finds nothing at [-1], but takes [(@.length-1)].
Step = str | int | None
Stage = Callable[[Any], Any]

_MISSES: Final = (LookupError, TypeError)


class PathMissingError(LookupError):
    """A definite path found nothing: ``path`` is its text, ``document`` what was searched.

    ``reason`` tells the place as AWS's JSONPath library does: ``No results for path: $['a']``.
    When the path's variable does not exist, ``document`` is the input.
    """

    def __init__(self, path: str, document: Any, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.document = document
        self.reason = reason


class Path:
    """A compiled JSONPath. ``root`` is "$", "$$" or a variable's name without its "$"."""

    __slots__ = ("_indexed", "_stages", "_steps", "is_definite", "root", "text")

    def __init__(self, text: str, root: str, segments: Sequence[Segment]) -> None:
        self.text = text
        self.root = root
        # A filter that looks at $ needs the whole document, so nothing may be walked beforehand.
        from_root = any(isinstance(segment, Many) and "$" in segment.query for segment in segments)
        count = 0 if from_root else _definite_length(segments)
        self._steps: tuple[Step, ...] = tuple(_step(segment) for segment in segments[:count])
        self._indexed = any(not isinstance(step, str) for step in self._steps)
        self._stages = _whole_query(segments) if from_root else _stages(segments[count:])
        self.is_definite = not any(isinstance(stage, _Query) for stage in self._stages)

    def read(self, environment: Environment) -> Any:
        """What the path finds: a value, or for an indefinite path a new list.

        Raises PathMissingError when a definite path finds nothing or its variable does not exist.
        """
        root = self.root
        if root == "$":
            document = environment.input
        elif root == "$$":
            document = environment.context()
        else:
            try:
                document = environment.variables[root]
            except KeyError:
                reason = f"The variable '${root}' does not exist"
                raise PathMissingError(self.text, environment.input, reason) from None
        return self.find(document)

    def find(self, document: Any) -> Any:
        """What the path finds in this document, whatever its root; raises PathMissingError."""
        value = document
        try:
            if self._indexed:
                for step in self._steps:
                    if value.__class__ is str:
                        raise TypeError  # "abc"[0] is a character in Python, nothing in JSONPath
                    value = value[step]
            else:
                for step in self._steps:
                    value = value[step]
        except _MISSES:
            if self._stages and isinstance(self._stages[0], _Query):
                value = None  # AWS: $.items[*] on {} is an empty list
            else:
                reason = _reason(self.text, document, self._steps)
                raise PathMissingError(self.text, document, reason) from None
        for stage in self._stages:
            try:
                value = stage(value)
            except _MISSES:
                reason = f"No results for path: {self.text}"
                raise PathMissingError(self.text, document, reason) from None
        return value

    def __repr__(self) -> str:
        return f"Path({self.text!r})"


def parse_path(text: str) -> Path:
    """Compile a JSONPath; raises DefinitionError when the text is none."""
    root, segments = cut_path(text)
    return Path(text, root, segments)


def _definite_length(segments: Sequence[Segment]) -> int:
    for count, segment in enumerate(segments):
        if not isinstance(segment, Index) and not (
            isinstance(segment, Names) and len(segment.names) == 1
        ):
            return count
    return len(segments)


def _step(segment: Segment) -> Step:
    if isinstance(segment, Names):
        return segment.names[0]
    assert isinstance(segment, Index)  # noqa: S101 -- _definite_length let nothing else through
    if segment.from_end:
        return -segment.number if segment.number else None
    return segment.number if segment.number >= 0 else None


class _Query:
    """A part of a path that finds several nodes: a value becomes the list of what it finds."""

    __slots__ = ("_compiled",)

    def __init__(self, query: str) -> None:
        try:
            self._compiled = jsonpath.compile("$" + query)
        except jsonpath.JSONPathError as error:
            raise DefinitionError(f"Not a JSONPath: {query!r}: {error.args[0]}") from error

    def __call__(self, value: Any) -> list[Any]:
        if not isinstance(value, (Mapping, list)):
            return []
        try:
            return self._compiled.findall(value)
        except jsonpath.JSONPathError as error:  # such as a path nested too deeply
            raise LookupError(str(error)) from error


class _Walk:
    """Definite steps after an index that picked from a list."""

    __slots__ = ("_steps",)

    def __init__(self, steps: Iterable[Step]) -> None:
        self._steps = tuple(steps)

    def __call__(self, value: Any) -> Any:
        for step in self._steps:
            if isinstance(value, str):
                raise TypeError
            value = value[step]
        return value


class _Members:
    """``['a','b']`` at the end of a path: an object with those of the members that exist."""

    __slots__ = ("_each", "_names")

    def __init__(self, names: tuple[str, ...], *, each: bool) -> None:
        self._names = names
        self._each = each

    def __call__(self, value: Any) -> Any:
        if self._each:
            return [self._choose(item) for item in value if isinstance(item, Mapping)]
        if not isinstance(value, Mapping):
            raise TypeError
        return self._choose(value)

    def _choose(self, value: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value[name] for name in self._names if name in value}


def _stages(segments: Sequence[Segment]) -> tuple[Stage, ...]:
    """What is done with the value to which the definite beginning of the path led."""
    stages: list[Stage] = []
    query = ""
    last = len(segments) - 1
    for number, segment in enumerate(segments):
        ends_in_members = number == last and isinstance(segment, Names) and len(segment.names) > 1
        if query and (ends_in_members or isinstance(segment, (Index, Length))):
            stages.append(_Query(query))
            query = ""
            in_list = True
        else:
            in_list = False
        if ends_in_members and isinstance(segment, Names):
            stages.append(_Members(segment.names, each=in_list))
        elif isinstance(segment, Length):
            stages.append(_length)
        elif isinstance(segment, Index) or (stages and not query and _is_name(segment)):
            stages.append(_Walk((_step(segment),)))
        else:
            query += _query_text(segment)
    if query:
        stages.append(_Query(query))
    return tuple(stages)


def _whole_query(segments: Sequence[Segment]) -> tuple[Stage, ...]:
    length = (_length,) if segments and isinstance(segments[-1], Length) else ()
    rest = segments[: len(segments) - len(length)]
    return (_Query("".join(map(_query_text, rest))), *length)


def _is_name(segment: Segment) -> bool:
    return isinstance(segment, Names) and len(segment.names) == 1


def _query_text(segment: Segment) -> str:
    if isinstance(segment, Many):
        return segment.query
    if isinstance(segment, Index):
        return f"[{-segment.number if segment.from_end else segment.number}]"
    assert isinstance(segment, Names)  # noqa: S101 -- length only ends a path
    if len(segment.names) == 1:
        return quoted(segment.names[0])
    return "[" + ",".join(quoted(name)[1:-1] for name in segment.names) + "]"


def _length(value: Any) -> int:
    """``.length()``: elements of an array, members of an object."""
    if not isinstance(value, (list, Mapping)):
        raise TypeError
    return len(value)


def _reason(text: str, document: Any, steps: Sequence[Step]) -> str:
    """Where a walk that failed came to its end, in the words of AWS's JSONPath library."""
    if None in steps:
        return f"No results for path: {text}"
    value = document
    walked = "$"
    for number, step in enumerate(steps):
        try:
            following = value[step] if not isinstance(value, str) else None
            missing = isinstance(value, str)
        except _MISSES:
            following, missing = None, True
        here = walked + (quoted(step) if isinstance(step, str) else f"[{step}]")
        if missing:
            if number == len(steps) - 1 or not isinstance(step, str):
                break
            return f"Missing property in path {here}"
        value, walked = following, here
    whole = "".join(quoted(step) if isinstance(step, str) else f"[{step}]" for step in steps)
    return f"No results for path: ${whole}"
