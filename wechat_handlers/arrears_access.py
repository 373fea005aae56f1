"""Who may open an arrears card's page (卡片页的访问): the recipient, by login or by their link.

A card in WeChat opens for the person it was sent to, after the platform's login. A message that
went out by text or mail has no login to offer: its link alone opens the page, masked, until a week
after the message ended. Either way the binding of today decides what is on it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import ParamSpec

from flask import request
from werkzeug.wrappers import Response

from gongdian.arrears.messages import FLOW
from gongdian.arrears.page_access import Reader, has_run_out, opens_anywhere, reader_of
from gongdian.db import Session
from gongdian.errors import ConflictError, NotFoundError, PermissionDeniedError
from gongdian.outbox.queries import LinkedMessage, message_of_link
from wechat_handlers.oauth import needs_login, the_house, visitor

P = ParamSpec("P")

TOKEN = "m"  # noqa: S105 - the name of the parameter; logs mask its value


@dataclass(frozen=True, slots=True)
class Card:
    """An opened card; ``is_full``: its recipient is logged in, so that nothing is masked."""

    linked: LinkedMessage
    reader: Reader
    is_full: bool


def token() -> str:
    """The link token of this request."""
    return request.args.get(TOKEN, "")


def card_page(view: Callable[P, str | Response]) -> Callable[P, str | Response]:
    """A GET page of a card: through the login first, unless the link alone opens it."""
    guarded = needs_login(view)

    @wraps(view)
    def opened(*args: P.args, **kwargs: P.kwargs) -> str | Response:
        with the_house().page_database.read() as session:
            linked = message_of_link(session, token())
        return view(*args, **kwargs) if opens_anywhere(linked) else guarded(*args, **kwargs)

    return opened


def open_card(session: Session, now: datetime) -> Card:
    """The card of this request's link.

    NotFoundError for a link of nobody or of somebody else, ConflictError ``open_link_expired``,
    ``card_ended`` when the recipient may see none of its 户号 any more.
    """
    linked = message_of_link(session, token())
    if linked.flow != FLOW:
        raise NotFoundError("no_such_link", "this link is for another page")
    is_full = _is_recipient(linked)
    if not is_full:
        if not opens_anywhere(linked):
            visitor()  # a form that is sent without a login says so
            raise NotFoundError("no_such_link", "this card was sent to somebody else")
        if has_run_out(linked, now):
            raise ConflictError("open_link_expired", "the link is older than it may be")
    reader = reader_of(session, the_house().account, linked)
    if not reader.customer_nos:
        raise ConflictError("card_ended", "no 户号 of it is bound to its recipient any more")
    return Card(linked, reader, is_full)


def _is_recipient(linked: LinkedMessage) -> bool:
    try:
        contact_id, _ = visitor()
    except PermissionDeniedError:
        return False
    return linked.recipient == f"c{contact_id}"


def supply_ref(customer_no: str) -> str:
    """What stands for a 户号 in addresses and forms: nothing can be told from it."""
    key = the_house().settings.session_key
    return hmac.digest(key, f"gongdian supply {customer_no}".encode(), "sha256")[:8].hex()


def chosen_supply(customer_nos: tuple[str, ...], ref: str) -> str:
    """The 户号 among these that a reference stands for; NotFoundError for another's."""
    for customer_no in customer_nos:
        if hmac.compare_digest(supply_ref(customer_no).encode(), ref.encode()):
            return customer_no
    raise NotFoundError("no_such_link", "not one of this visitor's 户号")
