"""Accounts (账户): who we know over WeChat, whether they can be reached, what they agreed to.

WeChat handlers and H5 pages call it inside their transaction.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, select, update

from gongdian.accounts.channels import addresses_of, forget_channels, mark_channel_refused
from gongdian.accounts.erasure import forget_bindings
from gongdian.accounts.model import (
    SERVICE_NOTICES,
    Contact,
    ContactState,
    DecideConsent,
    Decision,
)
from gongdian.accounts.subscriptions import forget_credits
from gongdian.accounts.tables import consents, contacts
from gongdian.audit import record_audit
from gongdian.db import Session, insert_once
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.holding import Selection, erase_addresses, withdraw_messages
from gongdian.outbox.model import RecipientRefused


def meet_contact(session: Session, account: str, openid: str, now: datetime) -> Contact:
    """The contact with this openid; made when we see it for the first time."""
    person = address_hash(openid)
    columns = contacts.c
    mine = (columns.account == account, columns.openid_hash == person)
    query = select(columns.id, columns.openid, columns.state).where(*mine)
    row = session.execute(query).first()
    if row is None:
        values = {
            "account": account,
            "openid": openid,
            "openid_hash": person,
            "state": ContactState.MET.value,
            "met_at": now,
            "changed_at": now,
        }
        insert_once(session, contacts, values)
        row = session.execute(query).one()
    elif row.openid is None:
        state = (
            ContactState.FOLLOWING
            if row.state == ContactState.FOLLOWING.value
            else ContactState.MET
        )
        values = {"openid": openid, "state": state.value, "changed_at": now}
        session.execute(update(contacts).where(*mine).values(**values))
        row = session.execute(query).one()
    return Contact(row.id, openid, ContactState(row.state))


def follow(session: Session, account: str, openid: str, scene: str, now: datetime) -> Contact:
    """The person follows the account (关注)."""
    contact = meet_contact(session, account, openid, now)
    session.execute(
        update(contacts)
        .where(contacts.c.id == contact.id)
        .values(
            state=ContactState.FOLLOWING.value,
            scene=scene[:64],
            refused_reason="",
            changed_at=now,
        )
    )
    return Contact(contact.id, openid, ContactState.FOLLOWING)


def leave(session: Session, account: str, openid: str, now: datetime) -> int:
    """The person unfollowed (取消关注) or revoked: erase the openid, end consents, bindings and
    messages (see ``gongdian.accounts.erasure``).

    The blind index stays, so that a second event changes nothing. Returns how many unsent
    messages were withdrawn.
    """
    person = address_hash(openid)
    columns = contacts.c
    contact_id = session.execute(
        select(columns.id).where(columns.account == account, columns.openid_hash == person)
    ).scalar()
    withdrawn = withdraw_messages(session, Selection(person_hash=person), "left", now)
    erase_addresses(session, person)
    if contact_id is None:
        return withdrawn
    for other in addresses_of(session, contact_id):
        # messages that began on another channel than WeChat
        withdrawn += withdraw_messages(session, Selection(person_hash=other), "left", now)
        erase_addresses(session, other)
    forget_credits(session, contact_id)
    changed = session.execute(
        update(contacts)
        .where(columns.id == contact_id, columns.state != ContactState.LEFT.value)
        .values(state=ContactState.LEFT.value, openid=None, scene="", changed_at=now)
    )
    if changed.rowcount == 1:
        forget_channels(session, contact_id)
        forget_bindings(session, contact_id, "left", now)
        if current_decision(session, contact_id) is Decision.AGREED:
            _record(session, _end_of_consent(contact_id, "left"), Decision.WITHDRAWN, now)
        record_audit(
            session, now, "wechat", "accounts:contact:left", f"c{contact_id}", {"v": withdrawn}
        )
    return withdrawn


def mark_refused(session: Session, refused: RecipientRefused, now: datetime) -> None:
    """A channel will not deliver to this address (43004, an empty number, a full mailbox ...)."""
    mark_channel_refused(session, refused, now)
    columns = contacts.c
    session.execute(
        update(contacts)
        .where(
            columns.account == refused.account,
            columns.openid_hash == refused.address_hash,
            columns.state != ContactState.LEFT.value,
        )
        .values(state=ContactState.REFUSED.value, refused_reason=refused.reason, changed_at=now)
    )


def decide_consent(session: Session, command: DecideConsent, now: datetime) -> Decision:
    """Record a decision on service notices; repeating the one that stands records nothing."""
    decision = Decision.AGREED if command.is_agreed else Decision.DECLINED
    columns = consents.c
    mine = (columns.contact_id == command.contact_id, columns.purpose == SERVICE_NOTICES)
    latest = session.execute(
        select(columns.source, columns.version, columns.decision)
        .where(*mine)
        .order_by(columns.id.desc())
        .limit(1)
    ).first()
    if latest is None or tuple(latest) != (command.source, command.version, decision.value):
        _record(session, command, decision, now)
    return decision


def current_decision(session: Session, contact_id: int) -> Decision | None:
    """The contact's latest decision on service notices."""
    columns = consents.c
    latest = session.execute(
        select(columns.decision)
        .where(columns.contact_id == contact_id, columns.purpose == SERVICE_NOTICES)
        .order_by(columns.id.desc())
        .limit(1)
    ).scalar()
    return Decision(latest) if latest else None


def has_decided_since(session: Session, contact_id: int, at: datetime) -> bool:
    """Whether the contact decided on service notices after an instant."""
    columns = consents.c
    query = select(columns.id).where(
        columns.contact_id == contact_id,
        columns.purpose == SERVICE_NOTICES,
        columns.decided_at > at,
    )
    return session.execute(query.limit(1)).first() is not None


def withdraw_consent(session: Session, contact: Contact, source: str, now: datetime) -> bool:
    """The person wants no more notices (解绑): ends the consent, every 户号 bound to them and what
    is not sent yet, and erases the openid; it is met again when they write again. Their number
    and mail address stay: without WeChat notices go there."""
    withdraw_messages(
        session, Selection(person_hash=address_hash(contact.openid)), "consent_withdrawn", now
    )
    erase_addresses(session, address_hash(contact.openid))
    session.execute(
        update(contacts)
        .where(contacts.c.id == contact.id, contacts.c.state != ContactState.LEFT.value)
        .values(openid=None, scene="", changed_at=now)
    )
    forget_bindings(session, contact.id, "consent_withdrawn", now)
    if current_decision(session, contact.id) is not Decision.AGREED:
        return False
    _record(session, _end_of_consent(contact.id, source), Decision.WITHDRAWN, now)
    return True


def _end_of_consent(contact_id: int, source: str) -> DecideConsent:
    return DecideConsent(contact_id, version="", digest="", is_agreed=False, source=source)


def _record(session: Session, command: DecideConsent, decision: Decision, now: datetime) -> None:
    session.execute(
        insert(consents).values(
            contact_id=command.contact_id,
            purpose=SERVICE_NOTICES,
            version=command.version,
            decision=decision.value,
            source=command.source,
            decided_at=now,
        )
    )
    details = {"version": command.version, "digest": command.digest, "source": command.source}
    action = "accounts:consent:" + decision.value
    record_audit(session, now, "wechat", action, f"c{command.contact_id}", details)
