"""How a callback's fields become typed attributes, and what every message and event shares.

Called by ``messages`` and ``events``, which declare one class per kind with ``wire`` fields.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

from gongdian.errors import CallbackError
from wechat_handlers.documents import Fields, Value

Reader: TypeAlias = Callable[[Fields, str], Any]

MAX_NAME = 64  # openid, gh_ id, MsgType, Event: an openid has 28 characters
MAX_REFERENCE = 256  # media ids, tickets, template ids, staff accounts
_MAX_INT = 2**64 - 1
_MAX_TIME = 253402300799  # the last second of the year 9999, the end of datetime
_NAME = re.compile(r"[!-~]{1,64}")
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?"
)
_EMPTY: Fields = {}


def malformed(name: str) -> CallbackError:
    """The error of a field that is not what the platform documents."""
    return CallbackError("callback_field", "a field is missing or malformed", field=name)


def text(source: Fields, name: str) -> str:
    """A text as it came, every character kept; empty when the field is absent."""
    value = source.get(name, "")
    if type(value) is not str:
        raise malformed(name)
    return value


def reference(source: Fields, name: str) -> str:
    """A text that names something on the platform: at most 256 characters."""
    value = text(source, name)
    if len(value) > MAX_REFERENCE:
        raise malformed(name)
    return value


def required_name(source: Fields, name: str) -> str:
    """An openid, account or type name: 1 to 64 printable ASCII characters."""
    value = source.get(name)
    if type(value) is not str or not _NAME.fullmatch(value):
        raise malformed(name)
    return value


def integer(source: Fields, name: str) -> int:
    """A whole number within 64 bits; 0 when the field is absent or empty."""
    value = text(source, name)
    if len(value) < 20 and value.isascii() and value.isdecimal():
        return int(value)
    value = value.strip()
    if not value:
        return 0
    if not _INTEGER.fullmatch(value):
        raise malformed(name)
    number_ = int(value)
    if not -_MAX_INT <= number_ <= _MAX_INT:
        raise malformed(name)
    return number_


def decimal(source: Fields, name: str) -> float:
    """A finite number (coordinates, precision); 0.0 when the field is absent or empty."""
    value = text(source, name).strip()
    if not value:
        return 0.0
    return _finite(value, name)


def required_decimal(source: Fields, name: str) -> float:
    """A finite number that must be there: a missing coordinate is not the equator."""
    return _finite(text(source, name).strip(), name)


def _finite(value: str, name: str) -> float:
    if not _NUMBER.fullmatch(value):
        raise malformed(name)
    number_ = float(value)
    if not math.isfinite(number_):
        raise malformed(name)
    return number_


def child(source: Fields, name: str) -> Fields:
    """A nested mapping; an absent or empty element is an empty mapping."""
    return _as_mapping(source.get(name, ""), name)


def children(source: Fields, name: str) -> tuple[Fields, ...]:
    """Nested mappings, given once as an object or several times as a list."""
    value = source.get(name, "")
    if isinstance(value, str):
        if value.strip():
            raise malformed(name)
        return ()
    if isinstance(value, list):
        return tuple(_as_mapping(entry, name) for entry in value)
    return (_as_mapping(value, name),)


def _as_mapping(value: Value, name: str) -> Fields:
    if isinstance(value, dict):
        return value
    if isinstance(value, str) and not value.strip():
        return _EMPTY
    raise malformed(name)


def wire(name: str, read: Reader = text) -> Any:
    """A dataclass field filled from ``name``; ``a/b`` looks into a nested mapping.

    Hidden from ``repr``: texts and ids of customers must not end in a log.
    """
    return field(repr=False, metadata={"wire": (name, read)})


@dataclass(frozen=True, slots=True)
class Message:
    """What every message has. ``msg_id`` is 0 when the platform gave none.

    ``fields`` holds everything that came, also what no attribute shows. So two messages of
    one class are equal when these attributes are, and the classes of ``messages`` and
    ``events`` need no comparing, hashing and ``repr`` of their own (each costs import time).
    """

    to_user: str
    from_user: str = field(repr=False)
    create_time: int
    msg_type: str
    msg_id: int
    fields: Fields = field(repr=False, hash=False)

    @property
    def created_at(self) -> datetime:
        """CreateTime as an instant, UTC."""
        return datetime.fromtimestamp(self.create_time, UTC)

    @property
    def key(self) -> str:
        """What a router rule's key is compared with: nothing for most kinds."""
        return ""

    def identity(self) -> tuple[str, ...]:
        """What tells two messages of one person, second and type apart, besides the id."""
        return ("", "")

    def dedupe_key(self, appid: str) -> bytes:
        """32 bytes that are equal for a message and its retries, and for nothing else.

        The official advice (MsgId, or FromUserName + CreateTime) is too narrow: MsgId was seen
        to repeat across users, and several events of one user share a second.
        """
        parts = (
            appid,
            self.from_user,
            str(self.create_time),
            self.msg_type,
            *self.identity(),
            str(self.msg_id),
        )
        # Each part is led by its length: no two lists of parts join to the same text.
        joined = "".join([f"{len(part)}:{part}" for part in parts])
        return hashlib.sha256(joined.encode()).digest()


