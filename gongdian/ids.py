"""Identifiers (标识): business keys, client message ids, link tokens; services call it."""

from __future__ import annotations

import hashlib
import re
import secrets

from gongdian.errors import InputError

KEY_LENGTH = 190  # fits a MySQL index of utf8mb4 text
_PART = re.compile(r"[^\s:\x00-\x1f](?:[^:\x00-\x1f]*[^\s:\x00-\x1f])?")


def business_key(flow: str, subject: str, occasion: str, recipient: str) -> str:
    """The key of a message (业务键) ``flow:subject:occasion:recipient``, unique for ever.

    ``occasion`` is counted (``stage2#1``). InputError names the part that is empty, holds a
    colon or blanks at its ends, or makes the key longer than 190 characters.
    """
    parts = {"flow": flow, "subject": subject, "occasion": occasion, "recipient": recipient}
    for name, part in parts.items():
        if not _PART.fullmatch(part):
            raise InputError("bad_key_part", "empty, or holds a colon or blanks", **{name: part})
    key = ":".join(parts.values())
    if len(key) > KEY_LENGTH:
        raise InputError("key_too_long", f"over {KEY_LENGTH} characters", key=key)
    return key


def client_msg_id(key: str) -> str:
    """The platform's idempotency id for a business key: 32 hexadecimal digits, always the same.

    Length and charset are undocumented; hexadecimal without hyphens was never refused.
    """
    return hashlib.sha256(b"client_msg_id\x00" + key.encode()).hexdigest()[:32]


def new_token() -> str:
    """A link token: 16 URL-safe characters, 96 random bits; it fits into a text message."""
    return secrets.token_urlsafe(12)


def token_digest(token: str) -> bytes:
    """What is stored of a token: 32 bytes."""
    return hashlib.sha256(b"token\x00" + token.encode("utf-8", "replace")).digest()
