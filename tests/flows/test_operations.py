"""Running it: health, metrics, a graceful stop, and ``python -m server run`` as a real process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import make_url, select

from devtools.demo.stage import APPID, ORIGINAL_ID, Stage, register_templates
from devtools.wechat_sandbox.fixture import running_sandbox
from devtools.wechat_sandbox.outward_http import Answer, OutwardHttp
from devtools.wechat_sandbox.sandbox import Sandbox
from gongdian.accounts.messages import ask_for_binding
from gongdian.accounts.service import follow
from gongdian.channels import segments
from gongdian.outbox.model import ALL_SENDING, FallbackStep, QueueMessage, Stop
from gongdian.outbox.queueing import queue_message
from gongdian.outbox.switches import stop_sending
from gongdian.outbox.tables import messages
from gongdian.render.loader import ACCOUNTS, MESSAGES
from gongdian.render.registry import Registry
from server.worker import Worker
from tests.callback_sender import Sender
from tests.tcp_proxy import TcpProxy
from wechat_handlers.callbacks import CALLBACK_PATH
from wechat_handlers.gate import MAX_BODY

StartStage = Callable[..., Stage]
ROOT = Path(__file__).parents[2]
SEND = "/cgi-bin/message/template/send"


def _get(url: str, timeout_s: float = 10.0) -> Answer:
    client = OutwardHttp()
    try:
        return client.send("GET", url, timeout_s=timeout_s)
    finally:
        client.close()


def _ready(url: str) -> tuple[int, dict[str, Any]]:
    answer = _get(url + "/readyz")
    return answer.status, json.loads(answer.body)


def _metrics(url: str) -> dict[tuple[str, str], float]:
    """(sample, its state, or channel and outcome) -> value."""
    text = _get(url + "/metrics").body.decode()
    return {
        (sample.name, _label(sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _label(labels: dict[str, str]) -> str:
    return " ".join(labels[name] for name in ("state", "channel", "outcome") if name in labels)


def _queue_cards(stage: Stage, openids: list[str]) -> None:
    house, now = stage.house, stage.clock.now()
    for openid in openids:

        def work(session: Any, openid: str = openid) -> None:
            contact = follow(session, house.account, openid, "", now)
            ask_for_binding(session, house.outbox, contact, now)

        house.database.run(work)


def _message_states(stage: Stage) -> list[str]:
    with stage.house.database.read() as session:
        return sorted(session.execute(select(messages.c.state)).scalars())


@pytest.mark.redis
def test_health_names_what_works_and_what_is_stopped(
    start_stage: StartStage, redis_url: str
) -> None:
    stage = start_stage(with_worker=False, redis_url=redis_url)

    assert json.loads(_get(stage.web_url + "/healthz").body) == {"status": "ok"}
    status, facts = _ready(stage.web_url)
    assert (status, facts["database"], facts["redis"], facts["sending"]) == (200, True, True, True)
    stop = Stop(ALL_SENDING, "维护", None)
    stage.house.database.run(lambda session: stop_sending(session, stop, "test", stage.clock.now()))
    status, facts = _ready(stage.web_url)
    assert (status, facts["sending"], facts["stops"]) == (200, False, [ALL_SENDING])


@pytest.mark.mariadb
@pytest.mark.parametrize("trouble", ["refuse", "hang"])
def test_without_its_database_it_is_alive_but_not_ready(
    start_stage: StartStage, empty_mariadb_url: str, trouble: str
) -> None:
    url = make_url(empty_mariadb_url)
    with TcpProxy(url.host or "127.0.0.1", url.port or 3306).running() as proxy:
        proxied = url.set(host="127.0.0.1", port=proxy.port)
        stage = start_stage(
            with_worker=False, database_url=proxied.render_as_string(hide_password=False)
        )
        assert _ready(stage.web_url)[0] == 200
        with proxy.trouble(trouble):
            status, facts = _ready(stage.web_url)
            assert (status, facts["database"]) == (503, False)
            assert "127.0.0.1" not in json.dumps(facts)
            assert _get(stage.web_url + "/healthz").status == 200
            assert _metrics(stage.web_url)[("gongdian_database_up", "")] == 0
        # The connections from before are of no use; each is noticed once.
        stage.wait_for(lambda: _ready(stage.web_url)[0] == 200, "ready again")


def test_metrics_show_the_queues_and_the_counters(start_stage: StartStage) -> None:
    stage = start_stage(with_worker=False)
    sender = Sender(stage)
    _queue_cards(stage, ["oMetric1", "oMetric2"])
    sender.post(sender.event("VIEW", EventKey="x"))
    Path(stage.house.settings.data_dir, "spool", "x.callback").touch()

    found = _metrics(stage.web_url)

    assert found["gongdian_database_up", ""] == 1
    assert found["gongdian_messages", "queued"] == 2
    assert found["gongdian_callbacks_stored", "new"] == 1
    assert found["gongdian_spooled_callbacks", ""] == 1
    assert found["gongdian_stops", ""] == 0
    for channel in ("wechat_template", "sms", "mail"):
        assert found["gongdian_channel_messages_today", channel] == 0
        assert found["gongdian_channel_cost_fen_today", channel] == 0
    assert found["gongdian_oldest_due_seconds", ""] >= 0
    assert found["gongdian_callbacks_total", "stored"] >= 1
    assert found["gongdian_callback_seconds_count", ""] >= 1


def test_a_worker_that_stops_finishes_what_it_began(start_stage: StartStage) -> None:
    stage = start_stage(with_worker=False)
    openids = stage.sandbox.add_phones(30)
    stage.sandbox.faults.add("slow", SEND, percent=100, seconds=1.0)
    _queue_cards(stage, openids)
    worker = Worker(stage.house, wake_s=0.02)
    worker.start()
    try:
        stage.wait_for(lambda: "sending" in _message_states(stage), "messages on their way")
    finally:
        began = time.monotonic()
        worker.stop()
    took = time.monotonic() - began

    found = _message_states(stage)
    assert "sending" not in found
    assert len(found) == 30
    assert took < 5.0
    shown = stage.sandbox.stats()["cards_shown"]
    assert shown == sum(state in ("accepted", "delivered") for state in found)


@dataclass(frozen=True)
class Running:
    """``python -m server run`` and its sandbox."""

    process: subprocess.Popen[bytes]
    sandbox: Sandbox
    url: str
    output: Path

    def children(self) -> dict[str, int]:
        """The direct children by what they are."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found = {}
        for pid in map(int, path.read_text().split()):
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            found["web" if b"gunicorn" in words else "worker"] = pid
        return found

    def wait_for(self, condition: Callable[[], Any], what: str, timeout_s: float = 20) -> Any:
        """Wait; AssertionError with the output of the process."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"not in time: {what}\n{self.output.read_text()}")

    def is_ready(self) -> bool:
        """Whether /readyz says so."""
        try:
            return _get(self.url + "/readyz", 2).status == 200
        except OSError:
            return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _environment(folder: Path, url: str, sandbox: Sandbox | None) -> dict[str, str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "GONGDIAN_DATA_DIR": str(folder),
        "GONGDIAN_LISTEN": url.removeprefix("http://"),
        "GONGDIAN_PUBLIC_URL": url,
        "GONGDIAN_QUIET_HOURS": "none",
    }
    if sandbox is not None:
        told = sandbox.settings
        environment |= {
            "GONGDIAN_WECHAT_APPID": told.appid,
            "GONGDIAN_WECHAT_SECRET": told.secret,
            "GONGDIAN_WECHAT_TOKEN": told.token,
            "GONGDIAN_WECHAT_AES_KEY": told.aes_key,
            "GONGDIAN_WECHAT_ORIGINAL_ID": told.original_id,
            "GONGDIAN_WECHAT_API_URL": sandbox.base_url,
            "GONGDIAN_WECHAT_OPEN_URL": sandbox.base_url,
        }
    return environment


def test_metrics_tell_what_a_channel_did_and_cost_today(start_stage: StartStage) -> None:
    stage = start_stage(sms_cost_fen=7)
    house, phone = stage.house, stage.sandbox.add_phone(phone_number="13800001111")
    kind = house.outbox.registry.kind("outage_fault")
    before = _metrics(stage.web_url).get(("gongdian_sends_total", "sms accepted"), 0)
    command = QueueMessage(
        *("outage", "o1", "fault#1", "c1", "", "outage_fault", kind.samples()),
        link_path="/h5/outage",
        fallbacks=(FallbackStep("sms", "13800001111"),),
    )
    house.database.run(lambda s: queue_message(s, house.outbox, command, stage.clock.now()))
    stage.wait_for(lambda: [one for one in phone.inbox() if one["kind"] == "sms"], "the SMS")
    stage.wait_for(
        lambda: _metrics(stage.web_url)["gongdian_channel_cost_fen_today", "sms"], "the cost"
    )

    found = _metrics(stage.web_url)

    pieces = found["gongdian_channel_cost_fen_today", "sms"] / 7
    assert pieces == segments(phone.text_messages()[0]["text"])
    assert found["gongdian_channel_messages_today", "sms"] == 1
    assert found["gongdian_channel_messages_today", "mail"] == 0
    assert found["gongdian_sends_total", "sms accepted"] == before + 1
    stage.clock.move(timedelta(days=1))
    assert _metrics(stage.web_url)["gongdian_channel_cost_fen_today", "sms"] == 0


@contextmanager
def _server_run(folder: Path) -> Iterator[Running]:
    url = f"http://127.0.0.1:{_free_port()}"
    output = folder / "output.txt"
    chosen = {"appid": APPID, "original_id": ORIGINAL_ID, "mode": "secure"}
    with running_sandbox(callback_url=url + CALLBACK_PATH, **chosen) as started:
        register_templates(started.sandbox, Registry.load(MESSAGES, ACCOUNTS))
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "server", "run"],
                cwd=folder,
                env=_environment(folder / "data", url, started.sandbox),
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        running = Running(process, started.sandbox, url, output)
        try:
            running.wait_for(running.is_ready, "ready")
            yield running
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # the session that this test began
            process.wait()


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z"
    except OSError:
        return True


def test_server_run_serves_counts_and_ends_in_order(tmp_path: Path) -> None:
    with _server_run(tmp_path) as running:
        phone = running.sandbox.add_phone()
        delivery = running.sandbox.wait(phone.follow())
        assert "欢迎关注" in phone.texts()[0], delivery
        running.sandbox.wait(phone.say("绑定"))
        running.wait_for(phone.cards, "the card")
        running.wait_for(
            lambda: _metrics(running.url).get(("gongdian_messages", "delivered")), "the receipt"
        )
        found = _metrics(running.url)
        assert found["gongdian_callbacks_total", "stored"] == 3
        assert found["gongdian_sends_total", "wechat_template accepted"] == 1
        assert found["gongdian_channel_messages_today", "wechat_template"] == 1
        page = phone.open(phone.cards()[0]["url"])
        assert "同意并绑定" in page.body
        _check_large_bodies(running)

        children = running.children()
        assert sorted(children) == ["web", "worker"]
        began = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(15) == 0
        took = time.monotonic() - began
        assert all(map(_is_gone, children.values()))
        assert took < 15
        assert "Traceback" not in running.output.read_text()


def _check_large_bodies(running: Running) -> None:
    """gunicorn hands on bodies with and without a length."""
    query = "signature=x&timestamp=1&nonce=1"
    url = running.url + CALLBACK_PATH + "?" + query
    client = OutwardHttp()
    try:
        answer = client.send("POST", url, b"x" * (MAX_BODY + 1), timeout_s=10)
    finally:
        client.close()
    assert answer.status == 413
    host, port = running.url.removeprefix("http://").split(":")
    head = f"POST {CALLBACK_PATH}?{query} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = f"{MAX_BODY + 1:x}\r\n".encode() + b"x" * (MAX_BODY + 1) + b"\r\n0\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        assert connection.recv(64).split()[1] == b"413"


def test_a_worker_that_dies_is_started_again(tmp_path: Path) -> None:
    with _server_run(tmp_path) as running:
        first = running.wait_for(lambda: running.children().get("worker"), "the worker")
        os.kill(first, signal.SIGKILL)

        def is_new() -> bool:
            return running.children().get("worker", first) != first

        running.wait_for(is_new, "another worker")
        phone = running.sandbox.add_phone(following=True)
        running.sandbox.wait(phone.say("绑定"))
        running.wait_for(phone.cards, "a card from the new worker")
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(15) == 0


@pytest.mark.parametrize("command", ["run", "web"])
def test_without_a_callback_token_it_does_not_start(tmp_path: Path, command: str) -> None:
    url = f"http://127.0.0.1:{_free_port()}"

    ended = subprocess.run(
        [sys.executable, "-m", "server", command],
        cwd=tmp_path,
        env=_environment(tmp_path / "data", url, None),
        capture_output=True,
        timeout=20,
        check=False,
    )

    assert ended.returncode == 2
    assert b"wechat_token_missing" in ended.stderr
    assert b"Traceback" not in ended.stderr
