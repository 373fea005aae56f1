"""Preparing a campaign (准备批次): party by party, who will be told what, and who not and why.

One batch is one transaction: its lines and how far it has come are written together, so that a
batch that is broken off, or tried twice, leaves no line twice and no customer out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select, update

from gongdian.accounts.customer_tables import customers
from gongdian.arrears.campaigns import (
    Campaign,
    CampaignState,
    RecipientState,
    Scope,
    campaign_by_id,
    move,
)
from gongdian.arrears.cases import note_decisions
from gongdian.arrears.planning import (
    Ground,
    LeftOut,
    Plan,
    look,
    plans_of,
)
from gongdian.arrears.rules import ladder_in_force
from gongdian.arrears.tables import campaigns, recipients
from gongdian.audit import record_audit
from gongdian.billing.bulk import in_order, insert_rows
from gongdian.columns import EncryptedJson
from gongdian.db import Session
from gongdian.outbox.queueing import Outbox
from gongdian.privacy import seal

BATCH = 2_000
# Left out, and something for people: what becomes an item of the worklist when the campaign runs.
TO_DO = {
    "unreachable": "unreachable",
    "demand_unproven": "demand_unproven",
    "letter_due": "letter_due",
    "proof_due": "proof_due",
    "all_taken": "overdue",
    "day_passed": "overdue",
    "closed_customer": "closed",
}
_NO_VALUES: dict[str, Any] = {"fields": {}, "channels": []}
_CONTENT = EncryptedJson("arrears_recipients.values")
_Cells = tuple[int, str, str, str, int, str, str, str, str, str, bytes]
_COLUMNS = in_order(recipients, without="id")[:-1]  # the last one is the message's key


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a batch added; ``is_done`` when no customer is left."""

    is_done: bool
    planned: int = 0
    left_out: int = 0


def prepare_batch(
    session: Session, outbox: Outbox, campaign_id: int, limit: int, now: datetime
) -> Prepared:
    """Plan the next ``limit`` customers, or somewhat more to have whole parties.

    A campaign that is not being prepared (any more) is left as it is.
    """
    campaign = campaign_by_id(session, campaign_id, is_locked=True)
    if campaign.state is not CampaignState.PREPARING:
        return Prepared(is_done=True)
    numbers, reached = _next_customers(session, campaign.scope, campaign.prepared_to, limit)
    if not numbers:
        move(session, campaign, [CampaignState.PREPARING], CampaignState.PREPARED)
        details = {"planned": campaign.planned, "left_out": campaign.left_out}
        action = "arrears:campaign:prepared"
        record_audit(session, now, campaign.made_by, action, campaign.subject, details)
        return Prepared(is_done=True)
    ground = Ground(outbox, ladder_in_force(session), campaign.as_of_on, now)
    outlook = look(session, ground, numbers, campaign.scope)
    note_decisions(session, outlook.facts, outlook.decisions, ground.ladder.label, now)
    plans, others = plans_of(ground, outlook)
    lines = [_planned(campaign, plan) for plan in plans]
    lines += [_left_out(campaign, one) for one in others]
    insert_rows(session, recipients, _COLUMNS, lines)
    session.execute(
        update(campaigns)
        .where(campaigns.c.id == campaign.id)
        .values(
            prepared_to=reached,
            planned=campaigns.c.planned + len(plans),
            left_out=campaigns.c.left_out + len(others),
            rules=ground.ladder.label,
        )
    )
    return Prepared(is_done=False, planned=len(plans), left_out=len(others))


def _next_customers(
    session: Session, scope: Scope, after: str, limit: int
) -> tuple[list[str], str]:
    """The customers of the next whole parties, and the last of these parties."""
    of = customers.c
    query = select(of.party_no, of.customer_no).order_by(of.party_no)
    if scope.stations:
        query = query.where(of.station.in_(scope.stations))
    rows = session.execute(query.where(of.party_no > after).limit(limit + 1)).all()
    if not rows:
        return [], after
    if len(rows) <= limit:
        return [row.customer_no for row in rows], rows[-1].party_no
    last = rows[-1].party_no  # the rest of this party may lie behind the page
    whole = [row for row in rows if row.party_no != last]
    if not whole:
        whole = list(session.execute(query.where(of.party_no == last)).all())
    return [row.customer_no for row in whole], whole[-1].party_no


def _planned(campaign: Campaign, plan: Plan) -> _Cells:
    first = plan.group.dues[0]
    return (
        campaign.id,
        plan.group.party_no,
        first.customer_no,
        first.facts.customer.station,
        plan.rule.stage,
        plan.rule.kind,
        plan.group.recipient,
        RecipientState.PLANNED.value,
        "",
        cases_text(plan),
        _sealed(content_of(plan)),
    )


def content_of(plan: Plan) -> dict[str, Any]:
    """What lines keep of a card: its fields, its channels, how long an answer is awaited."""
    return {
        "fields": dict(plan.values),
        "channels": plan.channels,
        "answer_h": plan.rule.answer_h,
    }


def cases_text(plan: Plan) -> str:
    """The cases that a card speaks of, as lines keep them."""
    return _cases_text(
        (due.case.id, due.anchor_on, due.decision.principal) for due in plan.group.dues
    )


def _cases_text(rows: Iterable[tuple[int, date | None, Decimal]]) -> str:
    """JSON, written by hand: there are hundreds of thousands."""
    texts = (f'[{case},"{anchor or ""}",{int(owed.scaleb(2))}]' for case, anchor, owed in rows)
    return f"[{','.join(texts)}]"


def _left_out(campaign: Campaign, one: LeftOut) -> _Cells:
    customer, decision = one.facts.customer, one.decision
    case, rule = one.facts.case, decision.rule
    state = RecipientState.TO_DO if one.reason in TO_DO else RecipientState.LEFT_OUT
    rows = [] if case is None else [(case.id, decision.anchor_on, one.facts.debt.principal)]
    return (
        campaign.id,
        customer.party_no,
        customer.customer_no,
        customer.station,
        -1 if rule is None else rule.stage,
        "" if rule is None else rule.kind,
        "",
        state.value,
        one.reason,
        _cases_text(rows),
        _sealed(_NO_VALUES),
    )


def _sealed(content: dict[str, Any]) -> bytes:
    """As the column's type stores it."""
    return seal(_CONTENT.encode(content), _CONTENT.purpose)
