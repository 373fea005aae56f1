"""Cards into the outbox (催费消息入队): the stage is taken and the message queued, or neither.

``running`` calls it while the campaign's row is locked. A batch goes in together; where anything is
in the way, party by party, and within a party the cards that can go (bytedeck #2510).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from gongdian.arrears.rechecking import Batch, Card
from gongdian.arrears.steps import TakeStep, take_steps
from gongdian.db import Session
from gongdian.errors import InputError
from gongdian.outbox.queueing import Queued, queue_message, queue_messages

_MOST_AT_ONCE = 500  # what queue_messages takes


def queue_cards(session: Session, batch: Batch, cards: Sequence[Card]) -> None:
    """Queue them; what cannot be is dropped with its reason."""
    for part in _by_parties(cards):
        if _queue_together(session, batch, part):
            continue
        for _, party in groupby(part, key=lambda one: one.party_no):
            _queue_party(session, batch, list(party))


def _by_parties(cards: Sequence[Card]) -> Iterator[list[Card]]:
    """Parts of at most what may be queued at once, no party in two of them."""
    part: list[Card] = []
    for _, party in groupby(cards, key=lambda one: one.party_no):
        whole = list(party)
        if part and len(part) + len(whole) > _MOST_AT_ONCE:
            yield part
            part = []
        part += whole
    if part:
        yield part


class _AnyRefusedError(Exception):
    """Something of a part cannot be taken or queued."""


def _queue_together(session: Session, batch: Batch, part: Sequence[Card]) -> bool:
    """All of them, or nothing: False."""
    queued: list[Queued] = []
    try:
        with session.begin_nested():
            if not all(_take(session, batch, part).values()):
                raise _AnyRefusedError
            for start in range(0, len(part), _MOST_AT_ONCE):
                commands = [one.command for one in part[start : start + _MOST_AT_ONCE]]
                queued += queue_messages(session, batch.ground.outbox, commands, batch.now)
            if not all(one.is_new for one in queued):
                raise _AnyRefusedError
    except (InputError, _AnyRefusedError):
        return False
    batch.told += [(one, done.key) for one, done in zip(part, queued, strict=True)]
    return True


def _queue_party(session: Session, batch: Batch, cards: list[Card]) -> None:
    """The cards of one party without those that are refused; each round drops at least one."""
    while cards:
        refused = _queue_each(session, batch, cards)
        if not refused:
            return
        gone = {one.line.id for one, _ in refused}
        cards = [one for one in cards if one.line.id not in gone]
        for one, reason in refused:
            batch.drop(one.line, reason)


def _queue_each(session: Session, batch: Batch, cards: Sequence[Card]) -> list[tuple[Card, str]]:
    """All of one party's cards, or nothing: then those that are in the way, each with its reason.

    Nothing, since a stage may only be taken for cases that a queued card speaks of.
    """
    refused: list[tuple[Card, str]] = []
    keys: list[tuple[Card, str]] = []
    with session.begin_nested() as savepoint:
        taken = _take(session, batch, cards)
        for one in cards:
            if not all(taken[due.case.id] for due in one.plan.group.dues):
                refused.append((one, "already_taken"))
                continue
            try:
                queued = queue_message(session, batch.ground.outbox, one.command, batch.now)
            except InputError as error:
                refused.append((one, error.code))
                continue
            if queued.is_new:
                keys.append((one, queued.key))
            else:
                refused.append((one, "told_today"))
        if refused:
            savepoint.rollback()
    if not refused:
        batch.told += keys
    return refused


def _take(session: Session, batch: Batch, part: Iterable[Card]) -> dict[int, bool]:
    """Take the step of each case once, whoever hears of it; which ones could be taken."""
    wanted = {
        due.case.id: TakeStep(
            due.case.id,
            due.anchor_on,
            due.stage,
            batch.campaign.id,
            batch.ground.ladder.label,
            due.rule.worklist,
        )
        for one in part
        for due in one.plan.group.dues
    }
    done = take_steps(session, list(wanted.values()), batch.now)
    return dict(zip(wanted, done, strict=True))
