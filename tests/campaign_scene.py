"""A small county with debts and campaigns (催收样例), driven by hand, on any database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select

from gongdian.accounts.binding_rows import bind_own_row
from gongdian.accounts.customer_contacts import ContactRow, apply_contacts
from gongdian.accounts.customers import CustomerRow, apply_customers
from gongdian.arrears import service
from gongdian.arrears.balance_reminders import seed_thresholds
from gongdian.arrears.campaigns import Campaign, RecipientState, Scope, campaign_named
from gongdian.arrears.closing import Closer, close_lines, drop_cancelled, tell_workflow
from gongdian.arrears.events import facts_changed, holder_changed
from gongdian.arrears.holds import HoldCustomer, hold
from gongdian.arrears.preparing import prepare_batch
from gongdian.arrears.rules import seed_rules
from gongdian.arrears.running import run_batch
from gongdian.arrears.service import ApproveCampaign, CancelCampaign, StartCampaign
from gongdian.arrears.tables import recipients, steps, worklist
from gongdian.billing.rows import BalanceRow, BillRow, PaymentRow
from gongdian.billing.service import apply_balances, apply_bills, apply_payments
from gongdian.clock import MovableClock
from gongdian.db import AnyRow, Database, Session
from gongdian.feeds import FeedState, note_feed
from gongdian.outbox.tables import intents, messages
from tests.account_factories import a_customer, a_firm, a_follower, a_person, sms_outbox

# The scene's clock stands on 23 November: the eighth day after this one.
OVERDUE = date(2026, 11, 15)
COMING = date(2026, 11, 25)
FEEDS = ("customers", "contacts", "bills", "payments", "balances")
APPROVAL_ABOVE = 100
_DONE_AFTER = 1_000


class CampaignScene:
    """Facts in, campaigns step by step; each call is a transaction of its own."""

    def __init__(self, database: Database, clock: MovableClock) -> None:
        self.database, self.clock = database, clock
        self.outbox = sms_outbox()
        self._rows = 0
        self._people = 0
        self.do(lambda s: seed_rules(s, "test", self.now))
        self.do(lambda s: seed_thresholds(s, "test", self.now))
        self.fresh()

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def do(self, work: Any) -> Any:
        """One writing transaction."""
        return self.database.run(work)

    def fresh(self, *feeds: str) -> None:
        """These feeds have just come."""
        for feed in feeds or FEEDS:
            state = FeedState(feed, self.now, self.now, 1, timedelta(days=1), timedelta(hours=6))
            self.do(lambda s: note_feed(s, state))  # noqa: B023

    # facts

    def household(self, customer_no: str, *, debt: int | None = 8_640, **changes: Any) -> None:
        """A resident with a phone on file; ``debt`` [fen] is overdue."""
        self._people += 1
        phone = f"138{self._people:08d}"
        self.customers(a_customer(customer_no, **changes), a_person(customer_no, phone=phone))
        if debt:
            self.bill(customer_no, debt)

    def firm(self, customer_no: str, *, debt: int | None = 900_000, **changes: Any) -> None:
        """A company without people; ``debt`` [fen] is overdue."""
        self.customers(a_firm(customer_no, **changes))
        if debt:
            self.bill(customer_no, debt)

    def customers(self, *rows: CustomerRow | ContactRow) -> None:
        """Apply rows as an import does, and what follows from a new holder."""
        firms = [row for row in rows if isinstance(row, CustomerRow)]
        people = [row for row in rows if isinstance(row, ContactRow)]

        def work(session: Session) -> None:
            applied = apply_customers(session, firms, 2, self.now)
            apply_contacts(session, people, 2, self.now)
            holder_changed(session, [*applied.holder_changed, *applied.closed], self.now)

        self.do(work)

    def follower(self, *customer_nos: str, level: int = 1, role: str = "finance") -> str:
        """Somebody with WeChat who is bound to these; their number in business keys."""
        self._people += 1
        contact = a_follower(self.database, self.now, self._people)

        def bind(session: Session) -> None:
            for number in customer_nos:
                bind_own_row(session, contact.id, number, 1, self.now, role=role, level=level)

        self.do(bind)
        return contact.number

    def bill(
        self,
        customer_no: str,
        fen: int,
        *,
        due_on: date = OVERDUE,
        period: str = "202610",
        version: int = 1,
        kind: str = "normal",
    ) -> None:
        """Issue a bill, numbered by its month."""
        self._rows += 1
        issued = due_on - timedelta(days=10)
        number = f"Y{period}{customer_no[-4:]}"
        row = BillRow(
            self._rows, customer_no, number, version, kind, period, fen, issued, due_on, 160.0, "{}"
        )
        self._change(lambda s: apply_bills(s, [row], 3, self.now), customer_no)

    def pay(
        self, customer_no: str, fen: int, *, state: str = "booked", expected_on: date | None = None
    ) -> None:
        """A payment comes in."""
        self._rows += 1
        row = PaymentRow(
            self._rows,
            f"L{self._rows:06d}",
            customer_no,
            "",
            fen,
            state,
            "bank_debit" if state == "in_flight" else "wechat",
            self.now,
            expected_on,
        )
        self._change(lambda s: apply_payments(s, [row], 4, self.now), customer_no)

    def balance(self, customer_no: str, fen: int) -> None:
        """What a prepaid customer has left."""
        row = BalanceRow(1, customer_no, fen, self.now - timedelta(hours=4))
        self._change(lambda s: apply_balances(s, [row], 5, self.now), customer_no)

    def hold(self, customer_no: str, kind: str) -> None:
        """A clerk, or the customer's answer, stops the reminders."""
        until = self.now + timedelta(days=2) if kind == "claimed_paid" else None
        command = HoldCustomer(customer_no, "等待核实", "li", until, kind)
        self.do(lambda s: hold(s, command, self.now))

    def _change(self, apply: Any, customer_no: str) -> None:
        def work(session: Session) -> None:
            apply(session)
            facts_changed(session, [customer_no], self.now)

        self.do(work)

    # campaigns

    def start(self, code: str = "nov23", by: str = "chen", scope: Scope | None = None) -> Campaign:
        """Begin a campaign."""
        command = StartCampaign(code, by, scope or Scope())
        found: Campaign = self.do(lambda s: service.start_campaign(s, command, self.now))
        return found

    def prepare(self, code: str = "nov23", limit: int = 500) -> Campaign:
        """Prepare it to the end."""
        for _ in range(_DONE_AFTER):
            campaign = self.campaign(code)
            done = self.do(
                lambda s: prepare_batch(s, self.outbox, campaign.id, limit, self.now)  # noqa: B023
            )
            if done.is_done:
                return self.campaign(code)
        raise AssertionError("preparing does not end")

    def prepared(self, code: str = "nov23", scope: Scope | None = None, **options: Any) -> Campaign:
        """Begin and prepare."""
        self.start(code, scope=scope)
        return self.prepare(code, **options)

    def approve(self, code: str = "nov23", by: str = "li", above: int = APPROVAL_ABOVE) -> Campaign:
        """Somebody approves."""
        command = ApproveCampaign(code, by, above)
        found: Campaign = self.do(lambda s: service.approve_campaign(s, command, self.now))
        return found

    def cancel(self, code: str = "nov23", by: str = "li") -> None:
        """Somebody cancels, and the chore ends the lines."""
        command = CancelCampaign(code, by, "名单有误")
        campaign = self.do(lambda s: service.cancel_campaign(s, command, self.now))
        while self.do(lambda s: drop_cancelled(s, campaign.id, 500, self.now)):
            pass
        self.look(code)

    def run(self, code: str = "nov23", limit: int = 500) -> Campaign:
        """Run it to the end."""
        campaign = self.campaign(code)
        for _ in range(_DONE_AFTER):
            done = self.do(lambda s: run_batch(s, self.outbox, campaign.id, limit, self.now))
            if done.is_done:
                return self.campaign(code)
        raise AssertionError("running does not end")

    def told(self, code: str = "nov23", scope: Scope | None = None) -> Campaign:
        """Begin, prepare, approve, run."""
        self.prepared(code, scope)
        self.approve(code)
        return self.run(code)

    def look(self, code: str = "nov23") -> None:
        """What the worker's chore does, once over everything."""
        campaign = self.campaign(code)
        for state in (RecipientState.QUEUED, RecipientState.DELIVERED):
            after = 0
            while True:
                looked = self.do(
                    lambda s: close_lines(s, campaign.id, state, after, self.now)  # noqa: B023
                )
                after = looked.after
                if not after:
                    break
        self.do(lambda s: tell_workflow(s, campaign.id, self.now))

    def closer(self) -> Closer:
        """The chore itself, with a clock that never rests."""
        ticks = iter(range(0, 10_000_000, 1_000))
        return Closer(self.database, self.clock.now, lambda: float(next(ticks)))

    # what there is

    def campaign(self, code: str = "nov23") -> Campaign:
        with self.database.read() as session:
            return campaign_named(session, code)

    def lines(self, code: str = "nov23", *states: str) -> list[AnyRow]:
        """The lines of a campaign, by number."""
        query = (
            select(recipients)
            .where(recipients.c.campaign_id == self.campaign(code).id)
            .order_by(recipients.c.id)
        )
        with self.database.read() as session:
            rows = session.execute(query).all()
        return [row for row in rows if not states or row.state in states]

    def reasons(self, code: str = "nov23") -> dict[str, str]:
        """户号 -> reason, of what was left out or dropped."""
        return {row.customer_no: row.reason for row in self.lines(code) if row.reason}

    def messages(self, *states: str) -> list[AnyRow]:
        """The reminders, by number."""
        query = select(messages).where(messages.c.flow == "arrears").order_by(messages.c.id)
        with self.database.read() as session:
            rows = session.execute(query).all()
        return [row for row in rows if not states or row.state in states]

    def steps(self) -> list[tuple[int, int]]:
        """(case, stage) of every step taken."""
        with self.database.read() as session:
            rows = session.execute(select(steps.c.case_id, steps.c.stage).order_by(steps.c.id))
            return [(row[0], row[1]) for row in rows]

    def items(self) -> list[tuple[str, str]]:
        """(kind, 户号) of every open work item."""
        query = select(worklist.c.kind, worklist.c.customer_no).where(worklist.c.state == "open")
        with self.database.read() as session:
            return [(row[0], row[1]) for row in session.execute(query.order_by(worklist.c.id))]

    def intents(self) -> list[AnyRow]:
        """Every intent."""
        with self.database.read() as session:
            return list(session.execute(select(intents).order_by(intents.c.id)).all())


def fields_of(line: AnyRow) -> dict[str, str]:
    """The card's fields of a line."""
    return dict(line._mapping["values"]["fields"])


def card_of(message: AnyRow) -> dict[str, str]:
    """What a message's card says, by label."""
    return dict(message.content["fields"])


def numbers(count: int) -> Sequence[str]:
    """So many 户号."""
    return [f"99{number:011d}" for number in range(1, count + 1)]


def together(*works: Callable[[], Any]) -> None:
    """Run them at once; an error of any is raised."""
    errors: list[Exception] = []
    barrier = threading.Barrier(len(works))

    def one(work: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            work()
        except Exception as error:  # noqa: BLE001 - told to the test
            errors.append(error)

    threads = [threading.Thread(target=one, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error
