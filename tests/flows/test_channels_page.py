"""The page 接收方式 and the words that lead to it: what a customer chooses and what comes of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from devtools.demo.stage import Stage
from devtools.wechat_sandbox.phone import Phone
from gongdian.accounts.channels import (
    channels_of,
    fallback_steps,
    mark_channel_refused,
)
from gongdian.accounts.model import (
    ONLY_WHEN_REFUSED,
    DecideConsent,
    Patience,
    RegisterChannel,
)
from gongdian.accounts.preferences import patience_of, register_channel, remove_channel
from gongdian.accounts.service import decide_consent, meet_contact, withdraw_consent
from gongdian.audit import audit_rows
from gongdian.db import Session
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.model import MessageState, Priority, QueueMessage, RecipientRefused
from gongdian.outbox.queries import message_timeline
from gongdian.outbox.queueing import queue_message
from tests.visitor import Seen, Visitor

PATH = "/h5/channels"
SEND = "/cgi-bin/message/template/send"
NUMBERS = {"sms": "13800001111", "mail": "li@example.com"}
NOT_BOUND = "这个微信目前没有绑定"
NOTICE = {
    "feeder": "10kV城东Ⅱ线512",
    "stage": "故障巡查",
    "outage_at": "2026年11月23日 09:32",
    "restore": "到场查明后尽快告知",
    "phone": "95598",
}


class Person:
    """A customer of the stage, bound, with further channels as asked for."""

    def __init__(
        self, stage: Stage, *channels: str, is_bound: bool = True, mobile: str = NUMBERS["sms"]
    ) -> None:
        self.stage = stage
        self.phone: Phone = stage.sandbox.add_phone(
            following=True, phone_number=mobile, mail_address=NUMBERS["mail"]
        )
        numbers = {**NUMBERS, "sms": mobile}
        now, house = stage.clock.now(), stage.house

        def work(session: Session) -> int:
            contact = meet_contact(session, house.account, self.phone.openid, now)
            if is_bound:
                agreed = DecideConsent(contact.id, "v1", "d", True, "test")
                decide_consent(session, agreed, now)
            for channel in channels:
                command = RegisterChannel(contact.id, channel, numbers[channel])
                register_channel(session, command, "王工", now)
            return contact.id

        self.id = house.database.run(work)
        self.visitor = Visitor(stage)

    def open(self) -> Seen:
        """The page in this customer's browser, logged in."""
        if not self.visitor.cookies:
            return self.visitor.log_in(self.phone.openid, PATH)
        return self.visitor.ask(PATH)

    def send(self, do: str, **fields: str) -> Seen:
        """Press a button of the page; the answer to the POST."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.open().body)
        assert token is not None
        return self.visitor.ask(PATH, {"csrf_token": token[1], "do": do, **fields})

    def press(self, do: str, **fields: str) -> Seen:
        """Press a button and see the page that follows."""
        answered = self.send(do, **fields)
        assert answered.status == 302
        return self.visitor.ask(answered.location)

    def steps(self) -> list[str]:
        with self.stage.house.database.read() as session:
            return [step.channel for step in fallback_steps(session, self.id)]

    def audited(self) -> list[str]:
        """What was done to this contact's channels since they were registered."""
        with self.stage.house.database.read() as session:
            query = select(audit_rows.c.action, audit_rows.c.actor).where(
                audit_rows.c.subject == f"c{self.id}", audit_rows.c.actor == "wechat"
            )
            rows = session.execute(query.order_by(audit_rows.c.id)).all()
        return [row.action for row in rows if row.action.startswith("accounts:channel:")]

    def say(self, text: str) -> str:
        """Write in the chat; returns the account's answer."""
        self.stage.sandbox.wait(self.phone.say(text))
        return str(self.phone.texts()[-1])

    def tell(self, priority: Priority = Priority.HIGH) -> str:
        """Queue an outage message over the contact's own channels."""
        house = self.stage.house

        def work(session: Session) -> str:
            command = QueueMessage(
                flow="outage",
                subject="o1",
                occasion="fault#1",
                recipient=f"c{self.id}",
                openid=self.phone.openid,
                kind="outage_fault",
                values=NOTICE,
                link_path="/h5/outage",
                priority=priority,
                fallbacks=fallback_steps(session, self.id),
            )
            return queue_message(session, house.outbox, command, self.stage.clock.now()).key

        return house.database.run(work)

    def has(self, key: str, state: MessageState) -> bool:
        with self.stage.house.database.read() as session:
            return message_timeline(session, key).state is state

    def was_moved_on(self, key: str) -> bool:
        with self.stage.house.database.read() as session:
            return "fallback" in {one.what for one in message_timeline(session, key).entries}


@pytest.fixture
def stage(start_stage: Callable[..., Stage]) -> Stage:
    return start_stage(with_worker=False)


