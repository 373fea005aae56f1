"""The gate: what is authentic passes and is answered in kind; the rest gets 400, 403 or 413."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from devtools.fuzz.samples import (
    AES_KEY,
    APPID,
    CREATE_TIME,
    OLD_AES_KEY,
    OPENID,
    ORIGINAL_ID,
    SAMPLES,
    TOKEN,
    Request,
    encrypted_request,
    new_cipher,
    plain_request,
    to_json,
    to_xml,
)
from gongdian.errors import CallbackError, ConfigError
from tests.unit.wechat_handlers.test_crypto import (
    OFFICIAL_APPID,
    OFFICIAL_ENCRYPT,
    OFFICIAL_KEY,
    OFFICIAL_MESSAGE,
)
from wechat_handlers import gate as gate_module
from wechat_handlers.crypto import CallbackCipher, callback_signature
from wechat_handlers.documents import read_json, read_xml
from wechat_handlers.events import UnknownEvent
from wechat_handlers.gate import MAX_BODY, CallbackAccount, Gate, read_query
from wechat_handlers.messages import TextMessage, parse_message
from wechat_handlers.replies import TextReply

NOW = datetime.fromtimestamp(CREATE_TIME, UTC)
REPLY = TextReply("已收到]]>，谢谢。")


def gate_in(mode, **more):
    return Gate(CallbackAccount(APPID, TOKEN, AES_KEY, mode=mode, **more))


def body_of(tree, is_json=False):
    return (to_json(tree) if is_json else to_xml(tree)).encode()


def encrypted(tree, is_json=False, cipher=None, **more):
    sealed = (cipher or new_cipher()).encrypt(body_of(tree, is_json))
    return encrypted_request(sealed, is_json=is_json, **more)


def refused(call, *arguments):
    with pytest.raises(CallbackError) as caught:
        call(*arguments)
    return caught.value.status, caught.value.code


def open_refused(gate, request, *, query=None, body=None, content_type="text/xml", now=NOW):
    return refused(
        gate.open,
        request.query if query is None else query,
        request.body if body is None else body,
        content_type,
        now,
    )


def without(query, *names):
    return {name: value for name, value in query.items() if name not in names}


# The official vector, end to end.


def test_official_encrypted_json_callback_is_received():
    gate = Gate(CallbackAccount(OFFICIAL_APPID, "AAAAA", OFFICIAL_KEY, mode="secure"))
    query = {
        "signature": "6c5c811b55cc85e0e1b54100749188c20beb3f5d",
        "timestamp": "1714112445",
        "nonce": "415670741",
        "openid": "o9AgO5Kd5ggOC-bXrbNODIiE3bGY",
        "encrypt_type": "aes",
        "msg_signature": "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3",
    }
    body = json.dumps({"ToUserName": "gh_97417a04a28d", "Encrypt": OFFICIAL_ENCRYPT}).encode()
    received = gate.open(query, body, "application/json", NOW)
    assert received.raw == OFFICIAL_MESSAGE
    assert (received.is_json, received.was_encrypted) == (True, True)
    assert (received.timestamp, received.nonce) == (1714112445, "415670741")
    assert isinstance(received.message, UnknownEvent)
    assert received.message.event == "debug_demo"
    assert received.message.fields["debug_str"] == "hello world"


# Modes and formats.


@pytest.mark.parametrize("is_json", [False, True])
@pytest.mark.parametrize("name", SAMPLES)
def test_every_kind_passes_in_every_mode_and_can_be_read_again(name, is_json):
    tree = SAMPLES[name]
    raw = body_of(tree, is_json)
    attempts = [
        (gate_in("plain"), plain_request(raw)),
        (gate_in("compatible"), plain_request(raw)),
        (gate_in("compatible"), encrypted(tree, is_json, beside=tree)),
        (gate_in("secure"), encrypted(tree, is_json)),
    ]
    for gate, request in attempts:
        received = gate.open(request.query, request.body, "", NOW)
        assert received.raw == raw
        assert received.is_json is is_json
        assert received.was_encrypted is ("msg_signature" in request.query)
        assert parse_message(received.raw, received.is_json) == received.message


def test_only_the_encrypted_part_of_a_compatible_body_is_believed():
    forged = {**SAMPLES["text"], "Content": "伪造", "FromUserName": "oAttacker"}
    request = encrypted(SAMPLES["text"], beside=forged)
    for mode in ("compatible", "secure"):
        received = gate_in(mode).open(request.query, request.body, "", NOW)
        assert received.message.content == SAMPLES["text"]["Content"]
        assert received.message.from_user == OPENID


def test_secure_mode_refuses_a_plain_body():
    request = plain_request(body_of(SAMPLES["text"]))
    assert open_refused(gate_in("secure"), request) == (403, "callback_mode")
    # Marking it as encrypted does not help.
    query = {**request.query, "encrypt_type": "aes", "msg_signature": request.query["signature"]}
    assert open_refused(gate_in("secure"), request, query=query) == (403, "callback_mode")


def test_secure_mode_wants_the_signature_of_the_encrypted_part():
    request = encrypted(SAMPLES["text"])
    plain_only = without(request.query, "msg_signature")
    assert open_refused(gate_in("secure"), request, query=plain_only) == (403, "callback_mode")
    wrong = {**request.query, "msg_signature": request.query["signature"]}
    assert open_refused(gate_in("secure"), request, query=wrong) == (403, "callback_signature")
    # The plain signature is not needed then.
    query = without(request.query, "signature", "encrypt_type")
    assert gate_in("secure").open(query, request.body, "", NOW).was_encrypted


@pytest.mark.parametrize("dropped", [("msg_signature",), ("msg_signature", "encrypt_type")])
def test_compatible_mode_cannot_be_talked_out_of_checking_an_encrypted_body(dropped):
    request = encrypted(SAMPLES["text"], beside={**SAMPLES["text"], "Content": "伪造"})
    query = without(request.query, *dropped)
    assert open_refused(gate_in("compatible"), request, query=query) == (403, "callback_mode")


def test_plain_mode_refuses_encrypted_callbacks():
    request = encrypted(SAMPLES["text"])
    assert open_refused(gate_in("plain"), request) == (403, "callback_mode")
    query = without(request.query, "msg_signature", "encrypt_type")
    assert open_refused(gate_in("plain"), request, query=query) == (403, "callback_mode")


def test_encrypt_type_raw_is_plain():
    request = plain_request(body_of(SAMPLES["text"]))
    query = {**request.query, "encrypt_type": "raw"}
    assert not gate_in("compatible").open(query, request.body, "", NOW).was_encrypted


def test_xml_and_json_may_not_be_mixed_in_one_callback():
    sealed = new_cipher().encrypt(body_of(SAMPLES["text"], is_json=True))
    request = encrypted_request(sealed, is_json=False)
    assert open_refused(gate_in("secure"), request) == (400, "callback_body")


def test_envelope_in_any_spelling_is_read():
    sealed = new_cipher().encrypt(body_of(SAMPLES["text"]))
    request = encrypted_request(sealed, is_json=False)
    bodies = [
        f"<xml>\n <Encrypt>{sealed}</Encrypt>\n</xml>",
        f"<?xml version='1.0'?><xml><Encrypt><![CDATA[{sealed}]]></Encrypt><AgentID/></xml>",
        f"\ufeff<xml><ToUserName><![CDATA[公司]]></ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>",
    ]
    for body in bodies:
        received = gate_in("secure").open(request.query, body.encode(), "", NOW)
        assert isinstance(received.message, TextMessage)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"junk",
        b"<xml/>",
        b"{}",
        b"[]",
        b'{"Encrypt":["a"]}',
        b"<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>",
        b"<xml><Encrypt><a>1</a></Encrypt></xml>",
        b"<xml><Encrypt><![CDATA[\xff]]></Encrypt></xml>",
        "<xml><Encrypt>密</Encrypt></xml>".encode(),
        b"\xff\xfe<\x00",
    ],
)
def test_unreadable_envelopes_are_refused(body):
    status, _ = open_refused(gate_in("secure"), encrypted(SAMPLES["text"]), body=body)
    assert status in (400, 403)


def test_key_rotation_reads_late_messages_and_answers_under_the_new_key():
    account = CallbackAccount(APPID, TOKEN, AES_KEY, OLD_AES_KEY, "secure")
    request = encrypted(SAMPLES["text"], cipher=CallbackCipher(APPID, OLD_AES_KEY))
    received = Gate(account).open(request.query, request.body, "", NOW)
    answer, _ = Gate(account).seal(received, REPLY, NOW)
    assert new_cipher().decrypt(read_xml(answer.decode())["Encrypt"]).startswith(b"<xml>")
    assert open_refused(gate_in("secure"), request) == (400, "callback_cipher")


# Query and window.


@pytest.mark.parametrize("name", ["signature", "timestamp", "nonce"])
@pytest.mark.parametrize(
    "value", [None, "", ["a", "b"], 5, "\ud800", "签名", "a" * 5000, " ", "1e9", "-1", "١٢"]
)
def test_bad_parameters_of_a_plain_callback_are_refused(name, value):
    request = plain_request(body_of(SAMPLES["text"]))
    query = {**request.query, name: value}
    status, code = open_refused(gate_in("plain"), request, query=query)
    assert (status, code) in {(400, "callback_query"), (403, "callback_signature")}
    assert open_refused(gate_in("plain"), request, query=without(query, name))[0] == 400


@pytest.mark.parametrize("value", ["AES", "des", None, ["aes"], "签"])
def test_unknown_encrypt_type_is_refused(value):
    request = encrypted(SAMPLES["text"])
    query = {**request.query, "encrypt_type": value}
    for mode in ("plain", "compatible", "secure"):
        assert open_refused(gate_in(mode), request, query=query) == (400, "callback_query")


def test_signature_covers_timestamp_nonce_and_token():
    request = plain_request(body_of(SAMPLES["text"]))
    for query in (
        {**request.query, "nonce": "2"},
        {**request.query, "timestamp": str(CREATE_TIME + 1)},
        plain_request(b"", token="other").query,
    ):
        refusal = open_refused(gate_in("plain"), request, query=query)
        assert refusal == (403, "callback_signature")


def test_signatures_are_compared_by_the_constant_time_function(monkeypatch):
    seen = []
    monkeypatch.setattr(gate_module, "same", lambda a, b: seen.append((a, b)) or False)
    request = plain_request(body_of(SAMPLES["text"]))
    assert open_refused(gate_in("plain"), request) == (403, "callback_signature")
    sealed = encrypted(SAMPLES["text"])
    assert open_refused(gate_in("secure"), sealed) == (403, "callback_signature")
    assert len(seen) == 2


@pytest.mark.parametrize("off", [-601, 601, -(10**9), 10**11])
def test_timestamp_outside_the_window_is_refused_although_the_signature_is_right(off):
    timestamp = max(0, CREATE_TIME + off)
    request = plain_request(body_of(SAMPLES["text"]), timestamp=timestamp)
    assert open_refused(gate_in("plain"), request) == (403, "callback_window")


@pytest.mark.parametrize("off", [-600, 0, 600])
def test_timestamp_at_the_edge_of_the_window_passes(off):
    request = plain_request(body_of(SAMPLES["text"]), timestamp=CREATE_TIME + off)
    assert gate_in("plain").open(request.query, request.body, "", NOW)


def test_window_is_a_setting():
    request = plain_request(body_of(SAMPLES["text"]))
    later = NOW + timedelta(seconds=31)
    gate = gate_in("plain", window_s=30)
    assert open_refused(gate, request, now=later) == (403, "callback_window")


def test_body_over_the_limit_is_refused_before_it_is_looked_at():
    request = plain_request(b"x" * (MAX_BODY + 1))
    assert open_refused(gate_in("plain"), request, query={}) == (413, "callback_too_large")
    assert open_refused(gate_in("plain"), request, body=b"x" * MAX_BODY) == (400, "callback_body")


@pytest.mark.parametrize("charset", ["gbk", '"GB18030"', "utf-16", "latin-1"])
def test_foreign_charset_is_refused(charset):
    request = plain_request(body_of(SAMPLES["text"]))
    content_type = f"text/xml; charset={charset}"
    refusal = open_refused(gate_in("plain"), request, content_type=content_type)
    assert refusal == (400, "callback_charset")


def test_message_for_another_account_is_refused():
    request = plain_request(body_of(SAMPLES["text"]))
    gate = gate_in("plain", original_id=ORIGINAL_ID)
    assert gate.open(request.query, request.body, "", NOW)
    gate = gate_in("plain", original_id="gh_other")
    assert open_refused(gate, request) == (403, "callback_recipient")


# The address check.


def challenge_query(echo="5837397520665436492", **more):
    return {**without(plain_request(b"").query, "openid"), "echostr": echo, **more}


@pytest.mark.parametrize("mode", ["plain", "compatible", "secure"])
def test_plain_challenge_is_echoed_in_every_mode(mode):
    assert gate_in(mode).challenge(challenge_query(), NOW) == "5837397520665436492"


def encrypted_challenge(inner=b"1616140317555161061"):
    query = challenge_query(new_cipher().encrypt(inner))
    signed = (TOKEN, query["timestamp"], query["nonce"], query["echostr"])
    return {**without(query, "signature"), "msg_signature": callback_signature(*signed)}


def test_encrypted_challenge_is_decrypted():
    assert gate_in("secure").challenge(encrypted_challenge(), NOW) == "1616140317555161061"


@pytest.mark.parametrize("inner", [b"", b"<script>alert(1)</script>", b"\xff", b"1" * 600])
def test_strange_encrypted_challenge_is_refused(inner):
    query = encrypted_challenge(inner)
    assert refused(gate_in("secure").challenge, query, NOW)[0] == 400


def test_forged_challenges_are_refused():
    gate = gate_in("secure")
    wrong = {**encrypted_challenge(), "msg_signature": "0" * 40}
    assert refused(gate.challenge, wrong, NOW) == (403, "callback_signature")
    wrong = challenge_query(signature="0" * 40)
    assert refused(gate.challenge, wrong, NOW) == (403, "callback_signature")
    late = NOW + timedelta(hours=1)
    assert refused(gate.challenge, challenge_query(), late) == (403, "callback_window")


@pytest.mark.parametrize("name", ["signature", "timestamp", "nonce", "echostr"])
@pytest.mark.parametrize("value", [None, "", ["a"], "\ud800", "签"])
def test_challenge_with_bad_parameters_is_refused(name, value):
    query = {**challenge_query(), name: value}
    assert refused(gate_in("plain").challenge, query, NOW)[0] in (400, 403)
    assert refused(gate_in("plain").challenge, without(query, name), NOW)[0] == 400


@pytest.mark.parametrize(
    "echo",
    ["<script>alert(1)</script>", "a b", "a\r\nSet-Cookie: x", "&lt;", "'\"", "1" * 513, "\x00"],
)
def test_echo_that_a_browser_could_take_for_markup_is_refused(echo):
    assert refused(gate_in("plain").challenge, challenge_query(echo), NOW) == (
        400,
        "callback_query",
    )


def test_query_string_is_read_with_each_parameter_once():
    read = read_query("signature=ab&echostr=%2B1&empty=&%E4%BE%9B=%E7%94%B5")
    assert read == {"signature": "ab", "echostr": "+1", "empty": "", "供": "电"}
    assert read_query(b"") == {}


@pytest.mark.parametrize(
    "text",
    ["a=1&a=2", "a=%FF", b"a=\xff", "a=" + "1" * 5000, "&".join(f"p{n}=1" for n in range(40))],
)
def test_strange_query_strings_are_refused(text):
    assert refused(read_query, text) == (400, "callback_query")


# Answers.


@pytest.mark.parametrize("mode", ["plain", "secure"])
def test_no_reply_is_answered_with_success(mode):
    request = (
        encrypted(SAMPLES["text"]) if mode == "secure" else plain_request(body_of(SAMPLES["text"]))
    )
    gate = gate_in(mode)
    received = gate.open(request.query, request.body, "", NOW)
    assert gate.seal(received, None, NOW) == (b"success", "text/plain; charset=utf-8")


@pytest.mark.parametrize("is_json", [False, True])
def test_plain_answer_has_the_format_of_the_question(is_json):
    gate = gate_in("plain")
    request = plain_request(body_of(SAMPLES["text"], is_json))
    received = gate.open(request.query, request.body, "", NOW)
    body, content_type = gate.seal(received, REPLY, NOW)
    answer = read_json(body.decode()) if is_json else read_xml(body.decode())
    assert ("json" if is_json else "xml") in content_type
    assert answer == {
        "ToUserName": OPENID,
        "FromUserName": ORIGINAL_ID,
        "CreateTime": str(CREATE_TIME),
        "MsgType": "text",
        "Content": "已收到]]>，谢谢。",
    }


@pytest.mark.parametrize("is_json", [False, True])
def test_encrypted_answer_is_signed_and_can_be_opened(is_json):
    gate = gate_in("secure")
    request = encrypted(SAMPLES["text"], is_json)
    received = gate.open(request.query, request.body, "", NOW)
    body, _ = gate.seal(received, REPLY, NOW)
    read = read_json if is_json else read_xml
    envelope = read(body.decode())
    assert set(envelope) == {"Encrypt", "MsgSignature", "TimeStamp", "Nonce"}
    signed = (TOKEN, envelope["TimeStamp"], envelope["Nonce"], envelope["Encrypt"])
    assert envelope["MsgSignature"] == callback_signature(*signed)
    inner = read(new_cipher().decrypt(envelope["Encrypt"]).decode())
    assert inner["Content"] == "已收到]]>，谢谢。"


@pytest.mark.parametrize(
    ("mode", "setting", "is_encrypted", "answer_is_encrypted"),
    [
        ("secure", None, True, True),
        ("secure", False, True, False),
        ("secure", True, True, True),
        ("compatible", None, True, True),
        ("compatible", None, False, False),
        ("compatible", True, False, True),
        ("compatible", False, True, False),
        ("plain", None, False, False),
        ("plain", True, False, True),
    ],
)
def test_answers_are_encrypted_as_the_account_says(
    mode, setting, is_encrypted, answer_is_encrypted
):
    gate = gate_in(mode, encrypt_replies=setting)
    request = (
        encrypted(SAMPLES["text"]) if is_encrypted else plain_request(body_of(SAMPLES["text"]))
    )
    received = gate.open(request.query, request.body, "", NOW)
    body, _ = gate.seal(received, REPLY, NOW)
    assert (b"<Encrypt>" in body) is answer_is_encrypted


# Settings.


@pytest.mark.parametrize(
    "wrong",
    [
        {"appid": ""},
        {"token": ""},
        {"mode": "safe"},
        {"mode": "secure", "aes_key": ""},
        {"mode": "compatible", "aes_key": ""},
        {"aes_key": "", "encrypt_replies": True},
        {"aes_key": "", "previous_aes_key": OLD_AES_KEY},
        {"aes_key": "short"},
        {"previous_aes_key": "A" * 42 + "/"},
        {"window_s": 0},
    ],
)
def test_wrong_settings_stop_the_start(wrong):
    settings = {"appid": APPID, "token": TOKEN, "aes_key": AES_KEY, **wrong}
    with pytest.raises(ConfigError):
        Gate(CallbackAccount(**settings))


def test_secrets_do_not_show_in_repr():
    shown = repr(CallbackAccount(APPID, TOKEN, AES_KEY, OLD_AES_KEY, "secure"))
    assert TOKEN not in shown
    assert AES_KEY not in shown
    assert OLD_AES_KEY not in shown


def test_received_shows_no_personal_text():
    request: Request = plain_request(body_of(SAMPLES["text"]))
    shown = repr(gate_in("plain").open(request.query, request.body, "", NOW))
    assert OPENID not in shown
    assert "青山路" not in shown
