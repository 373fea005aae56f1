"""What a customer does with their binding in WeChat (绑定): follow, 绑定, 解绑, leave, the page."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response

from gongdian.accounts.messages import REQUEST_LIFE, ask_for_binding, confirm_binding
from gongdian.accounts.model import Contact, DecideConsent, Decision
from gongdian.accounts.queries import contact_by_id
from gongdian.accounts.service import (
    current_decision,
    decide_consent,
    follow,
    meet_contact,
)
from gongdian.arrears.leavers import leave_account, leave_notices
from gongdian.db import Session
from gongdian.errors import ConflictError, InputError, NotFoundError
from gongdian.outbox.answers import mark_answered, mark_opened
from gongdian.outbox.queries import LinkedMessage, message_of_link
from gongdian.render.consents import load_consent
from wechat_handlers.handling import Handler, Handling
from wechat_handlers.oauth import needs_login, the_house, visitor
from wechat_handlers.pages import page
from wechat_handlers.replies import Reply, TextReply
from wechat_handlers.router import Rule

blueprint = Blueprint("accounts", __name__)

AGREE, DECLINE = "agree", "decline"


def _followed(handling: Handling) -> Reply:
    event = handling.message
    house = handling.house
    follow(handling.session, house.account, handling.openid, event.scene, handling.now)
    return TextReply(
        f"您好，欢迎关注{house.settings.company_name}！\n"
        "回复“绑定”，可在微信上接收电费、停电和用电服务通知。\n"
        f"用电故障请拨打{house.settings.service_phone}，24小时有人接听。"
    )


def _left(handling: Handling) -> None:
    leave_account(handling.session, handling.house.account, handling.openid, handling.now)


def _asked_to_bind(handling: Handling) -> Reply:
    contact = _known(handling)
    if current_decision(handling.session, contact.id) is Decision.AGREED:
        return TextReply("您已经绑定过了，用电服务通知会发到这个微信。回复“解绑”可停止接收。")
    ask_for_binding(handling.session, handling.house.outbox, contact, handling.now)
    return TextReply("好的，请点击稍后收到的“微信绑定确认”卡片，按页面提示完成绑定。")


def _asked_to_unbind(handling: Handling) -> Reply:
    contact = _known(handling)
    source = f"text:{handling.dedupe.hex()[:16]}"
    if leave_notices(handling.session, contact, source, handling.now):
        return TextReply("已解除绑定，今后不再向这个微信发送用电服务通知。回复“绑定”可重新开通。")
    return TextReply("这个微信目前没有绑定。回复“绑定”可开通用电服务通知。")


def _known(handling: Handling) -> Contact:
    return meet_contact(handling.session, handling.house.account, handling.openid, handling.now)


def rules() -> list[Rule[Handler]]:
    """The router rules of the accounts."""
    bind, unbind = Handler(_asked_to_bind), Handler(_asked_to_unbind)
    # Leaving is handled at once, as following is: one that waited for a worker would undo what
    # the person has done since.
    return [
        Rule("followed", Handler(_followed), "inline", event="subscribe"),
        Rule("left", Handler(_left), "inline", event="unsubscribe"),
        Rule("revoked", Handler(_left), "inline", event="user_authorization_revoke"),
        Rule("cancelled", Handler(_left), "inline", event="user_authorization_cancellation"),
        Rule("bind", bind, "inline", msg_type="text", text_pattern="绑定"),
        Rule("bind_menu", bind, "inline", event="click", key="BIND"),
        Rule("unbind_menu", unbind, "inline", event="click", key="UNBIND"),
        Rule("unbind", unbind, "inline", msg_type="text", text_pattern="解绑|解除绑定"),
    ]


@blueprint.get("/h5/binding")
@needs_login
def show_binding() -> str | Response:
    """The page that a binding card opens."""
    house = the_house()
    now = house.clock.now()
    linked = house.page_database.run(lambda session: _shown(session, now))
    if linked.answered_at is not None:
        return _done_page(linked, is_repeat=request.args.get("fresh") != "1")
    return page(
        "h5/binding.html",
        customers=(),
        requested_at=linked.queued_at,
        consent=load_consent("binding"),
        action_url=url_for("accounts.answer_binding", m=request.args["m"]),
    )


def _shown(session: Session, now: datetime) -> LinkedMessage:
    linked = _open(session, now)
    contact_id, _ = visitor()
    if linked.answer == AGREE and current_decision(session, contact_id) is not Decision.AGREED:
        raise ConflictError("binding_ended", "the consent given here was withdrawn since")
    return linked


def _done_page(linked: LinkedMessage, *, is_repeat: bool) -> str:
    return page(
        "h5/binding_done.html",
        answer=linked.answer,
        is_repeat=is_repeat,
        answered_at=linked.answered_at,
    )


@blueprint.post("/h5/binding")
def answer_binding() -> Response:
    """The answer on that page."""
    house = the_house()
    now = house.clock.now()
    answer = request.form.get("answer", "")
    if answer not in (AGREE, DECLINE):
        raise InputError("bad_answer", "answer must be agree or decline", field="answer")
    consent = load_consent("binding")
    if request.form.get("consent_version") != consent.version:
        raise ConflictError("consent_changed", "the consent text has a newer version")

    def work(session: Session) -> bool:
        linked = _open(session, now)
        if not mark_answered(session, linked.id, answer, now):
            return False
        contact_id, _ = visitor()
        is_agreed = answer == AGREE
        decide_consent(
            session,
            DecideConsent(contact_id, consent.version, consent.digest, is_agreed, linked.key),
            now,
        )
        if is_agreed:
            contact = contact_by_id(session, contact_id)
            confirm_binding(session, house.outbox, contact, now)
        return True

    is_first = house.page_database.run(work)
    fresh = "1" if is_first else None
    return redirect(url_for("accounts.show_binding", m=request.args["m"], fresh=fresh))


def _open(session: Session, now: datetime) -> LinkedMessage:
    """The linked message, if it is this visitor's and its link still runs; marks it opened."""
    _, person = visitor()
    linked = message_of_link(session, request.args.get("m", ""))
    if linked.person_hash != person or linked.kind != "binding_request":
        raise NotFoundError("no_such_link", "this card was sent to somebody else")
    if linked.answered_at is None and now > linked.queued_at + REQUEST_LIFE:
        raise ConflictError("link_expired", "binding cards are good for a day")
    mark_opened(session, linked.id, now)
    return linked
