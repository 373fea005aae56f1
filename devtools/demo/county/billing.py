"""The bills of one customer (电费账单): each reading begins where the last one ended.

The fees of a bill are whole fen and the amount is their sum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from devtools.demo.county.customers import Customer, Pricing
from devtools.demo.county.months import BillingMonth
from devtools.demo.county.prices import (
    PERIODS,
    Prices,
    adjustment,
    county_prices,
    fen_of,
)
from devtools.demo.county.usage import monthly_kwh

ENOUGH_PER_KVA, DEMAND_DISCOUNT_PCT = 260, 90
SHARE_OF_SWING = 0.02
FEES = (
    "energy",
    "line_loss",
    "transmission",
    "system",
    "funds",
    "basic",
    "power_factor",
    "other",
)
Fees = dict[str, int]


@dataclass(slots=True)
class Bill:
    """One row of the bill feed. Readings are hundredths; amount and fees are fen."""

    bill_no: str
    month: BillingMonth
    version: int
    kind: str
    amount: int
    kwh: int
    fees: Fees
    meter_no: str = ""
    previous: int | None = None
    current: int | None = None
    multiplier: int = 1
    loss_kwh: int | None = None
    periods: tuple[int, ...] = ()


def bill_number(customer: Customer, month: BillingMonth) -> str:
    """应收编号: the month and the end of the 户号."""
    return month.period + customer.customer_no[-10:]


def bills_of(customer: Customer, months: list[BillingMonth], rng: Random) -> list[Bill]:
    """The normal bills of these months, in their order."""
    prices, meter = county_prices(), customer.meter
    unit = 1 if meter.hundredths else 100
    reading = meter.first_reading * 100
    year = _used_before(customer, months[0].month)
    bills = []
    for month in months:
        wanted = monthly_kwh(customer.usage, month.month, rng)
        step = round(wanted / meter.multiplier * 100 / unit) * unit
        loss = _loss_kwh(customer, month, wanted)
        kwh = (step * meter.multiplier + 50) // 100 + (loss or 0)
        if month.month == 1:
            year = 0
        periods, fees = _charge(customer, kwh, year, month, prices, rng)
        year += kwh
        bills.append(
            Bill(
                bill_number(customer, month),
                month,
                1,
                "正常",
                sum(fees.values()),
                kwh,
                fees,
                meter.meter_no,
                reading,
                reading + step,
                meter.multiplier,
                loss,
                periods,
            )
        )
        reading += step
    return bills


def _used_before(customer: Customer, month: int) -> int:
    """What a household had used in the year before the first of these months."""
    if customer.pricing.scheme != "household":
        return 0
    return round(customer.usage.mean_kwh * sum(customer.usage.shape[: month - 1]))


def _loss_kwh(customer: Customer, month: BillingMonth, wanted: float) -> int | None:
    """变损 of a transformer before the meter: P0·T + Pk·β²·T."""
    if customer.meter.loss is None or not customer.running_kva:
        return None
    idle_w, load_w = customer.meter.loss
    beta = wanted / (customer.running_kva * 0.9 * month.hours)
    return round((idle_w + load_w * beta * beta) * month.hours / 1000)


def _charge(
    customer: Customer, kwh: int, year: int, month: BillingMonth, prices: Prices, rng: Random
) -> tuple[tuple[int, ...], Fees]:
    pricing = customer.pricing
    if pricing.scheme == "household":
        periods = _split(kwh, pricing.shares, rng)
        return periods, {"energy": _tiered(kwh, year, periods, prices)}
    if pricing.scheme == "shared":
        return (), {"energy": fen_of(kwh * prices.shared_residential)}
    if pricing.scheme == "agricultural":
        fees = {"energy": fen_of(kwh * prices.agricultural)}
        _adjust(fees, pricing, prices, rng)
        return (), fees
    periods = _split(kwh, pricing.shares, rng)
    fees = _business(pricing, kwh, periods, prices)
    if pricing.scheme == "two_part":
        fees["basic"] = _basic(customer, kwh, month, prices, rng)
    _adjust(fees, pricing, prices, rng)
    return periods, fees


def _split(kwh: int, shares: tuple[float, ...], rng: Random) -> tuple[int, ...]:
    """The registers of sharp, peak, flat and valley; together exactly ``kwh``."""
    if not shares:
        return ()
    moved = [share * (1 + SHARE_OF_SWING * (2 * rng.random() - 1)) for share in shares]
    whole = sum(moved)
    parts = [int(kwh * share / whole) for share in moved]
    parts[max(range(4), key=moved.__getitem__)] += kwh - sum(parts)
    return tuple(parts)


def _tiered(kwh: int, year: int, periods: tuple[int, ...], prices: Prices) -> int:
    """A household's charge: what falls into each yearly tier, by 峰谷 where it has them."""
    micro, done, begin = 0, year, 0
    for tier in prices.tiers:
        end = tier.up_to_kwh
        part = max(0, (year + kwh if end is None else min(year + kwh, end)) - max(done, begin))
        if periods and kwh:
            valley = part * periods[3] // kwh
            micro += (part - valley) * tier.peak + valley * tier.valley
        else:
            micro += part * tier.price
        done, begin = done + part, end or begin
    return fen_of(micro)


