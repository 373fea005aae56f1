"""What is printed and written of a whole file: the table, the differences, the JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from devtools.asl_conformance.outcomes import Result
from devtools.asl_conformance.verdicts import Verdict

_HEADINGS = (
    "area",
    "executions passed",
    "event sequences as recorded",
    "refused definitions as recorded",
)


@dataclass(slots=True)
class Share:
    """So many of so many."""

    right: int = 0
    of: int = 0

    def add(self, is_right: bool) -> None:
        """Count one more."""
        self.right += is_right
        self.of += 1

    def __str__(self) -> str:
        return f"{self.right}/{self.of}" if self.of else "-"


@dataclass(slots=True)
class Row:
    """The figures of one area."""

    executions: Share = field(default_factory=Share)
    events: Share = field(default_factory=Share)
    verdicts: Share = field(default_factory=Share)

    def add(self, other: Row) -> None:
        """Add another row's figures."""
        for mine, theirs in zip(self._shares, other._shares, strict=True):
            mine.right += theirs.right
            mine.of += theirs.of

    @property
    def _shares(self) -> tuple[Share, Share, Share]:
        return self.executions, self.events, self.verdicts

    @property
    def cells(self) -> tuple[str, str, str]:
        """The figures as text."""
        executions, events, verdicts = (str(share) for share in self._shares)
        return executions, events, verdicts


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that came of a file; ``accepted`` judges the executions' definitions."""

    results: Sequence[Result]
    verdicts: Sequence[Verdict]
    accepted: Sequence[Verdict]

    @property
    def jsonpath(self) -> list[Result]:
        """The executions that count."""
        return [one for one in self.results if not one.case.is_jsonata]

    @property
    def jsonata(self) -> list[Result]:
        """The executions that are counted separately."""
        return [one for one in self.results if one.case.is_jsonata]

    @property
    def passed(self) -> Share:
        """JSONPath executions as recorded."""
        return _share(one.has_passed for one in self.jsonpath)

    @property
    def is_all_right(self) -> bool:
        """Whether every JSONPath execution and every counted verdict is as recorded."""
        verdicts = [*self.verdicts, *self.accepted]
        return self.passed.right == self.passed.of and not any(one.difference for one in verdicts)

    def refused_by_aws(self) -> Share:
        """Definitions that AWS itself refused on a known day, and that are refused here."""
        return _share(
            one.is_as_recorded
            for one in self.verdicts
            if one.case.aws_validated and one.recorded == "refused"
        )

    def accepted_by_aws(self) -> Share:
        """Definitions of executions, and how many are accepted here."""
        return _share(one.is_as_recorded for one in self.accepted)

    def rows(self) -> dict[str, Row]:
        """The figures by area, sorted."""
        rows: dict[str, Row] = defaultdict(Row)
        for result in self.jsonpath:
            row = rows[result.case.area]
            row.executions.add(result.has_passed)
            if result.event_difference is not None:
                row.events.add(not result.event_difference)
        for verdict in self.verdicts:
            if verdict.is_counted:
                rows[verdict.case.area].verdicts.add(verdict.is_as_recorded)
        return dict(sorted(rows.items()))


def _share(answers: Iterable[bool]) -> Share:
    share = Share()
    for answer in answers:
        share.add(answer)
    return share


def report_lines(report: Report) -> Iterator[str]:
    """The whole text, the last line ``passed N of M``."""
    yield from table_lines(report.rows())
    yield from difference_lines(report)
    yield ""
    if report.jsonata:
        unsupported = sum(one.outcome.is_unsupported for one in report.jsonata)
        passed = sum(one.has_passed for one in report.jsonata)
        yield (
            f"JSONata: {len(report.jsonata)} executions, not counted below: "
            f"{unsupported} not supported yet (refused at load), {passed} passed"
        )
    refused, accepted = report.refused_by_aws(), report.accepted_by_aws()
    yield f"refused as AWS refused: {refused.right} of {refused.of}"
    yield f"accepted as AWS accepted: {accepted.right} of {accepted.of}"
    yield f"passed {report.passed.right} of {report.passed.of}"


