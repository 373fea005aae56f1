"""People who leave a customer (联系人离开): what is queued to them ends, its stage may come again.

Unbinding, 不是我的户号, leaving the account and the feed of contacts go through here, since
``accounts`` knows no debts. Open cases are locked first: a campaign that is queueing is waited
for, and its messages are seen.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime

from sqlalchemy import or_, select, update

from gongdian.accounts.bindings import not_mine, not_mine_person, unbind_customer
from gongdian.accounts.customer_contacts import customers_with_former_people
from gongdian.accounts.customer_tables import customer_contacts
from gongdian.accounts.customers import customers_of
from gongdian.accounts.model import Contact
from gongdian.accounts.recipients import Addressee, addressees_of, ids_on_file, parties_of
from gongdian.accounts.service import leave, withdraw_consent
from gongdian.accounts.tables import contacts
from gongdian.arrears.holds import FLOW, lock_open_cases
from gongdian.arrears.steps import untake_steps
from gongdian.arrears.tables import answers
from gongdian.arrears.worklist import NEW_HOLDER, NewItem, add_item, end_items
from gongdian.billing.bulk import chunks
from gongdian.db import Session
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.holding import Selection, withdraw_messages
from gongdian.outbox.model import MessageState
from gongdian.outbox.tables import messages

_WAITING = (MessageState.QUEUED.value, MessageState.HELD.value, MessageState.SENDING.value)


def leave_customer(
    session: Session, contact_id: int, customer_no: str, now: datetime, by: str = "wechat"
) -> bool:
    """解除绑定 of one 户号; False when it was not bound."""
    return _without(
        session,
        contact_id,
        customer_no,
        lambda: unbind_customer(session, contact_id, customer_no, now, by),
        ("unbound", now),
    )


def disown_customer(session: Session, contact_id: int, customer_no: str, now: datetime) -> bool:
    """不是我的户号 by somebody with WeChat; False when it was not bound."""
    return _without(
        session,
        contact_id,
        customer_no,
        lambda: not_mine(session, contact_id, customer_no, now),
        ("not_mine", now),
    )


def disown_on_file(session: Session, person_id: int, customer_no: str, now: datetime) -> bool:
    """不是我的户号 by somebody without WeChat; ``person_id`` is that of their message."""
    lock_open_cases(session, [customer_no])
    told = addressees_of(session, ids_on_file(session, person_id, customer_no))
    if not not_mine_person(session, person_id, customer_no, now):
        return False
    withdraw_from(session, told, "not_mine", now)
    return True


def leave_account(session: Session, account: str, openid: str, now: datetime) -> int:
    """取消关注 (``accounts.service.leave``); how many unsent messages were withdrawn."""
    contact_id = session.execute(
        select(contacts.c.id).where(
            contacts.c.account == account, contacts.c.openid_hash == address_hash(openid)
        )
    ).scalar()
    told = _locked_parties(session, contact_id) if contact_id is not None else set()
    withdrawn = leave(session, account, openid, now)
    if contact_id is not None:
        withdrawn += withdraw_from(session, told, "left", now)
        untake_steps(session, [party_no for party_no, _ in told], now)
        _forget_words(session, contact_id)
    return withdrawn


def leave_notices(session: Session, contact: Contact, source: str, now: datetime) -> bool:
    """解绑 of everything (``accounts.service.withdraw_consent``); False without a consent."""
    told = _locked_parties(session, contact.id)
    is_done = withdraw_consent(session, contact, source, now)
    withdraw_from(session, told, "consent_withdrawn", now)
    untake_steps(session, [party_no for party_no, _ in told], now)
    _forget_words(session, contact.id)
    return is_done


def people_changed(
    session: Session, customer_nos: Iterable[str], left: Collection[Addressee], now: datetime
) -> None:
    """After a batch of the feed of contacts: who left is told nothing, and whoever was asked to
    look for a new holder's people need not where the feed has named some."""
    numbers = sorted(customer_nos)
    if left:
        lock_open_cases(session, numbers)
        withdraw_from(session, left, "people_changed", now)
    still = set(customers_with_former_people(session, numbers))
    known = [number for number in numbers if number not in still]
    end_items(session, known, "联系人档案已更新", now, kinds=(NEW_HOLDER,))


def ask_for_people(session: Session, customer_nos: Iterable[str], now: datetime) -> None:
    """After 过户 or 更名: a clerk says whether the people on file stay; until then they are told
    nothing."""
    numbers = customers_with_former_people(session, customer_nos)
    for number, facts in customers_of(session, numbers).items():
        add_item(session, NewItem(NEW_HOLDER, number, facts.station), now)


def withdraw_from(session: Session, told: Iterable[Addressee], reason: str, now: datetime) -> int:
    """Withdraw what is not out yet to these recipients, and give its stages back.

    They may still be told of other 户号 of the same party: the next campaign tells them anew.
    """
    by_party: dict[str, set[str]] = {}
    for party_no, recipient in told:
        by_party.setdefault(party_no, set()).add(recipient)
    of = messages.c
    waiting: list[Addressee] = []
    for some in chunks(sorted(by_party)):
        query = select(of.subject, of.recipient).where(
            of.flow == FLOW,
            of.subject.in_(some),
            or_(of.state.in_(_WAITING), of.next_step.is_not(None)),
        )
        rows = session.execute(query.distinct())
        waiting += [(subject, who) for subject, who in rows if who in by_party[subject]]
    withdrawn = 0
    for party_no, recipient in sorted(waiting):
        chosen = Selection(flow=FLOW, subject=party_no, recipient=recipient)
        withdrawn += withdraw_messages(session, chosen, reason, now)
    untake_steps(session, {party_no for party_no, _ in waiting}, now)
    return withdrawn


def _without(
    session: Session,
    contact_id: int,
    customer_no: str,
    release: Callable[[], bool],
    why: tuple[str, datetime],
) -> bool:
    lock_open_cases(session, [customer_no])
    if not release():
        return False
    told = {(party_no, f"c{contact_id}") for party_no in parties_of(session, [customer_no])}
    withdraw_from(session, told, *why)
    return True


def _locked_parties(session: Session, contact_id: int) -> set[Addressee]:
    """As whom a WeChat contact is told, of each party they are bound to; its cases are locked."""
    of = customer_contacts.c
    bound = select(of.customer_no).where(of.contact_id == contact_id)
    numbers = sorted(set(session.execute(bound).scalars()))
    lock_open_cases(session, numbers)
    return {(party_no, f"c{contact_id}") for party_no in parties_of(session, numbers)}


def _forget_words(session: Session, contact_id: int) -> None:
    """What they wrote of themselves goes. That and when they answered stays: it is why a reminder
    stopped. An open work item keeps its copy until it is done, since somebody must answer."""
    session.execute(update(answers).where(answers.c.contact_id == contact_id).values(note=""))
