"""``python -m devtools.asl_conformance.against_moto --cases FILE``: our engine beside moto's.

Takes the JSONPath executions without functions that wait 2 seconds at most, and lists where
status, output or the order of states differ, and whose answer is AWS's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from devtools.asl_conformance.cases import Case, read_cases
from devtools.asl_conformance.comparing import first_difference, shown
from devtools.asl_conformance.outcomes import Outcome, judge
from devtools.asl_conformance.running import without_alarms
from devtools.asl_conformance.stage import Stage
from workflows.engine.orders import Status

if TYPE_CHECKING:
    from devtools.asl_conformance.moto_side import MotoSide

_LONGEST_WAIT_S = 2
_STATES = "states"


@dataclass(frozen=True, slots=True)
class Pair:
    """One case on both engines; ``difference`` "" when they agree."""

    case: Case
    ours: Outcome
    theirs: Outcome
    difference: str

    @property
    def agrees_with_aws(self) -> str:
        """Whose answer is the recorded one: ours, moto's, both, neither."""
        are_right = self._is_recorded(self.ours), self._is_recorded(self.theirs)
        words = {(True, True): "both", (True, False): "ours", (False, True): "moto's"}
        return words.get(are_right, "neither")

    def _is_recorded(self, outcome: Outcome) -> bool:
        result = judge(self.case, outcome)
        is_about_order = self.difference.startswith(_STATES)
        return result.has_passed and not (is_about_order and result.event_difference)


def is_comparable(case: Case) -> bool:
    """Whether moto can run a case here: no function, JSONata, long wait or stop."""
    is_plain = case.is_execution and not case.is_jsonata and not case.functions
    is_stopped = case.expected.get("status") == Status.ABORTED.value
    return is_plain and not is_stopped and case.min_seconds <= _LONGEST_WAIT_S


def compare(case: Case, stage: Stage, moto: MotoSide) -> Pair:
    """Run one case on both."""
    ours, theirs = stage.play(case, {}), moto.play(case)
    return Pair(case, ours, theirs, outcome_difference(case, ours, theirs))


def outcome_difference(case: Case, ours: Outcome, theirs: Outcome) -> str:
    """How two outcomes differ in status, output and order of states entered."""
    if ours.problem or theirs.problem:
        return f"ours: {ours.problem or ours.status}; moto's: {theirs.problem or theirs.status}"
    if ours.status != theirs.status:
        return f"status: ours {ours.status} {ours.error}, moto's {theirs.status} {theirs.error}"
    if _have_other_output(case, ours, theirs):
        return f"output: ours {shown(ours.output_value)}, moto's {shown(theirs.output_value)}"
    if _order(case, ours) != _order(case, theirs):
        return f"{_STATES}: ours {' '.join(ours.states)}, moto's {' '.join(theirs.states)}"
    return ""


def _have_other_output(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    if not case.fuzzy or "output" not in case.expected:
        return bool(first_difference(ours.output_value, theirs.output_value))
    # What names the execution or the moment is each engine's own: both must fit the record.
    recorded = case.expected["output"]
    found = (first_difference(one.output_value, recorded, fuzzy=True) for one in (ours, theirs))
    return any(found)


def _order(case: Case, outcome: Outcome) -> list[str] | Counter[str]:
    """The states in order; which ones and how often where branches run side by side."""
    return Counter(outcome.states) if case.unordered else list(outcome.states)


def compare_all(cases: Sequence[Case]) -> None:
    """Run all comparable cases on both and print what differs."""
    chosen = [case for case in cases if is_comparable(case)]
    agreed: Counter[str] = Counter()
    same = 0
    # moto is a package of developers only: this module can be loaded without it.
    moto_side: type[MotoSide] = import_module("devtools.asl_conformance.moto_side").MotoSide
    with (
        without_alarms(),
        tempfile.TemporaryDirectory(prefix="asl-") as folder,
        Stage(Path(folder)) as stage,
        moto_side() as moto,
    ):
        for case in chosen:
            pair = compare(case, stage, moto)
            if not pair.difference:
                same += 1
                continue
            agreed[pair.agrees_with_aws] += 1
            print(f"DIFFERS {ascii(case.name)[1:-1]}")
            print(f"    {ascii(pair.difference)[1:-1]}")
            print(f"    as AWS answered: {pair.agrees_with_aws}")
    for who, count in sorted(agreed.items()):
        print(f"where they differ, as AWS answered: {who} in {count}")
    print(f"same status, output and order of states: {same} of {len(chosen)}")


def main(arguments: list[str] | None = None) -> int:
    """Compare a file of cases; 2 when it cannot be read or moto is not installed."""
    parser = argparse.ArgumentParser(
        prog="python -m devtools.asl_conformance.against_moto", description="our engine and moto's"
    )
    parser.add_argument("--cases", type=Path, required=True, help="a file of cases (JSON)")
    options = parser.parse_args(arguments)
    if find_spec("moto") is None:
        print("needs the development packages: make dev", file=sys.stderr)
        return 2
    try:
        cases = read_cases(options.cases)
    except (OSError, ValueError, TypeError) as error:
        print(f"the cases cannot be read: {error}", file=sys.stderr)
        return 2
    compare_all(cases)
    return 0


if __name__ == "__main__":
    sys.exit(main())
