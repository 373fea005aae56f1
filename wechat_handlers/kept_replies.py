"""Passive replies as they are kept (应答留存), so that the platform's retry gets the same one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from wechat_handlers.replies import (
    Article,
    ImageReply,
    MusicReply,
    NewsReply,
    Reply,
    TextReply,
    TransferReply,
    VideoReply,
    VoiceReply,
)

_KINDS: dict[str, type[Any]] = {
    "text": TextReply,
    "image": ImageReply,
    "voice": VoiceReply,
    "video": VideoReply,
    "music": MusicReply,
    "news": NewsReply,
    "transfer": TransferReply,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def keep_reply(reply: Reply | None) -> dict[str, Any]:
    """A reply as a JSON document; an empty one when there is no reply."""
    return {"kind": _NAMES[type(reply)], **asdict(reply)} if reply is not None else {}


def kept_reply(document: Mapping[str, Any] | None) -> Reply | None:
    """The reply of such a document; None for an empty one."""
    if not document:
        return None
    fields = {name: value for name, value in document.items() if name != "kind"}
    if document["kind"] == "news":
        fields["articles"] = tuple(Article(**article) for article in fields["articles"])
    reply: Reply = _KINDS[document["kind"]](**fields)
    return reply
