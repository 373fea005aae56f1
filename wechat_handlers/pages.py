"""Rendering of customer pages (页面): the frame's values, error pages, response headers."""

from __future__ import annotations

import logging
import secrets

from flask import Flask, request
from flask_wtf.csrf import CSRFError, generate_csrf
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from gongdian.errors import (
    ConflictError,
    GongdianError,
    InputError,
    NotFoundError,
    PermissionDeniedError,
)
from gongdian.render.pages import render_page
from wechat_handlers.oauth import the_house

log = logging.getLogger("gongdian.h5")

# What people see, by error code; the title and what to do next.
_TEXTS = {
    "link_expired": ("链接已过期", "这张卡片的有效期已过，请回到公众号重新发送“绑定”。"),
    "binding_ended": ("绑定已解除", "您已经解除绑定。想重新开通，请在公众号里回复“绑定”。"),
    "consent_changed": ("页面已更新", "授权内容有更新，请返回后重新打开卡片。"),
    "not_bound": ("还没有绑定微信", "请先在公众号里回复“绑定”，完成后再设置接收方式。"),
    "channel_gone": ("接收方式有变动", "这个号码或邮箱已不在登记中，请返回后重新打开本页。"),
    "bad_answer": ("提交有误", "请返回上一页，重新选择后提交。"),
    "no_login": ("需要重新登录", "请关闭本页，回到公众号重新打开卡片或链接。"),
    "no_contact": ("需要重新登录", "请关闭本页，回到公众号重新打开卡片或链接。"),
    "open_link_expired": (
        "链接已过期",
        "为保护您的信息，短信和邮件里的链接过期后不能再打开。请在公众号里回复“电费”查询。",
    ),
    "card_ended": (
        "不能再查看这份账单",
        "绑定已经解除，或者户号已经过户、更名、销户，也可能登记的号码有变动。"
        "要查询电费，请在公众号里回复“绑定户号”。",
    ),
    "share_expired": ("转发链接已过期", "转发的链接7天内有效。请让转发给您的人重新转发一次。"),
    "share_ended": ("转发链接已失效", "转发人已经不能查看这个户号。请向户主核对。"),
    "no_open_case": ("电费已结清", "目前没有待交的电费，不用再回复。"),
    "no_supply_chosen": ("没有选户号", "请返回上一页，至少选一个户号再提交。"),
    "note_too_long": ("疑问写得太长", "请返回上一页，改到500个字以内再提交。"),
    "not_answered": ("还没有回复", "请返回账单，选一项回复我们。"),
    "no_such_month": ("没有这个月的账单", "只能查看最近12个月的电费，更早的请到供电营业厅查询。"),
    "oauth_state": ("登录没有完成", "请关闭本页，回到公众号重新打开卡片或链接。"),
    "oauth_code": ("登录没有完成", "请关闭本页，回到公众号重新打开卡片或链接。"),
    "csrf": ("页面已失效", "页面停留时间过长，请返回后重新打开卡片或链接。"),
}
_NOT_FOUND = ("没有找到这个页面", "链接不完整，或者不是发给您的。请回到公众号重新打开卡片。")
_FAILED = ("系统繁忙", "暂时无法处理，请稍后再试。")
_STATUS: tuple[tuple[type[GongdianError], int], ...] = (
    (InputError, 400),
    (PermissionDeniedError, 403),
    (NotFoundError, 404),
    (ConflictError, 409),
    (GongdianError, 503),
)
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)


def page(name: str, **values: object) -> str:
    """A customer page with the frame's values filled in."""
    settings = the_house().settings
    return render_page(
        name,
        company_name=settings.company_name,
        static_url="/static",
        csrf_token=generate_csrf(),
        **values,
    )


def guard_pages(app: Flask) -> None:
    """Error pages and security headers for everything below /h5/."""
    app.register_error_handler(GongdianError, _failed)
    app.register_error_handler(CSRFError, _failed_csrf)
    app.register_error_handler(HTTPException, _failed_http)
    app.register_error_handler(Exception, _crashed)
    app.after_request(_headers)


def _failed(error: GongdianError) -> tuple[str, int]:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    fallback = _NOT_FOUND if status == 404 else _FAILED
    return _error_page(_TEXTS.get(error.code, fallback), error.code, status, str(error))


def _failed_csrf(error: CSRFError) -> tuple[str, int]:
    return _error_page(_TEXTS["csrf"], "csrf", 400, str(error.description))


def _failed_http(error: HTTPException) -> tuple[str, int]:
    text = _NOT_FOUND if error.code in (404, 405) else _FAILED
    return _error_page(text, f"http_{error.code}", error.code or 500, error.name)


def _crashed(error: Exception) -> tuple[str, int]:
    log.exception("page_crashed", exc_info=error)
    return _error_page(_FAILED, type(error).__name__, 500, "")


def _error_page(text: tuple[str, str], code: str, status: int, detail: str) -> tuple[str, int]:
    number = secrets.token_hex(3).upper()
    log.info(
        "page_failed",
        extra={"number": number, "code": code, "status": status, "path": request.path},
    )
    if not request.path.startswith(("/h5/", "/s/")):
        return f"{status} {code}\n", status
    return page("h5/error.html", title=text[0], message=text[1], error_number=number), status


def _headers(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if request.path.startswith("/h5/"):
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
    return response
