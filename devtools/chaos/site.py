"""A running installation under test (现场): sandbox here, web and workers as processes.

The runs drive it, the checks read it.
"""

from __future__ import annotations

import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import func, select

from devtools.chaos.crew import Crew
from devtools.chaos.ground import Ground, free_port, wait_for_port
from devtools.chaos.installation import installation, other_channels
from devtools.chaos.people import Person, people_with_channels, plain_people
from devtools.demo.stage import register_templates, register_texts
from devtools.wechat_sandbox.fixture import running_sandbox
from devtools.wechat_sandbox.sandbox import Sandbox
from devtools.wechat_sandbox.sms_platform import SMS_PATH
from devtools.wechat_sandbox.sms_reports import REPORT_SCOPE
from gongdian.audit import record_audit
from gongdian.db import Session
from gongdian.migrations.upgrade import upgrade_database
from gongdian.outbox.model import FINAL_STATES, MessageState, QueueMessage
from gongdian.outbox.queries import count_by_state
from gongdian.outbox.queueing import queue_messages
from gongdian.outbox.tables import messages
from gongdian.settings import read_settings
from gongdian.wiring import House, build_house
from wechat_handlers.callbacks import CALLBACK_PATH

SEND = "/cgi-bin/message/template/send"
USUAL, URGENT = "notice#1", "urgent#1"
_SCOPES = {SMS_PATH: "sms ", REPORT_SCOPE: "sms report ", "RCPT": "mail ", "CONTENT": "mail "}
_LOT = 500
_POLL_S = 0.1


class StuckError(Exception):
    """Something that had to come did not come."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run goes; the lease must be longer than one call's time limit."""

    title: str
    messages: int
    kills: int = 0
    honours_id: bool = True
    with_fallback: bool = False
    answer_s: float = 0.12
    rate_per_s: int = 60
    in_flight: int = 9
    timeout_s: float = 3.0
    lease_s: float = 7.0
    receipt_timeout_s: float = 60.0
    patience_s: float = 240.0
    seed: int = 1


@dataclass(slots=True)
class Site:
    """What runs, and what was done to it."""

    plan: Plan
    ground: Ground
    house: House
    sandbox: Sandbox
    crew: Crew
    dice: random.Random
    people: list[Person]
    queued: int = 0
    kills: int = 0
    kills_inside: int = 0
    longest_pause_s: float = 0.0
    notes: list[str] = field(default_factory=list)
    fault_hits: Counter[str] = field(default_factory=Counter)
    rules: dict[int, tuple[str, int]] = field(default_factory=dict)

    def queue(
        self,
        count: int,
        *,
        apart: bool = False,
        occasion: str = USUAL,
        wait: timedelta | None = None,
    ) -> None:
        """Queue ``count`` messages (even), two to a phone, one after the other or far apart.

        ``wait``: how long WeChat may leave them undelivered before the next channel is tried.
        """
        now = self.house.clock.now()
        first, self.queued = self.queued, self.queued + count
        half = count // 2
        orders = []
        for number in range(count):
            phone = first // 2 + (number % half if apart else number // 2)
            orders.append(self._order(first + number, self.people[phone], occasion, wait))
        for start in range(0, count, _LOT):
            lot = orders[start : start + _LOT]
            self.house.database.run(partial(self._queue_lot, lot=lot, now=now))
            self.note("chaos:messages:queued", str(len(lot)))

    def _queue_lot(self, session: Session, lot: list[QueueMessage], now: datetime) -> None:
        queue_messages(session, self.house.outbox, lot, now)

    def _order(
        self, number: int, person: Person, occasion: str, wait: timedelta | None
    ) -> QueueMessage:
        steps = person.steps
        if wait is not None:
            steps = tuple(replace(step, wait=wait) for step in steps[:1]) + steps[1:]
        values = {
            "feeder": "10kV城东Ⅱ线512",
            "area": f"{number}号台区",
            "outage_at": "2026年12月1日 08:00",
            "restore_at": "2026年12月1日 17:00",
            "reason": "更换老旧导线",
        }
        return QueueMessage(
            flow="outage",
            subject=f"C{number:06}",
            occasion=occasion,
            recipient=person.recipient,
            openid=person.openid,
            kind="outage_planned",
            values=values,
            link_path="/h5/outage" if steps else "",
            fallbacks=steps,
        )

    def note(self, action: str, subject: str) -> None:
        """Write an audit row, so that the chain grows while its sealers are killed."""
        now = self.house.clock.now()
        self.house.database.run(
            lambda session: record_audit(session, now, "chaos", action, subject, {})
        )

    def states(self) -> dict[MessageState, int]:
        """How many messages stand in each state."""
        with self.house.database.read() as session:
            found = count_by_state(session)
        return {MessageState(name): count for name, count in found.items()}

    def with_platform(self) -> int:
        """How many messages the platform has taken or that have ended."""
        past = (MessageState.ACCEPTED, *FINAL_STATES)
        return sum(count for state, count in self.states().items() if state in past)

    def untouched(self) -> int:
        """How many messages no worker has tried yet."""
        columns = messages.c
        query = select(func.count()).where(
            columns.state.in_((MessageState.QUEUED.value, MessageState.SENDING.value)),
            columns.attempts == 0,
        )
        with self.house.database.read() as session:
            return session.execute(query).scalar_one()

    def rows_of(self, worker: str) -> int:
        """How many messages this worker is sending."""
        columns = messages.c
        query = select(func.count()).where(
            columns.state == MessageState.SENDING.value,
            columns.claimed_by.contains(f":{self.crew.pid(worker)}:"),
        )
        with self.house.database.read() as session:
            return session.execute(query).scalar_one()

    def kill_one(self) -> None:
        """SIGKILL a worker drawn from those that are sending (from all when none is)."""
        rows = {worker: self.rows_of(worker) for worker in self.crew.workers()}
        sending = [worker for worker, count in rows.items() if count]
        victim = self.dice.choice(sending or list(rows))
        self.crew.kill(victim)
        self.kills += 1
        self.kills_inside += bool(rows[victim])
        self.note("chaos:worker:killed", victim)

    def wait_until(
        self, is_true: Callable[[], bool], what: str, limit_s: float | None = None
    ) -> None:
        """Wait; StuckError names what did not come. Measures the longest pause in sending."""
        began = moved = time.monotonic()
        before = self.with_platform()
        while not is_true():
            self.crew.look_after()
            time.sleep(_POLL_S)
            now, reached = time.monotonic(), self.with_platform()
            if reached != before:
                self.longest_pause_s = max(self.longest_pause_s, now - moved)
                before, moved = reached, now
            if now - began > (limit_s or self.plan.patience_s):
                raise StuckError(f"not within {now - began:.0f} s: {what}; {self.states()}")

    def set_faults(self, *rules: dict[str, Any]) -> None:
        """These faults from now on, and everybody's usual slowness behind them."""
        self.count_faults()
        faults, slow_s = self.sandbox.faults, self.plan.answer_s
        faults.clear()
        for rule in rules:
            self.rules[faults.add(**rule)] = (_label(rule), rule.get("next_n", 0))
        faults.add("slow", SEND, percent=100, seconds=slow_s)
        if self.plan.with_fallback:
            faults.add("slow", SMS_PATH, percent=100, seconds=slow_s)
            faults.add("smtp_slow", "CONTENT", percent=100, seconds=slow_s)

    def count_faults(self) -> None:
        """Add up what the present rules have hit; a rule that is used up is not listed."""
        hits = {row["number"]: row["hits"] for row in self.sandbox.faults.listed()}
        for number, (label, next_n) in self.rules.items():
            self.fault_hits[label] += hits.get(number, next_n)
        self.rules.clear()


