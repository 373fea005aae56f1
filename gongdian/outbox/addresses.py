"""Addresses (地址): the blind index by which a person's messages are found."""

from __future__ import annotations

from gongdian.privacy import blind_index

ADDRESS = "wechat.openid"


def address_hash(address: str) -> bytes:
    """By which a message or contact is found from an openid, phone number or mail address."""
    return blind_index(address, ADDRESS)
