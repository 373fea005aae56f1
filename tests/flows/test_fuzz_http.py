"""A short run of the fuzzer over the whole callback address."""

from __future__ import annotations

from pathlib import Path

from devtools.fuzz.over_http import http_fuzzer
from wechat_handlers.callbacks import CallbackDoor
from wechat_handlers.gate import Received
from wechat_handlers.receive import Answer, Receiver


def test_three_thousand_hostile_requests_are_refused_or_answered(tmp_path: Path) -> None:
    with http_fuzzer(20240426, tmp_path) as fuzzer:
        report = fuzzer.run(3000)
        stored = fuzzer.stored()
    assert report.failures == []
    outcomes = report.outcomes
    assert sum(outcomes.values()) == 3000
    assert outcomes["200 success"] > 300
    assert outcomes["200 passive reply"] > 10
    assert {outcome[:3] for outcome in outcomes} == {"200", "400", "403", "413"}
    assert 400 < stored <= outcomes["200 success"] + outcomes["200 passive reply"]


class _BrokenReceiver(Receiver):
    """Has a bug."""

    def receive(self, received: Received) -> Answer:
        raise ZeroDivisionError


def test_a_crash_behind_the_address_is_seen(tmp_path: Path) -> None:
    with http_fuzzer(1, tmp_path) as fuzzer:
        for client in fuzzer.clients:
            doors = client.application.extensions
            door: CallbackDoor = doors["gongdian_callbacks"]
            door.receiver.__class__ = _BrokenReceiver
        report = fuzzer.run(60)
    assert report.outcomes["STATUS 500"] > 3
    assert any("status 500" in failure for failure in report.failures)
    assert any("logged page_crashed ZeroDivisionError" in failure for failure in report.failures)