def _label(rule: dict[str, Any]) -> str:
    """A fault as the table names it: which side, what, and whether it was acted on."""
    name = _SCOPES.get(rule.get("scope", ""), "") + rule["kind"].replace("_", " ")
    if rule["kind"] == "errcode":
        name += f" {rule.get('errcode') or rule['errmsg']}"
    if rule["kind"] == "smtp_reply":
        name += f" {rule['status']}"
    return f"{name} after acting" if rule.get("acts") else name


@contextmanager
def running_site(plan: Plan, ground: Ground) -> Iterator[Site]:
    """Start sandbox, web and workers on loopback; stop all at the end."""
    port = free_port()
    web_url = f"http://127.0.0.1:{port}"
    # An account of its own: other programs may use the same Redis.
    appid = f"wxchaos{secrets.token_hex(5)}"
    with running_sandbox(
        appid=appid,
        mode="secure",
        callback_url=web_url + CALLBACK_PATH,
        honour_client_msg_id=plan.honours_id,
        seed=plan.seed,
        **(other_channels(web_url) if plan.with_fallback else {}),
    ) as running:
        environment = {**installation(ground, running.sandbox, port), **_pace(plan, ground)}
        house = build_house(read_settings(environment))
        crew = Crew(environment, ground.folder)
        try:
            upgrade_database(house.database)
            register_templates(running.sandbox, house.outbox.registry)
            register_texts(running.sandbox, house.outbox.registry)
            dice = random.Random(plan.seed)
            people = _people(plan, running.sandbox, house, dice)
            site = Site(plan, ground, house, running.sandbox, crew, dice, people)
            site.set_faults()
            crew.start("web", "web")
            wait_for_port(port)
            yield site
        finally:
            crew.stop()
            house.close()


def start_workers(site: Site) -> None:
    """Start the run's workers."""
    for number in range(1, site.ground.workers + 1):
        site.crew.start(f"worker-{number}", "worker")


def _people(plan: Plan, sandbox: Sandbox, house: House, dice: random.Random) -> list[Person]:
    count = (plan.messages + 1) // 2
    if plan.with_fallback:
        return people_with_channels(sandbox, house, dice, count)
    return plain_people(sandbox, count)


def _pace(plan: Plan, ground: Ground) -> dict[str, str]:
    """How fast the house sends and how long it waits, and what it may take of the server.

    Five runs with MariaDB go on at the same time, and a server has 151 connections for all.
    """
    settings = {
        "DATABASE_CONNECTIONS": "4",
        "WEB_THREADS": "4",
        "SEND_RATE_PER_S": str(plan.rate_per_s),
        "SEND_CONCURRENCY": str(max(2, plan.in_flight // ground.workers)),
        "SEND_TIMEOUT_S": str(plan.timeout_s),
        "SEND_LEASE_S": str(plan.lease_s),
        "RECEIPT_TIMEOUT_S": str(plan.receipt_timeout_s),
        "QUIET_HOURS": "none",
    }
    return {f"GONGDIAN_{name}": value for name, value in settings.items()}
