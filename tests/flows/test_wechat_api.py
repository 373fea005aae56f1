"""The API client on the wire: time-outs, broken connections, token renewal, media."""

import logging
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from gongdian.adapters.credentials_memory import MemoryCredentialStore
from gongdian.adapters.wechat_api.client import WechatApi
from gongdian.adapters.wechat_api.transport import HttpLimits
from gongdian.clock import MovableClock
from gongdian.errors import OutcomeUnknownError, PlatformRefusalError, UpstreamError
from gongdian.ports import TemplateSend, WechatAccount
from tests.fake_platform import FakePlatform, Request, fake_platform, hangs_up, says

TOKEN, TICKET = "/cgi-bin/stable_token", "/cgi-bin/ticket/getticket"
SEND, TEXT = "/cgi-bin/message/template/send", "/cgi-bin/message/custom/send"
CODE, MEDIA = "/sns/oauth2/access_token", "/cgi-bin/media/get"
OK = says({"errcode": 0, "errmsg": "ok", "msgid": 200228332})
GOOD_TOKEN = says({"access_token": "T-secret-1", "expires_in": 7200})
BAD_TOKEN = says({"errcode": 40001, "errmsg": "invalid credential, rid: 5f-ab-12"})
MESSAGE = TemplateSend("oOpenid", "tpl", {"thing1": "停电通知"}, client_msg_id="id1")
QUICK = HttpLimits(connect_s=0.5, read_s=0.4, total_s=0.8, in_flight=50)


@pytest.fixture
def platform() -> Iterator[FakePlatform]:
    with fake_platform() as running:
        running.routes[TOKEN] = GOOD_TOKEN
        yield running


@pytest.fixture
def api(platform: FakePlatform) -> Iterator[WechatApi]:
    client = make_api(platform.url)
    yield client
    client.close()


def make_api(url: str, **options: object) -> WechatApi:
    clock = MovableClock(datetime(2026, 1, 5, tzinfo=UTC), running=False)
    options = {"limits": QUICK, "media_limits": QUICK} | options
    account = WechatAccount("wx1", "s3cret")
    return WechatApi(account, MemoryCredentialStore(clock), clock, api_url=url, **options)


def drips(pause_s: float, platform: FakePlatform, *, head: bytes = b"") -> Callable[..., bool]:
    """Sends a byte now and then, for ever: each byte is within the read time-out."""

    def answer(_request: Request, sock: socket.socket) -> bool:
        sock.sendall(head)
        while not platform.stopped(pause_s):
            sock.sendall(b"x")
        return False

    return answer


def test_a_template_message_goes_out_in_the_documented_shape(platform, api):
    platform.routes[SEND] = OK
    message = TemplateSend(
        "oOpenid",
        "tpl",
        {"thing1": "停电", "time2": "15:01"},
        "id1",
        "https://h5.example/",
        "wx2",
        "p",
    )
    assert api.send_template(message).msgid == "200228332"
    request = platform.requests[-1]
    assert (request.method, request.query) == ("POST", {"access_token": "T-secret-1"})
    assert request.json == {
        "touser": "oOpenid",
        "template_id": "tpl",
        "url": "https://h5.example/",
        "miniprogram": {"appid": "wx2", "pagepath": "p"},
        "client_msg_id": "id1",
        "data": {"thing1": {"value": "停电"}, "time2": {"value": "15:01"}},
    }
    assert "停电".encode() in request.body


def test_the_token_is_asked_for_without_force_refresh(platform, api):
    platform.routes[SEND] = OK
    api.send_template(MESSAGE)
    assert platform.requests[0].json == {
        "grant_type": "client_credential",
        "appid": "wx1",
        "secret": "s3cret",
    }


def test_calls_one_after_another_share_one_connection(platform, api):
    platform.routes[SEND] = OK
    for _ in range(20):
        api.send_template(MESSAGE)
    assert platform.connections == 1


def test_fifty_messages_are_in_flight_at_once(platform, api):
    def slow(request: Request, sock: socket.socket) -> bool:
        platform.stopped(0.15)
        return OK(request, sock)

    platform.routes[SEND] = slow
    client = make_api(platform.url, limits=HttpLimits())
    client.send_template(MESSAGE)
    started = time.monotonic()
    with ThreadPoolExecutor(50) as pool:
        assert len(list(pool.map(lambda _: client.send_template(MESSAGE), range(50)))) == 50
    assert time.monotonic() - started < 2  # one after another they would take 7.5 s
    assert platform.connections <= 51
    client.close()


