"""Contacts and consents (联系人与同意), plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from gongdian.logs import mask_phone
from gongdian.outbox.model import CHANNEL_SMS

SERVICE_NOTICES = "service_notices"


class ContactState(StrEnum):
    """Whether we can reach a contact over WeChat."""

    FOLLOWING = "following"
    MET = "met"
    LEFT = "left"
    REFUSED = "refused"


CONTACT_STATE_LABELS: Mapping[ContactState, str] = {
    ContactState.FOLLOWING: "已关注",
    ContactState.MET: "未关注",
    ContactState.LEFT: "已取消关注",
    ContactState.REFUSED: "微信拒收",
}


class Decision(StrEnum):
    """What a person decided about a purpose."""

    AGREED = "agreed"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


DECISION_LABELS: Mapping[Decision, str] = {
    Decision.AGREED: "已同意",
    Decision.DECLINED: "未同意",
    Decision.WITHDRAWN: "已解除",
}


class Patience(StrEnum):
    """When a contact wants their further channels used (何时改用)."""

    UNDELIVERED = "undelivered"
    REFUSED = "refused"


PATIENCE_LABELS: Mapping[Patience, str] = {
    Patience.UNDELIVERED: "微信未送达就发",
    Patience.REFUSED: "只在微信被拒收时",
}

# A wait that outlasts every message: only a refusal leads on.
ONLY_WHEN_REFUSED = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Contact:
    """A person as one Official Account knows them; ``number`` names them in business keys."""

    id: int
    openid: str
    state: ContactState

    @property
    def number(self) -> str:
        """The recipient part of business keys."""
        return f"c{self.id}"


@dataclass(frozen=True, slots=True)
class ContactChannel:
    """A further channel of a contact; ``wait`` as in FallbackStep."""

    channel: str
    address: str = field(repr=False)
    is_wanted: bool
    refused_reason: str
    wait: timedelta | None

    @property
    def is_used(self) -> bool:
        """Whether messages may go there."""
        return self.is_wanted and not self.refused_reason

    @property
    def masked(self) -> str:
        """The address as pages and lists show it: ``138****1111``, ``l***@example.com``."""
        if self.channel == CHANNEL_SMS:
            return mask_phone(self.address)
        local, _, domain = self.address.rpartition("@")
        return f"{local[:1] if len(local) > 1 else ''}***@{domain}"


@dataclass(frozen=True, slots=True)
class ContactCard:
    """What clerks see of a contact; ``decision`` is None where nobody was asked."""

    number: str
    state: ContactState
    refused_reason: str
    decision: Decision | None
    version: str
    decided_at: datetime | None
    channels: tuple[ContactChannel, ...]


@dataclass(frozen=True, slots=True)
class RegisterChannel:
    """A contact's address on a channel, as given at the counter (登记联系方式).

    ``place`` counts from 0 among the further channels. None leaves place or wait as it is; a new
    channel comes last and waits as the others do.
    """

    contact_id: int
    channel: str
    address: str = field(repr=False)
    place: int | None = None
    wait: timedelta | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionCredit:
    """How often a contact lets us send one template; a long-term one needs no count.

    ``refused_at``: their latest word was no.
    """

    credits: int
    is_long_term: bool
    refused_at: datetime | None

    @property
    def may_send(self) -> bool:
        """Whether the platform should take a notification."""
        return self.is_long_term or self.credits > 0


@dataclass(frozen=True, slots=True)
class DecideConsent:
    """A person's decision on a consent text; ``digest`` proves its words, ``source`` is the
    key of the message that led there."""

    contact_id: int
    version: str
    digest: str
    is_agreed: bool
    source: str
