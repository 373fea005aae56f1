"""The pooled HTTP transport to one host; client and credentials call it.

Failures leave as UpstreamError (surely not acted on) or OutcomeUnknownError (perhaps acted on).
Access tokens stand in the query, so no error or log line of this module carries a query.
"""

from __future__ import annotations

import json
import logging
import os
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Timeout
from urllib3.exceptions import EmptyPoolError, HTTPError

from gongdian.adapters.wechat_api.connection import (
    DeadlinePool,
    NotConnectedError,
    SecureDeadlinePool,
    StaleConnectionError,
)
from gongdian.errors import ConfigError, OutcomeUnknownError, UpstreamError
from gongdian.logs import mask_text

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_decode = json.JSONDecoder(strict=False).decode  # answers may hold raw control characters
_USER_AGENT = "gongdian"
_POST_HEADERS = {"Content-Type": "application/json", "User-Agent": _USER_AGENT}
_GET_HEADERS = {"User-Agent": _USER_AGENT}


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Time-outs in seconds and bounds of one transport.

    ``wait_s`` is the wait for one of the ``in_flight`` connections, before ``total_s`` begins.
    """

    connect_s: float = 3.0
    read_s: float = 5.0
    total_s: float = 10.0
    wait_s: int = 5
    in_flight: int = 50
    body_bytes: int = 1 << 20


class _MaskQueries(logging.Filter):
    """urllib3 logs whole addresses; what stands in their query is nobody's business."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = mask_text(record.getMessage()), ()
        return True


for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_MaskQueries())


class HttpTransport:
    """Sends requests to one origin, ``in_flight`` at a time; threads share it.

    ``base_url`` may have a path in front of the platform's own (a proxy inside the company).
    With ``block=False`` more connections than ``in_flight`` are opened and not kept.
    """

    def __init__(
        self, base_url: str, limits: HttpLimits | None = None, *, block: bool = True
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError("bad_api_url", "begin the API address with http:// or https://")
        self.limits = limits or HttpLimits()
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._block = block
        self._timeout = Timeout(connect=self.limits.connect_s, read=self.limits.read_s)
        self._lock = threading.Lock()
        self._pid = 0
        self._pool: HTTPConnectionPool

    def post(
        self, path: str, query: str, document: Mapping[str, Any], *, repeatable: bool
    ) -> dict[str, Any]:
        """POST a JSON document, return the JSON object of the answer.

        ``repeatable``: the platform recognises a repetition, so a request that met a stale
        kept connection may be sent once more.
        """
        body = _encode(document).encode("utf-8", "replace")
        response = self._open("POST", path, query, body, _POST_HEADERS, repeatable)
        return parse_json(self._read(response, path), path)

    def post_form(self, path: str, query: str, body: bytes, content_type: str) -> dict[str, Any]:
        """POST a form of ``content_type``, return the JSON object of the answer.

        Sent once more after a stale connection: a file that arrives twice does no harm.
        """
        headers = {"Content-Type": content_type, "User-Agent": _USER_AGENT}
        response = self._open("POST", path, query, body, headers, True)
        return parse_json(self._read(response, path), path)

    def get(self, path: str, query: str) -> dict[str, Any]:
        """GET, return the JSON object of the answer; sent once more after a stale connection."""
        return parse_json(self._read(self.open(path, query), path), path)

    def open(self, path: str, query: str) -> BaseHTTPResponse:
        """GET, return the open answer (status 200); the caller reads it or closes it."""
        return self._open("GET", path, query, None, _GET_HEADERS, True)

    def close(self) -> None:
        """Close the idle connections."""
        if self._pid:
            self._pool.close()

    def _open(
        self,
        method: str,
        path: str,
        query: str,
        body: bytes | None,
        headers: dict[str, str],
        repeatable: bool,
    ) -> BaseHTTPResponse:
        target = f"{self._prefix}{path}?{query}" if query else self._prefix + path
        try:
            response = self._once(method, target, body, headers)
        except StaleConnectionError as error:
            if not repeatable:
                raise unknown_outcome(path, error) from error
            try:
                response = self._once(method, target, body, headers)
            except HTTPError as second:
                raise _translated(second, path) from second
        except HTTPError as error:
            raise _translated(error, path) from error
        if response.status != 200:
            _discard(response)
            raise _bad_status(response.status, path)
        return response

    def _once(
        self, method: str, target: str, body: bytes | None, headers: dict[str, str]
    ) -> BaseHTTPResponse:
        return self._connections().urlopen(
            method,
            target,
            body=body,
            headers=headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=self._timeout,
            pool_timeout=self.limits.wait_s,
            preload_content=False,
            decode_content=False,
        )

    def _read(self, response: BaseHTTPResponse, path: str) -> bytes:
        limit = self.limits.body_bytes
        try:
            body = response.read(limit + 1)
        except (HTTPError, OSError) as error:
            _discard(response)
            raise unknown_outcome(path, error) from error
        if len(body) > limit:
            _discard(response)
            raise OutcomeUnknownError("wechat_answer_too_long", path=path, limit_bytes=limit)
        response.release_conn()
        return body

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
            "maxsize": self.limits.in_flight,
            "block": self._block,
            "total_s": self.limits.total_s,
        }
        if not self._secure:
            return DeadlinePool(self._host, **shared)
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return SecureDeadlinePool(self._host, ssl_context=context, **shared)


def parse_json(body: bytes, path: str) -> dict[str, Any]:
    """The JSON object in an answer, whatever its content type says and even if not UTF-8."""
    try:
        document = _decode(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        raise OutcomeUnknownError("wechat_answer_unreadable", path=path) from error
    if not isinstance(document, dict):
        raise OutcomeUnknownError("wechat_answer_unreadable", path=path)
    return document


def unknown_outcome(path: str, error: Exception) -> OutcomeUnknownError:
    """The error for a request that broke off after it may have been sent."""
    return OutcomeUnknownError("wechat_no_answer", path=path, cause=type(error).__name__)


def _translated(error: HTTPError, path: str) -> UpstreamError:
    if isinstance(error, NotConnectedError | EmptyPoolError):
        return UpstreamError("wechat_unreachable", path=path, cause=type(error).__name__)
    return unknown_outcome(path, error)


def _bad_status(status: int, path: str) -> UpstreamError:
    if status >= 500 or status < 300:
        return OutcomeUnknownError("wechat_http_status", path=path, status=status)
    return UpstreamError("wechat_http_status", path=path, status=status)


def _discard(response: BaseHTTPResponse) -> None:
    response.close()
    response.release_conn()
