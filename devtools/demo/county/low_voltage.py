"""The low-voltage sample (低压抽样): households, shared meters, shops, small pumps on 公变."""

from __future__ import annotations

from random import Random

from devtools.demo.county import usage, words
from devtools.demo.county.customers import (
    AGRICULTURAL,
    ONE_PART,
    RESIDENTIAL,
    Customer,
    Habit,
    Meter,
    Person,
    Pricing,
    Usage,
    draw_habit,
)
from devtools.demo.county.places import TOWNSHIP_WEIGHTS, Wiring

FIRST_NUMBER = 9900000400000
STEP = 9
HOME_METHODS = {"微信": 62, "柜台": 13, "银行代扣": 11, "转账": 4, "其他": 10}
SHOP_METHODS = {"微信": 55, "转账": 25, "柜台": 10, "银行代扣": 10}
HOME_ARREARS, SHOP_ARREARS = 0.08, 0.07
PAID_BY_NOW = 0.80
PREPAID, NO_PHONE = 0.05, 0.015


def low_voltage_customers(
    count: int, transformers: list[list[Wiring]], seed: int
) -> list[Customer]:
    """``count`` low-voltage customers, spread over the townships."""
    return [_customer(place, transformers, seed) for place in range(count)]


def _customer(place: int, transformers: list[list[Wiring]], seed: int) -> Customer:
    rng = Random(f"{seed}:low:{place}")
    wiring = rng.choice(rng.choices(transformers, TOWNSHIP_WEIGHTS)[0])
    number = str(FIRST_NUMBER + place * STEP + rng.randrange(STEP))
    lot = rng.random()
    if lot < 0.915:
        return _household(rng, number, wiring)
    if lot < 0.925:
        return _shared_meter(rng, number, wiring)
    if lot < 0.98:
        return _shop(rng, number, wiring)
    return _pump(rng, number, wiring)


def home_address(rng: Random, wiring: Wiring) -> str:
    """An address in the village or the estates around this transformer."""
    place = f"云溪县{wiring.town}"
    if wiring.village.endswith("社区"):
        block, unit = rng.randint(1, 28), rng.randint(1, 4)
        door = rng.randint(1, 17) * 100 + rng.randint(1, 4)
        estate = f"{rng.choice(words.STREETS)}{rng.randint(1, 260)}号{rng.choice(words.ESTATES)}"
        return f"{place}{estate}{block}栋{unit}单元{door}室"
    return f"{place}{wiring.village}{rng.randint(1, 9)}组{rng.randint(1, 120)}号"


def home_meter(rng: Random) -> Meter:
    """A household's meter: whole kWh, no transformer before it."""
    return Meter(meter_no(rng), 1, rng.randint(800, 42_000))


def meter_no(rng: Random) -> str:
    """表资产号: 22 digits, with the made-up prefix."""
    return f"99{rng.randrange(10**20):020d}"


def home_usage(rng: Random, *, is_rural: bool) -> Usage:
    """A household's year; every thirtieth home stands empty."""
    if rng.random() < 0.033:
        return Usage(rng.choice((0.0, 1.5, 4.0)), usage.HOME, 0.6)
    mean = rng.lognormvariate(4.85 if is_rural else 5.15, 0.5)
    return Usage(min(max(mean, 18.0), 900.0), usage.HOME, 0.22)


def household_pricing(rng: Random) -> Pricing:
    """一户一表; every sixth home has chosen 峰谷."""
    return Pricing("household", shares=(0.0, 0.56, 0.0, 0.44) if rng.random() < 0.16 else ())


def owner(number: str, name: str, phone: str, channels: str = "微信、短信") -> Person:
    """户主 of a home."""
    return Person(f"{number}01", "户主", 1, 1, name, phone, channels=channels)


def _owner_on_file(rng: Random, number: str, name: str) -> Person:
    """Of some homes nobody ever wrote down a phone."""
    phone = words.mobile(rng)
    if rng.random() < NO_PHONE:
        return owner(number, name, "", channels="微信")
    return owner(number, name, phone)


