"""What staff see of campaigns (批次查询): preview before the approval, figures while it runs.

The command line and the console read it; nothing changes here. Lists mask nothing that a card does
not mask: a card's own words are what was, or will be, sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from gongdian.arrears.campaigns import (
    Campaign,
    RecipientState,
    campaign_named,
    count_lines,
)
from gongdian.arrears.model import WHY_LABELS
from gongdian.arrears.tables import answers, cases, recipients, steps
from gongdian.db import AnyRow, Session
from gongdian.errors import NotFoundError
from gongdian.outbox.model import CHANNEL_LABELS, CHANNEL_TEMPLATE, MessageState
from gongdian.outbox.queueing import Outbox
from gongdian.outbox.tables import messages
from gongdian.render.card import preview_text

# Why a line was left out or dropped, or how it ended; beside the reasons of the ladder.
REASON_LABELS: Mapping[str, str] = {
    **WHY_LABELS,
    "unreachable": "没有可用的联系方式，或没有送达",
    "day_passed": "通知书上的期限已满，停电时间由人工另行告知",
    "next_window": "同一客户今天已有更急的提醒，改日再发",
    "unrenderable": "内容超出消息模板的限制",
    "no_case": "没有催费案",
    "settled": "已结清",
    "stage_changed": "情况有变，与审批时不是同一阶段",
    "reachable_again": "已能通知客户，由下一批次提醒",
    "contact_gone": "联系人已变更、解绑或取消关注",
    "told_today": "今天已经提醒过",
    "already_taken": "这一阶段已由别的批次提醒",
    "cancelled": "批次已取消",
    "withdrawn": "发出前已撤回",
    "superseded": "被新消息取代",
    "expired": "过了有效期没有发出",
    "unanswered": "已送达，没有打开或答复",
    "told_lately": "这几天已经提醒过",
    "old_balance": "余额是几天前测算的",
    "prepaid": "费控客户，不走催费阶梯",
    "holder": "已过户或更名",
}
_LEFT_OUT = (RecipientState.LEFT_OUT.value, RecipientState.TO_DO.value)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a campaign would send: planned cards by stage, kind and station; who gets none."""

    campaign: Campaign
    lines: Mapping[RecipientState, int]
    # (stage, kind, station) -> cards
    cards: Mapping[tuple[int, str, str], int]
    # reason -> customers
    left_out: Mapping[str, int]
    # reason -> cards that the run dropped
    dropped: Mapping[str, int]

    def by_stage(self) -> dict[tuple[int, str], int]:
        """Cards by stage and kind."""
        found: Counter[tuple[int, str]] = Counter()
        for (stage, kind, _), count in self.cards.items():
            found[stage, kind] += count
        return dict(sorted(found.items()))

    def by_station(self) -> dict[str, int]:
        """Cards by 供电所."""
        found: Counter[str] = Counter()
        for (_, _, station), count in self.cards.items():
            found[station] += count
        return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Line:
    """One recipient, or one customer who is left out; ``card`` is what they read."""

    id: int
    party_no: str
    customer_no: str
    station: str
    stage: int
    kind: str
    recipient: str
    state: RecipientState
    reason: str
    channels: tuple[str, ...]
    card: str = field(repr=False)
    message_key: str | None = None

    @property
    def channel_labels(self) -> str:
        """On which channels it goes, in words."""
        return "、".join(CHANNEL_LABELS[one] for one in self.channels)

    @property
    def reason_label(self) -> str:
        """The reason in words."""
        return REASON_LABELS.get(self.reason, self.reason)


@dataclass(frozen=True, slots=True)
class Watch:
    """How far a campaign is: its lines, and its messages by state. Never one word "sent"."""

    campaign: Campaign
    lines: Mapping[RecipientState, int]
    messages: Mapping[MessageState, int]
    opened: int
    answered: int


@dataclass(frozen=True, slots=True)
class CaseView:
    """One case of a customer, for staff."""

    id: int
    state: str
    anchor_on: date
    principal: Decimal
    bill_count: int
    stage: int
    next_on: date | None
    paused_by: str
    opened_at: datetime
    closed_at: datetime | None
    close_reason: str
    # (stage, anchor, when), newest first
    steps: tuple[tuple[int, date, datetime], ...]
    # (answer, when), newest first
    answers: tuple[tuple[str, datetime], ...]


