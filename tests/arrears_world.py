"""A small world of debts for tests: customers, bills, payments, a daily run, letters, outbox rows.

The run does what a campaign does, without its batches: facts, decision, step and message in one
transaction, a line per message.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import insert, select, update

from gongdian.accounts.customers import apply_customers
from gongdian.arrears.cases import TakeStep, note_decisions, refresh_cases, take_steps
from gongdian.arrears.events import facts_changed, holder_changed
from gongdian.arrears.facts import NEEDED_FEEDS, load_debts
from gongdian.arrears.letters import ApproveLetter, RecordService
from gongdian.arrears.letters import approve_letter as approve
from gongdian.arrears.letters import prepare_letter as prepare
from gongdian.arrears.letters import record_service as serve
from gongdian.arrears.model import Decision
from gongdian.arrears.rules import ladder_in_force, notice_of, seed_rules
from gongdian.arrears.tables import answers, cases, holds, recipients, steps, worklist
from gongdian.billing.rows import BillRow, PaymentRow
from gongdian.billing.service import apply_bills, apply_payments
from gongdian.clock import CHINA, china_date
from gongdian.db import AnyRow, Database, Session
from gongdian.feeds import FeedState, note_feed
from gongdian.money import to_fen
from gongdian.outbox.queueing import queue_message
from gongdian.outbox.tables import messages
from tests.factories import accepted, an_outbox, claim, command, openid, settle

NUMBER = "9900000345812"
DUE = date(2026, 11, 25)


def morning(on: date) -> datetime:
    """09:00 in China on a day, in UTC."""
    return datetime.combine(on, time(9), CHINA).astimezone(UTC)


@dataclass
class World:
    """One database and the day it is; ``told`` are the messages that were queued."""

    database: Database
    today: date = DUE - timedelta(days=20)
    told: list[tuple[date, str, int, str]] = field(default_factory=list)
    rows: int = 0

    @property
    def now(self) -> datetime:
        """09:00 of today."""
        return morning(self.today)

    def begin(self) -> World:
        """Rules in force, feeds fresh."""
        self.database.run(lambda session: seed_rules(session, "test", self.now))
        self.freshen()
        return self

    def freshen(self) -> None:
        """Every feed came this morning."""

        def work(session: Session) -> None:
            for feed in NEEDED_FEEDS:
                state = FeedState(
                    feed, self.now, self.now, 1, timedelta(days=1), timedelta(hours=6)
                )
                note_feed(session, state)

        self.database.run(work)

    def on(self, offset: int) -> World:
        """It is ``offset`` days after ``DUE``."""
        self.today = DUE + timedelta(days=offset)
        self.freshen()
        return self

    def customer(self, number: str = NUMBER, **changes: Any) -> list[str]:
        """Apply a row of the feed of customers; who has a new holder."""
        values: dict[str, Any] = {
            "party_no": number,
            "name": "张三",
            "address": "云溪县东关村2组18号",
            "customer_class": "residential",
            "voltage_kv": "0.22",
            "station": "城关供电所",
            "region": "national",
            "capacity_kva": None,
            "is_important": False,
            "is_prepaid": False,
            "autopay": "",
            "state": "active",
            **changes,
        }
        self.rows += 1

        def work(session: Session) -> list[str]:
            row = (number, *values.values(), self.rows)
            applied = apply_customers(session, [row], 1, self.now)
            if applied.holder_changed or applied.closed:
                holder_changed(session, applied.holder_changed + applied.closed, self.now)
            facts_changed(session, [number], self.now)
            return applied.holder_changed

        return self.database.run(work)

    def bill(
        self,
        number: str = NUMBER,
        amount: str = "86.40",
        due: date = DUE,
        *,
        bill_no: str = "",
        version: int = 1,
        kind: str = "normal",
    ) -> str:
        """Apply a version of a bill; its number."""
        self.rows += 1
        bill_no = bill_no or f"{number}-{due:%Y%m}"
        row = BillRow(
            self.rows,
            number,
            bill_no,
            version,
            kind,
            f"{due:%Y%m}",
            to_fen(Decimal(amount)),
            due - timedelta(days=20),
            due,
            100.0,
            "{}",
        )

        def work(session: Session) -> None:
            touched = apply_bills(session, [row], 1, self.now).customers
            facts_changed(session, sorted(touched), self.now)

        self.database.run(work)
        return bill_no

    def pay(
        self,
        number: str = NUMBER,
        amount: str = "86.40",
        *,
        bill_no: str = "",
        payment_no: str = "",
        state: str = "booked",
        expected_on: date | None = None,
    ) -> str:
        """Apply a payment; its number."""
        self.rows += 1
        payment_no = payment_no or f"T{self.rows:08d}"
        row = PaymentRow(
            self.rows,
            payment_no,
            number,
            bill_no,
            to_fen(Decimal(amount)),
            state,
            "wechat",
            self.now,
            expected_on,
        )

        def work(session: Session) -> None:
            touched = apply_payments(session, [row], 1, self.now).customers
            facts_changed(session, sorted(touched), self.now)

        self.database.run(work)
        return payment_no

    def decide(self, number: str = NUMBER) -> Decision:
        """What the ladder says of a customer today."""

        def work(session: Session) -> Decision:
            facts = load_debts(session, [number], self.now)
            if number not in facts:
                return Decision(None, None, "no_debt", None)
            return facts[number].decide(ladder_in_force(session), china_date(self.now))

        return self.database.run(work)

    def refresh(self, *numbers: str) -> None:
        """What the night does."""
        self.database.run(lambda session: refresh_cases(session, numbers or [NUMBER], self.now))

    def run(self, *numbers: str, campaign: int = 0) -> list[tuple[str, int]]:
        """One campaign over these customers; who was told of which stage."""
        campaign = campaign or self.today.toordinal()
        return self.database.run(lambda session: self._run(session, numbers or (NUMBER,), campaign))

    def _run(
        self, session: Session, numbers: tuple[str, ...], campaign: int
    ) -> list[tuple[str, int]]:
        ladder = ladder_in_force(session)
        facts = load_debts(session, numbers, self.now)
        decisions = {number: one.decide(ladder, self.today) for number, one in facts.items()}
        note_decisions(session, facts, decisions, ladder.label, self.now)
        told: list[tuple[str, int]] = []
        for number, decision in decisions.items():
            case, rule = facts[number].case, decision.rule
            if decision.stage is None or case is None or rule is None or not decision.anchor_on:
                continue
            wanted = TakeStep(
                case.id, decision.anchor_on, decision.stage, campaign, ladder.label, rule.worklist
            )
            if not take_steps(session, [wanted], self.now)[0]:
                continue
            self._queue(
                session, facts[number].customer.party_no, number, campaign, case.id, decision
            )
            told.append((number, decision.stage))
        return told

    def _queue(
        self,
        session: Session,
        party_no: str,
        number: str,
        campaign: int,
        case_id: int,
        decision: Decision,
    ) -> None:
        assert decision.rule is not None
        assert decision.anchor_on is not None
        asked = command(
            f"day#{self.today:%Y%m%d}",
            decision.rule.kind,
            subject=party_no,
            recipient=f"p{number[-4:]}",
            openid=openid(int(number[-6:])),
        )
        key = queue_message(session, an_outbox(), asked, self.now).key
        fen = to_fen(decision.principal)
        values = {
            "campaign_id": campaign,
            "party_no": party_no,
            "customer_no": number,
            "station": "城关供电所",
            "stage": decision.stage,
            "kind": decision.rule.kind,
            "recipient": asked.recipient,
            "state": "queued",
            "cases": json.dumps([[case_id, decision.anchor_on.isoformat(), fen]]),
            "values": {},
            "message_key": key,
        }
        session.execute(insert(recipients).values(**values))
        self.told.append((self.today, number, decision.stage or 0, key))

    def send(self) -> list[str]:
        """The platform takes everything that is queued; the keys."""
        claimed = claim(self.database, self.now + timedelta(minutes=1), wanted=500)
        ended = [(one, accepted(str(10_000 + one.id))) for one in claimed]
        if ended:
            settle(self.database, self.now + timedelta(minutes=2), *ended)
        return [one.key for one in claimed]

    def arrive(self) -> None:
        """Every message that is out has reached its recipient: the receipt says so."""

        def work(session: Session) -> None:
            out = update(messages).where(messages.c.state == "accepted")
            at = self.now + timedelta(minutes=3)
            session.execute(out.values(state="delivered", receipt_at=at, closed_at=at))

        self.database.run(work)

    def told_on(self, *offsets: int) -> World:
        """Runs on these days after ``DUE``, whose messages arrive."""
        for offset in offsets:
            self.on(offset).run()
            self.send()
            self.arrive()
        return self

    def letter(self, number: str = NUMBER, *, served: bool = True) -> str:
        """Prepare, approve and, if wanted, serve a letter today; its number."""

        def work(session: Session) -> str:
            notice = notice_of(session, number, self.now)
            letter_no = prepare(session, number, notice, "clerk", self.now).number
            responsible = ApproveLetter(letter_no, "chief", ("chief",), b"%PDF-1.7")
            approve(session, responsible, self.now)
            if served:
                later = self.now + timedelta(minutes=5)
                proof = RecordService(letter_no, "signed", "scan-1", later, "clerk")
                serve(session, proof, later)
            return letter_no

        return self.database.run(work)

    def case(self, number: str = NUMBER) -> AnyRow | None:
        """The open case."""
        with self.database.read() as session:
            return session.execute(select(cases).where(cases.c.open_key == number)).first()

    def all_cases(self, number: str = NUMBER) -> list[AnyRow]:
        """All cases, oldest first."""
        query = select(cases).where(cases.c.customer_no == number).order_by(cases.c.id)
        return self._all(query)

    def steps(self, number: str = NUMBER) -> list[tuple[date, int]]:
        """The stages that were taken, by anchor."""
        query = (
            select(steps.c.anchor_on, steps.c.stage)
            .join(cases, cases.c.id == steps.c.case_id)
            .where(cases.c.customer_no == number)
            .order_by(steps.c.id)
        )
        return [(anchor, stage) for anchor, stage in self._all(query)]

    def items(self, kind: str = "", state: str = "open") -> list[AnyRow]:
        """Work items."""
        query = select(worklist).where(worklist.c.state == state)
        return self._all(query.where(worklist.c.kind == kind) if kind else query)

    def holds(self) -> list[AnyRow]:
        """All holds."""
        return self._all(select(holds).order_by(holds.c.id))

    def answers(self) -> list[AnyRow]:
        """All answers."""
        return self._all(select(answers).order_by(answers.c.id))

    def states(self) -> dict[str, str]:
        """Where each message stands, by key."""
        return dict(self._all(select(messages.c.key, messages.c.state)))

    def expire(self) -> None:
        """Queued messages expire as if nobody had sent for a day."""

        def work(session: Session) -> None:
            session.execute(update(messages).values(state="expired", closed_at=self.now))

        self.database.run(work)

    def _all(self, query: Any) -> list[AnyRow]:
        with self.database.read() as session:
            return list(session.execute(query).all())
