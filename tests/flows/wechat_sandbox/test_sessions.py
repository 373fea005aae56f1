"""The sandbox as a program: control API, saving, bad requests."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.wechat_sandbox.__main__ import main
from devtools.wechat_sandbox.fixture import running_sandbox
from devtools.wechat_sandbox.outward_http import OutwardHttp
from devtools.wechat_sandbox.refusals import ActionError
from devtools.wechat_sandbox.sandbox import Sandbox
from tests.flows.wechat_sandbox.client import SEND, Api
from tests.flows.wechat_sandbox.receiver import Receiver


def test_session_is_saved_and_loaded(api: Api) -> None:
    phone = api.sandbox.add_phone(following=True)
    media_id = phone.upload("image", b"x")
    phone.say("你好")
    first = api.send(phone.openid, client_msg_id="m1")
    api.post("/sandbox/faults", {"kind": "errcode", "scope": SEND, "percent": 100})
    saved = json.loads(json.dumps(api.get("/sandbox/save")))
    with running_sandbox() as other:
        second = Api(other)
        assert second.post("/sandbox/load", saved) == {"ok": True}
        second.token = api.token
        assert second.send(phone.openid)["errcode"] == -1
        other.sandbox.faults.clear()
        assert second.send(phone.openid, client_msg_id="m1")["msgid"] == first["msgid"]
        assert other.sandbox.inbox(phone.openid) == phone.inbox()
        assert other.sandbox.media.get(media_id).content == b"x"
        second.send(phone.openid)
        assert other.sandbox.stats()["duplicate_cards"] == 1
        assert "error" in second.post("/sandbox/load", {"version": 99})
        second.client.close()


def test_control_api_drives_phones_and_tells_what_is_wrong(api: Api, receiver: Receiver) -> None:
    openid = api.post("/sandbox/phones", {"name": "李女士"})["openid"]
    acted = api.post(f"/sandbox/phones/{openid}/follow", {"scene": "7"})
    assert (acted["state"], acted["attempts"]) == ("acknowledged", 1)
    photo = base64.b64encode(b"jpg").decode()
    assert api.post(f"/sandbox/phones/{openid}/photo", {"content_b64": photo})["state"]
    assert len(api.post("/sandbox/phones", {"count": 3})["openids"]) == 3
    assert api.get("/sandbox/phones")[0]["name"] == "李女士"
    page = api.post(f"/sandbox/phones/{openid}/open", {"url": receiver.url + "?echostr=hi"})
    assert (page["status"], page["body"]) == (200, "hi")
    for path, body in (
        (f"/sandbox/phones/{openid}/fly", {}),
        (f"/sandbox/phones/{openid}/say", {"words": 1}),
        ("/sandbox/faults", {"kind": "errcode"}),
        ("/sandbox/faults", {"kind": "errcode", "colour": "red", "next_n": 1}),
        ("/sandbox/clock", {"move_s": -5}),
        ("/sandbox/settings", {"port": 1}),
        ("/sandbox/settings", {"mode": "x"}),
        ("/sandbox/phones/o-nobody/say", {"text": "x"}),
        ("/sandbox/nothing", {}),
    ):
        assert "error" in api.post(path, body), path
    before = api.get("/sandbox/clock")["now"]
    assert api.post("/sandbox/clock", {"move_s": 60})["now"] - before >= 60
    assert api.post("/sandbox/verify", {}) == {"ok": True}
    assert api.post("/sandbox/settings", {"honour_client_msg_id": False}) == {"ok": True}
    assert api.get("/sandbox/settings")["honour_client_msg_id"] is False
    assert api.post(
        "/sandbox/templates", {"template_id": "T2", "title": "电费", "keys": ["thing1"]}
    )
    assert [row["template_id"] for row in api.get("/sandbox/templates")] == ["T1", "T2"]
    assert api.post("/sandbox/tokens/end", {}) == {"ok": True}
    assert api.send(openid)["errcode"] == 42001
    assert api.post("/sandbox/drain", {"timeout_s": 5}) == {"drained": True}
    number = api.post("/sandbox/faults", {"kind": "reset", "percent": 1})["number"]
    assert api.get("/sandbox/faults")[0]["number"] == number
    api.client.send("DELETE", f"{api.base_url}/sandbox/faults?number={number}")
    assert api.get("/sandbox/faults") == []
    directions = {entry["direction"] for entry in api.get("/sandbox/traffic")["entries"]}
    assert directions == {"in", "out"}
    assert api.post("/sandbox/reset", {}) == {"ok": True}
    assert api.get("/sandbox/phones") == []


def test_bad_http_is_answered_and_does_not_hurt(api: Api) -> None:
    port = int(api.base_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"NONSENSE\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    assert api.get("/sandbox/stats")["calls"]


def test_sandbox_refuses_a_port_that_is_taken(api: Api) -> None:
    port = int(api.base_url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"), running_sandbox(port=port):
        pass


def test_sandbox_can_be_made_without_being_started() -> None:
    sandbox = Sandbox()
    assert sandbox.base_url.startswith("http://127.0.0.1:")
    sandbox.stop()


def test_handle_of_a_phone_outlives_a_loaded_session(api: Api) -> None:
    phone = api.sandbox.add_phone(following=True)
    saved = api.sandbox.save()
    phone.unfollow()
    api.sandbox.load(saved)
    assert phone.following
    api.sandbox.reset()
    with pytest.raises(ActionError, match="no phone"):
        phone.say("还在吗")


def test_program_prints_its_address_and_ends_when_told(tmp_path: Path) -> None:
    templates = tmp_path / "templates.json"
    templates.write_text('[{"template_id": "T1", "title": "电费", "keys": ["thing1"]}]', "utf-8")
    words = [sys.executable, "-m", "devtools.wechat_sandbox", "--port", "0"]
    program = subprocess.Popen(
        [*words, "--templates", str(templates)], stdout=subprocess.PIPE, text=True
    )
    with program:
        assert program.stdout is not None
        line = program.stdout.readline()
        client = OutwardHttp()
        listed = client.send("GET", line.split()[-1] + "/sandbox/templates")
        client.close()
        program.terminate()
        assert json.loads(listed.body)[0]["template_id"] == "T1"
        assert program.stdout.read() == ""
    assert program.returncode == 0


def test_program_refuses_wrong_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", "0.0.0.0", "--port", "0"]) == 2
    assert "loopback only" in capsys.readouterr().err
