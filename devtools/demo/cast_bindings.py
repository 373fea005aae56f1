"""The cast binds its 户号 through the real pages (绑定户号): by SMS code, or by the office.

Played in the story and by the scenario buttons; who is bound already is left as is.
"""

from __future__ import annotations

import re
from datetime import datetime

from devtools.demo.seeding import SeededCounty
from devtools.demo.stage import Stage
from devtools.wechat_sandbox.browser import Page
from devtools.wechat_sandbox.phone import Phone
from gongdian.accounts.binding_model import DecideCompanyBinding
from gongdian.accounts.binding_requests import waiting_requests
from gongdian.accounts.company_bindings import decide_company_binding
from gongdian.accounts.people import customers_of_contact
from gongdian.accounts.service import meet_contact
from gongdian.db import Session

OFFICE_CLERK = "审核员小林"
COMPANY_PERSON = "王先生"
PAGE = "/h5/customer-binding"
_CODE = re.compile(r"验证码(\d{6})")


class CastBindings:
    """Binds the people of the demo."""

    def __init__(self, stage: Stage, county: SeededCounty) -> None:
        self._stage = stage
        self._county = county

    def bind(self, name: str) -> str:
        """Follow, and bind every 户号 of this person; says what was done."""
        phone = self.phone(name)
        if not phone.following:
            self._stage.sandbox.wait(phone.follow())
        numbers = [one for one in self._numbers(name) if one not in self.bound(phone)]
        for number in numbers:
            if name == COMPANY_PERSON:
                self._ask_office(phone, number)
            else:
                self._prove_by_code(phone, name, number)
        bound = self.bound(phone)
        missing = set(self._numbers(name)) - bound
        if missing:
            raise AssertionError(f"{name} is not bound to {sorted(missing)}")
        way = "经办人申请，营业厅审核通过" if name == COMPANY_PERSON else "户名加短信验证码"
        return f"{name}绑定户号{'、'.join(self._numbers(name))}（{way}）"

    def phone(self, name: str) -> Phone:
        """The phone of this person."""
        for state in self._stage.sandbox.phones.listed():
            if state.name == name:
                return self._stage.sandbox.phone(state.openid)
        raise AssertionError(f"nobody here is called {name}")

    def bound(self, phone: Phone) -> set[str]:
        """The 户号 that this phone is bound to."""
        house = self._stage.house

        def work(session: Session) -> set[str]:
            contact = meet_contact(session, house.account, phone.openid, house.clock.now())
            return {one.customer_no for one in customers_of_contact(session, contact.id)}

        return house.database.run(work)

    def _numbers(self, name: str) -> list[str]:
        return list(self._county.facts["cast"][name])

    def _prove_by_code(self, phone: Phone, name: str, number: str) -> None:
        form = phone.open(f"{self._stage.web_url}{PAGE}/resident")
        seen = len(self._codes(phone))
        holder = self._county.facts["holders"][name]
        typed = {"customer_no": number, "customer_name": holder}
        asked = self._submit(phone, form, typed)
        codes = self._stage.wait_for(
            lambda: self._codes(phone)[seen:], f"the code in a text message to {name}"
        )
        done = self._submit(phone, asked, {"code": codes[-1]})
        _must(done, "绑定成功")

    def _ask_office(self, phone: Phone, number: str) -> None:
        form = phone.open(f"{self._stage.web_url}{PAGE}/company")
        state = self._stage.sandbox.phones.get(phone.openid)
        typed = {
            "customer_no": number,
            "name": self._county.facts["holders"][state.name],
            "phone": state.phone_number,
            "position": "财务",
            "authorisation": "授权书2026-018号",
        }
        asked = self._submit(phone, form, typed)
        _must(asked, "申请已提交")
        self._decide(number)

    def _decide(self, number: str) -> None:
        """The office looks at what waits and lets it through."""
        house = self._stage.house

        def work(session: Session, now: datetime) -> None:
            waiting = [one for one in waiting_requests(session, now) if one.customer_no == number]
            command = DecideCompanyBinding(waiting[-1].id, is_approved=True, by=OFFICE_CLERK)
            decide_company_binding(session, house.outbox, command, now)

        house.database.run(lambda session: work(session, house.clock.now()))

    def _submit(self, phone: Phone, page: Page, typed: dict[str, str]) -> Page:
        if page.status != 200:
            raise AssertionError(f"the page answers {page.status}: {page.url}")
        return phone.submit(page.url, {**page.hidden_fields, **typed})

    @staticmethod
    def _codes(phone: Phone) -> list[str]:
        texts = [item["text"] for item in phone.inbox() if item["kind"] == "sms"]
        return [found[1] for text in texts if (found := _CODE.search(text))]


def _must(page: Page, text: str) -> None:
    if page.status != 200 or text not in page.body:
        raise AssertionError(f"no “{text}” on the page ({page.status})")
