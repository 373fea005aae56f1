"""How contacts want to be reached: registered, moved, turned off, on both databases."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from gongdian.accounts.channels import channels_of, fallback_steps, mark_channel_refused
from gongdian.accounts.model import ONLY_WHEN_REFUSED, Patience, RegisterChannel
from gongdian.accounts.preferences import (
    choose_patience,
    patience_of,
    place_channel,
    register_channel,
    remove_channel,
    switch_channel,
)
from gongdian.accounts.service import leave, meet_contact
from gongdian.audit import audit_rows
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import ConflictError, InputError, NotFoundError
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.model import RecipientRefused
from tests.factories import ACCOUNT, OPENID

PHONE, MAIL = "13800001111", "li@example.com"
ADDRESSES = {"sms": PHONE, "mail": MAIL}
HALF_AN_HOUR = timedelta(minutes=30)


class Scene:
    """One contact and what is done with their channels."""

    def __init__(self, database: Database, clock: MovableClock) -> None:
        self.database, self.clock = database, clock
        met = database.run(lambda session: meet_contact(session, ACCOUNT, OPENID, clock.now()))
        self.id = met.id

    def register(self, channel: str, address: str = "", **more: Any) -> bool:
        command = RegisterChannel(self.id, channel, address or ADDRESSES[channel], **more)
        return self.database.run(lambda s: register_channel(s, command, "王工", self.clock.now()))

    def do(self, work: Any, *given: Any, **more: Any) -> bool:
        done: bool = self.database.run(
            lambda s: work(s, self.id, *given, by="wechat", now=self.clock.now(), **more)
        )
        return done

    def steps(self, wait: timedelta | None = None) -> list[tuple[str, timedelta | None]]:
        with self.database.read() as session:
            steps = fallback_steps(session, self.id, wait)
        return [(step.channel, step.wait) for step in steps]

    def order(self) -> list[str]:
        with self.database.read() as session:
            return [one.channel for one in channels_of(session, self.id)]

    def audited(self) -> list[str]:
        with self.database.read() as session:
            rows = session.execute(select(audit_rows).order_by(audit_rows.c.id)).all()
        assert {row.subject for row in rows} <= {f"c{self.id}"}
        for row in rows:
            assert PHONE not in row.details
            assert "example.com" not in row.details
        return [row.action for row in rows]


@pytest.fixture
def scene(database: Database, clock: MovableClock) -> Scene:
    return Scene(database, clock)


def test_registered_channels_are_steps_in_their_order(scene: Scene) -> None:
    assert scene.register("sms")
    assert scene.register("mail", place=0, wait=HALF_AN_HOUR)

    assert scene.steps() == [("mail", HALF_AN_HOUR), ("sms", None)]
    assert scene.steps(timedelta(minutes=5))[1] == ("sms", timedelta(minutes=5))
    assert scene.audited() == ["accounts:channel:set"] * 2


def test_registering_again_changes_and_audits_nothing(scene: Scene) -> None:
    scene.register("sms")
    scene.register("mail", wait=HALF_AN_HOUR)

    assert not scene.register("sms")
    assert not scene.register("mail", wait=HALF_AN_HOUR, place=5)
    assert scene.steps() == [("sms", None), ("mail", HALF_AN_HOUR)]
    assert len(scene.audited()) == 2


def test_a_new_number_keeps_place_wait_and_the_contacts_no(scene: Scene) -> None:
    scene.register("sms", wait=HALF_AN_HOUR)
    scene.register("mail")
    scene.do(switch_channel, "sms", is_on=False)

    assert scene.register("sms", "13900002222")

    with scene.database.read() as session:
        first, _ = channels_of(session, scene.id)
    assert (first.channel, first.address, first.is_wanted) == ("sms", "13900002222", False)
    assert first.wait == HALF_AN_HOUR
    assert scene.order() == ["sms", "mail"]


def test_a_refused_number_is_tried_again_when_registered_anew(scene: Scene) -> None:
    scene.register("sms")
    refused = RecipientRefused(ACCOUNT, address_hash(PHONE), "empty_number")
    scene.database.run(lambda s: mark_channel_refused(s, refused, scene.clock.now()))
    assert scene.steps() == []

    assert scene.register("sms")
    assert scene.steps() == [("sms", None)]


def test_what_is_off_is_no_step_until_it_is_on(scene: Scene) -> None:
    scene.register("sms")
    scene.register("mail")

    assert scene.do(switch_channel, "sms", is_on=False)
    assert not scene.do(switch_channel, "sms", is_on=False)
    assert scene.steps() == [("mail", None)]
    assert scene.order() == ["sms", "mail"]
    assert scene.do(switch_channel, "sms", is_on=True)
    assert scene.steps() == [("sms", None), ("mail", None)]
    assert scene.audited()[2:] == ["accounts:channel:off", "accounts:channel:on"]


def test_moving_to_a_place_twice_moves_once(scene: Scene) -> None:
    scene.register("sms")
    scene.register("mail")

    assert scene.do(place_channel, "mail", 0)
    assert not scene.do(place_channel, "mail", 0)
    assert scene.order() == ["mail", "sms"]
    assert scene.do(place_channel, "mail", 9)
    assert scene.order() == ["sms", "mail"]


def test_one_choice_of_patience_is_for_all_and_for_later_ones(scene: Scene) -> None:
    assert not scene.do(choose_patience, Patience.REFUSED)
    scene.register("sms", wait=HALF_AN_HOUR)
    with scene.database.read() as session:
        assert patience_of(channels_of(session, scene.id)) is None

    assert scene.do(choose_patience, Patience.REFUSED)
    assert not scene.do(choose_patience, Patience.REFUSED)
    scene.register("mail")
    assert scene.steps() == [("sms", ONLY_WHEN_REFUSED), ("mail", ONLY_WHEN_REFUSED)]
    assert scene.do(choose_patience, Patience.UNDELIVERED)
    assert scene.steps() == [("sms", None), ("mail", None)]


def test_removing_erases_the_address_and_closes_the_gap(scene: Scene) -> None:
    scene.register("sms")
    scene.register("mail")

    assert scene.do(remove_channel, "sms")
    assert not scene.do(remove_channel, "sms")
    assert scene.order() == ["mail"]
    scene.register("sms")
    assert scene.order() == ["mail", "sms"]
    assert scene.audited().count("accounts:channel:removed") == 1


def test_what_is_not_there_cannot_be_changed(scene: Scene) -> None:
    scene.register("sms")
    for work, more in ((switch_channel, {"is_on": False}), (place_channel, {"place": 0})):
        with pytest.raises(ConflictError, match="channel_gone"):
            scene.do(work, "mail", **more)
    with pytest.raises(InputError, match="11 digits"):
        scene.register("sms", "1380000")
    scene.id += 1
    with pytest.raises(NotFoundError):
        scene.register("sms")


def test_a_contact_who_left_gets_no_address(scene: Scene) -> None:
    scene.register("sms")
    scene.database.run(lambda s: leave(s, ACCOUNT, OPENID, scene.clock.now()))

    with pytest.raises(ConflictError, match="contact_left"):
        scene.register("sms")
    assert scene.order() == []


def test_two_at_once_leave_one_order(scene: Scene) -> None:
    scene.register("sms")
    scene.register("mail")
    start = threading.Barrier(8)

    def move(channel: str) -> None:
        start.wait(timeout=10)
        scene.do(place_channel, channel, 0)

    movers = [
        threading.Thread(target=move, args=(name,)) for name in ("sms", "mail") for _ in range(4)
    ]
    for mover in movers:
        mover.start()
    for mover in movers:
        mover.join(timeout=30)

    assert sorted(scene.order()) == ["mail", "sms"]
    placed = scene.audited().count("accounts:channel:placed")
    assert scene.order()[0] == ("mail" if placed % 2 else "sms")
