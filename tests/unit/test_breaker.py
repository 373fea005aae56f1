"""The breaker: when a channel that does not answer is left alone, and when it is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gongdian.outbox.breaker import PAUSE, SILENT_TRIES, Breaker
from gongdian.outbox.model import OutcomeKind

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


def silenced() -> Breaker:
    breaker = Breaker()
    for _ in range(SILENT_TRIES):
        breaker.record(OutcomeKind.UNKNOWN, NOW)
    return breaker


def test_ten_silent_tries_in_a_row_pause_the_channel() -> None:
    breaker = Breaker()
    for _ in range(SILENT_TRIES - 1):
        breaker.record(OutcomeKind.NOT_SENT, NOW)
    assert not breaker.is_open(NOW)
    breaker.record(OutcomeKind.UNKNOWN, NOW)
    assert breaker.is_open(NOW)
    assert breaker.room(NOW, 0, 200) == 0


def test_an_answer_between_begins_the_count_again_also_when_it_is_a_no() -> None:
    breaker = Breaker()
    for _ in range(SILENT_TRIES):
        for _ in range(SILENT_TRIES - 1):
            breaker.record(OutcomeKind.UNKNOWN, NOW)
        breaker.record(OutcomeKind.REFUSED, NOW)
    assert breaker.room(NOW, 150, 50) == 50


def test_after_the_pause_one_message_tries_and_its_answer_decides() -> None:
    breaker, later = silenced(), NOW + PAUSE
    assert breaker.room(later, 0, 200) == 1
    assert breaker.room(later, 1, 200) == 0, "one at a time"
    breaker.record(OutcomeKind.UNKNOWN, later)
    assert breaker.room(later, 0, 200) == 0
    breaker.record(OutcomeKind.ACCEPTED, later + PAUSE)
    assert breaker.room(later + PAUSE, 0, 200) == 200


def test_each_pause_is_news_once() -> None:
    breaker = silenced()
    assert (breaker.take_news(), breaker.take_news()) == (True, False)
    breaker.record(OutcomeKind.UNKNOWN, NOW)
    assert not breaker.take_news(), "one that was under way when the pause began"
    breaker.record(OutcomeKind.UNKNOWN, NOW + PAUSE)
    assert breaker.take_news()


def test_a_clock_that_is_set_back_does_not_prolong_the_pause() -> None:
    assert not silenced().is_open(NOW - timedelta(days=3))
