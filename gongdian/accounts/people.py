"""Who is told about a customer, and where (该找谁): campaigns and pages read it.

Few queries for a whole batch, whatever its size: a campaign asks for half a million customers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Label, func, select

from gongdian.accounts.binding_model import MANAGER
from gongdian.accounts.binding_rows import ACTIVE
from gongdian.accounts.bulk import chunks
from gongdian.accounts.channels import channels_of_all
from gongdian.accounts.customer_tables import customer_contacts, customers
from gongdian.accounts.model import SERVICE_NOTICES, ContactState, Decision
from gongdian.accounts.tables import consents, contacts
from gongdian.channels import is_mail_address, is_mobile
from gongdian.columns import as_stored
from gongdian.db import AnyRow, Session
from gongdian.outbox.model import CHANNEL_MAIL, CHANNEL_SMS, FallbackStep
from gongdian.privacy import unseal

_PERSON = customer_contacts.c
# An encrypted text without a character: key id, nonce and tag alone. Opening it is not worth it.
_EMPTY = 1 + 12 + 16
# Opened here and not by the columns' type: of a bound person the phone on file is seldom needed.
_NAME, _PHONE, _MAIL = (f"customer_contacts.{column}" for column in ("name", "phone", "mail"))


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who hears of a customer's bills (客户联系人); a 客户经理 is none.

    ``recipient`` names them in business keys: ``c5`` when a WeChat contact is bound, else ``p9``,
    the same for all 户号 of one party that have the same phone on file. ``openid`` is empty where
    WeChat may not be used; without ``fallbacks`` either they cannot be reached.
    """

    id: int
    customer_no: str
    role: str
    level: int
    position: int
    name: str = field(repr=False)
    recipient: str
    contact_id: int | None
    openid: str = field(repr=False)
    fallbacks: tuple[FallbackStep, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class BoundCustomer:
    """A customer whom a WeChat contact may see, and as what."""

    customer_no: str
    party_no: str
    name: str = field(repr=False)
    address: str = field(repr=False)
    customer_class: str
    station: str
    is_prepaid: bool
    role: str
    level: int


@dataclass(frozen=True, slots=True)
class _Wechat:
    """A bound contact: ``openid`` is empty unless they follow and agreed."""

    openid: str
    steps: tuple[FallbackStep, ...] = ()
    has_channels: bool = False


def people_of(
    session: Session, account: str, customer_nos: Iterable[str]
) -> dict[str, tuple[Person, ...]]:
    """The people of each customer by level and position; an empty tuple where there is nobody.

    A contact who named further channels is reached there and not at the phone on file, even
    where they turned all of them off.
    """
    found: dict[str, list[Person]] = {number: [] for number in customer_nos}
    for batch in chunks(found):
        people = session.execute(_QUERY.where(_PERSON.customer_no.in_(batch))).all()
        bound = {row.contact_id for row in people if row.contact_id is not None}
        wechat = _wechat_of(session, account, bound)
        for row in people:
            found[row.customer_no].append(_person(row, wechat.get(row.contact_id)))
    return {number: tuple(people) for number, people in found.items()}


def _first_of_party() -> Label[int]:
    """The first person of the same party with the same phone: one recipient for all their 户号."""
    other, others = customer_contacts.alias("other"), customers.alias("others")
    return (
        select(func.min(other.c.id))
        .join(others, others.c.customer_no == other.c.customer_no)
        .where(other.c.phone_hash == _PERSON.phone_hash, others.c.party_no == customers.c.party_no)
        .scalar_subquery()
        .label("first_id")
    )


_QUERY = (
    select(
        _PERSON.id,
        _PERSON.customer_no,
        _PERSON.role,
        _PERSON.level,
        _PERSON.position,
        _PERSON.channels,
        _PERSON.contact_id,
        as_stored(_PERSON.name),
        as_stored(_PERSON.phone),
        as_stored(_PERSON.mail),
        _first_of_party(),
    )
    .join(customers, customers.c.customer_no == _PERSON.customer_no)
    .where(
        _PERSON.state == ACTIVE,
        _PERSON.role != MANAGER,
        _PERSON.holder == customers.c.holder,
    )
    .order_by(_PERSON.customer_no, _PERSON.level, _PERSON.position, _PERSON.id)
)

# Contacts with their latest decision on notices.
_WECHAT = select(
    contacts.c.id,
    contacts.c.openid,
    contacts.c.state,
    select(consents.c.decision)
    .where(consents.c.contact_id == contacts.c.id, consents.c.purpose == SERVICE_NOTICES)
    .order_by(consents.c.id.desc())
    .limit(1)
    .scalar_subquery(),
)


def _person(row: AnyRow, wechat: _Wechat | None) -> Person:
    (
        person_id,
        customer_no,
        role,
        level,
        position,
        channels,
        contact_id,
        name,
        phone,
        mail,
        first_id,
    ) = row
    if wechat is None:
        steps = _steps_on_file(channels, phone, mail)
        number = f"p{first_id or person_id}"
        return Person(
            person_id,
            customer_no,
            role,
            level,
            position,
            _text(name, _NAME),
            number,
            None,
            "",
            steps,
        )
    steps = wechat.steps if wechat.has_channels else _steps_on_file(channels, phone, mail)
    return Person(
        person_id,
        customer_no,
        role,
        level,
        position,
        _text(name, _NAME),
        f"c{contact_id}",
        contact_id,
        wechat.openid,
        steps,
    )


def _steps_on_file(channels: str, phone: bytes, mail: bytes) -> tuple[FallbackStep, ...]:
    """Phone and mail on file, as the person's channels say; all of them where they say nothing."""
    steps = []
    for channel in channels.split(",") if channels else (CHANNEL_SMS, CHANNEL_MAIL):
        if channel == CHANNEL_SMS and is_mobile(number := _text(phone, _PHONE)):
            steps.append(FallbackStep(channel, number))
        elif channel == CHANNEL_MAIL and is_mail_address(address := _text(mail, _MAIL)):
            steps.append(FallbackStep(channel, address))
    return tuple(steps)


def _text(stored: bytes, purpose: str) -> str:
    return "" if len(stored) == _EMPTY else unseal(stored, purpose).decode("utf-8")


def _wechat_of(
    session: Session, account: str, contact_ids: Collection[int]
) -> Mapping[int, _Wechat]:
    """The contacts of this account among these, with the openids that may be used."""
    if not contact_ids:
        return {}
    channels = channels_of_all(session, contact_ids)
    mine = (contacts.c.id.in_(contact_ids), contacts.c.account == account)
    found: dict[int, _Wechat] = {}
    for contact_id, openid, state, decision in session.execute(_WECHAT.where(*mine)):
        may_hear = state == ContactState.FOLLOWING.value and decision == Decision.AGREED.value
        own = channels.get(contact_id, ())
        steps = tuple(
            FallbackStep(one.channel, one.address, one.wait) for one in own if one.is_used
        )
        found[contact_id] = _Wechat((openid or "") if may_hear else "", steps, bool(own))
    return found


def customers_of_contact(session: Session, contact_id: int) -> list[BoundCustomer]:
    """The customers that a WeChat contact is bound to, by 户号; who has a new holder is not."""
    query = (
        select(
            customers.c.customer_no,
            customers.c.party_no,
            customers.c.name,
            customers.c.address,
            customers.c.customer_class,
            customers.c.station,
            customers.c.is_prepaid,
            _PERSON.role,
            _PERSON.level,
        )
        .join(customers, customers.c.customer_no == _PERSON.customer_no)
        .where(
            _PERSON.contact_id == contact_id,
            _PERSON.state == ACTIVE,
            _PERSON.holder == customers.c.holder,
            customers.c.state == "active",
        )
        .order_by(customers.c.customer_no, _PERSON.level, _PERSON.id)
    )
    found: dict[str, BoundCustomer] = {}
    for row in session.execute(query):
        found.setdefault(row.customer_no, BoundCustomer(*row))
    return list(found.values())
