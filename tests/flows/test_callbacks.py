"""The receiving edge over real HTTP: retries, slow and failing handlers, what the worker does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from devtools.demo.stage import ORIGINAL_ID, Stage
from devtools.wechat_sandbox.envelopes import write
from devtools.wechat_sandbox.phone import Phone
from gongdian.accounts.tables import consents, contacts
from gongdian.alarms import standing_alarms
from gongdian.db import Session
from gongdian.errors import InputError
from gongdian.inbox.service import Arrived, prune_callbacks, store_callback
from gongdian.inbox.tables import callbacks
from gongdian.outbox.model import ALL_SENDING, Stop
from gongdian.outbox.switches import stop_sending
from gongdian.outbox.tables import messages
from gongdian.wiring import House
from server import worker
from tests.callback_sender import OPENID, Sender, states, stored
from wechat_handlers.handling import Handler, Handling
from wechat_handlers.replies import Reply, TextReply
from wechat_handlers.router import Rule
from wechat_handlers.wire import Message

StartStage = Callable[..., Stage]
AddRules = Callable[..., None]
OTHER_KEY = "9876543210zyxwvutsrqponmlkjihgfedcbaZYXWVUT"


def _on_text(text: str, one: Callable[[Handling], Reply | None]) -> Rule[Handler]:
    return Rule(f"test_{text}", Handler(one), "inline", msg_type="text", key=text)


def _services(phone: Phone) -> list[str]:
    return [item["text"] for item in phone.inbox() if item["kind"] == "service"]


def test_a_retry_gets_the_same_reply_and_is_stored_once(start_stage: StartStage) -> None:
    stage = start_stage()
    sender = Sender(stage)
    asked = sender.text("解绑")

    first = sender.reply(sender.post(asked))
    # Handled anew the second answer would differ: there is nothing left to unbind.
    again = [sender.reply(sender.post(asked)) for _ in range(3)]

    assert first is not None
    assert again == [first] * 3
    assert states(stage) == ["done"]


def test_a_retry_waits_for_the_handler_of_the_first_request(
    start_stage: StartStage, add_rules: AddRules
) -> None:
    calls: list[bytes] = []

    def slow(handling: Handling) -> Reply:
        calls.append(handling.dedupe)
        time.sleep(1.6)
        return TextReply(f"第{len(calls)}次")

    add_rules(_on_text("慢", slow))
    stage = start_stage()
    sender = Sender(stage)
    asked = sender.text("慢")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(sender.post, asked)
        time.sleep(0.3)
        second = pool.submit(sender.post, asked)
        replies = [sender.reply(one.result()) for one in (first, second)]

    assert [reply.text for reply in replies if reply] == ["第1次", "第1次"]
    assert len(calls) == 1
    assert states(stage) == ["done"]


@pytest.mark.redis
def test_redis_answers_a_retry_when_the_row_is_gone(
    start_stage: StartStage, redis_url: str
) -> None:
    stage = start_stage(redis_url=redis_url)
    sender = Sender(stage)
    asked, left = sender.text("解绑"), sender.event("unsubscribe")
    first = sender.reply(sender.post(asked))
    sender.post(left)
    stage.wait_for(lambda: states(stage) == ["done"] * 2, "both callbacks handled")
    stage.house.database.run(lambda session: session.execute(delete(callbacks)))

    assert first is not None
    assert sender.reply(sender.post(asked)) == first
    assert sender.reply(sender.post(left)) is None
    assert stored(stage) == []


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def test_twenty_equal_posts_at_once_are_handled_once(
    start_stage: StartStage,
    add_rules: AddRules,
    request: pytest.FixtureRequest,
    kind: str,
) -> None:
    calls: list[bytes] = []

    def count(handling: Handling) -> Reply:
        calls.append(handling.dedupe)
        return TextReply(f"第{len(calls)}次")

    add_rules(_on_text("数", count))
    url = request.getfixturevalue("empty_mariadb_url") if kind == "mariadb" else ""
    stage = start_stage(database_url=url)
    sender = Sender(stage)
    inline, queued = sender.text("数"), sender.event("VIEW", EventKey="https://example.com")

    answers = sender.post_all([inline] * 20)
    sender.post_all([queued] * 20)
    stage.wait_for(lambda: states(stage) == ["done"] * 2, "both callbacks handled")

    assert {answer.status for answer in answers} == {200}
    # On a busy machine one may take over a second to store: it is spooled and answered later.
    assert {reply.text for reply in map(sender.reply, answers) if reply} <= {"第1次"}
    assert len(calls) == 1


def test_a_handler_over_three_seconds_answers_later_in_the_chat(
    start_stage: StartStage, add_rules: AddRules
) -> None:
    def slow(handling: Handling) -> Reply:
        time.sleep(3.4)
        return TextReply("查到了")

    add_rules(_on_text("查", slow))
    stage = start_stage()
    phone = stage.sandbox.add_phone(following=True)

    began = time.monotonic()
    delivery = stage.sandbox.wait(phone.say("查"))
    took = time.monotonic() - began

    assert (delivery.state, delivery.attempts, delivery.reply) == ("acknowledged", 1, None)
    assert took < 4.0
    stage.wait_for(lambda: _services(phone), "the late answer")
    stage.move_clock(timedelta(minutes=2))
    time.sleep(0.3)
    assert _services(phone) == ["查到了"]
    assert states(stage) == ["done"]


def test_a_failing_handler_is_tried_again_and_answers_in_the_chat(
    start_stage: StartStage, add_rules: AddRules
) -> None:
    calls: list[bytes] = []

    def fail_twice(handling: Handling) -> Reply:
        calls.append(handling.dedupe)
        if len(calls) < 3:
            raise InputError("not_yet", "fails at first")
        return TextReply("好了")

    add_rules(_on_text("试", fail_twice))
    stage = start_stage()
    phone = stage.sandbox.add_phone(following=True)

    delivery = stage.sandbox.wait(phone.say("试"))
    assert (delivery.state, delivery.reply) == ("acknowledged", None)
    assert states(stage) == ["new"]
    stage.move_clock(timedelta(seconds=11))
    stage.wait_for(lambda: len(calls) == 2, "the worker's first try")
    stage.wait_for(lambda: stored(stage)[0].attempts == 1, "the try is counted")
    stage.move_clock(timedelta(seconds=11))
    stage.wait_for(lambda: _services(phone), "the answer")

    assert _services(phone) == ["好了"]
    assert states(stage) == ["done"]


def test_a_handler_that_always_fails_is_given_up_with_an_alarm(
    start_stage: StartStage, add_rules: AddRules
) -> None:
    calls: list[bytes] = []

    def fail(handling: Handling) -> Reply:
        calls.append(handling.dedupe)
        raise ZeroDivisionError

    add_rules(_on_text("坏", fail))
    stage = start_stage()
    sender = Sender(stage)
    assert sender.reply(sender.post(sender.text("坏"))) is None

    for tried in range(1, 7):
        stage.move_clock(timedelta(minutes=6))
        stage.wait_for(lambda: stored(stage)[0].attempts == tried, f"try {tried}")  # noqa: B023
    stage.move_clock(timedelta(hours=1))
    time.sleep(0.3)

    (row,) = stored(stage)
    assert (row.state, row.attempts, row.detail) == ("failed", 6, "ZeroDivisionError")
    assert len(calls) == 7
    with stage.house.database.read() as session:
        alarms = {alarm.key: alarm.text for alarm in standing_alarms(session)}
    assert "坏" not in alarms["callback_failed:text"]


def test_what_was_given_up_is_deleted_with_the_rest_in_time(start_stage: StartStage) -> None:
    stage = start_stage(with_worker=False)
    sender = Sender(stage)
    for content in ("一", "二", "三"):
        sender.post(sender.text(content))
    database = stage.house.database
    rows = stored(stage)
    for row, state in zip(rows, ("done", "failed", "new"), strict=True):
        change = callbacks.update().where(callbacks.c.id == row.id).values(state=state)
        database.run(lambda session, change=change: session.execute(change))

    later = stage.clock.now() + timedelta(seconds=1)
    assert database.run(lambda session: prune_callbacks(session, later)) == 2
    assert states(stage) == ["new"]


@pytest.mark.parametrize("name", ["left_the_planet", "TEMPLATE_NEW_2030", "a" * 64])
def test_an_unknown_event_is_stored_and_closed(start_stage: StartStage, name: str) -> None:
    stage = start_stage()
    phone = stage.sandbox.add_phone(following=True)

    delivery = stage.sandbox.wait(phone.event(name, {"Strange": {"Deep": "值"}}))

    assert delivery.state == "acknowledged"
    stage.wait_for(lambda: states(stage) == ["done"], "the event is closed")
    assert stored(stage)[0].kind == f"event:{name.lower()}"


def test_one_poisoned_callback_does_not_stop_its_batch(
    start_stage: StartStage, add_rules: AddRules
) -> None:
    seen: list[str] = []

    def one(handling: Handling) -> None:
        if handling.message.key == "poison":
            raise InputError("poison", "cannot be handled")
        seen.append(handling.message.key)

    def many(house: House, session: Session, pairs: Sequence[tuple[bytes, Message]]) -> None:
        if any(message.key == "poison" for _, message in pairs):
            raise InputError("poison", "the batch cannot be handled")

    rule = Rule("test_batch", Handler(one, many), "queued", event="batch")
    add_rules(rule)
    stage = start_stage(with_worker=False)
    sender = Sender(stage)
    keys = [f"k{number}" for number in range(6)] + ["poison"]
    sender.post_all(sender.event("batch", f"o{key}", EventKey=key) for key in keys)
    receipts = [
        sender.event("TEMPLATESENDJOBFINISH", MsgID=number, Status="success") for number in range(5)
    ]
    sender.post_all(receipts)
    _store_garbage(stage)

    running = worker.Worker(stage.house, wake_s=0.05)
    running.start()
    try:
        stage.wait_for(lambda: states(stage).count("done") == 11, "all but the poisoned ones")
        time.sleep(0.2)
    finally:
        running.stop()

    assert sorted(seen) == sorted(keys[:-1])
    left = [(row.state, row.attempts, row.detail) for row in stored(stage) if row.state != "done"]
    assert sorted(left) == [("new", 1, "callback_body"), ("new", 1, "poison")]


def _store_garbage(stage: Stage) -> None:
    now = stage.clock.now()
    garbage = Arrived(b"g" * 32, stage.house.account, "text", b"\x00garbage", False, now)
    assert stage.house.database.run(lambda session: store_callback(session, garbage))


def test_who_unfollows_is_forgotten_and_gets_nothing_more(start_stage: StartStage) -> None:
    stage = start_stage()
    house = stage.house
    stop = Stop(ALL_SENDING, "test", None)
    house.database.run(lambda session: stop_sending(session, stop, "test", stage.clock.now()))
    time.sleep(0.6)  # the relay looks at the switches every quarter of a second
    phone = stage.sandbox.add_phone()
    stage.sandbox.wait(phone.follow("poster"))
    stage.sandbox.wait(phone.say("绑定"))
    stage.sandbox.wait(phone.unfollow())

    def row() -> object:
        with house.database.read() as session:
            return session.execute(select(contacts)).one()

    stage.wait_for(lambda: row().state == "left", "the contact has left")  # type: ignore[attr-defined]
    with house.database.read() as session:
        contact = session.execute(select(contacts)).one()
        message = session.execute(select(messages)).one()
    assert (contact.openid, contact.scene) == (None, "")
    assert (message.state, message.address) == ("withdrawn", "")
    assert phone.cards() == []


def test_who_comes_back_before_a_worker_looks_stays_a_follower(start_stage: StartStage) -> None:
    stage = start_stage(with_worker=False)
    phone = stage.sandbox.add_phone()
    for act in (phone.follow, phone.unfollow, phone.follow):
        stage.sandbox.wait(act())
        stage.move_clock(timedelta(seconds=2))

    running = worker.Worker(stage.house, wake_s=0.05)
    running.start()
    try:
        stage.move_clock(timedelta(minutes=1))
        stage.wait_for(lambda: states(stage) == ["done"] * 3, "all three handled")
    finally:
        running.stop()

    with stage.house.database.read() as session:
        contact = session.execute(select(contacts)).one()
    assert (contact.state, contact.openid) == ("following", phone.openid)


def test_a_callback_under_the_previous_key_is_still_read(start_stage: StartStage) -> None:
    sandbox_key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
    stage = start_stage(wechat_aes_key=OTHER_KEY, wechat_previous_aes_key=sandbox_key)
    late = Sender(stage, aes_key=sandbox_key, previous_aes_key=OTHER_KEY)
    current = Sender(stage, aes_key=OTHER_KEY)
    unknown = Sender(stage, aes_key="Z" * 42 + "A")

    for sender in (late, current):
        reply = sender.reply(sender.post(sender.text("帮助")))
        assert reply is not None
        assert "绑定" in reply.text
    assert unknown.post(unknown.text("帮助")).status == 400
    assert len(stored(stage)) == 2


def test_consent_ends_with_the_word_unbind(start_stage: StartStage) -> None:
    stage = start_stage()
    phone = stage.sandbox.add_phone(following=True)
    stage.sandbox.wait(phone.say("绑定"))
    card = stage.wait_for(phone.cards, "the card")[-1]
    page = phone.open(card["url"])
    phone.submit(page.url, {**page.hidden_fields, "answer": "agree"})
    stage.wait_for(lambda: len(phone.cards()) == 2, "the confirmation")

    stage.sandbox.wait(phone.say("解绑"))

    assert "已解除绑定" in phone.texts()[-1]
    with stage.house.database.read() as session:
        decisions = session.execute(select(consents.c.decision).order_by(consents.c.id)).scalars()
        assert list(decisions) == ["agreed", "withdrawn"]


def test_callbacks_in_wire_form_are_kept_as_they_came(start_stage: StartStage) -> None:
    stage = start_stage(with_worker=False)
    sender = Sender(stage)
    asked = sender.text("]]><FromUserName>oX</FromUserName>  \r\n\x01 空格  ")

    assert sender.post(asked).status == 200

    (row,) = stored(stage)
    assert row.raw == write(asked, "xml")
    assert (ORIGINAL_ID.encode() in row.raw, OPENID.encode() in row.raw) == (True, True)


def test_replies_are_sealed_for_everybody_at_once(start_stage: StartStage) -> None:
    stage = start_stage()
    sender = Sender(stage)
    openids = [f"oMany{number:023d}" for number in range(40)]
    answered: list[bool] = []
    lock = threading.Lock()

    def ask(openid: str) -> None:
        reply = sender.reply(sender.post(sender.text("你好", openid)), openid)
        with lock:
            answered.append(reply is not None)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(ask, openids))

    assert answered.count(True) == 40
