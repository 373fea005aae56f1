"""What the record of a case shows of the functions that it called."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from devtools.asl_conformance.cases import Case

# What the suites' functions raise unless the record says otherwise.
USUAL_ERROR = ("Exception", "Some exception was raised.")


def walk(value: Any) -> Iterator[Any]:
    """Everything inside a value, the value first; texts that hold JSON are looked into."""
    yield value
    if isinstance(value, Mapping):
        for one in value.values():
            yield from walk(one)
    elif isinstance(value, list):
        for one in value:
            yield from walk(one)
    elif isinstance(value, str) and value[:1] in ("{", "["):
        try:
            inner = json.loads(value)
        except ValueError:
            return
        yield from walk(inner)


def holds_text(value: Any, text: str) -> bool:
    """Whether a text, or the name of a key, occurs anywhere."""
    return any(one == text or (isinstance(one, Mapping) and text in one) for one in walk(value))


def errors_raised(case: Case) -> list[tuple[str, str]]:
    """Class and message of what functions raised, the likeliest first, at least one."""
    found: list[tuple[str, str]] = []
    for one in walk(case.expected):
        if isinstance(one, Mapping) and isinstance(one.get("errorType"), str):
            found.append((one["errorType"], str(one.get("errorMessage", ""))))
    error, cause = case.expected.get("error"), case.expected.get("cause")
    if not found and isinstance(error, str) and _is_own(error):
        found.append((error, cause if isinstance(cause, str) else ""))
    named = [(name, USUAL_ERROR[1]) for name in _names_handled(case.definition)]
    return list(dict.fromkeys([*found, *([] if found else [USUAL_ERROR, *named])]))


def _is_own(error: str) -> bool:
    return error.isidentifier()  # not States.X, not Lambda.X


def _names_handled(definition: Any) -> Iterator[str]:
    for one in walk(definition):
        names = one.get("ErrorEquals") if isinstance(one, Mapping) else None
        if isinstance(names, list):
            yield from (name for name in names if isinstance(name, str) and _is_own(name))


def values_returned(case: Case) -> list[Any]:
    """What a function may have returned: payloads of lambda:invoke, results, the output."""
    if "output" not in case.expected:
        return []
    output = case.expected["output"]
    found = [
        one["Payload"]
        for one in walk(output)
        if isinstance(one, Mapping) and "Payload" in one and "ExecutedVersion" in one
    ]
    found += _results(case.definition, output)
    found.append(output)
    distinct = {json.dumps(one, sort_keys=True): one for one in found}
    return list(distinct.values())


def _results(definition: Any, output: Any) -> Iterator[Any]:
    """What stands in the output where a task writes its result."""
    for one in walk(definition):
        if not isinstance(one, Mapping) or one.get("Type") != "Task":
            continue
        path = one.get("ResultPath")
        if not isinstance(path, str) or not path.startswith("$."):
            continue
        value = output
        for key in path[2:].split("."):
            value = value.get(key, _results) if isinstance(value, Mapping) else _results
        if value is not _results:
            yield value
