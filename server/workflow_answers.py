"""Commands that answer tasks by token (流程答复命令): success, failure, heartbeat."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from gongdian.db import Session
from gongdian.errors import InputError
from gongdian.settings import Settings
from server.workflow_audit import audited, opened, text_given
from workflows.engine import tokens
from workflows.engine.store import in_ms


def success(settings: Settings, options: argparse.Namespace) -> int:
    """Finish the task of a token."""
    token, output = _token(options), text_given(options.output)
    _answer(
        settings,
        options,
        "answered",
        lambda session, _: tokens.send_success(session, token, output),
    )
    print("已完成")
    return 0


def failure(settings: Settings, options: argparse.Namespace) -> int:
    """Fail the task of a token."""
    token = _token(options)
    _answer(
        settings,
        options,
        "answered",
        lambda session, _: tokens.send_failure(session, token, options.error, options.cause),
    )
    print("已记为失败")
    return 0


def heartbeat(settings: Settings, options: argparse.Namespace) -> int:
    """Tell that the task of a token is still worked on."""
    token = _token(options)
    _answer(
        settings,
        options,
        "renewed",
        lambda session, now_ms: tokens.send_heartbeat(session, token, now_ms),
    )
    print("已续期")
    return 0


def _answer(
    settings: Settings,
    options: argparse.Namespace,
    what: str,
    work: Callable[[Session, int], object],
) -> None:
    """Answer with an audit row about the execution, where the engine tells which it is."""
    with opened(settings) as house:
        now_ms = in_ms(house.clock.now())
        audited(house, options.by, what, _subject, lambda session: work(session, now_ms))


def _subject(done: object) -> str:
    return done if isinstance(done, str) else "task"


def _token(options: argparse.Namespace) -> str:
    """The token; ``-`` reads it from standard input, where no process list shows it."""
    given: str = options.token
    if given != "-":
        return given
    token = sys.stdin.readline().strip()
    if not token:
        raise InputError("no_token", "标准输入里没有令牌")
    return token
