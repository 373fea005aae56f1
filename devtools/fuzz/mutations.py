"""Hostile changes to trees, bytes, envelopes and query strings, drawn from a seeded source.

Called by the callback fuzzer only.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from devtools.fuzz.samples import AES_KEY, APPID, Tree, long_text

_TEXTS = (
    "",
    " ",
    "0",
    "-1",
    "1e999",
    "NaN",
    "Infinity",
    "99999999999999999999999999",
    "18446744073709551616",
    "253402300800",
    "1_000",
    "١٢٣",
    "\x00",
    "\x01\x1f\r\n\t",
    "]]>",
    "]]><MsgType>event</MsgType><![CDATA[",
    "&lt;&amp;&#1;&#xF0000;",
    "<script>alert(1)</script>",
    "\ufffe\uffff",
    "\U000f0000\U000f0001",
    "😀" * 50,
    "A" * 70,
    "A" * 300,
    "qrscene_",
    "failed:",
    "event",
    "Event",
    "供电所",
)

_NAMES = ("MsgType", "CreateTime", "Event", "List", "item", "MsgId", "MsgID", "Encrypt", "xml")

_SNIPPETS = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"]]>",
    b"<![CDATA[",
    b"<!--",
    b"-->",
    b"<?pi?>",
    b"&a;",
    b"&#0;",
    b"&#x0000F0000;",
    b"<xml>",
    b"</xml>",
    b"<a>",
    b"<a/>",
    b"<MsgType>text</MsgType>",
    b"{",
    b"}",
    b"[",
    b'"',
    b"\\ud800",
    b"\\u0000",
    b"NaN",
    b"9" * 5000,
    b"[" * 3000,
    b"<a>" * 50,
    b"<a></a>" * 1200,
    b'{"a":' * 500,
)

_WHOLE = (
    b"",
    b"<xml/>",
    b"<xml></xml>",
    b"{}",
    b"[]",
    b"null",
    b"{",
    b'{"List":[]}',
    b"\xff\xfe<\x00x\x00m\x00l\x00>\x00",
    b'<?xml version="1.0" encoding="gb2312"?><xml/>',
    b'<!DOCTYPE xml [<!ENTITY a "b">]><xml><MsgType>&a;</MsgType></xml>',
    b'<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd"><xml/>',
    b"<xml>" * 2000,
    b"<xml><a><![CDATA[" * 2000,
    b"[" * 100_000,
    b'{"a":' * 20_000,
    b"1" * 10_000,
)


def mutate_tree(tree: Tree, draw: random.Random) -> dict[str, Any]:
    """One to three changes to names, values and structure."""
    changed: dict[str, Any] = dict(tree)
    for _ in range(draw.randint(1, 3)):
        name = draw.choice([*changed, *_NAMES])
        match draw.randrange(7):
            case 0:
                changed.pop(name, None)
            case 1:
                changed[name] = {"List": changed.get(name, ""), "item": draw.choice(_TEXTS)}
            case 2:
                changed[name] = [changed.get(name, ""), draw.choice(_TEXTS)]
            case 3:
                changed[name] = long_text(draw, draw.randint(0, 400))
            case 4 if isinstance(changed.get(name), dict):
                changed[name] = mutate_tree(changed[name], draw)
            case _:
                changed[name] = draw.choice(_TEXTS)
    return changed


def mutate_bytes(body: bytes, draw: random.Random) -> bytes:
    """One to four changes: flips, cuts, repeats, insertions; seldom another body altogether."""
    if draw.random() < 0.03:
        return draw.choice(_WHOLE)
    changed = bytearray(body)
    for _ in range(draw.randint(1, 4)):
        at = draw.randint(0, len(changed))
        end = min(len(changed), at + draw.randint(0, 40))
        match draw.randrange(5):
            case 0:
                changed[at:end] = b""
            case 1:
                changed[at:at] = draw.choice(_SNIPPETS)
            case 2 if at < len(changed):
                changed[at] ^= 1 << draw.randrange(8)
            case 3:
                changed[at:at] = changed[at:end]
            case _:
                changed[at:end] = draw.choice(_SNIPPETS)
    return bytes(changed)


def encrypt_badly(message: bytes, draw: random.Random) -> str:
    """Encrypt with one thing wrong in the layout: length, appid, pad, size or alphabet."""
    appid = APPID.encode()
    length = len(message)
    wrong = draw.randrange(7)
    if wrong == 0:
        length = draw.choice((0, 1, length - 1, length + 1, 2**31, 2**32 - 1)) % 2**32
    if wrong == 1:
        appid = draw.choice((b"", appid[:-1], appid + b"x", b"wx0000000000000000"))
    plain = draw.randbytes(16) + length.to_bytes(4, "big") + message + appid
    size = 32 - len(plain) % 32
    pad = bytes([size]) * size
    if wrong == 2:
        pad = bytes([draw.randrange(256)]) * size
    if wrong == 3:
        pad = draw.randbytes(size)
    sealed = _encrypt_blocks(plain + pad)
    if wrong == 4:
        sealed = sealed[: draw.randrange(len(sealed))]
    text = base64.b64encode(sealed).decode()
    if wrong == 5:
        text = mutate_bytes(text.encode(), draw).decode("utf-8", "replace")
    if wrong == 6:
        text = draw.choice(("", "=", "====", "A", "汉字", text + "=", text.replace("=", "")))
    return text


def _encrypt_blocks(plain: bytes) -> bytes:
    key = base64.b64decode(AES_KEY + "=")
    return Cipher(AES(key), CBC(key[:16])).encryptor().update(plain)


def mutate_query(query: dict[str, str], draw: random.Random) -> dict[str, Any]:
    """One parameter gone, empty, strange, or of a wrong type."""
    changed: dict[str, Any] = dict(query)
    name = draw.choice([*changed, "echostr", "encrypt_type", "msg_signature"])
    change: Callable[[], Any] = draw.choice(
        (
            lambda: draw.choice(_TEXTS),
            lambda: "",
            lambda: None,
            lambda: [changed.get(name, ""), "x"],
            lambda: "\ud800",
            lambda: "签名",
            lambda: "aes",
        )
    )
    if draw.random() < 0.3:
        changed.pop(name, None)
    else:
        changed[name] = change()
    return changed
