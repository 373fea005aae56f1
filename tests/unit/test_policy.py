"""The rules of sending: quiet hours, budgets, backoff; for every instant, not only samples."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongdian.clock import CHINA, china_date
from gongdian.outbox.model import (
    FINAL_STATES,
    ClaimedMessage,
    MessageState,
    Outcome,
    OutcomeKind,
    Priority,
    SendingPolicy,
)
from gongdian.outbox.policy import (
    backoff,
    budget_limit,
    decide,
    earliest_send,
    next_day_start,
    quiet_end,
)
from gongdian.ports import RefusalAction

POLICY = SendingPolicy(account="wx1", quiet_hours=(time(21, 30), time(8, 0)))
instants = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
minutes = st.builds(time, st.integers(0, 23), st.integers(0, 59))


def china(hour: int, minute: int = 0, day: int = 23) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=CHINA).astimezone(UTC)


@pytest.mark.parametrize(
    ("at", "end"),
    [
        (china(21, 29), None),
        (china(21, 30), china(8, 0, 24)),
        (china(23, 59), china(8, 0, 24)),
        (china(0, 0), china(8, 0)),
        (china(7, 59), china(8, 0)),
        (china(8, 0), None),
    ],
)
def test_the_night_lasts_until_the_morning(at: datetime, end: datetime | None) -> None:
    assert quiet_end(at, POLICY.quiet_hours) == end


def test_quiet_hours_within_a_day_or_none_at_all() -> None:
    noon = (time(12), time(14))
    assert quiet_end(china(13), noon) == china(14)
    assert quiet_end(china(14), noon) is None
    assert quiet_end(china(3), None) is None
    assert quiet_end(china(3), (time(8), time(8))) is None


@given(instants, minutes, minutes)
def test_quiet_hours_end_within_a_day_and_outside_themselves(
    at: datetime, start: time, end: time
) -> None:
    over = quiet_end(at, (start, end))
    if over is not None:
        assert at < over <= at + timedelta(days=1)
        assert quiet_end(over, (start, end)) is None
        assert quiet_end(over - timedelta(microseconds=1), (start, end)) == over


@given(instants)
def test_the_next_day_starts_on_the_next_day_and_not_at_night(at: datetime) -> None:
    start = next_day_start(at, POLICY)
    assert china_date(start) == china_date(at) + timedelta(days=1)
    assert earliest_send(start, passes_quiet=False, policy=POLICY) == start
    assert earliest_send(at, passes_quiet=True, policy=POLICY) == at


@given(st.integers(0, 10_000_000))
def test_an_urgent_class_may_use_no_less_of_the_budget(quota: int) -> None:
    limits = [budget_limit(priority, quota) for priority in Priority]
    assert limits == sorted(limits, reverse=True)
    assert limits[0] == quota


@given(st.integers(0, 100), st.text(max_size=30))
def test_the_wait_grows_and_is_bounded(attempts: int, key: str) -> None:
    wait, longer = backoff(attempts, key, POLICY), backoff(attempts + 1, key, POLICY)
    assert POLICY.first_backoff <= wait <= longer <= POLICY.longest_backoff * 1.5
    assert backoff(attempts, key, POLICY) == wait


NOW = china(10)
outcomes = st.one_of(
    st.builds(
        Outcome,
        st.sampled_from([OutcomeKind.ACCEPTED, OutcomeKind.UNKNOWN, OutcomeKind.NOT_SENT]),
    ),
    st.builds(
        Outcome,
        st.just(OutcomeKind.REFUSED),
        errcode=st.sampled_from([-1, 40001, 40037, 43004, 45009, 45011, 47003, 48001]),
        action=st.sampled_from([*RefusalAction, "", "unheard of"]),
        may_retry_once=st.booleans(),
    ),
)


@given(
    outcomes,
    st.integers(0, 10),
    st.none() | st.integers(0, 20 * 60),
    st.integers(1, 7200),
    st.sampled_from(["", "wechat_40037", "worker_lost"]),
)
def test_every_outcome_leads_to_a_wait_or_to_an_end(
    outcome: Outcome, attempts: int, doubtful_s: int | None, life_s: int, last: str
) -> None:
    since = None if doubtful_s is None else NOW - timedelta(seconds=doubtful_s)
    expires_at = NOW + timedelta(seconds=life_s)
    message = ClaimedMessage(
        id=1,
        key="a:b:c:d",
        kind="k",
        channel="wechat_template",
        address="o1",
        address_hash=b"h" * 32,
        content={},
        client_msg_id="c" * 32,
        fence=1,
        worker="w",
        claimed_at=NOW,
        lease_until=NOW + timedelta(minutes=1),
        expires_at=expires_at,
        attempts=attempts,
        unknown_since=since,
        last_reason=last,
    )
    verdict = decide(message, outcome, NOW, POLICY)
    if verdict.state is MessageState.QUEUED:
        assert verdict.not_before is not None
        assert NOW < verdict.not_before < expires_at
        doubt = verdict.unknown_since
        assert doubt is None or verdict.not_before < doubt + POLICY.unknown_window
        assert not verdict.counts or attempts + 1 < POLICY.max_attempts
    else:
        assert verdict.state in FINAL_STATES | {MessageState.ACCEPTED}
        assert verdict.not_before is None
    if since is not None:
        assert verdict.unknown_since == since, "a doubt does not go away by a later try"
    if outcome.kind is OutcomeKind.UNKNOWN:
        assert verdict.state in (MessageState.QUEUED, MessageState.UNKNOWN)
