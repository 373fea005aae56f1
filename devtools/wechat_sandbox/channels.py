"""The other channels of the sandbox under one roof: text messages, their reports, the mail server.

Made by ``sandbox``, which starts, stops and clears them with everything else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from devtools.wechat_sandbox.clock import SandboxClock
from devtools.wechat_sandbox.faults import FaultDesk
from devtools.wechat_sandbox.mail_desk import MailDesk
from devtools.wechat_sandbox.phones import PhoneDesk
from devtools.wechat_sandbox.quotas import QuotaDesk
from devtools.wechat_sandbox.settings import NO_SMTP, SandboxSettings
from devtools.wechat_sandbox.sms_platform import SmsDesk
from devtools.wechat_sandbox.sms_reports import SmsReporter
from devtools.wechat_sandbox.smtp_server import SmtpServer
from devtools.wechat_sandbox.smtp_transcript import Transcript
from devtools.wechat_sandbox.traffic import TrafficLog


class ChannelDesks:
    """``sms`` and ``mail`` keep what came; ``smtp`` is None unless ``smtp_port`` is set."""

    def __init__(
        self,
        lock: threading.RLock,
        clock: SandboxClock,
        settings: Callable[[], SandboxSettings],
        phones: PhoneDesk,
        quotas: QuotaDesk,
        faults: FaultDesk,
        traffic: TrafficLog,
        stopping: threading.Event,
    ) -> None:
        self.reporter = SmsReporter(clock, settings, faults, traffic)
        self.sms = SmsDesk(lock, clock, settings, phones, quotas, self.reporter)
        self.mail = MailDesk(lock, phones)
        self.smtp: SmtpServer | None = None
        if settings().smtp_port != NO_SMTP:
            writes_down = partial(Transcript, traffic, clock)
            self.smtp = SmtpServer(
                settings, faults, self.mail.knows, self.mail.take, writes_down, stopping
            )

    def start(self) -> None:
        """Begin to report and to take mail."""
        self.reporter.start()
        if self.smtp is not None:
            self.smtp.start()

    def stop(self) -> None:
        """End; the sandbox has said before that it is stopping."""
        self.reporter.stop()
        if self.smtp is not None:
            self.smtp.stop()

    def clear(self) -> None:
        """Forget what came; keep templates."""
        self.reporter.drop_waiting()
        self.sms.clear()
        self.mail.clear()

    def stats(self) -> dict[str, Any]:
        """Counts since the start or the last reset."""
        mail = {"accepted": self.mail.accepted, "duplicates": self.mail.duplicates}
        return {"sms": dict(self.sms.counts), "mail": mail}

    def mail_server(self) -> dict[str, Any]:
        """Where the mail server is and which certificate to trust; empty without one."""
        if self.smtp is None:
            return {}
        certificate = self.smtp.certificate.pem.decode()
        return {"host": self.smtp.host, "port": self.smtp.port, "certificate": certificate}
