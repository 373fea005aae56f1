"""How a customer chooses to be reached (接收方式): the words in the chat, and the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response

from gongdian.accounts.channels import channels_of
from gongdian.accounts.model import ContactChannel, Decision, Patience
from gongdian.accounts.preferences import (
    choose_patience,
    patience_of,
    place_channel,
    switch_channel,
)
from gongdian.accounts.queries import contact_id_of
from gongdian.accounts.service import current_decision
from gongdian.db import Session
from gongdian.errors import ConflictError, InputError
from gongdian.outbox.fallback import switch_at
from gongdian.outbox.model import CHANNEL_MAIL, CHANNEL_SMS, Priority
from wechat_handlers.handling import Handler, Handling
from wechat_handlers.oauth import needs_login, the_house, visitor
from wechat_handlers.pages import page
from wechat_handlers.replies import Reply, TextReply
from wechat_handlers.router import Rule

blueprint = Blueprint("preferences", __name__)

PATH = "/h5/channels"
_BY = "wechat"  # who acted, in the audit: the contact themselves
_CHANNELS = (CHANNEL_SMS, CHANNEL_MAIL)
_PLACES = ("0", "1")

# (session, contact_id) -> whether anything changed
Change = Callable[[Session, int], bool]


@dataclass(frozen=True, slots=True)
class ShownChannel:
    """A further channel as the page shows it; ``number`` counts those in use, WeChat is 1."""

    channel: str
    masked: str
    number: int | None
    is_on: bool
    is_refused: bool
    is_served: bool
    wait_min: int | None


def _asked_for_channels(handling: Handling) -> Reply:
    house, session = handling.house, handling.session
    contact_id = contact_id_of(session, house.account, handling.openid)
    if contact_id is None or not _is_bound(session, contact_id):
        return TextReply("这个微信目前没有绑定。回复“绑定”可开通用电服务通知。")
    return TextReply(
        "点击下面的链接，可以查看微信之外的接收方式，调整先后次序，或者关闭其中一种：\n"
        f"{house.settings.public_url}{PATH}"
    )


def rules() -> list[Rule[Handler]]:
    """The router rules of the preferences."""
    asked = Handler(_asked_for_channels)
    return [
        Rule("channels", asked, "inline", msg_type="text", text_pattern="接收方式|通知接收方式"),
        Rule("channels_menu", asked, "inline", event="click", key="CHANNELS"),
    ]


@blueprint.get(PATH)
@needs_login
def show_channels() -> str | Response:
    """The visitor's own channels in their order."""
    house = the_house()
    contact_id, _ = visitor()
    with house.page_database.read() as session:
        _must_be_bound(session, contact_id)
        channels = channels_of(session, contact_id)
    return page(
        "h5/channels.html",
        channels=_shown(channels, frozenset(house.outbox.composers)),
        patience=patience_of(channels) if channels else None,
        usual_waits=_usual_waits(house.clock.now()),
        is_saved=request.args.get("saved") == "1",
        service_phone=house.settings.service_phone,
        action_url=url_for("preferences.change_channels"),
    )


@blueprint.post(PATH)
def change_channels() -> Response:
    """One change; each form says how it shall be, so that sending it again changes nothing."""
    house = the_house()
    contact_id, _ = visitor()
    change = _read_change(house.clock.now())

    def work(session: Session) -> None:
        _must_be_bound(session, contact_id)
        change(session, contact_id)

    house.page_database.run(work)
    return redirect(url_for("preferences.show_channels", saved="1"))


def _read_change(now: datetime) -> Change:
    """What the form asks for: ``on:sms``, ``off:sms``, ``place:sms:0`` or ``patience``."""
    match request.form.get("do", "").split(":"):
        case ["on" | "off" as switch, channel] if channel in _CHANNELS:
            is_on = switch == "on"
            return partial(switch_channel, channel=channel, by=_BY, now=now, is_on=is_on)
        case ["place", channel, place] if channel in _CHANNELS and place in _PLACES:
            return partial(place_channel, channel=channel, place=int(place), by=_BY, now=now)
        case ["patience"] if (chosen := request.form.get("patience", "")) in set(Patience):
            return partial(choose_patience, patience=Patience(chosen), by=_BY, now=now)
    raise InputError("bad_answer", "no such change of the channels", field="do")


def _is_bound(session: Session, contact_id: int) -> bool:
    return current_decision(session, contact_id) is Decision.AGREED


def _must_be_bound(session: Session, contact_id: int) -> None:
    if not _is_bound(session, contact_id):
        raise ConflictError("not_bound", "the visitor has not agreed to notices, or not any more")


def _shown(channels: tuple[ContactChannel, ...], served: frozenset[str]) -> list[ShownChannel]:
    shown, number = [], 1
    for one in channels:
        is_used = one.is_used and one.channel in served
        number += is_used
        minutes = None if one.wait is None else one.wait // timedelta(minutes=1)
        shown.append(
            ShownChannel(
                one.channel,
                one.masked,
                number if is_used else None,
                one.is_wanted,
                bool(one.refused_reason),
                one.channel in served,
                minutes,
            )
        )
    return shown


def _usual_waits(now: datetime) -> list[tuple[Priority, int]]:
    """How many minutes each priority waits for WeChat, as the outbox counts them."""
    ends = [(priority, switch_at(now, None, priority)) for priority in Priority]
    return [(priority, (end - now) // timedelta(minutes=1)) for priority, end in ends if end]
