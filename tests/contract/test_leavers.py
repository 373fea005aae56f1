"""Whoever leaves a customer hears nothing of it any more, and its stage may come again."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import select, update

from gongdian.accounts.customer_tables import customer_contacts
from gongdian.accounts.model import Contact, ContactState
from gongdian.accounts.people import people_of
from gongdian.arrears.answers import NOT_MINE, RecordAnswer, record_answer
from gongdian.arrears.balance_reminders import remind_batch
from gongdian.arrears.leavers import leave_account, leave_customer, leave_notices
from gongdian.arrears.running import run_batch
from gongdian.arrears.tables import answers, worklist
from gongdian.arrears.worklist import finish_item
from gongdian.audit import audit_rows
from gongdian.clock import MovableClock
from gongdian.db import Database, Session
from gongdian.errors import InputError
from gongdian.outbox.tables import messages
from gongdian.sources.feed_rows import rows_of_feed
from gongdian.sources.loading import apply_batch
from tests.account_factories import FIRM, HOLDER, HOME, a_customer, a_person
from tests.campaign_scene import CampaignScene
from tests.factories import ACCOUNT, claim, openid

OTHER = "9900001203999"
PHONE = "13800000001"  # of the scene's first household


@pytest.fixture
def scene(database: Database, clock: MovableClock) -> CampaignScene:
    return CampaignScene(database, clock)


def feed(scene: CampaignScene, *rows: Any) -> None:
    """Rows of customers or contacts come in as an import brings them."""
    name = "contacts" if hasattr(rows[0], "contact_no") else "customers"
    scene.do(lambda s: apply_batch(s, rows_of_feed(name), list(rows), 9, scene.now))


def states(scene: CampaignScene) -> list[tuple[str, str]]:
    return [(row.recipient, row.state) for row in scene.messages()]


def reachable(scene: CampaignScene, customer_no: str = HOME) -> list[str]:
    with scene.database.read() as session:
        return [one.name for one in people_of(session, ACCOUNT, [customer_no])[customer_no]]


def test_who_unbinds_is_not_told_what_was_queued_and_the_stage_comes_again(
    scene: CampaignScene,
) -> None:
    scene.firm(FIRM)
    gone, stays = scene.follower(FIRM), scene.follower(FIRM)
    scene.told()
    assert scene.do(lambda s: leave_customer(s, int(gone[1:]), FIRM, scene.now))
    assert states(scene) == [(gone, "withdrawn"), (stays, "queued")]
    assert len(scene.steps()) == 1, "the other one is still told"
    assert scene.do(lambda s: leave_customer(s, int(stays[1:]), FIRM, scene.now))
    assert scene.steps() == []
    assert claim(scene.database, scene.now) == []
    assert not scene.do(lambda s: leave_customer(s, int(gone[1:]), FIRM, scene.now))


def test_a_card_that_is_out_goes_to_no_further_channel_of_who_unbound(
    scene: CampaignScene,
) -> None:
    scene.firm(FIRM)
    gone = scene.follower(FIRM)
    scene.told()
    out = {"state": "accepted", "accepted_at": scene.now, "next_step": 1}
    scene.do(lambda s: s.execute(update(messages).values(**out)))
    scene.do(lambda s: leave_customer(s, int(gone[1:]), FIRM, scene.now))
    (row,) = scene.messages()
    assert (row.state, row.next_step) == ("accepted", None)
    assert len(scene.steps()) == 1


def test_who_says_not_mine_is_told_again_of_their_other_number_only(scene: CampaignScene) -> None:
    scene.firm(FIRM, party_no="K1")
    scene.firm(OTHER, party_no="K1")
    gone = scene.follower(FIRM, OTHER)
    scene.told()
    answer = RecordAnswer(FIRM, NOT_MINE, contact_id=int(gone[1:]))
    scene.do(lambda s: record_answer(s, answer, scene.now))
    assert states(scene) == [(gone, "withdrawn")]
    scene.told("again")
    assert states(scene)[1:] == [(gone, "queued")]
    assert scene.messages("queued")[0].content["fields"] != scene.messages()[0].content["fields"]


def test_somebody_without_wechat_who_says_not_mine_gets_no_text_message(
    scene: CampaignScene,
) -> None:
    scene.household(HOME)
    scene.told()
    (message,) = scene.messages()
    answer = RecordAnswer(HOME, NOT_MINE, person_id=int(message.recipient[1:]))
    scene.do(lambda s: record_answer(s, answer, scene.now))
    assert [state for _, state in states(scene)] == ["withdrawn"]
    assert scene.steps() == []


@pytest.mark.parametrize("changes", [{"state": "revoked"}, {"phone": "13700007777"}])
def test_a_contact_who_ends_or_moves_in_the_feed_is_not_told_at_the_old_number(
    scene: CampaignScene, changes: dict[str, str]
) -> None:
    scene.household(HOME)
    scene.told()
    feed(scene, a_person(HOME, phone=PHONE))
    assert [state for _, state in states(scene)] == ["queued"], "the same row changes nothing"
    feed(scene, a_person(HOME, **{"phone": PHONE, **changes}))
    assert [state for _, state in states(scene)] == ["withdrawn"]
    assert scene.steps() == []
    scene.told("again")
    assert len(scene.messages("queued")) == (0 if "state" in changes else 1)


@pytest.mark.parametrize("how", ["left", "consent"])
def test_who_leaves_the_account_gives_the_stage_back_and_their_words_go(
    scene: CampaignScene, how: str
) -> None:
    scene.firm(FIRM)
    gone = scene.follower(FIRM)
    scene.told()
    note = "电表在我家王小明房间"
    said = RecordAnswer(FIRM, "dispute", contact_id=int(gone[1:]), note=note)
    scene.do(lambda s: record_answer(s, said, scene.now))

    def leave(session: Session) -> None:
        if how == "left":
            leave_account(session, ACCOUNT, openid(1), scene.now)
        else:
            contact = Contact(int(gone[1:]), openid(1), ContactState.FOLLOWING)
            leave_notices(session, contact, "text:1", scene.now)

    scene.do(leave)
    assert states(scene) == [(gone, "withdrawn")]
    assert scene.steps() == []
    with scene.database.read() as session:
        assert session.execute(select(answers.c.note)).scalars().all() == [""]
        (item,) = session.execute(select(worklist.c.id).where(worklist.c.kind == "dispute")).all()
    scene.do(lambda s: finish_item(s, item.id, "已当面说明", "li", scene.now))
    with scene.database.read() as session:
        assert session.execute(select(worklist.c.note)).scalars().all() == [""]
        for row in session.execute(select(audit_rows)):
            assert "王小明" not in row.details


def test_a_batch_that_is_queueing_is_waited_for(scene: CampaignScene) -> None:
    """MariaDB: the message of a transaction that goes on is not seen before it ends."""
    scene.firm(FIRM)
    gone = scene.follower(FIRM)
    scene.prepared()
    scene.approve()
    campaign, queued, going = scene.campaign(), threading.Event(), threading.Event()

    def run(session: Session) -> None:
        run_batch(session, scene.outbox, campaign.id, 500, scene.now)
        queued.set()
        going.wait(1)

    runner = threading.Thread(target=lambda: scene.do(run))
    runner.start()
    assert queued.wait(10)
    scene.do(lambda s: leave_customer(s, int(gone[1:]), FIRM, scene.now))
    going.set()
    runner.join()
    assert states(scene) == [(gone, "withdrawn")]


def test_the_contacts_file_of_the_same_night_does_not_bring_the_former_holder_back(
    scene: CampaignScene,
) -> None:
    scene.household(HOME)
    old = a_person(HOME, phone=PHONE)
    feed(scene, a_customer(HOME, name="王五", party_no="P777"))
    for row in (old, old._replace(row_no=77), old._replace(mail="zhang@example.com", level=2)):
        feed(scene, row)
        assert reachable(scene) == []
    assert ("new_holder", HOME) in scene.items()
    feed(scene, old._replace(name="王五", phone="13700007777"))
    assert reachable(scene) == ["王五"]
    assert ("new_holder", HOME) not in scene.items()


def test_a_clerk_says_that_the_people_stay_after_a_corrected_name(scene: CampaignScene) -> None:
    scene.household(HOME, debt=None)
    feed(scene, a_customer(HOME, name="张三风"))
    with scene.database.read() as session:
        (item,) = session.execute(select(worklist).where(worklist.c.state == "open")).all()
    assert (item.kind, reachable(scene)) == ("new_holder", [])

    def done(session: Session) -> None:
        finish_item(session, item.id, "仅更正户名", "li", scene.now, people_stay=True)

    scene.do(done)
    assert reachable(scene) == [HOLDER]
    feed(scene, a_person(HOME, phone=PHONE))
    assert reachable(scene) == [HOLDER]
    feed(scene, a_customer(HOME, name="王五", party_no="P777"))
    feed(scene, a_person(HOME, phone=PHONE))
    assert reachable(scene) == [], "a later change of holder is another one"


def test_who_moved_out_earlier_does_not_come_back_with_those_who_stay(
    scene: CampaignScene,
) -> None:
    scene.household(HOME, debt=None)
    feed(scene, a_customer(HOME, name="王五", party_no="P777"))
    feed(scene, a_person(HOME, "L2", name="王五", phone="13700007777"))
    feed(scene, a_customer(HOME, name="王武", party_no="P777"))
    with scene.database.read() as session:
        item = session.execute(select(worklist).where(worklist.c.state == "open")).one()
    scene.do(lambda s: finish_item(s, item.id, "更名", "li", scene.now, people_stay=True))
    assert reachable(scene) == ["王五"]
    with scene.database.read() as session:
        query = select(customer_contacts.c.holder).order_by(customer_contacts.c.id)
        assert session.execute(query).scalars().all() == [1, 3]


def test_only_an_item_about_a_holder_says_that_people_stay(scene: CampaignScene) -> None:
    scene.firm(FIRM)
    gone = scene.follower(FIRM)
    answer = RecordAnswer(FIRM, NOT_MINE, contact_id=int(gone[1:]))
    scene.do(lambda s: record_answer(s, answer, scene.now))
    with scene.database.read() as session:
        item = session.execute(select(worklist)).one()
    with pytest.raises(InputError, match="not_about_people"):
        scene.do(lambda s: finish_item(s, item.id, "x", "li", scene.now, people_stay=True))


def test_a_balance_reminder_to_the_former_holder_is_withdrawn(scene: CampaignScene) -> None:
    scene.household(HOME, debt=None, is_prepaid=True)
    scene.balance(HOME, 1_200)
    scene.do(lambda s: remind_batch(s, scene.outbox, "", scene.now))
    assert [state for _, state in states(scene)] == ["queued"]
    feed(scene, a_customer(HOME, name="王五", party_no="P777", is_prepaid=True))
    assert [state for _, state in states(scene)] == ["withdrawn"]
