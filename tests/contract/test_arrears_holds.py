"""Several holds of one customer, and holds and transfers while a campaign is queueing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from gongdian.accounts.customers import apply_customers
from gongdian.arrears import running
from gongdian.arrears.events import holder_changed
from gongdian.arrears.holds import HoldCustomer, end_hold, hold
from gongdian.clock import MovableClock
from gongdian.db import Database, Session
from gongdian.outbox.tables import messages
from tests.account_factories import a_customer
from tests.campaign_scene import CampaignScene
from tests.factories import claim, one_sweep

FIRM, SECOND, HOME = "9900001203457", "9900001203999", "9900000345812"


@pytest.fixture
def scene(database: Database, clock: MovableClock) -> CampaignScene:
    return CampaignScene(database, clock)


def holds(scene: CampaignScene, kind: str, hours: int = 0, number: str = FIRM) -> int:
    until = scene.now + timedelta(hours=hours) if hours else None
    command = HoldCustomer(number, "等待核实", "li", until, kind)
    found: int = scene.do(lambda s: hold(s, command, scene.now))
    return found


def hours_left(scene: CampaignScene) -> list[tuple[str, float | None]]:
    """State and hours until the end of each message's hold; None: without an end."""
    return [
        (
            one.state,
            None if one.held_until is None else (one.held_until - scene.now) / timedelta(hours=1),
        )
        for one in scene.messages()
    ]


def told(scene: CampaignScene) -> None:
    scene.firm(FIRM)
    scene.follower(FIRM)
    scene.told()


def test_a_second_hold_outlasts_the_first(scene: CampaignScene) -> None:
    told(scene)
    holds(scene, "hold", 4)
    holds(scene, "dispute")
    assert hours_left(scene) == [("held", None)]
    scene.clock.move(timedelta(hours=5))
    one_sweep(scene.database, scene.now)
    assert claim(scene.database, scene.now) == []


def test_a_shorter_hold_does_not_shorten_a_longer_one(scene: CampaignScene) -> None:
    told(scene)
    holds(scene, "hold", 8)
    holds(scene, "claimed_paid", 4)
    assert hours_left(scene) == [("held", 8)]


def test_what_is_out_goes_to_no_further_channel_until_the_last_hold_ends(
    scene: CampaignScene,
) -> None:
    told(scene)
    out = update(messages).values(state="accepted", accepted_at=scene.now, next_step=1)
    scene.do(lambda s: s.execute(out))
    holds(scene, "dispute")
    holds(scene, "claimed_paid", 4)
    assert scene.messages()[0].held_until > scene.now + timedelta(days=3_650)


def test_when_one_of_several_holds_ends_the_others_count(scene: CampaignScene) -> None:
    told(scene)
    dispute = holds(scene, "dispute")
    paid = holds(scene, "claimed_paid", 4)
    scene.do(lambda s: end_hold(s, dispute, "li", scene.now))
    assert hours_left(scene) == [("held", 4)]
    scene.do(lambda s: end_hold(s, paid, "li", scene.now))
    assert hours_left(scene) == [("queued", None)]


def while_queueing(
    scene: CampaignScene, monkeypatch: pytest.MonkeyPatch, other: Callable[[Session], object]
) -> None:
    """``other`` begins when a batch has queued its messages and not committed; it must wait."""
    queued, go_on = threading.Event(), threading.Event()
    real = running.queue_cards

    def slowly(*arguments: Any) -> None:
        real(*arguments)
        queued.set()
        assert go_on.wait(20)

    monkeypatch.setattr(running, "queue_cards", slowly)
    runner = threading.Thread(target=scene.run)
    later = threading.Thread(target=lambda: scene.do(other))
    runner.start()
    assert queued.wait(20)
    later.start()
    later.join(0.5)
    has_waited = later.is_alive()
    go_on.set()
    runner.join()
    later.join()
    assert has_waited


def test_a_hold_while_a_batch_is_queued_waits_and_holds(
    scene: CampaignScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.firm(FIRM, party_no="K1")
    scene.firm(SECOND, party_no="K1", debt=None)
    scene.follower(FIRM, SECOND)
    scene.prepared()
    scene.approve()
    command = HoldCustomer(SECOND, "等待核实", "li")
    while_queueing(scene, monkeypatch, lambda s: hold(s, command, scene.now))
    assert hours_left(scene) == [("held", None)], "of whatever 户号 of the party"


def test_a_closed_customer_while_a_batch_is_queued_hears_nothing(
    scene: CampaignScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.household(HOME)
    scene.prepared()
    scene.approve()

    def closes(session: Session) -> None:
        applied = apply_customers(session, [a_customer(HOME, state="closed")], 9, scene.now)
        holder_changed(session, [*applied.holder_changed, *applied.closed], scene.now)

    while_queueing(scene, monkeypatch, closes)
    assert [(one.state, one.reason) for one in scene.messages()] == [
        ("withdrawn", "holder_changed")
    ]
