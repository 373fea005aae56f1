"""Debts, cards and customers' browsers on a stage (催费样例); page tests use it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select

from devtools.demo.stage import Stage
from devtools.wechat_sandbox.phone import Phone
from gongdian.accounts.binding_rows import bind_own_row
from gongdian.accounts.customer_contacts import ContactRow, apply_contacts
from gongdian.accounts.customers import CustomerRow, apply_customers
from gongdian.accounts.model import DecideConsent
from gongdian.accounts.people import people_of
from gongdian.accounts.service import decide_consent, meet_contact
from gongdian.arrears.events import facts_changed, holder_changed
from gongdian.arrears.messages import FLOW, PAGE, Claim, keyword_values
from gongdian.arrears.rules import seed_rules
from gongdian.arrears.tables import answers, worklist
from gongdian.billing.queries import open_bills
from gongdian.billing.rows import BalanceRow, BillRow, PaymentRow
from gongdian.billing.service import apply_balances, apply_bills, apply_payments
from gongdian.clock import china_date
from gongdian.db import Session
from gongdian.feeds import FeedState, note_feed
from gongdian.outbox.model import FallbackStep, QueueMessage
from gongdian.outbox.queueing import queue_message
from gongdian.outbox.tables import messages
from tests.account_factories import FIRM, HOLDER, a_customer, a_firm, a_person
from tests.visitor import Seen, Visitor

ZERO = Decimal("0.00")
HOME, SECOND = "9900000345812", "9900001203999"
DUE = date(2026, 11, 15)
ISSUED = date(2026, 11, 5)

# 示例电价: 12,000 kWh, the fees add up to 9,000.00 yuan.
FIRM_LINES = {
    "readings": [{"meter": "3720001234", "previous": 1480.5, "current": 2080.5, "multiplier": 20}],
    "loss_kwh": 120.0,
    "kwh": {"sharp": 1500.0, "peak": 3600.0, "flat": 3900.0, "valley": 3120.0},
    "fees": {
        "energy": 512_345,
        "line_loss": 21_005,
        "transmission": 153_090,
        "system": 30_060,
        "funds": 54_240,
        "basic": 138_075,
        "power_factor": -8_815,
    },
}
FIRM_FEN = 900_000
HOME_LINES = {
    "readings": [{"meter": "3710005678", "previous": 4210.0, "current": 4370.0, "multiplier": 1}],
    "fees": {"energy": 8_640},
}


class Scene:
    """One stage with the rules in force and fresh feeds; ``settle`` ends each change of facts."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.house = stage, stage.house
        self._rows = 0
        self._messages = 0

        def work(session: Session) -> None:
            now = stage.clock.now()
            seed_rules(session, "test", now)
            for feed in ("customers", "contacts", "bills", "payments"):
                state = FeedState(feed, now, now, 1, timedelta(days=1), timedelta(days=400))
                note_feed(session, state)

        self.house.database.run(work)

    @property
    def now(self) -> datetime:
        return self.stage.clock.now()

    def customers(self, *rows: CustomerRow | ContactRow) -> None:
        """Apply rows as an import does, and what follows from a new holder."""
        firms = [row for row in rows if isinstance(row, CustomerRow)]
        people = [row for row in rows if isinstance(row, ContactRow)]

        def work(session: Session) -> None:
            applied = apply_customers(session, firms, 2, self.now)
            apply_contacts(session, people, 2, self.now)
            holder_changed(session, [*applied.holder_changed, *applied.closed], self.now)

        self.house.database.run(work)

    def bill(
        self,
        customer_no: str,
        amount_fen: int,
        lines: dict[str, Any],
        *,
        period: str = "202610",
        due_on: date = DUE,
        version: int = 1,
        kwh: float = 160.0,
        kind: str = "normal",
    ) -> None:
        """Issue a bill, numbered by its month."""
        self._rows += 1
        row = BillRow(
            self._rows,
            customer_no,
            f"Y{period}{customer_no[-4:]}",
            version,
            kind,
            period,
            amount_fen,
            min(ISSUED, due_on - timedelta(days=10)),
            due_on,
            kwh,
            json.dumps(lines),
        )
        self._change(lambda session: apply_bills(session, [row], 3, self.now), customer_no)

    def pay(
        self,
        customer_no: str,
        amount_fen: int,
        *,
        bill_no: str = "",
        state: str = "booked",
        at: datetime | None = None,
        method: str = "wechat",
        expected_on: date | None = None,
    ) -> None:
        """A payment comes in."""
        self._rows += 1
        number = f"L{self._rows:06d}"
        row = PaymentRow(
            self._rows,
            number,
            customer_no,
            bill_no,
            amount_fen,
            state,
            method,
            at or self.now,
            expected_on,
        )
        self._change(lambda session: apply_payments(session, [row], 4, self.now), customer_no)

    def balance(self, customer_no: str, fen: int) -> None:
        """What a prepaid customer has left."""
        row = BalanceRow(1, customer_no, fen, datetime(2026, 11, 20, 22, tzinfo=UTC))
        self._change(lambda session: apply_balances(session, [row], 5, self.now), customer_no)

    def _change(self, apply: Callable[[Session], object], customer_no: str) -> None:
        def work(session: Session) -> None:
            apply(session)
            facts_changed(session, [customer_no], self.now)

        self.house.database.run(work)

    def firm(self, **changes: Any) -> None:
        """A foundry that owes 9,000.00 yuan since 2026-11-15, with a phone on file."""
        person = a_person(FIRM, role="finance", name="李敏", phone="13900002222")
        self.customers(a_firm(**changes), person)
        self.bill(FIRM, FIRM_FEN, FIRM_LINES, kwh=12_120.0)

    def home(self, **changes: Any) -> None:
        """A household that owes 86.40 yuan until 2026-11-25, with a phone on file."""
        self.customers(a_customer(HOME, **changes), a_person(HOME))
        self.bill(HOME, 8_640, HOME_LINES, due_on=date(2026, 11, 25))

    def person(self, *customer_nos: str, name: str = "李女士") -> Customer:
        """Somebody with WeChat who is bound to these."""
        phone = self.stage.sandbox.add_phone(name=name, following=True)

        def work(session: Session) -> int:
            contact = meet_contact(session, self.house.account, phone.openid, self.now)
            agreed = DecideConsent(contact.id, "v1", "d", True, "test")
            decide_consent(session, agreed, self.now)
            for number in customer_nos:
                role = "owner" if number == HOME else "finance"
                bind_own_row(session, contact.id, number, 1, self.now, role=role, level=1)
            return contact.id

        return Customer(self, phone, self.house.database.run(work))

    def send(self, party_no: str, recipient: str, openid: str = "", phone: str = "") -> str:
        """Queue the reminder of a party's debt; returns the path of its link."""
        self._messages += 1

        def work(session: Session) -> str:
            with_debt = [HOME, FIRM, SECOND]
            debts = open_bills(session, with_debt)
            claim = Claim(
                "arrears_overdue",
                "云溪恒源铸造有限公司",
                "industrial_two_part",
                tuple(debts) or (FIRM,),
                sum((one.open_amount for found in debts.values() for one in found), start=ZERO),
                DUE,
                china_date(self.now),
            )
            steps: tuple[FallbackStep, ...] = ()
            if phone:
                people = people_of(session, self.house.account, with_debt)
                every = [
                    step for found in people.values() for one in found for step in one.fallbacks
                ]
                steps = tuple(step for step in every if step.address == phone)[:1]
            command = QueueMessage(
                flow=FLOW,
                subject=party_no,
                occasion=f"day#{china_date(self.now):%Y%m%d}-{self._messages}",
                recipient=recipient,
                openid=openid,
                kind=claim.kind,
                values=keyword_values(claim),
                link_path=PAGE,
                fallbacks=steps,
            )
            key = queue_message(session, self.house.outbox, command, self.now).key
            content = session.execute(
                select(messages.c.content).where(messages.c.key == key)
            ).scalar_one()
            return str(content["url"])

        parts = urlsplit(self.house.database.run(work))
        return f"{parts.path}?{parts.query}"

    def text_link(self, customer_no: str, phone: str) -> str:
        """The link in a text message to whoever has this phone on file."""
        with self.house.database.read() as session:
            people = people_of(session, self.house.account, [customer_no])[customer_no]
        person = next(one for one in people if any(s.address == phone for s in one.fallbacks))
        return self.send(f"P{customer_no[-6:]}", person.recipient, phone=phone)

    def answered(self) -> list[tuple[str, str, str]]:
        """What is on record: 户号, answer, note."""
        with self.house.database.read() as session:
            rows = session.execute(select(answers).order_by(answers.c.id))
            return [(row.customer_no, row.answer, row.note) for row in rows]

    def stranger(self) -> Visitor:
        """A browser that nobody has logged in with."""
        return Visitor(self.stage)


