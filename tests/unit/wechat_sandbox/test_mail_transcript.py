"""What is said to the mail server is seen in the traffic, a mail at a time, without passwords."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from devtools.wechat_sandbox.fixture import RunningSandbox, running_sandbox
from devtools.wechat_sandbox.inspector import describe, replay
from devtools.wechat_sandbox.refusals import ActionError

MAIL = "Subject: hello\r\n\r\ntext\r\n"


@pytest.fixture
def running() -> Iterator[RunningSandbox]:
    with running_sandbox(smtp_port=0, smtp_starttls=False) as one:
        one.sandbox.add_phone("phone-1", mail_address="li@example.cn")
        yield one


def connected(running: RunningSandbox) -> smtplib.SMTP:
    smtp = running.sandbox.channels.smtp
    assert smtp is not None
    return smtplib.SMTP(smtp.host, smtp.port, timeout=5)


def talks(running: RunningSandbox, count: int) -> list[dict[str, Any]]:
    end = time.monotonic() + 5
    while True:
        found = running.sandbox.traffic.entries()
        if len(found) >= count or time.monotonic() > end:
            return found
        time.sleep(0.01)


def test_each_mail_of_a_session_is_one_entry(running: RunningSandbox) -> None:
    with connected(running) as client:
        client.sendmail("a@b.cn", ["li@example.cn"], MAIL)
        client.sendmail("a@b.cn", ["li@example.cn"], MAIL)
    found = talks(running, 2)
    assert [(row["method"], row["status"], row["response"]) for row in found] == [
        ("SMTP", 250, "")
    ] * 2
    assert "C: rcpt TO:<li@example.cn>\nS: 250" in found[1]["request"]
    assert "Subject: hello" in found[1]["request"]
    shown = describe(running.sandbox, found[0]["number"])
    assert (shown["curl"], shown["is_whole"]) == ("", False)
    with pytest.raises(ActionError, match="not sent again"):
        replay(running.sandbox, found[0]["number"])


def test_a_bounce_is_told_with_its_line(running: RunningSandbox) -> None:
    with connected(running) as client, pytest.raises(smtplib.SMTPRecipientsRefused):
        client.sendmail("a@b.cn", ["nobody@example.cn"], MAIL)
    (row,) = talks(running, 1)
    assert row["status"] == 550
    assert row["response"].startswith("550 5.1.1 <nobody@example.cn>")


def test_a_refused_mail_and_the_next_one_are_two_entries(running: RunningSandbox) -> None:
    running.sandbox.faults.add("smtp_reply", "RCPT", status=451, errmsg="4.3.0 later", next_n=1)
    with connected(running) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("a@b.cn", ["li@example.cn"], MAIL)
        client.sendmail("a@b.cn", ["li@example.cn"], MAIL)
    found = talks(running, 2)
    assert [(row["status"], row["note"]) for row in found] == [
        (451, "fault smtp_reply"),
        (250, ""),
    ]


def test_a_fault_is_named_and_a_dropped_connection_has_no_answer(running: RunningSandbox) -> None:
    running.sandbox.faults.add("smtp_drop", "CONTENT", next_n=1)
    with pytest.raises(smtplib.SMTPServerDisconnected), connected(running) as client:
        client.sendmail("a@b.cn", ["li@example.cn"], MAIL)
    (row,) = talks(running, 1)
    assert (row["status"], row["note"]) == (0, "fault smtp_drop")


def test_passwords_are_not_kept(running: RunningSandbox) -> None:
    running.sandbox.change(smtp_user="gd", smtp_password="geheim")
    for method in ("auth_plain", "auth_login"):
        with connected(running) as client:
            client.ehlo()
            client.user, client.password = "gd", "geheim"
            client.auth(method[5:].upper(), getattr(client, method))
            client.sendmail("a@b.cn", ["li@example.cn"], MAIL)
    found = talks(running, 2)
    assert all("AUTH" in row["request"] and "***" in row["request"] for row in found)
    assert not any("Z2Vo" in row["request"] or "geheim" in row["request"] for row in found)
    assert not any("AGdk" in row["request"] for row in found)


def test_a_session_without_a_mail_leaves_nothing(running: RunningSandbox) -> None:
    with connected(running) as client:
        client.ehlo()
        client.noop()
    with connected(running) as client:
        client.sendmail("a@b.cn", ["li@example.cn"], MAIL)
    assert len(talks(running, 1)) == 1
