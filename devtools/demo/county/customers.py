"""One customer of the county (用电客户): name, supply, meter, prices, and how it pays."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from devtools.demo.county.places import Wiring

RESIDENTIAL, AGRICULTURAL = "居民生活", "农业生产"
ONE_PART, TWO_PART = "工商业单一制", "工商业两部制"


@dataclass(frozen=True, slots=True)
class Person:
    """A contact of a customer; ``channels`` as the feed writes them."""

    contact_no: str
    role: str
    level: int
    position: int
    name: str
    phone: str
    mail: str = ""
    channels: str = "微信、短信"


@dataclass(frozen=True, slots=True)
class Pricing:
    """By what the bill is made: the scheme and what belongs to it.

    ``scheme``: household 一户一表, shared 合表, agricultural, single 单一制, two_part 两部制.
    """

    scheme: str
    # voltage band of the price table
    band: str = "lt1kV"
    # shares of sharp, peak, flat, valley; empty: one register
    shares: tuple[float, ...] = ()
    # 力调 standard and usual power factor in hundredths; 0: none
    standard: int = 0
    power_factor: int = 0
    # 直接交易: own purchase price in micro-yuan; 0: agency purchase
    market_price: int = 0
    # 需量: kW per kWh of a mean hour; 0: billed by capacity
    demand_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Meter:
    """``hundredths``: the register shows two decimals; ``loss`` are the P0 and Pk of 高供低计."""

    meter_no: str
    multiplier: int
    first_reading: int
    hundredths: bool = False
    loss: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """How much is used: kWh of a mean month, the shape of the year, how far months differ."""

    mean_kwh: float
    shape: tuple[float, ...]
    spread: float


@dataclass(frozen=True, slots=True)
class Habit:
    """How this customer pays.

    ``owes`` counts the unpaid months before the newest one; ``newest`` says what has become of the
    newest bill by today: paid, open, in_flight 在途, failed 扣款失败.
    """

    method: str
    newest: str
    owes: int = 0
    is_partial: bool = False
    is_reversed: bool = False
    # days after the due date on which old bills are usually paid; negative: before
    punctuality: int = -8


@dataclass(frozen=True, slots=True)
class Customer:
    """A supply account with everything that its feeds say."""

    customer_no: str
    party_no: str
    name: str
    address: str
    customer_class: str
    voltage: str
    wiring: Wiring
    pricing: Pricing
    meter: Meter
    usage: Usage
    habit: Habit
    people: tuple[Person, ...]
    running_kva: float | None = None
    contract_kva: float | None = None
    is_important: bool = False
    is_prepaid: bool = False
    is_closed: bool = False
    # 冲红重发 or 退补: what happened to one of its bills; empty: nothing
    incident: str = ""
    # 可用余额 [fen] of a prepaid customer
    balance_fen: int = 0

    @property
    def is_high_voltage(self) -> bool:
        """Supplied by an own transformer."""
        return self.voltage in ("10kV", "35kV")

    @property
    def autopay(self) -> str:
        """代扣方式 as the feed writes it."""
        return {"银行代扣": "代扣", "托收": "托收"}.get(self.habit.method, "")


def draw_habit(
    rng: Random, *, methods: dict[str, int], arrears: float, paid_by_now: float
) -> Habit:
    """A habit at random; ``arrears`` and ``paid_by_now`` are shares of all customers."""
    method = rng.choices(list(methods), list(methods.values()))[0]
    if rng.random() < arrears:
        owes = rng.choices((1, 2, 3, 4, 5, 6, 9), (56, 22, 10, 5, 3, 2, 2))[0]
        failed = method in ("银行代扣", "托收")
        return Habit(
            method,
            "failed" if failed else "open",
            owes,
            is_partial=rng.random() < 0.14,
            is_reversed=rng.random() < 0.03,
            punctuality=rng.randint(-2, 12),
        )
    punctuality = rng.choices((-14, -9, -5, -2, 0, 3, 7), (20, 25, 22, 14, 10, 6, 3))[0]
    if method in ("银行代扣", "托收"):
        newest = rng.choices(("paid", "in_flight", "failed"), (62, 36, 2))[0]
    else:
        newest = "paid" if rng.random() < paid_by_now else "open"
    return Habit(method, newest, is_reversed=rng.random() < 0.002, punctuality=punctuality)
