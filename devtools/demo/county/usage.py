"""Shapes of the year (负荷曲线): how a customer's months differ from its mean month."""

from __future__ import annotations

from random import Random

from devtools.demo.county.customers import Usage

# January to December, mean about 1.
HOME = (1.22, 1.10, 0.86, 0.76, 0.78, 0.98, 1.42, 1.50, 1.06, 0.76, 0.84, 1.08)
FACTORY = (0.94, 0.60, 1.04, 1.03, 1.02, 1.01, 1.03, 1.04, 1.02, 0.98, 1.08, 1.14)
SHOP = (1.05, 0.92, 0.86, 0.82, 0.92, 1.10, 1.34, 1.36, 1.08, 0.84, 0.84, 0.96)
SCHOOL = (0.60, 0.35, 1.10, 1.05, 1.05, 1.15, 0.50, 0.40, 1.25, 1.10, 1.20, 1.30)
WARD = (1.08, 1.00, 0.92, 0.86, 0.90, 1.04, 1.24, 1.26, 1.04, 0.86, 0.90, 1.00)
IRRIGATION = (0.20, 0.30, 0.60, 1.10, 1.50, 1.90, 2.20, 1.90, 0.90, 0.50, 0.40, 0.30)
BARN = (1.15, 1.05, 0.95, 0.88, 0.86, 0.98, 1.15, 1.18, 1.00, 0.88, 0.92, 1.05)
MAST = (0.95, 0.93, 0.95, 0.97, 1.00, 1.06, 1.12, 1.12, 1.05, 0.97, 0.94, 0.95)
CHARGING = (1.06, 1.02, 0.94, 0.90, 0.94, 0.98, 1.04, 1.06, 1.00, 1.02, 1.02, 1.06)
BUILDING_SITE = (0.70, 0.30, 1.05, 1.20, 1.25, 1.20, 1.05, 1.00, 1.15, 1.15, 1.10, 0.95)


def monthly_kwh(usage: Usage, month: int, rng: Random) -> float:
    """What is used in a calendar month (1 to 12)."""
    swing = 1.0 + usage.spread * (2.0 * rng.random() - 1.0)
    return usage.mean_kwh * usage.shape[month - 1] * swing
