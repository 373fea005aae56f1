"""The messages that a user sends (普通消息), and the one function that reads any callback body.

Called by the gate, and by whoever reads a stored callback again.
"""

from __future__ import annotations

from dataclasses import dataclass

from wechat_handlers.documents import Fields, decode, read_json, read_xml
from wechat_handlers.events import EVENTS, UnknownEvent, event_head
from wechat_handlers.wire import (
    Message,
    fill,
    head_of,
    integer,
    reference,
    required_decimal,
    wire,
)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class TextMessage(Message):
    """文本; the menu id is filled when a customer service menu message was tapped."""

    content: str = wire("Content")
    menu_message_id: str = wire("bizmsgmenuid", reference)

    @property
    def key(self) -> str:
        """What a router rule's key is compared with: the text without outer white space."""
        return self.content.strip()


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ImageMessage(Message):
    """图片; the media id works for 3 days."""

    pic_url: str = wire("PicUrl")
    media_id: str = wire("MediaId", reference)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class VoiceMessage(Message):
    """语音 (amr or speex); recognition only where the account has that ability."""

    media_id: str = wire("MediaId", reference)
    format: str = wire("Format", reference)
    media_id_16k: str = wire("MediaId16K", reference)
    recognition: str = wire("Recognition")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class VideoMessage(Message):
    """视频 (video) and 小视频 (shortvideo)."""

    media_id: str = wire("MediaId", reference)
    thumb_media_id: str = wire("ThumbMediaId", reference)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class LocationMessage(Message):
    """地理位置; x is latitude, y longitude, degrees."""

    location_x: float = wire("Location_X", required_decimal)
    location_y: float = wire("Location_Y", required_decimal)
    scale: int = wire("Scale", integer)
    label: str = wire("Label")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class LinkMessage(Message):
    """链接."""

    title: str = wire("Title")
    description: str = wire("Description")
    url: str = wire("Url")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class FileMessage(Message):
    """文件; field names from memory, ``fields`` has what really came."""

    title: str = wire("Title")
    description: str = wire("Description")
    file_key: str = wire("FileKey", reference)
    file_md5: str = wire("FileMd5", reference)
    file_size: int = wire("FileTotalLen", integer)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class MiniProgramPageMessage(Message):
    """小程序卡片, sent in a mini-program's customer service chat."""

    title: str = wire("Title")
    appid: str = wire("AppId", reference)
    page_path: str = wire("PagePath")
    thumb_url: str = wire("ThumbUrl")
    thumb_media_id: str = wire("ThumbMediaId", reference)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class UnknownMessage(Message):
    """A type that this version does not know; see ``fields``."""


MESSAGES: dict[str, type[Message]] = {
    "text": TextMessage,
    "image": ImageMessage,
    "voice": VoiceMessage,
    "video": VideoMessage,
    "shortvideo": VideoMessage,
    "location": LocationMessage,
    "link": LinkMessage,
    "file": FileMessage,
    "miniprogrampage": MiniProgramPageMessage,
}


def parse_message(raw: bytes, is_json: bool) -> Message:
    """The typed message of a decrypted (or plain) body; CallbackError 400 if it is none.

    The same bytes always give an equal message: stored callbacks are read again by this.
    """
    body = decode(raw)
    return build_message(read_json(body) if is_json else read_xml(body))


def build_message(source: Fields) -> Message:
    """The typed message of a body that is a tree already. Raises CallbackError."""
    head = head_of(source)
    if head[3] == "event":
        named = event_head(source)
        return fill(EVENTS.get(named[0], UnknownEvent), (*head, *named), source)
    return fill(MESSAGES.get(head[3], UnknownMessage), head, source)
