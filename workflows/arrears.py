"""The steps of an arrears campaign (催收批次的步骤): ``arrears.asl.json`` says in what order.

Each step asks the database how far the campaign has come: run twice it does the same. The long
ones work in short transactions and hand back after a while; the workflow comes round again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from gongdian.arrears import preparing, running, service
from gongdian.arrears.campaigns import (
    Campaign,
    CampaignState,
    RecipientState,
    campaign_named,
    has_lines,
)
from gongdian.db import Session
from gongdian.wiring import House
from workflows.engine.performing import TaskCall

# How long one call of a step works before it hands back, well within its TimeoutSeconds.
_TURN_S = 20.0
_Answer = dict[str, Any]


def prepare(house: House, payload: Mapping[str, Any], call: TaskCall) -> _Answer:
    """Plan batch after batch: who will be told what."""

    def batch(session: Session, campaign: Campaign) -> bool:
        now = house.clock.now()
        outbox, size = house.outbox, preparing.BATCH
        return preparing.prepare_batch(session, outbox, campaign.id, size, now).is_done

    return _in_turns(house, payload, batch)


def run(house: House, payload: Mapping[str, Any], call: TaskCall) -> _Answer:
    """Queue batch after batch what was approved and still holds."""

    def batch(session: Session, campaign: Campaign) -> bool:
        now = house.clock.now()
        return running.run_batch(session, house.outbox, campaign.id, running.BATCH, now).is_done

    return _in_turns(house, payload, batch)


def await_approval(house: House, payload: Mapping[str, Any], call: TaskCall) -> _Answer:
    """Keep the token that the decision will finish."""
    return _keep(house, payload, service.await_approval)


def await_deliveries(house: House, payload: Mapping[str, Any], call: TaskCall) -> _Answer:
    """Keep the token that the last delivery will finish."""
    return _keep(house, payload, service.await_deliveries)


def summarise(house: House, payload: Mapping[str, Any], call: TaskCall) -> _Answer:
    """The campaign is over: its figures."""
    code, now = str(payload["campaign"]), house.clock.now()
    return house.database.run(lambda session: service.finish_campaign(session, code, now))


def expire(house: House, payload: Mapping[str, Any], call: TaskCall) -> _Answer:
    """Nobody decided in time; one that was approved fails here, and ``fail`` marks it."""
    code, now = str(payload["campaign"]), house.clock.now()
    house.database.run(lambda session: service.expire_campaign(session, code, now))
    return {"campaign": code}


def fail(house: House, payload: Mapping[str, Any], call: TaskCall) -> _Answer:
    """A step failed for good; ``arrears campaign resume`` lets the campaign go on."""
    code, now = str(payload["campaign"]), house.clock.now()
    error = str(payload["error"])
    house.database.run(lambda session: service.fail_campaign(session, code, error, now))
    return {"campaign": code}


def _in_turns(
    house: House, payload: Mapping[str, Any], batch: Callable[[Session, Campaign], bool]
) -> _Answer:
    """Batches until nothing is left or the time is up; ``round`` tells the calls apart."""
    code = str(payload["campaign"])
    until = time.monotonic() + _TURN_S
    is_done = False
    while not is_done and time.monotonic() < until:
        is_done = house.database.run(lambda session: batch(session, campaign_named(session, code)))
    with house.database.read() as session:
        campaign = campaign_named(session, code)
        # What is for people only needs the run, and so the approval, as well.
        is_empty = not has_lines(session, campaign.id, RecipientState.PLANNED, RecipientState.TO_DO)
    is_prepared = campaign.state is CampaignState.PREPARED
    return {
        "is_done": is_done,
        "is_over": campaign.state in (CampaignState.CANCELLED, CampaignState.FAILED),
        "needs_approval": is_prepared and not is_empty,
        "is_empty": is_prepared and is_empty,
        "round": int(payload["round"]) + 1,
    }


def _keep(
    house: House, payload: Mapping[str, Any], keep: Callable[[Session, str, str, Any], None]
) -> _Answer:
    code, token, now = str(payload["campaign"]), str(payload["token"]), house.clock.now()
    house.database.run(lambda session: keep(session, code, token, now))
    return {"campaign": code}
