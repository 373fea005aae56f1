"""Settings (设置): one frozen object, read once at start-up; wiring hands it to whoever needs it.

Every field is a ``GONGDIAN_<NAME>`` variable; a secret may come from the file that
``GONGDIAN_<NAME>_FILE`` names. A value that cannot be read stops the start-up and names the
variable. The demo profile needs no variable at all.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gongdian.errors import ConfigError

PREFIX = "GONGDIAN_"
PROFILES = ("demo", "company", "cloud")
MODES = ("plain", "compatible", "secure")


def _text(raw: str) -> str:
    return raw.strip()


def _flag(raw: str) -> bool:
    if raw not in ("true", "false"):
        raise ValueError("write true or false")
    return raw == "true"


def _count(raw: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", raw):
        raise ValueError("write a whole number, 0 or more")
    return int(raw)


def _seconds(raw: str) -> float:
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,3})?", raw):
        raise ValueError("write seconds, such as 5 or 0.5")
    return float(raw)


def _url(raw: str) -> str:
    value = raw.strip().rstrip("/")
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError("write an address that begins with http:// or https://")
    return value


def _safe_url(raw: str) -> str:
    value = raw.strip()
    parts = urlsplit(value)
    if value and (parts.scheme != "https" or not parts.hostname):
        raise ValueError("write an address that begins with https://")
    return value


def _names(raw: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in raw.replace("，", ",").split(",") if one.strip())


def _mail_address(raw: str) -> str:
    value = raw.strip()
    if value and not re.fullmatch(r"[^\s@<>,;:\"]+@[A-Za-z0-9.-]+", value):
        raise ValueError("write one mail address, such as notice@example.com")
    return value


def _hours(raw: str) -> tuple[time, time] | None:
    if raw == "none":
        return None
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", raw)
    if not found:
        raise ValueError("write HH:MM-HH:MM (China time) or none")
    first, second, third, fourth = (int(part) for part in found.groups())
    return time(first, second), time(third, fourth)


def _key(raw: str) -> bytes:
    try:
        key = base64.b64decode(raw.strip(), validate=True)
    except binascii.Error as error:
        raise ValueError("write 32 random bytes in base64") from error
    if len(key) != 32:
        raise ValueError("write 32 random bytes in base64")
    return key


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(raw: str) -> str:
        if raw not in allowed:
            raise ValueError(f"write one of {', '.join(allowed)}")
        return raw

    return read


def _setting(
    default: Any, read: Callable[[str], Any], about: str, *, secret: bool = False
) -> Any:  # a dataclass field, which type checkers see as its default's type
    return field(
        default=default, metadata={"read": read, "about": about, "secret": secret}, repr=not secret
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. Durations are seconds, hours are China time, keys are 32 bytes."""

    profile: str = _setting(
        "demo", _one_of(*PROFILES), "运行方式：demo 或 company；cloud 在规划中，还不能用"
    )
    debug: bool = _setting(False, _flag, "调试信息；正式环境禁止")
    log_level: str = _setting("INFO", _one_of("DEBUG", "INFO", "WARNING", "ERROR"), "日志级别")
    data_dir: str = _setting("var", _text, "数据目录（数据库文件、暂存、密钥）")
    database_url: str = _setting("", _text, "数据库地址；空 = 数据目录里的 SQLite", secret=True)
    database_connections: int = _setting(
        20, _count, "一个进程的一个连接池最多占用的数据库连接数（MariaDB）"
    )
    allow_sqlite: bool = _setting(False, _flag, "正式环境允许使用 SQLite")
    redis_url: str = _setting("", _text, "Redis 地址；空 = 不使用", secret=True)
    public_url: str = _setting("http://127.0.0.1:8600", _url, "客户访问本系统的地址")
    listen: str = _setting("127.0.0.1:8600", _text, "监听的地址与端口")
    web_role: str = _setting(
        "all", _one_of("all", "edge", "core"), "网页角色：全部、外网侧或内网侧"
    )
    web_workers: int = _setting(2, _count, "网页进程数")
    web_threads: int = _setting(8, _count, "每个网页进程的线程数")
    company_name: str = _setting("云溪县供电公司", _text, "页面与消息里的公司名称")
    service_phone: str = _setting("95598", _text, "页面上的服务电话")
    arrears_pay_url: str = _setting(
        "", _safe_url, "官方交费页面的地址（https）；空 = 页面只写到哪里交费"
    )
    # secrets of the house
    session_key: bytes = _setting(b"", _key, "网页会话签名密钥", secret=True)
    data_key: bytes = _setting(b"", _key, "个人信息加密密钥", secret=True)
    previous_data_key: bytes = _setting(b"", _key, "上一把加密密钥（只用于解密）", secret=True)
    index_key: bytes = _setting(b"", _key, "个人信息查找用的 HMAC 密钥", secret=True)
    audit_key: bytes = _setting(b"", _key, "审计链密钥", secret=True)
    # the Official Account
    wechat_appid: str = _setting("wxdemo0000000001", _text, "公众号 AppID")
    wechat_secret: str = _setting("", _text, "公众号 AppSecret", secret=True)
    wechat_original_id: str = _setting("", _text, "公众号原始 ID（gh_ 开头）；空 = 不核对")
    wechat_token: str = _setting("", _text, "消息推送令牌 Token", secret=True)
    wechat_aes_key: str = _setting("", _text, "消息加解密密钥 EncodingAESKey", secret=True)
    wechat_previous_aes_key: str = _setting("", _text, "上一把 EncodingAESKey", secret=True)
    wechat_mode: str = _setting("secure", _one_of(*MODES), "消息推送方式")
    wechat_reply: str = _setting(
        "as_received", _one_of("as_received", "plain", "encrypted"), "被动回复是否加密"
    )
    wechat_api_url: str = _setting("https://api.weixin.qq.com", _url, "微信接口地址")
    wechat_api_proxy: bool = _setting(
        False, _flag, "微信接口地址是公司内部的代理，允许内网地址（仍须 https）"
    )
    wechat_open_url: str = _setting("https://open.weixin.qq.com", _url, "微信网页授权地址")
    wechat_window_s: float = _setting(600.0, _seconds, "回调时间戳允许的偏差（60 到 3600 秒）")
    templates_dir: str = _setting("", _text, "模板编号对照表目录；空 = 自带的演示表，正式环境必填")
    long_term_templates: str = _setting("", _text, "长期订阅的模板编号，逗号分隔")
    # the mini-program
    miniprogram_appid: str = _setting("", _text, "小程序 AppID；空 = 没有小程序")
    miniprogram_secret: str = _setting("", _text, "小程序 AppSecret", secret=True)
    # sending
    send_rate_per_s: int = _setting(50, _count, "每秒最多发送条数（所有进程合计）")
    send_concurrency: int = _setting(50, _count, "一个发送进程同时进行的请求数")
    send_timeout_s: float = _setting(10.0, _seconds, "一次接口调用的总时限")
    send_lease_s: float = _setting(60.0, _seconds, "领取一条消息后的占用时间")
    daily_quota: int = _setting(100_000, _count, "每日模板消息额度")
    contact_daily_cap: int = _setting(5, _count, "每人每日最多条数（法定通知与紧急消息除外）")
    quiet_hours: tuple[time, time] | None = _setting(
        (time(21, 30), time(8, 0)), _hours, "静默时段，紧急消息除外"
    )
    receipt_timeout_s: float = _setting(172_800.0, _seconds, "等待回执的时间")
    # workflows
    workflow_threads: int = _setting(8, _count, "一个后台进程同时执行的流程任务数（1 到 100）")
    workflow_task_lease_s: float = _setting(
        60.0, _seconds, "领取一个流程任务后的占用时间（10 到 3600 秒），执行中自动续期"
    )
    workflow_kept_days: int = _setting(90, _count, "流程结束后保留经过和数据的天数；名称一直保留")
    # arrears
    arrears_approval_above: int = _setting(
        100, _count, "催收批次的发送对象超过这个数，须由制单人以外的人审批"
    )
    letter_approvers: tuple[str, ...] = _setting(
        (), _names, "可以审批停电通知书的负责人姓名，用逗号隔开；空 = 谁也不能审批"
    )
    # text messages and mail, when WeChat does not reach someone
    sms_access_key_id: str = _setting("", _text, "短信 AccessKey ID；空 = 不发短信")
    sms_access_key_secret: str = _setting("", _text, "短信 AccessKey Secret", secret=True)
    sms_sign_name: str = _setting("", _text, "短信签名，不带【】")
    sms_endpoint: str = _setting("https://dysmsapi.aliyuncs.com", _url, "短信接口地址")
    sms_cost_fen: int = _setting(5, _count, "每条短信的单价（分），长短信按拆分条数计")
    sms_rate_per_s: int = _setting(20, _count, "每秒最多发送短信条数")
    sms_daily_quota: int = _setting(5_000, _count, "每日短信条数上限")
    sms_daily_cost_fen: int = _setting(0, _count, "每日短信费用上限（分）；0 = 不限")
    sms_report_token: str = _setting("", _text, "短信回执地址里的口令", secret=True)
    mail_from: str = _setting("", _mail_address, "客户邮件的发件地址；空 = 不发邮件")
    mail_rate_per_s: int = _setting(5, _count, "每秒最多发送邮件封数")
    mail_daily_quota: int = _setting(5_000, _count, "每日邮件封数上限")
    mail_reply_to: str = _setting("", _mail_address, "客户邮件的回复地址；空 = 发件地址")
    # alarms to operators
    alarm_webhook_url: str = _setting("", _url, "告警推送地址", secret=True)
    alarm_mail_to: str = _setting("", _text, "告警收件人，逗号分隔")
    alarm_mail_from: str = _setting("", _text, "告警发件人")
    smtp_host: str = _setting("", _text, "邮件服务器")
    smtp_port: int = _setting(587, _count, "邮件服务器端口")
    smtp_user: str = _setting("", _text, "邮件账号")
    smtp_password: str = _setting("", _text, "邮件密码", secret=True)
    smtp_starttls: bool = _setting(True, _flag, "邮件使用 STARTTLS")
    smtp_ca_file: str = _setting("", _text, "邮件服务器证书的签发者（PEM 文件）；空 = 系统自带")

    @property
    def is_production(self) -> bool:
        """True where real customers are served."""
        return self.profile != "demo"

    @property
    def long_term_template_ids(self) -> frozenset[str]:
        """The templates for which one yes allows any number of notifications."""
        parts = (one.strip() for one in self.long_term_templates.split(","))
        return frozenset(one for one in parts if one)

    @property
    def database(self) -> str:
        """The SQLAlchemy URL that is in force."""
        return self.database_url or f"sqlite:///{Path(self.data_dir) / 'gongdian.db'}"


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read every setting from the environment; ConfigError names the variable that is wrong."""
    source = os.environ if environ is None else environ  # noqa: TID251 - the one place
    known = {PREFIX + one.name.upper(): one for one in fields(Settings)}
    values = {}
    for name, one in known.items():
        raw = _raw(source, name, one)
        if raw is not None:
            try:
                values[one.name] = one.metadata["read"](raw)
            except ValueError as error:
                raise ConfigError("E001", str(error), setting=name) from error
    strangers = sorted(
        name
        for name in source
        if name.startswith(PREFIX)
        and not name.startswith(PREFIX + "TEST_")
        and name.removesuffix("_FILE") not in known
        and name not in known
    )
    if strangers:
        raise ConfigError("E002", "no such setting", setting=", ".join(strangers))
    return Settings(**values)


def _raw(source: Mapping[str, str], name: str, one: Field[Any]) -> str | None:
    path = source.get(name + "_FILE")
    if path is None:
        return source.get(name)
    if name in source:
        raise ConfigError("E003", "set the value or its file, not both", setting=name)
    if not one.metadata["secret"]:
        raise ConfigError("E004", "only secrets may come from a file", setting=name)
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("E005", f"cannot read {path}", setting=name + "_FILE") from error


_KEYS_OF_THE_HOUSE = ("session_key", "data_key", "index_key", "audit_key")
_SECRETS_OF_WECHAT = ("wechat_secret", "wechat_token")
_AES_KEYS = ("wechat_aes_key", "wechat_previous_aes_key")
_AES_KEY = re.compile(r"[A-Za-z0-9]{43}")
_WEAK = ("changeme", "secret", "password", "token", "demo", "test", "12345678")
# What the sandbox uses unless told otherwise; anybody can read it there. A test compares.
SANDBOX_SECRETS = frozenset(
    {
        "sandboxtoken",
        "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
        "0123456789abcdef0123456789abcdef",
        "fedcba9876543210fedcba9876543210",
        "sandboxkey",
        "sandboxsecret",
        "demo-sms-reports-0000",
    }
)
SANDBOX_APPIDS = frozenset({"wx5a0d0b0c0ffee001", "wx5a0d0b0c0ffee002", "wxdemo0000000001"})


def check_settings(settings: Settings) -> list[tuple[str, str]]:
    """What is wrong or doubtful: (code, Chinese text); E... refuses to start, W... only warns."""
    found = []
    if not settings.alarm_webhook_url and not settings.alarm_mail_to:
        text = "没有告警接收人：请设置 ALARM_WEBHOOK_URL 或 ALARM_MAIL_TO"
        found.append(("W101", text))
    if settings.alarm_mail_to and not settings.smtp_host:
        found.append(("W103", "设置了 ALARM_MAIL_TO 但没有 SMTP_HOST：告警邮件发不出去"))
    found += [
        ("E109", f"{name.upper()} 至少为 1")
        for name in _AT_LEAST_ONE
        if getattr(settings, name) < 1
    ]
    if settings.send_timeout_s <= 0 or settings.send_lease_s < 2 * settings.send_timeout_s:
        found.append(("E110", "SEND_TIMEOUT_S 须大于 0，SEND_LEASE_S 至少是它的两倍"))
    found += [
        ("E118", f"{name.upper()} 应在 {least} 到 {most} 之间")
        for name, least, most in _BETWEEN
        if not least <= getattr(settings, name) <= most
    ]
    found += [
        ("E114", f"{name.upper()} 格式不对：应为43位字母和数字")
        for name in _AES_KEYS
        if getattr(settings, name) and not _AES_KEY.fullmatch(getattr(settings, name))
    ]
    found += _channel_findings(settings)
    if settings.is_production:
        found += _production_findings(settings)
    return found


_AT_LEAST_ONE = (
    "database_connections",
    "web_workers",
    "web_threads",
    "send_rate_per_s",
    "send_concurrency",
    "sms_rate_per_s",
    "mail_rate_per_s",
)
# The engine renews a lease well before it ends; a shorter one would be lost on a busy machine.
_BETWEEN = (("workflow_threads", 1, 100), ("workflow_task_lease_s", 10, 3600))
_QUOTAS = ("daily_quota", "sms_daily_quota", "mail_daily_quota")
_REPORT_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")


def _channel_findings(settings: Settings) -> list[tuple[str, str]]:
    found = []
    if settings.sms_access_key_id:
        if not (settings.sms_access_key_secret and settings.sms_sign_name):
            found.append(("E120", "发短信须设置 SMS_ACCESS_KEY_SECRET 和 SMS_SIGN_NAME"))
        if settings.is_production and not settings.sms_endpoint.startswith("https://"):
            found.append(("E121", "SMS_ENDPOINT 不是 https：沙箱只供演示"))
        if not _REPORT_TOKEN.fullmatch(settings.sms_report_token):
            text = "SMS_REPORT_TOKEN 应为16至128位字母、数字、- 或 _"
            found.append(("E122" if settings.is_production else "W104", text))
    if settings.mail_from and not settings.smtp_host:
        found.append(("E123", "设置了 MAIL_FROM 但没有 SMTP_HOST"))
    sends_mail = settings.mail_from or settings.alarm_mail_to
    is_in_clear = bool(settings.smtp_password) and not settings.smtp_starttls
    if settings.is_production and sends_mail and is_in_clear:
        found.append(("E124", "SMTP_STARTTLS=false 会让邮件密码明文传输"))
    return found


def _secret_findings(settings: Settings) -> list[tuple[str, str]]:
    found = []
    needed = _KEYS_OF_THE_HOUSE + _SECRETS_OF_WECHAT
    for one in fields(Settings):
        value = getattr(settings, one.name)
        if one.name in needed and not value:
            found.append(("E102", f"正式环境必须设置 {one.name.upper()}"))
        elif value in SANDBOX_SECRETS or (one.metadata["secret"] and value in _WEAK):
            found.append(("E103", f"{one.name.upper()} 是公开的演示值，请换成自己的"))
        elif value and one.name in needed + _AES_KEYS and len(set(value)) < 6:
            found.append(("E103", f"{one.name.upper()} 过于简单"))
    if settings.wechat_mode != "plain" and not settings.wechat_aes_key:
        found.append(("E107", "兼容模式和安全模式须设置 WECHAT_AES_KEY"))
    by_key: dict[bytes, list[str]] = {}
    for name in (*_KEYS_OF_THE_HOUSE, "previous_data_key"):
        by_key.setdefault(getattr(settings, name), []).append(name.upper())
    for key, names in by_key.items():
        if key and len(names) > 1:
            found.append(("E113", f"{'、'.join(names)} 不能是同一把密钥"))
    return found


def _address_findings(settings: Settings) -> list[tuple[str, str]]:
    found = []
    for name in ("wechat_api_url", "wechat_open_url"):
        url = getattr(settings, name)
        may_be_inside = name == "wechat_api_url" and settings.wechat_api_proxy
        if not url.startswith("https://"):
            found.append(("E104", f"{name.upper()} 不是 https：沙箱只供演示"))
        elif not may_be_inside and not _is_public_host(url):
            hint = "；确是公司内部的代理，请设 WECHAT_API_PROXY=true" if "api" in name else ""
            found.append(("E104", f"{name.upper()} 是本机或内网地址{hint}"))
    if not settings.public_url.startswith("https://"):
        found.append(("E106", "PUBLIC_URL 必须是 https"))
    elif not _is_public_host(settings.public_url):
        found.append(("E106", "PUBLIC_URL 是本机或内网地址，客户打不开"))
    return found


def _is_public_host(url: str) -> bool:
    """Whether the internet may know this host; names are not looked up."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        last = host.rpartition(".")[2]
        # 127.1 and 0x7f.1 are addresses too, a name without a dot is one of the company's own
        is_inside = last in ("localhost", "local", "internal", "lan", "intranet") or last == host
        return bool(host) and not is_inside and not last[:1].isdigit()
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_global