def _business(pricing: Pricing, kwh: int, periods: tuple[int, ...], prices: Prices) -> Fees:
    """工商业: purchase and line loss float with the period, the rest does not."""
    weighted = kwh * 100
    if periods and not pricing.market_price:
        weighted = sum(
            part * prices.ratios[period] for part, period in zip(periods, PERIODS, strict=True)
        )
    purchase = pricing.market_price or prices.purchase
    transmission = prices.transmission[_scheme_of(pricing), pricing.band]
    return {
        "energy": fen_of(weighted * purchase // 100),
        "line_loss": fen_of(weighted * prices.line_loss // 100),
        "transmission": fen_of(kwh * transmission),
        "system": fen_of(kwh * prices.system),
        "funds": fen_of(kwh * prices.funds),
    }


def _scheme_of(pricing: Pricing) -> str:
    return "two_part" if pricing.scheme == "two_part" else "single"


def _basic(customer: Customer, kwh: int, month: BillingMonth, prices: Prices, rng: Random) -> int:
    """容(需)量电费: by running capacity, or by the month's demand (90 % of the price when the
    contract capacity is well used)."""
    pricing = customer.pricing
    running, contract = customer.running_kva or 0.0, customer.contract_kva or 0.0
    if not pricing.demand_ratio:
        return round(running * prices.capacity_fen[pricing.band])
    demand = kwh / month.hours * pricing.demand_ratio * rng.uniform(0.95, 1.05)
    demand_kw = round(min(demand, running))
    fen = demand_kw * prices.demand_fen[pricing.band]
    is_well_used = contract > 0 and kwh / contract >= ENOUGH_PER_KVA
    return fen * DEMAND_DISCOUNT_PCT // 100 if is_well_used else fen


def _adjust(fees: Fees, pricing: Pricing, prices: Prices, rng: Random) -> None:
    """力调: on everything but the government funds."""
    if not pricing.standard:
        return
    factor = min(max(pricing.power_factor + rng.randint(-1, 1), 60), 100)
    base = sum(fees.values()) - fees.get("funds", 0)
    fees["power_factor"] = adjustment(prices, pricing.standard, factor, base)


def misread(bill: Bill, extra_kwh: int) -> list[Bill]:
    """A bill that was read too high, voided (冲红) and issued again (重发): versions 1, 2 and 3.

    ``bill`` is the right one and becomes version 3.
    """
    if bill.current is None or bill.kwh == 0:
        raise AssertionError("only a read bill is issued again")
    wrong_kwh = bill.kwh + extra_kwh
    fees = {name: fen * wrong_kwh // bill.kwh for name, fen in bill.fees.items()}
    wrong = replace(
        bill,
        amount=sum(fees.values()),
        kwh=wrong_kwh,
        fees=fees,
        current=bill.current + extra_kwh * 100 // bill.multiplier,
        periods=(),
    )
    void = Bill(bill.bill_no, bill.month, 2, "冲红", 0, 0, {})
    return [wrong, void, replace(bill, version=3, kind="重发")]


def refund(bill: Bill, kwh: int) -> Bill:
    """退补: ``kwh`` were billed too much; the price is that of the bill."""
    fen = -(bill.fees["energy"] * kwh // max(bill.kwh, 1))
    number = f"TB{bill.bill_no}"
    return Bill(number, bill.month, 1, "退补", fen, -kwh, {"other": fen})
