"""Injected faults (故障注入): by percentage or for the next N, scoped, deterministic by seed.

Asked by ``platform_api`` for each API call and by ``courier`` for each callback.
"""

from __future__ import annotations

import itertools
import random
import threading
from dataclasses import asdict, dataclass
from typing import Any

API_KINDS = ("errcode", "http_error", "timeout", "slow", "reset")
CALLBACK_KINDS = (
    "duplicate_callback",
    "late_callback",
    "bad_signature",
    "lost_callback",
    "receipt_status",
)
REPORT_KINDS = ("report_code",)
SMTP_KINDS = ("smtp_reply", "smtp_drop", "smtp_slow")
# What each kind is called on the Phones page and in the steps of scenarios.
LABELS = {
    "errcode": "接口返回错误码",
    "http_error": "接口返回 HTTP 错误",
    "timeout": "接口超时",
    "slow": "接口变慢",
    "reset": "连接被重置",
    "duplicate_callback": "回调重复",
    "late_callback": "回调迟到",
    "bad_signature": "回调签名错误",
    "lost_callback": "回调丢失",
    "receipt_status": "送达回执失败",
    "report_code": "短信回执失败",
    "smtp_reply": "邮件服务器拒绝",
    "smtp_drop": "邮件连接中断",
    "smtp_slow": "邮件服务器变慢",
}
RECEIPT_EVENT = "TEMPLATESENDJOBFINISH"


@dataclass(slots=True)
class Fault:
    """One rule. See README for what each field means with each kind."""

    number: int
    kind: str
    scope: str = "*"
    percent: float = 0.0
    next_n: int = 0
    errcode: int = -1
    errmsg: str = ""
    status: int = 500
    seconds: float = 10.0
    acts: bool = False
    receipt_status: str = "failed: system failed"
    hits: int = 0


class FaultDesk:
    """The rules, in the order in which they were added; the first that applies wins."""

    def __init__(self, lock: threading.RLock, seed: int) -> None:
        self._lock = lock
        self._random = random.Random(seed)
        self._faults: list[Fault] = []
        self._numbers = itertools.count(1)
        self._hits: dict[str, int] = {}

    def add(self, kind: str, scope: str = "*", **fields: Any) -> int:
        """Add a rule and return its number; ``percent`` or ``next_n`` must be given.

        ``scope`` is an endpoint path for API kinds, and an event or message type (as sent, such
        as ``CLICK`` or ``text``) for callback kinds; for mail it is the command that the server
        hears (``CONNECT`` ``AUTH`` ``MAIL`` ``RCPT`` ``DATA``, ``CONTENT`` after the last dot);
        ``*`` is everything.
        """
        if kind == "duplicate_receipt":
            kind, scope = "duplicate_callback", RECEIPT_EVENT
        if kind not in API_KINDS + CALLBACK_KINDS + REPORT_KINDS + SMTP_KINDS:
            raise ValueError(f"unknown fault kind {kind!r}")
        if not fields.get("percent") and not fields.get("next_n"):
            raise ValueError("a fault needs percent or next_n")
        with self._lock:
            fault = Fault(next(self._numbers), kind, scope, **fields)
            self._faults.append(fault)
            return fault.number

    def remove(self, number: int) -> None:
        """Take one rule away; an unknown number is ignored."""
        with self._lock:
            self._faults = [fault for fault in self._faults if fault.number != number]

    def clear(self) -> None:
        """Take all rules away; the count of hits stays until a reset."""
        with self._lock:
            self._faults = []

    def reset(self, seed: int) -> None:
        """Take all rules away and begin the draws and counts again."""
        with self._lock:
            self._faults, self._hits = [], {}
            self._random = random.Random(seed)

    def for_call(self, path: str) -> Fault | None:
        """The fault that hits this API call, if one does."""
        return self._draw(API_KINDS, path) if self._faults else None

    def for_callback(self, name: str) -> Fault | None:
        """The fault that hits this callback, if one does."""
        kinds = tuple(kind for kind in CALLBACK_KINDS if kind != "receipt_status")
        return self._draw(kinds, name) if self._faults else None

    def for_receipt(self) -> Fault | None:
        """The fault that changes the status of this receipt, if one does."""
        return self._draw(("receipt_status",), RECEIPT_EVENT) if self._faults else None

    def for_report_code(self) -> Fault | None:
        """The fault that changes what the report of a text message says, if one does."""
        return self._draw(("report_code",), "SmsReport") if self._faults else None

    def for_smtp(self, verb: str) -> Fault | None:
        """The fault that hits this command of a mail session, if one does."""
        return self._draw(SMTP_KINDS, verb) if self._faults else None

    def listed(self) -> list[dict[str, Any]]:
        """The rules as plain values, for saving and for the control API."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def hits(self) -> dict[str, int]:
        """How often each kind has hit."""
        with self._lock:
            return dict(self._hits)

    def restore(self, saved: list[dict[str, Any]]) -> None:
        """Take saved rules."""
        with self._lock:
            self._faults = [Fault(**row) for row in saved]
            highest = max((fault.number for fault in self._faults), default=0)
            self._numbers = itertools.count(highest + 1)

    def _draw(self, kinds: tuple[str, ...], scope: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.kind not in kinds or fault.scope not in ("*", scope):
                    continue
                if not self._applies(fault):
                    continue
                fault.hits += 1
                self._hits[fault.kind] = self._hits.get(fault.kind, 0) + 1
                return fault
        return None

    def _applies(self, fault: Fault) -> bool:
        if fault.next_n > 0:
            fault.next_n -= 1
            if fault.next_n == 0 and not fault.percent:
                # Used up with this hit; a rule by percentage stays.
                self._faults = [other for other in self._faults if other is not fault]
            return True
        return self._random.random() * 100 < fault.percent
