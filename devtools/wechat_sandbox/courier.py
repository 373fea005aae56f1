"""Delivers callbacks: a timer for what is due later, a bounded pool of workers, retries.

Made by ``sandbox``; phones and sends hand it deliveries.
"""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from devtools.wechat_sandbox.clock import SandboxClock
from devtools.wechat_sandbox.envelopes import Fields, make_envelope
from devtools.wechat_sandbox.faults import FaultDesk
from devtools.wechat_sandbox.outward_http import Answer, OutwardHttp
from devtools.wechat_sandbox.replies import MalformedReplyError, Reply, read_reply
from devtools.wechat_sandbox.settings import SandboxSettings
from devtools.wechat_sandbox.traffic import TrafficLog
from wechat_handlers.crypto import CallbackCipher

CLOCK_POLL_S = 0.05
TIMER_STEP_S = 0.01  # due ones are handed over in lots: a wake-up for each costs more than it
COUNTS = ("created", "sent", "acknowledged", "retried", "given_up", "malformed", "lost")


@dataclass(slots=True, eq=False)
class Delivery:
    """One callback on its way. ``state``: waiting, acknowledged, malformed, given_up, lost.

    ``shows`` says that the user waits for it, so that its failure is shown on the phone.
    """

    fields: Fields
    shows: bool = True
    is_copy: bool = False
    bad_signature: bool = False
    fault: str = ""
    attempts: int = 0
    statuses: list[int] = field(default_factory=list)
    state: str = "waiting"
    reply: Reply | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        """The event, or the message type."""
        return str(self.fields.get("Event") or self.fields["MsgType"])


