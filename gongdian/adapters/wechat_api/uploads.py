"""Uploading temporary media (上传临时素材), checked before sending; wiring puts it on the desk."""

from __future__ import annotations

from dataclasses import dataclass

from urllib3.filepost import encode_multipart_formdata

from gongdian.adapters.wechat_api.calls import AccountCalls
from gongdian.adapters.wechat_api.shapes import instant_in, optional_text, text_in
from gongdian.errors import InputError
from gongdian.wechat_ports import MediaKind, UploadedMedia

_PATH = "/cgi-bin/media/upload"
# ending -> what such a file begins with, at which byte
_FORMATS: dict[str, tuple[tuple[int, bytes], ...]] = {
    "jpg": ((0, b"\xff\xd8\xff"),),
    "jpeg": ((0, b"\xff\xd8\xff"),),
    "png": ((0, b"\x89PNG\r\n\x1a\n"),),
    "gif": ((0, b"GIF87a"), (0, b"GIF89a")),
    "amr": ((0, b"#!AMR"),),
    "mp3": ((0, b"ID3"), (0, b"\xff\xfb"), (0, b"\xff\xf3"), (0, b"\xff\xf2")),
    "mp4": ((4, b"ftyp"),),
}


@dataclass(frozen=True, slots=True)
class _Limit:
    """What one kind may be."""

    size: int
    endings: tuple[str, ...]


# The platform's page says 10 MB for pictures and, further down, 2 MB: the smaller is safe.
LIMITS = {
    MediaKind.IMAGE: _Limit(2_000_000, ("png", "jpeg", "jpg", "gif")),
    MediaKind.VOICE: _Limit(2_000_000, ("amr", "mp3")),
    MediaKind.VIDEO: _Limit(10_000_000, ("mp4",)),
    MediaKind.THUMB: _Limit(64_000, ("jpg",)),
}


class Uploads:
    """Fills ``gongdian.wechat_ports.UploadPort``."""

    def __init__(self, calls: AccountCalls) -> None:
        self._calls = calls

    def upload(self, kind: MediaKind, filename: str, content: bytes) -> UploadedMedia:
        """Upload a file; a voice over 60 s is found out by the platform only."""
        check_upload(kind, filename, content)
        name = filename.replace("\\", "/").rpartition("/")[2]
        body, content_type = encode_multipart_formdata({"media": (name, content)})
        field = "thumb_media_id" if kind is MediaKind.THUMB else "media_id"
        more = {"type": kind.value}
        reply = self._calls.upload(_PATH, more, body, content_type, answer="created_at")
        media_id = optional_text(reply, "media_id") or text_in(reply, field, _PATH)
        return UploadedMedia(media_id, kind, instant_in(reply, "created_at", _PATH))


def check_upload(kind: MediaKind, filename: str, content: bytes) -> None:
    """InputError when a file is not what the platform takes for its kind."""
    limit = LIMITS[kind]
    ending = filename.rpartition(".")[2].lower()
    if ending not in limit.endings:
        allowed = ", ".join(limit.endings)
        raise InputError("media_format", f"a {kind} file is one of {allowed}", filename=filename)
    if not content or len(content) > limit.size:
        raise InputError(
            "media_size", f"a {kind} file has 1 to {limit.size} bytes", size=len(content)
        )
    if not any(content.startswith(mark, at) for at, mark in _FORMATS[ending]):
        raise InputError("media_format", f"the content is not {ending}", filename=filename)
