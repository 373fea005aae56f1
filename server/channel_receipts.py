"""Receipts of the other channels (短信回执与退信); the web edge and a command call it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial

from gongdian.accounts.service import mark_refused
from gongdian.channels import BounceOfMail, ReceiptOfSms
from gongdian.db import Session
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.model import CHANNEL_MAIL, CHANNEL_SMS, ReceiptArrived, RecipientRefused
from gongdian.outbox.receipts import apply_receipts
from gongdian.outbox.senders import mail_digest
from gongdian.wiring import House

_BATCH = 500
# The mailbox does not exist, has moved, or never will take mail (RFC 3463 and 7505). Reports on
# text messages name no such certainty: out of service may be a trip abroad.
_DEAD_MAILBOX = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})


def apply_sms_receipts(house: House, receipts: Sequence[ReceiptOfSms]) -> None:
    """Apply them, 500 in a transaction; doing so again changes nothing."""
    arrived = [
        ReceiptArrived(
            dedupe=hashlib.sha256(one.dedupe.encode()).digest(),
            address=one.phone,
            platform_msgid=one.biz_id,
            status="success" if one.is_delivered else f"failed:{one.code}"[:64],
            received_at=house.clock.now(),
            channel=CHANNEL_SMS,
            client_msg_id=one.out_id,
        )
        for one in receipts
    ]
    _apply(house, arrived)


def apply_bounces(house: House, bounces: Sequence[BounceOfMail]) -> int:
    """Apply returned mails; a delay is no end. Returns how many were final and ours."""
    ours = [one for one in bounces if one.is_permanent and mail_digest(one.message_id)]
    arrived = [
        ReceiptArrived(
            dedupe=hashlib.sha256(f"{one.message_id}{one.recipient}".encode()).digest(),
            address=one.recipient,
            platform_msgid=mail_digest(one.message_id),
            status=f"failed:{one.status}",
            received_at=house.clock.now(),
            channel=CHANNEL_MAIL,
        )
        for one in ours
    ]
    _apply(house, arrived)
    dead = [one for one in ours if one.status in _DEAD_MAILBOX]
    if dead:
        house.database.run(partial(_give_up, house=house, dead=dead))
    return len(arrived)


def _give_up(session: Session, house: House, dead: Sequence[BounceOfMail]) -> None:
    """These addresses are nobody's further channel until somebody enters them anew."""
    for one in dead:
        refused = RecipientRefused(house.account, address_hash(one.recipient), one.status)
        mark_refused(session, refused, house.clock.now())


def _apply(house: House, arrived: Sequence[ReceiptArrived]) -> None:
    for start in range(0, len(arrived), _BATCH):
        house.database.run(partial(_apply_in, house=house, batch=arrived[start : start + _BATCH]))


def _apply_in(session: Session, house: House, batch: Sequence[ReceiptArrived]) -> None:
    apply_receipts(session, house.account, batch)
