"""绑定户号 in WeChat: a resident by 户名 and a code, a company by its 经办人, the list, 解绑.

Pages below ``/h5/customer-binding``; whether a 户号 or a name exists is never told before a code
or the office has proven it.
"""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response

from gongdian.accounts.binding_model import (
    CODE_ANSWER_TEXTS,
    CODE_SENT_TEXT,
    ROLE_LABELS,
    STATE_LABELS,
    Applicant,
    AskCompanyBinding,
    AskResidentBinding,
    CodeAnswer,
    CodeAsked,
    CodeChecked,
    ConfirmCode,
    RequestState,
)
from gongdian.accounts.binding_requests import requests_of_contact
from gongdian.accounts.bindings import ask_resident_binding, confirm_code
from gongdian.accounts.company_bindings import ask_company_binding
from gongdian.accounts.people import BoundCustomer, customers_of_contact
from gongdian.arrears.leavers import leave_customer
from gongdian.db import Session
from gongdian.errors import ConflictError, GongdianError, InputError
from gongdian.render.consents import ConsentText, load_consent
from wechat_handlers.arrears_access import chosen_supply, supply_ref
from wechat_handlers.oauth import needs_login, the_house, visitor
from wechat_handlers.pages import page

blueprint = Blueprint("arrears_bindings", __name__)

PATH = "/h5/customer-binding"
CONSENT = "customer_binding"
_SHOWN_STATES = (RequestState.WAITING, RequestState.REFUSED, RequestState.EXPIRED)
_SAYINGS = {
    "bound": "绑定成功，今后这个户号的电费通知会发到这个微信。",
    "asked": "申请已提交，审核结果会发到这个微信。",
    "unbound": "已解除绑定。",
}
# What the visitor can mend on the form, by error code; the rest is an error page.
_FORM_TEXTS = {
    "bad_customer_no": "户号不对：请照电费账单填写，一般是13位数字。",
    "bad_name": "请填写户名，和电费账单上的一样。",
    "bad_address": "请填写经办人的11位手机号。",
    "already_bound": "这个户号已经绑定在这个微信上了，不用再绑定。",
    "too_many_codes": "一小时内最多获取3次验证码，请过一会儿再试。",
    "no_sms": "暂时不能发送短信验证码，请到供电营业厅办理。",
    "too_many_requests": "您有5个申请正在等待审核，请等结果出来后再申请。",
}
_APPLICANT_TEXTS = {
    "name": "请填写经办人姓名。",
    "phone": "请填写经办人的11位手机号。",
    "position": "请填写经办人职务，40个字以内。",
    "authorisation": "请填写授权书编号，没有编号的写明授权事由，200个字以内。",
}


@blueprint.get(PATH)
@needs_login
def show_bindings() -> str | Response:
    """The visitor's 户号, what waits or was refused, and the two ways to bind another."""
    contact_id, _ = visitor()
    with the_house().page_database.read() as session:
        bound = customers_of_contact(session, contact_id)
        asked = requests_of_contact(session, contact_id)
    mine = {one.customer_no for one in bound}
    # Of each 户号 the newest request tells; one that is bound needs none.
    newest = {one.customer_no: one for one in reversed(asked) if one.state in _SHOWN_STATES}
    return page(
        "h5/customer_bindings.html",
        bound=bound,
        refs={one.customer_no: supply_ref(one.customer_no) for one in bound},
        requests=[one for one in newest.values() if one.customer_no not in mine],
        role_labels=ROLE_LABELS,
        state_labels=STATE_LABELS,
        saying=_SAYINGS.get(request.args.get("done", ""), ""),
        resident_url=url_for("arrears_bindings.show_resident_form"),
        company_url=url_for("arrears_bindings.show_company_form"),
        bills_url=url_for("arrears_bills.show_bills"),
        unbind_url=url_for("arrears_bindings.ask_unbind"),
    )


@blueprint.get(PATH + "/resident")
@needs_login
def show_resident_form() -> str | Response:
    """户号 and 户名 of a household."""
    return _resident_form("", "", "")


@blueprint.post(PATH + "/resident")
def ask_code() -> tuple[str, int] | Response:
    """Send a code to the phone on file; the same page follows whether or not one was sent."""
    house = the_house()
    now = house.clock.now()
    contact_id, _ = visitor()
    consent = _agreed_consent()
    customer_no, name = _field("customer_no"), _field("customer_name")
    command = AskResidentBinding(contact_id, customer_no, name, consent.version, consent.digest)

    def work(session: Session) -> CodeAsked:
        return ask_resident_binding(session, house.outbox, command, now)

    try:
        asked = house.page_database.run(work)
    except (InputError, ConflictError) as error:
        return _resident_form(customer_no, name, _mendable(error)), 400
    return redirect(url_for("arrears_bindings.show_code_form", r=asked.request_id))


