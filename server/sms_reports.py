"""Reads delivery reports of text messages (短信回执) as Aliyun pushes them; receipts calls it.

Source: https://help.aliyun.com/document_detail/101867.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gongdian.channels import ReceiptOfSms
from gongdian.errors import InputError

MOST_REPORTS = 1000
_LONGEST = 128
# What the database can keep and compare; the provider's own ids have some 20 characters.
_BIZ_ID = re.compile(r"[!-~]{1,32}")
_OUT_ID = re.compile(r"[!-~]{1,32}")
_PHONE = re.compile(r"[!-~]{1,40}")
_NOT_IN_CODES = re.compile(r"[^A-Za-z0-9:._-]+")
_LONGEST_CODE = 40


@dataclass(frozen=True, slots=True)
class Reports:
    """What one push holds: each report once, and how many entries could not be read."""

    receipts: tuple[ReceiptOfSms, ...]
    unreadable: int


def parse_reports(body: bytes, now: datetime) -> Reports:
    """Read a push; ``now`` stands in for a time that cannot be read.

    Raises InputError when the whole is no JSON array; a single bad entry is only counted.
    """
    try:
        entries = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError("sms_reports_unreadable", "no JSON") from error
    if not isinstance(entries, list) or len(entries) > MOST_REPORTS:
        raise InputError("sms_reports_unreadable", f"no array of at most {MOST_REPORTS}")
    found: dict[str, ReceiptOfSms] = {}
    unreadable = 0
    for entry in entries:
        receipt = _receipt(entry, now)
        if receipt is None:
            unreadable += 1
        else:
            found.setdefault(receipt.dedupe, receipt)
    return Reports(tuple(found.values()), unreadable)


def _receipt(entry: object, now: datetime) -> ReceiptOfSms | None:
    if not isinstance(entry, dict):
        return None
    biz_id, phone = _text(entry, "biz_id"), _text(entry, "phone_number")
    success = entry.get("success")
    if isinstance(success, str):
        success = {"true": True, "false": False}.get(success.lower())
    sound = _BIZ_ID.fullmatch(biz_id) and _PHONE.fullmatch(phone)
    if not sound or not isinstance(success, bool):
        return None
    return ReceiptOfSms(
        out_id=out_id if _OUT_ID.fullmatch(out_id := _text(entry, "out_id")) else "",
        biz_id=biz_id,
        phone=phone,
        is_delivered=success,
        code=_code(_text(entry, "err_code")) or ("DELIVERED" if success else "UNKNOWN"),
        at=_instant(_text(entry, "report_time"), now),
        explanation=_text(entry, "err_msg"),
    )


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:  # half a character
        return ""
    return value.strip()[:_LONGEST]


def _code(text: str) -> str:
    """The network's reason as one plain word: it becomes part of a message's reason."""
    return _NOT_IN_CODES.sub("_", text).strip("_")[:_LONGEST_CODE]


def _instant(text: str, now: datetime) -> datetime:
    try:
        local = datetime.strptime(f"{text}+0800", "%Y-%m-%d %H:%M:%S%z")
        return min(local.astimezone(UTC), now)
    except (ValueError, OverflowError):
        return now