def in_order(body: str, *words: str) -> bool:
    places = [body.find(word) for word in words]
    return -1 not in places and places == sorted(places)


def test_the_words_lead_to_the_page_and_the_choice_decides_who_is_told(
    start_stage: Callable[..., Stage],
) -> None:
    stage = start_stage()
    person = Person(stage, "sms", "mail")
    link = re.search(r"http://\S+", person.say("接收方式"))
    assert link is not None
    opened = person.phone.open(link[0])
    assert in_order(opened.body, "微信", "手机短信", "138****1111", "邮件", "l***@example.com")

    for do in ("off:sms", "place:mail:0"):
        form = {**opened.hidden_fields, "do": do}
        opened = person.phone.submit(link[0], form)
        assert (opened.status, "已保存" in opened.body) == (200, True)
    assert in_order(opened.body, "邮件", "已开启", "手机短信", "已关闭")
    stage.sandbox.faults.add("errcode", SEND, next_n=1, errcode=43004)
    key = person.tell()
    stage.wait_for(lambda: person.phone.mails(), "the mail")

    assert stage.wait_for(lambda: person.has(key, MessageState.ACCEPTED), "the mail is accepted")
    assert (person.phone.text_messages(), person.phone.cards()) == ([], [])
    assert person.audited() == ["accounts:channel:off", "accounts:channel:placed"]


def test_only_when_refused_leaves_silence_alone(start_stage: Callable[..., Stage]) -> None:
    stage = start_stage(sandbox_settings={"receipts": False})
    waiting, quick = Person(stage, "sms"), Person(stage, "sms", mobile="13900002222")
    waiting.press("patience", patience="refused")

    keys = [person.tell(Priority.CRITICAL) for person in (waiting, quick)]
    for person, key in zip((waiting, quick), keys, strict=True):
        stage.wait_for(lambda p=person, k=key: p.has(k, MessageState.ACCEPTED), "accepted")  # type: ignore[misc]
    stage.move_clock(timedelta(minutes=10))
    stage.wait_for(lambda: quick.phone.text_messages(), "the text message")

    # One sweep looks at both.
    assert quick.was_moved_on(keys[1])
    assert not waiting.was_moved_on(keys[0])
    assert waiting.phone.text_messages() == []


@pytest.mark.parametrize("words", ["接收方式", " 通知接收方式 "])
def test_the_words_are_answered_for_those_who_are_bound(stage: Stage, words: str) -> None:
    bound, stranger = Person(stage), Person(stage, is_bound=False)

    assert f"{stage.web_url}{PATH}" in bound.say(words)
    assert NOT_BOUND in stranger.say(words)
    assert "已解除绑定" in bound.say("解绑")
    assert NOT_BOUND in bound.say(words)


def test_without_a_login_the_page_goes_through_the_platform(stage: Stage) -> None:
    seen = Visitor(stage).ask(PATH)

    assert seen.status == 302
    assert "/connect/oauth2/authorize?" in seen.location


def test_the_page_shows_masked_addresses_only(stage: Stage) -> None:
    person = Person(stage, "sms", "mail")

    seen = person.open()

    assert seen.status == 200
    assert in_order(seen.body, "微信收不到时，按下面的顺序再发一次", "138****1111", "l***@ex")
    assert "紧急停电信息等2分钟，重要通知等30分钟，一般通知等4小时" in seen.body
    assert "请到营业厅登记，或拨打" in seen.body
    for address in NUMBERS.values():
        assert address not in seen.body
    assert "<script" not in seen.body
    assert seen.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in seen.headers["Content-Security-Policy"]


def test_somebody_without_further_channels_reads_how_to_get_one(stage: Stage) -> None:
    seen = Person(stage).open()

    assert "还没有登记其他接收方式" in seen.body
    assert "什么时候改用" not in seen.body


def test_each_button_works_and_pressing_it_again_changes_nothing(stage: Stage) -> None:
    person = Person(stage, "sms", "mail")

    for do, steps in (
        ("place:sms:1", ["mail", "sms"]),
        ("off:mail", ["sms"]),
        ("on:mail", ["mail", "sms"]),
        ("place:sms:0", ["sms", "mail"]),
    ):
        for _ in range(2):
            assert "已保存" in person.press(do).body
            assert person.steps() == steps
    assert person.audited() == [
        "accounts:channel:placed",
        "accounts:channel:off",
        "accounts:channel:on",
        "accounts:channel:placed",
    ]


def test_the_buttons_of_the_page_are_the_ones_that_make_sense(stage: Stage) -> None:
    person = Person(stage, "sms", "mail")

    def buttons() -> list[str]:
        return re.findall(r'name="do" value="([^"]+)"', person.open().body)

    assert buttons() == ["off:sms", "place:sms:1", "off:mail", "place:mail:0", "patience"]
    person.press("off:sms")
    assert buttons()[0] == "on:sms"
    person.stage.house.database.run(
        lambda s: mark_channel_refused(
            s,
            RecipientRefused(stage.house.account, address_hash(NUMBERS["mail"]), "bounce"),
            stage.clock.now(),
        )
    )
    assert buttons() == ["on:sms", "place:sms:1", "place:mail:0", "patience"]
    assert "这个邮箱收不到通知" in person.open().body
    assert "目前只发微信" in person.open().body
    assert "目前只发微信" not in person.press("on:sms").body


