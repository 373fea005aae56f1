"""A look-alike of Aliyun's SendSms (模拟短信平台): signature, templates, limits, delivery reports.

Called by ``platform_api`` for ``/sms/``; shows what arrives on the phone with that number. The
signature is computed here anew, not with the code of the application that is tested.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import re
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote

from devtools.wechat_sandbox.clock import SandboxClock
from devtools.wechat_sandbox.http_server import Request, Response, json_response
from devtools.wechat_sandbox.phones import PhoneDesk
from devtools.wechat_sandbox.quotas import QuotaDesk
from devtools.wechat_sandbox.refusals import RefusalError
from devtools.wechat_sandbox.settings import SandboxSettings
from devtools.wechat_sandbox.sms_reports import SmsReporter

SMS_PATH = "/sms/"
ALLOWED_DRIFT = timedelta(minutes=15)
LONGEST_VALUE = 35
MESSAGES = {
    "InvalidAction.NotFound": "Specified api is not found, please check your url and method.",
    "InvalidVersion": "Specified parameter Version is not valid.",
    "InvalidAccessKeyId.NotFound": "Specified access key is not found.",
    "InvalidTimeStamp.Expired": "Specified time stamp or date value is expired.",
    "SignatureDoesNotMatch": "Specified signature is not matched with our calculation.",
    "SignatureNonceUsed": "Specified signature nonce was used already.",
    "isv.MOBILE_NUMBER_ILLEGAL": "invalid mobile number",
    "isv.SMS_SIGNATURE_ILLEGAL": "该账号下找不到对应签名",
    "isv.SMS_TEMPLATE_ILLEGAL": "该账号下找不到对应模板",
    "isv.INVALID_JSON_PARAM": "参数格式错误，请修改为字符串值",
    "isv.TEMPLATE_MISSING_PARAMETERS": "模板变量缺少对应参数值",
    "isv.PARAM_NOT_SUPPORT_URL": "变量不支持传入URL",
    "isv.PARAM_LENGTH_LIMIT": "参数超过长度限制",
    "isv.AMOUNT_NOT_ENOUGH": "账户余额不足",
    "isv.DAY_LIMIT_CONTROL": "触发日发送限额",
    "isv.BUSINESS_LIMIT_CONTROL": "触发天级流控",
    "isp.SYSTEM_ERROR": "系统出现错误，请重新调用",
}
NOT_FOUND = frozenset({"InvalidAction.NotFound", "InvalidAccessKeyId.NotFound"})
_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_ADDRESS = re.compile(r"https?://|www\.", re.IGNORECASE)


class SmsRefusedError(Exception):
    """The platform says no; ``code`` is one of Aliyun's."""

    def __init__(self, code: str, message: str = "") -> None:
        self.code = code
        self.message = message or MESSAGES.get(code, code)
        super().__init__(code)


