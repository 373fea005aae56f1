"""The fields of what a phone sends: messages and events, named and cased as the platform does.

Called by ``phone`` and ``sending``; ``envelopes`` writes the result down.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

from devtools.wechat_sandbox.envelopes import Fields

# A new process must not give out the ids of the one before: the house dedupes by them.
_ids = itertools.count(int(time.time() * 1000) * 1_000_000)


def new_id() -> int:
    """A 64-bit id for MsgId and MsgID; above what a float can hold exactly, as in reality."""
    return next(_ids)


def message(openid: str, account: str, at: float, kind: str, **fields: Any) -> Fields:
    """An ordinary message."""
    return {**_head(openid, account, at, kind), **fields, "MsgId": new_id()}


def event(openid: str, account: str, at: float, name: str, **fields: Any) -> Fields:
    """An event; events carry no MsgId."""
    return {**_head(openid, account, at, "event"), "Event": name, **fields}


def _head(openid: str, account: str, at: float, kind: str) -> Fields:
    return {
        "ToUserName": account,
        "FromUserName": openid,
        "CreateTime": int(at),
        "MsgType": kind,
    }
