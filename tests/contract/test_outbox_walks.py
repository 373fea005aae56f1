"""Random walks through the outbox: no forbidden step, no message lost, one end for each."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.outbox.holding import Selection, hold_messages, release_messages, withdraw_messages
from gongdian.outbox.model import FINAL_STATES, ClaimedMessage, MessageState, SendingPolicy
from tests.factories import (
    NOT_SENT,
    UNKNOWN,
    accepted,
    an_outbox,
    claim,
    one_sweep,
    openid,
    queue,
    receipt,
    refused,
    report,
    row_of,
    settle,
    state_of,
)

S = MessageState
# What may follow a state, directly or through states that one step passes at once.
_AFTER_ATTEMPT = {
    S.HELD,
    S.SUPERSEDED,
    S.ACCEPTED,
    S.DELIVERED,
    S.FAILED,
    S.EXPIRED,
    S.WITHDRAWN,
    S.UNKNOWN,
    S.QUEUED,
}
ALLOWED: dict[MessageState, set[MessageState]] = {
    S.QUEUED: {S.HELD, S.SENDING, S.EXPIRED, S.WITHDRAWN, S.SUPERSEDED, S.UNKNOWN}
    | {S.ACCEPTED, S.DELIVERED, S.FAILED},  # by a late report or a receipt
    S.HELD: {S.QUEUED, S.EXPIRED, S.WITHDRAWN, S.SUPERSEDED, S.UNKNOWN}
    | {S.ACCEPTED, S.DELIVERED, S.FAILED},
    S.SENDING: _AFTER_ATTEMPT,
    S.ACCEPTED: {S.DELIVERED, S.FAILED, S.UNKNOWN},
    # "nobody knows" may still become known; nothing else ends twice
    S.UNKNOWN: {S.ACCEPTED, S.DELIVERED, S.FAILED},
    S.DELIVERED: set(),
    S.FAILED: {S.ACCEPTED},  # refused, but an earlier try was accepted
    S.EXPIRED: set(),
    S.WITHDRAWN: set(),
    S.SUPERSEDED: set(),
}
POLICY: dict[str, Any] = {"contact_daily_cap": 50, "receipt_timeout": timedelta(hours=2)}


class Walk:
    """One walk: up to a dozen messages of three people, two workers, an unreliable platform."""

    def __init__(self, database: Database, clock: MovableClock, seed: int) -> None:
        self.database, self.clock = database, clock
        self.random = random.Random(seed)
        self.policy: SendingPolicy = an_outbox(**POLICY).policy
        self.keys: list[str] = []
        self.states: dict[str, MessageState] = {}
        self.held: list[ClaimedMessage] = []  # claimed, not settled yet
        self.msgid = 0

    def step(self) -> str:
        """One random move."""
        moves = (self.queue, self.claim, self.claim, self.settle, self.settle, self.settle)
        others = (self.receive, self.receive, self.sweep, self.wait, self.change)
        move = self.random.choice(moves + others)
        move()
        return move.__name__

    def queue(self) -> None:
        if len(self.keys) >= 12:
            return
        person = self.random.randrange(3)
        key = queue(
            self.database,
            self.clock.now(),
            f"walk#{len(self.keys)}",
            openid=openid(person),
            recipient=f"c{person}",
            topic=self.random.choice(["", "", "etr"]),
            expires_at=self.clock.now() + timedelta(minutes=self.random.choice([1, 20, 300])),
        )
        self.keys.append(key)

    def claim(self) -> None:
        worker = self.random.choice(["one", "two"])
        wanted = self.random.randrange(1, 4)
        now = self.clock.now()
        self.held += claim(self.database, now, wanted=wanted, worker=worker, policy=self.policy)

    def settle(self) -> None:
        if not self.held:
            return
        message = self.held.pop(self.random.randrange(len(self.held)))
        if self.random.random() < 0.15:
            return  # the worker was killed
        self.msgid += 1
        msgid = self.random.choice([str(self.msgid), "0"])
        outcomes = [accepted(msgid)] * 4 + [UNKNOWN, UNKNOWN, NOT_SENT]
        outcomes += [refused(code) for code in (-1, 45011, 40037, 43004, 47003)]
        outcome = self.random.choice(outcomes)
        settle(self.database, self.clock.now(), (message, outcome), policy=self.policy)
        if self.random.random() < 0.1:  # the commit's answer was lost: it is settled again
            settle(self.database, self.clock.now(), (message, outcome), policy=self.policy)

    def receive(self) -> None:
        msgid = self.random.choice(["0", str(self.random.randrange(self.msgid + 3)), "999999"])
        status = self.random.choice(["success", "success", "failed:user block"])
        person = openid(self.random.randrange(3))
        one = receipt(msgid, self.clock.now(), status, person=person)
        report(self.database, *[one] * self.random.choice([1, 1, 2]))

    def sweep(self) -> None:
        one_sweep(self.database, self.clock.now(), self.policy)

    def wait(self) -> None:
        self.clock.move(timedelta(seconds=self.random.choice([1, 7, 40, 70, 300, 700])))

    def change(self) -> None:
        if not self.keys:
            return
        chosen, now = Selection(key=self.random.choice(self.keys)), self.clock.now()
        until = self.random.choice([None, now + timedelta(minutes=3)])
        work = self.random.choice(
            [
                lambda session: hold_messages(session, chosen, "walk", until, now),
                lambda session: release_messages(session, chosen, now),
                lambda session: withdraw_messages(session, chosen, "walk", now),
            ]
        )
        self.database.run(work)

    def check(self, move: str) -> None:
        """Every state that changed has changed as it may."""
        for key in self.keys:
            row = row_of(self.database, key)
            now, before = MessageState(row.state), self.states.get(key, MessageState.QUEUED)
            assert now is before or now in ALLOWED[before], (move, key, before, now)
            assert (row.closed_at is not None) == (now in FINAL_STATES), (move, key, now)
            assert (row.lease_until is not None) == (now is MessageState.SENDING), (move, key)
            if now is MessageState.WITHDRAWN:
                assert row.unknown_since is None, "what may have been shown is not withdrawn"
            self.states[key] = now

    def finish(self) -> None:
        """Let time pass until nothing moves any more."""
        self.held.clear()
        for _ in range(8):
            for key in self.keys:
                chosen = Selection(key=key)
                self.database.run(
                    lambda s: release_messages(s, chosen, self.clock.now())  # noqa: B023
                )
            self.clock.move(timedelta(hours=1))
            self.sweep()
            self.check("finish")


@pytest.mark.parametrize("seed", range(6))
def test_a_walk_breaks_no_rule_and_ends_every_message(
    database: Database, clock: MovableClock, seed: int
) -> None:
    walk = Walk(database, clock, seed)
    for _ in range(70):
        walk.check(walk.step())
    walk.finish()
    assert walk.keys
    ends = {key: MessageState(state_of(database, key)) for key in walk.keys}
    assert set(ends.values()) <= FINAL_STATES, ends
