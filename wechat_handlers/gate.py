"""The gate (回调入口): only authentic, readable callbacks pass, and answers leave sealed.

Called by the web edge for each request of the platform, by the fuzzer and by the bench.
Knows no framework, no database and no clock: values in, values or one CallbackError out.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from urllib.parse import parse_qsl

from gongdian.errors import CallbackError, ConfigError
from wechat_handlers.crypto import CallbackCipher, callback_signature, same
from wechat_handlers.documents import Fields, decode, looks_like_json, read_json, read_xml
from wechat_handlers.messages import build_message
from wechat_handlers.replies import Reply, render_json, render_xml
from wechat_handlers.wire import Message

MAX_BODY = 256 * 1024
MAX_QUERY = 4096
SUCCESS = b"success"
TEXT_TYPE = "text/plain; charset=utf-8"
XML_TYPE = "application/xml; charset=utf-8"
JSON_TYPE = "application/json; charset=utf-8"

_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_NONCE = re.compile(r"[!-~]{1,128}")
# Real ones are digits. The signature does not cover a plain echostr, so nothing that a
# browser could take for markup is ever echoed.
_ECHO = re.compile(r"[A-Za-z0-9+/=_.~:-]{1,512}")
# The envelope as the platform writes it; other spellings take the general way.
_ENVELOPE = re.compile(
    rb"<xml>[ \t\r\n]*<ToUserName><!\[CDATA\[[0-9A-Za-z_@.-]*\]\]></ToUserName>[ \t\r\n]*"
    rb"<Encrypt><!\[CDATA\[([^\]]+)\]\]></Encrypt>[ \t\r\n]*</xml>[ \t\r\n]*"
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s\"';]+)", re.IGNORECASE)

Mode = Literal["plain", "compatible", "secure"]


@dataclass(frozen=True, slots=True)
class CallbackAccount:
    """What the platform's console and we agreed on for one account (服务器配置).

    mode: ``plain`` reads plain bodies only. ``secure`` reads encrypted bodies only.
    ``compatible`` is for changing between the two: a request with any mark of encryption
    (encrypt_type=aes, msg_signature, or Encrypt in the body) must pass as in ``secure``, and
    only what was encrypted is used; a request without any is read as in ``plain``, which is
    what the platform sends while its console still says plain. So ``compatible`` protects
    no better than ``plain``.

    encrypt_replies: None answers as the message came; True or False always does so (some
    service accounts were seen to refuse encrypted answers).

    window_s: how far the request's timestamp may lie from our clock, both ways. Retries come
    within about 20 s; 600 s leaves room for a clock that is wrong by minutes. Inside it the
    dedupe key stops repeats.

    original_id: the account's ``gh_`` id; when given, ToUserName must be it.
    """

    appid: str
    token: str = field(repr=False)
    aes_key: str = field(default="", repr=False)
    previous_aes_key: str = field(default="", repr=False)
    mode: Mode = "plain"
    encrypt_replies: bool | None = None
    window_s: int = 600
    original_id: str = ""

    def __post_init__(self) -> None:
        if not self.appid:
            raise ConfigError("wechat_appid_missing", field="appid")
        if not self.token:
            raise ConfigError("wechat_token_missing", field="token")
        if self.mode not in ("plain", "compatible", "secure"):
            raise ConfigError("wechat_mode_unknown", field="mode", got=self.mode)
        if not self.aes_key and (self.mode != "plain" or self.encrypt_replies):
            raise ConfigError("wechat_aes_key_missing", field="aes_key", mode=self.mode)
        if self.previous_aes_key and not self.aes_key:
            raise ConfigError("wechat_aes_key_missing", field="aes_key")
        if self.window_s <= 0:
            raise ConfigError("wechat_window_invalid", field="window_s", got=self.window_s)


@dataclass(frozen=True, slots=True)
class Received:
    """An authentic callback. ``parse_message(raw, is_json)`` gives an equal message again."""

    message: Message
    raw: bytes = field(repr=False)
    is_json: bool
    was_encrypted: bool
    timestamp: int
    nonce: str


class Gate:
    """Checks callbacks and seals answers for one account. Safe to share between threads."""

    def __init__(self, account: CallbackAccount) -> None:
        self.account = account
        self._cipher: CallbackCipher | None = None
        if account.aes_key:
            self._cipher = CallbackCipher(account.appid, account.aes_key, account.previous_aes_key)

    def challenge(self, query: Mapping[str, str], now: datetime) -> str:
        """The answer to the platform's GET check of the address, as ``TEXT_TYPE``.

        With msg_signature the echostr is encrypted, as WeCom sends it. Raises CallbackError.
        """
        timestamp, nonce = self._stamp(query, now)
        echo = _parameter(query, "echostr")
        if not _ECHO.fullmatch(echo):
            raise _refused_query("echostr")
        if "msg_signature" in query and self._cipher is not None:
            self._check_signature(query, "msg_signature", timestamp, nonce, echo)
            echo = decode(self._cipher.decrypt(echo))
            if not _ECHO.fullmatch(echo):
                raise _refused_query("echostr")
            return echo
        self._check_signature(query, "signature", timestamp, nonce)
        return echo

    def open(
        self, query: Mapping[str, str], body: bytes, content_type: str, now: datetime
    ) -> Received:
        """The authentic message of a POST. Raises CallbackError (400, 403 or 413), nothing else.

        Whether the body is XML or JSON is seen from the body; of the content type only a
        foreign charset matters.
        """
        if len(body) > MAX_BODY:
            raise CallbackError("callback_too_large", status=413, limit=MAX_BODY)
        timestamp, nonce = self._stamp(query, now)
        _check_charset(content_type)
        encrypt_type = query.get("encrypt_type", "")
        if encrypt_type not in ("", "raw", "aes"):
            raise _refused_query("encrypt_type")
        is_marked = encrypt_type == "aes" or "msg_signature" in query
        if self.account.mode == "plain":
            if is_marked:
                raise _wrong_mode("an encrypted callback for an account in plain mode")
            return self._open_plain(query, body, timestamp, nonce)
        if self.account.mode == "compatible" and not is_marked:
            return self._open_plain(query, body, timestamp, nonce)
        return self._open_encrypted(query, body, timestamp, nonce)

    def seal(self, received: Received, reply: Reply | None, now: datetime) -> tuple[bytes, str]:
        """Body and content type of the answer; ``success`` when there is no reply.

        In the format of the message (XML or JSON); encrypted as the account says.
        """
        if reply is None:
            return SUCCESS, TEXT_TYPE
        message = received.message
        seconds = int(now.timestamp())
        render = render_json if received.is_json else render_xml
        text = render(reply, message.from_user, message.to_user, seconds)
        encrypt = self.account.encrypt_replies
        if received.was_encrypted if encrypt is None else encrypt:
            text = self._envelope(text, seconds, received.is_json)
        return text.encode(), JSON_TYPE if received.is_json else XML_TYPE

    def _stamp(self, query: Mapping[str, str], now: datetime) -> tuple[str, str]:
        timestamp = _parameter(query, "timestamp")
        if not _TIMESTAMP.fullmatch(timestamp):
            raise _refused_query("timestamp")
        nonce = _parameter(query, "nonce")
        if not _NONCE.fullmatch(nonce):
            raise _refused_query("nonce")
        if abs(now.timestamp() - int(timestamp)) > self.account.window_s:
            raise CallbackError("callback_window", "the timestamp is not of this time", status=403)
        return timestamp, nonce

    def _check_signature(self, query: Mapping[str, str], name: str, *signed: str) -> None:
        given = _parameter(query, name)
        if not same(given, callback_signature(self.account.token, *signed)):
            raise CallbackError("callback_signature", "the signature is wrong", status=403)

    def _open_plain(
        self, query: Mapping[str, str], body: bytes, timestamp: str, nonce: str
    ) -> Received:
        self._check_signature(query, "signature", timestamp, nonce)
        source, is_json = _read(body)
        if "Encrypt" in source:
            raise _wrong_mode("an encrypted body in a request that is marked as plain")
        return self._received(source, body, is_json, False, timestamp, nonce)

    def _open_encrypted(
        self, query: Mapping[str, str], body: bytes, timestamp: str, nonce: str
    ) -> Received:
        if "msg_signature" not in query:
            raise _wrong_mode("a plain callback for an account that wants encrypted ones")
        encrypted, is_json = _encrypted_part(body)
        self._check_signature(query, "msg_signature", timestamp, nonce, encrypted)
        if self._cipher is None:  # CallbackAccount has seen to that
            raise _wrong_mode("an encrypted callback for an account without a key")
        raw = self._cipher.decrypt(encrypted)
        source, is_inner_json = _read(raw)
        if is_inner_json != is_json:
            raise CallbackError("callback_body", "XML and JSON in one callback", status=400)
        return self._received(source, raw, is_json, True, timestamp, nonce)

    def _received(
        self,
        source: Fields,
        raw: bytes,
        is_json: bool,
        was_encrypted: bool,
        timestamp: str,
        nonce: str,
    ) -> Received:
        message = build_message(source)
        wanted = self.account.original_id
        if wanted and not same(message.to_user, wanted):
            raise CallbackError("callback_recipient", "for another account", status=403)
        return Received(message, raw, is_json, was_encrypted, int(timestamp), nonce)

    def _envelope(self, text: str, seconds: int, is_json: bool) -> str:
        if self._cipher is None:
            raise ConfigError("wechat_aes_key_missing", field="aes_key")
        encrypted = self._cipher.encrypt(text.encode())
        nonce = os.urandom(8).hex()
        signature = callback_signature(self.account.token, str(seconds), nonce, encrypted)
        if is_json:
            return json.dumps(
                {
                    "Encrypt": encrypted,
                    "MsgSignature": signature,
                    "TimeStamp": seconds,
                    "Nonce": nonce,
                }
            )
        return (
            f"<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt>"
            f"<MsgSignature><![CDATA[{signature}]]></MsgSignature>"
            f"<TimeStamp>{seconds}</TimeStamp><Nonce><![CDATA[{nonce}]]></Nonce></xml>"
        )


def read_query(query_string: str | bytes) -> dict[str, str]:
    """The parameters of a query string, each at most once; CallbackError 400 otherwise.

    For the edge: frameworks silently take the first or the last of repeated parameters.
    """
    if len(query_string) > MAX_QUERY:
        raise _refused_query("query")
    try:
        text = query_string if isinstance(query_string, str) else query_string.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=32)
    except ValueError as error:
        raise _refused_query("query") from error
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise _refused_query("query")
    return parameters


def _read(body: bytes) -> tuple[Fields, bool]:
    text = decode(body)
    is_json = looks_like_json(text)
    return (read_json(text) if is_json else read_xml(text)), is_json


def _encrypted_part(body: bytes) -> tuple[str, bool]:
    """Encrypt of an envelope, and whether the envelope is JSON."""
    canonical = _ENVELOPE.fullmatch(body)
    if canonical and canonical[1].isascii():
        return canonical[1].decode("ascii"), False
    envelope, is_json = _read(body)
    encrypted = envelope.get("Encrypt")
    if encrypted is None:
        raise _wrong_mode("a plain body for an account that wants encrypted ones")
    if not isinstance(encrypted, str):
        raise CallbackError("callback_body", "Encrypt is not a text", status=400)
    return encrypted, is_json


def _parameter(query: Mapping[str, str], name: str) -> str:
    value = query.get(name)
    # Not every framework keeps to the declared type: a list means a repeated parameter.
    if not isinstance(value, str) or not value:
        raise _refused_query(name)
    return value


def _check_charset(content_type: str) -> None:
    charset = _CHARSET.search(content_type) if content_type else None
    if charset and charset[1].lower() not in ("utf-8", "utf8"):
        raise CallbackError("callback_charset", "only UTF-8 is read", status=400)


def _refused_query(name: str) -> CallbackError:
    return CallbackError(
        "callback_query", "a parameter is missing, repeated or malformed", status=400, field=name
    )


def _wrong_mode(why: str) -> CallbackError:
    return CallbackError("callback_mode", why, status=403)