def preview(session: Session, code: str) -> Preview:
    """The figures of a campaign's lines."""
    campaign = campaign_named(session, code)
    of = recipients.c
    mine = of.campaign_id == campaign.id
    cards = select(of.stage, of.kind, of.station, func.count()).where(
        mine, of.state.not_in(_LEFT_OUT)
    )
    counted = session.execute(cards.group_by(of.stage, of.kind, of.station))
    return Preview(
        campaign,
        count_lines(session, campaign),
        {(stage, kind, station): count for stage, kind, station, count in counted},
        _reasons(session, campaign, _LEFT_OUT),
        _reasons(session, campaign, (RecipientState.DROPPED.value,)),
    )


def _reasons(session: Session, campaign: Campaign, states: tuple[str, ...]) -> dict[str, int]:
    of = recipients.c
    query = (
        select(of.reason, func.count())
        .where(of.campaign_id == campaign.id, of.state.in_(states))
        .group_by(of.reason)
        .order_by(func.count().desc(), of.reason)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def lines_of(
    session: Session,
    outbox: Outbox,
    code: str,
    *,
    states: tuple[RecipientState, ...] = (RecipientState.PLANNED,),
    after: int = 0,
    limit: int = 20,
) -> list[Line]:
    """A page of lines by number, each with its card as the recipient reads it."""
    campaign = campaign_named(session, code)
    of = recipients.c
    query = (
        select(recipients)
        .where(
            of.campaign_id == campaign.id,
            of.state.in_([one.value for one in states]),
            of.id > after,
        )
        .order_by(of.id)
        .limit(limit)
    )
    return [_line(outbox, row._asdict()) for row in session.execute(query)]


def _line(outbox: Outbox, row: Mapping[str, Any]) -> Line:
    content = row["values"]
    return Line(
        id=row["id"],
        party_no=row["party_no"],
        customer_no=row["customer_no"],
        station=row["station"],
        stage=row["stage"],
        kind=row["kind"],
        recipient=row["recipient"],
        state=RecipientState(row["state"]),
        reason=row["reason"],
        channels=tuple(content["channels"]),
        card=_card(outbox, row["kind"], content["fields"], content["channels"]),
        message_key=row["message_key"],
    )


def _card(outbox: Outbox, kind: str, fields: Mapping[str, str], channels: list[str]) -> str:
    """What the recipient reads on the first channel; the link's last part is made when sent."""
    if not fields:
        return ""
    if channels and channels[0] != CHANNEL_TEMPLATE:
        composer = outbox.composers.get(channels[0])
        url = f"{outbox.public_url}/?m=preview"
        content = composer(kind, fields, url, "preview") if composer else None
        if content is not None and "text" in content:
            return str(content["text"])
    composed = outbox.registry.compose(outbox.policy.account, kind, fields)
    return preview_text(composed)


def watch(session: Session, code: str) -> Watch:
    """Where the lines and messages of a campaign stand."""
    campaign = campaign_named(session, code)
    of, sent = recipients.c, messages.c
    query = (
        select(sent.state, func.count(), func.count(sent.opened_at), func.count(sent.answered_at))
        .select_from(recipients)
        .join(messages, sent.key == of.message_key)
        .where(of.campaign_id == campaign.id)
        .group_by(sent.state)
    )
    rows = session.execute(query).all()
    return Watch(
        campaign,
        count_lines(session, campaign),
        {MessageState(row[0]): row[1] for row in rows},
        sum(row[2] for row in rows),
        sum(row[3] for row in rows),
    )


def cases_of(session: Session, customer_no: str) -> list[CaseView]:
    """A customer's cases, newest first; NotFoundError ``no_case`` when there never was one."""
    query = select(cases).where(cases.c.customer_no == customer_no).order_by(cases.c.id.desc())
    rows = session.execute(query).all()
    if not rows:
        raise NotFoundError("no_case", "this customer has no case", customer=customer_no)
    return [_case(session, row) for row in rows]


def _case(session: Session, row: AnyRow) -> CaseView:
    taken = session.execute(
        select(steps.c.stage, steps.c.anchor_on, steps.c.taken_at)
        .where(steps.c.case_id == row.id)
        .order_by(steps.c.id.desc())
    ).all()
    said = session.execute(
        select(answers.c.answer, answers.c.at)
        .where(answers.c.case_id == row.id)
        .order_by(answers.c.id.desc())
    ).all()
    return CaseView(
        id=row.id,
        state=row.state,
        anchor_on=row.anchor_on,
        principal=row.principal,
        bill_count=row.bill_count,
        stage=row.stage,
        next_on=row.next_on,
        paused_by=row.paused_by,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        close_reason=row.close_reason,
        steps=tuple((one.stage, one.anchor_on, one.taken_at) for one in taken),
        answers=tuple((one.answer, one.at) for one in said),
    )
