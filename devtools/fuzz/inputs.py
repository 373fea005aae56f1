"""Draws hostile callbacks and challenges, signed as they should be; the same seed, the same inputs.

Called by the fuzzers of the gate and of the whole callback address.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from devtools.fuzz.mutations import encrypt_badly, mutate_bytes, mutate_query, mutate_tree
from devtools.fuzz.samples import (
    AES_KEY,
    APPID,
    CREATE_TIME,
    OLD_AES_KEY,
    OPENID,
    ORIGINAL_ID,
    SAMPLES,
    TOKEN,
    Request,
    encrypted_request,
    long_text,
    new_cipher,
    plain_request,
    to_json,
    to_xml,
)
from wechat_handlers.crypto import CallbackCipher, callback_signature
from wechat_handlers.gate import CallbackAccount
from wechat_handlers.replies import Article, NewsReply, Reply, TextReply, TransferReply

NOW = datetime.fromtimestamp(CREATE_TIME, UTC)
ACCOUNTS = (
    CallbackAccount(APPID, TOKEN),
    CallbackAccount(APPID, TOKEN, AES_KEY, OLD_AES_KEY, "compatible"),
    CallbackAccount(APPID, TOKEN, AES_KEY, OLD_AES_KEY, "secure"),
    CallbackAccount(
        APPID, TOKEN, AES_KEY, mode="secure", encrypt_replies=False, original_id=ORIGINAL_ID
    ),
)
_ANY = range(len(ACCOUNTS))
_READS_PLAIN, _READS_ENCRYPTED = range(2), range(1, len(ACCOUNTS))


@dataclass(frozen=True, slots=True)
class Drawn:
    """One input: for which of ACCOUNTS, and what comes at what instant."""

    is_challenge: bool
    account: int
    query: Mapping[str, Any]
    body: bytes
    content_type: str
    now: datetime


class Inputs:
    """A seeded source of inputs."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._labels = list(SAMPLES)
        self._ciphers = [new_cipher(), CallbackCipher(APPID, OLD_AES_KEY)]

    def draw(self) -> Drawn:
        """The next input: one in twenty is a challenge."""
        return self._challenge() if self._draw.random() < 0.05 else self._callback()

    def _challenge(self) -> Drawn:
        draw = self._draw
        timestamp, nonce = str(CREATE_TIME), "1514711492"
        echo = draw.choice(("5837397520665436492", long_text(draw, 20), "<b>1</b>", ""))
        query: dict[str, Any] = {"timestamp": timestamp, "nonce": nonce}
        if draw.random() < 0.4:
            inner = mutate_bytes(b"1616140317555161061", draw) if draw.random() < 0.5 else b"161"
            echo = draw.choice(self._ciphers).encrypt(inner)
            query["msg_signature"] = callback_signature(TOKEN, timestamp, nonce, echo)
        else:
            query["signature"] = callback_signature(TOKEN, timestamp, nonce)
        query["echostr"] = echo
        if draw.random() < 0.3:
            query = mutate_query(query, draw)
        return Drawn(True, draw.choice(_ANY), query, b"", "", NOW)

    def _callback(self) -> Drawn:
        draw = self._draw
        request = self._request()
        account = draw.choice(_ANY)
        if draw.random() < 0.9:  # mostly one whose mode fits, so that the inside is reached
            is_encrypted = "msg_signature" in request.query
            account = draw.choice(_READS_ENCRYPTED if is_encrypted else _READS_PLAIN)
        query: dict[str, Any] = request.query
        body = request.body
        if draw.random() < 0.08:
            body = mutate_bytes(body, draw)
        if draw.random() < 0.06:
            query = mutate_query(query, draw)
        if draw.random() < 0.002:
            body += b" " * 300_000
        now = NOW
        if draw.random() < 0.05:
            now += timedelta(seconds=draw.choice((599, -599, 601, -(10**6))))
        content_type = draw.choice(("text/xml", "application/json", "text/xml; charset=utf-8"))
        if draw.random() < 0.02:
            content_type = draw.choice(("", "text/xml; charset=gbk", "x" * 1000))
        return Drawn(False, account, query, body, content_type, now)

    def _request(self) -> Request:
        """A request whose signatures are right, whatever is wrong inside."""
        draw = self._draw
        tree = dict(SAMPLES[draw.choice(self._labels)])
        if draw.random() < 0.5:  # somebody new: what is known already is only answered again
            tree["FromUserName"] = f"{OPENID[:-6]}{draw.randrange(10**6):06}"
        if draw.random() < 0.5:
            tree = mutate_tree(tree, draw)
        is_json = draw.random() < 0.4
        inner = (to_json(tree) if is_json else to_xml(tree)).encode("utf-8", "replace")
        if draw.random() < 0.4:
            inner = mutate_bytes(inner, draw)
        if draw.random() < 0.3:
            return plain_request(inner)
        if draw.random() < 0.15:
            encrypted = encrypt_badly(inner, draw)
        else:
            encrypted = draw.choice(self._ciphers).encrypt(inner)
        beside = tree if draw.random() < 0.2 and "Encrypt" not in tree else None
        is_outer_json = is_json if draw.random() < 0.97 else not is_json
        return encrypted_request(encrypted, is_json=is_outer_json, beside=beside)

    def reply(self) -> Reply | None:
        """What a handler might answer."""
        text = long_text(self._draw, 30) + "。"
        return self._draw.choice(
            (
                None,
                TextReply(text),
                NewsReply((Article(text, "https://example.com/?a=1&b=]]>"),)),
                TransferReply("kf2001@gongdian"),
            )
        )
