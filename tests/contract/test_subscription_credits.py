"""Contract of the subscription credits on both databases: every event, also late and twice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest

from gongdian.accounts.model import SubscriptionCredit
from gongdian.accounts.queries import contact_id_of
from gongdian.accounts.service import follow, leave, meet_contact
from gongdian.accounts.subscriptions import (
    NONE,
    accept_subscription,
    clear_credits,
    credits_of,
    decline_subscription,
    refuse_subscription,
    use_credit,
)
from gongdian.db import Database
from tests.conftest import MORNING

ACCOUNT, OPENID, TEMPLATE = "wx1", "oPerson", "T-outage"
AGREED = partial(accept_subscription, is_long_term=False)
FOR_LONG = partial(accept_subscription, is_long_term=True)
SECOND = timedelta(seconds=1)

Step = Callable[..., None]


def _after(database: Database, *steps: tuple[Step, int]) -> SubscriptionCredit:
    """The credit after steps, each with the second at which it happened."""
    with database.begin() as session:
        contact = meet_contact(session, ACCOUNT, OPENID, MORNING)
        for step, second in steps:
            step(session, contact.id, TEMPLATE, MORNING + second * SECOND)
        return credits_of(session, contact.id, TEMPLATE)


def test_who_was_never_asked_allows_nothing(database: Database) -> None:
    credit = _after(database)

    assert credit == NONE
    assert not credit.may_send


def test_each_yes_is_one_message_and_each_delivery_uses_one(database: Database) -> None:
    assert _after(database, (AGREED, 1), (AGREED, 2)).credits == 2
    assert _after(database, (use_credit, 3)).credits == 1
    assert _after(database, (use_credit, 4), (use_credit, 5)).credits == 0


def test_a_long_term_yes_is_not_used_up(database: Database) -> None:
    credit = _after(database, (FOR_LONG, 1), (use_credit, 2), (use_credit, 3))

    assert credit.may_send
    assert (credit.credits, credit.is_long_term) == (0, True)


def test_a_no_in_the_popup_leaves_what_was_granted_before(database: Database) -> None:
    credit = _after(database, (AGREED, 1), (decline_subscription, 2))

    assert credit == SubscriptionCredit(1, is_long_term=False, refused_at=MORNING + 2 * SECOND)


def test_a_yes_after_a_no_takes_the_no_away(database: Database) -> None:
    credit = _after(database, (decline_subscription, 1), (AGREED, 2))

    assert credit == SubscriptionCredit(1, is_long_term=False, refused_at=None)


@pytest.mark.parametrize("yes", [AGREED, FOR_LONG])
def test_a_refusal_in_the_settings_ends_everything(database: Database, yes: Step) -> None:
    credit = _after(database, (yes, 1), (refuse_subscription, 2))

    assert not credit.may_send
    assert credit.refused_at == MORNING + 2 * SECOND


def test_a_yes_that_arrives_after_the_later_refusal_counts_for_nothing(
    database: Database,
) -> None:
    credit = _after(database, (refuse_subscription, 2), (AGREED, 1))

    assert not credit.may_send


def test_a_refusal_that_arrives_after_the_later_yes_takes_nothing(database: Database) -> None:
    credit = _after(database, (AGREED, 3), (refuse_subscription, 2))

    assert credit == SubscriptionCredit(1, is_long_term=False, refused_at=None)


def test_the_platforms_no_credit_answer_clears_unless_the_person_agreed_since(
    database: Database,
) -> None:
    assert _after(database, (AGREED, 1), (AGREED, 2), (clear_credits, 3)).credits == 0
    assert _after(database, (AGREED, 5), (clear_credits, 4)).credits == 1


def test_a_delivery_without_a_credit_does_not_go_below_zero(database: Database) -> None:
    assert _after(database, (decline_subscription, 1), (use_credit, 2)).credits == 0


def test_who_leaves_takes_the_credits_along(database: Database) -> None:
    with database.begin() as session:
        contact = follow(session, ACCOUNT, OPENID, "", MORNING)
        AGREED(session, contact.id, TEMPLATE, MORNING)
        leave(session, ACCOUNT, OPENID, MORNING + SECOND)

        assert credits_of(session, contact.id, TEMPLATE) == NONE
        assert contact_id_of(session, ACCOUNT, OPENID) == contact.id
        assert contact_id_of(session, ACCOUNT, "oStranger") is None


def test_answers_that_arrive_at_the_same_time_are_all_counted(database: Database) -> None:
    with database.begin() as session:
        contact = meet_contact(session, ACCOUNT, OPENID, MORNING)

    def agree(second: int) -> None:
        at = MORNING + second * SECOND
        database.run(lambda session: AGREED(session, contact.id, TEMPLATE, at))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(agree, range(16)))

    with database.read() as session:
        assert credits_of(session, contact.id, TEMPLATE).credits == 16
