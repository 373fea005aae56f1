"""Delivery (投递): the relay that sends due messages through a bounded pool of threads.

One relay a worker process; any number of processes share one database. The worker calls
``step`` in a loop; a settlement that the database cannot take now is kept and tried again.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from gongdian.alarms import raise_alarm
from gongdian.clock import Clock
from gongdian.db import Database, Session
from gongdian.errors import (
    ConflictError,
    DeliveryError,
    UpstreamError,
)
from gongdian.outbox.breaker import PAUSE, SILENT_TRIES, Breaker
from gongdian.outbox.claiming import ClaimRequest, claim_messages, count_due
from gongdian.outbox.costs import spent_alarm
from gongdian.outbox.model import (
    ALL_SENDING,
    CHANNEL_LABELS,
    Attempt,
    ClaimedMessage,
    Outcome,
    OutcomeKind,
    RecipientRefused,
    SendingPolicy,
    SettleReport,
    Stop,
    channel_stop,
)
from gongdian.outbox.rates import RateBudget
from gongdian.outbox.senders import Sender, ended_by
from gongdian.outbox.settling import not_yet_written, settle_attempts
from gongdian.outbox.switches import standing_stops, stop_sending
from gongdian.ports import RefusalAction

log = logging.getLogger("gongdian.delivery")

_STOPS_EVERY_S = 0.25
_SETTLE_EVERY_S = 0.1
_SETTLE_BATCH = 200
# Claimed ahead of the threads, so that claims are few and large; bounded by the lease. Where
# the channel knows no repetition only what threads are free for: what a killed worker had
# claimed can never be tried again there.
_AHEAD = 4

RefusedListener = Callable[[Session, RecipientRefused, datetime], None]


@dataclass(frozen=True, slots=True)
class DeliveryParts:
    """What a relay works with."""

    database: Database
    sender: Sender
    rate: RateBudget
    clock: Clock
    policy: SendingPolicy
    on_refused: RefusedListener
    on_attempt: Callable[[Attempt], None]
    concurrency: int = 50
    per_second: int = 50
    send_timeout: timedelta = timedelta(seconds=10)


class Delivery:
    """The relay of one worker process."""

    def __init__(self, parts: DeliveryParts, worker: str) -> None:
        self._parts = parts
        self._worker = worker
        self._pool = ThreadPoolExecutor(parts.concurrency, thread_name_prefix="send")
        self._ended: queue.SimpleQueue[Attempt] = queue.SimpleQueue()
        self._unsettled: list[Attempt] = []
        self._is_in_doubt = False
        self._in_flight = 0
        self._stops: dict[str, Stop] = {}
        self._halted = threading.Event()
        self._stops_read = self._settled = float("-inf")
        self._breaker = Breaker()

    def step(self) -> bool:
        """Claim, send and settle what is due now; False when there was nothing to do."""
        self._read_stops()
        ended = self._collect(wait_s=0.0)  # first, so that a claim knows which threads are free
        claimed = 0 if self._halted.is_set() else self._claim()
        ended += self._collect(wait_s=0.05 if self._in_flight and not claimed else 0.0)
        late = time.monotonic() - self._settled >= _SETTLE_EVERY_S
        if self._unsettled and (late or len(self._unsettled) >= _SETTLE_BATCH):
            self._settle()
        if self._breaker.take_news():
            self._tell_silence()
        return bool(claimed or ended or self._in_flight or self._unsettled)

    def close(self) -> None:
        """Finish what is in flight, settle it, and end the threads; unsent claims go back."""
        self._halted.set()
        self._pool.shutdown(wait=True)
        self._collect(wait_s=0.0)
        while self._unsettled:
            before = len(self._unsettled)
            self._settle()
            if len(self._unsettled) == before:
                log.error("unsettled_at_stop", extra={"count": before})
                return

    def _read_stops(self) -> None:
        if time.monotonic() - self._stops_read < _STOPS_EVERY_S:
            return
        try:
            with self._parts.database.read() as session:
                self._stops = standing_stops(session, self._parts.clock.now())
        except UpstreamError as error:
            # No word from the database: sending on could break a stop that stands there.
            self._halted.set()
            log.warning("stops_unreadable", extra={"detail": str(error)})
            return
        self._stops_read = time.monotonic()
        if self._is_stopped():
            self._halted.set()
        else:
            self._halted.clear()

    def _is_stopped(self) -> bool:
        channel = channel_stop(self._parts.policy.channel, self._parts.policy.account)
        return ALL_SENDING in self._stops or channel in self._stops

    def _claim(self) -> int:
        parts = self._parts
        ahead = _AHEAD if parts.policy.unknown_window else 1
        room = ahead * parts.concurrency - self._in_flight
        if room < max(1, ahead // 2 * parts.concurrency):
            return 0
        now = parts.clock.now()
        room = self._breaker.room(now, self._in_flight, room)
        if not room:
            return 0
        try:
            with parts.database.read() as session:
                due = count_due(session, parts.policy, self._stops, now, room)
            if not due:
                return 0
            granted = parts.rate.take(parts.policy.budget_name, due, parts.per_second, now)
            request = ClaimRequest(self._worker, granted)
            claimed = parts.database.run(
                lambda session: claim_messages(session, request, parts.policy, self._stops, now)
            )
        except (UpstreamError, ConflictError) as error:
            log.warning("claim_failed", extra={"code": error.code, "detail": str(error)})
            return 0
        for message in claimed:
            self._in_flight += 1
            self._pool.submit(self._send, message)
        return len(claimed)

    def _send(self, message: ClaimedMessage) -> None:
        started = self._parts.clock.now()
        too_late = started >= message.lease_until - self._parts.send_timeout
        since = message.unknown_since
        if since is not None and started >= since + self._parts.policy.unknown_window:
            too_late = True  # the platform may show it a second time by now
        if self._halted.is_set() or too_late:
            outcome = Outcome(OutcomeKind.NOT_SENT, detail="stopped, or the lease is nearly over")
        elif self._breaker.is_open(started):
            outcome = Outcome(OutcomeKind.NOT_SENT, detail="the channel does not answer")
        else:
            outcome = self._attempt(message)
        self._ended.put(Attempt(message, outcome, started, self._parts.clock.now()))

    def _attempt(self, message: ClaimedMessage) -> Outcome:
        if not message.address:  # the person left while it was on its way here
            detail = "the address was erased"
            action = RefusalAction.REJECT_MESSAGE
            return Outcome(OutcomeKind.REFUSED, "", "no_address", detail=detail, action=action)
        try:
            outcome = self._parts.sender.send(message)
            self._breaker.record(outcome.kind, self._parts.clock.now())
            return outcome
        except (DeliveryError, UpstreamError) as error:
            outcome = ended_by(error)
            self._breaker.record(outcome.kind, self._parts.clock.now())
            return outcome
        except Exception as error:
            log.exception("send_crashed", extra={"message_id": message.id})
            return Outcome(OutcomeKind.UNKNOWN, detail=type(error).__name__)

    def _collect(self, wait_s: float) -> int:
        count = 0
        try:
            while True:
                attempt = self._ended.get(timeout=wait_s) if wait_s else self._ended.get_nowait()
                wait_s = 0.0
                count += 1
                self._in_flight -= 1
                self._unsettled.append(attempt)
                self._parts.on_attempt(attempt)
        except queue.Empty:
            return count

    def _settle(self) -> None:
        batch = self._unsettled[:_SETTLE_BATCH]
        now = self._parts.clock.now()
        try:
            report = self._parts.database.run(lambda session: self._settle_in(session, batch, now))
        except UpstreamError as error:
            # It may have been written all the same: the answer to a commit can be lost.
            self._is_in_doubt = True
            log.warning("settle_failed", extra={"detail": str(error), "count": len(batch)})
            time.sleep(0.2)
            return
        except Exception:
            # One attempt that cannot be written must not keep the others from being settled.
            log.exception("settle_crashed", extra={"count": len(batch)})
            report = self._settle_singly(batch, now)
        self._is_in_doubt = False
        self._settled = time.monotonic()
        del self._unsettled[: len(batch)]
        if report.stops:
            self._stops_read = float("-inf")

    def _tell_silence(self) -> None:
        parts, now = self._parts, self._parts.clock.now()
        channel = parts.policy.channel
        text = (
            f"{CHANNEL_LABELS[channel]}接口连续{SILENT_TRIES}次没有应答，已暂停发送；"
            f"每{PAUSE.seconds}秒试发一条，恢复后自动继续"
        )
        name = channel_stop(channel, parts.policy.account)
        stop = Stop(name, "silent", now + PAUSE)

        def work(session: Session) -> None:
            # The other workers need not find out for themselves, and the fallback sees it.
            stop_sending(session, stop, "relay", now)
            raise_alarm(session, f"{channel}_silent", text, now)

        try:
            parts.database.run(work)
        except UpstreamError as error:
            log.warning("silence_not_told", extra={"detail": str(error)})

    def _settle_singly(self, batch: list[Attempt], now: datetime) -> SettleReport:
        """What crashes alone is dropped: its lease runs out and the sweep ends its doubt."""
        stops: list[Stop] = []
        for one in batch:
            try:
                report = self._parts.database.run(
                    lambda session: self._settle_in(session, [one], now)  # noqa: B023
                )
                stops += report.stops
            except Exception:
                log.exception("attempt_dropped", extra={"message_id": one.message.id})
        return SettleReport(stops=stops)

    def _settle_in(self, session: Session, batch: list[Attempt], now: datetime) -> SettleReport:
        parts = self._parts
        if self._is_in_doubt:
            batch = not_yet_written(session, batch)
            if not batch:
                return SettleReport()
        report = settle_attempts(session, batch, parts.policy, now)
        for stop in report.stops:
            stop_sending(session, stop, "relay", now)
        for alarm in report.alarms:
            raise_alarm(session, alarm, _alarm_text(parts.policy.channel, alarm), now)
        for refused in report.refused:
            parts.on_refused(session, refused, now)
        return report


def _alarm_text(channel: str, alarm: str) -> str:
    label = CHANNEL_LABELS[channel]
    if alarm == spent_alarm(channel):
        return f"{label}今天的费用已达上限，今天不再用{label}发送，明天自动恢复"
    return f"{label}接口返回错误 {alarm}，请查看说明并处理"
