"""The other channels (短信、邮件): ports, plain values, the length of a text message.

The relay and the edges know these shapes; ``gongdian.adapters`` fills them. Every refusal leaves
as ``DeliveryError`` whose context has ``action`` (a RefusalAction) and ``explanation``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gongdian.errors import DeliveryError, GongdianError
from gongdian.ports import RefusalAction
from gongdian.privacy import blind_index

ONE_SEGMENT = 70  # characters of a Chinese text message that goes out in one piece
SEGMENT_OF_MANY = 67  # three places of each piece go to the header that joins them


@dataclass(frozen=True, slots=True)
class SmsSend:
    """One text message (短信) to one number.

    ``params`` fill the provider's approved template ``template_code``; ``text`` is what the
    recipient then reads, without 【sign_name】. ``out_id`` comes back in the receipt.
    """

    phone: str
    template_code: str
    params: Mapping[str, str]
    sign_name: str
    out_id: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class SmsAcceptance:
    """The provider took the message; ``segments`` are the pieces that it will charge."""

    biz_id: str
    segments: int
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class ReceiptOfSms:
    """How one text message ended, as the provider reports it; ``at`` is UTC.

    ``code`` is ``DELIVERED`` or the network's reason. A report may come more than once:
    ``dedupe`` is the same for a repetition.
    """

    out_id: str
    biz_id: str
    phone: str
    is_delivered: bool
    code: str
    at: datetime
    explanation: str = ""

    @property
    def dedupe(self) -> str:
        """The same text for the same report, whenever it comes."""
        return f"sms:{self.biz_id}:{self.phone}:{self.code}"


@dataclass(frozen=True, slots=True)
class MailSend:
    """One mail (邮件) to one address; ``message_id`` is that of ``message_id_for``."""

    to: str
    subject: str
    text: str
    message_id: str
    html: str = ""
    to_name: str = ""


@dataclass(frozen=True, slots=True)
class MailAcceptance:
    """The mail server took the mail; ``reply`` is its answer, often with a queue number."""

    message_id: str
    reply: str = ""


@dataclass(frozen=True, slots=True)
class BounceOfMail:
    """A delivery status notification (退信): ``status`` as in RFC 3463, such as ``5.1.1``."""

    message_id: str
    recipient: str
    status: str
    is_permanent: bool
    detail: str = ""


class SmsPort(Protocol):
    """What the house asks of a provider of text messages.

    Raises DeliveryError for a refusal, OutcomeUnknownError when the request may have been
    acted on, UpstreamError when it surely was not.
    """

    def send(self, message: SmsSend) -> SmsAcceptance:
        """Send one text message."""


class MailPort(Protocol):
    """What the house asks of a mail server; raises as SmsPort does."""

    def send(self, mail: MailSend) -> MailAcceptance:
        """Send one mail."""

    def send_batch(self, mails: Sequence[MailSend]) -> list[MailAcceptance | GongdianError]:
        """Send several over one connection; one end for each, in order. Raises nothing."""

    def close(self) -> None:
        """Close kept connections."""


@dataclass(frozen=True, slots=True)
class ChannelRule:
    """What to do about one kind of refusal, and how the console explains it.

    ``resume`` says when to go on: ``next_minute``, ``next_hour``, ``china_midnight`` or nothing.
    ``only_recipient``: nobody else has to wait so long. ``alarm``: a mistake of ours that every
    message of this kind will meet, so operators are told.
    """

    action: RefusalAction
    explanation: str
    resume: str = ""
    only_recipient: bool = False
    alarm: bool = False

    @property
    def permanent(self) -> bool:
        """Whether this message can never pass to this recipient as it is."""
        return self.action in (RefusalAction.REJECT_RECIPIENT, RefusalAction.REJECT_MESSAGE)


def channel_refusal(
    code: str, rule: ChannelRule, text: str = "", **context: object
) -> DeliveryError:
    """The error for a refusal.

    Its context has ``action``, ``explanation`` and, when they apply: ``resume``,
    ``only_recipient`` (True) and ``alarm`` (True), as in ChannelRule. ``text`` is what the other
    side said; pass nothing that holds a phone or an address.
    """
    marks = {"resume": rule.resume, "only_recipient": rule.only_recipient, "alarm": rule.alarm}
    context.update({name: value for name, value in marks.items() if value})
    return DeliveryError(
        code,
        text,
        permanent=rule.permanent,
        action=rule.action,
        explanation=rule.explanation,
        **context,
    )


def refusal_action(error: DeliveryError) -> RefusalAction:
    """What to do about a refusal of any channel; RETRY_LATER when it does not say."""
    return RefusalAction(str(error.context.get("action", RefusalAction.RETRY_LATER)))


def segments(text: str) -> int:
    """The pieces that a text message of this text (with its 【signature】) is sent and charged as.

    Up to 70 characters are one piece, beyond that each piece carries 67. Lengths are UTF-16
    units, which is how networks count: a rare character such as 𠮷 takes two places.
    """
    length = len(text) + sum(character > "\uffff" for character in text)
    if length <= ONE_SEGMENT:
        return 1
    return -(-length // SEGMENT_OF_MANY)


def signed_text(sign_name: str, text: str) -> str:
    """What the recipient reads: the signature in its brackets, then the text."""
    return f"【{sign_name}】{text}"


def message_id_for(business_key: str, domain: str) -> str:
    """The Message-ID of the mail for a business key: a repeated mail has the same one.

    It is made with the installation's index key, so that nobody can guess it: who names it in a
    returned mail has seen the mail.
    """
    digest = blind_index(business_key, "mail.message_id").hex()[:32]
    return f"<gd.{digest}@{domain}>"


_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
_MOBILE = re.compile(r"1[3-9][0-9]{9}")


def is_mail_address(text: str) -> bool:
    """Whether this is one plain mail address: no display name, no blank, no line break."""
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


def is_mobile(text: str) -> bool:
    """Whether this is a mobile number of the mainland, 11 digits."""
    return _MOBILE.fullmatch(text) is not None
