"""Bills of each month (我的电费): the bound 户号 by login, and the earlier months of a card."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, request, url_for
from werkzeug.wrappers import Response

from gongdian.accounts.people import customers_of_contact
from gongdian.arrears.page import month_bills, month_lines, party_page
from gongdian.clock import china_date
from gongdian.db import Session
from gongdian.errors import NotFoundError
from wechat_handlers.arrears_access import card_page, chosen_supply, open_card, supply_ref, token
from wechat_handlers.oauth import needs_login, the_house, visitor
from wechat_handlers.pages import page

blueprint = Blueprint("arrears_bills", __name__)

PATH = "/h5/bills"

# (户号's reference, 电费年月) -> the address of its page
Link = Callable[[str, str], str]


@blueprint.get(PATH)
@needs_login
def show_bills() -> str | Response:
    """The visitor's own 户号 with what is open and the last twelve months."""
    house = the_house()
    now = house.clock.now()
    with house.page_database.read() as session:
        return _months_page(
            session,
            _bound(session),
            now,
            link=lambda ref, period: url_for("arrears_bills.show_month", s=ref, p=period),
            is_full=True,
            back_url="",
        )


@blueprint.get(PATH + "/month")
@needs_login
def show_month() -> str | Response:
    """One month of one of them, line by line."""
    with the_house().page_database.read() as session:
        back_url = url_for("arrears_bills.show_bills")
        return _month_page(session, _bound(session), is_full=True, back_url=back_url)


@blueprint.get("/h5/arrears/months")
@card_page
def show_card_months() -> str:
    """The last twelve months of a card's 户号."""
    house = the_house()
    now = house.clock.now()
    with house.page_database.read() as session:
        card = open_card(session, now)
        return _months_page(
            session,
            card.reader.customer_nos,
            now,
            link=lambda ref, period: url_for(
                "arrears_bills.show_card_month", m=token(), s=ref, p=period
            ),
            is_full=card.is_full,
            back_url=url_for("arrears_pages.show_card", m=token()),
        )


@blueprint.get("/h5/arrears/month")
@card_page
def show_card_month() -> str:
    """One of these months, line by line."""
    house = the_house()
    with house.page_database.read() as session:
        card = open_card(session, house.clock.now())
        back_url = url_for("arrears_bills.show_card_months", m=token())
        return _month_page(
            session, card.reader.customer_nos, is_full=card.is_full, back_url=back_url
        )


def _bound(session: Session) -> tuple[str, ...]:
    contact_id, _ = visitor()
    return tuple(one.customer_no for one in customers_of_contact(session, contact_id))


def _months_page(
    session: Session,
    customer_nos: tuple[str, ...],
    now: datetime,
    *,
    link: Link,
    is_full: bool,
    back_url: str,
) -> str:
    party = party_page(session, customer_nos, now)
    months = {
        supply.customer_no: [
            (view, link(supply_ref(supply.customer_no), view.period))
            for view in month_lines(session, supply.customer_no)
        ]
        for supply in party.supplies
    }
    return page(
        "h5/bills.html",
        party=party,
        months=months,
        is_full=is_full,
        pay_url=the_house().settings.arrears_pay_url,
        back_url=back_url,
        bind_url=url_for("arrears_bindings.show_bindings"),
    )


def _month_page(
    session: Session, customer_nos: tuple[str, ...], *, is_full: bool, back_url: str
) -> str:
    customer_no = chosen_supply(customer_nos, request.args.get("s", ""))
    now = the_house().clock.now()
    supply = party_page(session, [customer_no], now).supplies[0]
    bills = month_bills(session, supply, request.args.get("p", ""), china_date(now))
    if not bills:
        raise NotFoundError("no_such_month", "no bill of that month can be seen")
    return page("h5/bill.html", supply=supply, bills=bills, is_full=is_full, back_url=back_url)
