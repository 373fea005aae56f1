"""Logs (日志): one JSON object a line, constant event names, personal data masked."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SECRET_FIELDS = re.compile(
    r"(secret|password|passwd|token|ticket|aes_key|authorization|cookie|api_key)", re.IGNORECASE
)
_PHONE_FIELDS = re.compile(r"(?:.*_)?(?:phone|mobile)")

# Most texts hold nothing to mask: a cheap look decides which of the patterns below are needed.
_NAME_ONLY = re.compile(r"[a-z_]*")
_DIGITS = re.compile(r"\d[\d -]{9}")
_OPENID_START = re.compile(r"o[A-Za-z0-9_-]{24}")
_WORDS = ("token", "secret", "ticket", "passw", "pwd", "key", "code", "author", "bearer", "m=")

# A mobile number; an identity card (身份证: district, birthday, number, check digit); a landline.
_NUMBER = re.compile(
    r"(?<!\d)(?:((?:(?:00)?86)?[- ]?1[3-9]\d)[- ]?\d{4}[- ]?(\d{4})"
    r"|([1-9]\d{3})\d\d(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]"
    r"|(?<![A-Za-z])(0\d{2,3}-)\d{3,4}(\d{4}))(?!\d)"
)
# An openid holds digits or capitals; a name of our own in small letters is none.
_OPENID = re.compile(
    r"(?<![A-Za-z0-9])(o(?=[a-z_-]{0,27}[A-Z0-9])[A-Za-z0-9_-]{3})[A-Za-z0-9_-]{21,24}(?![A-Za-z0-9])"
)
# The bounds keep long hostile texts from costing more than their length.
_ACCOUNT = re.compile(r"(://[^\s/:@\"']{0,100}:)(?!\d{1,5}(?:[/?#\s]|$))[^\s\"'<>]{0,200}@")
_MAIL = re.compile(r"(?<![\w.%+-])([\w.%+-])[\w.%+-]{0,63}((?:@|%40)[\w-]+(?:\.[\w-]+)+)")
# In addresses and in JSON; "errcode=" is no secret, and "m=" is a card's link token.
_QUERY = re.compile(
    r"((?:token|secret|ticket|passw(?:or)?d|pwd|session_key|api_?key|aes_?key|authorization"
    r"|(?<![A-Za-z_])(?:js_|auth_)?code|[?&]m)"
    r"[\"']?\s*(?:[=:]|%3D)\s*[\"']?)(?:(?:bearer|basic)\s+)?[^&\s\"',}]+"
    r"|(bearer\s+)[^\s\"',}]+",
    re.IGNORECASE,
)
_NAME_FIELDS = ("name", "customer_name", "contact_name", "address")

_bound: ContextVar[dict[str, object] | None] = ContextVar("gongdian_log_fields", default=None)


def mask_phone(phone: str) -> str:
    """``13812345678`` -> ``138****5678``."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 8 else "*" * len(phone)


def mask_name(name: str) -> str:
    """``张三丰`` -> ``张**``; the first character stays."""
    return name[:1] + "*" * max(len(name) - 1, 1) if name else ""


def mask_openid(openid: str) -> str:
    """The first four characters and the length, enough to compare two log lines."""
    return f"{openid[:4]}…{len(openid)}" if openid else ""


def mask_text(text: str) -> str:
    """Mask phones, identity cards, mail addresses, openids and secrets wherever they stand."""
    if _NAME_ONLY.fullmatch(text):
        return text
    if "@" in text or "%40" in text:
        text = _MAIL.sub(r"\1***\2", _ACCOUNT.sub(r"\1***@", text))
    if _DIGITS.search(text):
        text = _NUMBER.sub(r"\1\3\4****\2\5", text)
    if _OPENID_START.search(text):
        text = _OPENID.sub(r"\1…", text)
    small = text.lower()
    for word in _WORDS:
        if word in small:
            return _QUERY.sub(r"\1\2***", text)
    return text


def mask_field(name: str, value: object) -> object:
    """A log field as it may be written; a number that is no phone or identity card stays one."""
    rule = _rule_of(name)
    if rule == "secret":
        return "***"
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float) and not rule and abs(value) < _SMALLEST_PHONE:
        return value
    text = str(value)
    if rule == "openid":
        return mask_openid(text)
    if rule == "name":
        return mask_name(text)
    masked = mask_text(text)
    if masked != text:
        return masked
    if rule == "phone":
        return f"****{text[-4:]}" if len(text) >= 8 else "*" * len(text)
    return value if isinstance(value, int | float) else text


_SMALLEST_PHONE = 10**10


@lru_cache(maxsize=1000)
def _rule_of(name: str) -> str:
    """What a field's name says about its value."""
    if _SECRET_FIELDS.search(name):
        return "secret"
    if name == "openid":
        return "openid"
    if name in _NAME_FIELDS:
        return "name"
    return "phone" if _PHONE_FIELDS.fullmatch(name) else ""


@contextmanager
def log_fields(**fields: object) -> Iterator[None]:
    """Bind fields (flow, request_id, customer_no_masked) to every line logged inside."""
    token = _bound.set({**(_bound.get() or {}), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


class JsonFormatter(logging.Formatter):
    """One masked JSON object a record; a traceback's text is masked too."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": mask_text(record.getMessage()),
        }
        extra = {name: item for name, item in vars(record).items() if name not in _STANDARD}
        for name, item in {**(_bound.get() or {}), **extra}.items():
            line.setdefault(name, mask_field(name, item))
        if record.exc_info:
            line["error"] = mask_text(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def set_up_logs(level: str) -> None:
    """Send every log line to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("werkzeug", "urllib3", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
