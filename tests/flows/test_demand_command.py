"""The command that records a demand made by people (登记催告)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from devtools.demo.stage import Stage
from gongdian.arrears.tables import steps
from gongdian.clock import china_text
from gongdian.wiring import build_house
from server import arrears_commands
from server.arguments import build_parser
from tests.arrears_scene import FIRM, Scene


@pytest.fixture
def scene(start_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A firm that owes since 15 November; it is 10 December."""
    stage = start_stage(with_worker=False)
    monkeypatch.setattr(
        arrears_commands, "build_house", lambda settings: build_house(settings, stage.clock)
    )
    scene = Scene(stage)
    scene.firm()
    stage.move_clock(timedelta(days=17))
    return scene


def test_a_demand_by_phone_is_recorded_and_checked(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(at: str) -> int:
        words = ("arrears", "demand", FIRM, "--how", "phone", "--ref", "录音 7", "--by", "王经理")
        options = build_parser().parse_args([*words, "--at", at])
        result: int = options.work(scene.house.settings, options)
        return result

    assert run("2026-11-20 10:00") == 1
    assert "逾期还不够久" in capsys.readouterr().err
    at = china_text(scene.now - timedelta(hours=1))[:16]
    assert run(at) == 0
    assert f"已登记 {FIRM} 的催告：{at[:10]}，电话" in capsys.readouterr().out
    with scene.house.database.read() as session:
        row = session.execute(select(steps.c.stage, steps.c.proof_kind)).one()
    assert tuple(row) == (4, "phone")
    with pytest.raises(SystemExit):
        run("昨天")
