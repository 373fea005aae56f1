"""The text of task tokens (令牌文本): how one is made, hidden in history, and stored."""

from __future__ import annotations

import hashlib
import re
import secrets

# By this a token is known wherever it is written.
_PREFIX = "task-"
_TOKEN = re.compile(rf"(?<![\w-]){_PREFIX}[\w-]{{64}}(?![\w-])", re.ASCII)


def new_token() -> str:
    """A token that nobody can guess (384 random bits); never mistaken for an option or a path."""
    return _PREFIX + secrets.token_urlsafe(48)


def shown(token: str) -> str:
    """What history shows in a token's place."""
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()[:16]


def without_tokens(text: str) -> str:
    """A text with every token in it hidden: who may read history may not answer for a task."""
    return _TOKEN.sub(lambda found: shown(found[0]), text) if _PREFIX in text else text


def token_hash(token: str) -> bytes:
    """The 32 bytes that are stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
