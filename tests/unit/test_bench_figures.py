"""How the benches make one figure of many."""

from __future__ import annotations

import pytest

from devtools.bench.workflow_peers import middle_rate
from devtools.bench.workflow_waits import percentile


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([5.0], 99, 5.0),
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([float(n) for n in range(1, 101)], 99, 99.0),
        ([float(n) for n in range(1, 1_001)], 99, 990.0),
        ([1.0, 2.0], 0, 1.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(
    values: list[float], percent: float, expected: float
) -> None:
    assert percentile(values, percent) == expected


def test_one_slow_stretch_does_not_move_the_rate() -> None:
    assert middle_rate([0.5] * 8 + [20.0, 20.0]) == 2.0


@pytest.mark.parametrize("count", [1, 4, 5, 7])
def test_few_times_make_a_rate_too(count: int) -> None:
    assert middle_rate([0.25] * count) == 4.0
