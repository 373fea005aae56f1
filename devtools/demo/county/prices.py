"""The county's prices (示例电价), read from ``tables/``, as whole numbers: sums close.

One table prices all months. Prices are micro-yuan per kWh, amounts are fen.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

TABLES = Path(__file__).parent / "tables"
PRICE_NOTE = "示例电价：各月用同一张公开价目表计算，不是任何地区当月的真实电价"
COMPONENTS = "agency_price_components_hubei_2026_01"
AGENCY_PRICE = "agency_price_hubei_2026_01"
PERIODS = ("sharp", "peak", "flat", "valley")
MICRO_PER_FEN = 10_000


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier of the yearly residential price; prices by period for 峰谷 customers."""

    up_to_kwh: int | None
    price: int
    peak: int
    valley: int


@dataclass(frozen=True, slots=True)
class Prices:
    """Everything that a bill multiplies by."""

    purchase: int
    line_loss: int
    system: int
    funds: int
    # (scheme, voltage band) -> micro-yuan
    transmission: dict[tuple[str, str], int]
    # percent of the flat price, by period
    ratios: dict[str, int]
    # voltage band -> fen per kVA and per kW
    capacity_fen: dict[str, int]
    demand_fen: dict[str, int]
    tiers: tuple[Tier, ...]
    agricultural: int
    shared_residential: int
    # (standard, power factor), both in hundredths -> hundredths of a percent of the base
    power_factor: dict[tuple[int, int], int]
    # kVA -> watts without load and at full load
    losses: dict[int, tuple[int, int]]


def fen_of(micro_yuan: int) -> int:
    """Micro-yuan to fen, half up; for amounts that are not negative."""
    return (micro_yuan + MICRO_PER_FEN // 2) // MICRO_PER_FEN


def adjustment(prices: Prices, standard: int, power_factor: int, base_fen: int) -> int:
    """力调电费 [fen] on ``base_fen``: above 0 a surcharge, below a reward."""
    parts = prices.power_factor[standard, power_factor] * base_fen
    size = (abs(parts) + 5_000) // 10_000
    return size if parts >= 0 else -size


@cache
def county_prices() -> Prices:
    """The prices of the tables beside this module."""
    components = {row["item_zh"]: _micro(row["value"]) for row in _rows(COMPONENTS)}
    basic = {row["voltage"]: row for row in _rows("basic_price")}
    catalogue = {
        r["customer_class_zh"]: _micro(r["yuan_per_kwh"]) for r in _rows("catalogue_price")
    }
    return Prices(
        purchase=components["代理购电价格"],
        line_loss=components["上网环节线损费用折价"],
        system=components["系统运行费用折价"],
        funds=components["政府性基金及附加"],
        transmission={
            (row["scheme"], row["voltage"]): _micro(row["td_energy"]) for row in _rows(AGENCY_PRICE)
        },
        ratios={row["period"]: _hundredths(row["ratio_to_flat"]) for row in _rows("tou_ratios")},
        capacity_fen={v: _hundredths(r["capacity_yuan_per_kva_month"]) for v, r in basic.items()},
        demand_fen={v: _hundredths(r["demand_yuan_per_kw_month"]) for v, r in basic.items()},
        tiers=tuple(_tier(row) for row in _rows("residential_tiers")),
        agricultural=catalogue["农业生产"],
        shared_residential=catalogue["居民合表"],
        power_factor={
            (_hundredths(r["pf_standard"]), _hundredths(r["pf_actual"])): _hundredths(
                r["adjust_pct"]
            )
            for r in _rows("pf_adjustment")
        },
        losses={
            int(row["sn_kva"]): (int(row["p0_w"]), int(row["pk_w"]))
            for row in _rows("transformer_losses")
        },
    )


def _tier(row: dict[str, str]) -> Tier:
    limit = row["kwh_up_to_incl"]
    price, peak, valley = (
        _micro(row[name]) for name in ("yuan_per_kwh", "peak_yuan", "valley_yuan")
    )
    return Tier(int(limit) if limit else None, price, peak, valley)


def _rows(name: str) -> list[dict[str, str]]:
    with (TABLES / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _micro(text: str) -> int:
    return int(Decimal(text).scaleb(6).to_integral_value())


def _hundredths(text: str) -> int:
    return int(Decimal(text).scaleb(2).to_integral_value())
