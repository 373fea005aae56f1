"""The commands of the arrears flow: what they print, refuse and keep in the audit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from devtools.demo.stage import Stage
from gongdian.arrears.balance_reminders import seed_thresholds
from gongdian.arrears.campaigns import campaign_named
from gongdian.arrears.preparing import prepare_batch
from gongdian.audit import audit_rows
from gongdian.feeds import FeedState, note_feed
from gongdian.wiring import build_house
from server import arrears_commands
from server.arguments import build_parser
from tests.account_factories import HOME, a_customer, a_person
from tests.arrears_scene import FIRM, Scene

PREPAID = "9900000345901"


@pytest.fixture
def scene(start_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> Scene:
    stage = start_stage(with_worker=False)
    # A command is a process of its own; here it lives at the time of the stage.
    monkeypatch.setattr(
        arrears_commands, "build_house", lambda settings: build_house(settings, stage.clock)
    )
    return Scene(stage)


def run(scene: Scene, *words: str) -> int:
    options = build_parser().parse_args(["arrears", *words])
    result: int = options.work(scene.house.settings, options)
    return result


def audited(scene: Scene, action: str) -> list[str]:
    query = select(audit_rows.c.actor).where(audit_rows.c.action == action)
    with scene.house.database.read() as session:
        return list(session.execute(query).scalars())


def prepare(scene: Scene, code: str) -> None:
    house = scene.house
    with house.database.read() as session:
        campaign_id = campaign_named(session, code).id
    while not house.database.run(
        lambda s: prepare_batch(s, house.outbox, campaign_id, 100, scene.now)
    ).is_done:
        pass


def test_rules_are_seeded_once_and_shown(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(scene, "rules", "seed", "--by", "li") == 0
    assert "balance_thresholds\t余额提醒\t随附的规则已生效" in capsys.readouterr().out
    assert run(scene, "rules", "seed", "--by", "li") == 0
    assert "没有改动" in capsys.readouterr().out
    assert run(scene, "rules", "show") == 0
    assert "arrears_stages v1\t催费阶段" in capsys.readouterr().out
    assert run(scene, "rules", "show", "balance_thresholds") == 0
    assert "余额不足30元提醒一次" in capsys.readouterr().out


def test_a_campaign_is_listed_previewed_and_cancelled(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.firm()
    start = ("campaign", "start", "nov23", "--class", "industrial_two_part", "--stage", "2")
    assert run(scene, *start, "--by", "chen") == 0
    assert run(scene, *start, "--by", "chen", "--wait", "1") == 1
    assert "后台进程" in capsys.readouterr().out
    prepare(scene, "nov23")
    assert run(scene, "campaign", "list") == 0
    assert "nov23\t待审批\t计划1" in capsys.readouterr().out
    assert run(scene, "campaign", "preview", "nov23", "--by", "chen", "--most", "1") == 0
    shown = capsys.readouterr().out
    assert "用电类别 industrial_two_part；阶段 2" in shown
    assert f"户号{FIRM}的电费本金9000.00元已逾期8天" in shown
    assert "还有更多：--after" in shown
    assert run(scene, "campaign", "cancel", "nov23", "--reason", "试用", "--by", "chen") == 0
    assert "撤下 1 条" in capsys.readouterr().out
    assert run(scene, "campaign", "approve", "nov23", "--by", "li") == 1
    assert "批次现在的状态不允许这样做" in capsys.readouterr().err
    assert run(scene, "campaign", "watch", "nov23") == 0
    assert "取消 chen：试用" in capsys.readouterr().out
    assert audited(scene, "arrears:campaign:cancelled") == ["chen"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("campaign", "preview", "none"), "没有这个批次"),
        (("campaign", "start", "批次", "--by", "li"), "批次编号应为"),
        (("campaign", "resume", "none", "--by", "li"), "没有这个批次"),
        (("case", "show", HOME), "没有催费案"),
        (("hold", HOME, "--reason", "协商", "--by", "li"), "没有这个户号"),
        (("worklist", "done", "99", "--outcome", "好", "--by", "li"), "没有这条待办"),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_a_refusal_is_told_in_chinese(
    scene: Scene, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert run(scene, *words) == 1
    assert said in capsys.readouterr().err


def test_a_customer_is_held_shown_and_released(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.home()
    until = ("--until", "2026-11-30")
    assert run(scene, "hold", HOME, "--reason", "村里协商", *until, "--by", "li") == 0
    assert "到 2026-11-30 止" in capsys.readouterr().out
    assert run(scene, "case", "show", HOME, "--by", "wang") == 0
    shown = capsys.readouterr().out
    assert "催费案 1（未结） 最早未交清的截止日 2026-11-25，本金 86.40元" in shown
    assert "直到 2026-12-01 00:00，li：村里协商" in shown
    assert audited(scene, "arrears:case:viewed") == ["wang"]
    assert run(scene, "release", HOME, "--reason", "谈妥", "--by", "li") == 0
    assert run(scene, "release", HOME, "--reason", "谈妥", "--by", "li") == 1
    scene.pay(HOME, 8_640)
    assert run(scene, "case", "show", HOME, "--by", "wang") == 0
    assert "结案：已结清" in capsys.readouterr().out


def test_low_balances_are_reminded(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.house.database.run(lambda s: seed_thresholds(s, "li", scene.now))
    state = FeedState("balances", scene.now, scene.now, 1, timedelta(days=1), timedelta(days=1))
    scene.house.database.run(lambda s: note_feed(s, state))
    scene.customers(a_customer(PREPAID, is_prepaid=True), a_person(PREPAID))
    scene.balance(PREPAID, 1_236)
    assert run(scene, "balances", "--by", "li") == 0
    assert "余额提醒入队 1 条" in capsys.readouterr().out
    assert run(scene, "balances", "--by", "li") == 0
    shown = capsys.readouterr().out
    assert "余额提醒入队 0 条" in shown
    assert "这几天已经提醒过\t1" in shown
    assert audited(scene, "arrears:balances:reminded") == ["li", "li"]


def test_a_campaign_without_a_code_is_named_by_its_time(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(scene, "campaign", "start", "--by", "chen") == 0
    assert "已建立批次 c20261123-1000" in capsys.readouterr().out


def test_what_waits_is_withdrawn(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.home()
    who = scene.person(HOME)
    scene.send(f"P{HOME[-6:]}", f"c{who.id}", who.phone.openid)
    words = ("withdraw", HOME, "--reason", "金额有误", "--by", "li")
    assert run(scene, *words) == 0
    assert "已撤回1条" in capsys.readouterr().out
    assert run(scene, *words) == 1
    assert audited(scene, "arrears:reminder:withdrawn") == ["li"]
