"""Health answers (健康检查): ``/healthz`` is the process, ``/readyz`` what it depends on."""

from __future__ import annotations

import json
from typing import Any

from flask import Response

from gongdian.db import is_ready
from gongdian.errors import UpstreamError
from gongdian.outbox.model import ALL_SENDING
from gongdian.outbox.queries import oldest_due
from gongdian.outbox.switches import standing_stops
from gongdian.wiring import House

LATE_AFTER_S = 600.0


def is_alive() -> Response:
    """The process answers."""
    return _json({"status": "ok"}, 200)


def readiness(house: House) -> Response:
    """503 when the database does not answer; what is slow or stopped is named besides."""
    facts: dict[str, Any] = {"database": False, "redis": None}
    if house.redis is not None:
        facts["redis"] = house.redis.is_ready()
    try:
        with house.callback_database.read() as session:
            facts["database"] = is_ready(session)
            now = house.clock.now()
            waited = oldest_due(session, house.outbox.policy, now)
            facts["oldest_due_s"] = round(waited, 1)
            facts["stops"] = sorted(standing_stops(session, now))
    except UpstreamError as error:
        facts["detail"] = error.code
    facts["sending"] = ALL_SENDING not in facts.get("stops", [])
    facts["late"] = facts.get("oldest_due_s", 0.0) > LATE_AFTER_S
    return _json(facts, 200 if facts["database"] else 503)


def _json(facts: dict[str, Any], status: int) -> Response:
    return Response(
        json.dumps(facts, ensure_ascii=False) + "\n", status, mimetype="application/json"
    )
