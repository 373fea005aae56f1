"""Whom an arrears card's page opens for: forwarded, expired, revoked, former holders, shares."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import update

from devtools.demo.stage import Stage
from gongdian.accounts.bindings import unbind_customer
from gongdian.outbox.tables import messages
from tests.account_factories import FIRM, HOLDER, a_firm, a_person
from tests.arrears_scene import (
    HOME,
    Customer,
    Scene,
    answer,
    form_of,
    has_item,
    link_to,
    message_row,
    refused,
    words_of,
)

FIRM_PHONE, HOME_PHONE = "13900002222", "13800001111"
ANSWERED = "/h5/arrears/answered"


@pytest.fixture
def scene(start_stage: Callable[..., Stage]) -> Scene:
    return Scene(start_stage(with_worker=False))


def test_a_forwarded_card_does_not_open_for_a_colleague(scene: Scene) -> None:
    scene.firm()
    who, colleague = scene.person(FIRM), scene.person(name="同事")
    path = who.card()
    form = {**form_of(who.open(path)), "answer": "paid"}

    for page in (
        path,
        *(path.replace("?", f"/{name}?") for name in ("share", "not-mine", "months")),
    ):
        refused(colleague.open(page), 404, "没有找到这个页面")
    token = form_of(colleague.open("/h5/customer-binding/resident"))["csrf_token"]
    refused(colleague.visitor.ask(path, {**form, "csrf_token": token}), 404, "没有找到这个页面")

    assert scene.answered() == []


def test_even_a_colleague_of_the_same_customer_does_not_open_anothers_card(scene: Scene) -> None:
    scene.firm()
    who, colleague = scene.person(FIRM), scene.person(FIRM, name="同事")

    refused(colleague.open(who.card()), 404, "没有找到这个页面")
    assert colleague.open(colleague.card()).status == 200


def test_without_a_login_a_card_leads_to_the_platform_and_a_form_is_refused(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)
    path = who.card()
    stranger = scene.stranger()

    assert "/connect/oauth2/authorize" in stranger.ask(path).location
    refused(stranger.ask(path, {"answer": "paid"}), 400, "页面已失效")
    refused(stranger.ask("/h5/arrears?m=AAAAAAAAAAAAAAAA"), 404, "没有找到这个页面")
    refused(stranger.ask("/h5/arrears"), 404, "没有找到这个页面")


def test_a_card_of_another_flow_opens_no_bill(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)
    path = who.card()
    scene.house.database.run(lambda s: s.execute(update(messages).values(flow="outage")))

    refused(who.open(path), 404, "没有找到这个页面")


def test_a_card_shows_its_own_party_only(scene: Scene) -> None:
    scene.firm()
    scene.home()
    who = scene.person(FIRM, HOME)
    path = who.card()
    assert HOLDER not in who.open(path).body

    scene.house.database.run(lambda s: unbind_customer(s, who.id, FIRM, scene.now))

    # Bound to the household still, but that is another party.
    refused(who.open(path), 409, "不能再查看这份账单")


def test_a_revoked_binding_closes_the_card(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)
    path = who.card()
    assert who.open(path).status == 200

    scene.house.database.run(lambda s: unbind_customer(s, who.id, FIRM, scene.now))

    refused(who.open(path), 409, "不能再查看这份账单")


@pytest.mark.parametrize(
    "change",
    [{"party_no": "P777777"}, {"name": "云溪新恒源铸造有限公司"}, {"state": "closed"}],
    ids=["过户", "更名", "销户"],
)
def test_a_former_holder_sees_the_bill_no_more(scene: Scene, change: dict[str, str]) -> None:
    scene.firm()
    who = scene.person(FIRM)
    card, link = who.card(), scene.text_link(FIRM, FIRM_PHONE)
    shared = shared_path(who, card)
    stranger = scene.stranger()
    assert [who.open(card).status, stranger.ask(link).status, stranger.ask(shared).status] == [
        200
    ] * 3

    scene.customers(a_firm(**change))

    refused(who.open(card), 409, "不能再查看这份账单")
    refused(stranger.ask(link), 409, "不能再查看这份账单")
    refused(stranger.ask(shared), 409, "转发链接已失效")


def shared_path(who: Customer, card: str) -> str:
    """The path of a fresh share link."""
    offered = who.open(link_to(who.open(card), "转给同事"))
    found = re.search(r'href="http://[^/"]+(/h5/arrears/shared[^"]+)"', offered.body)
    assert found is not None
    return found[1].replace("&amp;", "&")


def test_a_link_in_a_text_message_opens_anywhere_masked_and_takes_answers(scene: Scene) -> None:
    scene.home()
    link = scene.text_link(HOME, HOME_PHONE)
    stranger = scene.stranger()

    seen = stranger.ask(link)
    words = words_of(seen)
    assert "户名张*户号9900*****5812" in words
    assert "收到链接的人都能打开本页" in words
    for secret in ("张三丰", HOME, HOME_PHONE):
        assert secret not in seen.body
    thanks = stranger.ask(answer(stranger, link, "known").location)

    assert "您的回复：已知晓" in words_of(thanks)
    assert scene.answered() == [(HOME, "known", "")]


def test_not_mine_by_text_message_ends_what_goes_to_that_phone(scene: Scene) -> None:
    scene.home()
    link = scene.text_link(HOME, HOME_PHONE)
    stranger = scene.stranger()
    asked = stranger.ask(link.replace("?", "/not-mine?"))

    stranger.ask(link.replace("?", "/not-mine?"), form_of(asked))

    assert has_item(scene, "not_mine")
    refused(stranger.ask(link), 409, "不能再查看这份账单")


def test_a_link_of_a_text_message_runs_out_a_week_after_the_message(scene: Scene) -> None:
    scene.home()
    link = scene.text_link(HOME, HOME_PHONE)
    ends = message_row(scene)["expires_at"]
    assert isinstance(ends, datetime)
    scene.stage.move_clock(ends + timedelta(days=7) - scene.now - timedelta(seconds=1))
    assert scene.stranger().ask(link).status == 200

    scene.stage.move_clock(timedelta(seconds=2))

    refused(scene.stranger().ask(link), 409, "链接已过期")


def test_another_phone_on_file_ends_the_old_ones_link(scene: Scene) -> None:
    scene.home()
    link = scene.text_link(HOME, HOME_PHONE)
    assert scene.stranger().ask(link).status == 200

    scene.customers(a_person(HOME, phone="13700003333"))

    refused(scene.stranger().ask(link), 409, "不能再查看这份账单")


def test_a_card_that_went_on_by_text_message_opens_from_there_too(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)
    path = who.card(phone=FIRM_PHONE)
    stranger = scene.stranger()
    assert "/connect/oauth2/" in stranger.ask(path).location

    columns = messages.c
    moved = update(messages).where(columns.recipient == f"c{who.id}").values(step=1, channel="sms")
    scene.house.database.run(lambda s: s.execute(moved))

    assert "户名云溪****公司" in words_of(stranger.ask(path))
    # In WeChat, logged in, the recipient still reads everything.
    who.open("/h5/bills")
    assert "户名云溪恒源铸造有限公司" in words_of(who.open(path))


def test_a_shared_bill_is_masked_and_shows_the_sum_only(scene: Scene) -> None:
    scene.firm()
    scene.bill(FIRM, 0, {}, period="202609", due_on=date(2026, 10, 15), kind="normal")
    who = scene.person(FIRM)
    card = who.card()

    seen = scene.stranger().ask(shared_path(who, card))
    words = words_of(seen)

    assert "应本金" not in words
    assert "应交本金9000.00元截止日2026年11月15日" in words
    assert "户名云溪****公司户号9900*****3457" in words
    for hidden in (
        FIRM,
        "恒源铸造",
        "购电费",
        "倍率",
        "已知晓",
        "以前月份",
        "<form",
        "m=" + card[-16:],
    ):
        assert hidden not in seen.body


def test_a_share_link_runs_out_and_cannot_be_made_up(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)
    shared = shared_path(who, who.card())
    stranger = scene.stranger()
    token = shared.partition("=")[2]
    other = ("B" if token[0] != "B" else "C") + token[1:]

    for forged in (other, token[:-4], token + "AAAA", "x", "%E4%BD%A0", ""):
        refused(stranger.ask(f"/h5/arrears/shared?m={forged}"), 404, "没有找到这个页面")
    scene.stage.move_clock(timedelta(days=6, hours=23))
    assert stranger.ask(shared).status == 200
    scene.stage.move_clock(timedelta(hours=2))

    refused(stranger.ask(shared), 409, "转发链接已过期")


def test_a_share_link_ends_with_the_sharers_binding(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)
    shared = shared_path(who, who.card())

    scene.house.database.run(lambda s: unbind_customer(s, who.id, FIRM, scene.now))

    refused(scene.stranger().ask(shared), 409, "转发链接已失效")


def test_neither_addresses_nor_logs_hold_personal_data(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    scene.firm()
    scene.bill(FIRM, 0, {}, period="202609", due_on=date(2026, 10, 15))
    who = scene.person(FIRM)
    path = who.card()
    seen = who.open(path)
    pages = [seen, who.open(link_to(seen, "以前月份的电费")), who.open("/h5/bills")]
    pages.append(who.open("/h5/customer-binding"))
    answer(who.visitor, path, "dispute", note="电话13612345678")
    who.open(path.replace("m=", "m=x"))

    addresses = [
        found for page in pages for found in re.findall(r'(?:href|action)="([^"]+)"', page.body)
    ]
    text = caplog.text
    for secret in (FIRM, "恒源", FIRM_PHONE, who.phone.openid, "13612345678"):
        assert secret not in text
        assert not [one for one in addresses if secret in one]
