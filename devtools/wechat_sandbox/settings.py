"""How a sandbox behaves: one frozen object, checked when it is made.

Made by ``__main__``, ``fixture`` and the demo; read by every desk of the sandbox.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

MODES = ("plain", "compatible", "secure")
FORMATS = ("xml", "json")
AES_KEY_CHARS = 43
NO_SMTP = -1


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """Everything that can be set; a quota of 0 means no limit. Times are seconds."""

    callback_url: str = ""
    token: str = "sandboxtoken"
    aes_key: str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
    previous_aes_key: str = ""
    appid: str = "wx5a0d0b0c0ffee001"
    secret: str = "0123456789abcdef0123456789abcdef"
    original_id: str = "gh_5a0d0b0c0fee"
    account_name: str = "公众号"  # as the phones show it
    mode: str = "plain"
    format: str = "xml"
    accept_plain_reply_in_secure: bool = False

    miniprogram_appid: str = "wx5a0d0b0c0ffee002"
    miniprogram_secret: str = "fedcba9876543210fedcba9876543210"
    miniprogram_pages: tuple[str, ...] = ()  # pages that are published; none = any
    long_term_templates: tuple[str, ...] = ()  # one yes allows any number of messages
    path_daily_quotas: Mapping[str, int] = field(default_factory=dict)  # instead of the usual

    host: str = "127.0.0.1"
    port: int = 0
    allow_public: bool = False
    seed: int = 1

    accept_any_template: bool = False
    honour_client_msg_id: bool = True
    receipt_msgid_zero: bool = False  # receipts carry MsgID 0 when client_msg_id was given
    template_daily_quota: int = 100_000
    template_minute_quota: int = 0
    custom_daily_quota: int = 500_000
    token_daily_quota: int = 2_000
    stable_token_daily_quota: int = 500_000
    stable_token_minute_quota: int = 10_000
    media_daily_quota: int = 10_000

    receipts: bool = True
    receipt_delay_s: float = 0.2
    receipt_on_clock: bool = False  # the delay runs on the movable clock, not in real time
    callback_timeout_s: float = 5.0
    callback_retries: int = 3
    callback_retry_pause_s: float = 1.0
    callback_workers: int = 8

    sms_access_key_id: str = "sandboxkey"
    sms_access_key_secret: str = "sandboxsecret"
    sms_sign_name: str = ""  # the one approved signature; empty = any
    sms_number_daily_quota: int = 50  # of one template to one number
    sms_daily_quota: int = 0
    sms_balance_is_empty: bool = False
    sms_elsewhere: str = "MOBILE_NOT_ON_SERVICE"  # the report for a number on no phone here
    sms_report_url: str = ""
    sms_report_delay_s: float = 0.2

    smtp_port: int = NO_SMTP  # -1 = no mail server, 0 = any free port
    smtp_user: str = ""  # empty = no login needed
    smtp_password: str = ""
    smtp_starttls: bool = True

    oauth_domains: tuple[str, ...] = ()  # host names allowed in redirect_uri; none = any
    require_wechat_redirect: bool = True

    def __post_init__(self) -> None:
        """Refuse settings that cannot work."""
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {MODES}")
        if self.format not in FORMATS:
            raise ValueError(f"format must be one of {FORMATS}")
        for key in (self.aes_key, self.previous_aes_key):
            if key and len(key) != AES_KEY_CHARS:
                raise ValueError(f"an EncodingAESKey has {AES_KEY_CHARS} characters")
        if self.mode != "plain" and not self.aes_key:
            raise ValueError("compatible and secure mode need an EncodingAESKey")
        if not self.token:
            raise ValueError("the callback token is empty")
        if not self.allow_public and not is_loopback(self.host):
            raise ValueError("the sandbox listens on loopback only; say --allow-public otherwise")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
