"""The runs (各项破坏): kills, a faulty platform, the loss of Redis; ``__main__`` calls them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from sqlalchemy import func, select

from devtools.chaos.checks import Result, examine
from devtools.chaos.fallback_run import is_settled, kill_with_fallback
from devtools.chaos.ground import Ground, open_ground
from devtools.chaos.kills import is_past, kill_between
from devtools.chaos.site import SEND, Plan, Site, StuckError, running_site, start_workers
from devtools.chaos.stops import is_stopped, lift_stop, require_silence
from gongdian.inbox.tables import callbacks
from gongdian.outbox.model import FINAL_STATES, MessageState

_LONGEST_PAUSE_S = 10.0
_LATEST_SECOND = 40


def kill_run(plan: Plan, backend: str) -> Result:
    """Send everything while workers are killed again and again."""
    return _play(plan, backend, _kill_while_sending)


def fault_run(plan: Plan, backend: str) -> Result:
    """Send in three parts, while receipts, connections and answers of the platform go wrong."""
    return _play(plan, backend, _break_the_platform)


def fallback_run(plan: Plan, backend: str) -> Result:
    """Send everything while workers are killed, WeChat refuses, and other channels take over."""
    return _play(plan, backend, kill_with_fallback)


def redis_run(plan: Plan, backend: str) -> Result:
    """Send while Redis goes away for good."""
    return _play(plan, backend, _lose_redis, own_redis=True)


def _play(
    plan: Plan, backend: str, damage: Callable[[Site], None], *, own_redis: bool = False
) -> Result:
    began = time.monotonic()
    with open_ground(backend, own_redis=own_redis) as ground:
        result = _play_on(plan, ground, damage)
    result.seconds = time.monotonic() - began
    return result


def _play_on(plan: Plan, ground: Ground, damage: Callable[[Site], None]) -> Result:
    with running_site(plan, ground) as site:
        failures = []
        try:
            damage(site)
            _wait_for_the_end(site)
        except StuckError as error:
            failures.append(str(error))
        result = examine(site)
        result.failures += failures
        return result


def _wait_for_the_end(site: Site) -> None:
    """Until nothing is open any more, nor a callback on its way, nor anything changes."""

    def is_over() -> bool:
        if not set(site.states()) <= FINAL_STATES or _waiting_callbacks(site):
            return False
        return not site.plan.with_fallback or is_settled(site)

    site.wait_until(is_over, "the end of every message")
    site.sandbox.drain(timeout_s=30)
    site.wait_until(is_over, "the end of every callback")
    before = site.states()
    time.sleep(1.5)
    if site.states() != before:
        raise StuckError(f"final states changed: {before}, then {site.states()}")


def _waiting_callbacks(site: Site) -> int:
    columns = callbacks.c
    query = select(func.count()).where(columns.state.not_in(("done", "failed")))
    with site.house.database.read() as session:
        return session.execute(query).scalar_one()


def _kill_while_sending(site: Site) -> None:
    plan = site.plan
    site.queue(plan.messages)
    start_workers(site)
    # One moment drawn from each equal part of the way, so that all fall inside.
    kill_between(site, 0, plan.messages * 0.96, plan.kills)


def _lose_redis(site: Site) -> None:
    site.queue(site.plan.messages)
    start_workers(site)
    goal = site.plan.messages * 2 // 5
    site.wait_until(partial(is_past, site, goal), f"message {goal}")
    if site.ground.redis is None:
        raise StuckError("this ground has no Redis of its own")
    site.longest_pause_s = 0.0
    site.ground.redis.kill()
    site.ground.redis.wait()
    site.notes.append(f"Redis killed after {site.with_platform()} messages")
    site.wait_until(lambda: site.untouched() == 0, "the first try of every message")
    if site.longest_pause_s > _LONGEST_PAUSE_S:
        raise StuckError(f"sending paused for {site.longest_pause_s:.1f} s without Redis")
    site.wait_until(lambda: set(site.states()) <= {MessageState.DELIVERED}, "every delivery")


def _break_the_platform(site: Site) -> None:
    start_workers(site)
    part = site.plan.messages // 12 * 4
    _wrong_receipts(site, part)
    _silence(site, part)
    _refusals(site, part)
    site.set_faults()


def _wrong_receipts(site: Site, count: int) -> None:
    """Receipts twice, late, badly signed, lost, and all of them with MsgID 0."""
    event = "TEMPLATESENDJOBFINISH"
    site.sandbox.change(receipt_msgid_zero=True)
    site.set_faults(
        {"kind": "duplicate_receipt", "percent": 20},
        {"kind": "late_callback", "scope": event, "percent": 10, "seconds": 5},
        {"kind": "bad_signature", "scope": event, "percent": 4},
        {"kind": "lost_callback", "scope": event, "percent": 3},
    )
    # Two such receipts of one person in one second are the same bytes: one is taken for a retry.
    site.queue(count, apart=True)
    site.wait_until(lambda: site.with_platform() >= count, "the part with wrong receipts")
    site.sandbox.change(receipt_msgid_zero=False)


def _silence(site: Site, count: int) -> None:
    """No answer, or a broken connection, with and without the card being shown.

    For the first half receipts carry no MsgID: then person and time must tell which message
    a receipt is for, while some messages of that person were shown and some were not.
    """
    too_long = site.plan.timeout_s + 1
    site.set_faults(
        {"kind": "timeout", "scope": SEND, "percent": 4, "seconds": too_long, "acts": True},
        {"kind": "timeout", "scope": SEND, "percent": 4, "seconds": too_long},
        {"kind": "reset", "scope": SEND, "percent": 5, "acts": True},
        {"kind": "reset", "scope": SEND, "percent": 5},
        {"kind": "http_error", "scope": SEND, "percent": 4, "acts": True},
        {"kind": "http_error", "scope": SEND, "percent": 4},
    )
    for without_msgid, part in ((True, count // 2), (False, count - count // 2)):
        site.sandbox.change(receipt_msgid_zero=without_msgid)
        site.queue(part)
        site.wait_until(lambda: site.untouched() == 0, "the part with a silent platform")


def _refusals(site: Site, count: int) -> None:
    """System busy, ended tokens, failed receipts; then the quotas of the day and the minute."""
    refused = {"kind": "errcode", "scope": SEND}
    rules = (
        {**refused, "errcode": -1, "percent": 10},
        {**refused, "errcode": 40001, "percent": 5},
        {"kind": "receipt_status", "percent": 4, "receipt_status": "failed:user block"},
    )
    site.set_faults({**refused, "errcode": 45009, "next_n": 1}, *rules)
    site.queue(count)
    site.wait_until(lambda: is_stopped(site), "the stop after 45009")
    require_silence(site)
    site.notes.append("45009: stopped, nothing sent until the operator lifted the stop")
    # Set before anything can be sent, and well before the minute in which the stop will end.
    site.set_faults({**refused, "errcode": 45011, "next_n": 1}, *rules)
    site.wait_until(lambda: site.house.clock.now().second < _LATEST_SECOND, "the next minute")
    lift_stop(site)
    began = time.monotonic()
    site.wait_until(lambda: is_stopped(site), "the stop after 45011")
    site.wait_until(lambda: not is_stopped(site), "the end of the minute", 90)
    site.notes.append(f"45011: stopped, went on {time.monotonic() - began:.0f} s later by itself")
    site.wait_until(lambda: site.untouched() == 0, "the part with refusals")
