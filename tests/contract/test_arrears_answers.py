"""Holds, what customers answer, and work items on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from gongdian.arrears.answers import (
    ANSWER_AGAIN,
    ANSWER_EFFECTS,
    RecordAnswer,
    Recorded,
    answers_of,
    record_answer,
)
from gongdian.arrears.holds import HoldCustomer, active_pauses, end_hold, hold, holds_of
from gongdian.arrears.worklist import (
    NewItem,
    add_item,
    escalate_items,
    finish_item,
    open_items,
)
from gongdian.audit import audit_rows
from gongdian.db import Database
from gongdian.errors import ConflictError, InputError, NotFoundError
from gongdian.outbox.tables import messages
from tests.arrears_world import DUE, NUMBER, World

OTHER = "9900000345813"


@pytest.fixture
def world(database: Database) -> World:
    """Rules in force, feeds fresh, one customer."""
    world = World(database).begin()
    world.customer()
    return world


def test_a_hold_stops_and_ends_by_itself(world: World) -> None:
    world.bill()
    world.on(1).run()
    until = world.now + timedelta(days=3)
    command = HoldCustomer(NUMBER, "分期协议", "clerk", until)
    first = world.database.run(lambda s: hold(s, command, world.now))
    assert world.database.run(lambda s: hold(s, command, world.now)) == first
    assert set(world.states().values()) == {"held"}
    assert world.on(2).decide().why == "hold"
    case = world.case()
    assert case is not None
    assert case.paused_by == "hold"
    world.on(4)
    assert world.database.run(lambda s: active_pauses(s, [NUMBER], world.now)) == {}
    with pytest.raises(ConflictError, match="hold_ended"):
        world.database.run(lambda s: end_hold(s, first, "clerk", world.now))
    assert world.on(7).run() == [(NUMBER, 3)]


def test_ending_a_hold_lets_the_message_go_and_both_leave_an_audit_row(world: World) -> None:
    world.bill()
    world.on(1).run()
    until = world.now + timedelta(days=30)
    number = world.database.run(
        lambda s: hold(s, HoldCustomer(NUMBER, "困难户", "clerk", until), world.now)
    )
    other = world.database.run(
        lambda s: hold(s, HoldCustomer(NUMBER, "有疑问", "customer", None, "dispute"), world.now)
    )
    world.database.run(lambda s: end_hold(s, number, "chief", world.now))
    assert set(world.states().values()) == {"held"}, "the dispute still holds it"
    world.database.run(lambda s: end_hold(s, other, "chief", world.now))
    assert set(world.states().values()) == {"queued"}
    with world.database.read() as session:
        rows = session.execute(select(audit_rows).where(audit_rows.c.action.contains(":hold:")))
        trail = [(row.action, row.actor, row.details) for row in rows]
    assert [one[:2] for one in trail] == [
        ("arrears:hold:made", "clerk"),
        ("arrears:hold:made", "customer"),
        ("arrears:hold:ended", "chief"),
        ("arrears:hold:ended", "chief"),
    ]
    assert "困难户" not in str(trail), "the reason is encrypted in its own row"
    assert [one.reason for one in world.database.run(lambda s: holds_of(s, NUMBER))] == [
        "有疑问",
        "困难户",
    ]


def test_a_longer_hold_wins_and_a_shorter_one_does_not(world: World) -> None:
    def until(days: int | None) -> None:
        end = None if days is None else world.now + timedelta(days=days)
        world.database.run(lambda s: hold(s, HoldCustomer(NUMBER, "协议", "clerk", end), world.now))

    for days in (3, 10, 5):
        until(days)
    assert [one.until for one in world.holds()] == [world.now + timedelta(days=10)]
    until(None)
    until(20)
    assert [one.until for one in world.holds()] == [None]


def test_what_cannot_be_held_is_refused(world: World) -> None:

    def refused(command: HoldCustomer) -> str:
        with pytest.raises(InputError) as refusal:
            world.database.run(lambda s: hold(s, command, world.now))
        return refusal.value.code

    assert refused(HoldCustomer(NUMBER, " ", "clerk")) == "no_reason"
    assert refused(HoldCustomer(NUMBER, "x", "clerk", world.now)) == "until_passed"
    assert refused(HoldCustomer(NUMBER, "x", "clerk", None, "forever")) == "no_such_kind"
    with pytest.raises(NotFoundError, match="no_customer"):
        world.database.run(lambda s: hold(s, HoldCustomer("99", "x", "clerk"), world.now))


def answer(world: World, kind: str, note: str = "", key: str = "k") -> Recorded:
    """Answer as the customer's contact 5."""
    command = RecordAnswer(NUMBER, kind, 5, message_key=key, note=note)
    return world.database.run(lambda s: record_answer(s, command, world.now))


