"""Lengths of text messages, Message-IDs, addresses, and mails that carry no smuggled header."""

from __future__ import annotations

import email
import email.policy
import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gongdian.adapters.mail_content import mail_bytes
from gongdian.channels import (
    MailSend,
    is_mail_address,
    is_mobile,
    message_id_for,
    segments,
    signed_text,
)
from gongdian.errors import DeliveryError
from gongdian.privacy import DataKeys, install_keys

AT = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("length", "pieces"), [(0, 1), (1, 1), (70, 1), (71, 2), (134, 2), (135, 3), (201, 3), (202, 4)]
)
def test_seventy_characters_are_one_piece_and_then_sixty_seven_each(length, pieces):
    assert segments("电" * length) == pieces


def test_a_rare_character_takes_two_places():
    assert segments("𠮷" * 35) == 1
    assert segments("𠮷" * 35 + "电") == 2


def test_the_signature_counts():
    assert segments(signed_text("云溪供电", "电" * 64)) == 1
    assert segments(signed_text("云溪供电", "电" * 65)) == 2


@settings(deadline=None, database=None)
@given(st.text(max_size=400))
def test_more_text_never_takes_fewer_pieces(text):
    assert segments(text) <= segments(text + "电")


def test_a_message_id_is_the_same_for_the_same_key_only():
    first = message_id_for("arrears:2026-10:9900001203457", "mail.example.cn")
    assert first == message_id_for("arrears:2026-10:9900001203457", "mail.example.cn")
    assert first != message_id_for("arrears:2026-11:9900001203457", "mail.example.cn")
    assert "9900001203457" not in first


def test_a_message_id_cannot_be_guessed_from_the_key():
    key = "arrears:2026-10:9900001203457"
    first = message_id_for(key, "mail.example.cn")
    assert hashlib.sha256(key.encode()).hexdigest()[:32] not in first
    install_keys(DataKeys(current=b"k" * 32, index=b"j" * 32))
    assert message_id_for(key, "mail.example.cn") != first


@pytest.mark.parametrize(
    "address",
    ["a@b", "a.b+c@mail.example.cn", "o'neil@example.com", f"{'a' * 64}@example.com"],
)
def test_plain_addresses_are_taken(address):
    assert is_mail_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "a",
        "a@",
        "@b",
        "a@b@c",
        "a b@c",
        "a@b\n",
        "a@b\r\nBcc: x@y",
        "a..b@c",
        ".a@c",
        "张@c",
        "a@张",
        "a@-b",
        "a@b..c",
        "<a@b>",
        "a,b@c",
        f"{'a' * 65}@example.com",
    ],
)
def test_everything_else_is_no_address(address):
    assert not is_mail_address(address)


def test_mobile_numbers_have_eleven_digits():
    assert is_mobile("13800138000")
    assert not any(
        map(
            is_mobile, ["1380013800", "23800138000", "+8613800138000", "13800138\uff10\uff10\uff10"]
        )
    )


def _parsed(mail: MailSend, sender_name: str = "云溪县供电公司"):
    content = mail_bytes(mail, "notice@gd.example.cn", sender_name, "desk@gd.example.cn", AT)
    assert content.endswith(b"\r\n")
    return email.message_from_bytes(content, policy=email.policy.default)


def test_a_mail_reads_back_as_it_was_meant():
    mail = MailSend(
        to="li@example.cn",
        to_name="李四",
        subject="电费账单通知：2026年10月",
        text="您好，\n应缴 186452.37 元。\n",
        html="<p>应缴 186452.37 元</p>",
        message_id=message_id_for("key", "gd.example.cn"),
    )
    read = _parsed(mail)
    assert read["Subject"] == mail.subject
    assert read["From"].addresses[0].display_name == "云溪县供电公司"
    assert read["To"].addresses[0].display_name == "李四"
    assert read["To"].addresses[0].addr_spec == "li@example.cn"
    assert read["Reply-To"] == "desk@gd.example.cn"
    assert read["Message-ID"] == mail.message_id
    assert read["List-Unsubscribe"] == "<mailto:desk@gd.example.cn?subject=unsubscribe>"
    assert read["Date"].datetime == AT
    assert read.get_body(("plain",)).get_content().replace("\r\n", "\n") == mail.text
    assert read.get_body(("html",)).get_content().strip() == mail.html


@settings(deadline=None, database=None)
@given(st.text(max_size=80), st.text(max_size=40), st.text(max_size=40))
def test_no_subject_and_no_name_can_add_a_header_or_change_one(subject, to_name, sender_name):
    mail = MailSend("li@example.cn", subject, "正文", "<gd.1@gd.example.cn>", to_name=to_name)
    read = _parsed(mail, sender_name)
    assert sorted(read.keys()) == sorted(
        [
            *("Subject", "From", "To", "Reply-To", "Date", "Message-ID", "List-Unsubscribe"),
            *("Auto-Submitted", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
        ]
    )
    assert [one.addr_spec for one in read["To"].addresses] == ["li@example.cn"]
    assert [one.addr_spec for one in read["From"].addresses] == ["notice@gd.example.cn"]
    assert read.get_content().strip() == "正文"


@settings(deadline=None, database=None)
@given(st.text(max_size=40))
def test_an_address_that_is_none_is_refused_for_this_recipient_only(to):
    if is_mail_address(to):
        return
    with pytest.raises(DeliveryError) as caught:
        _parsed(MailSend(to, "题", "文", "<gd.1@gd.example.cn>"))
    assert caught.value.permanent
