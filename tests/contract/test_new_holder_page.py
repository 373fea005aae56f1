"""After 过户 the new holder sees nothing of the former holder's bills, on both databases."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from gongdian.accounts.binding_rows import bind_own_row
from gongdian.arrears.page import month_lines, open_sums, party_page
from gongdian.arrears.page_bills import open_views
from gongdian.arrears.page_views import Party
from gongdian.arrears.worklist import finish_item, open_items
from gongdian.clock import MovableClock
from gongdian.db import Database, Session
from tests.account_factories import HOME, a_customer, a_follower
from tests.campaign_scene import CampaignScene

NEW = a_customer(HOME, name="王五", party_no="P777")


@pytest.fixture
def scene(database: Database, clock: MovableClock) -> CampaignScene:
    """A household with an open bill, taken over by another holder on 23 November."""
    made = CampaignScene(database, clock)
    made.household(HOME)
    return made


def months(scene: CampaignScene) -> list[str]:
    with scene.database.read() as session:
        return [view.period for view in month_lines(session, HOME)]


def party(scene: CampaignScene) -> Party:
    with scene.database.read() as session:
        return party_page(session, [HOME], scene.now)


def sums(scene: CampaignScene) -> list[Decimal]:
    """What the chat says to somebody whom the new holder has bound."""
    contact = a_follower(scene.database, scene.now, 7)

    def bind(session: Session) -> None:
        bind_own_row(session, contact.id, HOME, 2, scene.now, role="owner", level=1)

    scene.do(bind)
    with scene.database.read() as session:
        return [one.principal for one in open_sums(session, contact.id)]


def test_the_first_holder_sees_every_month(scene: CampaignScene) -> None:
    assert months(scene) == ["202610"]
    assert party(scene).principal == Decimal("86.40")
    with scene.database.read() as session:
        assert [len(found) for found in open_views(session, [HOME]).values()] == [1]


def test_a_paid_month_of_the_former_holder_is_not_shown_and_the_next_one_is(
    scene: CampaignScene,
) -> None:
    scene.pay(HOME, 8_640)
    scene.customers(NEW)
    assert months(scene) == []
    scene.clock.move(timedelta(days=40))
    scene.bill(HOME, 5_000, due_on=date(2026, 12, 25), period="202611")
    assert months(scene) == ["202611"]
    assert party(scene).principal == Decimal("50.00")


def test_what_is_still_owed_is_not_shown_until_a_clerk_says_whose_it_is(
    scene: CampaignScene,
) -> None:
    scene.customers(NEW)
    assert months(scene) == []
    assert party(scene).principal == Decimal("0.00")
    assert sums(scene) == [Decimal("0.00")]
    with scene.database.read() as session:
        assert open_views(session, [HOME]) == {}
        (item,) = open_items(session, kind="transfer")

    scene.do(lambda s: finish_item(s, item.id, "由新户主承担", "li", scene.now))

    assert months(scene) == ["202610"]
    assert party(scene).principal == Decimal("86.40")
    assert sums(scene) == [Decimal("86.40")]


def test_a_new_bill_is_shown_beside_a_hidden_one_without_the_cut_that_counts_from_that(
    scene: CampaignScene,
) -> None:
    scene.customers(NEW)
    scene.clock.move(timedelta(days=40))
    scene.bill(HOME, 5_000, due_on=date(2026, 12, 20), period="202611")
    scene.clock.move(timedelta(days=5))
    (supply,) = party(scene).supplies
    assert [bill.view.period for bill in supply.bills] == ["202611"]
    assert supply.principal == Decimal("50.00")
    assert supply.cut is None


def test_money_and_balance_of_the_former_holder_are_not_shown(scene: CampaignScene) -> None:
    scene.pay(HOME, 100, state="in_flight", expected_on=date(2027, 1, 20))
    scene.customers(NEW._replace(is_prepaid=True))
    scene.balance(HOME, 1_200)  # measured before on the same day
    scene.clock.move(timedelta(days=40))
    scene.bill(HOME, 5_000, due_on=date(2027, 1, 20), period="202612")
    (supply,) = party(scene).supplies
    assert supply.balance is not None
    assert supply.in_flight != ()

    scene.customers(NEW._replace(is_prepaid=True, name="赵六", party_no="P888"))
    scene.bill(HOME, 7_000, due_on=date(2027, 1, 28), period="202701")
    (supply,) = party(scene).supplies
    assert supply.balance is None
    assert supply.in_flight == ()
