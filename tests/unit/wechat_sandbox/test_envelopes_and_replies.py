"""How callbacks are written and how answers to them are read."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree

import pytest

from devtools.wechat_sandbox.envelopes import make_envelope, write
from devtools.wechat_sandbox.events import event, message
from devtools.wechat_sandbox.replies import MalformedReplyError, parse, read_reply
from devtools.wechat_sandbox.sandbox import make_cipher
from devtools.wechat_sandbox.settings import SandboxSettings
from wechat_handlers.crypto import callback_signature

OPENID, ACCOUNT = "o-user", SandboxSettings().original_id


def text(content: str) -> dict[str, Any]:
    return message(OPENID, ACCOUNT, 1714036504.9, "text", Content=content)


@pytest.mark.parametrize("form", ["xml", "json"])
@pytest.mark.parametrize("mode", ["plain", "compatible", "secure"])
def test_each_mode_and_format_carries_the_message_and_verifies(mode: str, form: str) -> None:
    settings = SandboxSettings(mode=mode, format=form)
    cipher = make_cipher(settings)
    fields = text("停电了 ]]> <b>")
    envelope = make_envelope(fields, settings, cipher, 1714036504)
    query = {name: values[0] for name, values in parse_qs(envelope.query).items()}
    signed = (settings.token, query["timestamp"], query["nonce"])
    assert query["signature"] == callback_signature(*signed)
    assert query["openid"] == OPENID
    outer = parse(envelope.body, form)
    assert ("Content" in outer) == (mode != "secure")
    assert ("Encrypt" in outer) == (mode != "plain")
    inner = outer
    if mode != "plain":
        assert query["encrypt_type"] == "aes"
        assert query["msg_signature"] == callback_signature(*signed, outer["Encrypt"])
        assert cipher is not None
        inner = parse(cipher.decrypt(outer["Encrypt"]), form)
    assert inner["Content"] == "停电了 ]]> <b>"
    assert str(inner["MsgId"]) == str(fields["MsgId"])
    assert str(inner["CreateTime"]) == "1714036504"


def test_bad_signature_spoils_both_signatures() -> None:
    settings = SandboxSettings(mode="secure")
    envelope = make_envelope(
        text("x"), settings, make_cipher(settings), 1714036504, bad_signature=True
    )
    query = {name: values[0] for name, values in parse_qs(envelope.query).items()}
    signed = (settings.token, query["timestamp"], query["nonce"])
    assert query["signature"] != callback_signature(*signed)
    encrypted = parse(envelope.body, "xml")["Encrypt"]
    assert query["msg_signature"] != callback_signature(*signed, encrypted)


def test_subscription_events_have_their_list_on_the_top_level_in_json_only() -> None:
    entry = {"TemplateId": "T1", "SubscribeStatusString": "accept", "PopupScene": "1"}
    one = event(
        OPENID,
        ACCOUNT,
        1,
        "subscribe_msg_popup_event",
        SubscribeMsgPopupEvent={"List": [entry]},
    )
    two = {**one, "SubscribeMsgPopupEvent": {"List": [entry, entry]}}
    assert json.loads(write(one, "json"))["List"] == entry
    assert json.loads(write(two, "json"))["List"] == [entry, entry]
    root = ElementTree.fromstring(write(two, "xml"))
    assert len(root.findall("SubscribeMsgPopupEvent/List")) == 2


def test_one_picture_is_an_object_and_two_are_a_list_in_json() -> None:
    for count in (1, 2):
        pictures = {"item": [{"PicMd5Sum": str(number)} for number in range(count)]}
        fields = event(
            OPENID, ACCOUNT, 1, "pic_weixin", SendPicsInfo={"Count": count, "PicList": pictures}
        )
        shape = json.loads(write(fields, "json"))["SendPicsInfo"]["PicList"]["item"]
        assert isinstance(shape, dict) == (count == 1)


def reply(content: str = "<Content><![CDATA[好的]]></Content>", kind: str = "text") -> bytes:
    return (
        f"<xml><ToUserName>{OPENID}</ToUserName><FromUserName>{ACCOUNT}</FromUserName>"
        f"<CreateTime>1</CreateTime><MsgType>{kind}</MsgType>{content}</xml>"
    ).encode()


def read(body: bytes, **settings: Any) -> Any:
    made = SandboxSettings(**settings)
    return read_reply(body, OPENID, made, make_cipher(made))


@pytest.mark.parametrize("body", [b"", b"success", b" success\n"])
def test_success_and_nothing_are_no_reply(body: bytes) -> None:
    assert read(body) is None


def test_text_and_news_replies_are_read() -> None:
    assert read(reply()).text == "好的"
    items = "<item><Title>一</Title></item><item><Title>二</Title></item>"
    news = read(reply(f"<ArticleCount>2</ArticleCount><Articles>{items}</Articles>", "news"))
    assert news.extra == {"Articles": {"item": [{"Title": "一"}, {"Title": "二"}]}}
    assert read(reply("", "transfer_customer_service")).kind == "transfer_customer_service"


@pytest.mark.parametrize(
    "body",
    [
        b"ok",
        b'{"MsgType":"text"}',
        b"<xml></xml>",
        b"<html><p>x</p></html>",
        b"<xml><a></xml>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><xml><MsgType>text</MsgType></xml>',
        reply("", "text"),
        reply("<Content>x</Content>", "poem"),
        reply("<Content>x</Content><MsgType>news</MsgType>"),
        reply().replace(OPENID.encode(), b"o-other"),
        reply().replace(b"<CreateTime>1</CreateTime>", b""),
        b"<xml><Encrypt>x</Encrypt></xml>",
    ],
)
def test_malformed_answers_are_told(body: bytes) -> None:
    with pytest.raises(MalformedReplyError):
        read(body)


def encrypted_reply(settings: SandboxSettings, *, token: str = "") -> bytes:
    cipher = make_cipher(settings)
    assert cipher is not None
    sealed = cipher.encrypt(reply())
    signature = callback_signature(token or settings.token, "5", "n", sealed)
    return (
        f"<xml><Encrypt>{sealed}</Encrypt><MsgSignature>{signature}</MsgSignature>"
        f"<TimeStamp>5</TimeStamp><Nonce>n</Nonce></xml>"
    ).encode()


def test_secure_mode_takes_encrypted_replies_and_refuses_plain_ones() -> None:
    settings = SandboxSettings(mode="secure")
    assert read(encrypted_reply(settings), mode="secure").text == "好的"
    for body in (reply(), encrypted_reply(settings, token="other")):
        with pytest.raises(MalformedReplyError):
            read(body, mode="secure")
    assert read(reply(), mode="secure", accept_plain_reply_in_secure=True).text == "好的"


def test_compatible_mode_takes_both_kinds_of_reply() -> None:
    settings = SandboxSettings(mode="compatible")
    assert read(encrypted_reply(settings), mode="compatible").text == "好的"
    assert read(reply(), mode="compatible").text == "好的"


def test_json_account_takes_json_and_xml_replies() -> None:
    body = {
        "ToUserName": OPENID,
        "FromUserName": ACCOUNT,
        "CreateTime": 1,
        "MsgType": "text",
        "Content": "好的",
    }
    assert read(json.dumps(body).encode(), format="json").text == "好的"
    assert read(reply(), format="json").text == "好的"
    with pytest.raises(MalformedReplyError):
        read(b"{broken", format="json")


def test_wechatpy_reads_what_the_sandbox_encrypts() -> None:
    wechatpy = pytest.importorskip("wechatpy")
    crypto = pytest.importorskip("wechatpy.crypto")
    settings = SandboxSettings(mode="secure")
    envelope = make_envelope(text("停电了吗"), settings, make_cipher(settings), 1714036504)
    query = {name: values[0] for name, values in parse_qs(envelope.query).items()}
    opened = crypto.WeChatCrypto(settings.token, settings.aes_key, settings.appid).decrypt_message(
        envelope.body, query["msg_signature"], query["timestamp"], query["nonce"]
    )
    message = wechatpy.parse_message(opened)
    assert (message.content, message.source) == ("停电了吗", OPENID)
