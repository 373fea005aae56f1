"""How messages name people on file (收件人编号): for whoever withdraws what is queued to them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import or_, select

from gongdian.accounts.bulk import chunks
from gongdian.accounts.customer_tables import customer_contacts, customers
from gongdian.db import Session

# (party_no, recipient): the subject of a message and its ``c5`` or ``p9``.
Addressee = tuple[str, str]


def addressees_of(session: Session, person_ids: Iterable[int]) -> set[Addressee]:
    """Under which numbers these people may have been told as the rows stand now; ask before the
    rows change.

    One phone is one recipient for all 户号 of a party (``people``), under the number of any row
    with that phone.
    """
    person, other = customer_contacts, customer_contacts.alias("other")
    others = customers.alias("others")
    mine = select(customers.c.party_no, person.c.id, person.c.contact_id).join(
        customers, customers.c.customer_no == person.c.customer_no
    )
    same_phone = (
        select(others.c.party_no, other.c.id)
        .select_from(person)
        .join(customers, customers.c.customer_no == person.c.customer_no)
        .join(other, other.c.phone_hash == person.c.phone_hash)
        .join(others, others.c.customer_no == other.c.customer_no)
        .where(others.c.party_no == customers.c.party_no)
    )
    found: set[Addressee] = set()
    for some in chunks(person_ids):
        for party_no, person_id, contact_id in session.execute(mine.where(person.c.id.in_(some))):
            found.add((party_no, f"p{person_id}"))
            if contact_id is not None:
                found.add((party_no, f"c{contact_id}"))
        for party_no, person_id in session.execute(same_phone.where(person.c.id.in_(some))):
            found.add((party_no, f"p{person_id}"))
    return found


def parties_of(session: Session, customer_nos: Iterable[str]) -> set[str]:
    """Whose these 户号 are now."""
    found: set[str] = set()
    for some in chunks(customer_nos):
        query = select(customers.c.party_no).where(customers.c.customer_no.in_(some))
        found.update(session.execute(query).scalars())
    return found


def ids_on_file(session: Session, person_id: int, customer_no: str) -> list[int]:
    """A customer's rows without WeChat that have the phone of this person."""
    of = customer_contacts.c
    digest = session.execute(select(of.phone_hash).where(of.id == person_id)).scalar()
    is_theirs = of.id == person_id
    if digest is not None:
        is_theirs = or_(is_theirs, of.phone_hash == digest)
    query = select(of.id).where(of.customer_no == customer_no, of.contact_id.is_(None), is_theirs)
    return list(session.execute(query).scalars())
