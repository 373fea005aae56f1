"""What every workflow command shares (流程命令的公共部分): the house, audited changes, input."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from gongdian.audit import record_audit
from gongdian.db import Session
from gongdian.errors import InputError
from gongdian.settings import Settings
from gongdian.wiring import House, build_house
from server.workflow_refusals import unreadable
from workflows.engine.home import execution_of

T = TypeVar("T")


@contextmanager
def opened(settings: Settings) -> Iterator[House]:
    """The house, closed at the end."""
    house = build_house(settings)
    try:
        yield house
    finally:
        house.close()


def audited(
    house: House, by: str, what: str, subject: Callable[[T], str], work: Callable[[Session], T]
) -> T:
    """Do something in one transaction with its audit row; none when the subject is ""."""

    def both(session: Session) -> T:
        done = work(session)
        about = subject(done)
        if about:
            action = f"workflow:execution:{what}"
            record_audit(session, house.clock.now(), by or getpass.getuser(), action, about, {})
        return done

    return house.database.run(both)


def viewed(house: House, by: str, execution: str, work: Callable[[Session], T]) -> T:
    """Read an execution; who looked is kept, since inputs may concern customers."""
    return audited(house, by, "viewed", lambda _: subject_of(execution), work)


def subject_of(execution: str) -> str:
    """``machine:name`` from that or from an ARN; InputError InvalidArn."""
    return ":".join(execution_of(execution))


def text_given(given: str) -> str:
    """The text of an option: JSON, ``@FILE``, or ``-`` for standard input."""
    if given == "-":
        try:
            return sys.stdin.read()
        except UnicodeDecodeError as error:
            raise InputError("unreadable_input", f"标准输入：{unreadable(error)}") from error
    if given.startswith("@"):
        name = given[1:]
        try:
            return Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError("unreadable_input", f"文件 {name}：{unreadable(error)}") from error
    return given
