"""Encryption towards the mail server (邮件加密); mail_smtp and alarm_channels call it."""

from __future__ import annotations

import ssl

from gongdian.errors import ConfigError


def tls_context(ca_file: str) -> ssl.SSLContext:
    """What STARTTLS speaks with; the server's certificate is checked.

    ``ca_file`` names who vouches for it (PEM), empty: whom the system trusts. ConfigError when it
    cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # an SSLError is one too
        raise ConfigError("bad_smtp_ca_file", "no PEM certificate", file=ca_file) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
