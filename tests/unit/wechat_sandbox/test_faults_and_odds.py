"""Faults, media, settings, traffic, the command line and the request parser."""

from __future__ import annotations

import pytest

from devtools.wechat_sandbox.__main__ import parse_arguments, people_from, settings_from
from devtools.wechat_sandbox.faults import RECEIPT_EVENT
from devtools.wechat_sandbox.http_server import BadRequestError, parse_head
from devtools.wechat_sandbox.refusals import ActionError, RefusalError
from devtools.wechat_sandbox.settings import SandboxSettings
from devtools.wechat_sandbox.traffic import KEPT, TrafficLog
from tests.unit.wechat_sandbox.desks import Desks, refused

SEND = "/cgi-bin/message/template/send"


def test_next_n_faults_hit_their_path_n_times() -> None:
    faults = Desks().faults
    faults.add("errcode", SEND, next_n=2, errcode=45009)
    assert faults.for_call("/cgi-bin/token") is None
    hits = [faults.for_call(SEND) for _ in range(3)]
    assert [hit.errcode if hit else 0 for hit in hits] == [45009, 45009, 0]
    assert faults.listed() == []
    assert faults.hits() == {"errcode": 2}


def test_percentage_is_kept_and_repeats_with_the_seed() -> None:
    def draws() -> list[bool]:
        faults = Desks().faults
        faults.add("http_error", percent=20)
        return [faults.for_call(SEND) is not None for _ in range(2000)]

    first = draws()
    assert 300 < sum(first) < 500
    assert first == draws()


def test_callback_faults_do_not_touch_calls_and_go_by_event_name() -> None:
    faults = Desks().faults
    faults.add("duplicate_receipt", next_n=1)
    faults.add("late_callback", "text", next_n=1, seconds=3)
    assert faults.for_call(SEND) is None
    assert faults.for_callback("CLICK") is None
    assert getattr(faults.for_callback("text"), "seconds", 0) == 3
    assert getattr(faults.for_callback(RECEIPT_EVENT), "kind", "") == "duplicate_callback"


def test_faults_can_be_removed_and_wrong_ones_are_refused() -> None:
    faults = Desks().faults
    number = faults.add("reset", percent=100)
    faults.remove(number)
    assert faults.for_call(SEND) is None
    with pytest.raises(ValueError, match="unknown fault"):
        faults.add("earthquake", next_n=1)
    with pytest.raises(ValueError, match="percent or next_n"):
        faults.add("reset")


def test_receipt_status_fault_changes_what_happens_to_a_card() -> None:
    desks = Desks()
    desks.templates.register("T1", "停电通知", ["thing1"])
    openid = desks.phones.add(following=True).openid
    desks.faults.add("receipt_status", next_n=1, receipt_status="failed: system failed")
    order = {"touser": openid, "template_id": "T1", "data": {"thing1": {"value": "一"}}}
    desks.sending.template(order)
    desks.sending.template(order)
    assert len(desks.phones.inbox(openid)) == 1


def test_media_is_gone_after_three_days() -> None:
    desks = Desks()
    media_id = desks.media.add("image", b"\xff\xd8").media_id
    desks.clock.move(3 * 86_400 - 1)
    assert desks.media.get(media_id).content == b"\xff\xd8"
    desks.clock.move(1)
    assert refused(desks.media.get, media_id) == 40007
    assert refused(desks.media.get, "unknown") == 40007
    with pytest.raises(ValueError, match="kind"):
        desks.media.add("poem", b"")


def test_clock_never_goes_back() -> None:
    with pytest.raises(ValueError, match="never"):
        Desks().clock.move(-1)


def test_unknown_phone_is_told() -> None:
    with pytest.raises(ActionError):
        Desks().phones.get("o-nobody")


def test_every_refusal_ends_with_its_own_request_id() -> None:
    texts = {str(RefusalError(40001).answer()["errmsg"]) for _ in range(10)}
    assert len(texts) == 10
    assert all(text.rpartition(" rid: ")[2].count("-") == 2 for text in texts)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "open"},
        {"format": "yaml"},
        {"aes_key": "short"},
        {"mode": "secure", "aes_key": ""},
        {"token": ""},
        {"host": "0.0.0.0"},
        {"host": "sandbox.example.com"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        SandboxSettings(**wrong)  # type: ignore[arg-type]


def test_public_host_needs_an_explicit_word() -> None:
    assert SandboxSettings(host="0.0.0.0", allow_public=True).host == "0.0.0.0"
    assert SandboxSettings(host="::1").host == "::1"


def test_command_line_becomes_settings() -> None:
    words = "--callback http://127.0.0.1:5000/wechat --token t --mode secure --format json --port 0"
    settings = settings_from(parse_arguments([*words.split(), "--previous-aes-key", "a" * 43]))
    assert settings.callback_url == "http://127.0.0.1:5000/wechat"
    assert (settings.token, settings.mode, settings.format) == ("t", "secure", "json")
    assert settings.previous_aes_key == "a" * 43


def test_an_encoding_key_on_the_command_line_means_secure_mode() -> None:
    key = ["--aes-key", "k" * 43]
    assert settings_from(parse_arguments([])).mode == "plain"
    settings = settings_from(parse_arguments(key))
    assert (settings.mode, settings.aes_key) == ("secure", "k" * 43)
    assert settings_from(parse_arguments([*key, "--mode", "compatible"])).mode == "compatible"


def test_people_of_the_command_line_have_a_name_and_a_role() -> None:
    named = people_from(parse_arguments(["--phones", "李女士:客户", "小赵"]))
    assert named == [{"name": "李女士", "role": "客户"}, {"name": "小赵", "role": ""}]
    assert people_from(parse_arguments(["--phones"])) == []
    usual = people_from(parse_arguments([]))
    assert [person["role"] for person in usual] == ["客户", "同事", "外勤", "值班"]
    assert len({person["phone_number"] for person in usual}) == 4


def test_traffic_keeps_the_last_two_thousand() -> None:
    log = TrafficLog()
    for number in range(KEPT + 5):
        log.add(1.0, "in", "GET", f"/{number}", b"", 200, "好".encode(), 0.5)
    entries = log.entries()
    assert len(entries) == KEPT
    assert (entries[0]["url"], entries[-1]["response"]) == ("/5", "好")
    assert [entry["number"] for entry in log.entries(limit=2)] == [KEPT + 4, KEPT + 5]
    assert log.entries(after=KEPT + 4)[0]["number"] == KEPT + 5


def test_request_head_is_read() -> None:
    request, length = parse_head("POST /a%20b?x=1&y= HTTP/1.1\r\nContent-Length: 5\r\nA: b: c")
    assert (request.method, request.path, length) == ("POST", "/a b", 5)
    assert request.query == {"x": "1", "y": ""}
    assert request.headers["a"] == "b: c"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("nonsense", 400),
        ("GET / FTP/1", 400),
        ("GET / HTTP/1.1\r\nno colon", 400),
        ("POST / HTTP/1.1\r\nContent-Length: -5", 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked", 411),
        ("POST / HTTP/1.1\r\nContent-Length: 99999999999", 413),
    ],
)
def test_wrong_request_heads_are_refused(head: str, status: int) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_head(head)
    assert caught.value.status == status
