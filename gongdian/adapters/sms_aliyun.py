"""Text messages through Aliyun's SendSms (阿里云短信); wiring builds it from the settings.

POST with the parameters in the body, so that phone numbers stand in no address. The interface
knows no idempotency, so nothing is sent twice here: a broken answer is OutcomeUnknownError.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import ssl
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Timeout
from urllib3.exceptions import EmptyPoolError, HTTPError

from gongdian.adapters.aliyun_signing import canonical_query, percent_encode, signature
from gongdian.adapters.sms_codes import may_have_acted, refusal
from gongdian.adapters.wechat_api.connection import (
    DeadlinePool,
    NotConnectedError,
    SecureDeadlinePool,
)
from gongdian.channels import SmsAcceptance, SmsSend, is_mobile, segments, signed_text
from gongdian.clock import Clock
from gongdian.errors import ConfigError, OutcomeUnknownError, UpstreamError

_LONGEST_ANSWER = 1 << 16
_ID = re.compile(r"[!-~]+")
_HEADERS = {
    "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
    "Accept": "application/json",
    "User-Agent": "gongdian",
}


@dataclass(frozen=True, slots=True)
class AliyunAccount:
    """Whose messages these are, and where the interface is; times are seconds."""

    access_key_id: str
    access_key_secret: str
    endpoint: str = "https://dysmsapi.aliyuncs.com"
    connect_s: float = 3.0
    read_s: float = 5.0
    total_s: float = 10.0
    in_flight: int = 10


class AliyunSms:
    """The SmsPort of one Aliyun account; threads share it."""

    def __init__(self, account: AliyunAccount, clock: Clock) -> None:
        parts = urlsplit(account.endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError("bad_sms_endpoint", "begin it with http:// or https://")
        self._account = account
        self._clock = clock
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._path = parts.path.rstrip("/") + "/"
        self._timeout = Timeout(connect=account.connect_s, read=account.read_s)
        self._lock = threading.Lock()
        self._pid = 0
        self._pool: HTTPConnectionPool

    def send(self, message: SmsSend) -> SmsAcceptance:
        """Send one text message; see SmsPort for what it raises."""
        if not is_mobile(message.phone):
            raise refusal("isv.MOBILE_NUMBER_ILLEGAL", "not a mobile number of the mainland")
        response = self._post(self._body(message))
        answer = _read(response)
        code, request_id = str(answer.get("Code", "")), _id(answer, "RequestId", 64)
        if code == "OK":
            pieces = segments(signed_text(message.sign_name, message.text))
            # Without a usable id the receipt still tells our own.
            return SmsAcceptance(_id(answer, "BizId", 32), pieces, request_id)
        if may_have_acted(code, response.status):
            raise OutcomeUnknownError("sms_http_status", status=response.status, answer=code)
        raise refusal(code, str(answer.get("Message", "")), request_id)

    def close(self) -> None:
        """Close the idle connections."""
        if self._pid:
            self._pool.close()

    def _body(self, message: SmsSend) -> bytes:
        params = {
            "AccessKeyId": self._account.access_key_id,
            "Action": "SendSms",
            "Format": "JSON",
            "OutId": message.out_id,
            "PhoneNumbers": message.phone,
            "SignName": message.sign_name,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureNonce": secrets.token_hex(16),
            "SignatureVersion": "1.0",
            "TemplateCode": message.template_code,
            "TemplateParam": json.dumps(dict(message.params), ensure_ascii=False),
            "Timestamp": self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Version": "2017-05-25",
        }
        signed = signature("POST", params, self._account.access_key_secret)
        return f"{canonical_query(params)}&Signature={percent_encode(signed)}".encode()

    def _post(self, body: bytes) -> BaseHTTPResponse:
        try:
            return self._connections().urlopen(
                "POST",
                self._path,
                body=body,
                headers=_HEADERS,
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=self._timeout,
                pool_timeout=5,
                preload_content=False,
                decode_content=False,
            )
        except (NotConnectedError, EmptyPoolError) as error:
            raise UpstreamError("sms_unreachable", cause=type(error).__name__) from error
        except HTTPError as error:
            raise OutcomeUnknownError("sms_no_answer", cause=type(error).__name__) from error

    def _connections(self) -> HTTPConnectionPool:
        """The pool of this process: a forked child must not write on its parent's connections."""
        if self._pid != os.getpid():
            with self._lock:
                if self._pid != os.getpid():
                    self._pool = self._new_pool()
                    self._pid = os.getpid()
        return self._pool

    def _new_pool(self) -> HTTPConnectionPool:
        shared: dict[str, Any] = {
            "port": self._port,
            "maxsize": self._account.in_flight,
            "block": True,
            "total_s": self._account.total_s,
        }
        if not self._secure:
            return DeadlinePool(self._host, **shared)
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return SecureDeadlinePool(self._host, ssl_context=context, **shared)


def _id(answer: dict[str, Any], name: str, longest: int) -> str:
    """An id that the database can keep, or nothing."""
    value = answer.get(name)
    fits = isinstance(value, str) and len(value) <= longest and _ID.fullmatch(value)
    return str(value) if fits else ""


def _read(response: BaseHTTPResponse) -> dict[str, Any]:
    """The JSON object of an answer; Aliyun refuses with HTTP 4xx and 5xx and a body that says why.

    Without such a body a 4xx was surely not acted on; anything else may have been.
    """
    try:
        body = response.read(_LONGEST_ANSWER + 1)
    except (HTTPError, OSError) as error:
        response.close()
        raise OutcomeUnknownError("sms_no_answer", cause=type(error).__name__) from error
    finally:
        response.release_conn()
    try:
        document = json.loads(body) if len(body) <= _LONGEST_ANSWER else None
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and document.get("Code"):
        return document
    if 300 <= response.status < 500:
        raise UpstreamError("sms_http_status", status=response.status)
    raise OutcomeUnknownError("sms_answer_unreadable", status=response.status)
