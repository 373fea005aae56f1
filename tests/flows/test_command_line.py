"""The command line as operators use it: real processes over a real database file."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from gongdian.audit import audit_rows, seal_audit
from gongdian.clock import SystemClock
from gongdian.db import Database
from gongdian.local_keys import with_local_keys
from gongdian.migrations.upgrade import upgrade_database
from gongdian.outbox.model import SendingPolicy, Stop
from gongdian.outbox.switches import standing_stops, stop_sending
from gongdian.privacy import DataKeys, install_keys
from gongdian.settings import Settings
from server.arguments import build_parser
from tests.factories import accepted, claim, queue, receipt, refused, report, row_of, settle

ROOT = Path(__file__).parents[2]
KEY = "arrears:9900001203457:one#1:c1"


@dataclass(frozen=True)
class Place:
    """An installation in a folder, and its command line."""

    folder: Path
    database: Database
    settings: Settings

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "server", *arguments],
            cwd=ROOT,
            env=self.environment(settings),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def environment(self, settings: dict[str, str]) -> dict[str, str]:
        kept = {n: v for n, v in os.environ.items() if not n.startswith("GONGDIAN_")}
        given = {"data_dir": str(self.folder), **settings}
        return {**kept, **{f"GONGDIAN_{name.upper()}": value for name, value in given.items()}}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A migrated demo installation, its keys installed here too."""
    settings = with_local_keys(Settings(data_dir=str(tmp_path)))
    install_keys(DataKeys(settings.data_key, settings.index_key))
    database = Database(settings.database)
    upgrade_database(database)
    return Place(tmp_path, database, settings)


def test_migrate_makes_a_database_that_commands_can_use(tmp_path: Path) -> None:
    place = Place(tmp_path, Database(f"sqlite:///{tmp_path / 'gongdian.db'}"), Settings())
    first = place.run("migrate")
    assert (first.returncode, first.stderr) == (0, "")
    assert "数据库已是最新结构" in first.stdout
    counts = place.run("message", "counts")
    assert counts.returncode == 0
    assert "待发送\tqueued\t0" in counts.stdout


def test_before_migrating_commands_say_what_is_wrong(tmp_path: Path) -> None:
    place = Place(tmp_path, Database(f"sqlite:///{tmp_path / 'gongdian.db'}"), Settings())
    answer = place.run("message", "counts")
    assert answer.returncode in (1, 2)
    assert "Traceback" not in answer.stderr


def test_show_prints_attempt_errcode_rid_and_receipt(place: Place) -> None:
    now = SystemClock().now() - timedelta(hours=1)
    queue(place.database, now)
    [claimed] = claim(place.database, now)
    settle(place.database, now, (claimed, refused(-1)))
    later = row_of(place.database, KEY).not_before
    [claimed] = claim(place.database, later)
    settle(place.database, later, (claimed, accepted("77")))
    report(place.database, receipt("77", later + timedelta(seconds=3)))
    answer = place.run("message", "show", KEY)
    assert (answer.returncode, answer.stderr) == (0, "")
    for expected in (
        "电费账单（arrears_bill） 状态：已到达手机（delivered）",
        "户名：云溪恒源铸造有限公司",
        "MsgID 77",
        "平台拒绝  微信  errcode=-1  rid=aa-bb",
        "平台已受理  微信  rid=aa-bb",
        "平台回执  success",
    ):
        assert expected in answer.stdout, answer.stdout
    assert place.run("message", "show", KEY, "--by", "chen").returncode == 0
    with place.database.read() as session:
        viewed = [
            row
            for row in session.execute(select(audit_rows).order_by(audit_rows.c.id))
            if row.action == "outbox:message:viewed"
        ]
    assert [row.subject for row in viewed] == [KEY, KEY]
    assert viewed[1].actor == "chen"


