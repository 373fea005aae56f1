"""The commands of the office about bindings: what they show, decide and leave in the audit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from devtools.demo.stage import Stage
from gongdian.accounts.bindings import ask_resident_binding
from gongdian.accounts.company_bindings import ask_company_binding
from gongdian.accounts.messages import code_message_key
from gongdian.accounts.people import customers_of_contact
from gongdian.audit import audit_rows
from gongdian.errors import ConflictError, InputError, NotFoundError
from gongdian.outbox.tables import messages
from server.arguments import build_parser
from server.worker import Worker
from tests.account_factories import (
    COMPANY,
    FIRM,
    HOME,
    PHONE,
    a_customer,
    a_firm,
    a_follower,
    a_person,
    company_asks,
    put,
    resident_asks,
)

Run = Callable[..., str]
SECRETS = ("李敏", "13900002222", "授权书2026-11号", COMPANY)


@pytest.fixture
def stage(start_stage: Callable[..., Stage]) -> Stage:
    return start_stage(with_worker=False)


@pytest.fixture
def run(stage: Stage, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command of the office; returns what it prints."""

    def command(*words: str, returns: int = 0) -> str:
        options = build_parser().parse_args(list(words))
        assert options.work(stage.house.settings, options) == returns
        return capsys.readouterr().out

    return command


@pytest.fixture
def asked(stage: Stage) -> tuple[int, int]:
    """A company's request that waits: its number and its contact's."""
    database, now = stage.house.database, stage.clock.now()
    put(database, now, a_firm())
    contact = a_follower(database, now)
    command = company_asks(contact)
    return database.run(lambda s: ask_company_binding(s, command, now)), contact.id


def bound(stage: Stage, contact_id: int) -> list[str]:
    with stage.house.database.read() as session:
        return [one.customer_no for one in customers_of_contact(session, contact_id)]


def audited(stage: Stage) -> list[tuple[str, str, str]]:
    with stage.house.database.read() as session:
        rows = session.execute(select(audit_rows).order_by(audit_rows.c.id)).all()
    for row in rows:
        assert not any(secret in row.details + row.subject for secret in SECRETS)
    return [(row.action, row.actor, row.subject) for row in rows if "binding" in row.action]


def test_the_office_lists_masked_looks_audited_approves_and_removes(
    stage: Stage, run: Run, asked: tuple[int, int]
) -> None:
    request_id, contact_id = asked
    listed = run("binding", "list")
    assert f"{request_id}\t{FIRM}\t云*********\t城关供电所\tc{contact_id}" in listed
    assert "李* 139****2222" in listed
    assert not any(secret in listed for secret in SECRETS)

    shown = run("binding", "show", str(request_id), "--by", "王工")
    for word in (*SECRETS, "财务主管", "待审核"):
        assert word in shown

    assert "已通过" in run("binding", "approve", str(request_id), "--by", "王工", "--level", "2")
    assert bound(stage, contact_id) == [FIRM]
    assert run("binding", "list") == "没有待审核的申请\n"

    words = ("binding", "remove", FIRM, f"c{contact_id}", "--by", "李工")
    assert run(*words) == "已解除绑定\n"
    assert run(*words, returns=1) == "这个联系人没有绑定这个户号\n"
    assert bound(stage, contact_id) == []
    subject = f"c{contact_id}"
    assert audited(stage) == [
        ("accounts:binding:asked", "wechat", subject),
        ("accounts:binding:viewed", "王工", subject),
        ("accounts:binding:approved", "王工", subject),
        ("accounts:binding:bound", "王工", subject),
        ("accounts:binding:unbound", "李工", subject),
    ]


def test_a_refusal_carries_its_reason_and_erases_the_applicant(
    stage: Stage, run: Run, asked: tuple[int, int]
) -> None:
    request_id, contact_id = asked
    run("binding", "refuse", str(request_id), "--reason", "授权书没有盖章", "--by", "王工")
    shown = run("binding", "show", str(request_id), "--by", "王工")
    assert "未通过" in shown
    assert "资料已清除" in shown
    assert "原因：授权书没有盖章" in shown
    assert bound(stage, contact_id) == []


def test_what_stands_in_the_way_is_listed_and_said(
    stage: Stage, run: Run, asked: tuple[int, int]
) -> None:
    request_id, contact_id = asked
    put(stage.house.database, stage.clock.now(), a_firm(state="closed"))
    assert run("binding", "list") == "没有待审核的申请\n"
    now = stage.clock.now()
    other = a_follower(stage.house.database, now, 2)
    again = stage.house.database.run(lambda s: ask_company_binding(s, company_asks(other), now))
    assert "该户已销户" in run("binding", "list")
    with pytest.raises(ConflictError, match="closed"):
        run("binding", "approve", str(again), "--by", "王工")
    with pytest.raises(ConflictError, match="not_waiting"):
        run("binding", "refuse", str(request_id), "--reason", "已销户", "--by", "王工")
    assert bound(stage, contact_id) == []


def test_what_is_unknown_or_senseless_is_refused(stage: Stage, run: Run) -> None:
    with pytest.raises(NotFoundError):
        run("binding", "show", "99", "--by", "王工")
    with pytest.raises(InputError, match="CONTACT"):
        run("binding", "remove", FIRM, "12", "--by", "王工")
    for words in (
        ("show", "1"),
        ("show", "x", "--by", "王工"),
        ("refuse", "1", "--by", "王工"),
        ("approve", "1", "--by", "王工", "--level", "0"),
        ("remove", FIRM, "c1"),
    ):
        with pytest.raises(SystemExit):
            build_parser().parse_args(["binding", *words])


def test_a_code_is_shown_to_no_clerk(
    stage: Stage, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    database, now, outbox = stage.house.database, stage.clock.now(), stage.house.outbox
    put(database, now, a_customer(), a_person())
    contact = a_follower(database, now)
    asked = database.run(lambda s: ask_resident_binding(s, outbox, resident_asks(contact), now))
    key = code_message_key(asked.request_id, contact.id)
    with database.read() as session:
        content = session.execute(
            select(messages.c.content).where(messages.c.key == key)
        ).scalar_one()
    code = content["params"]["code"]

    shown = run("message", "show", key, "--by", "王工")

    assert "验证码******，用于把户号99*******5812绑定到微信" in shown
    assert code not in shown
    assert PHONE not in shown
    assert HOME not in shown
    assert code not in caplog.text


def test_the_worker_forgets_codes_that_are_too_old(start_stage: Callable[..., Stage]) -> None:
    stage = start_stage(with_worker=False)
    database, now, outbox = stage.house.database, stage.clock.now(), stage.house.outbox
    put(database, now, a_customer(), a_person())
    contact = a_follower(database, now)
    asked = database.run(lambda s: ask_resident_binding(s, outbox, resident_asks(contact), now))
    key = code_message_key(asked.request_id, contact.id)
    stage.move_clock(asked.expires_at - now)
    worker = Worker(stage.house)
    worker.start()
    try:

        def is_forgotten() -> bool:
            with database.read() as session:
                query = select(messages.c.content).where(messages.c.key == key)
                return "params" not in session.execute(query).scalar_one()

        assert stage.wait_for(is_forgotten, "the code to be forgotten")
    finally:
        worker.stop()
