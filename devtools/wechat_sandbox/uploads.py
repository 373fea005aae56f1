"""Uploading temporary media (上传临时素材): the form that comes, and the limits of each kind.

Called by ``account_routes``; the file goes to the media desk.
"""

from __future__ import annotations

import re
from typing import Any

from devtools.wechat_sandbox.clock import SandboxClock
from devtools.wechat_sandbox.http_server import Request
from devtools.wechat_sandbox.media import MediaDesk
from devtools.wechat_sandbox.refusals import RefusalError

MB = 1024 * 1024
# kind -> most bytes, endings, errcode of a file that is too large
LIMITS: dict[str, tuple[int, tuple[str, ...], int]] = {
    "image": (10 * MB, ("png", "jpeg", "jpg", "gif"), 40009),
    "voice": (2 * MB, ("amr", "mp3"), 40010),
    "video": (10 * MB, ("mp4",), 40011),
    "thumb": (64 * 1024, ("jpg",), 40012),
}
BOUNDARY = re.compile(r'boundary="?([^";]{1,200})"?', re.IGNORECASE)
NAME = re.compile(rb'\bname="([^"]*)"')
FILENAME = re.compile(rb'\bfilename="([^"]*)"')


def take_upload(request: Request, media: MediaDesk, clock: SandboxClock) -> dict[str, Any]:
    """Keep an uploaded file. Raises RefusalError."""
    kind = request.query.get("type", "")
    if kind not in LIMITS:
        raise RefusalError(40004)
    found = file_of(request.headers.get("content-type", ""), request.body)
    if found is None:
        raise RefusalError(41005)
    filename, content = found
    most, endings, too_large = LIMITS[kind]
    if not content:
        raise RefusalError(44001)
    if filename.rpartition(".")[2].lower() not in endings:
        raise RefusalError(40005)
    if len(content) > most:
        raise RefusalError(too_large)
    kept = media.add(kind, content)
    field = "thumb_media_id" if kind == "thumb" else "media_id"
    return {"type": kind, field: kept.media_id, "created_at": int(clock.now())}


def file_of(content_type: str, body: bytes) -> tuple[str, bytes] | None:
    """Name and content of the form's file ``media``, or None."""
    boundary = BOUNDARY.search(content_type)
    if not content_type.startswith("multipart/form-data") or boundary is None:
        return None
    for part in body.split(b"--" + boundary.group(1).encode("latin-1", "replace"))[1:]:
        head, separator, content = part.partition(b"\r\n\r\n")
        name, filename = NAME.search(head), FILENAME.search(head)
        if separator and name and filename and name.group(1) == b"media":
            return filename.group(1).decode("utf-8", "replace"), content.removesuffix(b"\r\n")
    return None
