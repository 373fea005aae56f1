"""Sealing personal data and finding it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongdian.errors import ConfigError, InputError
from gongdian.privacy import DataKeys, blind_index, install_keys, seal, unseal

KEYS = DataKeys(current=b"k" * 32, index=b"i" * 32)


@pytest.fixture(autouse=True)
def _own_keys() -> Iterator[None]:
    install_keys(KEYS)
    yield
    install_keys(KEYS)


@given(st.binary(max_size=300))
def test_what_is_sealed_opens_again(plain: bytes) -> None:
    sealed = seal(plain, "contacts.openid")
    assert unseal(sealed, "contacts.openid") == plain
    assert seal(plain, "contacts.openid") != sealed, "equal values do not show as equal"


def test_a_value_opens_only_for_its_purpose() -> None:
    with pytest.raises(InputError, match="undecryptable"):
        unseal(seal(b"x", "contacts.openid"), "contacts.phone")


def test_a_damaged_or_cut_value_does_not_open() -> None:
    sealed = seal(b"hello", "p")
    for damaged in (*(sealed[:n] for n in range(len(sealed))), sealed[:-1] + b"?", sealed + b"?"):
        with pytest.raises(InputError, match="undecryptable"):
            unseal(damaged, "p")


def test_after_a_change_of_key_old_values_open_with_the_previous_one() -> None:
    sealed = seal(b"old", "p")
    install_keys(DataKeys(current=b"n" * 32, index=b"i" * 32, previous=b"k" * 32))
    assert unseal(sealed, "p") == b"old"
    assert seal(b"new", "p")[:1] != sealed[:1]
    install_keys(DataKeys(current=b"n" * 32, index=b"i" * 32))
    with pytest.raises(InputError):
        unseal(sealed, "p")


def test_two_keys_with_the_same_number_are_both_tried() -> None:
    import hashlib

    def number(key: bytes) -> int:
        return hashlib.sha256(b"gongdian key id" + key).digest()[0]

    candidates = (bytes([n, m]) * 16 for n in range(256) for m in range(256))
    twin = next(key for key in candidates if number(key) == number(b"k" * 32))
    sealed = seal(b"old", "p")
    install_keys(DataKeys(current=twin, index=b"i" * 32, previous=b"k" * 32))
    assert unseal(sealed, "p") == b"old"


def test_a_blind_index_finds_equal_values_of_one_purpose() -> None:
    assert blind_index("o1", "wechat.openid") == blind_index("o1", "wechat.openid")
    assert blind_index("o1", "wechat.openid") != blind_index("O1", "wechat.openid")
    assert blind_index("o1", "wechat.openid") != blind_index("o1", "phone")
    assert len(blind_index("", "phone")) == 32


def test_without_keys_nothing_is_sealed_and_keys_never_show() -> None:
    install_keys(DataKeys(current=b"", index=b""))
    with pytest.raises(ConfigError, match="no_data_key"):
        seal(b"x", "p")
    with pytest.raises(ConfigError, match="no_index_key"):
        blind_index("x", "p")
    assert "kkkk" not in repr(KEYS)
