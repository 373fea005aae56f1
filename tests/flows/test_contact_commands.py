"""The commands about contacts: what clerks see and write, and what the audit keeps of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from devtools.demo.stage import Stage
from gongdian.accounts.channels import fallback_steps, mark_channel_refused
from gongdian.accounts.model import DecideConsent
from gongdian.accounts.preferences import switch_channel
from gongdian.accounts.service import decide_consent, follow, leave, meet_contact
from gongdian.audit import audit_rows
from gongdian.db import Session
from gongdian.errors import ConflictError, GongdianError, InputError, NotFoundError
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.model import RecipientRefused
from server.arguments import build_parser
from tests.factories import openid

PHONE, MAIL = "13800001111", "li@example.com"
SET = ("accounts:channel:set", "王工")

Run = Callable[..., str]


@pytest.fixture
def stage(start_stage: Callable[..., Stage]) -> Stage:
    return start_stage(with_worker=False)


@pytest.fixture
def number(stage: Stage) -> str:
    """A contact who follows and has agreed."""

    def work(session: Session) -> str:
        now = stage.clock.now()
        contact = follow(session, stage.house.account, openid(1), "", now)
        decide_consent(session, DecideConsent(contact.id, "v1", "d", True, "test"), now)
        return contact.number

    return stage.house.database.run(work)


@pytest.fixture
def run(stage: Stage, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``contact …``; returns what it prints."""

    def command(*words: str, returns: int = 0) -> str:
        options = build_parser().parse_args(["contact", *words])
        assert options.work(stage.house.settings, options) == returns
        return capsys.readouterr().out

    return command


def audited(stage: Stage) -> list[tuple[str, str]]:
    with stage.house.database.read() as session:
        rows = session.execute(select(audit_rows).order_by(audit_rows.c.id)).all()
    for row in rows:
        assert PHONE not in row.details + row.subject
        assert "example.com" not in row.details + row.subject
    return [(row.action, row.actor) for row in rows if row.action != "accounts:consent:agreed"]


def steps(stage: Stage, number: str) -> list[tuple[str, str, timedelta | None]]:
    with stage.house.database.read() as session:
        found = fallback_steps(session, int(number[1:]))
    return [(step.channel, step.address, step.wait) for step in found]


def test_a_contact_is_shown_with_masked_addresses_and_who_looked(
    stage: Stage, number: str, run: Run
) -> None:
    assert "没有登记其他渠道" in run("show", number, "--by", "李工")
    run("channel", number, "sms", PHONE, "--by", "王工")
    run("channel", number, "mail", MAIL, "--by", "王工", "--wait-minutes", "45")

    shown = run("show", number)

    assert "状态：已关注（following）" in shown
    assert "授权：已同意 版本v1 2026-11-23 10:00" in shown
    assert "短信\t138****1111\t开启\t微信未送达就发" in shown
    assert "邮件\tl***@example.com\t开启\t等45分钟" in shown
    assert PHONE not in shown
    assert MAIL not in shown
    viewed, *_, again = audited(stage)
    assert viewed == ("accounts:contact:viewed", "李工")
    assert again[0] == "accounts:contact:viewed"
    assert again[1]


def test_addresses_are_registered_moved_and_removed(stage: Stage, number: str, run: Run) -> None:
    assert "已登记" in run("channel", number, "sms", PHONE, "--by", "王工")
    assert "没有变化" in run("channel", number, "sms", PHONE, "--by", "王工")
    run("channel", number, "mail", MAIL, "--position", "1", "--wait-minutes", "5", "--by", "王工")
    assert steps(stage, number) == [("mail", MAIL, timedelta(minutes=5)), ("sms", PHONE, None)]

    assert "已删除" in run("channel", number, "mail", "--remove", "--by", "王工")
    assert "没有登记过" in run("channel", number, "mail", "--remove", "--by", "王工", returns=1)

    assert steps(stage, number) == [("sms", PHONE, None)]
    assert audited(stage) == [SET, SET, ("accounts:channel:removed", "王工")]


