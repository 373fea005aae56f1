"""Lines looked at again (入队前复核): which of what was approved today's facts still call for.

``running`` calls it with a batch of lines, whose cases it locks first: a payment that comes in
meanwhile waits, and withdraws what was queued; one that came before is seen here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import select

from gongdian.arrears.campaigns import Campaign
from gongdian.arrears.messages import FLOW, PAGE
from gongdian.arrears.planning import (
    Ground,
    Group,
    Outlook,
    Plan,
    look,
    plan_of,
    plans_of,
    refusal_of,
)
from gongdian.arrears.tables import cases
from gongdian.db import AnyRow, Session
from gongdian.errors import InputError, NotFoundError
from gongdian.ids import business_key
from gongdian.outbox.model import MessageState, QueueMessage
from gongdian.outbox.tables import messages

_MOST_WINDOWS = 9
# A message that ended like this without a try told nobody anything.
_UNTOLD = (
    MessageState.WITHDRAWN.value,
    MessageState.SUPERSEDED.value,
    MessageState.EXPIRED.value,
)


@dataclass(frozen=True, slots=True)
class Card:
    """A line whose card still holds."""

    line: AnyRow
    plan: Plan
    command: QueueMessage

    @property
    def party_no(self) -> str:
        """Whose debts it speaks of."""
        return str(self.line.party_no)

    @property
    def key(self) -> str:
        """The business key of its message."""
        command = self.command
        return business_key(command.flow, command.subject, command.occasion, command.recipient)


@dataclass(slots=True)
class Batch:
    """Lines in the making: what becomes of each."""

    campaign: Campaign
    ground: Ground
    now: datetime
    told: list[tuple[Card, str]] = field(default_factory=list)
    dropped: list[tuple[AnyRow, str]] = field(default_factory=list)

    def drop(self, line: AnyRow, reason: str) -> None:
        """This line is not told, for a reason."""
        self.dropped.append((line, reason[:40]))


def recheck(session: Session, batch: Batch, lines: Sequence[AnyRow]) -> list[Card]:
    """The lines that still hold, with cards of today's facts; the others are dropped."""
    numbers = _lock_cases(session, lines)
    outlook = look(session, batch.ground, numbers)
    cards = _still_holding(batch, outlook, lines, _cases_of(session, lines))
    return _with_occasions(session, batch, cards)


def still_for_people(session: Session, batch: Batch, lines: Sequence[AnyRow]) -> dict[int, str]:
    """Why each of these lines is left out by today's facts, by its number; the cases are locked.

    One whose reason is another now is no work for people any more.
    """
    numbers = _lock_cases(session, lines)
    outlook = look(session, batch.ground, numbers)
    _, others = plans_of(batch.ground, outlook)
    reasons = {one.facts.customer.customer_no: one.reason for one in others}
    stand = _cases_of(session, lines)
    return {
        line.id: _why_gone(
            [stand[one] for one in case_ids(line) if one in stand], reasons, "reachable_again"
        )
        for line in lines
    }


def case_ids(line: AnyRow) -> list[int]:
    """The cases that a line speaks of."""
    return [int(one[0]) for one in json.loads(line.cases)]


def _all_cases(lines: Sequence[AnyRow]) -> list[int]:
    return sorted({one for line in lines for one in case_ids(line)})


def _lock_cases(session: Session, lines: Sequence[AnyRow]) -> list[str]:
    """The customers of these lines; whoever changes their debts waits."""
    of = cases.c
    query = select(of.customer_no).where(of.id.in_(_all_cases(lines))).order_by(of.id)
    return sorted(set(session.execute(query.with_for_update()).scalars()))


def _cases_of(session: Session, lines: Sequence[AnyRow]) -> dict[int, AnyRow]:
    of = cases.c
    query = select(of.id, of.customer_no, of.state, of.close_reason)
    return {row.id: row for row in session.execute(query.where(of.id.in_(_all_cases(lines))))}


