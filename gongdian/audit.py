"""Audit trail (审计): rows join the caller's transaction; one sealer chains them within a second.

The chain is an HMAC over the row before and this row, so that whoever can only write to the
database cannot change, drop or insert a sealed row unseen. The chain's head goes to the log
(``audit_sealed``), against which a cut-off tail shows.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Index, Integer, String, Table, Text, func, select, update

from gongdian.columns import Digest, KeyText, RowId, UtcDateTime
from gongdian.db import AnyRow, Session, change_one, insert_once, metadata
from gongdian.errors import InputError

audit_rows = Table(
    "audit_rows",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", KeyText(64), nullable=False),
    Column("action", KeyText(80), nullable=False),
    Column("subject", KeyText(190), nullable=False),
    Column("details", Text, nullable=False),
    Column("seal_no", RowId, unique=True),
    Column("seal", Digest),
    Index("ix_audit_rows_subject", "subject", "id"),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("name", KeyText(20), primary_key=True),
    Column("seal_no", RowId, nullable=False),
    Column("seal", Digest, nullable=False),
    Column("version", Integer, nullable=False),
    Column("note", String(64), nullable=False, default=""),
)

_HEAD = "main"
_FIRST_SEAL = bytes(32)
_SEAL_BATCH = 1000
_HEAD_QUERY = select(audit_heads).where(audit_heads.c.name == _HEAD)


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What verifying the chain found; sound when ``findings`` is empty."""

    sealed: int
    unsealed: int
    head: str
    findings: tuple[str, ...]


def record_audit(
    session: Session,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    details: Mapping[str, Any],
) -> None:
    """Add a row in the caller's transaction. ``action`` is ``source:subject:verb``; no personal
    data belongs in ``details``."""
    if action.count(":") != 2:
        raise InputError("bad_audit_action", "write source:subject:verb", action=action)
    text = json.dumps(details, ensure_ascii=False, sort_keys=True, default=str)
    session.execute(
        audit_rows.insert().values(at=at, actor=actor, action=action, subject=subject, details=text)
    )


def seal_audit(session: Session, key: bytes) -> tuple[int, bytes]:
    """Chain up to 1,000 unsealed rows; (how many, the head's seal).

    Two sealers at once are told apart by the head's version: one of them gets ConflictError.
    """
    head = _head(session)
    rows = session.execute(
        select(audit_rows)
        .where(audit_rows.c.seal_no.is_(None))
        .order_by(audit_rows.c.id)
        .limit(_SEAL_BATCH)
    ).all()
    number, seal = head.seal_no, bytes(head.seal)
    for row in rows:
        number, seal = number + 1, _seal(key, seal, number + 1, row)
        change_one(
            session,
            update(audit_rows)
            .where(audit_rows.c.id == row.id, audit_rows.c.seal_no.is_(None))
            .values(seal_no=number, seal=seal),
            "already_sealed",
        )
    if rows:
        change_one(
            session,
            update(audit_heads)
            .where(audit_heads.c.name == _HEAD, audit_heads.c.version == head.version)
            .values(seal_no=number, seal=seal, version=head.version + 1),
            "sealed_by_another",
        )
    return len(rows), seal


def _head(session: Session) -> AnyRow:
    row = _read_head(session)
    if row is None:
        first = {"name": _HEAD, "seal_no": 0, "seal": _FIRST_SEAL, "version": 0, "note": ""}
        insert_once(session, audit_heads, first)
        row = session.execute(_HEAD_QUERY).one()
    return row


def _read_head(session: Session) -> AnyRow | None:
    return session.execute(_HEAD_QUERY).first()


def _seal(key: bytes, before: bytes, number: int, row: AnyRow) -> bytes:
    fields = [str(number), row.at.isoformat(), row.actor, row.action, row.subject, row.details]
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return hmac.digest(key, before + text.encode(), "sha256")


def verify_audit(
    session: Session, key: bytes, now: datetime, expected_head: str = ""
) -> AuditReport:
    """Recompute the chain; ``expected_head`` (a seal from the log) must be part of it.

    Others may seal meanwhile, and MariaDB shows what they committed between two statements. So
    the head is read before the rows, and the chain must hold it; and again after them, and the
    chain must not be longer.
    """
    findings: list[str] = []
    before = _head_point(session)
    number, seal, seals = 0, _FIRST_SEAL, {0: _FIRST_SEAL.hex()}
    sealed = audit_rows.c.seal_no.is_not(None)
    for row in session.execute(select(audit_rows).where(sealed).order_by(audit_rows.c.seal_no)):
        number += 1
        if row.seal_no != number:
            findings.append(f"row {row.id}: seal number {row.seal_no}, expected {number}")
            number = row.seal_no
        seal = _seal(key, seal, number, row)
        if not hmac.compare_digest(seal, bytes(row.seal)):
            findings.append(f"row {row.id} (seal {number}): changed, or its predecessor is gone")
            seal = bytes(row.seal)
        seals[number] = seal.hex()
    findings += _head_findings(before, _head_point(session), seals, number)
    if expected_head and expected_head not in seals.values():
        findings.append("the expected head is not in the chain: its end was cut off")
    findings += _stale(session, now)
    unsealed = session.execute(
        select(func.count()).select_from(audit_rows).where(audit_rows.c.seal_no.is_(None))
    ).scalar_one()
    return AuditReport(number, unsealed, seal.hex(), tuple(findings))


def _head_point(session: Session) -> tuple[int, str]:
    """How many rows the head says, and its seal; nothing is written for an empty chain."""
    head = _read_head(session)
    return (0, _FIRST_SEAL.hex()) if head is None else (head.seal_no, bytes(head.seal).hex())


def _head_findings(
    before: tuple[int, str], after: tuple[int, str], seals: dict[int, str], number: int
) -> list[str]:
    """What the heads read before and after the rows say against a chain of ``number`` rows."""
    if before[0] > number or after[0] < number:
        said = before[0] if before[0] > number else after[0]
        return [f"the head says {said} rows, the chain has {number}"]
    for said, seal in (before, after):
        # a later head may name rows that were sealed after the chain was read
        if said <= number and seals.get(said) != seal:
            return [f"the head's seal is not that of row {said} of the chain"]
    return []


def _stale(session: Session, now: datetime) -> list[str]:
    old = session.execute(
        select(func.count())
        .select_from(audit_rows)
        .where(audit_rows.c.seal_no.is_(None), audit_rows.c.at < now - timedelta(minutes=1))
    ).scalar_one()
    return [f"{old} rows unsealed for over a minute: is a worker running?"] if old else []
