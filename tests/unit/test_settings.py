"""Settings: what each reader takes and refuses, secrets from files, what production refuses."""

from __future__ import annotations

import base64
from dataclasses import fields, replace
from datetime import time
from pathlib import Path
from typing import Any

import pytest

from devtools.demo.stage import REPORT_TOKEN
from devtools.wechat_sandbox.settings import SandboxSettings
from gongdian.errors import ConfigError
from gongdian.render.loader import ACCOUNTS
from gongdian.settings import (
    SANDBOX_APPIDS,
    SANDBOX_SECRETS,
    Settings,
    check_settings,
    describe_settings,
    read_settings,
    refuse_bad_settings,
)

KEY = base64.b64encode(bytes(range(32))).decode()


def test_the_demo_needs_nothing() -> None:
    settings = read_settings({})
    assert settings == Settings()
    assert (settings.is_production, settings.database) == (False, "sqlite:///var/gongdian.db")
    refuse_bad_settings(settings)


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("PROFILE", "company", "company"),
        ("DEBUG", "true", True),
        ("DATA_DIR", " /srv/gongdian ", "/srv/gongdian"),
        ("WEB_WORKERS", "4", 4),
        ("SEND_TIMEOUT_S", "2.5", 2.5),
        ("PUBLIC_URL", "https://wx.example.invalid/", "https://wx.example.invalid"),
        (
            "ARREARS_PAY_URL",
            "https://pay.example.cn/power?from=gongdian",
            "https://pay.example.cn/power?from=gongdian",
        ),
        ("QUIET_HOURS", "22:00-07:30", (time(22), time(7, 30))),
        ("QUIET_HOURS", "none", None),
        ("DATA_KEY", KEY, bytes(range(32))),
        ("ALARM_WEBHOOK_URL", "", ""),
    ],
)
def test_a_setting_is_read(name: str, raw: str, value: Any) -> None:
    settings = read_settings({f"GONGDIAN_{name}": raw})
    assert getattr(settings, name.lower()) == value


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("PROFILE", "production"),
        ("DEBUG", "yes"),
        ("DEBUG", "True"),
        ("WEB_WORKERS", "-1"),
        ("WEB_WORKERS", "4.0"),
        ("WEB_WORKERS", "٤"),
        ("SEND_TIMEOUT_S", "5s"),
        ("SEND_TIMEOUT_S", "nan"),
        ("PUBLIC_URL", "wx.example.invalid"),
        ("PUBLIC_URL", "ftp://wx.example.invalid"),
        ("PUBLIC_URL", "http://["),
        ("ARREARS_PAY_URL", "http://pay.example.cn"),
        ("QUIET_HOURS", "22:00"),
        ("QUIET_HOURS", "24:00-07:00"),
        ("DATA_KEY", "too short"),
        ("DATA_KEY", base64.b64encode(b"x" * 31).decode()),
        ("DATA_KEY", ""),
    ],
)
def test_a_value_that_cannot_be_read_names_its_variable_and_not_its_value(
    name: str, raw: str
) -> None:
    with pytest.raises(ConfigError, match=f"E001.*GONGDIAN_{name}") as refused:
        read_settings({f"GONGDIAN_{name}": raw})
    if name == "DATA_KEY" and raw:
        assert raw not in str(refused.value)


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("from a file\n")
    settings = read_settings({"GONGDIAN_WECHAT_SECRET_FILE": str(path)})
    assert settings.wechat_secret == "from a file"


def test_a_value_and_its_file_are_one_too_many(tmp_path: Path) -> None:
    given = {"GONGDIAN_WECHAT_SECRET": "x", "GONGDIAN_WECHAT_SECRET_FILE": str(tmp_path)}
    with pytest.raises(ConfigError, match="E003"):
        read_settings(given)


def test_only_secrets_come_from_files_that_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="E004"):
        read_settings({"GONGDIAN_PROFILE_FILE": str(tmp_path)})
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigError, match=r"E005.*GONGDIAN_DATA_KEY_FILE"):
            read_settings({"GONGDIAN_DATA_KEY_FILE": str(path)})
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="E005"):
        read_settings({"GONGDIAN_DATA_KEY_FILE": str(tmp_path / "binary")})


def test_an_unknown_setting_stops_the_start() -> None:
    with pytest.raises(ConfigError, match=r"E002.*GONGDIAN_QUITE_HOURS"):
        read_settings({"GONGDIAN_QUITE_HOURS": "none", "PATH": "/bin"})
    read_settings({"GONGDIAN_TEST_REDIS_URL": "redis://127.0.0.1"})


