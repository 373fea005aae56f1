"""``python -m devtools.asl_conformance --cases FILE``: the engine beside what AWS answered.

Prints a table by area, every difference, and as its last line ``passed N of M``: the JSONPath
executions of the file, and those whose status, output and error are as recorded.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from devtools.asl_conformance.cases import Case, read_cases
from devtools.asl_conformance.listing import Report, as_json, report_lines
from devtools.asl_conformance.running import play_all, without_alarms
from devtools.asl_conformance.stage import Bounds, Stage
from devtools.asl_conformance.verdicts import judge_definition


def main(arguments: list[str] | None = None) -> int:
    """Run a file of cases; 2 when it cannot be read, with --strict 1 when something failed."""
    options = _options(arguments)
    try:
        cases = read_cases(options.cases)
    except (OSError, ValueError, TypeError) as error:
        print(f"the cases cannot be read: {error}", file=sys.stderr)
        return 2
    with without_alarms():
        report = run(cases, Bounds(seconds=options.seconds))
    if options.out:
        options.out.write_text(json.dumps(as_json(report), indent=1), "utf-8")
    for line in report_lines(report):
        print(_printable(line))
    return 1 if options.strict and not report.is_all_right else 0


def run(cases: list[Case], bounds: Bounds) -> Report:
    """Play and judge all cases on a database of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="asl-") as folder,
        Stage(Path(folder), bounds) as stage,
    ):
        results = list(play_all(cases, stage))
    verdicts = [judge_definition(case) for case in cases if not case.is_execution]
    accepted = [judge_definition(case) for case in cases if case.is_execution]
    return Report(results, verdicts, accepted)


def _printable(line: str) -> str:
    """A line that stays one line on any terminal: names hold control characters."""
    return line.encode("ascii", "backslashreplace").decode().translate(_CONTROLS)


_CONTROLS = {number: f"\\x{number:02x}" for number in (*range(32), 127)}


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m devtools.asl_conformance", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--cases", type=Path, required=True, help="a file of cases (JSON)")
    parser.add_argument("--out", type=Path, help="write every case with its answer here (JSON)")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when something failed")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="real time after which a case is given up (10)"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
