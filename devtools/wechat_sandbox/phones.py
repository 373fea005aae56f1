"""The phones' state: who follows, what each screen shows, and the customer-service windows.

Used by the desks; ``phone.Phone`` is the handle that tests and the control API act through.
"""

from __future__ import annotations

import bisect
import itertools
import random
import string
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

from devtools.wechat_sandbox.clock import SandboxClock
from devtools.wechat_sandbox.refusals import ActionError, RefusalError
from devtools.wechat_sandbox.templates import CardField

OPENID_CHARS = string.ascii_letters + string.digits + "_-"
# trigger -> (messages, seconds); no messages = without limit
WINDOWS: dict[str, tuple[int | None, float]] = {
    "message": (5, 48 * 3600),
    "menu": (3, 60),
    "follow": (3, 60),
    "scan": (3, 60),
    "payment": (None, 48 * 3600),
}


@dataclass(frozen=True, slots=True)
class InboxItem:
    """One thing on the screen.

    ``kind``: sent (by the user), reply (passive), template, service (customer-service text),
    notice (the platform's own line), sms or mail. ``duplicate``: an equal card was shown before.
    """

    number: int
    at: float
    kind: str
    text: str = ""
    title: str = ""
    fields: tuple[CardField, ...] = ()
    url: str = ""
    template_id: str = ""
    msgid: int = 0
    client_msg_id: str = ""
    duplicate: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Window:
    """A customer-service window; ``left`` None = without limit."""

    ends_at: float
    left: int | None


@dataclass(slots=True)
class PhoneState:
    """One person's phone as far as this account can see it."""

    openid: str
    name: str = ""
    role: str = ""
    following: bool = False
    phone_number: str = ""
    mail_address: str = ""
    receipt_status: str = "success"
    inbox: list[InboxItem] = field(default_factory=list)
    windows: dict[str, Window] = field(default_factory=dict)
    card_keys: set[str] = field(default_factory=set)


class PhoneDesk:
    """All phones."""

    def __init__(self, lock: threading.RLock, clock: SandboxClock, seed: int) -> None:
        self._lock = lock
        self._clock = clock
        self._random = random.Random(seed)
        self._phones: dict[str, PhoneState] = {}
        self._by_number: dict[str, PhoneState] = {}
        self._by_mail: dict[str, PhoneState] = {}
        self._numbers = itertools.count(1)
        self.cards_shown = 0
        self.duplicate_cards = 0

    def add(
        self,
        openid: str = "",
        name: str = "",
        role: str = "",
        *,
        following: bool = False,
        phone_number: str = "",
        mail_address: str = "",
    ) -> PhoneState:
        """Make a phone (an openid that exists is returned as it is); sends no callback."""
        with self._lock:
            chosen = openid or "o" + "".join(self._random.choices(OPENID_CHARS, k=27))
            made = PhoneState(chosen, name, role, following, phone_number, mail_address)
            phone = self._phones.setdefault(chosen, made)
            self._index(phone)
            return phone

    def by_number(self, number: str) -> PhoneState | None:
        """The phone that rings at this number, or None."""
        return self._by_number.get(number)

    def by_mail(self, address: str) -> PhoneState | None:
        """The phone that reads this mailbox, or None; case does not matter."""
        return self._by_mail.get(address.lower())

    def get(self, openid: str) -> PhoneState:
        """The phone; raises ActionError when there is none."""
        phone = self._phones.get(openid)
        if phone is None:
            raise ActionError(f"there is no phone {openid!r}")
        return phone

    def find(self, openid: object) -> PhoneState | None:
        """The phone, or None."""
        return self._phones.get(openid) if isinstance(openid, str) else None

    def listed(self) -> list[PhoneState]:
        """All phones in the order they were made."""
        with self._lock:
            return list(self._phones.values())

    def show(self, phone: PhoneState, kind: str, **content: Any) -> InboxItem:
        """Put something on the screen."""
        with self._lock:
            item = InboxItem(next(self._numbers), self._clock.now(), kind, **content)
            phone.inbox.append(item)
            return item

    def show_card(self, phone: PhoneState, key: str, **content: Any) -> InboxItem:
        """Put a template card on the screen; ``key`` says which cards are equal."""
        with self._lock:
            duplicate = key in phone.card_keys
            phone.card_keys.add(key)
            self.cards_shown += 1
            self.duplicate_cards += duplicate
            return self.show(phone, "template", duplicate=duplicate, **content)

    def inbox(self, openid: str, after: int = 0, last: int = 0) -> list[dict[str, Any]]:
        """What the screen shows, oldest first, as plain values; only the ``last`` ones if given."""
        phone = self.get(openid)
        with self._lock:
            first = bisect.bisect_right(phone.inbox, after, key=lambda item: item.number)
            items = phone.inbox[max(first, len(phone.inbox) - last) if last else first :]
        return [asdict(item) for item in items]

    def open_window(self, phone: PhoneState, trigger: str) -> None:
        """Something happened that lets the account write for a while."""
        count, lasts_s = WINDOWS[trigger]
        with self._lock:
            phone.windows[trigger] = Window(self._clock.now() + lasts_s, count)

    def take_window(self, phone: PhoneState) -> None:
        """Use one customer-service message; raises 45015 or 45047."""
        with self._lock:
            now = self._clock.now()
            open_now = [window for window in phone.windows.values() if window.ends_at > now]
            if not phone.following or not open_now:
                raise RefusalError(45015)
            usable = [window for window in open_now if window.left is None or window.left > 0]
            if not usable:
                raise RefusalError(45047)
            first = min(usable, key=lambda window: window.ends_at)
            if first.left is not None:
                first.left -= 1

    def clear(self) -> None:
        """Forget all phones."""
        with self._lock:
            self._phones.clear()
            self._by_number.clear()
            self._by_mail.clear()
            self.cards_shown = self.duplicate_cards = 0

    def snapshot(self) -> list[dict[str, Any]]:
        """The phones, for saving."""
        with self._lock:
            rows = [asdict(phone) for phone in self._phones.values()]
        for row in rows:
            row["card_keys"] = sorted(row["card_keys"])
        return rows

    def restore(self, saved: list[dict[str, Any]]) -> None:
        """Take saved phones."""
        with self._lock:
            self._phones = {row["openid"]: _phone_from(row) for row in saved}
            self._by_number.clear()
            self._by_mail.clear()
            for phone in self._phones.values():
                self._index(phone)
            items = [item for phone in self._phones.values() for item in phone.inbox]
            cards = [item for item in items if item.kind == "template"]
            self._numbers = itertools.count(max((item.number for item in items), default=0) + 1)
            self.cards_shown = len(cards)
            self.duplicate_cards = sum(card.duplicate for card in cards)

    def _index(self, phone: PhoneState) -> None:
        if phone.phone_number:
            self._by_number[phone.phone_number] = phone
        if phone.mail_address:
            self._by_mail[phone.mail_address.lower()] = phone


def _phone_from(row: dict[str, Any]) -> PhoneState:
    inbox = [
        InboxItem(**{**item, "fields": tuple(CardField(**line) for line in item["fields"])})
        for item in row["inbox"]
    ]
    windows = {trigger: Window(**window) for trigger, window in row["windows"].items()}
    return PhoneState(
        **{**row, "inbox": inbox, "windows": windows, "card_keys": set(row["card_keys"])}
    )
