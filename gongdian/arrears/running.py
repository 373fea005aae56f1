"""Running a campaign (入队): what was approved is decided anew from today's facts, then queued.

A payment, hold, dispute, transfer or stale feed since the preparation drops a line with its reason.
A batch is one transaction in which the campaign's row is locked: run twice, or by two workers,
nobody hears anything twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select, update

from gongdian.alarms import raise_alarm
from gongdian.arrears.campaigns import (
    Campaign,
    CampaignState,
    RecipientState,
    campaign_by_id,
    move,
)
from gongdian.arrears.card_queue import queue_cards
from gongdian.arrears.planning import Ground
from gongdian.arrears.preparing import TO_DO, cases_text, content_of
from gongdian.arrears.rechecking import Batch, case_ids, recheck, still_for_people
from gongdian.arrears.rules import ladder_in_force
from gongdian.arrears.tables import campaigns, recipients
from gongdian.arrears.worklist import NewItem, add_items
from gongdian.audit import record_audit
from gongdian.clock import china_date
from gongdian.db import AnyRow, Session
from gongdian.errors import ConflictError
from gongdian.outbox.queueing import Outbox

BATCH = 500
_ALLOWED = (CampaignState.APPROVED, CampaignState.RUNNING)
_OVER = (CampaignState.SENT, CampaignState.FINISHED, CampaignState.CANCELLED, CampaignState.FAILED)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a batch did; ``is_done`` when every line is queued or dropped."""

    is_done: bool
    queued: int = 0
    dropped: int = 0


def run_batch(session: Session, outbox: Outbox, campaign_id: int, limit: int, now: datetime) -> Ran:
    """Queue the next ``limit`` lines, or somewhat more to have whole parties.

    ConflictError ``campaign_state`` before the approval; one that is over is left as it is.
    """
    campaign = campaign_by_id(session, campaign_id, is_locked=True)
    if campaign.state in _OVER:
        return Ran(is_done=True)
    if campaign.state not in _ALLOWED:
        raise ConflictError("campaign_state", "it is not approved", campaign=campaign.code)
    batch = Batch(campaign, Ground(outbox, ladder_in_force(session), china_date(now), now), now)
    lines = _next_lines(session, campaign, limit)
    if not lines:
        return _finish_run(session, batch, limit)
    move(session, campaign, _ALLOWED, CampaignState.RUNNING, ran_to=lines[-1].id)
    queue_cards(session, batch, recheck(session, batch, lines))
    return _save(session, batch)


def _next_lines(session: Session, campaign: Campaign, limit: int) -> Sequence[AnyRow]:
    of = recipients.c
    columns = (of.id, of.party_no, of.stage, of.kind, of.recipient, of.cases)
    query = (
        select(*columns)
        .where(of.campaign_id == campaign.id, of.state == RecipientState.PLANNED.value)
        .order_by(of.id)
    )
    page = list(session.execute(query.limit(limit)).all())
    if len(page) == limit:  # the steps of a party are taken together
        rest = query.where(of.id > page[-1].id, of.party_no == page[-1].party_no)
        page += session.execute(rest).all()
    return page


def _save(session: Session, batch: Batch) -> Ran:
    of = recipients.c
    planned = (of.id == bindparam("line"), of.state == RecipientState.PLANNED.value)
    if batch.told:
        told = {
            "state": RecipientState.QUEUED.value,
            "message_key": bindparam("key"),
            "cases": bindparam("spoken_of"),
            "values": bindparam("content", type_=of["values"].type),
        }
        rows = [
            {
                "line": one.line.id,
                "key": key,
                "spoken_of": cases_text(one.plan),
                "content": content_of(one.plan),
            }
            for one, key in batch.told
        ]
        session.execute(update(recipients).where(*planned).values(told), rows)
    if batch.dropped:
        dropped = {"state": RecipientState.DROPPED.value, "reason": bindparam("because")}
        rows = [{"line": line.id, "because": reason} for line, reason in batch.dropped]
        session.execute(update(recipients).where(*planned).values(dropped), rows)
    counts = {
        "queued": campaigns.c.queued + len(batch.told),
        "dropped": campaigns.c.dropped + len(batch.dropped),
    }
    mine = campaigns.c.id == batch.campaign.id
    session.execute(update(campaigns).where(mine).values(**counts))
    _warn_if_stale(session, batch, [reason for _, reason in batch.dropped])
    return Ran(is_done=False, queued=len(batch.told), dropped=len(batch.dropped))


def _finish_run(session: Session, batch: Batch, limit: int) -> Ran:
    """Nothing is left to queue: what is for people becomes work for them, then it is sent."""
    campaign, now = batch.campaign, batch.now
    of = recipients.c
    query = (
        select(of.id, of.customer_no, of.station, of.reason, of.cases)
        .where(of.campaign_id == campaign.id, of.state == RecipientState.TO_DO.value)
        .order_by(of.id)
        .limit(limit)
    )
    lines = session.execute(query).all()
    if lines:
        _hand_over(session, batch, lines)
        return Ran(is_done=False)
    allowed = [CampaignState.APPROVED, CampaignState.RUNNING]
    move(session, campaign, allowed, CampaignState.SENT)
    details = {"queued": campaign.queued, "dropped": campaign.dropped}
    actor = campaign.approved_by
    record_audit(session, now, actor, "arrears:campaign:sent", campaign.subject, details)
    return Ran(is_done=True)


def _hand_over(session: Session, batch: Batch, lines: Sequence[AnyRow]) -> None:
    """Lines that nobody is told of become work for people, unless something has changed."""
    reasons = still_for_people(session, batch, lines)
    items = [
        NewItem(
            TO_DO[line.reason], line.customer_no, line.station, next(iter(case_ids(line)), None)
        )
        for line in lines
        if reasons[line.id] == line.reason
    ]
    add_items(session, items, batch.now)
    of = recipients.c
    rows = [{"line": line_id, "because": reason[:40]} for line_id, reason in reasons.items()]
    session.execute(
        update(recipients)
        .where(of.id == bindparam("line"), of.state == RecipientState.TO_DO.value)
        .values(state=RecipientState.LEFT_OUT.value, reason=bindparam("because")),
        rows,
    )
    _warn_if_stale(session, batch, reasons.values())


def _warn_if_stale(session: Session, batch: Batch, reasons: Iterable[str]) -> None:
    if "stale_feed" in reasons:
        text = f"催收批次 {batch.campaign.code} 因数据过期未发送，请先导入最新数据，再另建批次"
        raise_alarm(session, f"campaign_stale_{batch.campaign.code}", text, batch.now)
