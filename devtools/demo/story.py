"""The first story (演示故事): a customer follows, binds, gets a card, opens it and answers.

Every step checks what it sees; a step that does not come true raises AssertionError.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from devtools.demo.stage import Stage
from devtools.wechat_sandbox.browser import Page
from devtools.wechat_sandbox.phone import Phone
from gongdian.accounts.service import meet_contact
from gongdian.audit import verify_audit
from gongdian.outbox.model import MessageState
from gongdian.outbox.queries import Timeline, message_timeline
from server.message_commands import timeline_text

Tell = Callable[[str], None]


def tell_story(stage: Stage, tell: Tell) -> list[Timeline]:
    """Play it; returns the timelines of the two messages that went out."""
    began = time.monotonic()
    _check(stage.sandbox.verify_callback(), "the callback address passes the platform's check")
    tell("平台校验回调地址：通过")
    phone = phone_of(stage, "李女士")
    _follow(stage, phone, tell)
    card = _bind(stage, phone, tell)
    _stranger_sees_nothing(stage, card, tell)
    _answer(stage, phone, card, tell)
    timelines = _messages_arrive(stage, phone, tell)
    _audit_is_sound(stage, tell)
    tell(f"全部完成，用时 {time.monotonic() - began:.1f} 秒")
    return timelines


def phone_of(stage: Stage, name: str) -> Phone:
    """The phone of this person, made when there is none."""
    named = [phone.openid for phone in stage.sandbox.phones.listed() if phone.name == name]
    return stage.sandbox.phone(named[0]) if named else stage.sandbox.add_phone(name=name)


def _check(is_true: object, what: str) -> None:
    if not is_true:
        raise AssertionError(f"the story broke: {what}")


def _follow(stage: Stage, phone: Phone, tell: Tell) -> None:
    delivery = stage.sandbox.wait(phone.follow())
    _check(delivery.state == "acknowledged", "the follow event is answered")
    _check(any("欢迎关注" in text for text in phone.texts()), "the welcome text arrives")
    tell(f"李女士关注公众号，收到：{phone.texts()[-1].splitlines()[0]}")


def _bind(stage: Stage, phone: Phone, tell: Tell) -> dict[str, Any]:
    stage.sandbox.wait(phone.say("绑定"))
    _check("微信绑定确认" in phone.texts()[-1], "绑定 is answered passively")
    tell(f"李女士发送“绑定”，收到：{phone.texts()[-1]}")
    cards = stage.wait_for(phone.cards, "a template card")
    card: dict[str, Any] = cards[-1]
    _check(card["title"] == "微信绑定确认", "the card is the binding request")
    tell("收到模板消息：" + _card_text(card))
    return card


def _card_text(card: dict[str, Any]) -> str:
    rows = "；".join(f"{field['label']}：{field['value']}" for field in card["fields"])
    return f"【{card['title']}】{rows}"


def _stranger_sees_nothing(stage: Stage, card: dict[str, Any], tell: Tell) -> None:
    stranger = stage.sandbox.add_phone(name="路人")
    page = stranger.open(card["url"])
    _check(page.status == 404, "a stranger who gets the link sees nothing")
    tell("链接转给别人打开：看不到内容（404）")


def _answer(stage: Stage, phone: Phone, card: dict[str, Any], tell: Tell) -> None:
    page = phone.open(card["url"])
    _check(page.status == 200 and "同意并绑定" in page.body, f"the page opens ({page.status})")
    tell(f"李女士点开卡片，经微信网页授权进入页面（跳转{len(page.hops)}次）")
    form = {**page.hidden_fields, "answer": "agree"}
    done: Page = phone.submit(page.url, form)
    _check(done.status == 200 and "绑定成功" in done.body, f"the answer counts ({done.status})")
    again: Page = phone.submit(page.url, form)
    _check("已经绑定过了" in again.body, "a second answer changes nothing")
    tell("选择“同意并绑定”，页面显示：绑定成功；重复提交不重复处理")
    stage.wait_for(lambda: len(phone.cards()) == 2, "the confirmation card")
    tell("收到模板消息：" + _card_text(phone.cards()[-1]))


def _messages_arrive(stage: Stage, phone: Phone, tell: Tell) -> list[Timeline]:
    house = stage.house
    contact = house.database.run(
        lambda session: meet_contact(session, house.account, phone.openid, stage.clock.now())
    )
    occasions = ("request#1", "done#1")
    keys = [f"accounts:binding:{occasion}:{contact.number}" for occasion in occasions]

    def timelines() -> list[Timeline]:
        with stage.house.database.read() as session:
            return [message_timeline(session, key) for key in keys]

    def arrived() -> bool:
        return all(one.state is MessageState.DELIVERED for one in timelines())

    stage.wait_for(arrived, "the receipts of both messages")
    tell("平台回执到达，两条消息的经过：")
    found = timelines()
    for timeline in found:
        tell(timeline_text(timeline, stage.house))
    _check(stage.sandbox.stats()["duplicate_cards"] == 0, "no card is shown twice")
    return found


def _audit_is_sound(stage: Stage, tell: Tell) -> None:
    key = stage.house.settings.audit_key

    def is_sealed() -> bool:
        with stage.house.database.read() as session:
            report = verify_audit(session, key, stage.clock.now())
        return report.sealed > 0 and report.unsealed == 0 and not report.findings

    stage.wait_for(is_sealed, "a sealed and sound audit chain")
    tell("审计记录已封存，核对无误")
