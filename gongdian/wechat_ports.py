"""What the house asks of WeChat besides messages and logins (微信端口): one protocol per subject.

``gongdian.adapters.wechat_api`` fills them, ``gongdian.wiring`` hands them out. Errors are those
of ``gongdian.ports.WechatPort``; the values are plain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SubscriptionSend:
    """One subscription notification (订阅通知). ``page``: what a tap opens, an H5 address for
    the official account, a page path for the mini-program."""

    openid: str
    template_id: str
    data: Mapping[str, str]
    page: str = ""
    miniprogram_appid: str = ""
    miniprogram_path: str = ""


class MediaKind(StrEnum):
    """What a temporary media file (临时素材) is."""

    IMAGE = "image"
    VOICE = "voice"
    VIDEO = "video"
    THUMB = "thumb"


@dataclass(frozen=True, slots=True)
class UploadedMedia:
    """A temporary media file that the platform holds for 3 days from ``uploaded_at``."""

    media_id: str
    kind: MediaKind
    uploaded_at: datetime


@dataclass(frozen=True, slots=True)
class WechatUser:
    """A person as the platform shows them (用户信息); who does not follow has only an openid."""

    openid: str
    is_following: bool
    followed_at: datetime | None = None
    unionid: str = ""
    came_through: str = ""
    scene: str = ""


@dataclass(frozen=True, slots=True)
class MenuButton:
    """A button of the chat's menu (自定义菜单); one with ``children`` only opens them.

    ``kind``: click, view, miniprogram, scancode_push, scancode_waitmsg, pic_sysphoto,
    pic_photo_or_album, pic_weixin, location_select. Limits: ``MenuPort.create``.
    """

    name: str
    kind: str = ""
    key: str = ""
    url: str = ""
    appid: str = ""
    page: str = ""
    children: tuple[MenuButton, ...] = ()


@dataclass(frozen=True, slots=True)
class QrCode:
    """A QR code with a scene (带参数二维码). ``url`` is what the code holds, ``image_url`` shows
    it; ``expires_at`` None means that it lasts."""

    ticket: str
    url: str
    image_url: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class MiniProgramLogin:
    """Who opened the mini-program (小程序登录). The session key never leaves the server."""

    openid: str
    session_key: str = field(repr=False)
    unionid: str = ""


@dataclass(frozen=True, slots=True)
class ApiQuota:
    """Calls of one interface today (接口调用额度)."""

    limit: int
    used: int
    left: int


class SubscriptionPort(Protocol):
    """Sends notifications to those who subscribed; errors as WechatPort's, 43101 without credit."""

    def send(self, message: SubscriptionSend) -> None:
        """Send one; the platform gives no message id, the sent event tells what became of it."""


class UploadPort(Protocol):
    """Puts temporary media on the platform."""

    def upload(self, kind: MediaKind, filename: str, content: bytes) -> UploadedMedia:
        """Upload a file. InputError when size or format break the platform's limits."""


class UserPort(Protocol):
    """Looks up people."""

    def user(self, openid: str) -> WechatUser:
        """One person by openid."""


class MenuPort(Protocol):
    """The menu below the chat; phones take a new one within 5 minutes."""

    def create(self, buttons: tuple[MenuButton, ...]) -> None:
        """Replace the menu. InputError: not 1..3 buttons with 1..5 below each, or a text that
        is too long (the platform cuts names after 4 and 8 Chinese characters)."""

    def current(self) -> tuple[MenuButton, ...]:
        """The menu that was created; empty when there is none."""

    def delete(self) -> None:
        """Take the menu away."""


class QrCodePort(Protocol):
    """Makes QR codes that bring a scene along: subscribe and SCAN events carry it."""

    def temporary(self, scene: str, life: timedelta) -> QrCode:
        """A code for up to 30 days; ``scene`` has 1..64 characters."""

    def lasting(self, scene: str) -> QrCode:
        """A code that lasts; an account may have 100,000."""


class QuotaPort(Protocol):
    """What an account may still call today."""

    def quota(self, path: str) -> ApiQuota:
        """Of an interface such as ``/cgi-bin/message/template/send``."""

    def clear(self, *, with_secret: bool = False) -> None:
        """Start all counters anew, at most 10 times a month (then 48006). ``with_secret`` works
        when no token can be fetched any more."""


class MiniProgramPort(Protocol):
    """What the house asks of the platform for the mini-program (小程序)."""

    def send_subscription(self, message: SubscriptionSend) -> None:
        """Send one subscription message (订阅消息)."""

    def exchange_login(self, js_code: str) -> MiniProgramLogin:
        """Who logged in; a code works once, 40226 is a person the platform blocks."""

    def phone_number(self, code: str) -> str:
        """The phone number behind a code: 11 digits, or ``+`` and the country code before a
        foreign one. Works once, costs money."""

    def url_link(self, page: str, query: str, life: timedelta) -> str:
        """A link for text messages that opens a page; for up to 30 days."""


@dataclass(frozen=True, slots=True)
class WechatDesk:
    """The rest of what one official account can do, by subject."""

    subscriptions: SubscriptionPort
    uploads: UploadPort
    users: UserPort
    menus: MenuPort
    qr_codes: QrCodePort
    quotas: QuotaPort
