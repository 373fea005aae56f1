"""Campaigns (催收批次): who is told about their debt on one day; the row, its states, its tokens.

The commands of people stand in ``service``; ``preparing``, ``running`` and ``closing`` do the work
in batches. A campaign's row is locked by whoever moves it on, so that two workers never hold the
same batch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select, update

from gongdian.arrears.tables import campaigns, recipients
from gongdian.db import AnyRow, Session, change_one
from gongdian.errors import InputError, NotFoundError
from gongdian.ids import token_digest
from gongdian.outbox.intents import add_intent

MACHINE = "arrears"
# As long as a workflow may wait for people: an intent that comes later finds nothing.
_INTENT_LIFE = timedelta(days=30)


class CampaignState(StrEnum):
    """Where a campaign stands; ``sent``: everything is queued, deliveries are awaited."""

    PREPARING = "preparing"
    PREPARED = "prepared"
    APPROVED = "approved"
    RUNNING = "running"
    SENT = "sent"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"


CAMPAIGN_LABELS: Mapping[CampaignState, str] = {
    CampaignState.PREPARING: "准备中",
    CampaignState.PREPARED: "待审批",
    CampaignState.APPROVED: "已审批",
    CampaignState.RUNNING: "入队中",
    CampaignState.SENT: "已入队，等待送达",
    CampaignState.FINISHED: "已结束",
    CampaignState.CANCELLED: "已取消",
    CampaignState.FAILED: "出错，等待处理",
}


class RecipientState(StrEnum):
    """Where a line of a campaign stands.

    ``to_do`` is left out and becomes work for people once the campaign runs. Of what was queued,
    ``delivered`` waits for an answer and ``closed`` is over.
    """

    PLANNED = "planned"
    QUEUED = "queued"
    DELIVERED = "delivered"
    CLOSED = "closed"
    DROPPED = "dropped"
    TO_DO = "to_do"
    LEFT_OUT = "left_out"


RECIPIENT_LABELS: Mapping[RecipientState, str] = {
    RecipientState.PLANNED: "待发送",
    RecipientState.QUEUED: "已入队",
    RecipientState.DELIVERED: "已送达，等待答复",
    RecipientState.CLOSED: "已了结",
    RecipientState.DROPPED: "入队前已剔除",
    RecipientState.TO_DO: "不发送，转人工",
    RecipientState.LEFT_OUT: "不发送",
}
_NOT_SENT = (RecipientState.TO_DO.value, RecipientState.LEFT_OUT.value)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom a campaign is for; an empty tuple means all."""

    stations: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    stages: tuple[int, ...] = ()

    def as_text(self) -> str:
        """How it is stored."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)


def _scope(text: str) -> Scope:
    given = json.loads(text)
    return Scope(tuple(given["stations"]), tuple(given["classes"]), tuple(given["stages"]))


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as its row has it; ``as_of_on`` is the China day of preparation."""

    id: int
    code: str
    state: CampaignState
    scope: Scope
    as_of_on: date
    rules: str
    prepared_to: str
    ran_to: int
    planned: int
    left_out: int
    queued: int
    dropped: int
    made_by: str
    made_at: datetime
    approved_by: str
    approved_at: datetime | None
    cancelled_by: str
    cancel_reason: str | None  # a clerk's words: in no log and no audit
    finished_at: datetime | None

    @property
    def subject(self) -> str:
        """What the audit calls it."""
        return f"campaign {self.code}"


_COLUMNS = [campaigns.c[name] for name in Campaign.__dataclass_fields__]


def campaign_named(session: Session, code: str, *, is_locked: bool = False) -> Campaign:
    """A campaign by its code; NotFoundError. Locked, nobody else moves it meanwhile."""
    query = select(*_COLUMNS).where(campaigns.c.code == code)
    row = session.execute(query.with_for_update() if is_locked else query).first()
    if row is None:
        raise NotFoundError("no_campaign", "there is no such campaign", campaign=code)
    return _campaign(row)


def campaign_by_id(session: Session, campaign_id: int, *, is_locked: bool = False) -> Campaign:
    """A campaign by its number; NotFoundError."""
    query = select(*_COLUMNS).where(campaigns.c.id == campaign_id)
    row = session.execute(query.with_for_update() if is_locked else query).first()
    if row is None:
        raise NotFoundError("no_campaign", "there is no such campaign", campaign=campaign_id)
    return _campaign(row)


def list_campaigns(session: Session, most: int = 50) -> list[Campaign]:
    """The last campaigns, newest first."""
    query = select(*_COLUMNS).order_by(campaigns.c.id.desc()).limit(most)
    return [_campaign(row) for row in session.execute(query)]


def _campaign(row: AnyRow) -> Campaign:
    values = row._asdict()
    values["state"] = CampaignState(values["state"])
    values["scope"] = _scope(values["scope"])
    return Campaign(**values)


def move(
    session: Session,
    campaign: Campaign,
    states: Sequence[CampaignState],
    to: CampaignState,
    **values: Any,
) -> None:
    """Change its state; ConflictError ``campaign_state`` when it stands elsewhere."""
    change_one(
        session,
        update(campaigns)
        .where(campaigns.c.id == campaign.id, campaigns.c.state.in_([one.value for one in states]))
        .values(state=to.value, **values),
        "campaign_state",
        campaign=campaign.code,
        state=campaign.state.value,
    )


def count_lines(session: Session, campaign: Campaign) -> dict[RecipientState, int]:
    """How many lines stand in each state."""
    of = recipients.c
    query = select(of.state, func.count()).where(of.campaign_id == campaign.id).group_by(of.state)
    return {RecipientState(state): count for state, count in session.execute(query)}


def has_lines(session: Session, campaign_id: int, *states: RecipientState) -> bool:
    """Whether any line stands in one of these states; one look into the index each."""
    of = recipients.c
    return any(
        session.execute(
            select(of.id).where(of.campaign_id == campaign_id, of.state == state.value).limit(1)
        ).first()
        is not None
        for state in states
    )


def keep_token(session: Session, campaign: Campaign, which: str, token: str | None) -> None:
    """Keep the token of a waiting step (``approval_token``, ``delivery_token``), or forget it."""
    if which not in ("approval_token", "delivery_token"):
        raise InputError("no_such_token", which=which)
    session.execute(update(campaigns).where(campaigns.c.id == campaign.id).values(**{which: token}))


def finish_token(
    session: Session, campaign: Campaign, which: str, output: Mapping[str, Any], now: datetime
) -> bool:
    """Let the waiting step go on, once: an intent is written and the token forgotten."""
    token = session.execute(
        select(campaigns.c[which]).where(campaigns.c.id == campaign.id)
    ).scalar()
    if not token:
        return False
    # A step that is tried again has another token: so has its intent.
    key = f"{MACHINE}:{campaign.code}:{which}:{token_digest(token).hex()[:16]}"
    payload = {"token": token, "output": dict(output)}
    add_intent(session, key, "workflow_token", payload, now, expires_at=now + _INTENT_LIFE)
    keep_token(session, campaign, which, None)
    return True


def start_workflow(session: Session, campaign: Campaign, name: str, now: datetime) -> None:
    """Write the intent that starts the campaign's execution under a name."""
    payload = {"machine": MACHINE, "name": name, "input": {"campaign": campaign.code, "round": 0}}
    key = f"{MACHINE}:{name}:start"
    add_intent(session, key, "workflow_start", payload, now, expires_at=now + _INTENT_LIFE)
