"""Business keys, client message ids and tokens."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongdian.errors import InputError
from gongdian.ids import business_key, client_msg_id, new_token, token_digest

parts = st.from_regex(r"[A-Za-z0-9#._-]{1,40}", fullmatch=True)


def test_a_key_has_four_parts() -> None:
    assert business_key("arrears", "990001", "stage2#1", "c7") == "arrears:990001:stage2#1:c7"
    assert business_key("outage", "云溪 10kV 东线", "etr#3", "c7").count(":") == 3


@pytest.mark.parametrize("part", ["", " ", " a", "a ", "a:b", "a\nb", "a\n", "\ta", "a\x00"])
def test_a_part_that_would_blur_keys_is_refused_by_name(part: str) -> None:
    for position, name in enumerate(("flow", "subject", "occasion", "recipient")):
        given_parts = ["x", "x", "x", "x"]
        given_parts[position] = part
        with pytest.raises(InputError, match=f"bad_key_part.*{name}"):
            business_key(*given_parts)


def test_a_key_fits_its_column() -> None:
    assert len(business_key("f", "s" * 184, "o", "r")) == 190
    with pytest.raises(InputError, match="key_too_long"):
        business_key("f", "s" * 185, "o", "r")


@given(st.tuples(parts, parts, parts, parts), st.tuples(parts, parts, parts, parts))
def test_different_parts_make_different_keys(
    one: tuple[str, str, str, str], two: tuple[str, str, str, str]
) -> None:
    assert (business_key(*one) == business_key(*two)) == (one == two)


def test_a_client_message_id_is_always_the_same_for_a_key() -> None:
    first = client_msg_id("arrears:990001:stage2#1:c7")
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first == client_msg_id("arrears:990001:stage2#1:c7")
    assert first != client_msg_id("arrears:990001:stage2#1:c8")


def test_tokens_are_random_and_safe_in_addresses() -> None:
    tokens = {new_token() for _ in range(200)}
    assert len(tokens) == 200
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{16}", token) for token in tokens)
    assert len(token_digest(next(iter(tokens)))) == 32
    assert token_digest("a") != token_digest("b")
    token_digest("\ud800")  # what a visitor writes into the address must not crash
