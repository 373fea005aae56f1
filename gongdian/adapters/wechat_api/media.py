"""Downloading temporary media (临时素材) in pieces; the client calls it.

The platform answers with the file, with a JSON refusal, or, for a video, with JSON that holds an
address. Only addresses on allowed hosts are followed, without redirects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from gongdian.adapters.wechat_api.transport import HttpLimits, HttpTransport
from gongdian.errors import UpstreamError
from gongdian.ports import MediaFile

# A file may take longer than a call; 20 MiB is twice the largest file that the platform keeps.
MEDIA_LIMITS = HttpLimits(read_s=10.0, total_s=60.0, in_flight=4, body_bytes=20 << 20)
# The hosts of the platform's own file servers end so.
VIDEO_HOSTS = (".qq.com", ".qpic.cn")
_PIECE = 64 * 1024
_JSON_TYPES = ("application/json", "text/plain", "text/json")
_JSON_BYTES = 64 * 1024
_NOT_IN_NAMES = re.compile(r"[^\w.\-]+")


def read_answer(response: BaseHTTPResponse) -> dict[str, Any] | None:
    """The JSON object of an answer that is no file, or None when it is a file."""
    if _content_type(response) not in _JSON_TYPES:
        return None
    try:
        body = response.read(_JSON_BYTES)
        document = json.loads(body.decode("utf-8-sig", "replace"))
    except (HTTPError, OSError, ValueError, RecursionError) as error:
        raise UpstreamError("wechat_media_unreadable") from error
    finally:
        response.close()
        response.release_conn()
    if not isinstance(document, dict):
        raise UpstreamError("wechat_media_unreadable")
    return document


def as_file(response: BaseHTTPResponse, limit_bytes: int) -> MediaFile:
    """The open answer as a media file of at most ``limit_bytes``."""
    return MediaFile(_content_type(response), _filename(response), _pieces(response, limit_bytes))


def open_video(
    address: str, api_url: str, allowed_hosts: tuple[str, ...], limits: HttpLimits
) -> MediaFile:
    """Fetch the file behind a video's address, which is at the API itself or on an allowed host.

    ``allowed_hosts``: a host name, or an ending that begins with a dot. The address came in an
    answer, and following it anywhere would let it point into the company's own network.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise UpstreamError("wechat_media_address_refused") from error
    allowed = parts.netloc == urlsplit(api_url).netloc or any(
        host.endswith(one) if one.startswith(".") else host == one for one in allowed_hosts
    )
    if parts.scheme not in ("http", "https") or not allowed:
        raise UpstreamError("wechat_media_address_refused", host=host)
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    transport = HttpTransport(origin, limits, block=False)
    return as_file(transport.open(parts.path or "/", parts.query), limits.body_bytes)


def _pieces(response: BaseHTTPResponse, limit_bytes: int) -> Iterator[bytes]:
    total = 0
    try:
        while piece := response.read(_PIECE):
            total += len(piece)
            if total > limit_bytes:
                raise UpstreamError("wechat_media_too_large", limit_bytes=limit_bytes)
            yield piece
    except (HTTPError, OSError) as error:
        raise UpstreamError("wechat_media_broken_off", cause=type(error).__name__) from error
    finally:
        response.close()
        response.release_conn()


def _content_type(response: BaseHTTPResponse) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _filename(response: BaseHTTPResponse) -> str:
    """The name the platform gives, without path and without characters that are not plain."""
    message = Message()
    message["Content-Disposition"] = response.headers.get("Content-Disposition", "")
    name = message.get_filename() or ""
    name = name.replace("\\", "/").rpartition("/")[2]
    return _NOT_IN_NAMES.sub("_", name).lstrip(".")[-100:]
