"""Every call of the API client against the sandbox, with its limits, refusals and faults."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from devtools.wechat_sandbox.fixture import running_sandbox
from devtools.wechat_sandbox.sandbox import Sandbox
from gongdian.adapters.credentials_memory import MemoryCredentialStore
from gongdian.adapters.wechat_api.client import WechatApi
from gongdian.adapters.wechat_api.signing import sign_jssdk
from gongdian.adapters.wechat_api.transport import HttpLimits
from gongdian.clock import SystemClock
from gongdian.errors import OutcomeUnknownError, PlatformRefusalError, UpstreamError
from gongdian.ports import TemplateSend, WechatAccount
from tests.fake_platform import fake_platform, says

SEND = "/cgi-bin/message/template/send"
TOKEN = "/cgi-bin/stable_token"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(receipts=False) as running:
        running.sandbox.register_template("T1", "停电通知", {"thing1": "地址", "time2": "时间"})
        yield running.sandbox


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[WechatApi]:
    settings, clock = sandbox.settings, SystemClock()
    client = WechatApi(
        WechatAccount(settings.appid, settings.secret),
        MemoryCredentialStore(clock),
        clock,
        api_url=sandbox.base_url,
        open_url=sandbox.base_url,
        limits=HttpLimits(connect_s=1, read_s=0.5, total_s=2),
    )
    yield client
    client.close()


@pytest.fixture
def openid(sandbox: Sandbox) -> str:
    return sandbox.add_phone(following=True).openid


@pytest.fixture
def message(openid: str) -> TemplateSend:
    values = {"thing1": "云溪路12号", "time2": "2026-01-05 14:30"}
    return TemplateSend(openid, "T1", values, "a" * 32, "https://h5.example/n")


def refused(call, *arguments: object) -> PlatformRefusalError:
    with pytest.raises(PlatformRefusalError) as caught:
        call(*arguments)
    return caught.value


def test_a_template_message_reaches_the_phone(sandbox, api, openid, message):
    assert api.send_template(message).msgid.isdigit()
    (card,) = sandbox.phone(openid).cards()
    assert "云溪路12号" in str(card)


def test_a_send_that_timed_out_is_shown_once_when_it_is_sent_again(sandbox, api, openid, message):
    api.send_template(replace(message, client_msg_id="b" * 32))
    sandbox.faults.add("timeout", SEND, next_n=1, acts=True, seconds=3)
    with pytest.raises(OutcomeUnknownError):
        api.send_template(message)
    api.send_template(message)
    assert len(sandbox.phone(openid).cards()) == 2


@pytest.mark.parametrize("acts", [True, False])
def test_a_reset_on_a_kept_connection_is_repaired_without_a_second_card(
    sandbox, api, openid, message, acts
):
    api.send_template(replace(message, client_msg_id="b" * 32))
    sandbox.faults.add("reset", SEND, next_n=1, acts=acts)
    api.send_template(message)
    assert len(sandbox.phone(openid).cards()) == 2


def test_an_http_error_leaves_the_outcome_unknown(sandbox, api, message):
    sandbox.faults.add("http_error", SEND, next_n=1, status=502)
    with pytest.raises(OutcomeUnknownError):
        api.send_template(message)


@pytest.mark.parametrize(
    ("change", "errcode", "action"),
    [
        ({"openid": "nobody"}, 40003, "reject_recipient"),
        ({"template_id": "T9"}, 40037, "reject_message"),
        ({"data": {"thing1": "字" * 21, "time2": "15:01"}}, 47003, "reject_message"),
    ],
)
def test_the_platform_refuses_what_is_wrong(api, message, change, errcode, action):
    error = refused(api.send_template, replace(message, **change))
    assert (error.errcode, error.action) == (errcode, action)
    assert error.rid
    assert error.context.get("field") == ("thing1" if errcode == 47003 else None)


def test_who_does_not_follow_gets_nothing(sandbox, api, message):
    error = refused(api.send_template, replace(message, openid=sandbox.add_phone().openid))
    assert (error.errcode, error.action) == (43004, "reject_recipient")


@pytest.mark.parametrize(("setting", "errcode"), [("daily", 45009), ("minute", 45011)])
def test_a_used_up_quota_is_told(sandbox, api, message, setting, errcode):
    sandbox.change(**{f"template_{setting}_quota": 1})
    api.send_template(message)
    error = refused(api.send_template, replace(message, client_msg_id="b" * 32))
    assert error.errcode == errcode


def test_an_ended_token_is_renewed_once(sandbox, api, openid, message):
    api.send_template(replace(message, client_msg_id="b" * 32))
    sandbox.tokens.end_all()
    api.send_template(message)
    assert len(sandbox.phone(openid).cards()) == 2
    assert sandbox.stats()["calls"][TOKEN] == 2


def test_a_token_that_stays_refused_costs_two_sends_and_two_fetches(sandbox, api, message):
    sandbox.faults.add("errcode", SEND, percent=100, errcode=40001)
    assert refused(api.send_template, message).action == "refresh_token"
    assert (sandbox.stats()["calls"][SEND], sandbox.stats()["calls"][TOKEN]) == (2, 2)


def test_a_wrong_secret_stops_the_channel(sandbox, api, message):
    sandbox.change(secret="another secret, changed by the operator")
    assert refused(api.send_template, message).action == "stop_channel"
    assert SEND not in sandbox.stats()["calls"]


def test_a_token_endpoint_that_times_out_means_surely_not_sent(sandbox, api, message):
    sandbox.faults.add("timeout", TOKEN, next_n=1, seconds=3)
    with pytest.raises(UpstreamError) as caught:
        api.send_template(message)
    assert not isinstance(caught.value, OutcomeUnknownError)
    api.send_template(message)


def test_a_text_passes_only_within_the_window(sandbox, api):
    phone = sandbox.add_phone(following=True)
    error = refused(api.send_text, phone.openid, "您好")
    assert (error.errcode, error.action) == (45015, "reject_message")
    sandbox.phone(phone.openid).say("绑定")
    api.send_text(phone.openid, "您好")
    assert "您好" in sandbox.phone(phone.openid).texts()


def test_the_login_gives_the_identity_once(sandbox, api, openid):
    with fake_platform() as h5:
        h5.routes["/login"] = says(b"hello", content_type="text/html")
        sandbox.phone(openid).open(api.authorize_url(f"{h5.url}/login?a=1", "St4te"))
        query = h5.requests[-1].query
    assert (query["a"], query["state"]) == ("1", "St4te")
    identity = api.exchange_code(query["code"])
    assert (identity.openid, identity.scope) == (openid, "snsapi_base")
    assert refused(api.exchange_code, query["code"]).errcode == 40163
    assert refused(api.exchange_code, "invented").errcode == 40029


def test_pages_are_signed_with_the_ticket_of_the_platform(sandbox, api):
    page = "https://h5.example/inspection?id=1"
    signed = api.jssdk_signature(page + "#step2")
    ticket, _ = sandbox.tokens.ticket()
    assert signed.appid == sandbox.settings.appid
    assert signed.signature == sign_jssdk(ticket, signed.nonce, signed.timestamp, page)


@pytest.mark.parametrize(
    ("kind", "content_type", "suffix"),
    [("image", "image/jpeg", ".jpg"), ("voice", "audio/amr", ".amr"), ("video", "", "")],
)
def test_media_files_are_downloaded(sandbox, api, openid, kind, content_type, suffix):
    content = bytes(range(256)) * 2000
    media = api.download_media(sandbox.phone(openid).upload(kind, content))
    assert b"".join(media.chunks) == content
    assert media.content_type.startswith(content_type)
    assert media.filename.endswith(suffix)


def test_a_jssdk_voice_is_downloaded_as_speex(sandbox, api, openid):
    media_id = sandbox.phone(openid).upload("voice", b"sound")
    media = api.download_media(media_id, jssdk_voice=True)
    assert (media.content_type, b"".join(media.chunks)) == ("voice/speex", b"sound")


def test_media_is_gone_after_three_days(sandbox, api, openid):
    media_id = sandbox.phone(openid).upload("image", b"photo")
    sandbox.move_clock(3 * 86_400 + 1)
    error = refused(api.download_media, media_id)
    assert (error.errcode, error.action) == (40007, "reject_message")
