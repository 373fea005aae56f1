"""Counters of the receiving edge (指标), in the process's default Prometheus registry."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

CALLBACKS = Counter("gongdian_callbacks", "Callbacks by outcome", ["outcome"])
CALLBACK_SECONDS = Histogram(
    "gongdian_callback_seconds",
    "Time from reading a callback to its answer",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0),
)
