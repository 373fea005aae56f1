"""Short links (短链接) ``/s/<token>``: a text message leads to the same page as a card."""

from __future__ import annotations

from flask import Blueprint, redirect
from werkzeug.wrappers import Response

from gongdian.errors import NotFoundError
from gongdian.outbox.queries import link_target
from wechat_handlers.oauth import the_house

blueprint = Blueprint("links", __name__)


@blueprint.get("/s/<token>")
def follow_link(token: str) -> Response:
    """Go on to the page; only to our own address, whatever was stored."""
    house = the_house()
    with house.page_database.read() as session:
        target = link_target(session, token)
    if not target.startswith(house.settings.public_url + "/"):
        raise NotFoundError("no_such_link", "the link leads elsewhere")
    return redirect(target)