def _resident_form(customer_no: str, name: str, wrong: str) -> str:
    return page(
        "h5/customer_resident.html",
        customer_no=customer_no,
        customer_name=name,
        wrong=wrong,
        consent=load_consent(CONSENT),
        action_url=url_for("arrears_bindings.ask_code"),
        company_url=url_for("arrears_bindings.show_company_form"),
    )


@blueprint.get(PATH + "/code")
@needs_login
def show_code_form() -> str | Response:
    """Where the code is typed."""
    return _code_form("")


@blueprint.post(PATH + "/code")
def check_code() -> tuple[str, int] | Response:
    """Bind when the code is right; each try counts."""
    house = the_house()
    now = house.clock.now()
    contact_id, _ = visitor()
    command = ConfirmCode(contact_id, _request_id(), _field("code"))

    def work(session: Session) -> CodeChecked:
        return confirm_code(session, house.outbox, command, now)

    checked = house.page_database.run(work)
    if checked.answer is CodeAnswer.BOUND:
        return redirect(url_for("arrears_bindings.show_bindings", done="bound"))
    text = CODE_ANSWER_TEXTS[checked.answer]
    if checked.answer is CodeAnswer.WRONG:
        text += f"，还可以试{checked.tries_left}次"
    return _code_form(f"{text}。"), 400


def _code_form(wrong: str) -> str:
    return page(
        "h5/customer_code.html",
        wrong=wrong,
        sent_text=CODE_SENT_TEXT,
        action_url=url_for("arrears_bindings.check_code", r=_request_id()),
        again_url=url_for("arrears_bindings.show_resident_form"),
    )


def _request_id() -> int:
    text = request.args.get("r", "")
    # Longer ones fit into no column.
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else 0


@blueprint.get(PATH + "/company")
@needs_login
def show_company_form() -> str | Response:
    """The form of a company's 经办人."""
    return _company_form({}, "")


@blueprint.post(PATH + "/company")
def ask_office() -> tuple[str, int] | Response:
    """Hand the request to the office."""
    house = the_house()
    now = house.clock.now()
    contact_id, _ = visitor()
    consent = _agreed_consent()
    names = ("customer_no", "name", "phone", "position", "authorisation")
    typed = {name: _field(name) for name in names}
    command = AskCompanyBinding(
        contact_id,
        typed["customer_no"],
        Applicant(typed["name"], typed["phone"], typed["position"], typed["authorisation"]),
        consent.version,
        consent.digest,
    )

    def work(session: Session) -> int:
        return ask_company_binding(session, command, now)

    try:
        house.page_database.run(work)
    except (InputError, ConflictError) as error:
        return _company_form(typed, _mendable(error)), 400
    return redirect(url_for("arrears_bindings.show_bindings", done="asked"))


def _company_form(typed: dict[str, str], wrong: str) -> str:
    return page(
        "h5/customer_company.html",
        typed=typed,
        wrong=wrong,
        consent=load_consent(CONSENT),
        action_url=url_for("arrears_bindings.ask_office"),
        resident_url=url_for("arrears_bindings.show_resident_form"),
    )


@blueprint.get(PATH + "/unbind")
@needs_login
def ask_unbind() -> str | Response:
    """The confirmation of 解除绑定 for one 户号."""
    with the_house().page_database.read() as session:
        customer = _bound_one(session)
    return page(
        "h5/customer_unbind.html",
        customer=customer,
        action_url=url_for("arrears_bindings.unbind", s=request.args.get("s", "")),
        back_url=url_for("arrears_bindings.show_bindings"),
    )


@blueprint.post(PATH + "/unbind")
def unbind() -> Response:
    """The visitor sees this 户号 no more."""
    house = the_house()
    now = house.clock.now()
    contact_id, _ = visitor()

    def work(session: Session) -> None:
        leave_customer(session, contact_id, _bound_one(session).customer_no, now)

    house.page_database.run(work)
    return redirect(url_for("arrears_bindings.show_bindings", done="unbound"))


def _bound_one(session: Session) -> BoundCustomer:
    contact_id, _ = visitor()
    bound = {one.customer_no: one for one in customers_of_contact(session, contact_id)}
    return bound[chosen_supply(tuple(bound), request.args.get("s", ""))]


def _field(name: str) -> str:
    """What was typed; far more than any field takes is cut, so that it is not shown again."""
    return request.form.get(name, "").strip()[:300]


def _agreed_consent() -> ConsentText:
    """The consent that was shown, if its text is still the one in force."""
    consent = load_consent(CONSENT)
    if request.form.get("consent_version") != consent.version:
        raise ConflictError("consent_changed", "the consent text has a newer version")
    return consent


def _mendable(error: GongdianError) -> str:
    """What the visitor reads above the form; other errors go on to the error page."""
    if error.code == "bad_applicant":
        return _APPLICANT_TEXTS[str(error.context["field"])]
    if error.code not in _FORM_TEXTS:
        raise error
    return _FORM_TEXTS[error.code]