class Customer:
    """A bound person: phone, browser, card."""

    def __init__(self, scene: Scene, phone: Phone, contact_id: int) -> None:
        self.scene, self.phone, self.id = scene, phone, contact_id
        self.visitor = Visitor(scene.stage)

    def card(self, party_no: str = f"P{FIRM[-6:]}", phone: str = "") -> str:
        """A reminder to them; the path of its link."""
        return self.scene.send(party_no, f"c{self.id}", self.phone.openid, phone)

    def open(self, path: str) -> Seen:
        """Open a page, logged in as themselves."""
        seen = self.visitor.ask(path)
        if seen.status == 302 and "/connect/oauth2/" in seen.location:
            seen = self.visitor.ask(self.visitor.come_back(self.phone.openid, seen.state).location)
        return seen

    def say(self, text: str) -> str:
        """Write in the chat; the account's answer."""
        self.scene.stage.sandbox.wait(self.phone.say(text))
        return str(self.phone.texts()[-1])


def form_of(seen: Seen) -> dict[str, str]:
    """The hidden fields of a page."""
    assert seen.status == 200
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', seen.body))


def words_of(seen: Seen) -> str:
    """What is written on a page, without marks and blanks."""
    bare = re.sub(r"<[^>]+>", "", re.sub(r"(?s)<head>.*?</head>", "", seen.body))
    return "".join(bare.split())


