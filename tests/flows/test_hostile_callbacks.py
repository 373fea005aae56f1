"""Hostile input at the callback address over real HTTP: refused with 4xx, nothing is stored."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from devtools.demo.stage import Stage
from devtools.wechat_sandbox.envelopes import Envelope
from tests.callback_sender import Answer, Sender, stored
from wechat_handlers.gate import MAX_BODY

StartStage = Callable[..., Stage]
Request = Callable[[], Answer]
Case = tuple[str, int, Request]

ENTITY = b'<!DOCTYPE x [<!ENTITY a "b">]><xml><ToUserName>&a;</ToUserName></xml>'


def _bad_queries(sender: Sender) -> Iterator[Case]:
    good = sender.envelope(sender.text("x"))
    parts = good.query.split("&")
    queries = {
        "no parameters": (400, ""),
        "repeated": (400, good.query + "&nonce=1"),
        "huge": (400, good.query + "&x=" + "y" * 5000),
        "many": (400, "&".join(f"p{number}=1" for number in range(200))),
        "not UTF-8": (400, good.query + "&x=%ff%fe"),
        "bad timestamp": (400, good.query.replace("timestamp=", "timestamp=-")),
        "far timestamp": (400, good.query.replace("timestamp=", "timestamp=" + "9" * 30)),
        "encrypt_type": (400, good.query.replace("encrypt_type=aes", "encrypt_type=rot13")),
    }
    for name, (status, query) in queries.items():
        yield name, status, lambda query=query: sender.request("POST", query, good.body)
    for part in parts:
        name = part.split("=")[0]
        if name in ("timestamp", "nonce", "msg_signature"):
            rest = "&".join(other for other in parts if other != part)
            status = 403 if name == "msg_signature" else 400
            yield (
                f"without {name}",
                status,
                lambda rest=rest: sender.request("POST", rest, good.body),
            )


def _unauthentic(sender: Sender, stage: Stage) -> Iterator[Case]:
    other = Sender(stage, aes_key="9876543210zyxwvutsrqponmlkjihgfedcbaZYXWVUT")
    stranger = {**sender.text("x"), "ToUserName": "gh_another"}
    envelopes: dict[str, tuple[int, Envelope]] = {
        "forged": (403, sender.envelope(sender.text("x"), forged=True)),
        "old": (403, sender.envelope(sender.text("x"), late_s=700)),
        "early": (403, sender.envelope(sender.text("x"), late_s=-700)),
        "another key": (400, other.envelope(other.text("x"))),
        "another account": (403, sender.envelope(stranger)),
    }
    for name, (status, envelope) in envelopes.items():
        yield (
            name,
            status,
            lambda sent=envelope: sender.request("POST", sent.query, sent.body),
        )


def _bad_bodies(sender: Sender) -> Iterator[Case]:
    query = sender.envelope(sender.text("x")).query
    chunks = [b"x" * 65536] * 4
    bodies = {
        "empty": (400, b""),
        "not XML": (400, b"\x00\xff\xfe"),
        "DOCTYPE": (400, ENTITY),
        "deep JSON": (400, b'{"a":' * 40_000 + b"1" + b"}" * 40_000),
        "deep XML": (400, b"<a>" * 30_000 + b"</a>" * 30_000),
        "truncated": (400, b"<xml><ToUserName>"),
        "largest": (400, b"x" * MAX_BODY),
        "too large": (413, b"x" * (MAX_BODY + 1)),
    }
    for name, (status, body) in bodies.items():
        yield name, status, lambda body=body: sender.request("POST", query, body)
    yield "largest, chunked", 400, lambda: sender.request("POST", query, iter(chunks))
    yield (
        "too large, chunked",
        413,
        lambda: sender.request("POST", query, iter([*chunks, b"x"])),
    )
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "\xff"):
        headers = {"Content-Type": kind}
        yield (
            f"as {kind!r}",
            400,
            lambda headers=headers: sender.request("POST", query, b"a=b&c", headers),
        )


def _bad_methods(sender: Sender) -> Iterator[Case]:
    good = sender.envelope(sender.text("x"))
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "BREW"):
        yield (
            method,
            405,
            lambda method=method: sender.request(method, good.query, good.body),
        )
    yield "GET without echostr", 400, lambda: sender.request("GET", good.query)
    yield (
        "GET with markup",
        400,
        lambda: sender.request("GET", good.query + "&echostr=%3Cscript%3E"),
    )


@pytest.mark.parametrize("wire", ["xml", "json"])
def test_hostile_input_is_refused_and_nothing_is_stored(start_stage: StartStage, wire: str) -> None:
    stage = start_stage(with_worker=False, sandbox_settings={"mode": "secure", "format": wire})
    sender = Sender(stage)
    cases = [
        *_bad_queries(sender),
        *_unauthentic(sender, stage),
        *_bad_bodies(sender),
        *_bad_methods(sender),
    ]

    answers = {name: request() for name, _, request in cases}

    expected = {name: status for name, status, _ in cases}
    assert {name: answer.status for name, answer in answers.items()} == expected
    assert not [name for name, answer in answers.items() if b"Traceback" in answer.body]
    assert stored(stage) == []
    assert sender.post(sender.text("x")).status == 200


@pytest.mark.parametrize("body", [ENTITY, b'{"a":' * 20_000 + b"1" + b"}" * 20_000, b"", b"[]"])
def test_a_signed_but_unreadable_body_is_refused(start_stage: StartStage, body: bytes) -> None:
    stage = start_stage(with_worker=False, sandbox_settings={"mode": "plain"})
    sender = Sender(stage)

    answer = sender.request("POST", sender.envelope(sender.text("x")).query, body)

    assert answer.status == 400
    assert stored(stage) == []


def test_a_request_that_breaks_off_leaves_nothing_behind(start_stage: StartStage) -> None:
    stage = start_stage(with_worker=False)
    sender = Sender(stage)
    good = sender.envelope(sender.text("x"))
    head = (
        f"POST /wechat/callback?{good.query} HTTP/1.1\r\nHost: x\r\n"
        f"Content-Length: {len(good.body)}\r\n\r\n"
    )
    host, port = stage.web_url.removeprefix("http://").split(":")
    broken = (head.encode() + good.body[:20], head.encode("latin-1").replace(b"?", b"?x=\xe9&"))
    for sent in broken:
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            status = connection.recv(64)
        assert status.split()[1:2] in ([b"400"], [])

    assert stored(stage) == []
    assert sender.post(sender.text("x")).status == 200
