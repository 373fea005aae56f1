"""Template messages and customer-service texts without a network."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.wechat_sandbox.desks import Desks, refused

DATA = {"thing1": {"value": "解放路1号"}}


def ready(**settings: Any) -> tuple[Desks, str]:
    desks = Desks(**settings)
    desks.templates.register("T1", "停电通知", {"thing1": "地址"})
    return desks, desks.phones.add(following=True).openid


def order(openid: str, **more: Any) -> dict[str, Any]:
    return {"touser": openid, "template_id": "T1", "data": DATA, **more}


def test_accepted_card_is_on_the_screen_with_its_labels() -> None:
    desks, openid = ready()
    answer = desks.sending.template(order(openid, url="http://h/x", client_msg_id="m1"))
    assert answer["errcode"] == 0
    (item,) = desks.phones.inbox(openid)
    assert item["kind"] == "template"
    assert item["title"] == "停电通知"
    assert item["fields"][0] == {"key": "thing1", "label": "地址", "value": "解放路1号"}
    assert (item["url"], item["msgid"], item["client_msg_id"]) == (
        "http://h/x",
        answer["msgid"],
        "m1",
    )


def test_msgids_are_distinct_and_need_64_bits() -> None:
    desks, openid = ready()
    ids = {desks.sending.template(order(openid))["msgid"] for _ in range(50)}
    assert len(ids) == 50
    assert min(ids) > 2**53


def test_recipient_is_checked() -> None:
    desks, openid = ready()
    assert refused(desks.sending.template, order("o-nobody")) == 40003
    assert refused(desks.sending.template, order(None)) == 40003  # type: ignore[arg-type]
    desks.phones.get(openid).following = False
    assert refused(desks.sending.template, order(openid)) == 43004


def test_same_client_msg_id_is_shown_once_within_ten_minutes() -> None:
    desks, openid = ready()
    other = desks.phones.add(following=True).openid
    first = desks.sending.template(order(openid, client_msg_id="m1"))
    desks.clock.move(599)
    again = desks.sending.template(order(openid, client_msg_id="m1"))
    assert (again["errcode"], again["msgid"]) == (0, first["msgid"])
    assert desks.sending.template(order(other, client_msg_id="m1"))["msgid"] != first["msgid"]
    assert len(desks.phones.inbox(openid)) == 1
    assert desks.sending.counts["client_msg_id_hits"] == 1
    desks.clock.move(2)
    desks.sending.template(order(openid, client_msg_id="m1"))
    assert [item["duplicate"] for item in desks.phones.inbox(openid)] == [False, True]
    assert desks.phones.duplicate_cards == 1


def test_refused_message_does_not_use_up_its_client_msg_id() -> None:
    desks, openid = ready()
    bad = {**order(openid, client_msg_id="m1"), "data": {"thing1": {"value": ""}}}
    assert refused(desks.sending.template, bad) == 47003
    desks.sending.template(order(openid, client_msg_id="m1"))
    assert len(desks.phones.inbox(openid)) == 1


def test_platform_that_ignores_client_msg_id_shows_the_card_twice() -> None:
    desks, openid = ready(honour_client_msg_id=False)
    for _ in range(2):
        desks.sending.template(order(openid, client_msg_id="m1"))
    assert desks.phones.duplicate_cards == 1


def test_card_with_other_data_or_address_is_no_duplicate() -> None:
    desks, openid = ready()
    desks.sending.template(order(openid, url="http://h/1"))
    desks.sending.template(order(openid, url="http://h/2"))
    desks.sending.template({**order(openid), "data": {"thing1": {"value": "别处"}}})
    assert (desks.phones.cards_shown, desks.phones.duplicate_cards) == (3, 0)


def test_miniprogram_wins_over_the_address() -> None:
    desks, openid = ready()
    target = {"appid": "wxmini", "pagepath": "pages/bill"}
    desks.sending.template(order(openid, url="http://h/x", miniprogram=target))
    (item,) = desks.phones.inbox(openid)
    assert (item["url"], item["extra"]) == ("", {"miniprogram": target})


def test_daily_and_minute_quota_are_kept() -> None:
    desks, openid = ready(template_daily_quota=4, template_minute_quota=2)
    codes = [refused(desks.sending.template, order(openid)) for _ in range(3)]
    assert codes == [0, 0, 45011]
    desks.clock.move(60)
    codes = [refused(desks.sending.template, order(openid)) for _ in range(3)]
    assert codes == [0, 0, 45009]
    desks.clock.move(86_400)
    assert refused(desks.sending.template, order(openid)) == 0


def test_daily_quota_starts_again_at_midnight_in_china() -> None:
    desks, openid = ready(template_daily_quota=1)
    assert [refused(desks.sending.template, order(openid)) for _ in range(2)] == [0, 45009]
    desks.clock.move(8 * 3600 - 1)
    assert refused(desks.sending.template, order(openid)) == 45009
    desks.clock.move(1)
    assert refused(desks.sending.template, order(openid)) == 0


def test_card_whose_receipt_fails_is_not_shown() -> None:
    desks, openid = ready()
    desks.phones.get(openid).receipt_status = "failed:user block"
    assert desks.sending.template(order(openid))["errcode"] == 0
    assert desks.phones.inbox(openid) == []


def text(openid: str, content: object = "您好") -> dict[str, Any]:
    return {"touser": openid, "msgtype": "text", "text": {"content": content}}


@pytest.mark.parametrize(
    ("trigger", "count", "lasts_s"),
    [("message", 5, 172_800), ("menu", 3, 60), ("follow", 3, 60), ("scan", 3, 60)],
)
def test_window_allows_so_many_texts_for_so_long(trigger: str, count: int, lasts_s: int) -> None:
    desks, openid = ready()
    assert refused(desks.sending.custom, text(openid)) == 45015
    desks.phones.open_window(desks.phones.get(openid), trigger)
    codes = [refused(desks.sending.custom, text(openid)) for _ in range(count + 1)]
    assert codes == [0] * count + [45047]
    desks.phones.open_window(desks.phones.get(openid), trigger)
    desks.clock.move(lasts_s)
    assert refused(desks.sending.custom, text(openid)) == 45015


def test_payment_opens_a_window_without_count() -> None:
    desks, openid = ready()
    desks.phones.open_window(desks.phones.get(openid), "payment")
    assert {refused(desks.sending.custom, text(openid)) for _ in range(30)} == {0}


def test_customer_service_text_is_checked() -> None:
    desks, openid = ready()
    desks.phones.open_window(desks.phones.get(openid), "message")
    assert refused(desks.sending.custom, text("o-nobody")) == 40003
    assert refused(desks.sending.custom, {"touser": openid, "msgtype": "image"}) == 40008
    assert refused(desks.sending.custom, text(openid, "")) == 44004
    assert refused(desks.sending.custom, text(openid, "长" * 683)) == 45002
    assert refused(desks.sending.custom, text(openid, "长" * 682)) == 0
    assert desks.phones.inbox(openid)[0]["kind"] == "service"
