"""Where providers report what became of messages (回执接口): ``POST /receipts/sms/<token>``.

The application registers it with a function that applies receipts in a transaction of its own
and takes repetitions calmly: the provider promises no idempotency and pushes up to four times.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Sequence

from flask import Blueprint, Response, jsonify, request

from gongdian.channels import ReceiptOfSms
from gongdian.clock import Clock
from gongdian.errors import ConflictError, InputError, UpstreamError
from server.sms_reports import parse_reports

LARGEST_PUSH = 1 << 20  # a report has some 280 bytes, a push up to 1,000 of them

log = logging.getLogger("gongdian.receipts")

ApplyReceipts = Callable[[Sequence[ReceiptOfSms]], None]


def receipts_blueprint(token: str, apply: ApplyReceipts, clock: Clock) -> Blueprint:
    """The endpoint; exempt it from CSRF checks. With an empty token it does not exist (404).

    ``apply`` raises UpstreamError or ConflictError when it could not: the answer is 503 then,
    and the provider comes again.
    """
    blueprint = Blueprint("receipts", __name__)

    @blueprint.post("/receipts/sms/<given>")
    def sms(given: str) -> tuple[Response, int]:
        if not token or not hmac.compare_digest(given.encode(), token.encode()):
            return _answer(404, "没有这个地址")
        request.max_content_length = LARGEST_PUSH
        try:
            reports = parse_reports(request.get_data(), clock.now())
        except InputError as error:
            log.warning("sms_reports_refused", extra={"detail": error.text})
            return _answer(400, "内容无法解析")
        if reports.unreadable:
            log.warning("sms_reports_skipped", extra={"count": reports.unreadable})
        if reports.receipts:
            try:
                apply(reports.receipts)
            except (UpstreamError, ConflictError) as error:
                log.warning("sms_reports_not_applied", extra={"detail": str(error)})
                return _answer(503, "请稍后再推送")
        return _answer(200, "接收成功")

    return blueprint


def _answer(status: int, text: str) -> tuple[Response, int]:
    """The provider asks for a number in ``code`` and looks at the status."""
    return jsonify(code=0 if status == 200 else status, msg=text), status
