"""Logs: one JSON object a line, nothing personal, nothing secret."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

import pytest

from gongdian.logs import JsonFormatter, log_fields, mask_name, mask_openid, mask_phone, mask_text

OPENID = "oABC4567890123456789012345-_"


def line(event: str = "sent", **extra: Any) -> dict[str, Any]:
    record = logging.LogRecord("gongdian.test", logging.INFO, __file__, 1, event, (), None)
    vars(record).update(extra)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    return dict(json.loads(text))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("call 13812345678 now", "call 138****5678 now"),
        ("+8613812345678", "+86138****5678"),
        ("86-138-1234-5678", "86-138****5678"),
        ("138 1234 5678", "138****5678"),
        ("户号 9900001203457", "户号 9900001203457"),
        ("order 213812345678", "order 213812345678"),
        (f"to {OPENID}.", "to oABC…."),
        (f"?openid={OPENID}&x=1", "?openid=oABC…&x=1"),
        ("/cgi?access_token=72_abc-DEF&x=1", "/cgi?access_token=***&x=1"),
        ("refresh_token=abc", "refresh_token=***"),
        ("/sns?appid=wx1&secret=s3cr3t&code=0a1b", "/sns?appid=wx1&secret=***&code=***"),
        ("jsapi_ticket=sM4A&url=x", "jsapi_ticket=***&url=x"),
        ("/h5/binding?m=S0mET0ken_x", "/h5/binding?m=***"),
        (
            '{"access_token": "72_abc", "expires_in": 7200}',
            '{"access_token": "***", "expires_in": 7200}',
        ),
        ("{'password': 'hunter2'}", "{'password': '***'}"),
        ("errcode=45009 rid=6512-aa", "errcode=45009 rid=6512-aa"),
        ("access_token is invalid", "access_token is invalid"),
        ("008613812345678", "0086138****5678"),
        ("0086-138 1234 5678", "0086-138****5678"),
        ("tel13812345678x", "tel138****5678x"),
        ("0571-87654321 or 010-87654321", "0571-****4321 or 010-****4321"),
        ("write li.si+1@mail.example.com now", "write l***@mail.example.com now"),
        ("<13812345678@example.com>", "<1***@example.com>"),
        ("发给li@example.com。", "发***@example.com。"),
        ("2 @ 3", "2 @ 3"),
        ("身份证 420106198001011234", "身份证 4201****"),
        ("id=42010619800101123X;", "id=4201****;"),
        ("msg 420106198013011234", "msg 420106198013011234"),  # no such month: no identity card
        ("Authorization: Bearer abc.DEF-1", "Authorization: ***"),
        ("sent Bearer abc.DEF-1 to x", "sent Bearer *** to x"),
        ("'Authorization': 'Basic dTpw'", "'Authorization': '***'"),
        ("/sns/jscode2session?js_code=0a1b&x=1", "/sns/jscode2session?js_code=***&x=1"),
        ("code%3D0a1b", "code%3D***"),
        ("status_code=200 errcode: 40001", "status_code=200 errcode: 40001"),
        ("api_key=k1 passwd=p1 pwd: p2", "api_key=*** passwd=*** pwd: ***"),
        ("EncodingAESKey=abc aes_key: abc", "EncodingAESKey=*** aes_key: ***"),
        ("mysql://u:pass@h/d", "mysql://u:***@h/d"),
        ("redis://:p@s:s/w@10.0.0.1:6379/1 down", "redis://:***@10.0.0.1:6379/1 down"),
        ("http://h:8080/x?y=1", "http://h:8080/x?y=1"),
        (f"send_{OPENID}", "send_oABC…"),
        (f"{OPENID}_1", "oABC…_1"),
        (f"a-{OPENID}", "a-oABC…"),
        ("outbox_receipts_were_swept", "outbox_receipts_were_swept"),  # a name, not an openid
        ("was_outbox_receipts_were_swept", "was_outbox_receipts_were_swept"),
    ],
)
def test_what_is_personal_or_secret_is_masked_in_any_text(text: str, masked: str) -> None:
    assert mask_text(text) == masked
    assert line(text)["event"] == masked


def test_fields_are_masked_by_their_names() -> None:
    written = line(
        openid=OPENID,
        customer_name="张三丰",
        address="云溪镇东街8号",
        wechat_secret="s3cr3t",
        Authorization="Bearer x",
        count=3,
        detail=f"refused for {OPENID} 13812345678",
    )
    assert written["openid"] == "oABC…28"
    assert (written["customer_name"], written["address"]) == ("张**", "云" + "*" * 6)
    assert (written["wechat_secret"], written["Authorization"]) == ("***", "***")
    assert (written["count"], written["detail"]) == (3, "refused for oABC… 138****5678")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (13812345678, "138****5678"),
        (8613812345678, "86138****5678"),
        (13812345678.0, "138****5678.0"),
        (420106198001011234, "4201****"),
        (9900001203457, 9900001203457),
        (1714112445, 1714112445),
        (True, True),
        (None, None),
        (["13812345678", OPENID], "['138****5678', 'oABC…']"),
        ({"mail": "li@example.com", "phone": 13812345678}, None),
    ],
)
def test_numbers_and_collections_are_masked_too(value: Any, written: Any) -> None:
    if isinstance(value, dict):
        written = "{'mail': 'l***@example.com', 'phone': 138****5678}"
    assert line(detail=value)["detail"] == written


def test_phone_fields_are_masked_whatever_they_hold() -> None:
    written = line(phone="87654321", mobile=13812345678, contact_phone="+44 20 7946 0958")
    assert (written["phone"], written["mobile"]) == ("****4321", "138****5678")
    assert "7946" not in written["contact_phone"]


@pytest.mark.parametrize(
    "secret",
    [
        "mysql://gongdian:hunter2@db/x",
        "redis://:hunter2@db",
        "Bearer hunter2",
        "js_code=hunter2",
        "{'api_key': 'hunter2'}",
        "hunter2@example.com",
    ],
)
def test_secrets_in_the_texts_of_exceptions_are_masked(secret: str) -> None:
    try:
        try:
            raise OSError(f"cannot reach {secret}")
        except OSError as error:
            raise ValueError(secret, 13812345678) from error
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "boom", (), sys.exc_info())
        text = JsonFormatter().format(record)
        detail = line(detail=error)["detail"]
    assert "hunter2" not in text + detail
    assert "13812345678" not in text


@pytest.mark.parametrize("unit", ["a", "1", "o", "a.", "1-", "://a:", "code=", "a@", "oA_", "o_"])
def test_long_texts_cost_no_more_than_their_length(unit: str) -> None:
    text = "li@example.com " + unit * (200_000 // len(unit))
    began = time.process_time()
    mask_text(text)
    assert time.process_time() - began < 1.0


def test_a_traceback_is_one_line_and_masked() -> None:
    try:
        raise ValueError(f"no route to {OPENID} for 13812345678?access_token=abc")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "boom", (), sys.exc_info())
    text = JsonFormatter().format(record)
    assert "ValueError" in json.loads(text)["error"]
    assert OPENID not in text
    assert "13812345678" not in text
    assert "=abc" not in text


def test_bound_fields_are_on_every_line_inside_and_masked() -> None:
    with log_fields(request_id="r1"), log_fields(openid=OPENID):
        inside = line()
    assert (inside["request_id"], inside["openid"]) == ("r1", "oABC…28")
    assert "request_id" not in line()
    with log_fields(level="mine", event="mine"):
        assert line()["level"] == "INFO"


def test_masks_of_short_values_show_nothing() -> None:
    assert (mask_phone("12345"), mask_phone("")) == ("*****", "")
    assert (mask_name("张"), mask_name("")) == ("张*", "")
    assert mask_openid("") == ""
