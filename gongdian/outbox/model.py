"""What a message is (消息): states, priorities, commands, outcomes; plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import IntEnum, StrEnum

CHANNEL_TEMPLATE = "wechat_template"
CHANNEL_SMS = "sms"
CHANNEL_MAIL = "mail"
CHANNEL_LABELS = {CHANNEL_TEMPLATE: "微信", CHANNEL_SMS: "短信", CHANNEL_MAIL: "邮件"}
ALL_SENDING = "sending"


class MessageState(StrEnum):
    """Where a message stands. Never one word "sent"; delivered is not legal service (送达)."""

    QUEUED = "queued"
    HELD = "held"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    UNKNOWN = "unknown"


STATE_LABELS: Mapping[MessageState, str] = {
    MessageState.QUEUED: "待发送",
    MessageState.HELD: "暂停",
    MessageState.SENDING: "发送中",
    MessageState.ACCEPTED: "平台已受理",
    MessageState.DELIVERED: "已到达手机",
    MessageState.FAILED: "失败",
    MessageState.EXPIRED: "已过期",
    MessageState.WITHDRAWN: "已撤回",
    MessageState.SUPERSEDED: "已被新消息取代",
    MessageState.UNKNOWN: "结果不明",
}

FINAL_STATES = frozenset(
    {
        MessageState.DELIVERED,
        MessageState.FAILED,
        MessageState.EXPIRED,
        MessageState.WITHDRAWN,
        MessageState.SUPERSEDED,
        MessageState.UNKNOWN,
    }
)


class Priority(IntEnum):
    """Priority class (优先级); the smaller goes first. CRITICAL passes quiet hours and caps.

    Message kind files name these classes in lower case.
    """

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


@dataclass(frozen=True, slots=True)
class FallbackStep:
    """A further channel (备用渠道) and the address there.

    ``wait`` is how long the channel before it may leave the message undelivered; None means the
    priority's own patience. A refusal does not wait.
    """

    channel: str
    address: str
    wait: timedelta | None = None


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """Ask for one template message to one contact.

    ``values`` are the kind's fields; ``link_path`` (such as ``/h5/binding``) gets a link token.
    None means the kind's own default. A ``topic`` makes older unsent messages of the same flow,
    subject, recipient and topic superseded. Without an ``openid`` the first fallback channel is
    the channel that begins.
    """

    flow: str
    subject: str
    occasion: str
    recipient: str
    openid: str
    kind: str
    values: Mapping[str, str]
    link_path: str = ""
    priority: Priority | None = None
    is_legal: bool | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None
    topic: str = ""
    fallbacks: tuple[FallbackStep, ...] = ()


@dataclass(frozen=True, slots=True)
class SendingPolicy:
    """The rules of sending for one channel of one account; ``quiet_hours`` are China time."""

    account: str
    channel: str = CHANNEL_TEMPLATE
    daily_quota: int = 100_000
    contact_daily_cap: int = 5
    quiet_hours: tuple[time, time] | None = None
    lease: timedelta = timedelta(seconds=60)
    receipt_timeout: timedelta = timedelta(hours=48)
    receipt_grace: timedelta = timedelta(seconds=30)
    # The platform shows one client_msg_id once within 10 minutes; a minute is kept in hand.
    unknown_window: timedelta = timedelta(minutes=9)
    # with the longest backoff about four hours: a platform that is busy for an hour fails nothing
    max_attempts: int = 30
    first_backoff: timedelta = timedelta(seconds=5)
    longest_backoff: timedelta = timedelta(minutes=10)
    # a day's cost in fen, China days; None where it has no limit
    daily_cost_fen: int | None = None

    @property
    def budget_name(self) -> str:
        """Under what name this channel's day counters are kept."""
        if self.channel == CHANNEL_TEMPLATE:
            return self.account
        return f"{self.channel}:{self.account}"


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """A message that this worker may send while its lease runs."""

    id: int
    key: str
    kind: str
    channel: str
    address: str
    address_hash: bytes
    content: Mapping[str, object]
    client_msg_id: str
    fence: int
    worker: str
    claimed_at: datetime
    lease_until: datetime
    expires_at: datetime
    attempts: int
    unknown_since: datetime | None
    last_reason: str = ""


class OutcomeKind(StrEnum):
    """How an attempt ended."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one attempt.

    When the channel refused: ``code`` names the refusal, ``action`` is a RefusalAction, ``resume``
    says when a stopped channel goes on (next_minute, next_hour, china_midnight, or nothing);
    ``is_recipient_limit``: only this recipient has to wait so long. ``is_alarming``: many messages
    will be refused for the same cause.
    """

    kind: OutcomeKind
    platform_msgid: str = ""
    code: str = ""
    errcode: int | None = None
    detail: str = ""
    rid: str = ""
    action: str = ""
    is_permanent: bool = False
    may_retry_once: bool = False
    resume: str = ""
    is_recipient_limit: bool = False
    is_alarming: bool = False
    cost_fen: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claimed message and how sending it ended."""

    message: ClaimedMessage
    outcome: Outcome
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an attempt's end makes of a message."""

    state: MessageState
    reason: str = ""
    not_before: datetime | None = None
    counts: bool = True
    unknown_since: datetime | None = None
    stop: Stop | None = None
    alarm: str = ""
    is_recipient_refused: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop that an attempt's end calls for; without ``until`` an operator must lift it."""

    name: str
    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReceiptArrived:
    """A channel's report on a message (回执): ``success`` or ``failed:…``.

    ``platform_msgid`` is what the channel called the message; WeChat's may be ``"0"``. Some
    channels tell our own ``client_msg_id`` besides.
    """

    dedupe: bytes
    address: str
    platform_msgid: str
    status: str
    received_at: datetime
    channel: str = CHANNEL_TEMPLATE
    client_msg_id: str = ""


@dataclass(frozen=True, slots=True)
class RecipientRefused:
    """The platform will not deliver to this address."""

    account: str
    address_hash: bytes
    reason: str


@dataclass(slots=True)
class SettleReport:
    """What settling a batch showed, for alarms, metrics and the accounts."""

    states: dict[MessageState, int] = field(default_factory=dict)
    stops: list[Stop] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    refused: list[RecipientRefused] = field(default_factory=list)
    late: int = 0


def channel_stop(channel: str, account: str) -> str:
    """The name of the switch that stops one channel of one account."""
    return f"channel:{channel}:{account}"


def kind_stop(account: str, kind: str, channel: str = "") -> str:
    """The name of the switch that stops one message kind: on one channel (where its template was
    refused), or on all."""
    return f"kind:{channel}:{account}:{kind}" if channel else f"kind:{account}:{kind}"
