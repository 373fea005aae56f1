"""Proof of a demand (催告凭据): when a message of a stage arrived, was opened or was answered.

Queueing a message proves nothing. What a clerk recorded stands in the step itself; everything else
is looked up in the outbox each time, so that a receipt that comes late counts from then on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from sqlalchemy import or_, select

from gongdian.arrears.rules import ladder_in_force
from gongdian.arrears.tables import recipients
from gongdian.billing.bulk import chunks
from gongdian.clock import china_date
from gongdian.db import AnyRow, Session
from gongdian.errors import NotFoundError
from gongdian.outbox.model import MessageState
from gongdian.outbox.tables import messages

# The code of the stage 催告 in the stage rules.
DEMAND = "demand"
_DELIVERED = MessageState.DELIVERED.value


class Told(NamedTuple):
    """A step that a campaign took: of which case, for which anchor."""

    campaign_id: int
    case_id: int
    anchor_on: date


def stages_to_prove(session: Session) -> frozenset[int]:
    """The stages that are passed only when somebody was reached; none before there are rules."""
    try:
        rules = ladder_in_force(session).rules
    except NotFoundError:
        return frozenset()
    return frozenset(
        rule.stage
        for rule in rules
        if rule.code == DEMAND or (rule.is_required and not rule.needs_proof)
    )


def proven_days(session: Session, told: Iterable[tuple[Told, str]]) -> dict[Told, date]:
    """The first day on which a message of each step reached somebody; ``told`` with the party."""
    parties: dict[int, set[str]] = {}
    wanted: set[Told] = set()
    for one, party_no in told:
        wanted.add(one)
        parties.setdefault(one.campaign_id, set()).add(party_no)
    found: dict[Told, date] = {}
    for campaign_id, theirs in parties.items():
        for line in _reached(session, campaign_id, theirs):
            on = _day(line)
            for case_id, anchor_on, *_ in json.loads(line.cases):
                if not anchor_on:
                    continue
                one = Told(campaign_id, case_id, date.fromisoformat(anchor_on))
                if one in wanted and on < found.get(one, date.max):
                    found[one] = on
    return found


def _reached(session: Session, campaign_id: int, party_nos: set[str]) -> Iterable[AnyRow]:
    of, sent = recipients.c, messages.c
    query = (
        select(
            of.cases, sent.state, sent.receipt_at, sent.closed_at, sent.opened_at, sent.answered_at
        )
        .join_from(recipients, messages, sent.key == of.message_key)
        .where(
            of.campaign_id == campaign_id,
            or_(
                sent.state == _DELIVERED, sent.opened_at.is_not(None), sent.answered_at.is_not(None)
            ),
        )
    )
    for some in chunks(sorted(party_nos)):
        yield from session.execute(query.where(of.party_no.in_(some)))


def _day(line: AnyRow) -> date:
    """A receipt counts when it says that it arrived; a failed one says when it did not."""
    arrived = (line.receipt_at or line.closed_at) if line.state == _DELIVERED else None
    return china_date(min(at for at in (arrived, line.opened_at, line.answered_at) if at))
