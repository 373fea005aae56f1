"""Customers, their people and bound contacts in a few words (用电客户样例); tests use it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from gongdian.accounts.binding_model import Applicant, AskCompanyBinding, AskResidentBinding
from gongdian.accounts.customer_contacts import ContactRow, apply_contacts
from gongdian.accounts.customers import CustomerRow, CustomersApplied, apply_customers
from gongdian.accounts.model import Contact, DecideConsent
from gongdian.accounts.service import decide_consent, follow
from gongdian.db import Database
from gongdian.outbox.composers import SmsComposer
from gongdian.outbox.model import CHANNEL_SMS, SendingPolicy
from gongdian.outbox.queueing import Outbox
from tests.factories import ACCOUNT, openid, registry

HOME, FIRM = "9900000345812", "9900001203457"
HOLDER, COMPANY = "张三丰", "云溪恒源铸造有限公司"
PHONE = "13800001111"


def a_customer(customer_no: str = HOME, **changes: Any) -> CustomerRow:
    """A household; keywords change the row."""
    row = CustomerRow(
        customer_no=customer_no,
        party_no=f"P{customer_no[-6:]}",
        name=HOLDER,
        address="云溪县城关镇东关村2组18号",
        customer_class="residential",
        voltage_kv="0.22",
        station="城关供电所",
        region="national",
        capacity_kva=8.0,
        is_important=False,
        is_prepaid=False,
        autopay="",
        state="active",
        row_no=2,
    )
    return row._replace(**changes)


def a_firm(customer_no: str = FIRM, **changes: Any) -> CustomerRow:
    """A foundry on 10 kV; keywords change the row."""
    given = {"name": COMPANY, "customer_class": "industrial_two_part", "voltage_kv": "10"}
    return a_customer(customer_no, **{**given, "capacity_kva": 315.0, **changes})


def a_person(customer_no: str = HOME, contact_no: str = "L1", **changes: Any) -> ContactRow:
    """Whom the file names for a customer; keywords change the row."""
    row = ContactRow(
        customer_no=customer_no,
        contact_no=contact_no,
        role="owner",
        level=1,
        position=1,
        name=HOLDER,
        phone=PHONE,
        mail="",
        channels="wechat_template,sms",
        state="active",
        row_no=2,
    )
    return row._replace(**changes)


def put(
    database: Database, now: datetime, *rows: CustomerRow | ContactRow, run_id: int = 1
) -> CustomersApplied:
    """Apply rows as imports do, customers first."""
    firms = [row for row in rows if isinstance(row, CustomerRow)]
    people = [row for row in rows if isinstance(row, ContactRow)]
    applied = database.run(lambda s: apply_customers(s, firms, run_id, now))
    database.run(lambda s: apply_contacts(s, people, run_id, now))
    return applied


def a_follower(
    database: Database, now: datetime, number: int = 1, *, is_agreed: bool = True
) -> Contact:
    """A contact who follows; agreed unless told otherwise."""

    def work(session: Any) -> Contact:
        contact = follow(session, ACCOUNT, openid(number), "", now)
        if is_agreed:
            decide_consent(session, DecideConsent(contact.id, "v1", "d", True, "test"), now)
        return contact

    return database.run(work)


def sms_outbox(**policy: Any) -> Outbox:
    """An outbox of the sandbox account that has text messages."""
    composers = {CHANNEL_SMS: SmsComposer(registry(), ACCOUNT)}
    rules = SendingPolicy(account=ACCOUNT, **policy)
    return Outbox(rules, registry(), "https://example.invalid", composers)


def resident_asks(
    contact: Contact, customer_no: str = HOME, name: str = HOLDER
) -> AskResidentBinding:
    """A resident asks for their household."""
    return AskResidentBinding(contact.id, customer_no, name, "v3", "digest")


def company_asks(contact: Contact, customer_no: str = FIRM, **changes: str) -> AskCompanyBinding:
    """A company's 经办人 asks."""
    words = {"name": "李敏", "phone": "13900002222", "position": "财务主管"}
    applicant = Applicant(**{**words, "authorisation": "授权书2026-11号", **changes})
    return AskCompanyBinding(contact.id, customer_no, applicant, "v3", "digest")


def bound_nos(customers: Iterable[Any]) -> list[str]:
    """The 户号 of what a contact is bound to."""
    return [one.customer_no for one in customers]
