"""Mail over SMTP (邮件发送) with the standard library; wiring builds it from the settings.

One mail goes to one address, so a refusal concerns nobody else. Connections are kept for a short
while and used again. Until the server has asked for the content, a broken connection means that
nothing was sent; after that the outcome is unknown.
"""

from __future__ import annotations

import contextlib
import queue
import re
import smtplib
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gongdian.adapters.mail_content import mail_bytes
from gongdian.adapters.mail_tls import tls_context
from gongdian.adapters.smtp_replies import NO_TLS, Stage, refusal
from gongdian.channels import MailAcceptance, MailSend, channel_refusal, is_mail_address
from gongdian.clock import Clock
from gongdian.errors import (
    ConfigError,
    DeliveryError,
    GongdianError,
    OutcomeUnknownError,
    UpstreamError,
)

_IDLE_S = 20.0
_MAILS_PER_CONNECTION = 100
_LEADING_DOT = re.compile(rb"(?m)^\.")
_GO_ON = 354
_FAREWELL_S = 1.0
_CLOSING = 421


@dataclass(frozen=True, slots=True)
class MailHost:
    """The mail server and as whom we speak; ``ca_file`` names the company's own certificate.

    ``timeout_s`` bounds each step of a session, ``total_s`` the sending of one mail.
    """

    host: str
    port: int
    sender: str
    sender_name: str = ""
    reply_to: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    starttls: bool = True
    ca_file: str = ""
    timeout_s: float = 10.0
    total_s: float = 30.0
    kept: int = 4


@dataclass(slots=True)
class _Kept:
    """A connection, how many mails it carried, and when it was last used (monotonic seconds)."""

    smtp: smtplib.SMTP
    mails: int = 0
    used_at: float = 0.0


@dataclass(frozen=True, slots=True)
class _Time:
    """What is left of the time for one mail; ``ends_at`` is in monotonic seconds."""

    ends_at: float
    step_s: float

    def left(self) -> float:
        """Seconds for the next step; TimeoutError when the time is over."""
        left = min(self.step_s, self.ends_at - time.monotonic())
        if left <= 0:
            raise TimeoutError("the time for this mail is over")
        return left

    def limit(self, smtp: smtplib.SMTP) -> None:
        """Give the next step what is left."""
        if smtp.sock is not None:
            smtp.sock.settimeout(self.left())


class _StaleError(Exception):
    """A kept connection turned out to be closed before anything of this mail was acted on."""


