"""What a run with fallback came to (备用渠道核对); ``checks`` calls it.

Who had to go on to another channel, who did, what was shown by several. Who had to is judged by
the phones (not following, blocking, a dead number) and by errcodes, not by what the house decided.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from devtools.chaos.evidence import Evidence
from devtools.chaos.site import URGENT
from gongdian.db import AnyRow
from gongdian.outbox.model import (
    CHANNEL_LABELS,
    CHANNEL_MAIL,
    CHANNEL_SMS,
    CHANNEL_TEMPLATE,
    MessageState,
    OutcomeKind,
)

_NAMES = {CHANNEL_TEMPLATE: "wechat", CHANNEL_SMS: "sms", CHANNEL_MAIL: "mail"}
_REFUSED_FOR_GOOD = (43004, 43101)
_FAILED = (MessageState.FAILED, MessageState.EXPIRED)
_MOST_TRIES = 8
_USUAL_WAIT_S = 4 * 3600.0
_IN_TIME = "not_delivered_in_time"
_NO_RECEIPT = "no_receipt"
Broken = dict[str, list[AnyRow]]


@dataclass(slots=True)
class FallbackFigures:
    """``went_on``: why, by the channel that was begun. ``on_several``: why on both screens.

    In doubt: the provider never said whether it took the text message; it is not sent again.
    ``without_receipt``: taken by WeChat, whose receipt never came.
    """

    went_on: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    texts: int = 0
    mails: int = 0
    texts_in_doubt_shown: int = 0
    texts_in_doubt_not_shown: int = 0
    on_several: dict[str, int] = field(default_factory=dict)
    cost_fen: int = 0
    without_receipt: int = 0


def check_fallback(found: Evidence) -> tuple[FallbackFigures, Broken]:
    """The figures, and by promise the messages that broke it."""
    broken: Broken = {}
    for row in found.rows:
        for what in _broken_by(found, row):
            broken.setdefault(what, []).append(row)
    return _figures(found), broken


def _broken_by(found: Evidence, row: AnyRow) -> list[str]:
    problems = [_repeated(found, row), _stopped_short(row), *_needless(found, row)]
    if must_leave_wechat(found, row):
        problems.append(_not_reached(found, row))
    return [problem for problem in problems if problem]


def must_leave_wechat(found: Evidence, row: AnyRow) -> bool:
    """Whether WeChat cannot have delivered it, whatever the house thinks."""
    person = found.person(row)
    if not person.follows or (row.occasion == URGENT and person.steps):
        return True
    if person.blocks:
        # Only the receipt tells; the platform may have lost it.
        return not _waited_in_vain(found, row)
    tries = found.tries(row, CHANNEL_TEMPLATE)
    accepted = any(one.outcome == OutcomeKind.ACCEPTED.value for one in tries)
    return not accepted and any(one.errcode in _REFUSED_FOR_GOOD for one in tries)


def _repeated(found: Evidence, row: AnyRow) -> str:
    """No provider of these knows a repetition: a second try may be a second text message.

    An attempt that ended before anything was sent is no try.
    """
    for channel in (CHANNEL_SMS, CHANNEL_MAIL):
        if found.shown[channel][row.id] > 1:
            return f"shown twice as {_NAMES[channel]}"
        lost_at = min((one.ended_at for one in _in_doubt(found, row, channel)), default=None)
        tries = found.tries(row, channel)
        sent = [one.started_at for one in tries if one.outcome != OutcomeKind.NOT_SENT.value]
        if lost_at is not None and max(sent) > lost_at:
            return f"tried again by {_NAMES[channel]} although the outcome was unknown"
    return ""


def _stopped_short(row: AnyRow) -> str:
    """What failed goes on at once; what is in doubt goes on when its time is over.

    A message that was taken and whose receipt never came stays where it is.
    """
    if row.next_step is None or row.state not in (*_FAILED, MessageState.UNKNOWN):
        return ""
    is_late = row.switch_at is not None and row.switch_at < row.closed_at
    if row.state in _FAILED or (is_late and row.reason != _NO_RECEIPT):
        return "ended undelivered although another channel was left"
    return ""


def _not_reached(found: Evidence, row: AnyRow) -> str:
    """Walk the contact's channels: each must have shown it, or failed for a reason.

    One in doubt ends the walk: the message need not go on, for it may have been shown.
    """
    if found.shown[CHANNEL_TEMPLATE][row.id] and not _in_doubt(found, row, CHANNEL_TEMPLATE):
        return "shown by WeChat, which had refused it without any doubt"
    for step in found.steps[row.id]:
        name = _NAMES[step.channel]
        if found.shown[step.channel][row.id] == 1:
            return ""
        tries = found.tries(row, step.channel)
        if step.begun_at is None or not tries:
            return f"refused before, and nothing followed by {name}"
        if _is_doubtful(found, row, step.channel):
            return ""
        if not _was_refused(found, row, step.channel):
            return f"refused before, and not shown by {name}"
    return ""


def _is_doubtful(found: Evidence, row: AnyRow, channel: str) -> bool:
    """Whether nobody knows if the channel showed it: no answer, or no report to this day."""
    is_unreported = row.channel == channel and row.reason == _NO_RECEIPT
    return bool(_in_doubt(found, row, channel)) or is_unreported


def _was_refused(found: Evidence, row: AnyRow, channel: str) -> bool:
    """Whether the channel surely could not show it: a dead number, refused to the last try."""
    if channel == CHANNEL_SMS and not found.person(row).rings:
        return True
    tries = found.tries(row, channel)
    refused = [one for one in tries if one.outcome == OutcomeKind.REFUSED.value]
    return len(refused) >= _MOST_TRIES


def _needless(found: Evidence, row: AnyRow) -> list[str]:
    """Steps that were begun although the channel before had not failed."""
    problems = []
    before = CHANNEL_TEMPLATE
    for step in found.steps[row.id]:
        if step.begun_at is not None and not _reason(found, row, before, step):
            problems.append(
                f"went on from {_NAMES[before]} to {_NAMES[step.channel]} for no reason"
            )
        if step.begun_at is None and found.shown[step.channel][row.id]:
            problems.append(f"shown by {_NAMES[step.channel]}, which was never begun")
        before = step.channel
    return problems


def _reason(found: Evidence, row: AnyRow, before: str, step: AnyRow) -> str:
    """Why a message left a channel, as the attempts and the phones show it; empty for none."""
    tries = found.tries(row, before)
    person = found.person(row)
    wait_s = _USUAL_WAIT_S if step.wait_s is None else step.wait_s
    errcodes = {one.errcode for one in tries} & set(_REFUSED_FOR_GOOD)
    if before == CHANNEL_TEMPLATE and errcodes:
        doubt = _in_doubt(found, row, before)
        return f"no answer, then {min(errcodes)}" if doubt else str(min(errcodes))
    if step.because == _IN_TIME:
        waited = step.begun_at >= row.queued_at + timedelta(seconds=wait_s)
        return "not delivered in time" if waited else ""
    if before == CHANNEL_TEMPLATE and person.blocks:
        return "receipt says failed"
    if before == CHANNEL_SMS and not person.rings:
        return "dead number"
    if step.because == _NO_RECEIPT and any(
        one.outcome == OutcomeKind.ACCEPTED.value for one in tries
    ):
        return "no receipt"
    if _in_doubt(found, row, before):
        return "no answer"
    refused = [one for one in tries if one.outcome == OutcomeKind.REFUSED.value]
    return "refused to the last try" if len(refused) >= _MOST_TRIES else ""


def _in_doubt(found: Evidence, row: AnyRow, channel: str) -> list[AnyRow]:
    return [one for one in found.tries(row, channel) if one.outcome == OutcomeKind.UNKNOWN.value]


def _waited_in_vain(found: Evidence, row: AnyRow) -> bool:
    if row.step == 0:
        return bool(row.channel == CHANNEL_TEMPLATE and row.reason == _NO_RECEIPT)
    return any(step.because == _NO_RECEIPT for step in found.steps[row.id][:1])


def _figures(found: Evidence) -> FallbackFigures:
    went_on, ended, on_several = Counter[str](), Counter[str](), Counter[str]()
    figures = FallbackFigures()
    for row in found.rows:
        ended[f"{_NAMES[row.channel]} {row.state}"] += 1
        before, reasons = CHANNEL_TEMPLATE, []
        for step in found.steps[row.id]:
            if step.begun_at is not None:
                reason = _reason(found, row, before, step) or f"? {step.because}"
                reasons.append(reason)
                went_on[f"{_NAMES[step.channel]} after {reason}"] += 1
            before = step.channel
        channels = [channel for channel in CHANNEL_LABELS if found.shown[channel][row.id]]
        if len(channels) > 1:
            names = "+".join(_NAMES[channel] for channel in channels)
            on_several[f"{names} ({', '.join(reasons)})"] += 1
        if _in_doubt(found, row, CHANNEL_SMS):
            figures.texts_in_doubt_shown += bool(found.shown[CHANNEL_SMS][row.id])
            figures.texts_in_doubt_not_shown += not found.shown[CHANNEL_SMS][row.id]
        figures.without_receipt += _waited_in_vain(found, row)
        figures.cost_fen += sum(one.cost_fen for one in found.attempts[row.id])
    figures.went_on, figures.ended, figures.on_several = (
        dict(went_on),
        dict(ended),
        dict(on_several),
    )
    figures.texts = found.shown[CHANNEL_SMS].total()
    figures.mails = found.shown[CHANNEL_MAIL].total()
    return figures
