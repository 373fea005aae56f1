"""Addresses that clerks type: what is one, why another is none, and how it is shown."""

from __future__ import annotations

import pytest

from gongdian.accounts.channels import address_problem
from gongdian.accounts.model import ContactChannel


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("sms", "13000000000"),
        ("sms", "19999999999"),
        ("mail", "li@example.com"),
        ("mail", "li.na+power@mail.example.com.cn"),
        ("mail", "a" * 64 + "@" + "b" * 60 + ".cn"),
        ("mail", "li@example.xn--fiqs8s"),
    ],
)
def test_addresses_are_taken(channel: str, address: str) -> None:
    assert address_problem(channel, address) == ""


@pytest.mark.parametrize(
    ("channel", "address", "why"),
    [
        ("sms", "", "digits only"),
        ("sms", "1380000111", "11 digits, this has 10"),
        ("sms", "138000011112", "11 digits, this has 12"),
        ("sms", "12800001111", "begins with 13 to 19"),
        ("sms", "23800001111", "begins with 13 to 19"),
        ("sms", "+8613800001111", "digits only"),
        ("sms", "138 0000 1111", "digits only"),
        ("sms", "１３８００００１１１１", "digits only"),  # noqa: RUF001
        ("sms", "13800001111\n", "digits only"),
        ("mail", "", "holds one @"),
        ("mail", "li", "holds one @"),
        ("mail", "li@a@example.com", "holds one @"),
        ("mail", "li @example.com", "no blank"),
        ("mail", "li@example.com\r\nBcc: x@example.com", "no control character"),
        ("mail", "li\x00@example.com", "no control character"),
        ("mail", "李@example.com", "only ASCII"),
        ("mail", "Li <li@example.com>", "no blank"),
        ("mail", "<li@example.com>", "plain mail address"),
        ("mail", ".li@example.com", "plain mail address"),
        ("mail", "li@-example.com", "plain mail address"),
        ("mail", "a" * 65 + "@example.com", "plain mail address"),
        ("mail", "li@" + "b." * 130 + "cn", "at most 254"),
        ("mail", "li@localhost", "such as .com"),
        ("mail", "li@10.0.0.1", "such as .com"),
        ("fax", "13800001111", "no such channel"),
    ],
)
def test_what_is_no_address_is_explained_without_repeating_it(
    channel: str, address: str, why: str
) -> None:
    problem = address_problem(channel, address)

    assert why in problem
    assert not address or address not in problem


@pytest.mark.parametrize(
    ("channel", "address", "shown"),
    [
        ("sms", "13800001111", "138****1111"),
        ("mail", "li@example.com", "l***@example.com"),
        ("mail", "l@example.com", "***@example.com"),
    ],
)
def test_an_address_is_shown_in_part_and_never_in_a_traceback(
    channel: str, address: str, shown: str
) -> None:
    one = ContactChannel(channel, address, True, "", None)

    assert one.masked == shown
    assert address not in repr(one)