class SmtpMail:
    """The MailPort of one mail server; threads share it, each mail has a connection of its own."""

    def __init__(self, host: MailHost, clock: Clock) -> None:
        if not host.host or not is_mail_address(host.sender):
            raise ConfigError("bad_mail_host", "a mail server needs a host and a sender address")
        if not (host.user + host.password).isascii():
            raise ConfigError("bad_mail_host", "user and password must be ASCII for this login")
        self._context = tls_context(host.ca_file)
        self._host = host
        self._clock = clock
        self._idle: queue.LifoQueue[_Kept] = queue.LifoQueue(maxsize=host.kept)

    def send(self, mail: MailSend) -> MailAcceptance:
        """Send one mail; see MailPort for what it raises."""
        host = self._host
        content = mail_bytes(mail, host.sender, host.sender_name, host.reply_to, self._clock.now())
        limits = _Time(time.monotonic() + host.total_s, host.timeout_s)
        kept = self._take_kept()
        if kept is not None:
            with contextlib.suppress(_StaleError):
                return self._send_over(kept, mail, content, limits)
        try:
            return self._send_over(_Kept(self._connect(limits)), mail, content, limits)
        except _StaleError as error:
            raise UpstreamError("mail_connection_lost", cause=str(error)) from error

    def send_batch(self, mails: Sequence[MailSend]) -> list[MailAcceptance | GongdianError]:
        """Send several, one after the other, over the same connection as long as it holds.

        When the server cannot be reached or logged in to, the rest is not tried.
        """
        ends: list[MailAcceptance | GongdianError] = []
        for mail in mails:
            try:
                ends.append(self.send(mail))
            except GongdianError as error:
                ends.append(error)
                if _ends_batch(error):
                    ends += [error] * (len(mails) - len(ends))
                    break
        return ends

    def close(self) -> None:
        """Say goodbye on the kept connections."""
        while (kept := self._next_idle()) is not None:
            _leave(kept.smtp)

    def _next_idle(self) -> _Kept | None:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return None

    def _take_kept(self) -> _Kept | None:
        while (kept := self._next_idle()) is not None:
            if time.monotonic() - kept.used_at < _IDLE_S and kept.mails < _MAILS_PER_CONNECTION:
                return kept
            _leave(kept.smtp)
        return None

    def _give_back(self, kept: _Kept) -> None:
        kept.used_at = time.monotonic()
        try:
            self._idle.put_nowait(kept)
        except queue.Full:
            _leave(kept.smtp)

    def _send_over(
        self, kept: _Kept, mail: MailSend, content: bytes, limits: _Time
    ) -> MailAcceptance:
        """Send over a connection; give it back when it can go on, close it otherwise."""
        try:
            reply = _transfer(kept.smtp, self._host.sender, mail.to, content, limits)
        except DeliveryError as error:
            if error.code.startswith(f"smtp_{_CLOSING}"):
                kept.smtp.close()
                if kept.mails and error.context["stage"] == Stage.SENDER:
                    raise _StaleError("closed while idle") from error
            elif _is_reset(kept.smtp):
                self._give_back(kept)
            else:
                kept.smtp.close()
            raise
        except BaseException:
            kept.smtp.close()
            raise
        kept.mails += 1
        self._give_back(kept)
        return MailAcceptance(mail.message_id, reply)

    def _connect(self, limits: _Time) -> smtplib.SMTP:
        host = self._host
        try:
            smtp = smtplib.SMTP(host.host, host.port, timeout=limits.left())
        except smtplib.SMTPConnectError as error:
            raise refusal(Stage.CONNECT, error.smtp_code, error.smtp_error) from error
        except (OSError, smtplib.SMTPException) as error:
            raise UpstreamError("mail_unreachable", cause=type(error).__name__) from error
        try:
            self._greet(smtp, limits)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _greet(self, smtp: smtplib.SMTP, limits: _Time) -> None:
        try:
            limits.limit(smtp)
            smtp.ehlo_or_helo_if_needed()
            if self._host.starttls:
                limits.limit(smtp)
                self._secure(smtp)
            if self._host.user:
                limits.limit(smtp)
                self._log_in(smtp)
        except smtplib.SMTPResponseException as error:
            raise refusal(Stage.CONNECT, error.smtp_code, error.smtp_error) from error
        except (OSError, smtplib.SMTPException) as error:
            raise UpstreamError("mail_unreachable", cause=type(error).__name__) from error

    def _secure(self, smtp: smtplib.SMTP) -> None:
        try:
            smtp.starttls(context=self._context)
            smtp.ehlo_or_helo_if_needed()
        except (smtplib.SMTPNotSupportedError, ssl.SSLCertVerificationError) as error:
            raise channel_refusal(
                "mail_no_tls", NO_TLS, type(error).__name__, stage=Stage.CONNECT.value
            ) from error

    def _log_in(self, smtp: smtplib.SMTP) -> None:
        try:
            smtp.login(self._host.user, self._host.password)
        except smtplib.SMTPAuthenticationError as error:
            raise refusal(Stage.LOGIN, error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPNotSupportedError as error:
            raise refusal(Stage.LOGIN, 538, "login is not offered") from error


@contextlib.contextmanager
def _before_content() -> Iterator[None]:
    """A connection that breaks here breaks before the server could act on the mail."""
    try:
        yield
    except (OSError, smtplib.SMTPServerDisconnected) as error:
        raise _StaleError(type(error).__name__) from error


def _transfer(smtp: smtplib.SMTP, sender: str, to: str, content: bytes, limits: _Time) -> str:
    """One mail transaction; returns the server's last words."""
    with _before_content():
        limits.limit(smtp)
        _answered(Stage.SENDER, smtp.mail(sender))
        limits.limit(smtp)
        _answered(Stage.RECIPIENT, smtp.rcpt(to))
        limits.limit(smtp)
        _answered(Stage.CONTENT, smtp.docmd("DATA"), wanted=(_GO_ON, _GO_ON))
        limits.limit(smtp)
    try:
        smtp.send(_LEADING_DOT.sub(b"..", content) + b".\r\n")
        answer = smtp.getreply()
    except (OSError, smtplib.SMTPException) as error:
        raise OutcomeUnknownError("mail_no_answer", cause=type(error).__name__) from error
    try:
        return _answered(Stage.CONTENT, answer)
    except UpstreamError as error:
        raise OutcomeUnknownError("mail_answer_unreadable", status=answer[0]) from error


def _answered(stage: Stage, answer: tuple[int, bytes], wanted: tuple[int, int] = (200, 299)) -> str:
    """The words of the wanted answer; DeliveryError for a refusal.

    UpstreamError for what answers nothing: after such a reply to DATA the lines of the mail
    would be taken for commands.
    """
    code, reply = answer
    if wanted[0] <= code <= wanted[1]:
        return reply.decode("utf-8", "replace")[:200]
    if 400 <= code <= 599:
        raise refusal(stage, code, reply)
    raise UpstreamError("mail_protocol", stage=stage.value, status=code)


def _is_reset(smtp: smtplib.SMTP) -> bool:
    try:
        return smtp.rset()[0] == 250
    except (OSError, smtplib.SMTPException):
        return False


def _leave(smtp: smtplib.SMTP) -> None:
    if smtp.sock is not None:  # a server that does not answer may not hold up the next mail
        smtp.sock.settimeout(_FAREWELL_S)
    with contextlib.suppress(OSError, smtplib.SMTPException):
        smtp.quit()
    smtp.close()


def _ends_batch(error: GongdianError) -> bool:
    """Whether the next mail would meet the same: no connection, no login."""
    if isinstance(error, DeliveryError):
        return error.context.get("stage") in (Stage.CONNECT, Stage.LOGIN)
    return error.code in ("mail_unreachable", "mail_connection_lost")