class SmsDesk:
    """The account, its templates, and what it has sent."""

    def __init__(
        self,
        lock: threading.RLock,
        clock: SandboxClock,
        settings: Callable[[], SandboxSettings],
        phones: PhoneDesk,
        quotas: QuotaDesk,
        reporter: SmsReporter,
    ) -> None:
        self._lock = lock
        self._clock = clock
        self._settings = settings
        self._phones = phones
        self._quotas = quotas
        self._reporter = reporter
        self._templates: dict[str, str] = {}
        self._nonces: set[str] = set()
        self._numbers = itertools.count(1)
        self.counts: Counter[str] = Counter()

    def register(self, code: str, text: str) -> None:
        """Add an approved template; ``text`` has variables such as ``${amount}``."""
        self._templates[code] = text

    def handle(self, request: Request) -> Response:
        """Answer one call as the platform does."""
        params = dict(request.query)
        params.update(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        try:
            self._authenticate(request.method, params)
        except SmsRefusedError as refusal:
            return self.refused(refusal.code, 404 if refusal.code in NOT_FOUND else 400)
        try:
            biz_id = self._send(params)
        except SmsRefusedError as refusal:
            return self.refused(refusal.code, message=refusal.message)
        self.counts["accepted"] += 1
        return json_response(
            {"Message": "OK", "RequestId": request_id(), "Code": "OK", "BizId": biz_id}
        )

    def refused(self, code: str, status: int = 200, message: str = "") -> Response:
        """The answer that carries a code."""
        self.counts[code] += 1
        text = message or MESSAGES.get(code, code)
        return json_response({"Message": text, "RequestId": request_id(), "Code": code}, status)

    def clear(self) -> None:
        """Forget counts and nonces; keep templates."""
        with self._lock:
            self.counts.clear()
            self._nonces.clear()

    def _authenticate(self, method: str, params: Mapping[str, str]) -> None:
        settings = self._settings()
        if params.get("Action") != "SendSms":
            raise SmsRefusedError("InvalidAction.NotFound")
        if params.get("Version") != "2017-05-25":
            raise SmsRefusedError("InvalidVersion")
        if params.get("AccessKeyId") != settings.sms_access_key_id:
            raise SmsRefusedError("InvalidAccessKeyId.NotFound")
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        try:
            at = datetime.strptime(params.get("Timestamp", "") + "+0000", "%Y-%m-%dT%H:%M:%SZ%z")
        except ValueError as error:
            raise SmsRefusedError("InvalidTimeStamp.Expired") from error
        if abs(at - now) > ALLOWED_DRIFT:
            raise SmsRefusedError("InvalidTimeStamp.Expired")
        wanted = rpc_signature(method, params, settings.sms_access_key_secret)
        if not hmac.compare_digest(wanted.encode(), params.get("Signature", "").encode()):
            raise SmsRefusedError("SignatureDoesNotMatch")
        with self._lock:
            if params.get("SignatureNonce", "") in self._nonces:
                raise SmsRefusedError("SignatureNonceUsed")
            self._nonces.add(params.get("SignatureNonce", ""))

    def _send(self, params: Mapping[str, str]) -> str:
        settings = self._settings()
        number, sign_name = params.get("PhoneNumbers", ""), params.get("SignName", "")
        if not _MOBILE.fullmatch(number):
            raise SmsRefusedError("isv.MOBILE_NUMBER_ILLEGAL")
        if settings.sms_sign_name and sign_name != settings.sms_sign_name:
            raise SmsRefusedError("isv.SMS_SIGNATURE_ILLEGAL")
        code = params.get("TemplateCode", "")
        text = f"【{sign_name}】{self._filled(code, read_values(params))}"
        self._take_quotas(number, code)
        with self._lock:
            biz_id = f"{int(self._clock.now() * 1000)}{next(self._numbers):06d}^0"
        entry = {
            "phone_number": number,
            "biz_id": biz_id,
            "out_id": params.get("OutId", ""),
            "sms_size": str(max(1, -(-len(text) // 67) if len(text) > 70 else 1)),
        }
        phone = self._phones.by_number(number)
        code = "DELIVERED" if phone is not None else settings.sms_elsewhere
        code = self._reporter.chosen_code(code)
        if phone is not None and code == "DELIVERED":
            shown = {**entry, "template_code": params.get("TemplateCode", "")}
            self._phones.show(phone, "sms", text=text, extra=shown)
        self._reporter.post(entry, code, self._clock.now())
        return biz_id

    def _filled(self, code: str, values: Mapping[str, str]) -> str:
        if code not in self._templates:
            if not self._settings().accept_any_template:
                raise SmsRefusedError("isv.SMS_TEMPLATE_ILLEGAL")
            return "，".join(values.values())
        template = self._templates[code]
        if any(name not in values for name in _VARIABLE.findall(template)):
            raise SmsRefusedError("isv.TEMPLATE_MISSING_PARAMETERS")
        return _VARIABLE.sub(lambda found: values[found[1]], template)

    def _take_quotas(self, number: str, code: str) -> None:
        settings = self._settings()
        if settings.sms_balance_is_empty:
            raise SmsRefusedError("isv.AMOUNT_NOT_ENOUGH")
        try:
            self._quotas.take("sms", settings.sms_daily_quota)
        except RefusalError as error:
            raise SmsRefusedError("isv.DAY_LIMIT_CONTROL") from error
        per_number = settings.sms_number_daily_quota
        try:
            self._quotas.take(f"sms:{number}:{code}", per_number)
        except RefusalError as error:
            message = f"触发天级流控Permits:{per_number}"
            raise SmsRefusedError("isv.BUSINESS_LIMIT_CONTROL", message) from error


def read_values(params: Mapping[str, str]) -> dict[str, str]:
    """The template's values; raises what the platform says about wrong ones."""
    try:
        values: Any = json.loads(params.get("TemplateParam") or "{}")
    except (ValueError, RecursionError) as error:
        raise SmsRefusedError("isv.INVALID_JSON_PARAM") from error
    if not isinstance(values, dict) or not all(isinstance(one, str) for one in values.values()):
        raise SmsRefusedError("isv.INVALID_JSON_PARAM")
    for value in values.values():
        if _ADDRESS.search(value):
            raise SmsRefusedError("isv.PARAM_NOT_SUPPORT_URL")
        if len(value) > LONGEST_VALUE:
            raise SmsRefusedError("isv.PARAM_LENGTH_LIMIT")
    return values


def rpc_signature(method: str, params: Mapping[str, str], secret: str) -> str:
    """The signature that the platform computes for these parameters."""
    pairs = sorted((name, value) for name, value in params.items() if name != "Signature")
    query = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs)
    signed = "&".join((method, quote("/", safe=""), quote(query, safe="~")))
    key = (secret + "&").encode()
    return base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha1).digest()).decode()


def request_id() -> str:
    """A request id as the platform writes them."""
    digits = secrets.token_hex(16).upper()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
