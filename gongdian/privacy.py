"""Personal data at rest (个人信息保护): AES-GCM for columns, HMAC to find; keys come from wiring.

A stored value is ``1 byte key id | 12 bytes nonce | ciphertext and tag``; the column's name is
authenticated with it, so that a value cannot be moved to another column.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gongdian.errors import ConfigError, InputError


@dataclass(frozen=True, slots=True, repr=False)
class DataKeys:
    """The keys of one installation: 32 bytes each; ``previous`` only decrypts."""

    current: bytes
    index: bytes
    previous: bytes = b""


class _Keyring:
    """The process's keys; column types have no other way to reach them."""

    def __init__(self) -> None:
        self.ciphers: list[tuple[int, AESGCM]] = []
        self.index = b""


_ring = _Keyring()


def install_keys(keys: DataKeys) -> None:
    """Use these keys in this process; called once by wiring (and by tests)."""
    _ring.ciphers = [(_key_id(key), AESGCM(key)) for key in (keys.current, keys.previous) if key]
    _ring.index = keys.index


def _key_id(key: bytes) -> int:
    return hashlib.sha256(b"gongdian key id" + key).digest()[0]


def seal(plain: bytes, purpose: str) -> bytes:
    """Encrypt; ``purpose`` (a column's name) must be given again to open."""
    if not _ring.ciphers:
        raise ConfigError("no_data_key", "data keys are not installed")
    key_id, cipher = _ring.ciphers[0]
    nonce = os.urandom(12)
    return bytes([key_id]) + nonce + cipher.encrypt(nonce, plain, purpose.encode())


def unseal(sealed: bytes, purpose: str) -> bytes:
    """Decrypt what ``seal`` made; InputError when no installed key opens it."""
    for key_id, cipher in _ring.ciphers:
        if sealed[:1] == bytes([key_id]):
            try:
                return cipher.decrypt(sealed[1:13], sealed[13:], purpose.encode())
            except (InvalidTag, ValueError):  # ValueError: cut off within the nonce
                continue
    raise InputError("undecryptable", "no installed key opens this value", purpose=purpose)


def blind_index(value: str, purpose: str) -> bytes:
    """32 bytes by which an encrypted value is found (equal values, equal bytes)."""
    if not _ring.index:
        raise ConfigError("no_index_key", "data keys are not installed")
    return hmac.digest(_ring.index, f"{purpose}\x00{value}".encode(), "sha256")
