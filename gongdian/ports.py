"""What the house asks of the world outside (端口): protocols and the plain values they carry.

Services and the relay know these shapes; ``gongdian.adapters`` fills them; ``gongdian.wiring``
chooses. Nothing here imports an SDK.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol


class RefusalAction(StrEnum):
    """What to do about an errcode (错误码处置); each code has exactly one."""

    RETRY_LATER = "retry_later"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - an action, not a secret
    REJECT_RECIPIENT = "reject_recipient"
    REJECT_MESSAGE = "reject_message"
    STOP_CHANNEL = "stop_channel"


@dataclass(frozen=True, slots=True)
class WechatAccount:
    """One Official Account (公众号) as the API client knows it."""

    appid: str
    secret: str


@dataclass(frozen=True, slots=True)
class TemplateSend:
    """One template message (模板消息): ``data`` maps a keyword such as ``thing1`` to its text."""

    openid: str
    template_id: str
    data: Mapping[str, str]
    client_msg_id: str
    url: str = ""
    miniprogram_appid: str = ""
    miniprogram_path: str = ""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The platform took the message; that is not delivery. ``msgid`` may be ``"0"``."""

    msgid: str
    rid: str = ""


@dataclass(frozen=True, slots=True)
class OAuthIdentity:
    """Who opened the page, as the platform says (网页授权)."""

    openid: str
    scope: str
    unionid: str = ""


@dataclass(frozen=True, slots=True)
class JssdkSignature:
    """What ``wx.config`` needs on a page."""

    appid: str
    timestamp: int
    nonce: str
    signature: str


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A downloaded temporary media file (临时素材); ``chunks`` must be read to its end once."""

    content_type: str
    filename: str
    chunks: Iterator[bytes]


class WechatPort(Protocol):
    """What the house asks of the WeChat platform for one account.

    Every call raises PlatformRefusalError for an errcode, OutcomeUnknownError when the request
    may have been acted on (time-out after sending, HTTP 5xx), UpstreamError when it surely
    was not (no connection).
    """

    def send_template(self, message: TemplateSend) -> Acceptance:
        """Send one template message."""

    def send_text(self, openid: str, text: str) -> None:
        """Send a customer-service text (客服消息); only within the platform's window."""

    def exchange_code(self, code: str) -> OAuthIdentity:
        """Turn an OAuth code into an identity; a code works once, for 5 minutes."""

    def authorize_url(self, redirect_uri: str, state: str, *, scope: str = "snsapi_base") -> str:
        """The address that sends a visitor through the platform's login."""

    def jssdk_signature(self, url: str) -> JssdkSignature:
        """Sign a page address for the JSSDK."""

    def download_media(self, media_id: str) -> MediaFile:
        """Fetch a temporary media file; the platform keeps it for 3 days."""


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message that a reader has taken from a queue; ``receipt`` is needed to delete it."""

    id: str
    body: str
    attributes: Mapping[str, str]
    receipt: str


class QueuePort(Protocol):
    """Queues between systems (消息队列); names or addresses ``https://.../name``."""

    def send(self, queue: str, body: str, *, key: str, attributes: Mapping[str, str]) -> str:
        """Put a message on a queue once for each key; its id, the same when it was there."""

    def receive(self, queue: str, *, most: int, hidden_for: timedelta) -> list[QueuedMessage]:
        """Take messages; one that is not deleted in time is seen again."""

    def delete(self, queue: str, receipt: str) -> None:
        """A message is done with; a receipt that is too old deletes nothing."""

    def prune(self, before: datetime, *, most: int = 500) -> int:
        """Forget the content of messages that nobody took since an instant; how many."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A platform credential (access_token or jsapi_ticket) and when we stop using it."""

    value: str
    expires_at: datetime


class CredentialStore(Protocol):
    """Where all threads and processes share platform credentials.

    ``name`` is e.g. ``wx123:access_token``. The lease makes fetching a single flight.
    """

    def load(self, name: str) -> Credential | None:
        """The stored credential, expired or not, or None."""

    def save(self, name: str, credential: Credential) -> None:
        """Store and give the lease back."""

    def try_lease(self, name: str, holder: str, duration: timedelta) -> bool:
        """Become the one that fetches; False while another holder's lease runs."""

    def release(self, name: str, holder: str) -> None:
        """Give the lease back without a result."""

    def expire(self, name: str, failed_value: str) -> None:
        """Mark as expired, only if the stored value is still the one that failed."""
