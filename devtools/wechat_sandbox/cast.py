"""Four people who stand in for everybody that a backend serves (四部手机): to begin with.

Handed out by ``__main__`` when no phones are named, and by the Phones page when it is empty.
"""

from __future__ import annotations

CAST = (
    {
        "name": "李女士",
        "role": "客户",
        "phone_number": "13800000001",
        "mail_address": "li@example.com",
    },
    {
        "name": "王先生",
        "role": "同事",
        "phone_number": "13800000002",
        "mail_address": "wang@example.com",
    },
    {
        "name": "小赵",
        "role": "外勤",
        "phone_number": "13800000003",
        "mail_address": "zhao@example.com",
    },
    {
        "name": "老周",
        "role": "值班",
        "phone_number": "13800000004",
        "mail_address": "zhou@example.com",
    },
)


def person_of(text: str) -> dict[str, str]:
    """``NAME`` or ``NAME:ROLE`` of the command line."""
    name, _, role = text.partition(":")
    return {"name": name, "role": role}
