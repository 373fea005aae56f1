"""Alarms to operators by webhook and by mail; wiring builds them from the settings."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage

import urllib3
from urllib3.exceptions import HTTPError

from gongdian.adapters.mail_tls import tls_context
from gongdian.alarms import Alarm
from gongdian.clock import china_text
from gongdian.errors import UpstreamError

_TIMEOUT_S = 5.0
_MAX_CONTENT = 2000  # bytes; group robots refuse texts over 2,048


def alarm_text(told: Sequence[Alarm]) -> str:
    """The alarms as operators read them, one a line."""
    lines = [
        f"{china_text(one.last_at)} {one.text}（{one.key}，自 {china_text(one.raised_at)} 起"
        f"共 {one.times} 次）"
        for one in told
    ]
    return "\n".join(lines)


class WebhookAlarms:
    """POSTs ``{"msgtype": "text", "text": {"content": …}}``, which group robots understand.

    They answer 200 even when they refuse; then their JSON carries an errcode other than 0.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(total=_TIMEOUT_S), retries=False, maxsize=1
        )

    def tell(self, told: Sequence[Alarm]) -> None:
        """POST them; UpstreamError for anything but a 2xx answer without an errcode."""
        content = _cut("供电服务告警\n" + alarm_text(told), _MAX_CONTENT)
        body = {"msgtype": "text", "text": {"content": content}}
        try:
            answer = self._pool.request(
                "POST",
                self._url,
                body=json.dumps(body, ensure_ascii=False).encode(),
                headers={"Content-Type": "application/json; charset=utf-8"},
            )
        except HTTPError as error:
            raise UpstreamError("alarm_webhook", type(error).__name__) from error
        if not 200 <= answer.status < 300:
            raise UpstreamError("alarm_webhook", f"HTTP {answer.status}")
        errcode = _errcode(answer.data)
        if errcode:
            raise UpstreamError("alarm_webhook", f"errcode {errcode}")


def _cut(text: str, limit: int) -> str:
    """At most ``limit`` bytes of UTF-8, with an ellipsis where something was left out."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    return encoded[: limit - 3].decode(errors="ignore") + "…"


def _errcode(body: bytes) -> str:
    """The errcode in a robot's answer; empty for 0, or when the answer is something else."""
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    errcode = answer.get("errcode", 0) if isinstance(answer, dict) else 0
    return "" if errcode in (0, "0") else str(errcode)[:20]


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where and as whom alarms are mailed; ``receivers`` are addresses.

    ``ca_file`` names the company's own certificate (PEM), empty: whom the system trusts.
    """

    host: str
    port: int
    user: str
    password: str
    starttls: bool
    sender: str
    receivers: tuple[str, ...]
    ca_file: str = ""


class MailAlarms:
    """Mails alarms over SMTP (standard library), with STARTTLS unless switched off."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._context = tls_context(server.ca_file)

    def tell(self, told: Sequence[Alarm]) -> None:
        """Mail them; UpstreamError when the server does not take the mail."""
        server = self._server
        mail = EmailMessage()
        mail["Subject"] = f"供电服务告警：{told[0].text[:40]}"
        mail["From"] = server.sender
        mail["To"] = ", ".join(server.receivers)
        mail.set_content(alarm_text(told))
        try:
            with smtplib.SMTP(server.host, server.port, timeout=_TIMEOUT_S) as smtp:
                if server.starttls:
                    smtp.starttls(context=self._context)
                if server.user:
                    smtp.login(server.user, server.password)
                smtp.send_message(mail)
        except (OSError, smtplib.SMTPException) as error:
            raise UpstreamError("alarm_mail", type(error).__name__) from error