@dataclass(frozen=True, slots=True)
class Event(Message):
    """What every event has. ``event`` is in lower case; its case differs between years."""

    event: str
    event_key: str = field(repr=False)

    @property
    def key(self) -> str:
        """What a router rule's key is compared with: EventKey."""
        return self.event_key

    def identity(self) -> tuple[str, ...]:
        """Event and EventKey, then whatever else tells two such events apart."""
        return (self.event, self.event_key, *self.references())

    def references(self) -> tuple[str, ...]:
        """Ids inside the event that MsgID does not cover."""
        return ()


M = TypeVar("M", bound=Message)


def head_of(source: Fields) -> tuple[str, str, int, str, int, Fields]:
    """The values of Message's own attributes, in order. Raises CallbackError."""
    create_time = integer(source, "CreateTime")
    if not 0 < create_time <= _MAX_TIME:
        raise malformed("CreateTime")
    msg_id = integer(source, "MsgId") if "MsgId" in source else integer(source, "MsgID")
    if msg_id < 0:
        raise malformed("MsgId")
    return (
        required_name(source, "ToUserName"),
        required_name(source, "FromUserName"),
        create_time,
        required_name(source, "MsgType").lower(),
        msg_id,
        source,
    )


def fill(kind: type[M], head: tuple[Any, ...], source: Fields) -> M:
    """An object of ``kind`` from its head and its ``wire`` fields. Raises CallbackError."""
    return kind(*head, *_values(kind, source))


def fill_part(kind: Callable[..., Any], source: Fields) -> Any:
    """The same for a nested part (a dataclass of ``wire`` fields without a head)."""
    return kind(*_values(kind, source))


def _values(kind: Any, source: Fields) -> list[Any]:
    plan = _plans.get(kind) or _plan(kind)
    return [read(_inside(source, path) if path else source, name) for path, name, read in plan]


def _inside(source: Fields, path: tuple[str, ...]) -> Fields:
    for name in path:
        source = child(source, name)
    return source


_Plan: TypeAlias = tuple[tuple[tuple[str, ...], str, Reader], ...]
_plans: dict[Any, _Plan] = {}


def _plan(kind: Any) -> _Plan:
    """Path, name and reader of the ``wire`` fields of a class, in order; worked out once."""
    plan = []
    for attribute in dataclass_fields(kind):
        if "wire" in attribute.metadata:
            address, read = attribute.metadata["wire"]
            *path, name = address.split("/")
            plan.append((tuple(path), name, read))
    return _plans.setdefault(kind, tuple(plan))
