"""Behind the Phones page: its files, the stream, frames, inspector, clock, scenarios."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.wechat_sandbox.due_events import move_to_next, upcoming
from devtools.wechat_sandbox.events_stream import Watched
from devtools.wechat_sandbox.fixture import running_sandbox
from devtools.wechat_sandbox.inspector import describe, replay
from devtools.wechat_sandbox.outward_http import Answer, OutwardHttp
from devtools.wechat_sandbox.page_server import FOLDER
from devtools.wechat_sandbox.refusals import ActionError
from devtools.wechat_sandbox.scenarios import Player, ScenarioError, Step, play
from devtools.wechat_sandbox.web_frames import without_frame_rule
from tests.flows.wechat_sandbox.client import Api
from tests.flows.wechat_sandbox.receiver import Receiver


def fetch(api: Api, path: str, method: str = "GET", host: str = "") -> Answer:
    client = OutwardHttp()
    headers = {"Host": host} if host else {}
    try:
        return client.send(method, api.base_url + path, None, headers)
    finally:
        client.close()


def test_page_is_served_with_a_policy_that_keeps_it_on_this_host(api: Api) -> None:
    for path in ("/", "/phones"):
        answer = fetch(api, path)
        assert answer.status == 200
        assert "模拟" in answer.body.decode()
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    for name in ("main.js", "layout.css"):
        assert fetch(api, f"/phones/{name}").status == 200


@pytest.mark.parametrize(
    "path", ["/phones/../sandbox.py", "/phones/%2e%2e/sandbox.py", "/phones/x"]
)
def test_nothing_but_the_files_of_the_page_is_served(api: Api, path: str) -> None:
    assert fetch(api, path).status == 404


def test_own_files_of_the_page_are_small_and_name_no_other_host() -> None:
    files = [path for path in FOLDER.iterdir() if path.is_file()]
    assert len(files) > 10
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 500
        assert not re.findall(r"(?:src|href|from|fetch\()\s*=?\s*[\"']https?://", text)


def test_stream_begins_with_everything_and_then_tells_what_changed(api: Api) -> None:
    phone = api.sandbox.add_phone(name="李女士", following=True)
    with socket.create_connection(("127.0.0.1", int(api.base_url.rsplit(":", 1)[1]))) as stream:
        stream.sendall(b"GET /sandbox/events HTTP/1.1\r\nHost: x\r\n\r\n")
        stream.settimeout(5)
        heard = b""
        while b"event: clock" not in heard:
            heard += stream.recv(65536)
        assert b"text/event-stream" in heard
        assert "李女士".encode() in heard
        api.send(phone.openid)
        heard = b""
        while b"event: phones" not in heard:
            heard += stream.recv(65536)
        line = re.search(rb"event: phones\ndata: (.*)\n", heard)
        assert line
        told = json.loads(line[1])
        assert told["all"] is False
        assert [(row["openid"], row["items"]) for row in told["phones"]] == [(phone.openid, 1)]


def test_stream_ends_with_the_sandbox() -> None:
    with running_sandbox() as running:
        port = int(running.base_url.rsplit(":", 1)[1])
        stream = socket.create_connection(("127.0.0.1", port))
        stream.sendall(b"GET /sandbox/events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert stream.recv(100)
    stream.settimeout(5)
    while stream.recv(65536):
        pass
    stream.close()


def test_watcher_is_quiet_while_nothing_changes_and_starts_afresh_after_a_reset(api: Api) -> None:
    api.sandbox.add_phone(following=True)
    watched = Watched(api.sandbox)
    assert {name for name, _ in watched.changes()} >= {"phones", "traffic", "faults", "clock"}
    assert watched.changes() == []
    api.sandbox.faults.add("reset", next_n=1)
    assert [name for name, _ in watched.changes()] == ["faults"]
    api.sandbox.move_clock(60)
    assert [name for name, _ in watched.changes()] == ["clock"]
    api.sandbox.reset()
    told = dict(watched.changes())
    assert told["phones"]["all"] is True
    assert told["phones"]["phones"] == []


class Pages:
    """A developer's web server that shows the cookie it was sent and sets one."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.heads: list[str] = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                head = connection.recv(65536).decode()
                self.heads.append(head)
                body = f'<title>账单 &amp; 明细</title><a href="{self.url}/next">'.encode()
                lines = [
                    "HTTP/1.1 200 OK",
                    "Content-Type: text/html; charset=utf-8",
                    f"Set-Cookie: who={len(self.heads)}; Path=/; HttpOnly; SameSite=Lax",
                    "Content-Security-Policy: default-src 'self'; frame-ancestors 'none'",
                    "X-Frame-Options: DENY",
                    f"Content-Length: {len(body)}",
                    "Connection: close",
                ]
                connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


@pytest.fixture
def pages() -> Iterator[Pages]:
    made = Pages()
    yield made
    made.listener.close()


