"""余额提醒 that a recharge overtakes, on both databases: taken back, told anew where it must be."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from gongdian.accounts.people import people_of
from gongdian.arrears.balance_reminders import Reminded, remind_batch
from gongdian.arrears.events import facts_changed
from gongdian.billing.rows import BalanceRow
from gongdian.billing.service import apply_balances
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.outbox.holding import Selection, withdraw_messages
from gongdian.outbox.tables import messages
from tests.campaign_scene import CampaignScene, card_of
from tests.factories import claim

HOME, SECOND, THIRD = "9900000345901", "9900000345902", "9900000345903"
PARTY = "K100200300"


@pytest.fixture
def scene(database: Database, clock: MovableClock) -> CampaignScene:
    return CampaignScene(database, clock)


def remind(scene: CampaignScene) -> Reminded:
    done: Reminded = scene.do(lambda s: remind_batch(s, scene.outbox, "", scene.now))
    return done


def a_prepaid(scene: CampaignScene, number: str, fen: int, **changes: object) -> None:
    scene.household(number, debt=None, is_prepaid=True, **changes)
    scene.balance(number, fen)


def recharge(scene: CampaignScene, number: str, fen: int) -> None:
    """A balance that was measured just now."""
    scene.clock.move(timedelta(minutes=1))
    row = BalanceRow(1, number, fen, scene.now)

    def work(session: Any) -> None:
        apply_balances(session, [row], 6, scene.now)
        facts_changed(session, [number], scene.now)

    scene.do(work)


def endings(scene: CampaignScene) -> list[tuple[str, str]]:
    return [(message.state, message.reason) for message in scene.messages()]


def test_a_recharge_takes_a_queued_reminder_back(scene: CampaignScene) -> None:
    a_prepaid(scene, HOME, 1_200)
    remind(scene)
    recharge(scene, HOME, 50_000)
    assert endings(scene) == [("withdrawn", "recharged")]


def test_a_reminder_of_another_threshold_is_taken_back_too(scene: CampaignScene) -> None:
    a_prepaid(scene, HOME, 800)
    remind(scene)
    recharge(scene, HOME, 2_500)
    assert endings(scene) == [("withdrawn", "recharged")]
    assert remind(scene).queued == 1
    assert "余额不足30元，请及时充值" in scene.messages()[-1].content["text"]


def test_who_is_as_low_as_before_still_hears(scene: CampaignScene) -> None:
    a_prepaid(scene, HOME, 1_200)
    a_prepaid(scene, SECOND, 90_000)
    remind(scene)
    recharge(scene, HOME, 1_100)
    recharge(scene, SECOND, 80_000)
    assert endings(scene) == [("queued", "")]


def test_a_reminder_that_counts_a_recharged_supply_point_is_taken_back(
    scene: CampaignScene,
) -> None:
    for number, fen in ((HOME, 2_500), (SECOND, 1_500), (THIRD, 90_000)):
        a_prepaid(scene, number, fen, party_no=PARTY)
    scene.do(lambda s: s.exec_driver_sql("UPDATE customer_contacts SET state = 'revoked'"))
    scene.follower(HOME, SECOND)
    remind(scene)
    recharge(scene, HOME, 90_000)
    assert endings(scene) == [("withdrawn", "recharged")]
    remind(scene)
    card = card_of(scene.messages("queued")[0])
    assert (card["户号"], card["提示"]) == (SECOND, "余额不足30元，请及时充值")
    recharge(scene, THIRD, 80_000)
    assert len(scene.messages("queued")) == 1


def test_a_reminder_that_is_being_sent_is_taken_back_if_it_comes_back(
    scene: CampaignScene,
) -> None:
    a_prepaid(scene, HOME, 1_200)
    scene.follower(HOME)
    remind(scene)
    assert claim(scene.database, scene.now)
    recharge(scene, HOME, 50_000)
    asked = [message.withdraw_requested for message in scene.messages("sending")]
    assert asked
    assert all(asked)


def test_what_was_taken_back_counts_as_untold(scene: CampaignScene) -> None:
    a_prepaid(scene, HOME, 1_200)
    for again in range(1, 4):
        assert [remind(scene).queued for _ in range(2)] == [1, 0]
        key = scene.messages()[-1].key
        assert key.split(":")[2].endswith("20261123" if again == 1 else f"20261123-{again}")
        scene.do(lambda s: withdraw_messages(s, Selection(key=key), "hold", scene.now))  # noqa: B023
    assert [message.state for message in scene.messages()] == ["withdrawn"] * 3


@pytest.mark.parametrize(
    ("ending", "queued"),
    [
        ({"state": "expired"}, 1),
        ({"state": "superseded"}, 1),
        ({"state": "withdrawn", "attempts": 1}, 0),
        ({"state": "failed", "attempts": 1}, 0),
        ({"state": "delivered", "attempts": 1}, 0),
    ],
)
def test_only_what_nobody_can_have_seen_is_told_again(
    scene: CampaignScene, ending: dict[str, Any], queued: int
) -> None:
    a_prepaid(scene, HOME, 1_200)
    remind(scene)
    scene.do(lambda s: s.execute(messages.update().values(**ending)))
    assert remind(scene).queued == queued


def test_a_recharge_that_comes_while_reminders_are_queued_waits_and_takes_them_back(
    scene: CampaignScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_prepaid(scene, HOME, 1_200)
    measured, go_on = threading.Event(), threading.Event()
    real = people_of

    def slowly(*arguments: Any) -> Any:
        measured.set()
        assert go_on.wait(20)
        return real(*arguments)

    monkeypatch.setattr("gongdian.arrears.balance_reminders.people_of", slowly)
    reminder = threading.Thread(target=lambda: remind(scene))
    payer = threading.Thread(target=lambda: recharge(scene, HOME, 50_000))
    reminder.start()
    assert measured.wait(20)
    payer.start()
    payer.join(0.5)
    assert payer.is_alive()
    go_on.set()
    reminder.join()
    payer.join()
    assert endings(scene) == [("withdrawn", "recharged")]
