"""Stages taken (已走阶段): recorded with the message's row, taken back when it never went out.

Campaigns call ``take_steps`` in the transaction that queues; events call ``untake_steps`` after
withdrawing. A stage is taken once for a case and an anchor, and at most one a China day.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, insert, select, update

from gongdian.accounts.customers import customers_of
from gongdian.arrears.tables import cases, recipients, steps
from gongdian.arrears.worklist import NewItem, add_items
from gongdian.billing.bulk import chunks, delete_rows
from gongdian.clock import china_date
from gongdian.db import AnyRow, Session
from gongdian.outbox.model import MessageState
from gongdian.outbox.tables import messages

_UNSENT = (
    MessageState.WITHDRAWN.value,
    MessageState.SUPERSEDED.value,
    MessageState.EXPIRED.value,
)


@dataclass(frozen=True, slots=True)
class TakeStep:
    """A stage is taken now: its message is queued in the same transaction.

    ``worklist`` is the kind of work item that the stage makes (``StageRule.worklist``), '' none.
    """

    case_id: int
    anchor_on: date
    stage: int
    campaign_id: int
    rules: str
    worklist: str = ""


def take_steps(session: Session, wanted: Sequence[TakeStep], now: datetime) -> list[bool]:
    """Record stages as taken; False for what must not be sent.

    That is: the case is closed, its anchor has moved, the stage was taken, one at or above it was
    taken for this anchor, or any stage of the case was taken on this China day.
    """
    today = china_date(now)
    ids = sorted({one.case_id for one in wanted})
    known = _locked(session, ids)
    taken = _taken(session, ids)
    results: list[bool] = []
    done: list[TakeStep] = []
    for one in wanted:
        case, before = known.get(one.case_id), taken.setdefault(one.case_id, [])
        is_free = case is not None and _is_free(one, case, before, today)
        results.append(is_free)
        if is_free:
            before.append((one.anchor_on, one.stage, today))
            done.append(one)
    if done:
        _record(session, done, known, now)
    return results


def take_step(session: Session, wanted: TakeStep, now: datetime) -> bool:
    """``take_steps`` for one."""
    return take_steps(session, [wanted], now)[0]


def count_anew(session: Session, case_ids: Sequence[int]) -> None:
    """Say on open cases which stage was taken last for the anchor that they have now; -1 none."""
    of = cases.c
    query = (
        select(of.id, func.max(steps.c.stage))
        .join_from(cases, steps, (steps.c.case_id == of.id) & (steps.c.anchor_on == of.anchor_on))
        .group_by(of.id)
    )
    for some in chunks(case_ids):
        by_stage: dict[int, list[int]] = {}
        found = {row[0]: row[1] for row in session.execute(query.where(of.id.in_(some)))}
        for case_id in some:
            by_stage.setdefault(found.get(case_id, -1), []).append(case_id)
        for stage, ids in by_stage.items():
            session.execute(
                update(cases).where(of.id.in_(ids), of.state == "open").values(stage=stage)
            )


def untake_steps(session: Session, party_nos: Iterable[str], now: datetime) -> int:
    """Take back the steps of open cases whose messages all ended without going out; how many.

    The next run repeats them. A step of which any message may have reached somebody, or was
    refused, stays.
    """
    numbers = sorted(set(party_nos))
    undone: list[AnyRow] = []
    for some in chunks(numbers):
        undone += _unsent_steps(session, some)
    if not undone:
        return 0
    delete_rows(session, steps.c.id, [row.id for row in undone])
    ids = sorted({row.case_id for row in undone})
    for some_ids in chunks(ids):
        again = update(cases).where(cases.c.id.in_(some_ids), cases.c.state == "open")
        session.execute(again.values(next_on=china_date(now), changed_at=now))
    count_anew(session, ids)
    return len(undone)


def _locked(session: Session, ids: Sequence[int]) -> dict[int, AnyRow]:
    of = cases.c
    query = select(of.id, of.customer_no, of.anchor_on).where(of.state == "open").order_by(of.id)
    return {
        row.id: row
        for some in chunks(ids)
        for row in session.execute(query.where(of.id.in_(some)).with_for_update())
    }


def _taken(session: Session, ids: Sequence[int]) -> dict[int, list[tuple[date, int, date]]]:
    of = steps.c
    query = select(of.case_id, of.anchor_on, of.stage, of.taken_at)
    found: dict[int, list[tuple[date, int, date]]] = {}
    for some in chunks(ids):
        for case_id, anchor_on, stage, at in session.execute(query.where(of.case_id.in_(some))):
            found.setdefault(case_id, []).append((anchor_on, stage, china_date(at)))
    return found


def _is_free(
    one: TakeStep, case: AnyRow, before: Sequence[tuple[date, int, date]], today: date
) -> bool:
    """A newer bill may be announced; an anchor before the case's own is settled."""
    if one.anchor_on < case.anchor_on:
        return False
    return not any(
        on >= today or (anchor_on == one.anchor_on and stage >= one.stage)
        for anchor_on, stage, on in before
    )