def in_frame(api: Api, openid: str, url: str) -> Answer:
    address = api.sandbox.frames.address(openid, url)
    found = re.fullmatch(r"http://([^/]+)(/.*)", address)
    assert found
    # What a browser does with *.localhost: it asks this machine.
    return fetch(api, found[2], host=found[1])


def test_each_phone_keeps_its_own_cookies_in_its_frame(api: Api, pages: Pages) -> None:
    first, second = api.sandbox.add_phone(), api.sandbox.add_phone()
    for phone in (first, second, first):
        answer = in_frame(api, phone.openid, f"{pages.url}/bill?a=%2F")
        assert answer.status == 200
        assert answer.cookies == ()
    assert ["Cookie:" in head for head in pages.heads] == [False, False, True]
    assert "who=1" in pages.heads[2]
    assert pages.heads[2].startswith("GET /bill?a=%2F HTTP/1.1\r\nHost: 127.0.0.1:")
    assert "MicroMessenger" in pages.heads[2]


def test_frame_lifts_what_forbids_frames_and_turns_absolute_links(api: Api, pages: Pages) -> None:
    phone = api.sandbox.add_phone()
    answer = in_frame(api, phone.openid, pages.url + "/bill")
    assert answer.headers["content-security-policy"] == "default-src 'self'"
    assert "x-frame-options" not in answer.headers
    assert pages.url.encode() not in answer.body
    assert b'href="http://p1-o1.localhost:' in answer.body
    assert api.sandbox.frames.title(phone.openid) == "账单 & 明细"
    assert without_frame_rule("frame-ancestors 'self'") == ""


@pytest.mark.parametrize(
    "url", ["https://example.com/x", "http://10.1.2.3/", "http://169.254.1.1/"]
)
def test_frame_opens_no_page_off_this_machine_unless_it_is_named(api: Api, url: str) -> None:
    phone = api.sandbox.add_phone()
    with pytest.raises(ActionError, match="not on this machine"):
        api.sandbox.frames.address(phone.openid, url)
    api.sandbox.change(oauth_domains=(url.split("/")[2],))
    assert ".localhost:" in api.sandbox.frames.address(phone.openid, url)


def test_frame_of_an_unknown_phone_or_a_dead_server_says_so(api: Api) -> None:
    assert fetch(api, "/", host="p9-o9.localhost:1").status == 404
    phone = api.sandbox.add_phone()
    assert in_frame(api, phone.openid, "http://127.0.0.1:9/x").status == 502
    with pytest.raises(ValueError, match="not a web address"):
        api.sandbox.frames.address(phone.openid, "javascript:alert(1)")


def test_inspector_shows_the_inner_document_and_replays_the_same_bytes(
    api: Api, receiver: Receiver
) -> None:
    api.sandbox.change(mode="secure")
    phone = api.sandbox.add_phone(following=True)
    api.sandbox.wait(phone.say("绑定"))
    number = api.sandbox.traffic.last_number()
    shown = describe(api.sandbox, number)
    assert "绑定" in shown["request_inner"]
    assert "绑定" not in shown["request"]
    assert shown["curl"].startswith("curl -i -X POST -H 'Content-Type:")
    assert replay(api.sandbox, number) == {"status": 200}
    entries = api.sandbox.traffic.entries(number)
    assert [(row["note"], row["request"]) for row in entries] == [
        (f"replay of {number}", shown["request"])
    ]


def test_replayed_call_is_answered_anew_and_a_cut_one_is_refused(api: Api) -> None:
    phone = api.sandbox.add_phone(following=True)
    api.send(phone.openid)
    assert replay(api.sandbox, api.sandbox.traffic.last_number()) == {"status": 200}
    assert len(phone.cards()) == 2
    api.send(phone.openid, url="http://h/" + "x" * 9000)
    with pytest.raises(ActionError, match="cut"):
        replay(api.sandbox, api.sandbox.traffic.last_number())
    with pytest.raises(ActionError, match="no longer kept"):
        describe(api.sandbox, 10**9)


def test_clock_goes_to_the_next_due_event_of_the_sandbox_or_the_house(api: Api) -> None:
    phone = api.sandbox.add_phone()
    phone.follow()
    now = api.sandbox.clock.now()
    api.sandbox.due_sources.append(lambda: [(now + 30, "催费到期"), (now - 5, "过去的事")])
    due = upcoming(api.sandbox)
    assert [row["what"] for row in due][:2] == [
        "催费到期",
        f"{phone.openid} 的客服窗口（因关注）关闭",
    ]
    reached = move_to_next(api.sandbox)
    assert reached is not None
    assert reached["what"] == "催费到期"
    assert api.sandbox.clock.now() > now + 30
    answer = api.post("/sandbox/clock", {"to_next_due": True})
    assert "客服窗口" in answer["reached"]["what"]