def test_known_pauses_nothing(world: World) -> None:
    world.bill()
    world.on(1).run()
    world.send()
    found = answer(world, "known", key=world.told[0][3])
    assert (found.effect, found.is_paused) == (ANSWER_EFFECTS["known"], False)
    assert world.holds() == []
    with world.database.read() as session:
        assert session.execute(select(messages.c.answer)).scalar() == "known"
    assert world.on(7).run() == [(NUMBER, 3)]


def test_paid_pauses_once_a_debt_for_three_working_days(world: World) -> None:
    world.bill()
    world.on(1).run()
    world.send()
    found = answer(world, "paid")
    assert found.is_paused
    assert found.paused_until is not None
    # Thursday 26 November: Friday, Monday, Tuesday 1 December to its end
    assert found.paused_until.isoformat() == "2026-12-01T16:00:00+00:00"
    assert answer(world, "paid").answer_id == found.answer_id
    assert len(world.answers()) == 1
    assert world.on(6).decide().why == "claimed_paid"
    assert world.on(7).run() == [(NUMBER, 3)], "2 December: nothing came"
    again = answer(world, "paid", key="another")
    assert (again.effect, again.is_paused) == (ANSWER_AGAIN, False)
    assert [one.kind for one in world.items()] == ["claimed_paid"]
    world.pay()
    assert world.items() == []


def test_a_dispute_stops_reminders_until_a_clerk_has_finished_it(world: World) -> None:
    world.bill()
    world.on(1).run()
    found = answer(world, "dispute", "电表读数不对")
    assert (found.is_paused, found.paused_until) == (True, None)
    assert set(world.states().values()) == {"held"}
    answer(world, "dispute", "电表读数不对")
    (item,) = world.database.run(lambda s: open_items(s, kind="dispute"))
    assert (item.note, item.label, item.station) == (
        "电表读数不对",
        "核实客户疑问",
        "城关供电所",
    )
    assert world.on(40).decide().why == "dispute"
    case = world.case()
    assert case is not None
    assert case.anchor_on == DUE, "the due date does not move"
    with pytest.raises(InputError, match="no_outcome"):
        world.database.run(lambda s: finish_item(s, item.id, " ", "clerk", world.now))
    world.database.run(lambda s: finish_item(s, item.id, "读数无误", "clerk", world.now))
    with pytest.raises(ConflictError, match="item_done"):
        world.database.run(lambda s: finish_item(s, item.id, "读数无误", "clerk", world.now))
    assert world.items("dispute", "done")[0].outcome == "读数无误"
    assert world.decide().stage == 3


def test_not_mine_leaves_the_debt_and_asks_somebody_to_look(world: World) -> None:
    world.bill()
    found = answer(world, "not_mine")
    assert found.is_paused is False
    answer(world, "not_mine")
    assert [one.kind for one in world.items()] == ["not_mine"]
    assert world.on(1).run() == [(NUMBER, 2)]
    world.pay()
    answer(world, "not_mine", key="later")
    assert len(world.items()) == 1


def test_what_cannot_be_answered_is_refused(world: World) -> None:
    with pytest.raises(ConflictError, match="no_open_case"):
        answer(world, "paid")
    world.bill()
    with pytest.raises(InputError, match="bad_answer"):
        answer(world, "maybe")
    with pytest.raises(InputError, match="note_too_long"):
        answer(world, "dispute", "长" * 501)
    answer(world, "known")
    assert [one.label for one in world.database.run(lambda s: answers_of(s, NUMBER))] == ["已知晓"]


def test_work_items_are_asked_for_once_and_escalate(world: World) -> None:
    item = NewItem("unreachable", NUMBER, "城关供电所", 7)
    assert world.database.run(lambda s: add_item(s, item, world.now)) is True
    assert world.database.run(lambda s: add_item(s, item, world.now)) is False
    assert world.database.run(lambda s: escalate_items(s, world.now)) == 0
    world.on(30)
    assert world.database.run(lambda s: escalate_items(s, world.now)) == 1
    assert world.database.run(lambda s: escalate_items(s, world.now)) == 0
    (found,) = world.database.run(lambda s: open_items(s, station="城关供电所"))
    assert found.is_escalated
    assert world.database.run(lambda s: open_items(s, station="城东供电所")) == []
    world.database.run(lambda s: finish_item(s, found.id, "已电话通知", "clerk", world.now))
    assert world.database.run(lambda s: add_item(s, item, world.now)) is True
