"""What customers allow by subscription (订阅通知): the three events; build_router takes rules().

The credits are kept in ``gongdian.accounts.subscriptions``; the inbox lets each event act once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from gongdian.accounts.queries import contact_id_of
from gongdian.accounts.service import meet_contact
from gongdian.accounts.subscriptions import (
    accept_subscription,
    clear_credits,
    decline_subscription,
    refuse_subscription,
    use_credit,
)
from gongdian.db import Session
from wechat_handlers.events import SubscribeMsgEntry
from wechat_handlers.handling import Handler, Handling
from wechat_handlers.router import Rule

# The platform's own refusal, in the result of a send as in the answer to one
NOT_SUBSCRIBED = 43101

Apply = Callable[[Session, int, SubscribeMsgEntry, datetime], None]


def _answered(handling: Handling) -> None:
    """The popup was answered; the person may be new to us."""
    house, session, event = handling.house, handling.session, handling.message
    contact = meet_contact(session, house.account, handling.openid, handling.now)
    long_term = house.settings.long_term_template_ids
    for entry in event.entries:
        template_id = entry.template_id
        if entry.is_accepted:
            accept_subscription(
                session,
                contact.id,
                template_id,
                event.created_at,
                is_long_term=template_id in long_term,
            )
        else:
            decline_subscription(session, contact.id, template_id, event.created_at)


def _changed(handling: Handling) -> None:
    def apply(session: Session, contact_id: int, entry: SubscribeMsgEntry, at: datetime) -> None:
        # Only refusals are pushed; a yes is not a credit, the next popup gives one.
        if not entry.is_accepted:
            refuse_subscription(session, contact_id, entry.template_id, at)

    _apply_to_known(handling, apply)


def _sent(handling: Handling) -> None:
    def apply(session: Session, contact_id: int, entry: SubscribeMsgEntry, at: datetime) -> None:
        if entry.error_code == 0:
            use_credit(session, contact_id, entry.template_id, at)
        elif entry.error_code == NOT_SUBSCRIBED:
            clear_credits(session, contact_id, entry.template_id, at)

    _apply_to_known(handling, apply)


def _apply_to_known(handling: Handling, apply: Apply) -> None:
    """These events need no act of the person, so they must not bring back one who left."""
    session, event = handling.session, handling.message
    contact_id = contact_id_of(session, handling.house.account, handling.openid)
    if contact_id is not None:
        for entry in event.entries:
            apply(session, contact_id, entry, event.created_at)


def rules() -> list[Rule[Handler]]:
    """The router rules of the subscriptions."""
    return [
        Rule("subscribe_answered", Handler(_answered), "queued", event="subscribe_msg_popup_event"),
        Rule("subscribe_changed", Handler(_changed), "queued", event="subscribe_msg_change_event"),
        Rule("subscribe_sent", Handler(_sent), "queued", event="subscribe_msg_sent_event"),
    ]