def test_scenario_is_read_played_and_reported(api: Api, receiver: Receiver, tmp_path: Path) -> None:
    steps: list[dict[str, Any]] = [
        {"do": "follow", "phone": "李女士"},
        {"do": "send", "phone": "李女士", "template_id": "T1", "data": {"thing1": {"value": "x"}}},
        {"do": "expect", "phone": "李女士", "title": "停电通知"},
        {"do": "fault", "kind": "reset", "next_n": 1},
        {"do": "clear_faults"},
        {"do": "clock", "move_s": 3600},
        {"do": "expect", "phone": "李女士", "title": "没有这张", "within_s": 0.05},
    ]
    (tmp_path / "a.json").write_text(json.dumps({"name": "试", "steps": steps}), "utf-8")
    api.sandbox.scenarios.folders.append(tmp_path)
    assert "试" in [row["name"] for row in api.get("/sandbox/scenarios")]
    report = api.post("/sandbox/scenarios/run", {"name": "试"})
    assert report["state"] == "failed"
    assert report["problem"].startswith("第 7 步（expect）")
    assert len(report["steps"]) == 6
    assert api.sandbox.scenarios.progress() == report
    with pytest.raises(ScenarioError, match="第 1 步"):
        play(api.sandbox, {"steps": [{"do": "unfollow", "phone": "新人"}]})
    (tmp_path / "b.json").write_text('{"name": "坏", "steps": [{"do": "fly"}]}', "utf-8")
    with pytest.raises(ValueError, match="fly"):
        api.sandbox.scenarios.listed()


def test_scenario_may_use_step_words_of_the_application(api: Api, tmp_path: Path) -> None:
    done: list[str] = []

    def read_meter(player: Player, step: Step) -> str:
        done.append(step["meter"])
        if step["meter"] == "M2":
            raise ScenarioError("the meter does not answer")
        return f"{player.phone(step).openid} read {step['meter']}"

    def follow_otherwise(player: Player, step: Step) -> str:
        raise AssertionError("the sandbox's own words stay")

    steps = [
        {"do": "follow", "phone": "李女士"},
        {"do": "read_meter", "phone": "李女士", "meter": "M1"},
        {"do": "read_meter", "phone": "李女士", "meter": "M2"},
    ]
    path = tmp_path / "meter.json"
    path.write_text(json.dumps({"name": "抄表", "steps": steps}), encoding="utf-8")
    desk = api.sandbox.scenarios
    desk.folders.append(tmp_path)
    with pytest.raises(ValueError, match="no such step: read_meter"):
        desk.listed()
    desk.extra_steps.update(read_meter=read_meter, follow=follow_otherwise)
    report = api.post("/sandbox/scenarios/run", {"name": "抄表"})
    assert done == ["M1", "M2"]
    assert report["state"] == "failed"
    assert report["problem"] == "第 3 步（read_meter）：the meter does not answer"
    assert report["steps"][1]["text"].endswith("read M1")


def test_every_scenario_that_comes_with_the_sandbox_can_be_played(
    api: Api, receiver: Receiver
) -> None:
    for scenario in api.sandbox.scenarios.listed():
        assert api.sandbox.scenarios.run(scenario["name"])["state"] == "done"


def test_lost_and_repeated_callbacks_are_seen_in_the_traffic(api: Api, receiver: Receiver) -> None:
    phone = api.sandbox.add_phone(following=True)
    for kind in ("lost_callback", "duplicate_callback", "bad_signature"):
        api.sandbox.faults.add(kind, scope="text", next_n=1)
        phone.say("你好")
        assert api.sandbox.drain(10)
    notes = [row["note"] for row in api.sandbox.traffic.entries() if row["direction"] == "out"]
    assert sum("fault lost_callback" in note for note in notes) == 1
    assert sum("fault duplicate_callback" in note for note in notes) == 2
    assert any("fault bad_signature" in note for note in notes)


def test_inbox_gives_the_last_items_only_when_asked(api: Api) -> None:
    phone = api.sandbox.add_phone(following=True)
    for number in range(5):
        phone.say(str(number))
    items = phone.inbox()
    assert [item["text"] for item in api.sandbox.inbox(phone.openid, last=2)] == ["3", "4"]
    after = items[3]["number"]
    assert [item["text"] for item in api.sandbox.inbox(phone.openid, after, last=3)] == ["4"]


def test_clock_with_a_mover_moves_its_source_and_only_forward() -> None:
    moved: list[float] = []
    with running_sandbox(lambda: 1000 + sum(moved), moved.append) as running:
        sandbox = running.sandbox
        assert sandbox.move_clock(60) == 1060
        saved = sandbox.save()
        sandbox.move_clock(60)
        sandbox.load(saved)
        assert sandbox.clock.now() == 1120
        assert moved == [60, 60]
