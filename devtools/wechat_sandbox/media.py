"""Temporary media (临时素材): kept for 3 days, then the id is invalid.

Filled by what phones send or upload; read by the media endpoints of ``platform_api``.
"""

from __future__ import annotations

import base64
import secrets
import threading
from dataclasses import dataclass
from typing import Any

from devtools.wechat_sandbox.clock import DAY_S, SandboxClock
from devtools.wechat_sandbox.refusals import RefusalError

LIFETIME_S = 3 * DAY_S
TYPES = {
    "image": ("image/jpeg", "jpg"),
    "voice": ("audio/amr", "amr"),
    "video": ("video/mp4", "mp4"),
    "thumb": ("image/jpeg", "jpg"),
}


@dataclass(frozen=True, slots=True)
class Media:
    """One file: ``kind`` is image, voice, video or thumb."""

    media_id: str
    kind: str
    content: bytes
    content_type: str
    filename: str
    ends_at: float


class MediaDesk:
    """Keeps the files."""

    def __init__(self, lock: threading.RLock, clock: SandboxClock) -> None:
        self._lock = lock
        self._clock = clock
        self._files: dict[str, Media] = {}

    def add(self, kind: str, content: bytes, content_type: str = "") -> Media:
        """Keep a file and return it with its new media id."""
        if kind not in TYPES:
            raise ValueError(f"kind must be one of {', '.join(TYPES)}")
        usual_type, suffix = TYPES[kind]
        media_id = secrets.token_urlsafe(48)
        media = Media(
            media_id,
            kind,
            content,
            content_type or usual_type,
            f"{media_id[:16]}.{suffix}",
            self._clock.now() + LIFETIME_S,
        )
        with self._lock:
            self._files[media_id] = media
        return media

    def get(self, media_id: str) -> Media:
        """The file; raises 40007 when there is none or its 3 days are over."""
        with self._lock:
            media = self._files.get(media_id)
        if media is None or self._clock.now() >= media.ends_at:
            raise RefusalError(40007)
        return media

    def ends(self) -> set[float]:
        """When files end, seconds since 1970."""
        with self._lock:
            return {media.ends_at for media in self._files.values()}

    def snapshot(self) -> list[dict[str, Any]]:
        """The files, for saving."""
        with self._lock:
            files = list(self._files.values())
        return [
            {
                "media_id": media.media_id,
                "kind": media.kind,
                "content_b64": base64.b64encode(media.content).decode("ascii"),
                "content_type": media.content_type,
                "filename": media.filename,
                "ends_at": media.ends_at,
            }
            for media in files
        ]

    def restore(self, saved: list[dict[str, Any]]) -> None:
        """Take saved files."""
        files = {}
        for row in saved:
            fields = {name: value for name, value in row.items() if name != "content_b64"}
            content = base64.b64decode(row["content_b64"])
            files[row["media_id"]] = Media(content=content, **fields)
        with self._lock:
            self._files = files