def _record(
    session: Session, done: Sequence[TakeStep], known: Mapping[int, AnyRow], now: datetime
) -> None:
    rows = [
        {
            "case_id": one.case_id,
            "anchor_on": one.anchor_on,
            "stage": one.stage,
            "campaign_id": one.campaign_id,
            "taken_at": now,
            "rules": one.rules,
        }
        for one in done
    ]
    session.execute(insert(steps), rows)
    groups: dict[tuple[int | None, str], list[int]] = {}
    for one in done:
        is_own = known[one.case_id].anchor_on == one.anchor_on
        groups.setdefault((one.stage if is_own else None, one.rules), []).append(one.case_id)
    tomorrow = china_date(now) + timedelta(days=1)
    for (stage, rules), ids in groups.items():
        values = {"stage_at": now, "next_on": tomorrow, "rules": rules, "changed_at": now}
        if stage is not None:
            values["stage"] = stage
        for some in chunks(ids):
            session.execute(update(cases).where(cases.c.id.in_(some)).values(values))
    _ask(session, [one for one in done if one.worklist], known, now)


def _ask(
    session: Session, done: Sequence[TakeStep], known: Mapping[int, AnyRow], now: datetime
) -> None:
    """Stages that are for people too."""
    if not done:
        return
    numbers = {one.case_id: known[one.case_id].customer_no for one in done}
    facts = customers_of(session, numbers.values())
    items = [
        NewItem(one.worklist, number, facts[number].station, one.case_id)
        for one in done
        if (number := numbers[one.case_id]) in facts
    ]
    add_items(session, items, now)


def _unsent_steps(session: Session, party_nos: Sequence[str]) -> list[AnyRow]:
    """Steps of open cases of these parties whose campaign told nobody of the case."""
    of = steps.c
    query = (
        select(of.id, of.case_id, of.campaign_id)
        .join_from(cases, steps, of.case_id == cases.c.id)
        .where(
            cases.c.party_no.in_(party_nos),
            cases.c.state == "open",
            of.proven_on.is_(None),  # a clerk made the demand
        )
    )
    rows = session.execute(query).all()
    unsent = _unsent_sendings(session, {row.campaign_id for row in rows}, party_nos)
    return [row for row in rows if (row.campaign_id, row.case_id) in unsent]


def _unsent_sendings(
    session: Session, campaign_ids: Iterable[int], party_nos: Sequence[str]
) -> set[tuple[int, int]]:
    """Campaign and case of which no message went out or may still go, and one was taken back."""
    of = recipients.c
    query = (
        select(of.campaign_id, of.cases, messages.c.state, messages.c.accepted_at)
        .join_from(recipients, messages, messages.c.key == of.message_key)
        .where(of.campaign_id.in_(sorted(campaign_ids)), of.party_no.in_(party_nos))
    )
    endings: dict[tuple[int, int], set[str]] = {}
    for campaign_id, spoken_of, state, accepted_at in session.execute(query):
        end = state if accepted_at is None else MessageState.ACCEPTED.value
        for case_id, *_ in json.loads(spoken_of):
            endings.setdefault((campaign_id, case_id), set()).add(end)
    allowed = {*_UNSENT, MessageState.FAILED.value}
    return {key for key, ends in endings.items() if ends <= allowed and ends & set(_UNSENT)}