class Courier:
    """Takes deliveries in and sees to the end of each."""

    def __init__(
        self,
        clock: SandboxClock,
        settings: Callable[[], SandboxSettings],
        cipher: Callable[[], CallbackCipher | None],
        faults: FaultDesk,
        traffic: TrafficLog,
        on_end: Callable[[Delivery, str], None],
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._cipher = cipher
        self._faults = faults
        self._traffic = traffic
        self._on_end = on_end
        lock = threading.Lock()
        self._changed = threading.Condition(lock)  # a delivery has come to its end
        self._due_changed = threading.Condition(lock)  # the timer must look again
        self._order = itertools.count()
        self._by_real_time: list[tuple[float, int, Delivery]] = []
        self._by_clock: list[tuple[float, int, Delivery]] = []
        self._ready: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._pending = 0
        self._stopping = False
        self._threads: list[threading.Thread] = []
        self.counts = dict.fromkeys(COUNTS, 0)

    def start(self) -> None:
        """Start the timer and the workers."""
        targets = [self._run_timer] + [self._work] * self._settings().callback_workers
        self._threads = [threading.Thread(target=target, daemon=True) for target in targets]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop; what is under way is finished, what waits is dropped."""
        with self._changed:
            self._stopping = True
            self._due_changed.notify_all()
        for _ in self._threads:
            self._ready.put(None)
        for thread in self._threads:
            thread.join(timeout=self._settings().callback_timeout_s + 1)

    def post(self, delivery: Delivery, *, after_s: float = 0.0, on_clock: bool = False) -> Delivery:
        """Deliver soon, or ``after_s`` real seconds (or seconds of the movable clock) later.

        Without a callback address the delivery is lost at once.
        """
        fault = self._faults.for_callback(delivery.name)
        kind = fault.kind if fault else ""
        with self._changed:
            self.counts["created"] += 1
            if kind == "lost_callback" or not self._settings().callback_url:
                delivery.state = "lost"
                self.counts["lost"] += 1
                if kind:
                    url, note = self._settings().callback_url, f"{delivery.name} fault {kind}"
                    self._traffic.add(self._clock.now(), "out", "POST", url, b"", 0, b"", 0, note)
                return delivery
            self._pending += 1
        delivery.bad_signature = kind == "bad_signature"
        delivery.fault = f"fault {kind}" if kind else ""
        if kind == "late_callback" and fault:
            after_s += fault.seconds
        self._schedule(delivery, after_s, on_clock=on_clock)
        if kind == "duplicate_callback":
            copy = Delivery(delivery.fields, shows=False, is_copy=True, fault=delivery.fault)
            with self._changed:
                self.counts["created"] += 1
                self._pending += 1
            self._schedule(copy, after_s, on_clock=on_clock)
        return delivery

    def wait(self, delivery: Delivery, timeout_s: float) -> bool:
        """Wait for the end of one delivery; False when it is still on its way."""
        with self._changed:
            return self._changed.wait_for(lambda: delivery.state != "waiting", timeout_s)

    def drain(self, timeout_s: float) -> bool:
        """Wait until nothing is on its way, scheduled ones included; False when time is up."""
        with self._changed:
            return self._changed.wait_for(lambda: self._pending == 0, timeout_s)

    def wake(self) -> None:
        """The clock was moved: look again at what is due."""
        with self._due_changed:
            self._due_changed.notify_all()

    def due_by_clock(self) -> list[tuple[float, str]]:
        """What waits for the movable clock: when (seconds since 1970) and which callback."""
        with self._changed:
            return [(at, delivery.name) for at, _, delivery in self._by_clock]

    def drop_waiting(self) -> None:
        """Forget what is scheduled for later (a reset)."""
        with self._changed:
            dropped = self._by_real_time + self._by_clock
            self._by_real_time, self._by_clock = [], []
            for _, _, delivery in dropped:
                delivery.state = "lost"
            self._pending -= len(dropped)
            self.counts = dict.fromkeys(COUNTS, 0)
            self._changed.notify_all()

    def stats(self) -> dict[str, int]:
        """Counts since the start or the last reset, and how many are on their way."""
        with self._changed:
            return {**self.counts, "waiting": self._pending}

    def _schedule(self, delivery: Delivery, after_s: float, *, on_clock: bool = False) -> None:
        if after_s <= 0:
            self._ready.put(delivery)
            return
        with self._due_changed:
            heap = self._by_clock if on_clock else self._by_real_time
            start = self._clock.now() if on_clock else time.monotonic()
            entry = (start + after_s, next(self._order), delivery)
            heapq.heappush(heap, entry)
            if heap[0] is entry:
                self._due_changed.notify()

    def _run_timer(self) -> None:
        with self._due_changed:
            while not self._stopping:
                wait_s = None
                for heap, now in (
                    (self._by_real_time, time.monotonic()),
                    (self._by_clock, self._clock.now()),
                ):
                    while heap and heap[0][0] <= now:
                        self._ready.put(heapq.heappop(heap)[2])
                    if heap:
                        until = heap[0][0] - now
                        # The movable clock may jump without telling us: look often.
                        until = until if heap is self._by_real_time else CLOCK_POLL_S
                        wait_s = until if wait_s is None else min(wait_s, until)
                self._due_changed.wait(wait_s and max(wait_s, TIMER_STEP_S))

    def _work(self) -> None:
        client = OutwardHttp()
        while (delivery := self._ready.get()) is not None:
            self._attempt(client, delivery)
        client.close()

    def _attempt(self, client: OutwardHttp, delivery: Delivery) -> None:
        settings = self._settings()
        delivery.attempts += 1
        with self._changed:
            self.counts["sent"] += 1
        answer = self._send(client, delivery, settings)
        delivery.statuses.append(answer.status if answer else 0)
        if answer is not None and 200 <= answer.status < 300:
            self._read(delivery, answer, settings)
        elif delivery.attempts <= settings.callback_retries and not self._stopping:
            with self._changed:
                self.counts["retried"] += 1
            self._schedule(delivery, settings.callback_retry_pause_s)
        else:
            self._end(delivery, "given_up")

    def _send(
        self, client: OutwardHttp, delivery: Delivery, settings: SandboxSettings
    ) -> Answer | None:
        at = self._clock.now()
        envelope = make_envelope(
            delivery.fields, settings, self._cipher(), int(at), bad_signature=delivery.bad_signature
        )
        joint = "&" if "?" in settings.callback_url else "?"
        url = settings.callback_url + joint + envelope.query
        headers = {"Content-Type": envelope.content_type, "User-Agent": "Mozilla/4.0"}
        started = time.perf_counter()
        answer, problem = None, ""
        try:
            answer = client.send("POST", url, envelope.body, headers, settings.callback_timeout_s)
        except OSError as error:
            problem = delivery.problem = f"{type(error).__name__}: {error}"
        took_ms = (time.perf_counter() - started) * 1000
        words = (f"{delivery.name} #{delivery.attempts}", delivery.fault, problem)
        note = " ".join(filter(None, words))
        status, received = (answer.status, answer.body) if answer else (0, b"")
        self._traffic.add(at, "out", "POST", url, envelope.body, status, received, took_ms, note)
        return answer

    def _read(self, delivery: Delivery, answer: Answer, settings: SandboxSettings) -> None:
        openid = delivery.fields["FromUserName"]
        try:
            delivery.reply = read_reply(answer.body, openid, settings, self._cipher())
        except MalformedReplyError as error:
            delivery.problem = str(error)
            self._end(delivery, "malformed")
            return
        self._end(delivery, "acknowledged")

    def _end(self, delivery: Delivery, state: str) -> None:
        # What the phone shows comes first, so that whoever waits for the end can look at it.
        self._on_end(delivery, state)
        with self._changed:
            delivery.state = state
            self.counts[state] += 1
            self._pending -= 1
            self._changed.notify_all()
