"""催告 counts when it reached somebody: receipts, clerks' records, and what the letter needs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from gongdian.arrears.demands import RecordDemand, record_demand
from gongdian.arrears.holds import HoldCustomer, hold
from gongdian.arrears.page import party_page
from gongdian.arrears.steps import untake_steps
from gongdian.arrears.tables import steps
from gongdian.audit import audit_rows
from gongdian.db import Database
from gongdian.errors import ConflictError, InputError, NotFoundError
from gongdian.outbox.tables import messages
from tests.arrears_world import DUE, NUMBER, World


@pytest.fixture
def world(database: Database) -> World:
    """One customer with a debt."""
    world = World(database).begin()
    world.customer()
    world.bill()
    return world


def ends(world: World, **values: object) -> None:
    """Every message of today ends like this."""
    world.database.run(lambda s: s.execute(update(messages).values(**values)))


def demands(world: World, how: str = "phone", ref: str = "录音 17", **changes: object) -> object:
    given = {"at": world.now - timedelta(hours=1), "by": "王客户经理", **changes}
    command = RecordDemand(NUMBER, how, ref, **given)  # type: ignore[arg-type]
    return world.database.run(lambda s: record_demand(s, command, world.now))


def demanded(world: World) -> str:
    """What the page says about the demand."""
    with world.database.read() as session:
        cut = party_page(session, [NUMBER], world.now).supplies[0].cut
    assert cut is not None
    return next(reason.text for reason in cut.reasons if reason.code == "demanded")


def unheard(world: World) -> None:
    """Through to 催告, which fails."""
    world.told_on(1, 7).on(15).run()
    ends(world, state="failed", reason="43004", closed_at=world.now, receipt_at=world.now)


def test_a_demand_that_failed_stops_the_ladder_and_asks_people_once(world: World) -> None:
    unheard(world)
    assert world.database.run(lambda s: untake_steps(s, [NUMBER], world.now)) == 0
    for offset in (31, 32, 40):
        assert world.on(offset).run() == []
        assert world.decide().why == "demand_unproven"
    assert len(world.items("demand_unproven")) == 1
    assert world.items("letter_due") == []
    assert "还没有催告记录" in demanded(world)
    with pytest.raises(ConflictError, match="letter_not_due") as caught:
        world.letter()
    assert caught.value.context["why"] == "demand_unproven"


@pytest.mark.parametrize("proof", ["opened_at", "answered_at", "receipt"])
def test_what_arrived_or_was_opened_or_answered_proves_a_demand(world: World, proof: str) -> None:
    world.told_on(1, 7).on(15).run()
    world.send()
    assert "还没有催告记录" in demanded(world), "the platform's acceptance is no arrival"
    later = world.on(17).now
    if proof == "receipt":
        ends(world, state="delivered", receipt_at=later, closed_at=later)
    else:
        ends(world, **{proof: later})
    assert "12月12日 已催告" in demanded(world)
    assert world.on(31).decide().why == "letter_due"


def test_a_clerks_record_proves_a_demand_and_ends_the_work(world: World) -> None:
    unheard(world)
    world.on(31).run()
    on = demands(world)
    assert on == world.today
    assert demands(world) == on, "again, it is the same"
    with pytest.raises(ConflictError, match="demand_recorded"):
        demands(world, "paper")
    assert world.items("demand_unproven") == []
    assert world.on(32).decide().why == "letter_due"
    assert "12月26日 已催告" in demanded(world)
    with world.database.read() as session:
        proofs = session.execute(select(steps.c.proof_ref).where(steps.c.stage == 4)).scalars()
        assert proofs.all() == ["录音 17"]
        audited = session.execute(
            select(audit_rows).where(audit_rows.c.action == "arrears:demand:recorded")
        ).all()
    assert len(audited) == 1
    assert "录音" not in str(audited), "what a clerk wrote is kept encrypted only"


def test_whom_no_campaign_could_tell_is_demanded_by_hand(world: World) -> None:
    assert demands(world.on(20), "visit", "照片 3") == world.today
    assert world.steps() == [(DUE, 4)]
    case = world.case()
    assert case is not None
    assert case.stage == 4
    assert world.on(31).decide().why == "letter_due"


def test_a_record_of_a_demand_is_checked(world: World) -> None:
    world.on(16)
    for changes, code in (
        ({"how": "wechat"}, "unknown_proof"),
        ({"ref": " "}, "no_proof"),
        ({"by": " "}, "no_name"),
        ({"at": world.now + timedelta(hours=1)}, "demanded_in_future"),
        ({"at": world.now - timedelta(days=2)}, "demand_too_early"),
    ):
        with pytest.raises(InputError, match=code):
            demands(world, **changes)  # type: ignore[arg-type]
    world.pay()
    with pytest.raises(NotFoundError, match="no_case"):
        demands(world)


def stopped(world: World, why: str) -> None:
    if why == "in_flight":
        world.pay(state="in_flight", expected_on=world.today + timedelta(days=2))
    elif why == "stale_feed":
        world.today += timedelta(days=3)
    else:
        command = HoldCustomer(NUMBER, "表计有误", "clerk", None, why)
        world.database.run(lambda s: hold(s, command, world.now))


@pytest.mark.parametrize("why", ["dispute", "in_flight", "stale_feed"])
def test_no_letter_while_something_stops_the_reminders(world: World, why: str) -> None:
    stopped(world.told_on(1, 7, 15).on(31), why)
    with pytest.raises(ConflictError, match="letter_not_due") as caught:
        world.letter()
    assert caught.value.context["why"] == why


@pytest.mark.parametrize("why", ["dispute", "in_flight", "stale_feed"])
def test_no_approval_and_no_service_while_something_stops_the_reminders(
    world: World, why: str
) -> None:
    from gongdian.arrears.letters import (
        ApproveLetter,
        RecordService,
        approve_letter,
        prepare_letter,
        record_service,
    )
    from gongdian.arrears.rules import notice_of

    def run(work):  # type: ignore[no-untyped-def]
        return world.database.run(work)

    def approve(session):  # type: ignore[no-untyped-def]
        approve_letter(session, ApproveLetter(number, "chief", ("chief",), b"%PDF"), world.now)

    world.told_on(1, 7, 15).on(31)
    number = run(
        lambda s: prepare_letter(s, NUMBER, notice_of(s, NUMBER, world.now), "li", world.now)
    ).number
    if why == "dispute":
        run(approve)
        stopped(world, why)
        proof = RecordService(number, "signed", "scan", world.now, "li")
        with pytest.raises(ConflictError, match="letter_not_due"):
            run(lambda s: record_service(s, proof, world.now))
        return
    stopped(world, why)
    with pytest.raises(ConflictError, match="letter_not_due"):
        run(approve)