APPID = "wx5823bf96d3bd56c7"
SANDBOX = SandboxSettings()
SOUND = Settings(
    profile="company",
    database_url="mysql://gongdian@db.example.invalid/gongdian",
    public_url="https://wx.example.invalid",
    session_key=bytes(range(32)),
    data_key=bytes(range(1, 33)),
    index_key=bytes(range(2, 34)),
    audit_key=bytes(range(3, 35)),
    wechat_appid=APPID,
    wechat_secret="9f8e7d6c5b4a",
    wechat_token="a1b2c3d4e5",
    wechat_aes_key="jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
    templates_dir="given by the fixture",
    alarm_webhook_url="https://robot.example.invalid",
)


@pytest.fixture
def sound(tmp_path: Path) -> Settings:
    """Settings of a company that lack nothing."""
    (tmp_path / "account.toml").write_text(f'appid = "{APPID}"\n')
    (tmp_path / "broken.toml").write_text("appid =")
    return replace(SOUND, templates_dir=str(tmp_path))


def codes(settings: Settings) -> list[str]:
    return [code for code, _ in check_settings(settings)]


def test_sound_settings_have_no_findings(sound: Settings) -> None:
    assert check_settings(sound) == []
    refuse_bad_settings(sound)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("E101", {"debug": True}),
        ("E102", {"session_key": b""}),
        ("E102", {"data_key": b""}),
        ("E102", {"index_key": b""}),
        ("E102", {"audit_key": b""}),
        ("E102", {"wechat_secret": ""}),
        ("E102", {"wechat_token": ""}),
        ("E103", {"data_key": bytes(32)}),
        ("E103", {"wechat_secret": "changeme"}),
        ("E103", {"wechat_token": "aaaaaaaaaaaa"}),
        ("E103", {"wechat_aes_key": "a" * 43}),
        ("E103", {"wechat_secret": SANDBOX.secret}),
        ("E103", {"wechat_token": SANDBOX.token}),
        ("E103", {"wechat_aes_key": SANDBOX.aes_key}),
        ("E103", {"wechat_previous_aes_key": SANDBOX.aes_key}),
        ("E103", {"miniprogram_secret": SANDBOX.miniprogram_secret}),
        ("E103", {"sms_report_token": REPORT_TOKEN}),
        ("E104", {"wechat_api_url": "http://api.weixin.qq.com"}),
        ("E104", {"wechat_api_url": "https://127.0.0.1:8443"}),
        ("E104", {"wechat_api_url": "https://127.1"}),
        ("E104", {"wechat_api_url": "https://[::1]"}),
        ("E104", {"wechat_api_url": "https://[::ffff:127.0.0.1]"}),
        ("E104", {"wechat_api_url": "https://0.0.0.0"}),
        ("E104", {"wechat_api_url": "https://10.1.2.3"}),
        ("E104", {"wechat_api_url": "https://192.168.1.2/wx"}),
        ("E104", {"wechat_api_url": "https://localhost"}),
        ("E104", {"wechat_api_url": "https://localhost."}),
        ("E104", {"wechat_api_url": "https://wxproxy"}),
        ("E104", {"wechat_api_url": "https://wx.internal"}),
        ("E104", {"wechat_api_url": "http://10.1.2.3", "wechat_api_proxy": True}),
        ("E104", {"wechat_open_url": "http://open.weixin.qq.com"}),
        ("E104", {"wechat_open_url": "https://172.16.0.1", "wechat_api_proxy": True}),
        ("E105", {"wechat_appid": "wxdemo0000000001"}),
        ("E105", {"wechat_appid": SANDBOX.appid}),
        ("E105", {"wechat_appid": ""}),
        ("E105", {"miniprogram_appid": SANDBOX.miniprogram_appid, "miniprogram_secret": "s1"}),
        ("E106", {"public_url": "http://wx.example.invalid"}),
        ("E106", {"public_url": "https://127.0.0.1"}),
        ("E107", {"wechat_aes_key": ""}),
        ("E108", {"database_url": ""}),
        ("E109", {"send_concurrency": 0}),
        ("E109", {"web_threads": 0}),
        ("E109", {"daily_quota": 0}),
        ("E109", {"sms_daily_quota": 0}),
        ("E110", {"send_lease_s": 15.0}),
        ("E110", {"send_timeout_s": 0.0}),
        ("E112", {"miniprogram_appid": "wx1"}),
        ("E113", {"session_key": bytes(range(1, 33))}),
        ("E113", {"audit_key": bytes(range(2, 34))}),
        ("E113", {"previous_data_key": bytes(range(1, 33))}),
        ("E114", {"wechat_aes_key": "too short"}),
        ("E114", {"wechat_aes_key": "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C="}),
        ("E114", {"wechat_previous_aes_key": "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2-"}),
        ("E115", {"wechat_window_s": 59.0}),
        ("E115", {"wechat_window_s": 3601.0}),
        ("E116", {"templates_dir": ""}),
        ("E116", {"templates_dir": "/no/such/folder"}),
        ("E116", {"templates_dir": str(ACCOUNTS)}),  # the demo's
        ("E118", {"workflow_threads": 0}),
        ("E118", {"workflow_threads": 101}),
        ("E118", {"workflow_task_lease_s": 9.0}),
        ("E118", {"workflow_task_lease_s": 3601.0}),
        ("E117", {"profile": "cloud"}),
        (
            "E124",
            {
                "alarm_mail_to": "duty@power.invalid",
                "smtp_host": "mail.example.invalid",
                "smtp_password": "p",
                "smtp_starttls": False,
            },
        ),
    ],
)
def test_production_refuses_to_start(code: str, changes: dict[str, Any], sound: Settings) -> None:
    settings = replace(sound, **changes)
    # Another account's appid has no templates either.
    assert set(codes(settings)) - {"E116" if "wechat_appid" in changes else ""} == {code}
    with pytest.raises(ConfigError, match=code):
        refuse_bad_settings(settings)


