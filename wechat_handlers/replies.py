"""Passive replies (被动回复) as values, and their XML and JSON forms.

Made by handlers, rendered by ``gate.Gate.seal``. Checked when made: a handler that asks for
too much gets an InputError that names the field, not a refusal by the platform.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

from gongdian.errors import InputError

# The platform's page gives no number; a reply of 2048 bytes was reported as refused
# (dodgepudding/wechat-php-sdk issue 363).
MAX_TEXT_BYTES = 2047
# The platform gives no numbers for these either; ours keep one reply well under 64 KiB.
MAX_TITLE_BYTES = 512
MAX_DESCRIPTION_BYTES = 2047
MAX_URL_BYTES = 2048
MAX_ID_BYTES = 256

# What XML 1.0 cannot carry; half surrogate pairs cannot be encoded at all.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class TextReply:
    """文本: 1 to 2047 bytes of UTF-8."""

    content: str

    def __post_init__(self) -> None:
        _check("content", self.content, MAX_TEXT_BYTES, required=True)


@dataclass(frozen=True, slots=True)
class ImageReply:
    """图片, by the media id of an upload."""

    media_id: str

    def __post_init__(self) -> None:
        _check("media_id", self.media_id, MAX_ID_BYTES, required=True)


@dataclass(frozen=True, slots=True)
class VoiceReply:
    """语音, by the media id of an upload."""

    media_id: str

    def __post_init__(self) -> None:
        _check("media_id", self.media_id, MAX_ID_BYTES, required=True)


@dataclass(frozen=True, slots=True)
class VideoReply:
    """视频, by the media id of an upload."""

    media_id: str
    title: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        _check("media_id", self.media_id, MAX_ID_BYTES, required=True)
        _check("title", self.title, MAX_TITLE_BYTES)
        _check("description", self.description, MAX_DESCRIPTION_BYTES)


@dataclass(frozen=True, slots=True)
class MusicReply:
    """音乐; the cover's media id is the one thing that must be there."""

    thumb_media_id: str
    title: str = ""
    description: str = ""
    music_url: str = ""
    hq_music_url: str = ""

    def __post_init__(self) -> None:
        _check("thumb_media_id", self.thumb_media_id, MAX_ID_BYTES, required=True)
        _check("title", self.title, MAX_TITLE_BYTES)
        _check("description", self.description, MAX_DESCRIPTION_BYTES)
        _check("music_url", self.music_url, MAX_URL_BYTES)
        _check("hq_music_url", self.hq_music_url, MAX_URL_BYTES)


@dataclass(frozen=True, slots=True)
class Article:
    """One article of a news reply."""

    title: str
    url: str
    description: str = ""
    pic_url: str = ""

    def __post_init__(self) -> None:
        _check("title", self.title, MAX_TITLE_BYTES, required=True)
        _check("url", self.url, MAX_URL_BYTES, required=True)
        _check("description", self.description, MAX_DESCRIPTION_BYTES)
        _check("pic_url", self.pic_url, MAX_URL_BYTES)


@dataclass(frozen=True, slots=True)
class NewsReply:
    """图文: exactly one article; the platform drops the others for most triggers."""

    articles: tuple[Article, ...]

    def __post_init__(self) -> None:
        if len(self.articles) != 1:
            raise InputError("reply_articles", field="articles", limit=1, got=len(self.articles))


@dataclass(frozen=True, slots=True)
class TransferReply:
    """Hands the user over to customer service (转客服), to one member of it if named."""

    kf_account: str = ""

    def __post_init__(self) -> None:
        _check("kf_account", self.kf_account, MAX_ID_BYTES)


Reply: TypeAlias = (
    TextReply | ImageReply | VoiceReply | VideoReply | MusicReply | NewsReply | TransferReply
)