def table_lines(rows: dict[str, Row]) -> Iterator[str]:
    """The table by area, with totals."""
    total = Row()
    for row in rows.values():
        total.add(row)
    lines = [_HEADINGS, *((area, *row.cells) for area, row in rows.items())]
    lines.append(("total", *total.cells))
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    for line in lines:
        first, *others = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        yield "  ".join((first, *others)).rstrip()


def difference_lines(report: Report) -> Iterator[str]:
    """Each case that is not as recorded, in one line or a few."""
    for result in report.jsonpath:
        if result.difference:
            yield f"FAILED {result.case.name}"
            yield f"    {result.difference}"
            if result.outcome.error and "cause" not in result.difference:
                yield f"    ended with {result.outcome.error}: {result.outcome.cause}"
        elif result.event_difference:
            yield f"EVENTS {result.case.name}"
        if result.event_difference and not result.outcome.problem:
            yield f"    {result.event_difference}"
        if result.cause_difference:
            yield f"CAUSE {result.case.name}"
            yield f"    {result.cause_difference}"
    for verdict in [*report.verdicts, *report.accepted]:
        if verdict.difference:
            yield f"VERDICT {verdict.case.name}"
            yield f"    {verdict.difference}"
        elif not verdict.is_counted:
            yield f"NOT COUNTED {verdict.case.name}"
            yield f"    {verdict.code}: {verdict.recorded.value}"


def as_json(report: Report) -> dict[str, Any]:
    """What --out writes: ``totals`` and the list ``cases``."""
    refused, accepted = report.refused_by_aws(), report.accepted_by_aws()
    events = _share(
        not one.event_difference for one in report.jsonpath if one.event_difference is not None
    )
    verdicts = _share(one.is_as_recorded for one in report.verdicts if one.is_counted)
    totals = {
        "executions": _figures(report.passed),
        "event_sequences": _figures(events),
        "definitions_judged": _figures(verdicts),
        "refused_as_aws_refused": _figures(refused),
        "accepted_as_aws_accepted": _figures(accepted),
        "jsonata_executions": len(report.jsonata),
        "jsonata_not_supported_yet": sum(one.outcome.is_unsupported for one in report.jsonata),
    }
    cases = [*map(_result_json, report.results), *map(_verdict_json, report.verdicts)]
    return {"totals": totals, "cases": cases}


def _figures(share: Share) -> dict[str, int]:
    return {"right": share.right, "of": share.of}


def _result_json(result: Result) -> dict[str, Any]:
    case, outcome = result.case, result.outcome
    events = result.event_difference
    return {
        "name": case.name,
        "area": case.area,
        "kind": case.kind,
        "is_jsonata": case.is_jsonata,
        "passed": result.has_passed,
        "events_as_recorded": None if events is None else not events,
        "status": outcome.status or None,
        "output": outcome.output_value,
        "error": outcome.error,
        "cause": outcome.cause,
        "events": list(outcome.events),
        "expected": dict(case.expected),
        "difference": "; ".join(
            one for one in (result.difference, events, result.cause_difference) if one
        ),
    }


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": verdict.case.name,
        "area": verdict.case.area,
        "kind": verdict.case.kind,
        "is_jsonata": verdict.case.is_jsonata,
        "passed": verdict.is_as_recorded if verdict.is_counted else None,
        "events_as_recorded": None,
        "status": "refused" if verdict.findings else "accepted",
        "output": None,
        "error": "InvalidDefinition" if verdict.findings else None,
        "cause": "; ".join(verdict.findings) or None,
        "events": [],
        "expected": dict(verdict.case.expected),
        "difference": verdict.difference or ("" if verdict.is_counted else verdict.recorded.value),
    }
