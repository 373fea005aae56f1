"""The platform's endpoints over real sockets, with limits, refusals and faults."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from devtools.wechat_sandbox.fixture import RunningSandbox
from tests.flows.wechat_sandbox.client import SEND, Api


def test_token_endpoints_answer_and_refuse_as_the_platform_does(api: Api) -> None:
    settings = api.sandbox.settings
    good = {"grant_type": "client_credential", "appid": settings.appid, "secret": settings.secret}
    first = api.post("/cgi-bin/stable_token", good)
    assert first["access_token"] == api.token
    assert 7190 <= first["expires_in"] <= 7200
    assert api.post("/cgi-bin/stable_token", {**good, "secret": "x"})["errcode"] == 40125
    assert api.post("/cgi-bin/stable_token", b"{broken")["errcode"] == 47001
    assert api.post("/cgi-bin/stable_token", b"")["errcode"] == 44002
    assert api.get("/cgi-bin/stable_token", **good)["errcode"] == 43002
    plain = api.get("/cgi-bin/token", **good)
    assert plain["access_token"] != api.token
    assert api.get("/cgi-bin/token", **{**good, "appid": "wxother"})["errcode"] == 40013
    refusal = api.post("/cgi-bin/stable_token", {**good, "grant_type": "x"})
    assert refusal["errcode"] == 40002
    assert " rid: " in refusal["errmsg"]


def test_template_send_refuses_with_the_platforms_codes(api: Api) -> None:
    openid = api.sandbox.add_phone(following=True).openid
    assert api.post(SEND, {}, access_token="wrong")["errcode"] == 40001
    assert api.post(SEND, {})["errcode"] == 41001
    assert api.post(SEND, b"[1", access_token=api.token)["errcode"] == 47001
    assert api.post(SEND, b"[" * 100_000, access_token=api.token)["errcode"] == 47001
    assert api.post(SEND, [1], access_token=api.token)["errcode"] == 47001
    assert api.send("o-nobody")["errcode"] == 40003
    assert api.send(api.sandbox.add_phone().openid)["errcode"] == 43004
    assert api.send(openid, template_id="T9")["errcode"] == 40037
    refusal = api.send(openid, data={"thing1": {"value": "长" * 21}})
    assert refusal["errcode"] == 47003
    assert refusal["errmsg"].startswith("argument invalid! data.thing1.value invalid rid: ")
    api.sandbox.move_clock(7200)
    assert api.send(openid)["errcode"] == 42001
    api.login()
    assert api.send(openid)["errcode"] == 0
    assert api.get("/no/such/path")["errcode"] == 40066
    refusals = api.sandbox.stats()["refusals"]
    assert (refusals["47001"], refusals["43004"]) == (3, 1)


def test_sent_card_shows_in_the_inbox_over_http(api: Api) -> None:
    openid = api.sandbox.add_phone(following=True).openid
    for _ in range(2):
        assert api.send(openid, url="http://h/x")["errcode"] == 0
    first, second = api.get("/inbox", openid=openid)["items"]
    assert (first["title"], first["url"]) == ("停电通知", "http://h/x")
    assert first["fields"] == [{"key": "thing1", "label": "地址", "value": "解放路1号"}]
    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert api.get("/sandbox/stats")["duplicate_cards"] == 1
    later = api.get("/sandbox/inbox", openid=openid, after=str(first["number"]))["items"]
    assert later == [second]


def test_ticket_and_media_are_served(api: Api) -> None:
    ticket = api.get("/cgi-bin/ticket/getticket", access_token=api.token, type="jsapi")
    assert (ticket["errcode"], ticket["expires_in"]) == (0, 7200)
    assert api.get("/cgi-bin/ticket/getticket", access_token=api.token)["errcode"] == 40097
    phone = api.sandbox.add_phone(following=True)
    photo = phone.upload("image", b"\xff\xd8photo")
    url = f"{api.base_url}/cgi-bin/media/get?access_token={api.token}&media_id="
    answer = api.client.send("GET", url + photo)
    assert (answer.body, answer.headers["content-type"]) == (b"\xff\xd8photo", "image/jpeg")
    assert ".jpg" in answer.headers["content-disposition"]
    voice = phone.upload("voice", b"amr")
    jssdk = url.replace("/get?", "/get/jssdk?")
    assert api.client.send("GET", jssdk + voice).headers["content-type"] == "voice/speex"
    assert json.loads(api.client.send("GET", jssdk + photo).body)["errcode"] == 40007
    video = json.loads(api.client.send("GET", url + phone.upload("video", b"mp4")).body)
    assert api.client.send("GET", video["video_url"]).body == b"mp4"
    api.sandbox.move_clock(3 * 86_400)
    api.login()
    url = f"{api.base_url}/cgi-bin/media/get?access_token={api.token}&media_id="
    assert json.loads(api.client.send("GET", url + photo).body)["errcode"] == 40007
    assert api.get("/cgi-bin/media/get", access_token=api.token)["errcode"] == 41006


def test_errcode_and_http_faults_do_not_act_unless_told(api: Api) -> None:
    phone = api.sandbox.add_phone(following=True)
    api.sandbox.faults.add("errcode", SEND, next_n=1, errcode=-1)
    answer = api.send(phone.openid)
    assert answer["errcode"] == -1
    assert answer["errmsg"].startswith("system error rid: ")
    api.sandbox.faults.add("http_error", SEND, next_n=1, status=502)
    with pytest.raises(ValueError, match="Expecting value"):
        api.send(phone.openid)
    assert phone.cards() == []
    api.sandbox.faults.add("errcode", SEND, next_n=1, errcode=-1, acts=True)
    assert api.send(phone.openid)["errcode"] == -1
    assert len(phone.cards()) == 1


@pytest.mark.parametrize("acts", [True, False])
def test_timeout_and_reset_faults_leave_the_caller_in_the_dark(api: Api, acts: bool) -> None:
    phone = api.sandbox.add_phone(following=True)
    url = f"{api.base_url}{SEND}?access_token={api.token}"
    order = {
        "touser": phone.openid,
        "template_id": "T1",
        "data": {"thing1": {"value": "一"}},
    }
    body = json.dumps(order).encode()
    api.sandbox.faults.add("timeout", SEND, next_n=1, seconds=1, acts=acts)
    with pytest.raises(TimeoutError):
        api.client.send("POST", url, body, timeout_s=0.2)
    api.sandbox.faults.add("reset", SEND, next_n=1, acts=acts)
    with pytest.raises(ConnectionError):
        api.client.send("POST", url, body)
    assert len(phone.cards()) == (2 if acts else 0)


def test_slow_fault_answers_in_the_end(api: Api) -> None:
    phone = api.sandbox.add_phone(following=True)
    api.sandbox.faults.add("slow", next_n=1, seconds=0.2)
    started = time.monotonic()
    assert api.send(phone.openid)["errcode"] == 0
    assert time.monotonic() - started >= 0.2


def test_fifty_connections_are_served_at_once(api: Api) -> None:
    openid = api.sandbox.add_phone(following=True).openid
    barrier = threading.Barrier(50)
    codes: list[int] = []

    def send(number: int) -> None:
        mine = Api(RunningSandbox(api.base_url, api.sandbox))
        mine.token = api.token
        barrier.wait()
        codes.append(mine.send(openid, client_msg_id=str(number % 10))["errcode"])
        mine.client.close()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 50
    assert len(api.sandbox.inbox(openid)) == 10


def test_wechatpy_works_against_the_sandbox_but_for_the_base_address(api: Api) -> None:
    wechatpy = pytest.importorskip("wechatpy")
    settings = api.sandbox.settings

    class Client(wechatpy.WeChatClient):  # type: ignore[misc, name-defined]
        API_BASE_URL = f"{api.base_url}/cgi-bin/"

        def fetch_access_token(self) -> Any:
            account = {
                "grant_type": "client_credential",
                "appid": self.appid,
                "secret": self.secret,
            }
            return self._fetch_access_token(f"{api.base_url}/cgi-bin/token", account)

    client = Client(settings.appid, settings.secret)
    phone = api.sandbox.add_phone(following=True)
    sent = client.message.send_template(
        phone.openid, "T1", {"thing1": {"value": "解放路1号"}}, url="http://h/x"
    )
    assert phone.cards()[0]["msgid"] == sent["msgid"]
    phone.say("你好")
    client.message.send_text(phone.openid, "您好，请讲")
    assert phone.texts() == ["您好，请讲"]
    assert client.jsapi.get_jsapi_ticket()
    media_id = phone.upload("image", b"\xff\xd8")
    assert client.media.download(media_id).content == b"\xff\xd8"
    with pytest.raises(wechatpy.exceptions.WeChatClientException) as caught:
        client.message.send_template(phone.openid, "T9", {})
    assert caught.value.errcode == 40037
    api.sandbox.tokens.end_all()
    client.message.send_text(phone.openid, "换了令牌")
    assert phone.texts()[-1] == "换了令牌"
    client._http.close()
