"""The arrears story of the demo on a small county: told at once, and by the page's buttons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from devtools.demo.__main__ import OFFICE_COMMANDS
from devtools.demo.arrears_story import ArrearsStory
from devtools.demo.county_steps import offer_story
from devtools.demo.office import Office
from devtools.demo.props import hand_out_phones
from devtools.demo.seeding import COUNTY_SANDBOX, COUNTY_SETTINGS, seed_county
from devtools.demo.stage import Stage
from devtools.wechat_sandbox.scenarios import read_scenario
from gongdian.arrears.campaigns import CampaignState, RecipientState
from gongdian.audit import verify_audit
from server.arguments import build_parser

SCALE = 0.01


def county_stage(start_stage: Callable[..., Stage], **options: object) -> Stage:
    return start_stage(sandbox_settings=COUNTY_SANDBOX, **{**COUNTY_SETTINGS, **options})


def tell_arrears_story(stage: Stage, folder: Path) -> tuple[Office, list[str]]:
    told: list[str] = []
    hand_out_phones(stage)
    county = seed_county(stage, folder, told.append, scale=SCALE)
    office = ArrearsStory(stage, county, told.append).play()
    return office, told


def test_the_arrears_story_comes_true_step_by_step(
    start_stage: Callable[..., Stage], tmp_path: Path
) -> None:
    stage = county_stage(start_stage)

    office, told = tell_arrears_story(stage, tmp_path / "county")

    assert len(office.codes) == 3
    figures = office.watch()
    assert figures.campaign.state is CampaignState.FINISHED
    assert figures.campaign.queued == sum(figures.messages.values())
    assert RecipientState.QUEUED not in figures.lines
    assert any("示例电价" in line for line in told)
    assert any("被拒绝" in line for line in told)
    key = stage.house.settings.audit_key
    with stage.house.database.read() as session:
        assert not verify_audit(session, key, stage.clock.now()).findings


@pytest.mark.mariadb
@pytest.mark.redis
def test_the_arrears_story_plays_on_mariadb_and_redis(
    start_stage: Callable[..., Stage], empty_mariadb_url: str, redis_url: str, tmp_path: Path
) -> None:
    stage = county_stage(start_stage, database_url=empty_mariadb_url, redis_url=redis_url)

    office, _ = tell_arrears_story(stage, tmp_path / "county")

    assert office.campaign().state is CampaignState.FINISHED


def test_the_buttons_of_the_phones_page_tell_the_story(
    start_stage: Callable[..., Stage], tmp_path: Path
) -> None:
    stage = county_stage(start_stage)
    hand_out_phones(stage)
    county = seed_county(stage, tmp_path / "county", lambda text: None, scale=SCALE)
    desk = stage.sandbox.scenarios

    offer_story(stage.sandbox, Office(stage, county))

    folder = desk.folders[0]
    names = [read_scenario(path, desk.steps)["name"] for path in sorted(folder.glob("*.json"))]
    assert [scenario["name"] for scenario in desk.listed()][: len(names)] == names
    told = []
    for name in names:
        report = desk.run(name)
        assert report["state"] == "done", (name, report)
        told += [step["text"] for step in report["steps"]]
    assert any("第2阶段“电费逾期提醒”" in text for text in told)
    # The buttons may be pressed again: what was done is done, what cannot be says so.
    again = desk.run("电费发行")
    assert "没有重复导入" in again["steps"][0]["text"]
    assert desk.run("绑定户号")["state"] == "done"
    refused = desk.run("审批并发送")
    assert refused["state"] == "failed"
    assert refused["problem"]


@pytest.mark.parametrize("command", OFFICE_COMMANDS)
def test_the_office_commands_that_the_demo_names_exist(command: str) -> None:
    assert build_parser().parse_args(command.split())
