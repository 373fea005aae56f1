"""Dated rule tables (规则表): every limit, rate and period as rows with their source, by version.

A rule set is one version of one table; its rows never change. Flows read the one in force, parse
its rows with their pure model, and keep its version with what they decided.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Integer, String, Table, Text, UniqueConstraint, select, text, update

from gongdian.audit import record_audit
from gongdian.columns import Digest, KeyText, RowId, UtcDateTime
from gongdian.db import Session, change_one, insert_once, metadata
from gongdian.errors import NotFoundError

rule_sets = Table(
    "rule_sets",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("name", KeyText(40), nullable=False),
    Column("version", Integer, nullable=False),
    Column("digest", Digest, nullable=False),
    Column("rows", Text, nullable=False),
    Column("source", String(300), nullable=False),
    # draft, in_force, retired
    Column("state", KeyText(12), nullable=False),
    Column("made_by", KeyText(64), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("approved_by", KeyText(64), nullable=False, server_default=text("''")),
    Column("approved_at", UtcDateTime),
    UniqueConstraint("name", "version"),
)

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """One version of a rule table; ``rows`` are its rows as text, in order."""

    name: str
    version: int
    source: str
    rows: tuple[Row, ...]

    @property
    def label(self) -> str:
        """What results keep: ``arrears_stages v3``."""
        return f"{self.name} v{self.version}"


def put_rules(
    session: Session, name: str, rows: Sequence[Row], source: str, by: str, now: datetime
) -> int:
    """Write a new version as a draft; the version number. The same rows again are no new one."""
    content = json.dumps([dict(row) for row in rows], ensure_ascii=False, sort_keys=True)
    digest = hashlib.sha256(content.encode()).digest()
    latest = session.execute(
        select(rule_sets.c.version, rule_sets.c.digest)
        .where(rule_sets.c.name == name)
        .order_by(rule_sets.c.version.desc())
        .limit(1)
    ).first()
    if latest is not None and bytes(latest.digest) == digest:
        return int(latest.version)
    version = 1 if latest is None else latest.version + 1
    values = {
        "name": name,
        "version": version,
        "digest": digest,
        "rows": content,
        "source": source[:300],
        "state": "draft",
        "made_by": by,
        "made_at": now,
    }
    if insert_once(session, rule_sets, values):
        record_audit(session, now, by, "rules:set:made", name, {"version": version})
    return version


def enforce_rules(session: Session, name: str, version: int, by: str, now: datetime) -> None:
    """Put a version in force and retire the one before; also back to an older one."""
    columns = rule_sets.c
    session.execute(
        update(rule_sets)
        .where(columns.name == name, columns.state == "in_force", columns.version != version)
        .values(state="retired")
    )
    change_one(
        session,
        update(rule_sets)
        .where(columns.name == name, columns.version == version)
        .values(state="in_force", approved_by=by, approved_at=now),
        "no_such_rules",
        name=name,
        version=version,
    )
    record_audit(session, now, by, "rules:set:in_force", name, {"version": version})


def rules_in_force(session: Session, name: str) -> RuleSet:
    """The version in force; NotFoundError ``no_rules`` before any was."""
    columns = rule_sets.c
    row = session.execute(
        select(columns.version, columns.source, columns.rows)
        .where(columns.name == name, columns.state == "in_force")
        .order_by(columns.version.desc())
        .limit(1)
    ).first()
    if row is None:
        raise NotFoundError("no_rules", "no version of this rule table is in force", name=name)
    return RuleSet(name, row.version, row.source, tuple(json.loads(row.rows)))


def has_rules(session: Session, name: str) -> bool:
    """Whether any version was ever written."""
    found = select(rule_sets.c.id).where(rule_sets.c.name == name).limit(1)
    return session.execute(found).first() is not None