def _account_findings(settings: Settings) -> list[tuple[str, str]]:
    found = []
    if not settings.wechat_appid:
        found.append(("E105", "WECHAT_APPID 不能为空"))
    for name in ("wechat_appid", "miniprogram_appid"):
        if getattr(settings, name) in SANDBOX_APPIDS:
            found.append(("E105", f"{name.upper()} 是沙箱的账号"))
    if settings.miniprogram_appid and not settings.miniprogram_secret:
        found.append(("E112", "设置了 MINIPROGRAM_APPID，还须设置 MINIPROGRAM_SECRET"))
    if not 60 <= settings.wechat_window_s <= 3600:
        found.append(("E115", "WECHAT_WINDOW_S 应在 60 到 3600 秒之间"))
    if not settings.templates_dir:
        found.append(("E116", "正式环境必须设置 TEMPLATES_DIR（自己公众号的模板编号对照表）"))
    elif not _is_mapped(settings):
        found.append(("E116", "TEMPLATES_DIR 里没有 WECHAT_APPID 的模板编号对照表"))
    return found


def _is_mapped(settings: Settings) -> bool:
    """Whether a file maps this account; what else is wrong with the files, the registry says."""
    for path in Path(settings.templates_dir).glob("*.toml"):
        try:
            if tomllib.loads(path.read_text("utf-8")).get("appid") == settings.wechat_appid:
                return True
        except (OSError, ValueError):
            continue
    return False