def render_xml(reply: Reply, to_user: str, from_user: str, create_time: int) -> str:
    """The XML of a reply from our account to a user; time in unix seconds."""
    kind, parts = _parts(reply)
    body = "".join([_element(name, value) for name, value in parts])
    return (
        f"<xml><ToUserName><![CDATA[{_cdata(to_user)}]]></ToUserName>"
        f"<FromUserName><![CDATA[{_cdata(from_user)}]]></FromUserName>"
        f"<CreateTime>{create_time}</CreateTime>"
        f"<MsgType><![CDATA[{kind}]]></MsgType>{body}</xml>"
    )


def render_json(reply: Reply, to_user: str, from_user: str, create_time: int) -> str:
    """The JSON of a reply, for accounts whose callbacks are JSON; same names as in XML."""
    kind, parts = _parts(reply)
    document: dict[str, Any] = {
        "ToUserName": to_user,
        "FromUserName": from_user,
        "CreateTime": create_time,
        "MsgType": kind,
    }
    document.update((name, _plain(value)) for name, value in parts)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


_Parts: TypeAlias = "list[tuple[str, str | int | _Parts]]"


def _parts(reply: Reply) -> tuple[str, _Parts]:
    """MsgType and the elements after it; a nested list stands for a nested element."""
    match reply:
        case TextReply(content):
            return "text", [("Content", content)]
        case ImageReply(media_id):
            return "image", [("Image", [("MediaId", media_id)])]
        case VoiceReply(media_id):
            return "voice", [("Voice", [("MediaId", media_id)])]
        case NewsReply((article,)):
            return "news", [
                ("ArticleCount", 1),
                ("Articles", [("item", _article_parts(article))]),
            ]
        case VideoReply(media_id, title, description):
            parts: _Parts = [("MediaId", media_id)]
            parts += _given(Title=title, Description=description)
            return "video", [("Video", parts)]
        case MusicReply():
            parts = _given(
                Title=reply.title,
                Description=reply.description,
                MusicUrl=reply.music_url,
                HQMusicUrl=reply.hq_music_url,
            )
            return "music", [("Music", [*parts, ("ThumbMediaId", reply.thumb_media_id)])]
        case TransferReply(kf_account):
            info: _Parts = [("TransInfo", [("KfAccount", kf_account)])] if kf_account else []
            return "transfer_customer_service", info
    raise InputError("reply_kind", field="reply", kind=type(reply).__name__)


def _article_parts(article: Article) -> _Parts:
    return [
        ("Title", article.title),
        ("Description", article.description),
        ("PicUrl", article.pic_url),
        ("Url", article.url),
    ]


def _given(**values: str) -> _Parts:
    return [(name, value) for name, value in values.items() if value]


def _element(name: str, value: str | int | _Parts) -> str:
    if isinstance(value, str):
        return f"<{name}><![CDATA[{_cdata(value)}]]></{name}>"
    if isinstance(value, int):
        return f"<{name}>{value}</{name}>"
    inner = "".join([_element(*part) for part in value])
    return f"<{name}>{inner}</{name}>"


def _plain(value: str | int | _Parts) -> Any:
    if isinstance(value, str):
        return _FORBIDDEN.sub("", value)
    if isinstance(value, int):
        return value
    return {name: _plain(inner) for name, inner in value}


def _cdata(text: str) -> str:
    """Text that cannot leave the CDATA section that it is put into."""
    if text.isprintable() and "]]>" not in text:  # nothing forbidden is printable
        return text
    return _FORBIDDEN.sub("", text).replace("]]>", "]]]]><![CDATA[>")


def _check(name: str, value: str, limit: int, *, required: bool = False) -> None:
    if required and not (value[:1].isalnum() or _FORBIDDEN.sub("", value).strip()):
        raise InputError("reply_empty", field=name)
    size = len(value)
    if size * 4 > limit:  # a character takes 1 to 4 bytes
        size = len(value.encode("utf-8", "surrogatepass"))
    if size > limit:
        raise InputError("reply_too_long", field=name, limit=limit, got=size)
