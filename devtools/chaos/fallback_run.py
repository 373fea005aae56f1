"""Kills with fallback on (备用渠道): WeChat refuses people, then everybody; ``runs`` calls it.

Three parts: WeChat refuses some for good and loses receipts; 45009 stops it while urgent messages
come; then it goes on. Workers are killed in each, also while they send text messages.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from devtools.chaos.kills import kill_between
from devtools.chaos.site import SEND, URGENT, Site, start_workers
from devtools.chaos.stops import is_stopped, lift_stop, require_silence
from devtools.wechat_sandbox.faults import RECEIPT_EVENT
from devtools.wechat_sandbox.sms_platform import SMS_PATH
from devtools.wechat_sandbox.sms_reports import REPORT_SCOPE
from gongdian.outbox.model import MessageState
from gongdian.outbox.tables import messages, pending_receipts

# An urgent message leaves WeChat after this time; the others wait four hours.
URGENT_WAIT = timedelta(seconds=4)
_GRACE_S, _SWEEPS_S = 30.0, 4.0
_UNSENT = (MessageState.QUEUED.value, MessageState.SENDING.value)


def kill_with_fallback(site: Site) -> None:
    """Send everything; a tenth of it is urgent and comes while WeChat refuses everybody."""
    plan = site.plan
    urgent = plan.messages // 20 * 2
    kills_in_stop = max(1, plan.kills // 8)
    kills_before = (plan.kills - kills_in_stop) // 2
    site.set_faults(*_usual_faults(site), *_slow_to_end())
    site.queue(plan.messages - urgent)
    start_workers(site)
    kill_between(site, 0, plan.messages * 0.45, kills_before)
    _wechat_refuses_everybody(site, urgent, kills_in_stop)
    kills_after = plan.kills - kills_before - kills_in_stop
    kill_between(site, site.with_platform(), plan.messages * 0.94, kills_after)
    site.wait_until(lambda: site.untouched() == 0, "the first try of every message")
    site.set_faults()


def is_settled(site: Site) -> bool:
    """Whether no message will go on to another channel, and no receipt will still be used.

    A message that has just ended may go on with the next sweep. A receipt that fits no message
    by its number is held for half a minute before it is matched by person and time; it can end
    a message that counted as unknown.
    """
    now = site.house.clock.now()
    ended = messages.c.closed_at > now - timedelta(seconds=_SWEEPS_S)
    came = pending_receipts.c.received_at > now - timedelta(seconds=_GRACE_S + _SWEEPS_S)
    with site.house.database.read() as session:
        just_ended = session.execute(select(func.count()).where(ended)).scalar_one()
        waiting = session.execute(select(func.count()).where(came)).scalar_one()
    return not just_ended and not waiting


def _wechat_refuses_everybody(site: Site, urgent: int, kills: int) -> None:
    """45009 for the account: what is urgent goes on to text messages, the rest waits."""
    refused = {"kind": "errcode", "scope": SEND, "errcode": 45009, "percent": 100}
    site.set_faults(refused, *_usual_faults(site))
    site.wait_until(lambda: is_stopped(site), "the stop after 45009")
    require_silence(site)
    site.queue(urgent, occasion=URGENT, wait=URGENT_WAIT)
    taken = site.with_platform()
    kill_between(site, taken, taken + urgent * 0.7, kills)
    site.wait_until(lambda: _urgent_waiting(site) == 0, "the text messages of what is urgent")
    went_on = _count(site, messages.c.step > 0)
    site.notes.append(
        f"45009: stopped; {went_on} of {urgent} urgent messages went on to other channels"
    )
    site.set_faults(*_usual_faults(site))
    lift_stop(site)


def _urgent_waiting(site: Site) -> int:
    """Urgent messages that another channel can take and has not taken yet."""
    columns = messages.c
    may_go_on = or_(columns.step > 0, columns.next_step.is_not(None))
    return _count(site, and_(columns.state.in_(_UNSENT), may_go_on))


def _count(site: Site, condition: ColumnElement[bool]) -> int:
    query = select(func.count()).where(messages.c.occasion == URGENT, condition)
    with site.house.database.read() as session:
        return session.execute(query).scalar_one()


def _usual_faults(site: Site) -> tuple[dict[str, Any], ...]:
    """In all parts: refusals for good, a provider that is slow to answer, busy, late to report.

    Busy is answered for the next try; a time-out leaves nobody knowing, with the text message
    shown or not.
    """
    too_long = site.plan.timeout_s + 1
    return (
        {"kind": "errcode", "scope": SEND, "errcode": 43101, "percent": 5},
        {"kind": "late_callback", "scope": RECEIPT_EVENT, "percent": 3, "seconds": 5},
        {"kind": "timeout", "scope": SMS_PATH, "percent": 2, "seconds": too_long, "acts": True},
        {"kind": "timeout", "scope": SMS_PATH, "percent": 2, "seconds": too_long},
        {"kind": "errcode", "scope": SMS_PATH, "errmsg": "isp.SYSTEM_ERROR", "percent": 6},
        {"kind": "late_callback", "scope": REPORT_SCOPE, "percent": 8, "seconds": 5},
        {"kind": "duplicate_callback", "scope": REPORT_SCOPE, "percent": 8},
    )


def _slow_to_end() -> tuple[dict[str, Any], ...]:
    """Lost receipts and mails put off, only at first: each takes a minute or two to end."""
    return (
        {"kind": "lost_callback", "scope": RECEIPT_EVENT, "percent": 2},
        {"kind": "lost_callback", "scope": REPORT_SCOPE, "percent": 5},
        {
            "kind": "smtp_reply",
            "scope": "RCPT",
            "percent": 15,
            "status": 450,
            "errmsg": "4.2.1 try again later",
        },
    )
