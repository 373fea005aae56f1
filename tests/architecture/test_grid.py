"""Flows are whole or absent, and no column holds a row that is no flow."""

from pathlib import Path

import pytest

from gongdian.errors import NotFoundError
from gongdian.flows import FLOWS, Flow, flow_named
from tests.architecture import grid_checks
from tests.architecture.tree import PROJECT, plant

ARREARS = FLOWS[0]
WHOLE = dict.fromkeys(ARREARS.files(), "")


def test_the_five_flows_have_names_and_labels():
    assert [flow.name for flow in FLOWS] == ["arrears", "outage", "invoice", "inspection", "energy"]
    assert all(flow.label for flow in FLOWS)
    assert flow_named("outage").label == "停电"
    with pytest.raises(NotFoundError, match="unknown_flow"):
        flow_named("weather")


def test_every_flow_of_the_project_is_whole_or_absent():
    assert grid_checks.half_flows(PROJECT) == []


def test_no_column_of_the_project_has_a_stray_row():
    assert grid_checks.stray_rows(PROJECT) == []


def test_a_whole_flow_and_no_flow_are_both_fine(tmp_path: Path):
    assert grid_checks.half_flows(plant(tmp_path, {"README.md": ""})) == []
    assert grid_checks.half_flows(plant(tmp_path, WHOLE)) == []


@pytest.mark.parametrize("missing", ARREARS.files())
def test_a_flow_that_lacks_one_file_is_found(missing: str, tmp_path: Path):
    files = {name: text for name, text in WHOLE.items() if name != missing}
    assert grid_checks.half_flows(plant(tmp_path, files)) == [f"arrears: {missing} is missing"]


@pytest.mark.parametrize("only", [*ARREARS.files(), "gongdian/arrears/stages.py"])
def test_a_flow_with_a_single_file_is_found(only: str, tmp_path: Path):
    findings = grid_checks.half_flows(plant(tmp_path, {only: ""}))
    assert len(findings) >= len(ARREARS.files()) - 1


@pytest.mark.parametrize(
    "stray",
    [
        "workflows/weather.asl.json",
        "workflows/weather.py",
        "wechat_handlers/weather.py",
        "docs/flows/weather.md",
    ],
)
def test_a_row_that_is_no_flow_is_found(stray: str, tmp_path: Path):
    findings = grid_checks.stray_rows(plant(tmp_path, {stray: "", **WHOLE}))
    assert len(findings) == 1
    assert findings[0].startswith(stray)


def test_a_flow_may_split_its_file_and_columns_have_files_of_their_own(tmp_path: Path):
    files = ["wechat_handlers/arrears_forms.py", "wechat_handlers/gate.py", "workflows/engine/a.py"]
    assert grid_checks.stray_rows(plant(tmp_path, dict.fromkeys(files, ""))) == []


def test_a_new_flow_gets_its_row_from_the_registry(tmp_path: Path):
    weather = Flow("weather", "天气")
    plant(tmp_path, dict.fromkeys(weather.files(), ""))
    assert grid_checks.stray_rows(tmp_path, [weather]) == []
    assert grid_checks.half_flows(tmp_path, [weather]) == []
