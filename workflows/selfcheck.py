"""The self-check's steps (流程自检): what ``workflow start selfcheck`` runs through.

It shows on a new installation that workers claim, perform, retry, wait and join.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select

from gongdian.clock import china_text
from gongdian.errors import UpstreamError
from gongdian.outbox.tables import messages
from gongdian.wiring import House
from workflows.engine.performing import TaskCall


def read_clock(house: House, payload: Mapping[str, Any], call: TaskCall) -> dict[str, str]:
    """The installation's time, as people read it."""
    return {"time": china_text(house.clock.now())}


def count_messages(house: House, payload: Mapping[str, Any], call: TaskCall) -> dict[str, int]:
    """How many messages the database holds."""
    with house.database.read() as session:
        count = session.execute(select(func.count()).select_from(messages)).scalar_one()
    return {"messages": count}


def fail_once(house: House, payload: Mapping[str, Any], call: TaskCall) -> dict[str, int]:
    """Fails in its first attempt, so that a retry is seen."""
    attempt = int(payload["attempt"])
    if attempt == 0:
        raise UpstreamError("selfcheck", "the first attempt fails on purpose")
    return {"attempts": attempt + 1}
