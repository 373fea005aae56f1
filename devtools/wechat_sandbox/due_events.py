"""What becomes due next on the movable clock: the sandbox's own ends, and the house's.

Called by ``panel_api`` for the clock panel and by ``scenarios``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devtools.wechat_sandbox.sandbox import Sandbox

SHOWN = 8
TRIGGERS = {
    "message": "发消息",
    "menu": "点菜单",
    "follow": "关注",
    "scan": "扫码",
    "payment": "支付",
}


def upcoming(sandbox: Sandbox, count: int = SHOWN) -> list[dict[str, Any]]:
    """The next due events, soonest first: ``{"at": seconds since 1970, "what": Chinese text}``."""
    now = sandbox.clock.now()
    found = sorted({(at, what) for at, what in _all(sandbox) if at > now})
    return [{"at": at, "what": what} for at, what in found[:count]]


def move_to_next(sandbox: Sandbox) -> dict[str, Any] | None:
    """Move the clock just past the next due event and return it; None when nothing is due."""
    due = upcoming(sandbox, 1)
    if not due:
        return None
    sandbox.move_clock(max(0.0, due[0]["at"] - sandbox.clock.now()) + 0.001)
    return due[0]


def _all(sandbox: Sandbox) -> Iterator[tuple[float, str]]:
    for at, name in sandbox.courier.due_by_clock():
        yield at, f"回调 {name} 送出"
    for at in sandbox.media.ends():
        yield at, "临时素材到期"
    for phone in sandbox.phones.listed():
        for trigger, window in list(phone.windows.items()):
            yield (
                window.ends_at,
                f"{phone.name or phone.openid} 的客服窗口（因{TRIGGERS[trigger]}）关闭",
            )
    for token in sandbox.tokens.snapshot()["tokens"]:
        yield token["ends_at"], "access_token 到期"
    for source in sandbox.due_sources:
        yield from source()
