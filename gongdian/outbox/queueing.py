"""Queueing (入队): checks a message against its template and writes its row; services call it.

All functions take the caller's transaction; the same business key queued twice is one message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from gongdian.db import Session, insert_once
from gongdian.errors import InputError
from gongdian.ids import business_key, client_msg_id, new_token, token_digest
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.fallback import MOST_STEPS, seconds, switch_at
from gongdian.outbox.model import (
    CHANNEL_LABELS,
    CHANNEL_TEMPLATE,
    FallbackStep,
    MessageState,
    Priority,
    QueueMessage,
    SendingPolicy,
)
from gongdian.outbox.policy import earliest_send, may_disturb
from gongdian.outbox.superseding import supersede
from gongdian.outbox.tables import message_steps, messages
from gongdian.render.registry import Registry

# (kind, values, url, link token) -> the content of a message for one channel, or None where the
# account has no text of this kind for it; InputError names bad fields.
Composer = Callable[[str, Mapping[str, str], str, str], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Outbox:
    """What queueing needs to know of this installation."""

    policy: SendingPolicy
    registry: Registry
    public_url: str
    # the channels besides WeChat that this installation has
    composers: Mapping[str, Composer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queued:
    """The result of queueing; ``is_new`` is False when the key was there before."""

    key: str
    is_new: bool


def queue_message(session: Session, outbox: Outbox, command: QueueMessage, now: datetime) -> Queued:
    """Queue one message; InputError names every field that its template does not take."""
    row, steps = _rows(outbox, command, now)
    if not insert_once(session, messages, row):
        return Queued(row["key"], is_new=False)
    _insert_steps(session, {row["key"]: steps})
    if command.topic:
        supersede(session, row["topic"], row["key"], now)
    return Queued(row["key"], is_new=True)


def queue_messages(
    session: Session, outbox: Outbox, commands: Sequence[QueueMessage], now: datetime
) -> list[Queued]:
    """Queue many at once (campaigns; at most 500 a call); all are checked before any is written."""
    if len(commands) > 500:
        raise InputError("too_many", "queue at most 500 messages in one transaction")
    made = [_rows(outbox, command, now) for command in commands]
    rows = {row["key"]: row for row, _ in made}
    found = select(messages.c.key).where(messages.c.key.in_(list(rows)))
    known = set(session.execute(found).scalars())
    fresh = [row for key, row in rows.items() if key not in known]
    if fresh:
        known |= _insert_all(session, fresh)
        _insert_steps(
            session, {row["key"]: steps for row, steps in made if row["key"] not in known}
        )
        for row in fresh:
            if row["topic"] and row["key"] not in known:
                supersede(session, row["topic"], row["key"], now)
    return [Queued(key, is_new=key not in known) for key in rows]


def _insert_all(session: Session, rows: list[dict[str, Any]]) -> set[str]:
    """Insert; returns the keys that another transaction was first with."""
    try:
        # Some rows may be in before the one that is refused: the savepoint takes them back.
        with session.begin_nested():
            session.execute(insert(messages), rows)
    except IntegrityError:
        return {row["key"] for row in rows if not insert_once(session, messages, row)}
    return set()


def _insert_steps(session: Session, steps: Mapping[str, list[dict[str, Any]]]) -> None:
    """Write the fallback steps of new messages, by key."""
    keys = [key for key, rows in steps.items() if rows]
    if not keys:
        return
    query = select(messages.c.key, messages.c.id).where(messages.c.key.in_(keys))
    ids = {row.key: row.id for row in session.execute(query)}
    rows = [{"message_id": ids[key], **row} for key in keys for row in steps[key]]
    session.execute(insert(message_steps), rows)


def _rows(
    outbox: Outbox, command: QueueMessage, now: datetime
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The message's row and the rows of its fallback steps; everything is checked here."""
    key = business_key(command.flow, command.subject, command.occasion, command.recipient)
    kind = outbox.registry.kind(command.kind)
    token = new_token() if command.link_path else ""
    url = f"{outbox.public_url}{command.link_path}?m={token}" if token else ""
    priority = Priority[kind.priority.upper()] if command.priority is None else command.priority
    expires_at = command.expires_at or now + kind.time_to_live
    wanted = max(command.not_before or now, now)
    first, *others = _channels(outbox, command, url, key)
    passes_quiet = priority is Priority.CRITICAL or not kind.quiet_hours
    disturbs = may_disturb(first["channel"], priority, passes_quiet)
    begins = earliest_send(wanted, disturbs, outbox.policy)
    if expires_at <= begins:
        raise InputError("expires_too_soon", "it would expire before it may be sent", key=key)
    topic = f"{command.flow}:{command.subject}:{command.recipient}:{command.topic}"
    wait = seconds(others[0]["wait_s"]) if others else None
    row = {
        "key": key,
        "flow": command.flow,
        "subject": command.subject,
        "occasion": command.occasion,
        "recipient": command.recipient,
        "topic": topic if command.topic else "",
        "account": outbox.policy.account,
        "channel": first["channel"],
        "kind": command.kind,
        "priority": priority.value,
        "passes_quiet": passes_quiet,
        "is_legal": kind.legal if command.is_legal is None else command.is_legal,
        "state": MessageState.QUEUED.value,
        "reason": "",
        "content": first["content"],
        "address": first["address"],
        "address_hash": first["address_hash"],
        "person_hash": first["address_hash"],
        "client_msg_id": client_msg_id(key),
        "link_hash": token_digest(token) if token else None,
        "queued_at": now,
        "not_before": begins,
        "expires_at": expires_at,
        "next_step": 1 if others else None,
        "switch_at": switch_at(begins, wait, priority) if others else None,
    }
    return row, [{"step": number, **step} for number, step in enumerate(others, start=1)]


