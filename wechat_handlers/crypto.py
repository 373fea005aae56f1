"""Signature and encryption of WeChat callbacks (消息加解密).

Called by the callback gate, by the sandbox that plays the platform, and by their tests.
"""

from __future__ import annotations

import hashlib
import os
import re
from binascii import a2b_base64, b2a_base64
from hmac import compare_digest
from struct import pack
from threading import local

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from gongdian.errors import CallbackError, ConfigError

BLOCK = 32  # PKCS#7 to 32 bytes; a standard AES unpadder refuses the pads 17..32
_HEAD = 16 + 4  # random bytes, length of the message in network order
_KEY_SHAPE = re.compile(r"[A-Za-z0-9]{43}")
_PADS = (b"", *(bytes([size]) * size for size in range(1, BLOCK + 1)))


def callback_signature(*parts: str) -> str:
    """SHA-1 in hex of the lexicographically sorted parts, joined; as the platform signs."""
    joined = "".join(sorted(parts)).encode("utf-8", "surrogatepass")
    return hashlib.sha1(joined, usedforsecurity=False).hexdigest()


def same(a: str, b: str) -> bool:
    """Compare in constant time; any text is allowed on both sides."""
    return compare_digest(a.encode("utf-8", "surrogatepass"), b.encode("utf-8", "surrogatepass"))


class _Streams(local):
    """One thread's running CBC encryptor and decryptor of one key.

    Setting up a cipher costs as much as running it over a message, so both run on from message
    to message. Without a new IV only the first block comes out different, and that block holds
    nothing but the 16 random bytes that the reader throws away: to the platform, and to us,
    every message looks as if it began with the fixed IV. Inputs are always whole blocks.
    """

    def __init__(self, cipher: Cipher[CBC]) -> None:
        self.encrypt = cipher.encryptor().update
        self.decrypt = cipher.decryptor().update


class CallbackCipher:
    """AES-256-CBC of one account, with the key before the last one for late messages.

    Plain layout: 16 random bytes, 4 bytes length, message, appid, pad (1..32 equal bytes).
    Safe to share between threads. Raises ConfigError for a key that cannot be one.
    """

    def __init__(self, appid: str, aes_key: str, previous_aes_key: str = "") -> None:
        if not appid:
            raise ConfigError("wechat_appid_missing", "the appid closes every encrypted message")
        self._appid = appid.encode()
        self._current = _Streams(_cipher(aes_key, "aes_key"))
        self._all = [self._current]
        if previous_aes_key:
            self._all.append(_Streams(_cipher(previous_aes_key, "previous_aes_key")))

    def encrypt(self, plain: bytes) -> str:
        """Encrypt with the current key; base64 without line breaks."""
        size = _HEAD + len(plain) + len(self._appid)
        pad = _PADS[BLOCK - size % BLOCK]
        head = os.urandom(16) + pack(">I", len(plain))
        sealed = self._current.encrypt(head + plain + self._appid + pad)
        return b2a_base64(sealed, newline=False).decode("ascii")

    def decrypt(self, encrypted: str) -> bytes:
        """The message inside; CallbackError (one code, one text) whatever is wrong with it."""
        try:
            sealed = a2b_base64(encrypted, strict_mode=True)
        except ValueError as error:
            raise _unreadable() from error
        if len(sealed) < BLOCK or len(sealed) % 16:
            raise _unreadable()
        for streams in self._all:
            plain = self._unpack(streams.decrypt(sealed))
            if plain is not None:
                return plain
        raise _unreadable()

    def _unpack(self, opened: bytes) -> bytes | None:
        pad = opened[-1]
        if not 1 <= pad <= BLOCK or not opened.endswith(_PADS[pad]):
            return None
        end = _HEAD + int.from_bytes(opened[16:_HEAD], "big")
        # The appid must fill exactly what lies between the message and the pad.
        if end + len(self._appid) + pad != len(opened):
            return None
        if not compare_digest(opened[end:-pad], self._appid):
            return None
        return opened[_HEAD:end]


def _cipher(aes_key: str, field: str) -> Cipher[CBC]:
    """The cipher of an EncodingAESKey: 43 characters that stand for 32 bytes.

    The last character may carry bits beyond the 32 bytes; the platform makes such keys.
    """
    if not _KEY_SHAPE.fullmatch(aes_key):
        raise ConfigError(
            "wechat_aes_key_shape", "an EncodingAESKey is 43 letters and digits", field=field
        )
    key = a2b_base64(aes_key + "=")
    return Cipher(AES(key), CBC(key[:16]))


def _unreadable() -> CallbackError:
    return CallbackError("callback_cipher", "the encrypted part is not readable", status=400)
