"""余额提醒 on both databases: 费控 customers hear once a threshold, outside the ladder."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gongdian.arrears.balance_reminders import Reminded, remind_batch
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import InputError
from gongdian.rule_tables import enforce_rules, put_rules
from tests.campaign_scene import CampaignScene, card_of

HOME, SECOND = "9900000345901", "9900000345902"
PARTY = "K100200300"


@pytest.fixture
def scene(database: Database, clock: MovableClock) -> CampaignScene:
    return CampaignScene(database, clock)


def remind(scene: CampaignScene) -> Reminded:
    done: Reminded = scene.do(lambda s: remind_batch(s, scene.outbox, "", scene.now))
    return done


def a_prepaid(
    scene: CampaignScene, number: str = HOME, fen: int = 1_236, **changes: object
) -> None:
    scene.household(number, debt=None, is_prepaid=True, **changes)
    scene.balance(number, fen)


def days_later(scene: CampaignScene, days: int, **balances: int) -> None:
    scene.clock.move(timedelta(days=days))
    scene.fresh()
    for number, fen in balances.items():
        scene.balance(number.removeprefix("n"), fen)


def test_a_low_balance_is_told_as_the_sample_says(scene: CampaignScene) -> None:
    a_prepaid(scene)
    scene.follower(HOME)
    remind(scene)
    card = card_of(scene.messages()[-1])
    assert card == {
        "户号": HOME,
        "可用余额": "12.36元",
        "测算时间": "2026年11月23日 06:00",
        "提示": "余额不足30元，请及时充值",
    }


def test_a_threshold_is_told_once_until_its_days_are_over(scene: CampaignScene) -> None:
    a_prepaid(scene)
    assert [remind(scene).queued for _ in range(3)] == [1, 0, 0]
    days_later(scene, 6, n9900000345901=1_200)
    assert remind(scene).left_out == {"told_lately": 1}
    days_later(scene, 1, n9900000345901=1_100)
    assert remind(scene).queued == 1


def test_a_lower_threshold_is_told_at_once(scene: CampaignScene) -> None:
    a_prepaid(scene)
    remind(scene)
    days_later(scene, 1, n9900000345901=800)
    assert remind(scene).queued == 1
    days_later(scene, 1, n9900000345901=-2_050)
    remind(scene)
    text = scene.messages()[-1].content["text"]
    assert "可用电费余额为0.00元" in text
    assert "已欠20.50元，请及时充值" in text


@pytest.mark.parametrize("fen", [3_000, 10_000])
def test_who_has_enough_hears_nothing(scene: CampaignScene, fen: int) -> None:
    a_prepaid(scene, fen=fen)
    assert remind(scene) == Reminded()


def test_nothing_is_told_by_old_figures_or_to_who_is_held(scene: CampaignScene) -> None:
    a_prepaid(scene)
    a_prepaid(scene, SECOND)
    scene.hold(HOME, "hold")
    assert remind(scene).left_out == {"hold": 1}
    scene.clock.move(timedelta(days=2))
    assert remind(scene).left_out == {"stale_feed": 2}
    scene.clock.move(timedelta(days=2))
    scene.fresh()
    assert remind(scene).left_out == {"old_balance": 2}


def test_one_person_with_two_supply_points_hears_once_a_day(scene: CampaignScene) -> None:
    a_prepaid(scene, HOME, 2_500, party_no=PARTY)
    a_prepaid(scene, SECOND, 1_500, party_no=PARTY)
    scene.do(lambda s: s.exec_driver_sql("UPDATE customer_contacts SET state = 'revoked'"))
    person = scene.follower(HOME, SECOND)
    assert [remind(scene).queued for _ in range(2)] == [1, 0]
    (message,) = scene.messages()
    assert message.recipient == person
    card = card_of(message)
    assert (card["户号"], card["可用余额"]) == (SECOND, "15.00元")
    assert card["提示"] == "2户余额不足，请及时充值"
    days_later(scene, 1, n9900000345901=2_500, n9900000345902=1_500)
    assert remind(scene).queued == 1
    assert card_of(scene.messages()[-1])["户号"] == HOME


def test_a_prepaid_customer_never_climbs_the_ladder(scene: CampaignScene) -> None:
    a_prepaid(scene)
    scene.bill(HOME, 8_640)
    scene.told()
    assert scene.messages() == []
    assert scene.steps() == []


def test_a_customer_without_a_way_is_counted(scene: CampaignScene) -> None:
    a_prepaid(scene)
    scene.do(lambda s: s.exec_driver_sql("UPDATE customer_contacts SET state = 'revoked'"))
    assert remind(scene).left_out == {"unreachable": 1}


def test_a_wrong_threshold_row_is_named(scene: CampaignScene) -> None:
    rows = [{"customer_class": "any", "below_yuan": "30", "repeat_days": "0", "max_level": "1"}]
    a_prepaid(scene)

    def put(session: object) -> None:
        version = put_rules(session, "balance_thresholds", rows, "test", "li", scene.now)  # type: ignore[arg-type]
        enforce_rules(session, "balance_thresholds", version, "li", scene.now)  # type: ignore[arg-type]

    scene.do(put)
    with pytest.raises(InputError) as refused:
        remind(scene)
    assert (refused.value.code, refused.value.context["row"]) == ("bad_rule", 1)


def test_many_parties_are_looked_at_bit_by_bit(
    scene: CampaignScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gongdian.arrears.balance_reminders.BATCH", 3)
    for number in range(7):
        a_prepaid(scene, f"99000003459{number:02d}", party_no=f"K{number // 4}")
    queued, after = 0, ""
    while True:
        done = scene.do(lambda s: remind_batch(s, scene.outbox, after, scene.now))  # noqa: B023
        queued += done.queued
        after = done.after
        if not after:
            break
    assert queued == 7
