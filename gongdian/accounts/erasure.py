"""Erasure (个人信息清除) when a person unbinds everything, unfollows or revokes authorisation.

Called by ``gongdian.accounts.service`` in the same transaction. What goes:

- the openid, the further addresses of a contact who left, addresses of unsent messages (service);
- every binding: a row that came by binding loses name, phone and mail and is revoked; a person of
  the feed is detached (``contact_id`` NULL);
- what an applicant told of themselves (name, phone, position, authorisation) in every request,
  decided or not; codes and the text messages that carried them;
- what they wrote with an answer on a page (``gongdian.arrears.leavers``, which calls the service);
  the copy in a work item goes when that is done.

What stays, and why:

- the company's own file (户名, 地址, people of the feed with phone and mail): it belongs to the
  supply contract, not to the WeChat binding, and bills and legal notices must reach somebody;
- message keys, states and timelines: who was told what and when is evidence for a cut-off;
- consents and audit rows: that consent was given and withdrawn must be provable; neither holds
  personal data beyond the contact's number;
- the blind index of the openid: without it a second event, or the same person coming back, could
  not be told from a stranger. It cannot be turned back into the openid.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from gongdian.accounts.binding_model import RequestState
from gongdian.accounts.binding_requests import end_requests
from gongdian.accounts.binding_rows import ACTIVE, BINDING, bound_people, release_people
from gongdian.accounts.customer_tables import binding_requests, customer_contacts
from gongdian.db import Session
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.holding import Selection, erase_addresses, withdraw_messages

_PERSON = customer_contacts.c
_REQUEST = binding_requests.c


def forget_bindings(session: Session, contact_id: int, why: str, now: datetime) -> int:
    """End everything a contact bound or asked for; returns how many bindings ended."""
    given = _phones_given(session, contact_id)
    rows = bound_people(session, _PERSON.contact_id == contact_id)
    ended = release_people(session, rows, why, "wechat", now)
    theirs = _REQUEST.contact_id == contact_id
    while end_requests(session, RequestState.WITHDRAWN, "wechat", why, now, theirs):
        pass
    session.execute(update(binding_requests).where(theirs).values(applicant={}))
    for phone in given:
        person = address_hash(phone)
        withdraw_messages(session, Selection(person_hash=person), why, now)
        erase_addresses(session, person)
    return ended


def _phones_given(session: Session, contact_id: int) -> list[str]:
    """Phones that only a binding told us; one that is on file as well stays in use."""
    query = select(_PERSON.phone, _PERSON.phone_hash).where(
        _PERSON.contact_id == contact_id,
        _PERSON.origin == BINDING,
        _PERSON.state == ACTIVE,
        _PERSON.phone_hash.is_not(None),
    )
    rows = session.execute(query).all()
    on_file = select(_PERSON.phone_hash).where(
        _PERSON.phone_hash.in_([row.phone_hash for row in rows]),
        _PERSON.origin != BINDING,
        _PERSON.state == ACTIVE,
    )
    known = {bytes(one) for one in session.execute(on_file).scalars()}
    return [row.phone for row in rows if bytes(row.phone_hash) not in known]
