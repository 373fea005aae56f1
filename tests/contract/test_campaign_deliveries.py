"""After queueing, on both databases: deliveries, answers, work for people, cancelled campaigns."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gongdian.arrears import service
from gongdian.arrears.answers import RecordAnswer, record_answer
from gongdian.arrears.campaigns import CampaignState
from gongdian.arrears.service import CancelCampaign
from gongdian.arrears.worklist import finish_item, open_items
from gongdian.clock import MovableClock
from gongdian.db import AnyRow, Database
from gongdian.errors import ConflictError, InputError
from gongdian.outbox.answers import mark_answered, mark_opened
from gongdian.outbox.holding import Selection, withdraw_messages
from gongdian.outbox.model import Outcome
from tests.account_factories import a_customer
from tests.campaign_scene import CampaignScene, numbers
from tests.factories import accepted, claim, one_sweep, receipt, refused, report, settle

FIRM = "9900001203457"
TOKEN = "token-of-the-waiting-step"


@pytest.fixture
def scene(database: Database, clock: MovableClock) -> CampaignScene:
    return CampaignScene(database, clock)


def a_told_firm(scene: CampaignScene) -> AnyRow:
    """A company whose card is queued."""
    scene.firm(FIRM)
    scene.follower(FIRM)
    scene.told()
    return scene.messages()[0]


def send(scene: CampaignScene, outcome: Outcome | None = None) -> None:
    """Every queued WeChat card goes to the platform; delivered unless told otherwise."""
    for number, message in enumerate(claim(scene.database, scene.now)):
        msgid = f"7{message.id:04d}{number}"
        settle(scene.database, scene.now, (message, outcome or accepted(msgid)))
        if outcome is None:
            arrived = receipt(msgid, scene.now, person=message.address, no=message.id)
            report(scene.database, arrived)


def wait(scene: CampaignScene, code: str = "nov23") -> None:
    """The workflow waits for the deliveries."""
    scene.do(lambda s: service.await_deliveries(s, code, TOKEN, scene.now))


def finished(scene: CampaignScene) -> list[dict[str, object]]:
    """What the waiting steps were told."""
    return [one.payload["output"] for one in scene.intents() if one.kind == "workflow_token"]


def test_the_last_delivery_finishes_the_token_once(scene: CampaignScene) -> None:
    for number in numbers(3):
        scene.firm(number)
        scene.follower(number)
    scene.told()
    wait(scene)
    scene.look()
    assert finished(scene) == []
    send(scene)
    for _ in range(3):
        scene.look()
    assert finished(scene) == [{"decision": "delivered"}]
    done = scene.do(lambda s: service.finish_campaign(s, "nov23", scene.now))
    assert done["state"] == "finished"
    assert done["lines"] == {"delivered": 3}


def test_a_campaign_whose_lines_were_all_dropped_does_not_wait(scene: CampaignScene) -> None:
    scene.household(FIRM)
    scene.prepared()
    scene.approve()
    scene.pay(FIRM, 8_640)
    scene.run()
    wait(scene)
    scene.look()
    assert finished(scene) == [{"decision": "delivered"}]


def test_a_step_that_waits_again_is_finished_again(scene: CampaignScene) -> None:
    a_told_firm(scene)
    send(scene)
    for token in ("first attempt", "second attempt"):
        scene.do(lambda s: service.await_deliveries(s, "nov23", token, scene.now))  # noqa: B023
        scene.look()
    tokens = [one.payload["token"] for one in scene.intents() if one.kind == "workflow_token"]
    assert tokens == ["first attempt", "second attempt"]


def test_who_cannot_be_reached_becomes_work_for_people(scene: CampaignScene) -> None:
    a_told_firm(scene)
    send(scene, refused(43004))
    scene.look()
    scene.look()
    assert scene.items() == [("unreachable", FIRM)]
    assert [(line.state, line.reason) for line in scene.lines()] == [("closed", "unreachable")]


def test_who_has_no_way_at_all_becomes_work_when_the_campaign_runs(scene: CampaignScene) -> None:
    for number in numbers(3):
        scene.customers(a_customer(number))
        scene.bill(number, 8_640)
    scene.prepared()
    assert scene.items() == []
    scene.approve()
    scene.run(limit=2)
    assert scene.items() == [("unreachable", number) for number in numbers(3)]
    assert {line.state for line in scene.lines()} == {"left_out"}


def test_who_paid_needs_no_call_although_the_card_failed(scene: CampaignScene) -> None:
    a_told_firm(scene)
    send(scene, refused(43004))
    scene.pay(FIRM, 900_000)
    scene.look()
    assert scene.items() == []


def test_a_delivered_card_that_nobody_opens_is_called_after_the_rules_hours(
    scene: CampaignScene,
) -> None:
    a_told_firm(scene)
    send(scene)
    scene.look()
    assert [line.state for line in scene.lines()] == ["delivered"]
    scene.clock.move(timedelta(hours=71))
    scene.look()
    assert scene.items() == []
    scene.clock.move(timedelta(hours=1))
    scene.look()
    scene.look()
    assert scene.items() == [("overdue", FIRM)]
    assert [(line.state, line.reason) for line in scene.lines()] == [("closed", "unanswered")]


def test_an_opened_card_and_an_answer_on_the_page_are_heard(scene: CampaignScene) -> None:
    opened, answered, elsewhere = numbers(3)
    for number in (opened, answered, elsewhere):
        scene.firm(number)
        scene.follower(number)
    scene.told()
    send(scene)
    first, second, _ = scene.messages()
    scene.do(lambda s: mark_opened(s, first.id, scene.now))
    scene.do(lambda s: mark_answered(s, second.id, "known", scene.now))
    said = RecordAnswer(elsewhere, "known", contact_id=3)
    scene.do(lambda s: record_answer(s, said, scene.now))
    scene.clock.move(timedelta(hours=80))
    scene.look()
    assert scene.items() == []
    assert {line.state for line in scene.lines()} == {"closed"}


def test_of_two_contacts_one_who_opened_speaks_for_the_party(scene: CampaignScene) -> None:
    scene.firm(FIRM)
    scene.follower(FIRM)
    scene.follower(FIRM)
    scene.told()
    send(scene)
    first, _ = scene.messages()
    scene.do(lambda s: mark_opened(s, first.id, scene.now))
    scene.clock.move(timedelta(hours=80))
    scene.look()
    assert scene.items() == []


def test_finished_work_is_not_asked_for_again_by_the_same_campaign(scene: CampaignScene) -> None:
    a_told_firm(scene)
    send(scene, refused(43004))
    scene.look()
    with scene.database.read() as session:
        (item,) = open_items(session)
    scene.do(lambda s: finish_item(s, item.id, "已电话告知", "wang", scene.now))
    scene.look()
    assert scene.items() == []


def test_a_withdrawn_card_gives_its_stage_back(scene: CampaignScene) -> None:
    message = a_told_firm(scene)
    chosen = Selection(key=message.key)
    scene.do(lambda s: withdraw_messages(s, chosen, "operator", scene.now))
    scene.look()
    assert scene.steps() == []
    scene.clock.move(timedelta(days=1))
    scene.fresh()
    scene.told("nov24")
    assert [one.state for one in scene.messages()] == ["withdrawn", "queued"]
    assert [stage for _, stage in scene.steps()] == [2]


def test_a_card_that_expired_unsent_gives_its_stage_back(scene: CampaignScene) -> None:
    a_told_firm(scene)
    scene.clock.move(timedelta(hours=25))
    one_sweep(scene.database, scene.now)
    scene.look()
    assert (scene.steps(), scene.items()) == ([], [])
    assert [line.reason for line in scene.lines()] == ["expired"]


# cancelling


def test_cancelling_before_the_approval_sends_nothing(scene: CampaignScene) -> None:
    for number in numbers(3):
        scene.household(number)
    scene.prepared()
    scene.do(lambda s: service.await_approval(s, "nov23", TOKEN, scene.now))
    scene.cancel()
    with pytest.raises(ConflictError):
        scene.approve()
    scene.run()
    assert scene.messages() == []
    assert scene.reasons() == dict.fromkeys(numbers(3), "cancelled")
    assert finished(scene) == [{"decision": "cancelled"}]


def test_cancelling_takes_back_what_is_not_out_and_its_stages(scene: CampaignScene) -> None:
    homes = numbers(3)
    for number in homes:
        scene.firm(number)
        scene.follower(number)
    scene.told()
    (first,) = claim(scene.database, scene.now, wanted=1)
    settle(scene.database, scene.now, (first, accepted()))
    scene.cancel()
    assert sorted(message.state for message in scene.messages()) == [
        "accepted",
        "withdrawn",
        "withdrawn",
    ]
    assert len(scene.steps()) == 1
    scene.cancel()
    assert len(scene.steps()) == 1


def test_a_corrected_campaign_of_the_same_day_reaches_who_was_not_told(
    scene: CampaignScene,
) -> None:
    for number in numbers(2):
        scene.firm(number)
        scene.follower(number)
    scene.told()
    (first,) = claim(scene.database, scene.now, wanted=1)
    settle(scene.database, scene.now, (first, accepted()))
    scene.cancel()
    scene.told("again")
    told = [(message.occasion, message.state) for message in scene.messages()]
    assert sorted(told) == [
        ("day#20261123", "accepted"),
        ("day#20261123", "withdrawn"),
        ("day#20261123.2", "queued"),
    ]


def test_a_finished_campaign_cannot_be_cancelled_nor_one_without_a_reason(
    scene: CampaignScene,
) -> None:
    a_told_firm(scene)
    send(scene)
    scene.look()
    with pytest.raises(InputError):
        scene.do(
            lambda s: service.cancel_campaign(s, CancelCampaign("nov23", "li", " "), scene.now)
        )
    scene.do(lambda s: service.finish_campaign(s, "nov23", scene.now))
    with pytest.raises(ConflictError):
        scene.cancel()


# decisions and waiting


def test_a_decision_that_was_made_before_the_step_waits_is_told_at_once(
    scene: CampaignScene,
) -> None:
    scene.household(FIRM)
    scene.prepared()
    scene.approve()
    scene.do(lambda s: service.await_approval(s, "nov23", TOKEN, scene.now))
    assert finished(scene) == [{"decision": "approved"}]


def test_nobody_decides_in_time(scene: CampaignScene) -> None:
    scene.household(FIRM)
    scene.prepared()
    scene.do(lambda s: service.expire_campaign(s, "nov23", scene.now))
    assert scene.campaign().state is CampaignState.CANCELLED
    scene.do(lambda s: service.expire_campaign(s, "nov23", scene.now))


def test_a_failed_campaign_goes_on_where_it_stood(scene: CampaignScene) -> None:
    for number in numbers(4):
        scene.household(number)
    scene.start()
    scene.do(lambda s: service.fail_campaign(s, "nov23", "ValueError", scene.now))
    assert scene.prepare().state is CampaignState.FAILED
    scene.do(lambda s: service.resume_campaign(s, "nov23", "li", scene.now))
    scene.prepare()
    scene.approve()
    scene.do(lambda s: service.fail_campaign(s, "nov23", "ValueError", scene.now))
    assert scene.run().queued == 0
    scene.clock.move(timedelta(seconds=1))
    scene.do(lambda s: service.resume_campaign(s, "nov23", "li", scene.now))
    assert scene.run().queued == 4
    names = [one.payload["name"] for one in scene.intents() if one.kind == "workflow_start"]
    assert names == ["nov23", "nov23-20261123T020000", "nov23-20261123T020001"]


# the chore


def test_the_chore_looks_at_everything_and_rests(scene: CampaignScene) -> None:
    for number in numbers(5):
        scene.firm(number)
        scene.follower(number)
    scene.told()
    wait(scene)
    closer = scene.closer()
    closer.step()
    assert finished(scene) == []
    send(scene)
    for _ in range(5):
        closer.step()
    assert finished(scene) == [{"decision": "delivered"}]
    scene.do(lambda s: service.finish_campaign(s, "nov23", scene.now))
    scene.clock.move(timedelta(hours=80))
    for _ in range(5):
        closer.step()
    assert scene.items() == [("overdue", number) for number in numbers(5)]
    assert closer.step() is False


def test_the_chore_ends_what_a_cancelled_campaign_left(scene: CampaignScene) -> None:
    for number in numbers(3):
        scene.firm(number)
        scene.follower(number)
    scene.told("sent")
    scene.clock.move(timedelta(days=3))
    scene.fresh()
    scene.prepared("planned")
    for code in ("sent", "planned"):
        command = CancelCampaign(code, "li", "名单有误")
        scene.do(lambda s: service.cancel_campaign(s, command, scene.now))  # noqa: B023
    closer = scene.closer()
    for _ in range(12):
        closer.step()
    assert {message.state for message in scene.messages()} == {"withdrawn"}
    assert {line.state for line in scene.lines("sent")} == {"closed"}
    assert {line.state for line in scene.lines("planned")} == {"dropped"}
    assert scene.steps() == []
