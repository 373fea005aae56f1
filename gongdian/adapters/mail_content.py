"""One mail as bytes (邮件正文): headers that nothing can be smuggled into; mail_smtp calls it."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from gongdian.adapters.smtp_replies import BAD_ADDRESS
from gongdian.channels import MailSend, channel_refusal, is_mail_address
from gongdian.clock import CHINA

_LONGEST_SUBJECT = 200
# 7bit and base64 pass every server; 8bit needs an extension that the next hop may lack.
_POLICY = SMTP.clone(cte_type="7bit")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+>")


def one_line(text: str, longest: int = _LONGEST_SUBJECT) -> str:
    """The text without line breaks, controls and doubled blanks, for a header."""
    plain = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in text)
    return " ".join(plain.split())[:longest]


def mail_bytes(mail: MailSend, sender: str, sender_name: str, reply_to: str, at: datetime) -> bytes:
    """The mail with CRLF line ends. DeliveryError for an address that is none.

    ``List-Unsubscribe`` is a mail to ``reply_to`` (or the sender): a person at the service desk
    reads it, since the house takes no orders by mail.
    """
    if not is_mail_address(mail.to):
        raise channel_refusal("mail_bad_address", BAD_ADDRESS)
    message = EmailMessage(policy=_POLICY)
    message["Subject"] = one_line(mail.subject)
    message["From"] = Address(one_line(sender_name), addr_spec=sender)
    message["To"] = Address(one_line(mail.to_name), addr_spec=mail.to)
    if reply_to:
        message["Reply-To"] = Address(addr_spec=reply_to)
    message["Date"] = format_datetime(at.astimezone(CHINA))
    if not _MESSAGE_ID.fullmatch(mail.message_id):
        raise ValueError("a Message-ID has the form <left@right>")
    message["Message-ID"] = mail.message_id
    message["List-Unsubscribe"] = f"<mailto:{reply_to or sender}?subject=unsubscribe>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    if mail.html:
        message.add_alternative(mail.html, subtype="html")
    content = message.as_bytes()
    return content if content.endswith(b"\r\n") else content + b"\r\n"
