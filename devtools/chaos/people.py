"""Who is written to (收信人): people with numbers and mailboxes; ``site`` makes them.

The checks ask them what may be shown to whom: these are facts of the phones, not of the house.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from devtools.wechat_sandbox.sandbox import Sandbox
from gongdian.accounts.channels import fallback_steps, set_channel
from gongdian.accounts.service import meet_contact
from gongdian.db import Session
from gongdian.outbox.model import CHANNEL_MAIL, CHANNEL_SMS, FallbackStep
from gongdian.wiring import House

_LOT = 250


@dataclass(frozen=True, slots=True)
class Person:
    """One phone. ``number`` and ``mail`` are what the house knows of it.

    ``follows`` not: WeChat refuses with 43004. ``blocks``: WeChat takes the card and reports that
    it was not delivered. ``rings`` not: nobody has the number any more.
    """

    openid: str
    recipient: str
    follows: bool = True
    blocks: bool = False
    number: str = ""
    rings: bool = True
    mail: str = ""
    steps: tuple[FallbackStep, ...] = ()

    @property
    def hears_wechat(self) -> bool:
        """Whether a card can come to this phone at all."""
        return self.follows and not self.blocks


def plain_people(sandbox: Sandbox, count: int) -> list[Person]:
    """Followers without any other channel."""
    openids = sandbox.add_phones(count)
    return [Person(openid, f"P{number:06}") for number, openid in enumerate(openids)]


def people_with_channels(
    sandbox: Sandbox, house: House, dice: random.Random, count: int
) -> list[Person]:
    """People whose contacts have further channels, written down in the house's database."""
    drawn = [_draw(sandbox, dice, number) for number in range(count)]
    people: list[Person] = []
    for start in range(0, count, _LOT):
        work = partial(_write_down, house=house, lot=drawn[start : start + _LOT])
        people += house.database.run(work)
    return people


def _draw(sandbox: Sandbox, dice: random.Random, number: int) -> Person:
    """12 % do not follow, 5 % block; 8 % have no number, 6 % a dead one; 30 % a mailbox."""
    wechat, sms, mail = dice.random(), dice.random(), dice.random()
    is_dead = 0.08 <= sms < 0.14
    person = Person(
        openid="",
        recipient="",
        follows=wechat >= 0.12,
        blocks=0.12 <= wechat < 0.17,
        number="" if sms < 0.08 else f"139{number:08}",
        rings=not is_dead,
        mail=f"p{number}@mail.example" if is_dead or mail < 0.3 else "",
    )
    phone = sandbox.phones.add(
        following=person.follows,
        phone_number=person.number if person.rings else "",
        mail_address=person.mail,
    )
    phone.receipt_status = "failed:user block" if person.blocks else "success"
    return replace(person, openid=phone.openid)


def _write_down(session: Session, house: House, lot: Sequence[Person]) -> list[Person]:
    now = house.clock.now()
    return [_meet(session, house.account, person, now) for person in lot]


def _meet(session: Session, account: str, person: Person, now: datetime) -> Person:
    contact = meet_contact(session, account, person.openid, now)
    wanted = ((CHANNEL_SMS, person.number), (CHANNEL_MAIL, person.mail))
    for position, (channel, address) in enumerate(wanted):
        if address:
            set_channel(session, contact.id, FallbackStep(channel, address), position, now)
    steps = fallback_steps(session, contact.id)
    return replace(person, recipient=contact.number, steps=steps)
