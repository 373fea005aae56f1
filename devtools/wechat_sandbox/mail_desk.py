"""Puts accepted mails on the phone that has the address (邮件收件箱); ``smtp_server`` calls it."""

from __future__ import annotations

import email
import email.policy
import itertools
import threading
from email.message import EmailMessage

from devtools.wechat_sandbox.phones import PhoneDesk, PhoneState


class MailDesk:
    """Counts mails and knows which Message-IDs each phone has shown."""

    def __init__(self, lock: threading.RLock, phones: PhoneDesk) -> None:
        self._lock = lock
        self._phones = phones
        self._numbers = itertools.count(1)
        self._shown: set[tuple[str, str]] = set()
        self.accepted = 0
        self.duplicates = 0

    def knows(self, address: str) -> bool:
        """Whether a phone has this address."""
        return self._phones.by_mail(address) is not None

    def take(self, sender: str, recipients: list[str], content: bytes) -> str:
        """Show a mail on each recipient's phone; returns its queue number."""
        message = email.message_from_bytes(content, policy=email.policy.default)
        with self._lock:
            number = f"Q{next(self._numbers):06d}"
            self.accepted += 1
        for recipient in recipients:
            phone = self._phones.by_mail(recipient)
            if phone is not None:
                self._show(phone, sender, recipient, message, number)
        return number

    def clear(self) -> None:
        """Forget counts and what was shown."""
        with self._lock:
            self._shown.clear()
            self.accepted = self.duplicates = 0

    def _show(
        self, phone: PhoneState, sender: str, recipient: str, message: EmailMessage, number: str
    ) -> None:
        message_id = str(message.get("Message-ID", "")).strip()
        with self._lock:
            duplicate = bool(message_id) and (phone.openid, message_id) in self._shown
            self._shown.add((phone.openid, message_id))
            self.duplicates += duplicate
        extra = {
            "sender": sender,
            "recipient": recipient,
            "from": str(message.get("From", "")),
            "message_id": message_id,
            "list_unsubscribe": str(message.get("List-Unsubscribe", "")),
            "html": body_of(message, "html"),
            "queue_number": number,
        }
        self._phones.show(
            phone,
            "mail",
            title=str(message.get("Subject", "")),
            text=body_of(message, "plain"),
            duplicate=duplicate,
            extra=extra,
        )


def body_of(message: EmailMessage, kind: str) -> str:
    """The text of a mail's ``plain`` or ``html`` part, or nothing."""
    part = message.get_body((kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content()).replace("\r\n", "\n")
    except (LookupError, KeyError):
        return ""
