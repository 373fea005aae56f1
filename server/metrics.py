"""The ``/metrics`` page (指标): queue depths from the database, counters of the processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import and_, select

from gongdian.clock import china_date
from gongdian.db import Session
from gongdian.errors import UpstreamError
from gongdian.inbox.service import count_callbacks
from gongdian.outbox.costs import spent_fen
from gongdian.outbox.model import Attempt
from gongdian.outbox.queries import count_by_state, count_intents, oldest_due
from gongdian.outbox.switches import standing_stops
from gongdian.outbox.tables import daily_budgets
from gongdian.wiring import House
from workflows.engine.executions import count_by_status as count_executions

SENDS = Counter("gongdian_sends", "Send attempts", ["channel", "outcome", "errcode"])


def count_attempt(attempt: Attempt) -> None:
    """Count the end of an attempt to send."""
    code = attempt.outcome.errcode
    outcome, channel = attempt.outcome.kind.value, attempt.message.channel
    SENDS.labels(channel, outcome, "" if code is None else str(code)).inc()


class _DatabaseCollector(Collector):
    """Gauges read from the database at each scrape, so that every process tells the same."""

    def __init__(self, house: House) -> None:
        self._house = house

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges; only ``gongdian_database_up`` while the database does not answer."""
        up = GaugeMetricFamily("gongdian_database_up", "Whether the database answers")
        try:
            with self._house.callback_database.read() as session:
                now = self._house.clock.now()
                families = [
                    _by_state("gongdian_messages", count_by_state(session)),
                    _by_state("gongdian_callbacks_stored", count_callbacks(session)),
                    _by_state("gongdian_intents", count_intents(session)),
                    _by_state(
                        "gongdian_workflow_executions",  # running, or ended within a day
                        count_executions(session, now - timedelta(days=1)),
                    ),
                    _single(
                        "gongdian_oldest_due_seconds",
                        oldest_due(session, self._house.outbox.policy, now),
                    ),
                    _single("gongdian_stops", float(len(standing_stops(session, now)))),
                    *_today(session, self._house, now),
                ]
        except UpstreamError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from families
        waiting = Path(self._house.settings.data_dir, "spool").glob("*.callback")
        yield _single("gongdian_spooled_callbacks", float(sum(1 for _ in waiting)))


def _today(session: Session, house: House, now: datetime) -> list[GaugeMetricFamily]:
    """What each channel has done on this China day; each message counts once."""
    sent = GaugeMetricFamily(
        "gongdian_channel_messages_today", "Messages tried today", labels=["channel"]
    )
    cost = GaugeMetricFamily("gongdian_channel_cost_fen_today", "Cost in fen", labels=["channel"])
    columns = daily_budgets.c
    for policy in (line.policy for line in house.lines):
        ours = and_(columns.account == policy.budget_name, columns.on == china_date(now))
        count = session.execute(select(columns.used).where(ours)).scalar()
        sent.add_metric([policy.channel], count or 0)
        cost.add_metric([policy.channel], spent_fen(session, policy, now))
    return [sent, cost]


def _by_state(name: str, counts: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, "Rows by state", labels=["state"])
    for state, count in sorted(counts.items()):
        family.add_metric([state], count)
    return family


def _single(name: str, value: float) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, name.removeprefix("gongdian_").replace("_", " "))
    family.add_metric([], value)
    return family


def metrics_text(house: House) -> bytes:
    """The page; with several processes their counters are added up (PROMETHEUS_MULTIPROC_DIR)."""
    registry = CollectorRegistry()
    registry.register(_DatabaseCollector(house))
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # noqa: TID251 - prometheus-client's own switch
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest(registry) + generate_latest(REGISTRY)
