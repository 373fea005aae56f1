"""The callback address (回调地址) ``/wechat/callback``: hostile input gets 400, 403 or 413."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from flask import Blueprint, Response, current_app, request

from gongdian.errors import CallbackError, UpstreamError
from gongdian.settings import Settings
from gongdian.wiring import House
from wechat_handlers.gate import MAX_BODY, TEXT_TYPE, CallbackAccount, Gate, read_query
from wechat_handlers.metrics import CALLBACK_SECONDS, CALLBACKS
from wechat_handlers.receive import Receiver

log = logging.getLogger("gongdian.callbacks")

blueprint = Blueprint("callbacks", __name__)

CALLBACK_PATH = "/wechat/callback"


@dataclass(frozen=True, slots=True)
class CallbackDoor:
    """What the view works with."""

    house: House
    gate: Gate
    receiver: Receiver


def build_gate(settings: Settings) -> Gate:
    """The gate of the account in the settings; ConfigError when a key is wrong."""
    encrypt = {"as_received": None, "plain": False, "encrypted": True}[settings.wechat_reply]
    mode = settings.wechat_mode
    return Gate(
        CallbackAccount(
            appid=settings.wechat_appid,
            token=settings.wechat_token,
            aes_key=settings.wechat_aes_key,
            previous_aes_key=settings.wechat_previous_aes_key,
            mode="plain" if mode == "plain" else "secure" if mode == "secure" else "compatible",
            encrypt_replies=encrypt,
            window_s=int(settings.wechat_window_s),
            original_id=settings.wechat_original_id,
        )
    )


def _door() -> CallbackDoor:
    door: CallbackDoor = current_app.extensions["gongdian_callbacks"]
    return door


@blueprint.get(CALLBACK_PATH)
def challenge() -> Response:
    """The platform checks the address."""
    door = _door()
    try:
        echo = door.gate.challenge(read_query(request.query_string), door.house.clock.now())
    except CallbackError as error:
        return _refused(error)
    return Response(echo, content_type=TEXT_TYPE)


@blueprint.post(CALLBACK_PATH)
def callback() -> Response:
    """The platform delivers a message or event."""
    door = _door()
    with CALLBACK_SECONDS.time():
        try:
            received = door.gate.open(
                read_query(request.query_string),
                _body(),
                request.content_type or "",
                door.house.clock.now(),
            )
        except CallbackError as error:
            return _refused(error)
        try:
            answer = door.receiver.receive(received)
        except UpstreamError as error:
            log.error("callback_lost_for_now", extra={"detail": str(error)})
            CALLBACKS.labels("unavailable").inc()
            return Response("try again\n", 503, content_type=TEXT_TYPE)
    CALLBACKS.labels(answer.outcome).inc()
    return Response(answer.body, content_type=answer.content_type)


def _body() -> bytes:
    """At most one byte more than allowed: the gate refuses that with 413."""
    if (request.content_length or 0) > MAX_BODY:
        raise CallbackError("callback_too_large", status=413, limit=MAX_BODY)
    # A body in chunks names no length, and Flask would silently cut it off at its limit.
    request.max_content_length = MAX_BODY + 1
    try:
        return request.stream.read(MAX_BODY + 1)
    except (OSError, ValueError) as error:
        raise CallbackError("callback_cut_off", "the body did not arrive") from error


def _refused(error: CallbackError) -> Response:
    CALLBACKS.labels("refused").inc()
    log.info("callback_refused", extra={"code": error.code, "status": error.status})
    return Response(f"{error.code}\n", error.status, content_type=TEXT_TYPE)