def test_an_unknown_key_is_told(place: Place) -> None:
    for command in (
        ("show", "a:b:c:d"),
        ("hold", "a:b:c:d", "--reason", "r", "--by", "chen"),
        ("withdraw", "a:b:c:d", "--reason", "r", "--by", "chen"),
    ):
        answer = place.run("message", *command)
        assert (answer.returncode, answer.stdout) == (1, "")
        assert "no message has this key" in answer.stderr


def test_a_message_is_held_released_and_withdrawn(place: Place) -> None:
    queue(place.database, SystemClock().now())
    by = ("--by", "chen")
    held = place.run("message", "hold", KEY, "--hours", "2", "--reason", "核对", *by)
    assert (held.returncode, held.stdout) == (0, "已处理 1 条\n")
    row = row_of(place.database, KEY)
    assert row.state == "held"
    assert row.held_until is not None
    assert place.run("message", "release", KEY, *by).returncode == 0
    assert row_of(place.database, KEY).state == "queued"
    assert place.run("message", "withdraw", KEY, "--reason", "已缴", *by).returncode == 0
    assert row_of(place.database, KEY).state == "withdrawn"
    again = place.run("message", "withdraw", KEY, "--reason", "已缴", *by)
    assert (again.returncode, again.stdout[:9]) == (1, "没有可处理的消息：")


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf", "1e99", "two"])
def test_a_hold_of_no_sensible_length_is_refused(hours: str) -> None:
    arguments = ["message", "hold", KEY, f"--hours={hours}", "--reason", "r", "--by", "x"]
    with pytest.raises(SystemExit, match="2"):
        build_parser().parse_args(arguments)


def test_withdrawing_what_is_being_sent_is_said_and_audited(place: Place) -> None:
    now = SystemClock().now()
    queue(place.database, now)
    claim(place.database, now)
    answer = place.run("message", "withdraw", KEY, "--reason", "已缴", "--by", "chen")
    assert answer.returncode == 0
    assert "正在发送" in answer.stdout
    assert row_of(place.database, KEY).withdraw_requested
    verified = place.run("audit", "verify")
    assert "待封存 1 条" in verified.stdout


def test_the_switch_stops_shows_and_starts(place: Place) -> None:
    assert "正常发送" in place.run("sending", "status").stdout
    stopped = place.run("sending", "stop", "--reason", "电价有误", "--by", "chen")
    assert stopped.returncode == 0
    assert "sending\t直到 人工恢复\t电价有误" in place.run("sending", "status").stdout
    assert place.run("sending", "start", "--by", "chen").returncode == 0
    assert place.run("sending", "start", "--by", "chen").returncode == 1


@pytest.mark.parametrize(
    "name",
    [
        "chanel:oops",
        "",
        "SENDING",
        "channel:wechat_template",
        "channel:sms:wxdemo0000000001",  # this installation sends none
        "channel:wechat_template:wx0000000000000000",
        "kind:wxdemo0000000001:no_such_kind",
        "kind:wx0000000000000000:arrears_bill",
        "kind:sms:wxdemo0000000001:arrears_bill",
    ],
)
def test_a_stop_of_something_that_is_not_there_lists_what_can_be_stopped(
    place: Place, name: str
) -> None:
    answer = place.run("sending", "stop", "--name", name, "--reason", "r", "--by", "chen")
    assert (answer.returncode, answer.stdout) == (1, "")
    for expected in (
        f"没有停发，因为没有这个名称：{name}\n",
        "sending\t全部发送",
        "channel:wechat_template:wxdemo0000000001\t微信",
        "kind:wxdemo0000000001:种类\t",
        "kind:wechat_template:wxdemo0000000001:种类\t",
        "arrears_bill\t电费账单",
    ):
        assert expected in answer.stderr
    assert "短信" not in answer.stderr
    assert "正常发送" in place.run("sending", "status").stdout


