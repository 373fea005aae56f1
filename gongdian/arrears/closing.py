"""After queueing (送达跟踪): what became of each message, and what people must do about it.

A worker's chore looks at the open lines of the campaigns, some at a time. The last delivery
finishes the token on which the workflow waits. Who could not be reached, or did not answer in time,
becomes work for people; a message that was taken back before it went out gives its stage back. The
lines of a cancelled campaign are ended here too, whoever cancelled it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, select, update

from gongdian.arrears.campaigns import (
    Campaign,
    CampaignState,
    RecipientState,
    campaign_by_id,
    finish_token,
    has_lines,
)
from gongdian.arrears.cases import untake_steps
from gongdian.arrears.tables import answers, campaigns, cases, recipients
from gongdian.arrears.worklist import NewItem, add_items
from gongdian.db import AnyRow, Database, Session
from gongdian.outbox.holding import Selection, withdraw_messages
from gongdian.outbox.model import FINAL_STATES, MessageState
from gongdian.outbox.tables import messages

WINDOW = 500
# A campaign that ended longer ago has no answers to wait for.
_LOOKED_AT = timedelta(days=35)
# Not before anything is queued. One that failed, or was resumed, may have queued a part.
_LOOKED_AT_IN = [
    state.value
    for state in CampaignState
    if state not in (CampaignState.PREPARING, CampaignState.PREPARED)
]
_CLOSED, _DELIVERED = RecipientState.CLOSED.value, RecipientState.DELIVERED.value
_FINAL = frozenset(state.value for state in FINAL_STATES)
_WAITING = (MessageState.QUEUED.value, MessageState.HELD.value)
# Taken back, overtaken or too late: if it was never tried, nobody was told.
_ENDED_UNTOLD = frozenset(
    {MessageState.WITHDRAWN.value, MessageState.SUPERSEDED.value, MessageState.EXPIRED.value}
)


@dataclass(frozen=True, slots=True)
class Looked:
    """What looking at a window of lines came to; ``after`` 0 when it was the last one."""

    lines: int
    changed: int
    after: int


@dataclass(slots=True)
class _Ends:
    """How lines end: (state, reason) by number, with the work that comes of it."""

    states: dict[int, tuple[str, str]] = field(default_factory=dict)
    work: list[tuple[AnyRow, str, str]] = field(default_factory=list)
    untold: set[str] = field(default_factory=set)


def campaigns_to_look_at(session: Session, now: datetime) -> list[int]:
    """The campaigns that may have open lines, oldest first."""
    of = campaigns.c
    query = (
        select(of.id)
        .where(of.state.in_(_LOOKED_AT_IN), of.made_at > now - _LOOKED_AT)
        .order_by(of.id)
    )
    return list(session.execute(query).scalars())


def close_lines(
    session: Session, campaign_id: int, state: RecipientState, after: int, now: datetime
) -> Looked:
    """Look at the next lines in a state (queued, delivered) and close what is over."""
    campaign = campaign_by_id(session, campaign_id, is_locked=True)
    lines = _open_lines(session, campaign, state, after)
    ends = _judge(lines, now)
    _keep(session, campaign, ends, now)
    if ends.untold:
        untake_steps(session, sorted(ends.untold), now)
    reached = lines[-1].id if len(lines) == WINDOW else 0
    return Looked(len(lines), len(ends.states), reached)


def _open_lines(
    session: Session, campaign: Campaign, state: RecipientState, after: int
) -> Sequence[AnyRow]:
    of, sent = recipients.c, messages.c
    query = (
        select(
            of.id,
            of.state,
            of.party_no,
            of.customer_no,
            of.station,
            of.cases,
            of["values"].label("content"),
            sent.state.label("ended"),
            sent.reason.label("because"),
            sent.attempts,
            sent.accepted_at,
            sent.receipt_at,
            sent.closed_at,
            sent.opened_at,
            sent.answered_at,
        )
        .join(messages, sent.key == of.message_key)
        .where(of.campaign_id == campaign.id, of.state == state.value, of.id > after)
        .order_by(of.id)
        .limit(WINDOW)
    )
    return session.execute(query).all()


def _judge(lines: Iterable[AnyRow], now: datetime) -> _Ends:
    ends = _Ends()
    for line in lines:
        if line.ended not in _FINAL:
            continue
        if line.ended == MessageState.DELIVERED.value:
            _judge_delivered(ends, line, now)
        elif line.ended in _ENDED_UNTOLD and not line.attempts:
            ends.states[line.id] = (_CLOSED, line.ended)
            ends.untold.add(line.party_no)
        elif line.ended in (MessageState.WITHDRAWN.value, MessageState.SUPERSEDED.value):
            ends.states[line.id] = (_CLOSED, line.ended)
        else:
            ends.states[line.id] = (_CLOSED, "unreachable")
            note = f"消息没有送达（{line.because}）" if line.because else "消息没有送达"
            ends.work.append((line, "unreachable", note))
    return ends


def _judge_delivered(ends: _Ends, line: AnyRow, now: datetime) -> None:
    """Opened or answered is heard; who does neither in time is called."""
    hours = line.content.get("answer_h")
    if line.opened_at or line.answered_at or hours is None:
        ends.states[line.id] = (_CLOSED, "")
        return
    since = line.receipt_at or line.accepted_at or line.closed_at
    if since + timedelta(hours=hours) <= now:
        ends.states[line.id] = (_CLOSED, "unanswered")
        note = f"消息已送达，{hours}小时内没有打开或答复"
        ends.work.append((line, "overdue", note))
    elif line.state != _DELIVERED:
        ends.states[line.id] = (_DELIVERED, "")


def _keep(session: Session, campaign: Campaign, ends: _Ends, now: datetime) -> None:
    if not ends.states:
        return
    _make_work(session, campaign, ends, now)
    statement = (
        update(recipients)
        .where(recipients.c.id == bindparam("line"), recipients.c.state != _CLOSED)
        .values(state=bindparam("to"), reason=bindparam("because"))
    )
    rows = [
        {"line": line, "to": state, "because": reason}
        for line, (state, reason) in ends.states.items()
    ]
    session.execute(statement, rows)


def _make_work(session: Session, campaign: Campaign, ends: _Ends, now: datetime) -> None:
    """Items for debts that are still open, and of which nobody of the party has heard."""
    if not ends.work:
        return
    of_line = {line.id: _case_ids(line) for line, _, _ in ends.work}
    ids = sorted(set().union(*of_line.values()))
    owed = set(
        session.execute(
            select(cases.c.id).where(cases.c.id.in_(ids), cases.c.state == "open")
        ).scalars()
    )
    answered = set(
        session.execute(
            select(answers.c.case_id).where(
                answers.c.case_id.in_(ids), answers.c.at >= campaign.made_at
            )
        ).scalars()
    )
    heard = _heard_parties(session, campaign, {line.party_no for line, _, _ in ends.work})
    items = []
    for line, kind, note in ends.work:
        still = [one for one in of_line[line.id] if one in owed and one not in answered]
        if still and line.party_no not in heard:
            items.append(NewItem(kind, line.customer_no, line.station, min(still), note))
    add_items(session, items, now)


def _heard_parties(session: Session, campaign: Campaign, party_nos: set[str]) -> set[str]:
    """Parties of whom somebody has opened or answered a card of this campaign."""
    of, sent = recipients.c, messages.c
    query = (
        select(of.party_no)
        .join(messages, sent.key == of.message_key)
        .where(
            of.campaign_id == campaign.id,
            of.party_no.in_(sorted(party_nos)),
            func.coalesce(sent.opened_at, sent.answered_at).is_not(None),
        )
    )
    return set(session.execute(query).scalars())


def _case_ids(line: AnyRow) -> list[int]:
    return [int(one[0]) for one in json.loads(line.cases)]


def tell_workflow(session: Session, campaign_id: int, now: datetime) -> bool:
    """When nothing of a sent campaign is on its way any more, its workflow goes on, once."""
    if has_lines(session, campaign_id, RecipientState.QUEUED):
        return False
    campaign = campaign_by_id(session, campaign_id, is_locked=True)
    if campaign.state is not CampaignState.SENT:
        return False
    return finish_token(session, campaign, "delivery_token", {"decision": "delivered"}, now)


def drop_cancelled(session: Session, campaign_id: int, limit: int, now: datetime) -> int:
    """End some lines of a cancelled campaign: unsent ones are dropped, queued messages withdrawn;
    how many. What was out keeps its way."""
    campaign = campaign_by_id(session, campaign_id, is_locked=True)
    if campaign.state is not CampaignState.CANCELLED:
        return 0
    of, sent = recipients.c, messages.c
    for state in (RecipientState.PLANNED, RecipientState.TO_DO):
        mine = (of.campaign_id == campaign.id, of.state == state.value)
        ids = list(session.execute(select(of.id).where(*mine).limit(limit)).scalars())
        if ids:
            values = {"state": RecipientState.DROPPED.value, "reason": "cancelled"}
            session.execute(update(recipients).where(of.id.in_(ids), *mine[1:]).values(**values))
            return len(ids)
    query = (
        select(sent.key)
        .join(recipients, sent.key == of.message_key)
        .where(
            of.campaign_id == campaign.id,
            of.state == RecipientState.QUEUED.value,
            sent.state.in_(_WAITING) | sent.next_step.is_not(None),
        )
        .limit(limit)
    )
    keys = session.execute(query).scalars().all()
    for key in keys:
        withdraw_messages(session, Selection(key=key), "campaign_cancelled", now)
    return len(keys)


@dataclass(slots=True)
class Closer:
    """The chore (送达跟踪): a window of lines a step, campaign by campaign, round after round.

    Where it stands is kept in memory: after a restart a round begins anew and changes nothing
    twice. A round over many lines is followed by a longer rest.
    """

    database: Database
    clock: Callable[[], datetime]
    seconds: Callable[[], float] = time.monotonic
    _plan: list[tuple[int, RecipientState]] = field(default_factory=list)
    _after: int = 0
    _seen: int = 0
    _rest_until: float = 0.0

    def step(self) -> bool:
        """Do a little; False when there is nothing to do for now."""
        if not self._plan and not self._begin():
            return False
        campaign_id, state = self._plan[0]
        now = self.clock()
        if self.database.run(lambda session: drop_cancelled(session, campaign_id, WINDOW, now)):
            return True
        looked = self.database.run(
            lambda session: close_lines(session, campaign_id, state, self._after, now)
        )
        self._seen += looked.lines
        self._after = looked.after
        if not looked.after:
            self.database.run(lambda session: tell_workflow(session, campaign_id, now))
            self._plan.pop(0)
        if not self._plan:
            self._rest_until = self.seconds() + 1.0 + self._seen / 5_000
            self._seen = 0
        return bool(self._plan) or looked.changed > 0

    def _begin(self) -> bool:
        if self.seconds() < self._rest_until:
            return False
        now = self.clock()
        with self.database.read() as session:
            for campaign_id in campaigns_to_look_at(session, now):
                states = [RecipientState.QUEUED, RecipientState.DELIVERED]
                open_states = [one for one in states if has_lines(session, campaign_id, one)]
                others = (RecipientState.PLANNED, RecipientState.TO_DO)
                if not open_states and self._needs_look(session, campaign_id, others):
                    open_states = [RecipientState.QUEUED]
                self._plan += [(campaign_id, one) for one in open_states]
        return bool(self._plan)

    @staticmethod
    def _needs_look(session: Session, campaign_id: int, unsent: Sequence[RecipientState]) -> bool:
        """A token that waits for nothing any more, or unsent lines of a cancelled campaign."""
        campaign = campaign_by_id(session, campaign_id)
        if campaign.state is CampaignState.CANCELLED:
            return has_lines(session, campaign_id, *unsent)
        of = campaigns.c
        waits = select(of.id).where(of.id == campaign_id, of.delivery_token.is_not(None))
        is_waiting = session.execute(waits).first() is not None
        return campaign.state is CampaignState.SENT and is_waiting
