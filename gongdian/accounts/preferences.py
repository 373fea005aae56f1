"""How a contact wants to be reached (接收方式): the counter registers, the contact chooses.

Commands and the H5 page call it inside their transaction. Every change is audited without the
address; what is so already changes nothing and is not audited.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from gongdian.accounts.channels import channels_of, set_channel
from gongdian.accounts.model import (
    ONLY_WHEN_REFUSED,
    ContactChannel,
    ContactState,
    Patience,
    RegisterChannel,
)
from gongdian.accounts.tables import contact_channels, contacts
from gongdian.audit import record_audit
from gongdian.db import Session
from gongdian.errors import ConflictError, NotFoundError
from gongdian.outbox.holding import drop_address
from gongdian.outbox.model import FallbackStep

_WAIT = {Patience.UNDELIVERED: None, Patience.REFUSED: ONLY_WHEN_REFUSED}


def register_channel(session: Session, command: RegisterChannel, by: str, now: datetime) -> bool:
    """Write down an address; False when all was so. A channel that the contact turned off stays
    off; a refused one is tried again. InputError for an address that is none."""
    known = _channels(session, command.contact_id)
    old = next((one for one in known if one.channel == command.channel), None)
    others = [one for one in known if one.channel != command.channel]
    place = _place(known, old) if command.place is None else min(command.place, len(others))
    wait = command.wait
    if wait is None:
        wait = old.wait if old is not None else _shared_wait(others)
    wanted = ContactChannel(command.channel, command.address, _is_wanted(old), "", wait)
    if wanted == old and place == known.index(old):
        return False
    if old is not None and old.address != command.address:
        _stop_there(session, command.contact_id, command.channel, now)
    step = FallbackStep(command.channel, command.address, wait)
    set_channel(session, command.contact_id, step, place, now, is_wanted=wanted.is_wanted)
    _put_in_order(session, command.contact_id, _with(others, command.channel, place), now)
    details = {
        "channel": command.channel,
        "is_new_address": old is None or old.address != command.address,
        "position": place + 1,
        "wait_s": None if wait is None else round(wait.total_seconds()),
    }
    _audit(session, now, by, "set", command.contact_id, details)
    return True


def remove_channel(session: Session, contact_id: int, channel: str, by: str, now: datetime) -> bool:
    """Erase a contact's address on a channel; False when there was none."""
    left = [one.channel for one in _channels(session, contact_id) if one.channel != channel]
    _stop_there(session, contact_id, channel, now)
    columns = contact_channels.c
    gone = session.execute(
        delete(contact_channels).where(columns.contact_id == contact_id, columns.channel == channel)
    )
    if gone.rowcount != 1:
        return False
    _put_in_order(session, contact_id, left, now)
    _audit(session, now, by, "removed", contact_id, {"channel": channel})
    return True


def switch_channel(
    session: Session, contact_id: int, channel: str, by: str, now: datetime, *, is_on: bool
) -> bool:
    """The contact turns a channel on or off; ConflictError when they no longer have it."""
    _own(_channels(session, contact_id), channel)
    columns = contact_channels.c
    changed = session.execute(
        update(contact_channels)
        .where(
            columns.contact_id == contact_id,
            columns.channel == channel,
            columns.is_wanted.is_(not is_on),
        )
        .values(is_wanted=is_on, changed_at=now)
    )
    if changed.rowcount != 1:
        return False
    if not is_on:
        _stop_there(session, contact_id, channel, now)
    _audit(session, now, by, "on" if is_on else "off", contact_id, {"channel": channel})
    return True


def place_channel(
    session: Session, contact_id: int, channel: str, place: int, by: str, now: datetime
) -> bool:
    """The contact moves a channel to a place, from 0; ConflictError when they no longer have it."""
    known = _channels(session, contact_id)
    old = _own(known, channel)
    others = [one for one in known if one is not old]
    place = min(place, len(others))
    if known.index(old) == place:
        return False
    _put_in_order(session, contact_id, _with(others, channel, place), now)
    details = {"channel": channel, "position": place + 1}
    _audit(session, now, by, "placed", contact_id, details)
    return True


def choose_patience(
    session: Session, contact_id: int, patience: Patience, by: str, now: datetime
) -> bool:
    """The contact says when their channels are used, for all of them alike."""
    known = _channels(session, contact_id)
    if patience_of(known) is patience or not known:
        return False
    wait = _WAIT[patience]
    session.execute(
        update(contact_channels)
        .where(contact_channels.c.contact_id == contact_id)
        .values(wait_s=None if wait is None else round(wait.total_seconds()), changed_at=now)
    )
    _audit(session, now, by, "waited", contact_id, {"patience": patience.value})
    return True


def patience_of(channels: Sequence[ContactChannel]) -> Patience | None:
    """What all channels have in common; None where a wait of minutes was registered."""
    waits = {one.wait for one in channels}
    return next((patience for patience, wait in _WAIT.items() if waits <= {wait}), None)


def _channels(session: Session, contact_id: int) -> tuple[ContactChannel, ...]:
    """The channels of a contact who is there; their row is locked until the transaction ends."""
    state = session.execute(
        select(contacts.c.state).where(contacts.c.id == contact_id).with_for_update()
    ).scalar()
    if state is None:
        raise NotFoundError("no_contact", "no such contact", contact=contact_id)
    if state == ContactState.LEFT.value:
        raise ConflictError(
            "contact_left", "they unfollowed: nothing of them is kept", contact=contact_id
        )
    return channels_of(session, contact_id)


def _stop_there(session: Session, contact_id: int, channel: str, now: datetime) -> None:
    """What waits for this address goes on to the next channel, nothing more goes there."""
    columns = contact_channels.c
    row = session.execute(
        select(columns.address_hash, contacts.c.openid_hash)
        .join(contacts, contacts.c.id == columns.contact_id)
        .where(columns.contact_id == contact_id, columns.channel == channel)
    ).first()
    if row is not None:
        drop_address(session, bytes(row.openid_hash), bytes(row.address_hash), now)


def _own(known: Sequence[ContactChannel], channel: str) -> ContactChannel:
    for one in known:
        if one.channel == channel:
            return one
    raise ConflictError("channel_gone", "the contact has no address there", channel=channel)


def _place(known: Sequence[ContactChannel], old: ContactChannel | None) -> int:
    return len(known) if old is None else list(known).index(old)


def _is_wanted(old: ContactChannel | None) -> bool:
    return old is None or old.is_wanted


def _shared_wait(others: Sequence[ContactChannel]) -> timedelta | None:
    waits = {one.wait for one in others}
    return waits.pop() if len(waits) == 1 else None


def _with(others: Sequence[ContactChannel], channel: str, place: int) -> list[str]:
    names = [one.channel for one in others]
    return [*names[:place], channel, *names[place:]]


def _put_in_order(
    session: Session, contact_id: int, channels: Sequence[str], now: datetime
) -> None:
    columns = contact_channels.c
    for position, channel in enumerate(channels):
        session.execute(
            update(contact_channels)
            .where(
                columns.contact_id == contact_id,
                columns.channel == channel,
                columns.position != position,
            )
            .values(position=position, changed_at=now)
        )


def _audit(
    session: Session,
    now: datetime,
    by: str,
    verb: str,
    contact_id: int,
    details: dict[str, object],
) -> None:
    record_audit(session, now, by, f"accounts:channel:{verb}", f"c{contact_id}", details)
