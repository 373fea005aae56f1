"""The sandbox's mail server: it keeps to the protocol and outlives any client."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl

import pytest

from devtools.wechat_sandbox.fixture import running_sandbox


@pytest.fixture
def running():
    with running_sandbox(smtp_port=0) as one:
        one.sandbox.add_phone("phone-1", mail_address="Li@example.cn")
        yield one


@pytest.fixture
def client(running):
    with smtplib.SMTP("127.0.0.1", running.sandbox.channels.smtp.port, timeout=5) as smtp:
        yield smtp


def test_commands_out_of_order_are_refused(client):
    assert client.docmd("RCPT", "TO:<li@example.cn>")[0] == 503
    assert client.docmd("DATA")[0] == 503
    assert client.docmd("MAIL", "FROM:<a@b.cn>")[0] == 250
    assert client.docmd("MAIL", "FROM:<a@b.cn>")[0] == 503
    assert client.docmd("VRFY", "li")[0] == 502
    assert client.rset()[0] == 250
    assert client.docmd("RCPT", "TO:<li@example.cn>")[0] == 503


@pytest.mark.parametrize("path", ["FROM:a@b.cn", "TO:<a@b.cn>", "FROM:<a b@c>", ""])
def test_a_sender_that_is_no_path_is_refused(client, path):
    assert client.docmd("MAIL", path)[0] == 501


def test_a_mailbox_is_found_whatever_its_case(running, client):
    client.sendmail("a@b.cn", ["LI@EXAMPLE.CN"], "Subject: hello\r\n\r\ntext\r\n")
    (shown,) = running.sandbox.phone("phone-1").mails()
    assert (shown["title"], shown["text"]) == ("hello", "text\n")


def test_login_is_not_possible_before_encryption(running):
    running.sandbox.change(smtp_user="gd", smtp_password="p")
    with smtplib.SMTP("127.0.0.1", running.sandbox.channels.smtp.port, timeout=5) as smtp:
        smtp.ehlo()
        assert "auth" not in smtp.esmtp_features
        assert smtp.docmd("AUTH", "PLAIN AGdkAHA=")[0] == 538
        assert smtp.docmd("MAIL", "FROM:<a@b.cn>")[0] == 530
        context = ssl.create_default_context(
            cadata=running.sandbox.channels.smtp.certificate.pem.decode()
        )
        smtp.starttls(context=context)
        smtp.ehlo()
        assert "starttls" not in smtp.esmtp_features
        assert smtp.docmd("AUTH", "PLAIN !!!")[0] == 501
        assert smtp.docmd("AUTH", "CRAM-MD5")[0] == 504
        smtp.login("gd", "p")


def test_what_was_sent_before_encryption_is_forgotten(running):
    # A command put behind STARTTLS in clear text must not be obeyed inside TLS.
    address = ("127.0.0.1", running.sandbox.channels.smtp.port)
    with socket.create_connection(address, timeout=5) as plain:
        plain.recv(100)
        plain.sendall(b"STARTTLS\r\nMAIL FROM:<evil@example.cn>\r\n")
        assert plain.recv(100).startswith(b"220")
        context = ssl.create_default_context(
            cadata=running.sandbox.channels.smtp.certificate.pem.decode()
        )
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            secure.sendall(b"RCPT TO:<li@example.cn>\r\n")
            assert secure.recv(100).startswith(b"503")


@pytest.mark.parametrize(
    "noise",
    [b"\x00" * 100, b"A" * 10_000, b"EHLO x\r\nDATA\r\n", b"\r\n\r\n", b"\xff\xfe\r\n"],
    ids=["nulls", "long line", "early data", "empty lines", "no text"],
)
def test_noise_does_not_end_the_server(running, noise):
    address = ("127.0.0.1", running.sandbox.channels.smtp.port)
    with socket.create_connection(address, timeout=5) as raw, contextlib.suppress(OSError):
        raw.sendall(noise)
        raw.settimeout(0.1)
        raw.recv(1000)
    with smtplib.SMTP(*address, timeout=5) as smtp:
        assert smtp.noop()[0] == 250


def test_phones_keep_numbers_and_mailboxes_through_save_and_load(running):
    sandbox = running.sandbox
    sandbox.add_phone("phone-2", phone_number="13800138000")
    saved = sandbox.save()
    sandbox.reset()
    assert sandbox.phones.by_number("13800138000") is None
    sandbox.load(saved)
    assert sandbox.phones.by_number("13800138000").openid == "phone-2"
    assert sandbox.phones.by_mail("li@EXAMPLE.cn").openid == "phone-1"


def test_without_a_port_there_is_no_mail_server():
    with running_sandbox() as one:
        assert one.sandbox.channels.smtp is None
        assert one.sandbox.channels.mail_server() == {}
