"""OAuth login of H5 pages (网页授权): who opens a page is only ever what the platform says.

The session cookie holds the contact's id and blind index, never the openid. The state is
random, single-use and bound to the session, so that nobody can log a visitor in as another.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from flask import Blueprint, current_app, redirect, request, session
from werkzeug.wrappers import Response

from gongdian.accounts.service import meet_contact
from gongdian.errors import (
    InputError,
    NotFoundError,
    PermissionDeniedError,
    PlatformRefusalError,
)
from gongdian.outbox.addresses import address_hash
from gongdian.wiring import House

P = ParamSpec("P")

blueprint = Blueprint("oauth", __name__)

_PENDING, _CONTACT, _PERSON, _TRIES = "oauth", "contact", "person", "oauth_tries"
_MAX_PENDING = 5
_MAX_PATH = 300  # five of them fit into a cookie; our links have under 100 characters
_RESTART = (40029, 40163)


def the_house() -> House:
    """The house of the running web application."""
    house: House = current_app.extensions["gongdian"]
    return house


def visitor() -> tuple[int, bytes]:
    """The logged-in contact's id and blind index; PermissionDeniedError without a login."""
    contact, person = session.get(_CONTACT), session.get(_PERSON)
    if not isinstance(contact, int) or not isinstance(person, str):
        raise PermissionDeniedError("no_login", "the page needs a WeChat login")
    return contact, bytes.fromhex(person)


def needs_login(view: Callable[P, str | Response]) -> Callable[P, str | Response]:
    """Send a visitor who is not logged in through the platform first (GET pages)."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> str | Response:
        if _CONTACT not in session:
            return _to_platform(request.full_path.rstrip("?"))
        return view(*args, **kwargs)

    return guarded


def _to_platform(path: str) -> Response:
    if len(path) > _MAX_PATH:
        raise NotFoundError("no_such_link", "an address that we never gave out")
    house = the_house()
    state = secrets.token_hex(16)
    pending = dict(session.get(_PENDING, {}))
    for old in list(pending)[: max(0, len(pending) - _MAX_PENDING + 1)]:
        del pending[old]
    pending[state] = path
    session[_PENDING] = pending
    back = house.settings.public_url + "/h5/oauth"
    return redirect(house.visitors.authorize_url(back, state))


@blueprint.get("/h5/oauth")
def come_back() -> Response:
    """The platform sends the visitor back with a code."""
    house = the_house()
    pending = dict(session.get(_PENDING, {}))
    path = pending.pop(request.args.get("state", ""), None)
    session[_PENDING] = pending
    if path is None:
        raise InputError("oauth_state", "this login was not begun in this browser")
    code = request.args.get("code", "")
    if not code or len(code) > 512:
        raise InputError("oauth_code", "the platform sent no code")
    try:
        identity = house.visitors.exchange_code(code)
    except PlatformRefusalError as error:
        tries = int(session.get(_TRIES, 0))
        if error.errcode not in _RESTART or tries >= 1:
            raise
        # An old or used code (a reloaded page): begin again, once.
        session[_TRIES] = tries + 1
        return _to_platform(path)
    now = house.clock.now()
    contact = house.page_database.run(
        lambda tx: meet_contact(tx, house.account, identity.openid, now)
    )
    session.clear()
    session[_CONTACT] = contact.id
    session[_PERSON] = address_hash(identity.openid).hex()
    return redirect(path)