def test_what_the_customer_turned_off_or_a_network_refused_is_told(
    stage: Stage, number: str, run: Run
) -> None:
    now, contact_id = stage.clock.now(), int(number[1:])
    run("channel", number, "sms", PHONE, "--by", "王工")
    run("channel", number, "mail", MAIL, "--by", "王工")
    refused = RecipientRefused(stage.house.account, address_hash(PHONE), "empty_number")

    def work(session: Session) -> None:
        switch_channel(session, contact_id, "mail", "wechat", now, is_on=False)
        mark_channel_refused(session, refused, now)

    stage.house.database.run(work)

    shown = run("show", number)
    assert "138****1111\t被拒收，已停用（empty_number）" in shown
    assert "l***@example.com\t客户已关闭" in shown
    assert "客户已关闭" in run("channel", number, "mail", "li.na@example.com", "--by", "王工")
    assert "138****1111\t开启" in run("channel", number, "sms", PHONE, "--by", "王工")


def test_a_channel_that_the_installation_lacks_is_told(
    start_stage: Callable[..., Stage], capsys: pytest.CaptureFixture[str]
) -> None:
    stage = start_stage(with_worker=False, mail_from="")
    contact = stage.house.database.run(
        lambda s: meet_contact(s, stage.house.account, openid(1), stage.clock.now())
    )
    words = ["contact", "channel", contact.number, "mail", MAIL, "--by", "王工"]
    options = build_parser().parse_args(words)

    assert options.work(stage.house.settings, options) == 0
    assert "本系统没有设置这个渠道" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "field", "why"),
    [
        (("sms", "1380000111"), "sms ADDRESS", "11 digits, this has 10"),
        (("sms", "12800001111"), "sms ADDRESS", "begins with 13 to 19"),
        (("mail", "li@example.com\n"), "mail ADDRESS", "no control character"),
        (("mail", "li"), "mail ADDRESS", "holds one @"),
        (("sms",), "'ADDRESS'", "give an address, or --remove"),
        (("sms", PHONE, "--remove"), "'ADDRESS'", "does not go with --remove"),
        (("sms", "--remove", "--position", "1"), "--position", "does not go with --remove"),
        (("sms", "--remove", "--wait-minutes", "1"), "--wait-minutes", "does not go with"),
    ],
)
def test_wrong_words_name_the_field_and_change_nothing(
    stage: Stage, number: str, run: Run, words: tuple[str, ...], field: str, why: str
) -> None:
    with pytest.raises(InputError) as caught:
        run("channel", number, *words, "--by", "王工")

    told = str(caught.value)
    assert field in told
    assert why in told
    assert len(words) < 2 or words[1].startswith("--") or words[1] not in told
    assert steps(stage, number) == []
    assert audited(stage) == []


@pytest.mark.parametrize(
    "words",
    [
        ("c1", "fax", PHONE, "--by", "王工"),
        ("c1", "sms", PHONE),
        ("c1", "sms", PHONE, "--by", "王工", "--position", "0"),
        ("c1", "sms", PHONE, "--by", "王工", "--position", "x"),
        ("c1", "sms", PHONE, "--by", "王工", "--wait-minutes", "0"),
        ("c1", "sms", PHONE, "--by", "王工", "--wait-minutes", "10081"),
    ],
)
def test_senseless_words_are_refused_by_the_parser(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(["contact", "channel", *words])
    assert caught.value.code == 2


@pytest.mark.parametrize("number", ["", "12", "c", "c0", "C1", "c1 ", "c１", "c" + "9" * 30, "c-1"])  # noqa: RUF001
def test_what_is_no_number_of_a_contact_is_said(run: Run, number: str) -> None:
    for words in (("show", number), ("channel", number, "sms", PHONE, "--by", "王工")):
        with pytest.raises(InputError, match="NUMBER"):
            run(*words)


def test_strangers_and_those_who_left(stage: Stage, number: str, run: Run) -> None:
    now, database = stage.clock.now(), stage.house.database
    other = database.run(lambda s: meet_contact(s, "wxother", openid(2), now)).number
    for unknown in ("c99", other):
        for words in (("show", unknown), ("channel", unknown, "sms", PHONE, "--by", "王工")):
            with pytest.raises(NotFoundError):
                run(*words)
    run("channel", number, "sms", PHONE, "--by", "王工")
    database.run(lambda s: leave(s, stage.house.account, openid(1), now))

    shown = run("show", number)
    assert "已取消关注" in shown
    assert "没有登记其他渠道" in shown
    with pytest.raises(ConflictError, match="nothing of them is kept"):
        run("channel", number, "sms", PHONE, "--by", "王工")
    with pytest.raises(GongdianError, match="nothing of them is kept"):
        run("channel", number, "sms", "--remove", "--by", "王工")