@pytest.mark.parametrize(
    "changes",
    [
        {"wechat_api_url": "https://10.1.2.3/wx", "wechat_api_proxy": True},
        {"wechat_api_url": "https://wxproxy", "wechat_api_proxy": True},
        {"wechat_api_url": "https://api2.weixin.qq.com"},
        {"wechat_api_url": "https://1.2.4.8"},
        {"wechat_window_s": 60.0},
        {"wechat_window_s": 3600.0},
        {"previous_data_key": bytes(range(4, 36))},
        {"database_url": "", "allow_sqlite": True},
        {"smtp_user": "test"},
    ],
)
def test_production_takes(changes: dict[str, Any], sound: Settings) -> None:
    assert check_settings(replace(sound, **changes)) == []


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("W101", {"alarm_webhook_url": ""}),
        ("W102", {"wechat_mode": "plain"}),
        ("W103", {"alarm_mail_to": "duty@power.invalid"}),
    ],
)
def test_what_is_only_doubtful_is_a_warning(
    code: str, changes: dict[str, Any], sound: Settings
) -> None:
    settings = replace(sound, **changes)
    assert codes(settings) == [code]
    refuse_bad_settings(settings)


def test_every_finding_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        refuse_bad_settings(Settings(profile="company"))
    for code in ("E102", "E104", "E105", "E106", "E107", "E108", "E116"):
        assert (code in str(refused.value)) == (code != "E104")


def test_what_the_sandbox_uses_is_known() -> None:
    secrets = {
        getattr(SANDBOX, one.name)
        for one in fields(SandboxSettings)
        if one.name.endswith(("token", "secret", "_key", "key_id"))
    }
    assert (secrets | {REPORT_TOKEN}) - {""} == SANDBOX_SECRETS
    ours = read_settings({}).wechat_appid
    assert {SANDBOX.appid, SANDBOX.miniprogram_appid, ours} == SANDBOX_APPIDS


def test_findings_name_no_secret() -> None:
    shown = str(check_settings(replace(SOUND, wechat_secret=SANDBOX.secret, wechat_token="test")))
    assert SANDBOX.secret not in shown


def test_secrets_never_show() -> None:
    shown = repr(SOUND) + repr(describe_settings(SOUND))
    for one in fields(Settings):
        value = getattr(SOUND, one.name)
        if one.metadata["secret"] and value:
            assert str(value) not in shown, one.name
    rows = {name: value for name, value, _ in describe_settings(SOUND)}
    assert rows["GONGDIAN_DATA_KEY"] == "***"
    assert rows["GONGDIAN_REDIS_URL"] == ""
    assert rows["GONGDIAN_QUIET_HOURS"] == "21:30-08:00"