def _production_findings(settings: Settings) -> list[tuple[str, str]]:
    found = _secret_findings(settings)
    found += _address_findings(settings)
    found += _account_findings(settings)
    if settings.profile == "cloud":
        found.append(("E117", "PROFILE=cloud 还没有实现，请用 company"))
    if settings.debug:
        found.append(("E101", "正式环境不允许 DEBUG"))
    if settings.database.startswith("sqlite") and not settings.allow_sqlite:
        found.append(("E108", "正式环境使用 SQLite 须设 ALLOW_SQLITE=true"))
    found += [
        ("E109", f"{name.upper()} 至少为 1") for name in _QUOTAS if getattr(settings, name) < 1
    ]
    if settings.wechat_mode == "plain":
        found.append(("W102", "WECHAT_MODE=plain：回调只验签，不加密"))
    return found


def refuse_bad_settings(settings: Settings) -> None:
    """Raise ConfigError with every E finding; start-up calls it."""
    bad = [f"{code} {text}" for code, text in check_settings(settings) if code.startswith("E")]
    if bad:
        raise ConfigError("E100", "; ".join(bad))


def describe_settings(settings: Settings) -> list[tuple[str, str, str]]:
    """(variable, value with secrets hidden, Chinese explanation) of every setting."""
    rows = []
    for one in fields(Settings):
        value = getattr(settings, one.name)
        shown = ("***" if value else "") if one.metadata["secret"] else str(value)
        if one.name == "quiet_hours":
            shown = "-".join(f"{at:%H:%M}" for at in value) if value else "none"
        rows.append((PREFIX + one.name.upper(), shown, one.metadata["about"]))
        assert one.default is not MISSING  # noqa: S101 - the demo works with nothing set
    return rows
