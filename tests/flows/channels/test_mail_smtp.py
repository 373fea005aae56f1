"""The mail adapter against the sandbox's mail server: in this process, and as a process."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from devtools.wechat_sandbox.fixture import running_sandbox
from gongdian.adapters.mail_smtp import MailHost, SmtpMail
from gongdian.channels import MailAcceptance, MailSend, message_id_for, refusal_action
from gongdian.clock import SystemClock
from gongdian.errors import ConfigError, DeliveryError, OutcomeUnknownError, UpstreamError
from tests.fake_smtp import fake_smtp

ADDRESS = "li@example.cn"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def running():
    with running_sandbox(smtp_port=0, smtp_user="gd", smtp_password="geheim") as one:
        one.sandbox.add_phone("phone-1", "李女士", mail_address=ADDRESS)
        yield one


@pytest.fixture
def ca_file(running, tmp_path):
    path = tmp_path / "sink.pem"
    path.write_bytes(running.sandbox.channels.smtp.certificate.pem)
    return path


@pytest.fixture
def host(running, ca_file):
    return {
        "host": "127.0.0.1",
        "port": running.sandbox.channels.smtp.port,
        "sender": "notice@gd.example.cn",
        "sender_name": "云溪县供电公司",
        "reply_to": "desk@gd.example.cn",
        "user": "gd",
        "password": "geheim",
        "ca_file": str(ca_file),
        "timeout_s": 2.0,
    }


@pytest.fixture
def mail(host):
    adapter = SmtpMail(MailHost(**host), SystemClock())
    yield adapter
    adapter.close()


def _mail(key: str = "message-1", to: str = ADDRESS, text: str = "您好，\n应缴 86.40 元。\n"):
    return MailSend(
        to=to,
        to_name="李女士",
        subject="电费账单通知",
        text=text,
        message_id=message_id_for(key, "gd.example.cn"),
    )


def _faults(running):
    return running.sandbox.faults


def _shown(running):
    return running.sandbox.phone("phone-1").mails()


def test_a_mail_arrives_encrypted_and_logged_in(running, mail):
    accepted = mail.send(_mail())
    (shown,) = _shown(running)
    assert (shown["title"], shown["text"]) == ("电费账单通知", "您好，\n应缴 86.40 元。\n")
    assert shown["extra"]["message_id"] == accepted.message_id == _mail().message_id
    assert shown["extra"]["from"] == "云溪县供电公司 <notice@gd.example.cn>"
    assert shown["extra"]["list_unsubscribe"].startswith("<mailto:desk@gd.example.cn")
    assert shown["extra"]["queue_number"] in accepted.reply


def test_lines_that_begin_with_a_dot_arrive_whole(running, mail):
    mail.send(_mail(text=".\n..\n.bye\n"))
    assert _shown(running)[0]["text"] == ".\n..\n.bye\n"


def test_a_repeated_mail_is_recognisable(running, mail):
    mail.send(_mail())
    mail.send(_mail())
    assert [one["duplicate"] for one in _shown(running)] == [False, True]


def test_one_connection_carries_several_mails_and_a_refusal_concerns_one_recipient(running, mail):
    # A second session would meet this fault.
    mail.send(_mail("first"))
    _faults(running).add("smtp_reply", "EHLO", next_n=9, status=451)
    ends = mail.send_batch(
        [_mail("a"), _mail("b", to="nobody@example.cn"), _mail("c", to="no address"), _mail("d")]
    )
    assert [isinstance(end, MailAcceptance) for end in ends] == [True, False, False, True]
    assert ends[1].code == "smtp_550_5.1.1"
    assert ends[1].permanent
    assert refusal_action(ends[1]) == "reject_recipient"
    assert "nobody" not in str(ends[1])
    assert refusal_action(ends[2]) == "reject_recipient"
    assert len(_shown(running)) == 3


@pytest.mark.parametrize(
    ("scope", "status", "errmsg", "action"),
    [
        ("MAIL", 451, "4.3.0 busy", "retry_later"),
        ("RCPT", 450, "4.2.0 greylisted", "retry_later"),
        ("RCPT", 550, "5.1.1 unknown", "reject_recipient"),
        ("RCPT", 554, "5.7.1 relaying denied", "reject_message"),
        ("RCPT", 552, "5.2.2 mailbox full", "reject_message"),
        ("DATA", 452, "4.3.1 full", "retry_later"),
        ("CONTENT", 451, "4.3.0 busy", "retry_later"),
        ("CONTENT", 421, "4.3.0 closing", "retry_later"),
        ("CONTENT", 554, "5.6.0 malformed", "reject_message"),
        ("CONTENT", 550, "5.7.23 SPF failed", "reject_message"),
    ],
)
def test_a_refusal_is_told_and_the_next_mail_goes_out(running, mail, scope, status, errmsg, action):
    _faults(running).add("smtp_reply", scope, next_n=1, status=status, errmsg=errmsg)
    with pytest.raises(DeliveryError) as caught:
        mail.send(_mail("a"))
    assert refusal_action(caught.value) == action
    assert _shown(running) == []
    mail.send(_mail("b"))
    assert len(_shown(running)) == 1


@pytest.mark.parametrize("acts", [False, True])
def test_a_connection_that_drops_after_the_content_leaves_the_outcome_unknown(running, mail, acts):
    _faults(running).add("smtp_drop", "CONTENT", next_n=1, acts=acts)
    with pytest.raises(OutcomeUnknownError):
        mail.send(_mail())
    assert len(_shown(running)) == acts
    mail.send(_mail("b"))


def test_a_server_that_is_slow_after_the_content_leaves_the_outcome_unknown(running, host):
    adapter = SmtpMail(MailHost(**host | {"timeout_s": 0.3}), SystemClock())
    _faults(running).add("smtp_slow", "CONTENT", next_n=1, seconds=1.0)
    with pytest.raises(OutcomeUnknownError):
        adapter.send(_mail())
    adapter.close()


def test_a_server_that_is_slow_at_every_step_is_left_in_time(running, host):
    adapter = SmtpMail(MailHost(**host | {"total_s": 0.5}), SystemClock())
    _faults(running).add("smtp_slow", next_n=20, seconds=0.2)
    started = time.monotonic()
    with pytest.raises(UpstreamError) as caught:
        adapter.send(_mail())
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert time.monotonic() - started < 3.0
    assert _shown(running) == []


@pytest.mark.parametrize("scope", ["MAIL", "RCPT", "DATA"])
def test_a_connection_that_drops_before_the_content_means_not_sent(running, mail, scope):
    _faults(running).add("smtp_drop", scope, next_n=1)
    with pytest.raises(UpstreamError) as caught:
        mail.send(_mail())
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert _shown(running) == []


@pytest.mark.parametrize(
    ("command", "answer", "is_doubtful", "taken"),
    [
        ("DATA", "250 fine", False, 0),
        ("DATA", "334 go", False, 0),
        ("DATA", "150 wait", False, 0),
        ("MAIL", "354 go on", False, 0),
        ("RCPT", "354 go on", False, 0),
        ("RCPT", "700 what", False, 0),
        ("CONTENT", "354 go on", True, 1),
        ("CONTENT", "nonsense", True, 1),
    ],
)
def test_an_answer_that_does_not_belong_there_ends_the_session(command, answer, is_doubtful, taken):
    with fake_smtp(says={command: answer}) as server:
        adapter = SmtpMail(
            MailHost("127.0.0.1", server.port, "notice@gd.example.cn", starttls=False),
            SystemClock(),
        )
        with pytest.raises(UpstreamError) as caught:
            adapter.send(_mail(text="RCPT TO:<x@example.cn>\n"))
        adapter.close()
    assert isinstance(caught.value, OutcomeUnknownError) is is_doubtful
    assert len(server.raw) == taken
    assert server.receivers in ([], [f"<{ADDRESS}>"])


@pytest.mark.parametrize("kind", ["smtp_drop", "smtp_reply"])
def test_a_kept_connection_that_the_server_closed_is_replaced_unnoticed(running, mail, kind):
    mail.send(_mail("a"))
    _faults(running).add(kind, "MAIL", next_n=1, status=421, errmsg="4.4.2 idle too long")
    mail.send(_mail("b"))
    assert len(_shown(running)) == 2


def test_a_wrong_password_stops_the_channel_and_ends_the_batch(running, host):
    adapter = SmtpMail(MailHost(**host | {"password": "falsch"}), SystemClock())
    ends = adapter.send_batch([_mail("a"), _mail("b")])
    assert [end.code for end in ends] == ["smtp_535_5.7.8"] * 2
    assert refusal_action(ends[0]) == "stop_channel"


def test_a_certificate_that_nobody_vouches_for_is_refused(running, host):
    adapter = SmtpMail(MailHost(**host | {"ca_file": ""}), SystemClock())
    with pytest.raises(DeliveryError) as caught:
        adapter.send(_mail())
    assert caught.value.code == "mail_no_tls"
    assert refusal_action(caught.value) == "stop_channel"


def test_a_server_without_encryption_is_not_spoken_to(running, mail):
    running.sandbox.change(smtp_starttls=False)
    with pytest.raises(DeliveryError) as caught:
        mail.send(_mail())
    assert caught.value.code == "mail_no_tls"


@pytest.mark.parametrize(("status", "action"), [(421, "retry_later"), (554, "stop_channel")])
def test_a_server_that_greets_with_a_refusal_is_left(running, mail, status, action):
    _faults(running).add("smtp_reply", "CONNECT", next_n=1, status=status)
    with pytest.raises(DeliveryError) as caught:
        mail.send(_mail())
    assert refusal_action(caught.value) == action


def test_a_server_that_is_not_there_was_surely_not_asked(host):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        adapter = SmtpMail(MailHost(**host | {"port": closed.getsockname()[1]}), SystemClock())
        ends = adapter.send_batch([_mail("a"), _mail("b")])
    assert [end.code for end in ends] == ["mail_unreachable"] * 2
    assert not isinstance(ends[0], OutcomeUnknownError)


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "秘密"},
        {"sender": "no address"},
        {"host": ""},
        {"ca_file": "/no/such/file.pem"},
        {"ca_file": __file__},
    ],
)
def test_a_server_that_can_never_work_is_refused_at_the_start(wrong):
    right = {"host": "127.0.0.1", "port": 25, "sender": "notice@gd.example.cn"}
    with pytest.raises(ConfigError):
        SmtpMail(MailHost(**right | wrong), SystemClock())


def test_threads_share_the_adapter(running, mail):
    def send(name: str) -> None:
        for number in range(5):
            mail.send(_mail(f"{name}-{number}"))

    threads = [threading.Thread(target=send, args=(f"t{one}",)) for one in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shown = _shown(running)
    assert len({one["extra"]["message_id"] for one in shown}) == len(shown) == 30


def test_mail_goes_to_a_mail_server_in_another_process(tmp_path):
    certificate = tmp_path / "sink.pem"
    command = [sys.executable, "-m", "devtools.wechat_sandbox", "--port", "0", "--smtp-port", "0"]
    command += ["--smtp-user", "gd", "--smtp-password", "p", "--smtp-certificate", certificate]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        try:
            base_url = program.stdout.readline().split()[-1]
            name, _, port = program.stdout.readline().split()[-1].rpartition(":")
            phone = json.dumps({"openid": "phone-1", "mail_address": ADDRESS}).encode()
            urllib.request.urlopen(f"{base_url}/sandbox/phones", phone).close()
            adapter = SmtpMail(
                MailHost(
                    host=name,
                    port=int(port),
                    sender="notice@gd.example.cn",
                    user="gd",
                    password="p",
                    ca_file=str(certificate),
                ),
                SystemClock(),
            )
            ends = adapter.send_batch([_mail("a"), _mail("b", to="nobody@example.cn"), _mail("c")])
            with urllib.request.urlopen(f"{base_url}/inbox?openid=phone-1") as answer:
                items = json.load(answer)["items"]
            program.kill()
            program.wait()
            late = adapter.send_batch([_mail("d")])
        finally:
            program.kill()
    assert [isinstance(end, MailAcceptance) for end in ends] == [True, False, True]
    assert [one["kind"] for one in items] == ["mail", "mail"]
    assert isinstance(late[0], UpstreamError)
    assert not isinstance(late[0], OutcomeUnknownError)
