"""The database or Redis is gone for a while: no authentic callback is lost or handled twice."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url, select

from devtools.demo.stage import Stage
from devtools.demo.story import tell_story
from gongdian.alarms import standing_alarms
from gongdian.audit import audit_rows, record_audit
from gongdian.outbox.model import MessageState
from server.worker import Worker
from tests.callback_sender import Answer, Sender, states, stored
from tests.tcp_proxy import TcpProxy, closed_port, silent_port
from wechat_handlers.handling import Handler, Handling
from wechat_handlers.replies import Reply, TextReply
from wechat_handlers.router import Rule
from wechat_handlers.spool import Spool

log = logging.getLogger("gongdian.test")

StartStage = Callable[..., Stage]
AddRules = Callable[..., None]
HANDLED = "test:callback:handled"
OUTAGE_S = 4.0


@pytest.fixture(autouse=True)
def _counting_rules(add_rules: AddRules) -> None:
    """Handlers that leave one audit row for each time that they took effect."""

    def handled(handling: Handling) -> None:
        subject = handling.dedupe.hex()
        record_audit(handling.session, handling.now, "test", HANDLED, subject, {})

    def replied(handling: Handling) -> Reply:
        handled(handling)
        return TextReply("好")

    add_rules(
        Rule("test_inline", Handler(replied), "inline", msg_type="text", key="问"),
        Rule("test_queued", Handler(handled), "queued", event="tell"),
    )


class Traffic:
    """Callbacks from several threads; what is refused is sent again, as the platform does."""

    def __init__(self, sender: Sender, senders: int = 6) -> None:
        self._sender = sender
        self._senders = senders
        self._over = threading.Event()
        self.sent = self.lost = 0
        self.answers: list[Answer] = []

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Send during the block; wait for every answer at its end."""
        with ThreadPoolExecutor(self._senders) as pool:
            work = [pool.submit(self._send, number) for number in range(self._senders)]
            try:
                yield
            finally:
                self._over.set()
            for one in work:
                one.result()

    def _send(self, number: int) -> None:
        count = 0
        while not self._over.is_set():
            count += 1
            openid = f"oTraffic{number}n{count}"
            ask = self._sender.text("问", openid)
            for fields in (ask, self._sender.event("tell", openid)):
                self.sent += 1
                self.lost += not self._deliver(fields)
            time.sleep(0.1)

    def _deliver(self, fields: dict[str, object]) -> bool:
        for _ in range(4):
            answer = self._sender.post(fields)
            self.answers.append(answer)
            if answer.status == 200:
                return True
            time.sleep(1.0)
        return False

    def check_answers(self) -> None:
        """Every answer came in time and was success or try again."""
        assert {answer.status for answer in self.answers} <= {200, 503}
        assert max(answer.took_s for answer in self.answers) < 5.0
        assert self.lost == 0

    def summary(self) -> str:
        """For people: pytest --log-cli-level=INFO shows it."""
        took = sorted(answer.took_s * 1000 for answer in self.answers)
        by_status = Counter(answer.status for answer in self.answers)
        return (
            f"{self.sent} callbacks, {dict(by_status)}, p50 {statistics.median(took):.0f} ms, "
            f"p99 {took[int(len(took) * 0.99)]:.0f} ms, max {took[-1]:.0f} ms"
        )


def _times_handled(stage: Stage) -> Counter[str]:
    query = select(audit_rows.c.subject).where(audit_rows.c.action == HANDLED)
    with stage.house.database.read() as session:
        return Counter(session.execute(query).scalars())


def _check_all_handled_once(stage: Stage, sent: int, others: int = 0) -> None:
    total = sent + others
    stage.wait_for(lambda: len(stored(stage)) == total, "all callbacks stored")
    # Claims and inline handlings that were cut off come back after their lease.
    stage.move_clock(timedelta(minutes=2))
    stage.wait_for(lambda: set(states(stage)) == {"done"}, "all callbacks handled")
    handled = _times_handled(stage)
    assert (len(handled), set(handled.values())) == (sent, {1})
    assert len(stored(stage)) == total
    assert _spool_of(stage).count() == 0


def _spool_of(stage: Stage) -> Spool:
    return Spool(Path(stage.house.settings.data_dir) / "spool")


@pytest.mark.mariadb
@pytest.mark.parametrize("trouble", ["refuse", "hang", "cut", "hide_commits"])
def test_the_database_is_gone_and_no_callback_is_lost(
    start_stage: StartStage, proxy: TcpProxy, proxied_url: str, trouble: str
) -> None:
    stage = start_stage(database_url=proxied_url)
    traffic = Traffic(Sender(stage))

    with traffic.flowing():
        time.sleep(0.3)
        with proxy.trouble(trouble):
            time.sleep(OUTAGE_S)
        time.sleep(0.3)

    log.info("%s: %s", trouble, traffic.summary())
    traffic.check_answers()
    _check_all_handled_once(stage, traffic.sent)


def test_a_locked_sqlite_loses_no_callback(start_stage: StartStage) -> None:
    stage = start_stage()
    traffic = Traffic(Sender(stage))
    path = make_url(stage.house.settings.database).database or ""

    with traffic.flowing():
        time.sleep(0.3)
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        time.sleep(3.0)
        writer.rollback()
        writer.close()
        time.sleep(0.3)

    log.info("locked: %s", traffic.summary())
    traffic.check_answers()
    _check_all_handled_once(stage, traffic.sent)


