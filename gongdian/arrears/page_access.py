"""Whose page a card opens (谁能看): the 户号 that a message's recipient may see today.

Pages call it each time: who was unbound, moved out (过户、更名、销户) or has another phone on file
sees nothing any more, whatever links they still hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from gongdian.accounts.customer_tables import customers
from gongdian.accounts.people import customers_of_contact, people_of
from gongdian.db import Session
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.model import CHANNEL_TEMPLATE
from gongdian.outbox.queries import LinkedMessage

# A link in a text message or mail is good for a week longer than the message itself.
OPEN_LINK_LIFE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Reader:
    """A message's recipient and their 户号 of the message's party; none: not theirs any more.

    ``contact_id`` for one with WeChat, else ``person_ids``, one for each 户号.
    """

    customer_nos: tuple[str, ...]
    contact_id: int | None = None
    person_ids: tuple[int, ...] = ()


def opens_anywhere(linked: LinkedMessage) -> bool:
    """Whether the link alone opens the page: the message went out where nobody can log in.

    A card in WeChat never does. Once its message moved on to a text message or mail, it does.
    """
    return linked.channel != CHANNEL_TEMPLATE or linked.step > 0


def has_run_out(linked: LinkedMessage, now: datetime) -> bool:
    """Whether a link that opens without a login is too old."""
    return now >= linked.expires_at + OPEN_LINK_LIFE


def reader_of(session: Session, account: str, linked: LinkedMessage) -> Reader:
    """The recipient of a message and what they may see of its party (``subject``) now."""
    number = linked.recipient[1:]
    if linked.recipient.startswith("c") and number.isdecimal():
        bound = customers_of_contact(session, int(number))
        mine = tuple(one.customer_no for one in bound if one.party_no == linked.subject)
        return Reader(mine, contact_id=int(number))
    of_party = select(customers.c.customer_no).where(
        customers.c.party_no == linked.subject, customers.c.state == "active"
    )
    nos = list(session.execute(of_party.order_by(customers.c.customer_no)).scalars())
    found: dict[str, int] = {}
    for customer_no, people in people_of(session, account, nos).items():
        for person in people:
            # The number in the recipient may stand for somebody else by now: the address tells.
            hashes = {address_hash(step.address) for step in person.fallbacks}
            if linked.person_hash in hashes:
                found[customer_no] = person.id
    return Reader(tuple(sorted(found)), person_ids=tuple(found[no] for no in sorted(found)))