def test_a_token_that_stays_refused_costs_a_bounded_number_of_calls(platform, api):
    platform.routes[SEND] = BAD_TOKEN
    with pytest.raises(PlatformRefusalError) as caught:
        api.send_template(MESSAGE)
    assert (caught.value.action, caught.value.rid) == ("refresh_token", "5f-ab-12")
    assert (platform.count(SEND), platform.count(TOKEN)) == (2, 2)


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_a_refused_token_is_renewed_once_and_the_call_repeated(platform, api, errcode):
    platform.routes[TOKEN] = [GOOD_TOKEN, says({"access_token": "T2", "expires_in": 7200})]
    platform.routes[SEND] = [says({"errcode": errcode, "errmsg": "no"}), OK]
    assert api.send_template(MESSAGE).msgid == "200228332"
    assert platform.requests[-1].query == {"access_token": "T2"}
    assert (platform.count(SEND), platform.count(TOKEN)) == (2, 2)


def test_the_same_token_again_is_tried_once_more_and_no_further(platform, api):
    platform.routes[SEND] = [BAD_TOKEN, OK, BAD_TOKEN]
    api.send_template(MESSAGE)
    with pytest.raises(PlatformRefusalError):
        api.send_template(MESSAGE)
    assert (platform.count(SEND), platform.count(TOKEN)) == (4, 3)


def test_fifty_threads_with_a_refused_token_fetch_few_tokens(platform):
    platform.routes[SEND] = BAD_TOKEN
    client = make_api(platform.url, limits=HttpLimits())

    def send(_: int) -> str:
        with pytest.raises(PlatformRefusalError) as caught:
            client.send_template(MESSAGE)
        return caught.value.action

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(send, range(50))) == {"refresh_token"}
    assert platform.count(SEND) == 100
    assert platform.count(TOKEN) <= 51
    client.close()


def test_a_wrong_secret_stops_the_channel_and_sends_nothing(platform, api):
    platform.routes[TOKEN] = says({"errcode": 40125, "errmsg": "invalid appsecret rid: 1-2-3"})
    with pytest.raises(PlatformRefusalError) as caught:
        api.send_template(MESSAGE)
    assert caught.value.action == "stop_channel"
    assert platform.count(SEND) == 0


def test_no_connection_means_surely_not_sent(platform):
    platform.close()
    with pytest.raises(UpstreamError) as caught:
        make_api(platform.url).send_template(MESSAGE)
    assert not isinstance(caught.value, OutcomeUnknownError)


