"""Pushes delivery reports of text messages (SmsReport) to the application, several in one call.

Made by ``sandbox``; ``sms_platform`` hands it what it has sent. Faults: ``report_code`` changes
what a report says, the callback kinds with scope ``SmsReport`` lose, double or delay it.
"""

from __future__ import annotations

import heapq
import itertools
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from devtools.wechat_sandbox.clock import SandboxClock
from devtools.wechat_sandbox.faults import FaultDesk
from devtools.wechat_sandbox.outward_http import OutwardHttp
from devtools.wechat_sandbox.settings import SandboxSettings
from devtools.wechat_sandbox.traffic import TrafficLog

REPORT_SCOPE = "SmsReport"
LARGEST_PUSH = 100
RETRIES = 3
CHINA = timezone(timedelta(hours=8))
EXPLANATIONS = {"DELIVERED": "用户接收成功", "MOBILE_NOT_ON_SERVICE": "手机号码不在服务区或空号"}

Entry = dict[str, Any]


class SmsReporter:
    """One thread that pushes what is due and tries again what was not taken."""

    def __init__(
        self,
        clock: SandboxClock,
        settings: Callable[[], SandboxSettings],
        faults: FaultDesk,
        traffic: TrafficLog,
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._faults = faults
        self._traffic = traffic
        self._changed = threading.Condition()
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, Entry, int]] = []
        self._pushing = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; what waits is dropped."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def chosen_code(self, code: str) -> str:
        """The code that the report of this message carries, faults included."""
        fault = self._faults.for_report_code()
        return fault.receipt_status if fault else code

    def post(self, entry: Entry, code: str, sent_at: float) -> None:
        """Report on a message after the usual delay."""
        settings = self._settings()
        if not settings.sms_report_url:
            return
        fault = self._faults.for_callback(REPORT_SCOPE)
        kind = fault.kind if fault else ""
        if kind == "lost_callback":
            return
        delay_s = settings.sms_report_delay_s
        if fault and kind == "late_callback":
            delay_s += fault.seconds
        report = {
            **entry,
            "send_time": china_time(sent_at),
            "report_time": china_time(sent_at + delay_s),
            "success": code == "DELIVERED",
            "err_code": code,
            "err_msg": EXPLANATIONS.get(code, code),
        }
        for _ in range(2 if kind == "duplicate_callback" else 1):
            self._wait(report, delay_s, 0)

    def drain(self, timeout_s: float) -> bool:
        """Wait until nothing is on its way; False when time is up."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._waiting and not self._pushing, timeout_s
            )

    def drop_waiting(self) -> None:
        """Forget what is not pushed yet."""
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()

    def _wait(self, report: Entry, delay_s: float, tries: int) -> None:
        with self._changed:
            due = time.monotonic() + delay_s
            heapq.heappush(self._waiting, (due, next(self._order), report, tries))
            self._changed.notify_all()

    def _run(self) -> None:
        client = OutwardHttp()
        while (batch := self._next_batch()) is not None:
            taken = self._push(client, [report for report, _ in batch])
            again = [] if taken else [one for one in batch if one[1] < RETRIES]
            for report, tries in again:
                self._wait(report, self._settings().callback_retry_pause_s, tries + 1)
            with self._changed:
                self._pushing = 0
                self._changed.notify_all()
        client.close()

    def _next_batch(self) -> list[tuple[Entry, int]] | None:
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                batch: list[tuple[Entry, int]] = []
                while self._waiting and self._waiting[0][0] <= now and len(batch) < LARGEST_PUSH:
                    _, _, report, tries = heapq.heappop(self._waiting)
                    batch.append((report, tries))
                if batch:
                    self._pushing = len(batch)
                    return batch
                self._changed.wait(self._waiting[0][0] - now if self._waiting else None)
        return None

    def _push(self, client: OutwardHttp, reports: list[Entry]) -> bool:
        settings = self._settings()
        body = json.dumps(reports, ensure_ascii=False).encode()
        at, started = self._clock.now(), time.perf_counter()
        headers = {"Content-Type": "application/json;charset=utf-8"}
        status, received = 0, b""
        try:
            answer = client.send(
                "POST", settings.sms_report_url, body, headers, settings.callback_timeout_s
            )
            status, received = answer.status, answer.body
        except OSError:
            pass
        took_ms = (time.perf_counter() - started) * 1000
        self._traffic.add(
            at, "out", "POST", settings.sms_report_url, body, status, received, took_ms, "SmsReport"
        )
        return status == 200 and is_numeric_answer(received)


def is_numeric_answer(body: bytes) -> bool:
    """Whether the application answered as asked: a JSON object whose ``code`` is a number."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return False
    code = answer.get("code") if isinstance(answer, dict) else None
    return isinstance(code, int | float) and not isinstance(code, bool)


def china_time(at: float) -> str:
    """An instant as reports write it: ``2017-01-01 00:00:00``, China time."""
    return datetime.fromtimestamp(at, UTC).astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")
