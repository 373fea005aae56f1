"""Where else a contact can be reached (其他联系方式), in their order; imports and edges call it.

A contact's fallback steps are the channels that they want, in their order, without those that
refused them for good. What people change about it goes through ``gongdian.accounts.preferences``.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from gongdian.accounts.model import ContactChannel
from gongdian.accounts.tables import contact_channels
from gongdian.channels import is_mail_address, is_mobile
from gongdian.db import Session, upsert
from gongdian.errors import InputError
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.model import CHANNEL_MAIL, CHANNEL_SMS, FallbackStep, RecipientRefused


def address_problem(channel: str, address: str) -> str:
    """Why this is no address of that channel, without repeating it; empty when it is one."""
    if channel == CHANNEL_SMS:
        return _mobile_problem(address)
    if channel == CHANNEL_MAIL:
        return _mail_problem(address)
    return "there is no such channel"


def _mobile_problem(text: str) -> str:
    if not (text.isascii() and text.isdigit()):
        return "a mobile number is digits only, without blanks, +86 or dashes"
    if len(text) != 11:
        return f"a mobile number has 11 digits, this has {len(text)}"
    return "" if is_mobile(text) else "a mobile number begins with 13 to 19"


def _mail_problem(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        return "a mail address holds no blank, no control character and only ASCII"
    if len(text) > 254:
        return "a mail address has at most 254 characters"
    if text.count("@") != 1:
        return "a mail address holds one @"
    if not is_mail_address(text):
        return "write a plain mail address, such as name@example.com"
    *_, last = text.rpartition("@")[2].split(".")
    is_whole = "." in text.rpartition("@")[2] and len(last) > 1 and not last.isdigit()
    return "" if is_whole else "the part after @ ends in a name such as .com or .cn"


def set_channel(
    session: Session,
    contact_id: int,
    step: FallbackStep,
    position: int,
    now: datetime,
    *,
    is_wanted: bool = True,
) -> None:
    """Write down a contact's address on a channel, its place in their order and its wait.

    InputError for a channel that does not exist or an address that is none; a new address
    forgets that the old one was refused.
    """
    problem = address_problem(step.channel, step.address)
    if problem:
        raise InputError("bad_address", problem, field=step.channel)
    values = {
        "position": position,
        "address": step.address,
        "address_hash": address_hash(step.address),
        "is_wanted": is_wanted,
        "wait_s": None if step.wait is None else round(step.wait.total_seconds()),
        "refused_reason": "",
        "changed_at": now,
    }
    statement = upsert(session, contact_channels, ("contact_id", "channel"), values)
    session.execute(statement, {"contact_id": contact_id, "channel": step.channel, **values})


def channels_of(session: Session, contact_id: int) -> tuple[ContactChannel, ...]:
    """All further channels of a contact in their order, also those that are off or refused."""
    return channels_of_all(session, (contact_id,)).get(contact_id, ())


def channels_of_all(
    session: Session, contact_ids: Collection[int]
) -> dict[int, tuple[ContactChannel, ...]]:
    """The same for many contacts at once; who has none is left out."""
    columns = contact_channels.c
    rows = session.execute(
        select(
            columns.contact_id,
            columns.channel,
            columns.address,
            columns.is_wanted,
            columns.refused_reason,
            columns.wait_s,
        )
        .where(columns.contact_id.in_(contact_ids))
        .order_by(columns.contact_id, columns.position, columns.channel)
    )
    found: dict[int, tuple[ContactChannel, ...]] = {}
    for row in rows:
        one = ContactChannel(
            row.channel, row.address, row.is_wanted, row.refused_reason, _wait(row.wait_s)
        )
        found[row.contact_id] = (*found.get(row.contact_id, ()), one)
    return found


def _wait(wait_s: int | None) -> timedelta | None:
    return None if wait_s is None else timedelta(seconds=wait_s)


def fallback_steps(
    session: Session, contact_id: int, wait: timedelta | None = None
) -> tuple[FallbackStep, ...]:
    """The contact's further channels, in their order.

    ``wait`` replaces the usual patience where the contact has no wait of their own.
    """
    return tuple(
        FallbackStep(one.channel, one.address, wait if one.wait is None else one.wait)
        for one in channels_of(session, contact_id)
        if one.is_used
    )


def mark_channel_refused(session: Session, refused: RecipientRefused, now: datetime) -> None:
    """A channel refused this address for good: it is no fallback any more."""
    session.execute(
        update(contact_channels)
        .where(contact_channels.c.address_hash == refused.address_hash)
        .values(refused_reason=refused.reason[:64], changed_at=now)
    )


def addresses_of(session: Session, contact_id: int) -> list[bytes]:
    """The blind indexes of a contact's further addresses."""
    columns = contact_channels.c
    query = select(columns.address_hash).where(columns.contact_id == contact_id)
    return [bytes(one) for one in session.execute(query).scalars()]


def forget_channels(session: Session, contact_id: int) -> None:
    """Erase every address of a contact who left."""
    session.execute(delete(contact_channels).where(contact_channels.c.contact_id == contact_id))
