"""The story of the arrears flow: a bill is issued, the right people hear, their answers and
payments stop it, the rest climbs to the next stage and becomes work for people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from devtools.demo.stage import Stage
from gongdian.accounts.service import follow
from gongdian.arrears.campaigns import CampaignState, campaign_named
from gongdian.audit import audit_rows
from gongdian.wiring import build_house
from server import arrears_commands
from server.arguments import build_parser
from tests.account_factories import FIRM, a_customer, a_firm
from tests.arrears_scene import FIRM_FEN, FIRM_LINES, HOME_LINES, Customer, Scene, form_of
from workflows.engine.executions import describe
from workflows.engine.home import Home

DUE = date(2026, 11, 29)
HOMES = [f"99000003458{number:02d}" for number in range(1, 6)]


@pytest.fixture
def scene(start_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> Scene:
    stage = start_stage(arrears_approval_above=2)
    # A command is a process of its own; here it lives at the time of the stage.
    monkeypatch.setattr(
        arrears_commands, "build_house", lambda settings: build_house(settings, stage.clock)
    )
    return Scene(stage)


def run(scene: Scene, *words: str) -> int:
    options = build_parser().parse_args(["arrears", *words])
    result: int = options.work(scene.house.settings, options)
    return result


def prepare(scene: Scene, code: str) -> None:
    assert run(scene, "campaign", "start", code, "--by", "chen", "--wait", "60") == 0


def a_follower(scene: Scene, customer_no: str) -> Customer:
    """Somebody who follows, agreed and is bound."""
    who = scene.person(customer_no)
    account, openid = scene.house.account, who.phone.openid
    scene.house.database.run(lambda s: follow(s, account, openid, "", scene.now))
    return who


def until(scene: Scene, code: str, *states: CampaignState) -> None:
    def stands() -> bool:
        with scene.house.database.read() as session:
            return campaign_named(session, code).state in states

    scene.stage.wait_for(stands, f"{code} is {states}", 60)


def titles(who: Customer) -> list[str]:
    return [card["title"] for card in who.phone.cards()]


def hears(scene: Scene, who: Customer, title: str) -> None:
    scene.stage.wait_for(lambda: title in titles(who), f"the card {title}", 30)


def answer(who: Customer, choice: str, **fields: str) -> None:
    """Open the last card and press one of its three buttons."""
    parts = urlsplit(who.phone.cards()[-1]["url"])
    path = f"{parts.path}?{parts.query}"
    form = {**form_of(who.open(path)), "answer": choice, **fields}
    assert who.visitor.ask(path, form).status in (200, 302, 303)


def test_from_the_issue_of_a_bill_to_the_worklist(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    people = {}
    for number in HOMES:
        scene.customers(a_customer(number))
        scene.bill(number, 8_640, HOME_LINES, due_on=DUE)
        people[number] = a_follower(scene, number)
    scene.customers(a_firm(FIRM, station="城东供电所"))
    scene.bill(FIRM, FIRM_FEN, FIRM_LINES, due_on=DUE, kwh=12_120.0)
    firm = a_follower(scene, FIRM)
    pays, knows, disputes, silent, broken = (people[number] for number in HOMES)
    broken.phone.receipts_say("failed: system failed")

    # 电费发行 -> campaign -> preview -> approval by a second person -> cards
    prepare(scene, "issued")
    capsys.readouterr()
    assert run(scene, "campaign", "preview", "issued", "--by", "chen") == 0
    shown = capsys.readouterr().out
    assert "阶段0 电费账单（arrears_bill）\t6" in shown
    assert "城东供电所\t1" in shown
    assert "应缴  9000.00元" in shown
    assert run(scene, "campaign", "approve", "issued", "--by", "chen") == 1
    assert "须由制单人以外的人审批" in capsys.readouterr().err
    assert titles(firm) == []
    assert run(scene, "campaign", "approve", "issued", "--by", "li") == 0
    for who in (pays, knows, disputes, silent, firm):
        hears(scene, who, "电费账单通知")
    until(scene, "issued", CampaignState.FINISHED)

    # answers, and a payment in between
    scene.pay(HOMES[0], 8_640)
    answer(knows, "known")
    answer(disputes, "dispute", note="电表走得太快")
    answer(firm, "paid")
    scene.stage.move_clock(timedelta(days=3))

    # three days later: the next stage, for those who still owe and are not paused
    prepare(scene, "due-soon")
    scene.pay(HOMES[3], 8_640)
    capsys.readouterr()
    assert run(scene, "campaign", "preview", "due-soon", "--left-out", "--by", "chen") == 0
    shown = capsys.readouterr().out
    assert "客户有疑问，等待核实" in shown
    assert "客户说已缴费，等待销账" in shown
    assert run(scene, "campaign", "approve", "due-soon", "--by", "li") == 0
    hears(scene, knows, "电费到期提醒")
    until(scene, "due-soon", CampaignState.FINISHED)
    for who in (pays, disputes, silent, firm):
        assert titles(who) == ["电费账单通知"]
    capsys.readouterr()
    assert run(scene, "campaign", "watch", "due-soon") == 0
    shown = capsys.readouterr().out
    assert "入队前已剔除\t1" in shown
    assert "已到达手机\t1" in shown

    # what is left is for people
    assert run(scene, "worklist", "list", "--by", "wang") == 0
    shown = capsys.readouterr().out
    assert f"核实客户疑问\t{HOMES[2]}" in shown
    assert "电表走得太快" in shown
    assert f"联系不上，请电话或上门\t{HOMES[4]}" in shown
    item = next(line for line in shown.splitlines() if HOMES[4] in line).split("\t")[0]
    assert run(scene, "worklist", "done", item, "--outcome", "已上门告知", "--by", "wang") == 0
    with scene.house.database.read() as session:
        status = describe(session, "arrears:due-soon", Home()).status
        actions = set(session.execute(select(audit_rows.c.action)).scalars())
    assert status.value == "SUCCEEDED"
    assert {
        "arrears:campaign:made",
        "arrears:campaign:prepared",
        "arrears:campaign:viewed",
        "arrears:campaign:approved",
        "arrears:campaign:sent",
        "arrears:campaign:finished",
        "arrears:worklist:viewed",
        "arrears:worklist:done",
    } <= actions


def test_a_payment_and_a_cancellation_reach_a_message_that_waits(scene: Scene) -> None:
    for number in HOMES[:3]:
        scene.customers(a_customer(number))
        scene.bill(number, 8_640, HOME_LINES, due_on=DUE)
    people = [a_follower(scene, number) for number in HOMES[:3]]
    # 22:30 in China: what is queued waits for the morning.
    scene.stage.move_clock(timedelta(hours=12, minutes=30))
    prepare(scene, "night")
    assert run(scene, "campaign", "approve", "night", "--by", "li") == 0
    until(scene, "night", CampaignState.SENT)
    scene.pay(HOMES[0], 8_640)
    assert run(scene, "campaign", "cancel", "night", "--reason", "名单有误", "--by", "li") == 0
    scene.stage.move_clock(timedelta(hours=10))
    until(scene, "night", CampaignState.CANCELLED)
    assert [titles(who) for who in people] == [[], [], []]
