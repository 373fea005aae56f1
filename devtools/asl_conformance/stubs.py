"""Lambda functions that a case calls: what they do is known by a word, or seen in the record.

``echo``, ``raise`` and ``sleep`` say it. Of ``constant`` and ``small python`` only the file's
name and the recorded answer are known: the values that the record shows are offered one after
the other, the likeliest first.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice, product
from typing import Any

from devtools.asl_conformance.cases import Case
from devtools.asl_conformance.comparing import first_difference
from devtools.asl_conformance.records import errors_raised, holds_text, values_returned
from workflows.engine.performing import Function, TaskCall
from workflows.engine.resources import function_name

_TOO_LARGE = "a" * 300_000
_MOST_TABLES = 12
_KINDS = {"large": "large", "raise": "raise", "wait_": "sleep", "sleep": "sleep", "echo": "echo"}
_SLEEP_S = 60.0


@dataclass(slots=True)
class Sleepers:
    """Functions that sleep on a clock that does not run by itself."""

    now: Callable[[], datetime]
    _ends: list[datetime] = field(default_factory=list)
    _woken: threading.Condition = field(default_factory=threading.Condition)
    _case: int = 0

    def sleep(self, seconds: float) -> None:
        """Return when the clock has moved this far, or everybody is sent home."""
        with self._woken:
            case, end = self._case, self.now() + timedelta(seconds=seconds)
            self._ends.append(end)
            self._woken.wait_for(lambda: self._case != case or self.now() >= end)
            if self._case == case:
                self._ends.remove(end)

    def look(self) -> None:
        """The clock was moved."""
        with self._woken:
            self._woken.notify_all()

    def send_home(self) -> None:
        """The case is over."""
        with self._woken:
            self._case += 1
            self._ends.clear()
            self._woken.notify_all()

    def state(self) -> tuple[int, datetime | None]:
        """How many still have to sleep, and when the first wakes."""
        with self._woken:
            now = self.now()
            ends = [end for end in self._ends if end > now]
        return len(ends), min(ends, default=None)


Table = Mapping[str, Function]


def tables(case: Case, sleepers: Sleepers) -> Iterator[Table]:
    """Tables of functions for a case by plain name, the likeliest first, at least one."""
    functions = case.functions or {}
    names = [function_name(arn) for arn in functions]
    offers = [_offers(case, stub, sleepers) for stub in functions.values()]
    for chosen in islice(product(*offers), _MOST_TABLES):
        yield dict(zip(names, chosen, strict=True))


def _offers(case: Case, stub: Mapping[str, str], sleepers: Sleepers) -> list[Function]:
    file = stub.get("file", "").rpartition("/")[2]
    kind = _kind_of(stub.get("stub", ""), file)
    if kind == "sleep":
        return [_sleeping(sleepers, _seconds_of(file), values_returned(case))]
    if kind == "raise":
        return [_raising(*one) for one in errors_raised(case)]
    if kind == "echo":
        return [_echo]
    if kind == "large" or holds_text(case.expected, "States.DataLimitExceeded"):
        return [_giving(_TOO_LARGE)]
    return _inferred(case)


def _kind_of(given: str, file: str) -> str:
    """The word of the case, or what the file's name says."""
    if given in ("echo", "raise", "sleep"):
        return given
    return next((kind for part, kind in _KINDS.items() if part in file), "")


def _inferred(case: Case) -> list[Function]:
    values = values_returned(case)
    rehearsal = _Rehearsal()
    offers: list[Function] = [_giving(value) for value in values]
    offers.append(rehearsal.echo)
    offers += [rehearsal.giving_each(value) for value in values if isinstance(value, list)]
    if holds_text(case.expected, "errorType"):
        offers = [*(_raising(*one) for one in errors_raised(case)), *offers]
    return offers


def _echo(event: Any, _call: TaskCall) -> Any:
    return event


def _giving(value: Any) -> Function:
    return lambda _event, _call: value


def _raising(kind: str, message: str) -> Function:
    exception = type(kind, (Exception,), {})

    def raising(_event: Any, _call: TaskCall) -> Any:
        raise exception(message)

    return raising


def _seconds_of(file: str) -> float:
    """``wait_60_seconds.py`` says 60."""
    found = re.search(r"\d+", file)
    return float(found[0]) if found else _SLEEP_S


def _sleeping(sleepers: Sleepers, seconds: float, values: list[Any]) -> Function:
    def sleeping(_event: Any, _call: TaskCall) -> Any:
        sleepers.sleep(seconds)
        return values[0] if values else None

    return sleeping


class _Rehearsal:
    """Learns with which events a function is called, to give each the value at its place."""

    def __init__(self) -> None:
        self._calls: dict[int, Any] = {}

    def echo(self, event: Any, call: TaskCall) -> Any:
        """Return the event and remember it by the state's entry, which is the key's end."""
        self._calls[int(call.key.rpartition(":")[2])] = event
        return event

    def giving_each(self, values: list[Any]) -> Function:
        """The function that gives the n-th value to the n-th event of the rehearsal."""

        def giving(event: Any, _call: TaskCall) -> Any:
            events = [self._calls[entry] for entry in sorted(self._calls)]
            for known, value in zip(events, values, strict=False):
                if not first_difference(event, known):
                    return value
            raise LookupError(f"no value for {json.dumps(event)}")

        return giving