def test_the_wait_is_chosen_for_all_channels(stage: Stage) -> None:
    person = Person(stage, "sms", "mail")
    command = RegisterChannel(person.id, "sms", NUMBERS["sms"], wait=timedelta(minutes=90))
    stage.house.database.run(
        lambda s: register_channel(s, command, "王工", person.stage.clock.now())
    )
    before = person.open().body
    assert "上一种方式90分钟没有送达就发" in before
    assert "checked" not in before

    after = person.press("patience", patience="refused").body

    assert re.search(r'value="refused"[^>]* checked', after)
    with stage.house.database.read() as session:
        channels = channels_of(session, person.id)
    assert patience_of(channels) is Patience.REFUSED
    assert {one.wait for one in channels} == {ONLY_WHEN_REFUSED}
    person.press("patience", patience="undelivered")
    assert person.audited() == ["accounts:channel:waited"] * 2


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"do": ""},
        {"do": "off"},
        {"do": "off:wechat_template"},
        {"do": "off:fax"},
        {"do": "off:sms:1"},
        {"do": "place:sms"},
        {"do": "place:sms:-1"},
        {"do": "place:sms:2"},
        {"do": "place:sms:x"},
        {"do": "patience"},
        {"do": "patience", "patience": "30"},
        {"do": "patience:refused"},
    ],
)
def test_a_form_that_the_page_never_gave_changes_nothing(
    stage: Stage, form: dict[str, str]
) -> None:
    person = Person(stage, "sms", "mail")

    seen = person.send(**{"do": "", **form})

    assert (seen.status, "提交有误" in seen.body) == (400, True)
    assert person.steps() == ["sms", "mail"]
    assert person.audited() == []


def test_an_outsider_changes_only_what_is_their_own(stage: Stage) -> None:
    victim, outsider = Person(stage, "sms", "mail"), Person(stage)

    seen = outsider.send("off:sms", contact=str(victim.id), contact_id=str(victim.id))
    assert (seen.status, "接收方式有变动" in seen.body) == (409, True)
    outsider.press("patience", patience="refused")
    assert "138****1111" not in outsider.visitor.ask(f"{PATH}?contact={victim.id}").body

    assert victim.steps() == ["sms", "mail"]
    assert victim.audited() == []


def test_a_form_needs_its_own_token_and_a_login(stage: Stage) -> None:
    person, other = Person(stage, "sms"), Person(stage)
    person.open()
    foreign = re.search(r'name="csrf_token" value="([^"]+)"', other.open().body)
    assert foreign is not None

    for token in ("", "x", foreign[1]):
        seen = person.visitor.ask(PATH, {"csrf_token": token, "do": "off:sms"})
        assert (seen.status, "页面已失效" in seen.body) == (400, True)
    assert Visitor(stage).ask(PATH, {"do": "off:sms"}).status == 400
    assert person.steps() == ["sms"]


def test_what_the_counter_removed_meanwhile_is_told(stage: Stage) -> None:
    person = Person(stage, "sms", "mail")
    person.open()
    stage.house.database.run(
        lambda s: remove_channel(s, person.id, "mail", "王工", stage.clock.now())
    )

    for do in ("off:mail", "place:mail:0"):
        seen = person.send(do)
        assert (seen.status, "接收方式有变动" in seen.body) == (409, True)
    assert person.steps() == ["sms"]


def test_who_is_not_bound_or_not_any_more_sees_how_to_bind(stage: Stage) -> None:
    stranger, person = Person(stage, is_bound=False), Person(stage, "sms")
    assert (stranger.open().status, "还没有绑定微信" in stranger.open().body) == (409, True)
    page = person.open()
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.body)
    assert token is not None

    def end(session: Session) -> None:
        contact = meet_contact(session, stage.house.account, person.phone.openid, stage.clock.now())
        withdraw_consent(session, contact, "test", stage.clock.now())

    stage.house.database.run(end)
    seen = person.visitor.ask(PATH, {"csrf_token": token[1], "do": "off:sms"})

    assert (seen.status, "还没有绑定微信" in seen.body) == (409, True)
    assert person.open().status == 409
    assert person.steps() == ["sms"]


def test_a_channel_that_the_installation_lacks_is_told(
    start_stage: Callable[..., Stage],
) -> None:
    person = Person(start_stage(with_worker=False, mail_from=""), "sms", "mail")

    assert in_order(person.open().body, "手机短信", "已开启", "邮件", "暂未开通")
