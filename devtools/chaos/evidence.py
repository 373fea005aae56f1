"""What a run left behind (证据): the database and every phone's screen; the checks read it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import select

from devtools.chaos.installation import MAIL_DOMAIN
from devtools.chaos.people import Person
from devtools.chaos.site import Site
from devtools.wechat_sandbox.phones import InboxItem
from gongdian.channels import message_id_for
from gongdian.db import AnyRow
from gongdian.outbox.model import CHANNEL_MAIL, CHANNEL_SMS, CHANNEL_TEMPLATE
from gongdian.outbox.tables import message_attempts, message_steps, messages

_KINDS = {"template": CHANNEL_TEMPLATE, "sms": CHANNEL_SMS, "mail": CHANNEL_MAIL}


def _screens() -> dict[str, Counter[int]]:
    return {channel: Counter() for channel in _KINDS.values()}


@dataclass(slots=True)
class Evidence:
    """Message rows; by their id: attempts and further channels in order, what is shown, where.

    ``strays`` are things on the phones that no message accounts for.
    """

    rows: list[AnyRow]
    attempts: dict[int, list[AnyRow]]
    steps: dict[int, list[AnyRow]] = field(default_factory=lambda: defaultdict(list))
    people: Mapping[str, Person] = field(default_factory=dict)
    shown: dict[str, Counter[int]] = field(default_factory=_screens)
    holders: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    strays: int = 0

    @property
    def cards(self) -> Counter[int]:
        """How many cards each message has on the phones."""
        return self.shown[CHANNEL_TEMPLATE]

    def is_shown(self, row: AnyRow) -> bool:
        """Whether a message is on a phone at all, through any channel."""
        return any(screen[row.id] for screen in self.shown.values())

    def person(self, row: AnyRow) -> Person:
        """Whom the message is for."""
        return self.people[row.recipient]

    def tries(self, row: AnyRow, channel: str) -> list[AnyRow]:
        """The message's attempts through one channel."""
        return [one for one in self.attempts[row.id] if one.channel == channel]


def gather(site: Site) -> Evidence:
    """Read the database and look at every phone."""
    columns = messages.c
    wanted = select(
        columns.id,
        columns.key,
        columns.occasion,
        columns.recipient,
        columns.state,
        columns.reason,
        columns.channel,
        columns.step,
        columns.next_step,
        columns.switch_at,
        columns.client_msg_id,
        columns.queued_at,
        columns.closed_at,
        columns.claimed_by,
        columns.lease_until,
    )
    number = message_steps.c.step
    further = select(message_steps).where(number > 0).order_by(number)
    attempts: dict[int, list[AnyRow]] = defaultdict(list)
    steps: dict[int, list[AnyRow]] = defaultdict(list)
    with site.house.database.read() as session:
        rows = list(session.execute(wanted).all())
        for attempt in session.execute(select(message_attempts).order_by(message_attempts.c.id)):
            attempts[attempt.message_id].append(attempt)
        for step in session.execute(further):
            steps[step.message_id].append(step)
    people = {person.recipient: person for person in site.people}
    found = Evidence(rows, attempts, steps, people)
    _look_at_phones(site, found)
    return found


def _look_at_phones(site: Site, found: Evidence) -> None:
    ids = {row.client_msg_id: row.id for row in found.rows}
    ids |= {message_id_for(row.key, MAIL_DOMAIN): row.id for row in found.rows}
    for phone in site.sandbox.phones.listed():
        for item in phone.inbox:
            channel = _KINDS.get(item.kind)
            if channel is None:
                continue
            message_id = ids.get(_name(item))
            if message_id is None:
                found.strays += 1
                continue
            found.shown[channel][message_id] += 1
            found.holders[message_id].add(phone.openid)


def _name(item: InboxItem) -> str:
    """By which a thing on the screen names its message."""
    if item.kind == "sms":
        return str(item.extra["out_id"])
    return str(item.extra["message_id"]) if item.kind == "mail" else item.client_msg_id