def answer(visitor: Visitor, path: str, choice: str, **fields: str) -> Seen:
    """Press one of the three buttons; the answer to the POST."""
    form = {**form_of(visitor.ask(path)), "answer": choice, **fields}
    return visitor.ask(path, form)


def link_to(seen: Seen, words: str) -> str:
    """Where the link with these words leads."""
    found = re.search(rf'href="([^"]+)"[^>]*><span>{words}', seen.body)
    assert found is not None, words
    return found[1].replace("&amp;", "&")


def message_row(scene: Scene) -> dict[str, object]:
    """The newest message."""
    with scene.house.database.read() as session:
        row = session.execute(select(messages).order_by(messages.c.id.desc())).first()
    assert row is not None
    return dict(row._mapping)


def has_item(scene: Scene, kind: str) -> bool:
    """Whether such an item is open."""
    with scene.house.database.read() as session:
        kinds = session.execute(select(worklist.c.kind).where(worklist.c.state == "open"))
        return kind in set(kinds.scalars())


def refused(seen: Seen, status: int, words: str) -> None:
    """An error page, and nothing of the customer on it."""
    assert (seen.status, words in seen.body) == (status, True)
    for secret in ("9000.00", "云溪恒源", FIRM, HOLDER, HOME):
        assert secret not in seen.body
