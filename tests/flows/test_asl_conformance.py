"""The conformance command on a small file of cases of our own, each area once or more."""

import json
from pathlib import Path
from typing import Any

import pytest

from devtools.asl_conformance.__main__ import main
from devtools.asl_conformance.cases import case_of, read_cases
from devtools.asl_conformance.running import play_case
from devtools.asl_conformance.stage import Bounds, Stage

CASES = Path(__file__).with_name("asl_cases.json")
NEVER = {
    "StartAt": "T",
    "States": {
        "T": {
            "Type": "Task",
            "Resource": "arn:aws:states:us-east-1:111111111111:activity:nobody",
            "End": True,
        }
    },
}


def _write(folder: Path, cases: list[dict[str, Any]]) -> Path:
    path = folder / "cases.json"
    path.write_text(json.dumps(cases), "utf-8")
    return path


def _case(**given: Any) -> dict[str, Any]:
    usual = {
        "name": "one",
        "kind": "execution",
        "area": "base",
        "definition": {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}},
        "expected": {"status": "SUCCEEDED", "output": {}},
    }
    return usual | given


def test_own_cases_are_as_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    assert main(["--cases", str(CASES), "--out", str(out), "--strict"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "passed 44 of 44"
    assert lines[-2] == "accepted as AWS accepted: 45 of 45"
    assert lines[-3] == "refused as AWS refused: 2 of 2"
    assert "1 not supported yet" in lines[-4]
    table = {line.split("  ")[0]: line.split()[-3:] for line in lines[:16]}
    assert list(table)[1:-1] == sorted(list(table)[1:-1])
    assert table["total"] == ["44/44", "14/14", "4/4"]
    assert table["choice_operators"] == ["8/8", "1/1", "-"]
    assert table["api/api_express"] == ["-", "-", "1/1"]
    assert "NOT COUNTED a name that is taken" in lines
    assert not [line for line in lines if line.startswith(("FAILED", "EVENTS", "VERDICT"))]
    written = json.loads(out.read_text("utf-8"))
    assert written["totals"]["executions"] == {"right": 44, "of": 44}
    assert len(written["cases"]) == len(read_cases(CASES))
    first = written["cases"][0]
    assert (first["passed"], first["status"], first["output"]) == (True, "SUCCEEDED", {"x": 1})
    assert first["events"] == first["expected"]["events"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"status": "FAILED", "error": "X"}, 'status: "SUCCEEDED", recorded "FAILED"'),
        ({"status": "SUCCEEDED", "output": {"x": True}}, "output: lacks ['x']"),
    ],
)
def test_a_case_that_differs_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: dict[str, Any], said: str
) -> None:
    path = _write(tmp_path, [_case(), _case(name="two", expected=wrong)])
    assert main(["--cases", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "FAILED two\n" in printed
    assert said in printed
    assert printed.splitlines()[-1] == "passed 1 of 2"
    assert main(["--cases", str(path), "--strict"]) == 1


def test_events_and_causes_do_not_fail_a_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fail = {"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "E", "Cause": "c"}}}
    expected = {"status": "FAILED", "error": "E", "cause": "d", "events": ["ExecutionStarted"]}
    path = _write(tmp_path, [_case(definition=fail, expected=expected)])
    assert main(["--cases", str(path), "--strict"]) == 0
    printed = capsys.readouterr().out
    assert "events: has ExecutionFailed, FailStateEntered more" in printed
    assert 'cause: "c", recorded "d"' in printed
    assert printed.splitlines()[-1] == "passed 1 of 1"


def test_a_verdict_that_differs_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = {"error": {"Error": {"Code": "InvalidDefinition", "Message": "no"}}}
    cases = [
        _case(name="a", kind="validation", expected=refused, aws_validated="2026-01-01"),
        _case(name="b", definition={"StartAt": "A", "States": {"A": {"Type": "Sleep"}}}),
    ]
    assert main(["--cases", str(_write(tmp_path, cases)), "--strict"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "VERDICT a" in lines
    assert "VERDICT b" in lines
    assert lines[-3:] == [
        "refused as AWS refused: 0 of 1",
        "accepted as AWS accepted: 0 of 1",
        "passed 0 of 1",
    ]


def test_a_file_that_is_no_list_of_cases(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for content in ("{}", "[1]", '[{"name": "a"}]', "no JSON"):
        path = tmp_path / "cases.json"
        path.write_text(content, "utf-8")
        assert main(["--cases", str(path)]) == 2
        assert "cannot be read" in capsys.readouterr().err
    assert main(["--cases", str(tmp_path / "none.json")]) == 2


def test_a_case_without_an_end_is_given_up_and_the_next_one_passes(tmp_path: Path) -> None:
    ask = {"Variable": "$.end", "IsPresent": True, "Next": "B"}
    spin = {
        "StartAt": "A",
        "States": {
            "A": {"Type": "Wait", "Seconds": 1, "Next": "C"},
            "C": {"Type": "Choice", "Choices": [ask], "Default": "A"},
            "B": {"Type": "Succeed"},
        },
    }
    with Stage(tmp_path, Bounds(turns=50)) as stage:
        stuck = play_case(case_of(_case(definition=NEVER)), stage)
        endless = play_case(case_of(_case(definition=spin)), stage)
        fine = play_case(case_of(_case()), stage)
    assert stuck.difference == "did not end: nothing is left that could happen"
    assert endless.difference == "did not end"
    assert fine.has_passed


def test_a_fault_of_the_engine_is_a_failed_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stage(tmp_path) as stage:
        with monkeypatch.context() as patch:
            patch.setattr("workflows.engine.run.Run.advance", _break)
            crashed = play_case(case_of(_case()), stage)
        with monkeypatch.context() as patch:
            patch.setattr("workflows.engine.saving.save", _break)
            unsaved = play_case(case_of(_case()), stage)
        fine = play_case(case_of(_case()), stage)
    assert crashed.difference == "crashed: ZeroDivisionError: broken"
    assert unsaved.difference == "ZeroDivisionError: broken"
    assert fine.has_passed


def _break(*_given: object, **_named: object) -> None:
    raise ZeroDivisionError("broken")
