"""What a run came to (核对): the database beside the phones' screens; runs and tests call it.

A *failure* breaks a promise; everything else is a figure, told and not judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import func, select

from devtools.chaos.evidence import Evidence, gather
from devtools.chaos.fallback_checks import FallbackFigures, check_fallback
from devtools.chaos.site import Site, StuckError
from gongdian.audit import verify_audit
from gongdian.db import AnyRow
from gongdian.outbox.model import FINAL_STATES, MessageState, OutcomeKind
from gongdian.outbox.tables import pending_receipts

_SHOWN_EXAMPLES = 3
# With so many messages each fault must have hit; in a short run chance may leave one out.
_MANY_MESSAGES = 1000
_NEVER_SHOWN = (
    MessageState.FAILED,
    MessageState.EXPIRED,
    MessageState.WITHDRAWN,
    MessageState.SUPERSEDED,
)


@dataclass(slots=True)
class Result:
    """The figures of one run; ``shown_again`` counts cards beyond the first of a message."""

    run: str
    backend: str
    workers: int
    honours_id: bool
    messages: int = 0
    seconds: float = 0.0
    kills: int = 0
    kills_inside: int = 0
    workers_lost: int = 0
    attempts: int = 0
    leases_lost: int = 0
    states: dict[str, int] = field(default_factory=dict)
    cards: int = 0
    shown_again: int = 0
    delivered_not_shown: int = 0
    unknown_shown: int = 0
    unknown_not_shown: int = 0
    ended_otherwise_shown: int = 0
    receipts_unmatched: int = 0
    longest_pause_s: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    callbacks: dict[str, int] = field(default_factory=dict)
    audit_rows: int = 0
    fallback: FallbackFigures | None = None
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def examine(site: Site) -> Result:
    """Compare what the database says with what the phones show."""
    site.count_faults()
    evidence = gather(site)
    stats = site.sandbox.stats()
    result = Result(site.plan.title, site.ground.backend, site.ground.workers, site.plan.honours_id)
    result.messages, result.cards = len(evidence.rows), stats["cards_shown"]
    result.kills, result.kills_inside = site.kills, site.kills_inside
    result.longest_pause_s = site.longest_pause_s
    result.faults = dict(site.fault_hits)
    result.callbacks, result.notes = stats["callbacks"], site.notes
    result.states = dict(Counter(row.state for row in evidence.rows))
    result.receipts_unmatched = _count_unmatched(site)
    check_rows(evidence, site.queued, result)
    check_attempts(evidence, result)
    check_screens(evidence, result)
    if site.plan.with_fallback:
        check_channels(evidence, result)
    _check_audit(site, result)
    result.failures += site.crew.fallen + site.crew.tracebacks()
    if site.kills < site.plan.kills:
        result.failures.append(f"only {site.kills} kills fell before the last message ended")
    missed = sorted(name for name, hits in result.faults.items() if not hits)
    if missed and site.plan.messages >= _MANY_MESSAGES:
        result.failures.append(f"faults that never hit: {', '.join(missed)}")
    return result


def check_rows(evidence: Evidence, queued: int, result: Result) -> None:
    """Every message is there, in one final state, and on nobody else's phone."""
    rows = evidence.rows
    if len(rows) != queued:
        result.failures.append(f"{queued} messages were queued, {len(rows)} are there")
    fail(result, "not in a final state", (row for row in rows if row.state not in FINAL_STATES))
    ended = [row for row in rows if row.state in FINAL_STATES]
    untidy = (row for row in ended if row.closed_at is None or row.lease_until or row.claimed_by)
    fail(result, "ended without a closing time, or still claimed", untidy)
    strangers = (row for row in rows if evidence.holders[row.id] - {evidence.person(row).openid})
    fail(result, "shown on another phone", strangers)
    if evidence.strays:
        result.failures.append(f"{evidence.strays} things shown that no message accounts for")


def _count_unmatched(site: Site) -> int:
    with site.house.database.read() as session:
        query = select(func.count()).select_from(pending_receipts)
        return session.execute(query).scalar_one()


def check_attempts(evidence: Evidence, result: Result) -> None:
    """Count attempts; fails when a message got two MsgIDs although ids are honoured."""
    every = [one for attempts in evidence.attempts.values() for one in attempts]
    lost = [one for one in every if one.detail.startswith("the worker's lease")]
    result.attempts, result.leases_lost = len(every), len(lost)
    result.workers_lost = len({one.worker for one in lost})
    twice = []
    for row in evidence.rows:
        attempts = evidence.attempts[row.id]
        accepted = [one for one in attempts if one.outcome == OutcomeKind.ACCEPTED.value]
        names = {(one.channel, one.platform_msgid) for one in accepted}
        if len(names) > len({channel for channel, _ in names}):
            twice.append(row)
    if result.honours_id:
        fail(result, "accepted twice with different MsgIDs", twice)


def check_screens(evidence: Evidence, result: Result) -> None:
    """Compare final states with screens; the hard parts hold while ids are honoured."""
    cards = evidence.cards
    result.shown_again = sum(count - 1 for count in cards.values())
    unknown = [row for row in evidence.rows if row.state == MessageState.UNKNOWN]
    result.unknown_shown = sum(1 for row in unknown if evidence.is_shown(row))
    result.unknown_not_shown = len(unknown) - result.unknown_shown
    delivered = [row for row in evidence.rows if row.state == MessageState.DELIVERED]
    absent = [row for row in delivered if not evidence.is_shown(row)]
    result.delivered_not_shown = len(absent)
    otherwise = [
        row for row in evidence.rows if row.state in _NEVER_SHOWN and evidence.is_shown(row)
    ]
    result.ended_otherwise_shown = len(otherwise)
    certain = [row for row in otherwise if not _was_doubtful(evidence.attempts[row.id])]
    fail(result, "failed without any doubt, and yet shown", certain)
    if result.honours_id:
        fail(result, "delivered and never shown", absent)
        again = (row for row in evidence.rows if cards[row.id] > 1)
        fail(result, "shown twice", again)


def _was_doubtful(attempts: Iterable[AnyRow]) -> bool:
    return any(one.outcome == OutcomeKind.UNKNOWN.value for one in attempts)


def check_channels(evidence: Evidence, result: Result) -> None:
    """Compare what had to go on to another channel with what did."""
    figures, broken = check_fallback(evidence)
    result.fallback = figures
    for what, rows in broken.items():
        fail(result, what, rows)
    lost = result.callbacks.get("lost", 0) + result.callbacks.get("given_up", 0)
    if figures.without_receipt > lost:
        result.failures.append(
            f"{figures.without_receipt} messages left WeChat without a receipt,"
            f" while the platform lost only {lost}"
        )


def _check_audit(site: Site, result: Result) -> None:
    house = site.house

    def is_sealed() -> bool:
        with house.database.read() as session:
            report = verify_audit(session, house.settings.audit_key, house.clock.now())
        result.audit_rows = report.sealed
        return report.unsealed == 0 or bool(report.findings)

    try:
        site.wait_until(is_sealed, "a sealed audit chain", 15.0)
    except StuckError as error:
        result.failures.append(str(error))
    with house.database.read() as session:
        report = verify_audit(session, house.settings.audit_key, house.clock.now())
    result.failures += [f"audit: {finding}" for finding in report.findings]


def fail(result: Result, what: str, rows: Iterable[AnyRow]) -> None:
    """Note the messages that break a promise; none is well."""
    found = [row.key for row in rows]
    if found:
        examples = ", ".join(found[:_SHOWN_EXAMPLES])
        result.failures.append(f"{len(found)} messages {what}: {examples}")
