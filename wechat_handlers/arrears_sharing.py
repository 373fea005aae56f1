"""Sharing a bill (转给同事): a signed, masked link that anybody may open and that runs out.

The signature names a message and an end, nothing of the customer. What the page shows is looked up
anew by what the sharer may see at that moment, so it ends with their binding.
"""

from __future__ import annotations

import base64
import hmac
import struct
from binascii import Error as Base64Error
from datetime import UTC, datetime, timedelta

from gongdian.errors import ConflictError, NotFoundError

SHARE_LIFE = timedelta(days=7)
_LAYOUT = struct.Struct(">QI")  # message id, end in unix seconds
_SEAL = 16
_PURPOSE = b"gongdian arrears share\x00"


def sign_share(key: bytes, message_id: int, now: datetime) -> str:
    """The token of a share link: 38 characters, good for ``SHARE_LIFE``."""
    body = _LAYOUT.pack(message_id, int((now + SHARE_LIFE).timestamp()))
    return base64.urlsafe_b64encode(body + _seal(key, body)).rstrip(b"=").decode()


def read_share(key: bytes, token: str, now: datetime) -> tuple[int, datetime]:
    """The message's id and the link's end. NotFoundError for a token that we never signed,
    ConflictError ``share_expired`` after its end."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (ValueError, Base64Error) as error:
        raise NotFoundError("no_such_link", "not a share link") from error
    body, seal = raw[: _LAYOUT.size], raw[_LAYOUT.size :]
    if len(seal) != _SEAL or not hmac.compare_digest(seal, _seal(key, body)):
        raise NotFoundError("no_such_link", "not a share link of ours")
    message_id, seconds = _LAYOUT.unpack(body)
    ends_at = datetime.fromtimestamp(seconds, UTC)
    if now >= ends_at:
        raise ConflictError("share_expired", "share links are good for a week")
    return message_id, ends_at


def _seal(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, _PURPOSE + body, "sha256")[:_SEAL]