def _household(rng: Random, number: str, wiring: Wiring) -> Customer:
    name = words.person_name(rng)
    is_prepaid = rng.random() < PREPAID
    habit = draw_habit(rng, methods=HOME_METHODS, arrears=HOME_ARREARS, paid_by_now=PAID_BY_NOW)
    if is_prepaid:
        habit = Habit("其他", "paid", punctuality=-18)
    return Customer(
        number,
        number,
        name,
        home_address(rng, wiring),
        RESIDENTIAL,
        "220V",
        wiring,
        household_pricing(rng),
        home_meter(rng),
        home_usage(rng, is_rural=wiring.village.endswith("村")),
        habit,
        (_owner_on_file(rng, number, name),),
        is_prepaid=is_prepaid,
        is_closed=rng.random() < 0.006,
        balance_fen=round(rng.lognormvariate(9.0, 1.0)) - 1_500 if is_prepaid else 0,
    )


def _shared_meter(rng: Random, number: str, wiring: Wiring) -> Customer:
    building = rng.choice(("农民公寓", "老年公寓", "安置楼", "集资楼"))
    name = f"{wiring.village}{building}{rng.randint(1, 9)}栋"
    keeper = words.person_name(rng)
    return Customer(
        number,
        number,
        name,
        f"云溪县{wiring.town}{wiring.village}{rng.randint(1, 120)}号",
        RESIDENTIAL,
        "380V",
        wiring,
        Pricing("shared"),
        Meter(meter_no(rng), 20, rng.randint(100, 4_000), hundredths=True),
        Usage(rng.lognormvariate(7.6, 0.4), usage.HOME, 0.2),
        draw_habit(rng, methods=SHOP_METHODS, arrears=0.05, paid_by_now=PAID_BY_NOW),
        (Person(f"{number}02", "经办人", 1, 1, keeper, words.mobile(rng)),),
    )


def _shop(rng: Random, number: str, wiring: Wiring) -> Customer:
    keeper = words.person_name(rng)
    name = f"云溪县{rng.choice(words.BRANDS)}{rng.choice(words.SHOPS)}"
    return Customer(
        number,
        number,
        name,
        f"云溪县{wiring.town}{rng.choice(words.STREETS)}{rng.randint(1, 260)}号",
        ONE_PART,
        rng.choice(("220V", "380V")),
        wiring,
        Pricing("single", "lt1kV"),
        Meter(meter_no(rng), 1, rng.randint(800, 60_000)),
        Usage(rng.lognormvariate(6.3, 0.6), usage.SHOP, 0.25),
        draw_habit(rng, methods=SHOP_METHODS, arrears=SHOP_ARREARS, paid_by_now=PAID_BY_NOW),
        (Person(f"{number}02", "经办人", 1, 1, keeper, words.mobile(rng)),),
    )


def _pump(rng: Random, number: str, wiring: Wiring) -> Customer:
    keeper = words.person_name(rng)
    kind = rng.choice(("抽水站", "大棚", "养鸡场", "晒谷场"))
    mean, shape = rng.lognormvariate(5.6, 0.7), usage.BARN if kind == "养鸡场" else usage.IRRIGATION
    return Customer(
        number,
        number,
        f"{wiring.village}{keeper[0]}家{kind}" if kind != "抽水站" else f"{wiring.village}{kind}",
        f"云溪县{wiring.town}{wiring.village}{rng.randint(1, 9)}组",
        AGRICULTURAL,
        "380V",
        wiring,
        Pricing("agricultural"),
        Meter(meter_no(rng), 1, rng.randint(200, 30_000)),
        Usage(mean, shape, 0.3),
        draw_habit(rng, methods=HOME_METHODS, arrears=HOME_ARREARS, paid_by_now=PAID_BY_NOW),
        (Person(f"{number}02", "经办人", 1, 1, keeper, words.mobile(rng)),),
    )