def _channels(outbox: Outbox, command: QueueMessage, url: str, key: str) -> list[dict[str, Any]]:
    """The message on each of its channels, the first one first."""
    if len(command.fallbacks) > MOST_STEPS:
        raise InputError("too_many_channels", f"at most {MOST_STEPS} further channels", key=key)
    wanted = list(command.fallbacks)
    if command.openid:
        wanted.insert(0, FallbackStep(CHANNEL_TEMPLATE, command.openid))
    found = []
    for step in wanted:
        if not step.address:
            raise InputError("no_address", "a channel needs an address", key=key)
        content = _compose(outbox, step.channel, command, url)
        if content is None:
            continue
        _mask_secrets(outbox, command, content)
        found.append(
            {
                "channel": step.channel,
                "content": content,
                "address": step.address,
                "address_hash": address_hash(step.address),
                "wait_s": None if step.wait is None else round(step.wait.total_seconds()),
            }
        )
    if not found:
        raise InputError("no_channel", "neither an openid nor another channel", key=key)
    return found


def _mask_secrets(outbox: Outbox, command: QueueMessage, content: dict[str, Any]) -> None:
    """What timelines show of a message holds no code; what is sent does."""
    for name in outbox.registry.kind(command.kind).secrets():
        secret = command.values[name]
        content["fields"] = [
            [label, text.replace(secret, "*" * len(secret))] for label, text in content["fields"]
        ]


def _compose(
    outbox: Outbox, channel: str, command: QueueMessage, url: str
) -> dict[str, Any] | None:
    if channel == CHANNEL_TEMPLATE:
        composed = outbox.registry.compose(outbox.policy.account, command.kind, command.values, url)
        return {
            "template_id": composed.template_id,
            "title": composed.title,
            "data": dict(composed.data),
            "fields": [list(pair) for pair in composed.fields],
            "url": url,
        }
    if channel not in CHANNEL_LABELS:
        raise InputError("no_such_channel", "there is no such channel", channel=channel)
    composer = outbox.composers.get(channel)
    if composer is None:  # this installation does not have it: the others still reach the person
        return None
    return composer(command.kind, command.values, url, url.rpartition("?m=")[2])