@pytest.mark.mariadb
def test_without_database_and_spool_the_platform_must_try_again(
    start_stage: StartStage, proxy: TcpProxy, proxied_url: str
) -> None:
    stage = start_stage(database_url=proxied_url)
    phone = stage.sandbox.add_phone(following=True)
    folder = Path(stage.house.settings.data_dir) / "spool"
    shutil.rmtree(folder)
    folder.write_text("a file, not a folder")

    with proxy.trouble("refuse"):
        delivery = phone.event("tell", {})
        stage.wait_for(lambda: delivery.statuses, "the first answer")
    folder.unlink()
    folder.mkdir()
    stage.sandbox.wait(delivery)

    assert delivery.statuses[0] == 503
    assert delivery.state == "acknowledged"
    _check_all_handled_once(stage, 1)


@pytest.mark.mariadb
def test_what_is_spooled_survives_a_restart(
    start_stage: StartStage, proxy: TcpProxy, proxied_url: str
) -> None:
    stage = start_stage(database_url=proxied_url, with_worker=False)
    sender = Sender(stage)
    with proxy.trouble("refuse"):
        sent = [sender.event("tell", f"oSpool{number}") for number in range(5)]
        answers = [sender.post(fields) for fields in sent for _ in range(2)]
    assert {answer.status for answer in answers} == {200}
    assert (len(stored(stage)), _spool_of(stage).count()) == (0, 5)
    folder = Path(stage.house.settings.data_dir) / "spool"
    assert all(b"oSpool" not in file.read_bytes() for file in folder.iterdir())

    worker = Worker(stage.house, wake_s=0.05)
    worker.start()
    try:
        _check_all_handled_once(stage, 5)
    finally:
        worker.stop()


@pytest.mark.mariadb
def test_unreadable_spool_files_are_set_aside_with_an_alarm(
    start_stage: StartStage, proxy: TcpProxy, proxied_url: str
) -> None:
    stage = start_stage(database_url=proxied_url, with_worker=False)
    sender = Sender(stage)
    folder = Path(stage.house.settings.data_dir) / "spool"
    with proxy.trouble("refuse"):
        for number in range(3):
            sender.post(sender.event("tell", f"oBad{number}"))
    first, second, _ = sorted(folder.glob("*.callback"))
    first.write_bytes(b"")
    second.write_bytes(second.read_bytes()[:-1])

    worker = Worker(stage.house, wake_s=0.05)
    worker.start()
    try:
        stage.wait_for(lambda: states(stage) == ["done"], "the readable one is handled")

        def is_told() -> bool:
            with stage.house.database.read() as session:
                return "spool_bad" in {alarm.key for alarm in standing_alarms(session)}

        stage.wait_for(is_told, "an alarm")
    finally:
        worker.stop()
    assert (_spool_of(stage).count(), _spool_of(stage).count_bad()) == (0, 2)


def test_one_spooled_callback_that_cannot_be_stored_does_not_stop_the_rest(
    start_stage: StartStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = start_stage(with_worker=False)
    sender = Sender(stage)
    spool = _spool_of(stage)
    path = make_url(stage.house.settings.database).database or ""
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    sender.post_all([sender.event("tell", f"oOdd{number}") for number in range(4)])
    writer.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON callbacks WHEN NEW.dedupe = "
        f"x'{sorted(Path(spool._folder).glob('*.callback'))[1].stem}' "
        "BEGIN SELECT RAISE(ABORT, 'refused'); END"
    )
    writer.commit()
    writer.close()

    assert spool.drain(stage.house.database) == 3
    assert (spool.count(), spool.count_bad(), len(stored(stage))) == (0, 1, 3)


def test_a_spool_that_others_drained_is_not_full(
    start_stage: StartStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wechat_handlers.spool.MAX_FILES", 3)
    stage = start_stage(with_worker=False)
    sender = Sender(stage)
    path = make_url(stage.house.settings.database).database or ""
    for _ in range(2):
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        fields = [sender.event("tell", f"oFull{number}") for number in range(4)]
        statuses = [sender.post(one).status for one in fields]
        writer.rollback()
        writer.close()
        assert statuses == [200, 200, 200, 503]
        assert _spool_of(stage).drain(stage.house.database) == 3
        time.sleep(1.0)  # until then the edge does not try the database


@pytest.mark.redis
@pytest.mark.parametrize("port", [closed_port, silent_port])
def test_without_redis_the_story_still_completes(
    start_stage: StartStage, port: Callable[[], Iterator[int]]
) -> None:
    with port() as number:  # type: ignore[attr-defined]
        stage = start_stage(redis_url=f"redis://127.0.0.1:{number}/0")
        timelines = tell_story(stage, lambda text: None)
        of_the_story = len(stored(stage))
        traffic = Traffic(Sender(stage), senders=4)
        with traffic.flowing():
            time.sleep(2.5)
        log.info("%s: %s", port.__name__, traffic.summary())
        traffic.check_answers()
        _check_all_handled_once(stage, traffic.sent, of_the_story)

    assert [one.state for one in timelines] == [MessageState.DELIVERED] * 2