def _still_holding(
    batch: Batch, outlook: Outlook, lines: Sequence[AnyRow], stand: Mapping[int, AnyRow]
) -> list[Card]:
    groups = {(group.party_no, group.recipient): group for group in outlook.groups}
    reasons = {one.facts.customer.customer_no: one.reason for one in outlook.left_out}
    found: list[Card] = []
    changed: set[int] = set()
    for line in lines:
        approved = case_ids(line)
        group = groups.get((line.party_no, line.recipient))
        kept = _approved_part(group, set(approved)) if group else None
        if kept is None:
            batch.drop(line, _why_gone([stand[one] for one in approved if one in stand], reasons))
            continue
        try:
            plan = plan_of(batch.ground, kept)
        except (InputError, NotFoundError) as error:
            batch.drop(line, refusal_of(error))
            continue
        if (plan.rule.stage, plan.rule.kind) != (line.stage, line.kind):
            batch.drop(line, "stage_changed")  # what was approved was another card
            changed.update(approved)
            continue
        found.append(Card(line, plan, _command(plan, line.party_no, _occasion(batch.ground))))
    return _heard_by_all(batch, found, changed)


def _heard_by_all(batch: Batch, cards: list[Card], put_off: set[int]) -> list[Card]:
    """Without those that take a stage which somebody's dropped card would have told: that person
    would never hear of it. Another day all of them do."""
    while True:
        late = [one for one in cards if put_off.intersection(_spoken_of(one))]
        if not late:
            return cards
        cards = [one for one in cards if one not in late]
        for one in late:
            batch.drop(one.line, "next_window")
            put_off.update(_spoken_of(one))


def _spoken_of(card: Card) -> list[int]:
    return [due.case.id for due in card.plan.group.dues]


def _approved_part(group: Group, approved: set[int]) -> Group | None:
    """Of what the person would hear now, what was approved for them."""
    dues = tuple(due for due in group.dues if due.case.id in approved)
    return replace(group, dues=dues) if dues else None


def _why_gone(
    stand: Sequence[AnyRow], reasons: Mapping[str, str], otherwise: str = "contact_gone"
) -> str:
    """Why a line is not called for any more, by its first case that is still open."""
    for row in stand:
        if row.state == "open":
            return reasons.get(row.customer_no, otherwise)
    why = {row.close_reason for row in stand}
    if "holder" in why:
        return "transfer"
    return "prepaid" if why == {"prepaid"} else "settled"


def _occasion(ground: Ground) -> str:
    """The China day on which it is queued: campaigns of other days may run on it too."""
    return f"day#{ground.today:%Y%m%d}"


def _command(plan: Plan, party_no: str, occasion: str) -> QueueMessage:
    return QueueMessage(
        flow=FLOW,
        subject=party_no,
        occasion=occasion,
        recipient=plan.group.recipient,
        openid=plan.openid,
        kind=plan.rule.kind,
        values=plan.values,
        link_path=PAGE,
        fallbacks=plan.fallbacks,
    )


def _with_occasions(session: Session, batch: Batch, cards: Sequence[Card]) -> list[Card]:
    """One message a person, party and day, but for one that was taken back before anybody saw it
    (a cancelled campaign): then the next one is counted."""
    found: list[Card] = []
    pending = list(cards)
    for count in range(2, _MOST_WINDOWS + 1):
        known = _known_messages(session, [one.key for one in pending])
        found += [one for one in pending if one.key not in known]
        again = []
        for one in pending:
            row = known.get(one.key)
            if row is None:
                continue
            if row.state in _UNTOLD and not row.attempts and row.unknown_since is None:
                occasion = f"{_occasion(batch.ground)}.{count}"
                again.append(replace(one, command=replace(one.command, occasion=occasion)))
            else:
                batch.drop(one.line, "told_today")
        pending = again
    for one in pending:
        batch.drop(one.line, "told_today")
    return sorted(found, key=lambda one: int(one.line.id))


def _known_messages(session: Session, keys: Sequence[str]) -> dict[str, AnyRow]:
    if not keys:
        return {}
    of = messages.c
    query = select(of.key, of.state, of.attempts, of.unknown_since).where(of.key.in_(keys))
    return {row.key: row for row in session.execute(query)}