@pytest.mark.parametrize(
    "name",
    [
        "channel:wechat_template:wxdemo0000000001",
        "kind:wxdemo0000000001:arrears_bill",
        "kind:wechat_template:wxdemo0000000001:arrears_bill",
    ],
)
def test_a_channel_or_a_kind_is_stopped_by_the_name_that_the_outbox_asks_for(
    place: Place, name: str
) -> None:
    now = SystemClock().now()
    queue(place.database, now)
    given = ("--name", name, "--reason", "模板有误", "--by", "chen")
    assert place.run("sending", "stop", *given).returncode == 0
    with place.database.read() as session:
        stops = standing_stops(session, now)
    policy = SendingPolicy("wxdemo0000000001")
    assert claim(place.database, now, policy=policy, stops=stops) == []
    assert len(claim(place.database, now, policy=policy)) == 1


def test_text_messages_are_stopped_where_they_are_sent(place: Place) -> None:
    sms = {"sms_access_key_id": "k", "sms_access_key_secret": "s", "sms_sign_name": "云溪供电"}
    by = ("--reason", "r", "--by", "chen")
    for name in ("channel:sms:wxdemo0000000001", "kind:sms:wxdemo0000000001:arrears_bill"):
        assert place.run("sending", "stop", "--name", name, *by, **sms).returncode == 0


def test_starting_what_is_not_stopped_says_so_and_what_is(place: Place) -> None:
    by = ("--by", "chen")
    place.run("sending", "stop", "--reason", "r", *by)
    answer = place.run("sending", "start", "--name", "chanel:oops", *by)
    assert answer.returncode == 1
    assert answer.stdout == "没有这个停发：chanel:oops；正在停发：sending\n"
    past = SystemClock().now() - timedelta(minutes=1)
    over = Stop("channel:wechat_template:wxdemo0000000001", "r", past)
    place.database.run(lambda s: stop_sending(s, over, "relay", past - timedelta(minutes=1)))
    answer = place.run("sending", "start", "--name", over.name, *by)
    assert (answer.returncode, answer.stdout[:6]) == (1, "没有这个停发")


def test_audit_verify_tells_sound_from_tampered(place: Place) -> None:
    place.run("sending", "stop", "--reason", "电价有误", "--by", "chen")
    _, head = place.database.run(lambda s: seal_audit(s, place.settings.audit_key))
    sound = place.run("audit", "verify", "--head", head.hex())
    assert (sound.returncode, sound.stdout.splitlines()[-1]) == (0, "审计链完整")
    place.database.run(lambda s: s.execute(update(audit_rows).values(actor="li")))
    tampered = place.run("audit", "verify")
    assert (tampered.returncode, tampered.stdout.splitlines()[-1]) == (1, "审计链不完整")
    assert "发现问题" in tampered.stdout


def test_config_hides_secrets_and_names_what_is_wrong(place: Place) -> None:
    answer = place.run("config", wechat_secret="s3cr3t-value", profile="company")
    assert answer.returncode == 1
    assert "s3cr3t-value" not in answer.stdout
    assert "GONGDIAN_WECHAT_SECRET\t***" in answer.stdout
    assert "E102\t" in answer.stdout
    assert place.run("config").returncode == 0


@pytest.mark.parametrize("command", [("worker",), ("web",)])
def test_production_refuses_to_start_with_the_list_of_findings(
    place: Place, command: tuple[str, ...]
) -> None:
    answer = place.run(*command, profile="company", debug="true")
    assert (answer.returncode, answer.stdout) == (2, "")
    for code in ("E101", "E102", "E105", "E106", "E107", "E108"):
        assert code in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    "settings",
    [{"no_such": "1"}, {"debug": "yes"}, {"database_url": "nonsense"}],
)
def test_a_wrong_setting_is_named_without_a_traceback(
    place: Place, settings: dict[str, str]
) -> None:
    answer = place.run("message", "counts", **settings)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("设置有误 ")


def test_a_reader_that_goes_away_leaves_no_traceback(place: Place) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "config"],
        cwd=ROOT,
        env=place.environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=30) == 0
