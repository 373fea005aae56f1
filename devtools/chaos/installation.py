"""The settings of a house under test (安装设置); ``site`` starts its processes with them."""

from __future__ import annotations

import base64
import secrets
from typing import Any

from devtools.chaos.ground import Ground
from devtools.wechat_sandbox.sandbox import Sandbox
from devtools.wechat_sandbox.sms_platform import SMS_PATH
from gongdian.render.loader import ACCOUNTS

MAIL_DOMAIN = "power.example"
_REPORT_TOKEN = "chaos-sms-reports-000"
# One set of keys: the runs of one program share a process, whose keys are global.
_KEYS = {
    name: base64.b64encode(secrets.token_bytes(32)).decode()
    for name in ("SESSION_KEY", "DATA_KEY", "INDEX_KEY", "AUDIT_KEY")
}


def shared_keys() -> tuple[bytes, bytes]:
    """The keys for data and index that every run of this program has."""
    data_key, index_key = (base64.b64decode(_KEYS[name]) for name in ("DATA_KEY", "INDEX_KEY"))
    return data_key, index_key


def other_channels(web_url: str) -> dict[str, Any]:
    """Settings of a sandbox that has text messages with reports, and a mail server."""
    report_url = f"{web_url}/receipts/sms/{_REPORT_TOKEN}"
    return {"sms_report_url": report_url, "smtp_port": 0, "smtp_starttls": False}


def installation(ground: Ground, sandbox: Sandbox, port: int) -> dict[str, str]:
    """The settings of the house as variables: its database, its account, its channels."""
    told = sandbox.settings
    accounts = ground.folder / "accounts"
    accounts.mkdir()
    text = (ACCOUNTS / "demo.toml").read_text("utf-8")
    (accounts / "chaos.toml").write_text(text.replace("wxdemo0000000001", told.appid), "utf-8")
    settings = {
        **_KEYS,
        "DATA_DIR": str(ground.folder),
        "DATABASE_URL": ground.database_url,
        "REDIS_URL": ground.redis_url,
        "TEMPLATES_DIR": str(accounts),
        "LOG_LEVEL": "WARNING",
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "LISTEN": f"127.0.0.1:{port}",
        "WEB_WORKERS": "1",
        "WECHAT_APPID": told.appid,
        "WECHAT_SECRET": told.secret,
        "WECHAT_TOKEN": told.token,
        "WECHAT_AES_KEY": told.aes_key,
        "WECHAT_ORIGINAL_ID": told.original_id,
        "WECHAT_API_URL": sandbox.base_url,
        "WECHAT_OPEN_URL": sandbox.base_url,
        **_channel_settings(sandbox),
    }
    return {f"GONGDIAN_{name}": value for name, value in settings.items()}


def _channel_settings(sandbox: Sandbox) -> dict[str, str]:
    """The house's text messages and mail, when the sandbox has them."""
    told, smtp = sandbox.settings, sandbox.channels.smtp
    if smtp is None:
        return {}
    return {
        "SMS_ACCESS_KEY_ID": told.sms_access_key_id,
        "SMS_ACCESS_KEY_SECRET": told.sms_access_key_secret,
        "SMS_SIGN_NAME": "云溪县供电公司",
        "SMS_ENDPOINT": f"{sandbox.base_url}{SMS_PATH}",
        "SMS_REPORT_TOKEN": _REPORT_TOKEN,
        "SMS_RATE_PER_S": "30",
        "MAIL_FROM": f"notice@{MAIL_DOMAIN}",
        "MAIL_RATE_PER_S": "20",
        "SMTP_HOST": smtp.host,
        "SMTP_PORT": str(smtp.port),
        "SMTP_STARTTLS": "false",
    }