BROKEN = {
    "HTTP 500": says(b"oops", status=500),
    "HTTP 502 with errcode 0": says({"errcode": 0}, status=502),
    "garbage": says(b"\xff\xfe<html>"),
    "JSON that is no object": says(b"[0]"),
    "JSON without errcode": says({"status": "fine"}),
    "errcode that is no number": says({"errcode": "x"}),
    "deep JSON": says(b"[" * 100_000),
    "too long": says(b'{"errcode":0,"errmsg":"' + b"x" * (1 << 20) + b'"}'),
    "hang-up": hangs_up,
    "half a body": lambda _, sock: sock.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n{"),
    "not HTTP": lambda _, sock: sock.sendall(b"what?\r\n\r\n"),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_an_answer_that_says_nothing_leaves_the_outcome_unknown(platform, api, answer):
    platform.routes[SEND] = answer
    with pytest.raises(OutcomeUnknownError):
        api.send_template(MESSAGE)
    # After a hang-up on the kept connection (it carried the token) the id allows one repetition.
    assert platform.count(SEND) == (2 if answer is hangs_up else 1)
    platform.routes[SEND] = OK
    assert api.send_template(MESSAGE).msgid == "200228332"  # the pool is not harmed


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_a_broken_token_answer_means_surely_not_sent(platform, api, answer):
    platform.routes[TOKEN] = answer
    with pytest.raises(UpstreamError) as caught:
        api.send_template(MESSAGE)
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert platform.count(SEND) == 0


@pytest.mark.parametrize("status", [301, 404, 413])
def test_an_http_refusal_or_redirect_means_surely_not_sent(platform, api, status):
    platform.routes[SEND] = says(b"", status=status, headers="Location: /elsewhere\r\n")
    with pytest.raises(UpstreamError) as caught:
        api.send_template(MESSAGE)
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert platform.count("/elsewhere") == 0


def test_an_answer_in_plain_text_and_another_charset_is_read(platform, api):
    body = '{"errcode":43004,"errmsg":"需要关注 rid: 1-2-3\n"}'.encode("gbk")
    platform.routes[SEND] = says(body, content_type="text/plain")
    with pytest.raises(PlatformRefusalError) as caught:
        api.send_template(MESSAGE)
    assert (caught.value.errcode, caught.value.rid) == (43004, "1-2-3")


@pytest.mark.parametrize("path", [SEND, TOKEN])
def test_silence_ends_with_the_read_time_out(platform, api, path):
    platform.routes[SEND] = OK
    platform.routes[path] = lambda _request, _sock: platform.stopped(5)
    started = time.monotonic()
    with pytest.raises(UpstreamError) as caught:
        api.send_template(MESSAGE)
    assert 0.3 < time.monotonic() - started < 1.5
    assert isinstance(caught.value, OutcomeUnknownError) == (path == SEND)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", HEAD], ids=len)
@pytest.mark.parametrize("path", [SEND, TOKEN])
def test_an_answer_that_drips_ends_with_the_total_deadline(platform, api, path, head):
    platform.routes[SEND] = OK
    platform.routes[path] = drips(0.05, platform, head=head)
    started = time.monotonic()
    with pytest.raises(UpstreamError):
        api.send_template(MESSAGE)
    assert 0.6 < time.monotonic() - started < 2


def test_connections_that_the_peer_closed_while_idle_are_replaced(platform, api):
    platform.routes[SEND] = OK
    api.send_template(MESSAGE)
    platform.drop_connections()
    time.sleep(0.05)
    api.send_template(MESSAGE)
    assert platform.count(SEND) == 2


def test_a_send_with_an_id_is_repeated_once_after_a_stale_connection(platform, api):
    platform.routes[SEND] = [OK, hangs_up, OK]
    api.send_template(MESSAGE)
    assert api.send_template(MESSAGE).msgid == "200228332"
    assert platform.count(SEND) == 3


def test_a_stale_connection_is_not_repeated_twice(platform, api):
    platform.routes[SEND] = [OK, hangs_up]
    api.send_template(MESSAGE)
    with pytest.raises(OutcomeUnknownError):
        api.send_template(MESSAGE)
    assert platform.count(SEND) == 3


def test_a_send_without_an_id_is_not_repeated(platform, api):
    platform.routes[TEXT] = [OK, hangs_up]
    api.send_text("oOpenid", "您好")
    with pytest.raises(OutcomeUnknownError):
        api.send_text("oOpenid", "您好")
    assert platform.count(TEXT) == 2


def test_a_connection_that_breaks_amid_the_answer_is_not_repeated(platform, api):
    platform.routes[SEND] = [OK, lambda _, sock: sock.sendall(b"HTTP/1.1 2")]
    api.send_template(MESSAGE)
    with pytest.raises(OutcomeUnknownError):
        api.send_template(MESSAGE)
    assert platform.count(SEND) == 2


def test_a_peer_that_closes_after_each_answer_is_served(platform, api):
    platform.routes[SEND] = says({"errcode": 0, "msgid": "7"}, keep=False)
    assert [api.send_template(MESSAGE).msgid for _ in range(3)] == ["7"] * 3


def test_tokens_secrets_and_openids_are_in_no_log_line_and_no_error(platform, api, caplog):
    caplog.set_level(logging.DEBUG)
    bad_header = says(b"oops", status=500, headers=" folded\r\nnot a header\r\n")
    platform.routes[SEND] = [bad_header, hangs_up, BAD_TOKEN]
    platform.routes[CODE] = says({"errcode": 40163, "errmsg": "code been used, rid: 9-9-9"})
    texts = []
    for call in (*[lambda: api.send_template(MESSAGE)] * 3, lambda: api.exchange_code("C0DE")):
        with pytest.raises(UpstreamError if len(texts) < 2 else PlatformRefusalError) as caught:
            call()
        error: BaseException | None = caught.value
        while error:
            texts.append(f"{error!s} {error!r}")
            error = error.__cause__ or error.__context__
    everything = "\n".join(texts) + caplog.text + repr([vars(one) for one in caplog.records])
    for secret in ("T-secret-1", "s3cret", "C0DE", "oOpenid"):
        assert secret not in everything


def test_a_failed_call_is_logged_once_with_errcode_and_rid(platform, api, caplog):
    platform.routes[SEND] = says({"errcode": 43004, "errmsg": "require subscribe rid: 1-2-3"})
    with pytest.raises(PlatformRefusalError):
        api.send_template(MESSAGE)
    (line,) = [one for one in caplog.records if one.name == "gongdian.wechat_api"]
    assert (line.getMessage(), line.api, line.errcode, line.rid) == (
        "wechat_call_refused", SEND, 43004, "1-2-3",
    )  # fmt: skip


def test_an_oauth_code_becomes_an_identity(platform, api):
    platform.routes[CODE] = says(
        {"access_token": "W", "openid": "oX", "scope": "snsapi_base", "unionid": "u"}
    )
    identity = api.exchange_code("C0DE&x=1")
    assert (identity.openid, identity.scope, identity.unionid) == ("oX", "snsapi_base", "u")
    assert platform.requests[-1].query == {
        "appid": "wx1", "secret": "s3cret", "code": "C0DE&x=1", "grant_type": "authorization_code",
    }  # fmt: skip


@pytest.mark.parametrize("errcode", [40029, 40163])
def test_a_code_that_is_invalid_or_used_is_told_apart(platform, api, errcode):
    platform.routes[CODE] = says({"errcode": errcode, "errmsg": "no"})
    with pytest.raises(PlatformRefusalError) as caught:
        api.exchange_code("C0DE")
    assert (caught.value.errcode, caught.value.permanent) == (errcode, True)


def test_pages_are_signed_with_one_ticket(platform, api):
    platform.routes[TICKET] = says({"errcode": 0, "ticket": "K", "expires_in": 7200})
    first, second = api.jssdk_signature("https://h/a#x"), api.jssdk_signature("https://h/a")
    assert first.nonce != second.nonce
    assert platform.count(TICKET) == 1
    assert platform.requests[-1].query == {"access_token": "T-secret-1", "type": "jsapi"}


def test_a_ticket_refused_for_its_token_renews_the_token_once(platform, api):
    platform.routes[TICKET] = BAD_TOKEN
    with pytest.raises(PlatformRefusalError):
        api.jssdk_signature("https://h/a")
    assert (platform.count(TICKET), platform.count(TOKEN)) == (2, 2)


def test_a_media_file_is_read_in_pieces(platform, api):
    photo = bytes(range(256)) * 1000
    platform.routes[MEDIA] = says(
        photo,
        content_type="image/jpeg",
        headers='Content-disposition: attachment; filename="../../x y.jpg"\r\n',
    )
    media = api.download_media("M&1")
    assert (media.content_type, media.filename) == ("image/jpeg", "x_y.jpg")
    assert b"".join(media.chunks) == photo
    assert platform.requests[-1].query == {"access_token": "T-secret-1", "media_id": "M&1"}


def test_an_expired_media_id_is_a_refusal(platform, api):
    platform.routes[MEDIA] = says(
        {"errcode": 40007, "errmsg": "invalid media_id"}, content_type="text/plain"
    )
    with pytest.raises(PlatformRefusalError) as caught:
        api.download_media("M1")
    assert caught.value.action == "reject_message"


def test_a_refused_token_is_renewed_for_media_too(platform, api):
    platform.routes[MEDIA] = [BAD_TOKEN, says(b"amr", content_type="audio/amr")]
    assert b"".join(api.download_media("M1").chunks) == b"amr"


def test_a_media_file_that_is_too_large_is_given_up(platform):
    platform.routes[MEDIA] = says(b"x" * 2000, content_type="image/jpeg")
    limits = HttpLimits(body_bytes=1000)
    api = make_api(platform.url, media_limits=limits)
    with pytest.raises(UpstreamError, match="too_large"):
        list(api.download_media("M1").chunks)
    api.close()


def test_a_media_file_that_breaks_off_is_an_upstream_error(platform, api):
    platform.routes[MEDIA] = lambda _, sock: sock.sendall(
        b"HTTP/1.1 200 X\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\nabc"
    )
    with pytest.raises(UpstreamError, match="broken_off"):
        list(api.download_media("M1").chunks)


def test_a_video_is_fetched_from_the_address_in_the_answer(platform, api):
    platform.routes[MEDIA] = says({"video_url": f"{platform.url}/v?k=1"})
    platform.routes["/v"] = says(b"mp4", content_type="video/mp4")
    media = api.download_media("M1")
    assert (media.content_type, b"".join(media.chunks)) == ("video/mp4", b"mp4")
    assert platform.requests[-1].query == {"k": "1"}  # and no token


def test_a_video_is_fetched_from_an_allowed_host(platform):
    with fake_platform() as files:
        platform.routes[MEDIA] = says({"video_url": f"{files.url}/v"})
        files.routes["/v"] = says(b"mp4", content_type="video/mp4")
        api = make_api(platform.url, media_hosts=("127.0.0.1",))
        assert b"".join(api.download_media("M1").chunks) == b"mp4"
        api.close()


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:1/v",
        "file:///etc/passwd",
        "http://evilqq.com/v",
        "http://x.qq.com@{host}/v",
        "http://[",
        5,
    ],
)
def test_a_video_address_elsewhere_is_not_followed(platform, api, address):
    if isinstance(address, str):
        address = address.replace("{host}", platform.url[7:])
    platform.routes[MEDIA] = says({"video_url": address})
    platform.routes["/v"] = says(b"mp4", content_type="video/mp4")
    with pytest.raises(UpstreamError):
        api.download_media("M1")
    assert platform.count("/v") == 0


def test_media_downloads_never_leave_the_outcome_unknown(platform, api):
    platform.routes[MEDIA] = says(b"", status=500)
    with pytest.raises(UpstreamError) as caught:
        api.download_media("M1")
    assert not isinstance(caught.value, OutcomeUnknownError)
