"""Switches (停发开关): stop all sending, one channel or one kind; operators and relay call it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, or_, select

from gongdian.audit import record_audit
from gongdian.db import Session, upsert
from gongdian.outbox.model import Stop
from gongdian.outbox.tables import switches


def stop_sending(session: Session, stop: Stop, by: str, now: datetime) -> None:
    """Stop what ``stop.name`` names; a standing stop is prolonged, never shortened."""
    query = select(switches).where(switches.c.name == stop.name).with_for_update()
    standing = session.execute(query).first()
    if standing is not None and _is_longer(standing.until, stop.until):
        return
    values = {
        "stopped_at": now,
        "until": stop.until,
        "reason": stop.reason[:200],
        "stopped_by": by[:64],
    }
    session.execute(upsert(session, switches, ("name",), values), {"name": stop.name, **values})
    record_audit(session, now, by, "sending:switch:stopped", stop.name, {"reason": stop.reason})


def _is_longer(standing: datetime | None, asked: datetime | None) -> bool:
    return asked is not None and (standing is None or standing >= asked)


def start_sending(session: Session, name: str, by: str, now: datetime) -> bool:
    """Lift a stop; False when there was none."""
    lifted = session.execute(delete(switches).where(switches.c.name == name)).rowcount == 1
    if lifted:
        record_audit(session, now, by, "sending:switch:started", name, {})
    return lifted


def standing_stops(session: Session, now: datetime) -> dict[str, Stop]:
    """The stops in force, by name."""
    in_force = or_(switches.c.until.is_(None), switches.c.until > now)
    rows = session.execute(select(switches).where(in_force))
    return {row.name: Stop(row.name, row.reason, row.until) for row in rows}
