"""By what a customer's name or a person's phone is found (查找依据); feeds and bindings call it.

Both are encrypted at rest; equal values have equal hashes, and nothing else can be told of them.
"""

from __future__ import annotations

import unicodedata

from gongdian.privacy import blind_index

_NAME = "customers.name"
_PHONE = "customer_contacts.phone"
_BRACKETS = str.maketrans({"(": "（", ")": "）", "[": "（", "]": "）", "【": "（", "】": "）"})


def normalised_name(name: str) -> str:
    """A name (户名) as it is compared: NFKC, no blanks, one form of brackets.

    Clerks write 云溪 (城东) 米厂 and 云溪（城东）米厂; people type either.
    """
    plain = unicodedata.normalize("NFKC", name)
    return "".join(plain.split()).translate(_BRACKETS)


def name_hash(name: str) -> bytes:
    """The blind index of a customer's name."""
    return blind_index(normalised_name(name), _NAME)


def phone_hash(phone: str) -> bytes | None:
    """The blind index of a person's phone; None where there is none."""
    return blind_index(phone, _PHONE) if phone else None
