"""What a message reads on each further channel (短信与邮件文案); wiring gives it to the outbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gongdian.render.mail import compose_mail
from gongdian.render.registry import Registry


@dataclass(frozen=True, slots=True)
class SmsComposer:
    """Text messages of one account."""

    registry: Registry
    account: str

    def __call__(
        self, kind: str, values: Mapping[str, str], url: str, token: str
    ) -> dict[str, Any] | None:
        """The provider's template and its variables; None when the kind has no text message."""
        composed = self.registry.compose_sms(self.account, kind, values, token)
        if composed is None:
            return None
        return {
            "template_code": composed.template_code,
            "params": composed.params,
            "text": composed.text,
            "title": self.registry.kind(kind).title,
            "fields": [["短信内容", composed.text]],
            "url": url,
        }


@dataclass(frozen=True, slots=True)
class MailComposer:
    """Mails of one account; the footer names the company and its phone."""

    registry: Registry
    account: str
    company_name: str
    service_phone: str

    def __call__(
        self, kind: str, values: Mapping[str, str], url: str, token: str
    ) -> dict[str, Any] | None:
        """Subject, text and page of the mail."""
        composed = self.registry.compose(self.account, kind, values, url)
        mail = compose_mail(composed, self.company_name, self.service_phone)
        return {
            "subject": mail.subject,
            "text": mail.text,
            "html": mail.html,
            "title": composed.title,
            "fields": [list(pair) for pair in composed.fields],
            "url": url,
        }
