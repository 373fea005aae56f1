"""The county's high-voltage customers (高压客户): own transformer, 10 kV or, a few, 35 kV."""

from __future__ import annotations

from random import Random

from devtools.demo.county import words
from devtools.demo.county.customers import (
    AGRICULTURAL,
    ONE_PART,
    TWO_PART,
    Customer,
    Meter,
    Person,
    Pricing,
    Usage,
    draw_habit,
)
from devtools.demo.county.low_voltage import meter_no
from devtools.demo.county.places import INDUSTRY_WEIGHTS, TOWNSHIPS, Township, Wiring
from devtools.demo.county.prices import county_prices
from devtools.demo.county.trades import ROUND_THE_CLOCK, TRADES, Trade

FIRST_NUMBER = 9900001210000
STEP = 37
METHODS = {"转账": 58, "托收": 18, "银行代扣": 8, "微信": 10, "柜台": 6}
ARREARS = 0.05
PAID_BY_NOW = 0.78
MANAGERS = 24
HOURS_OF_MEAN_MONTH = 730
CHOICE_FROM_KVA, TWO_PART_FROM_KVA, FACTOR_FROM_KVA = 100, 315, 100
# Above this the meter sits on the high-voltage side (高供高计) and sees no transformer loss.
METERED_LOW_UP_TO_KVA = 315
HIGH_35KV = (3150, 5000, 6300, 8000, 10000)
EVERY_35KV = 270
FIVE_AMPERE_RATIOS = (10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 400, 500, 600, 800, 1000)


def high_voltage_customers(count: int, seed: int, named: set[str]) -> list[Customer]:
    """``count`` high-voltage customers; every tenth party or so holds several supply points.

    Nobody gets one of the names that others have already, ``named``.
    """
    managers = county_managers(seed)
    made: list[Customer] = []
    taken = set(named)
    for place in range(count):
        rng = Random(f"{seed}:high:{place}")
        before = made[-1] if made and rng.random() < 0.09 else None
        made.append(_customer(place, rng, taken, before, managers))
    return made


def county_managers(seed: int) -> list[Person]:
    """客户经理 of the county; one looks after many customers."""
    rng = Random(f"{seed}:managers")
    return [
        Person(f"KH{number:03d}", "客户经理", 9, 1, words.person_name(rng), words.mobile(rng))
        for number in range(1, MANAGERS + 1)
    ]


def _customer(
    place: int, rng: Random, taken: set[str], before: Customer | None, managers: list[Person]
) -> Customer:
    number = str(FIRST_NUMBER + place * STEP + rng.randrange(STEP))
    township = rng.choices(TOWNSHIPS, INDUSTRY_WEIGHTS)[0]
    trade = rng.choices(TRADES, [each.weight for each in TRADES])[0]
    is_35kv = place % EVERY_35KV == 11
    if is_35kv:
        trade = TRADES[place % 2]
    kva = rng.choice(HIGH_35KV if is_35kv else trade.kva)
    village = rng.choice(list(township.villages))
    name = _name(rng, trade, township, village, taken) if before is None else before.name
    party = number if before is None else before.party_no
    return own_transformer_customer(
        rng,
        number,
        name,
        party=party,
        trade=trade,
        wiring=own_wiring(township, village, name, kva, number, is_35kv=is_35kv),
        kva=kva,
        people=office_of(rng, number, managers) if before is None else _same(before, number),
    )


def own_transformer_customer(
    rng: Random,
    number: str,
    name: str,
    *,
    party: str,
    trade: Trade,
    wiring: Wiring,
    kva: int,
    people: tuple[Person, ...],
) -> Customer:
    """A customer with an own transformer, priced by its size and trade."""
    running = _running(rng, kva)
    pricing = _pricing(rng, trade, kva, is_35kv=kva in HIGH_35KV)
    classes = {"agricultural": AGRICULTURAL, "single": ONE_PART, "two_part": TWO_PART}
    load = trade.load * rng.uniform(0.55, 1.4)
    return Customer(
        number,
        party,
        name,
        f"云溪县{wiring.town}{wiring.village}{rng.choice(words.STREETS)}{rng.randint(1, 380)}号",
        classes[pricing.scheme],
        "35kV" if kva in HIGH_35KV else "10kV",
        wiring,
        pricing,
        _meter(rng, kva),
        Usage(running * load * HOURS_OF_MEAN_MONTH, trade.shape, 0.12),
        draw_habit(rng, methods=METHODS, arrears=ARREARS, paid_by_now=PAID_BY_NOW),
        people,
        running_kva=running,
        contract_kva=kva,
        is_important=trade.kind == "public" and rng.random() < 0.06,
        is_closed=rng.random() < 0.003,
    )


def own_wiring(
    township: Township, village: str, name: str, kva: int, number: str, *, is_35kv: bool = False
) -> Wiring:
    """The line and the own transformer (专变) of a customer."""
    line = f"35kV{name[2:4]}专线{int(number[-3:])}" if is_35kv else township.villages[village]
    return Wiring(
        township.station,
        township.town,
        village,
        township.substation,
        line,
        f"{name}专变",
        kva,
    )


def office_of(rng: Random, number: str, managers: list[Person]) -> tuple[Person, ...]:
    """财务, 电气负责人 and 法人 of a company, and our manager for it."""
    people = [
        Person(
            f"{number}{place:02d}",
            role,
            level,
            1,
            words.person_name(rng),
            words.mobile(rng),
            f"cw{number[-7:]}@yunxi.example" if role == "财务" else "",
            "微信、短信、邮件" if role == "财务" else "微信、短信",
        )
        for place, (role, level) in enumerate(
            (("财务", 1), ("电气负责人", 2), ("法人", 3)), start=3
        )
    ]
    return (*people, rng.choice(managers))


def _same(before: Customer, number: str) -> tuple[Person, ...]:
    """The same people speak for another supply point of the same party."""
    return tuple(
        Person(
            person.contact_no if person.role == "客户经理" else f"{number}{place:02d}",
            person.role,
            person.level,
            person.position,
            person.name,
            person.phone,
            person.mail,
            person.channels,
        )
        for place, person in enumerate(before.people, start=3)
    )


def _name(rng: Random, trade: Trade, township: Township, village: str, taken: set[str]) -> str:
    place = village.removesuffix("社区")
    for number in range(1, 1000):
        # After many tries at one word the number tells the namesakes apart.
        brand = rng.choice(words.BRANDS) + (f"{number // 40}分" if number >= 40 else "")
        name = rng.choice(trade.names).format(
            town=township.town, village=place, brand=brand, no=(number + 1) // 2
        )
        if name not in taken:
            taken.add(name)
            return name
    raise AssertionError("no name is left for this trade")


def _running(rng: Random, kva: int) -> float:
    """运行容量: of two transformers one may be suspended (暂停)."""
    return kva / 2 if kva >= 400 and rng.random() < 0.17 else float(kva)


def _pricing(rng: Random, trade: Trade, kva: int, *, is_35kv: bool) -> Pricing:
    factor = min(max(round(rng.gauss(trade.power_factor, 3.5)), 66), 99)
    has_standard = kva >= FACTOR_FROM_KVA
    if trade.kind == "farm":
        standard = 80 if has_standard else 0
        return Pricing("agricultural", "1-10kV", (), standard, factor if standard else 0)
    usual = 85 if has_standard else 0
    standard = 90 if trade.kind == "industry" and kva > 160 else usual
    chance = 0.25 if kva < TWO_PART_FROM_KVA else 0.88
    is_two_part = is_35kv or (kva > CHOICE_FROM_KVA and rng.random() < chance)
    is_direct = is_two_part and rng.random() < 0.18
    shares = tuple(share * rng.uniform(0.9, 1.1) for share in trade.shares)
    return Pricing(
        "two_part" if is_two_part else "single",
        "35kV" if is_35kv else "1-10kV",
        shares if has_standard else (),
        standard,
        factor if standard else 0,
        rng.randrange(352_000, 402_000, 50) if is_direct else 0,
        _demand_ratio(rng, trade) if is_two_part and rng.random() < 0.25 else 0.0,
    )


def _demand_ratio(rng: Random, trade: Trade) -> float:
    usual = 1.45 if trade.shares == ROUND_THE_CLOCK else 2.1
    return usual * rng.uniform(0.9, 1.2)


def _meter(rng: Random, kva: int) -> Meter:
    if kva in HIGH_35KV:
        amperes, voltage_ratio = kva / 60.6, 350
    elif kva > METERED_LOW_UP_TO_KVA:
        amperes, voltage_ratio = kva / 17.3, 100
    else:
        amperes, voltage_ratio = kva / 0.693, 1
    current = next(ratio for ratio in FIVE_AMPERE_RATIOS if ratio >= amperes * 0.95)
    loss = county_prices().losses.get(kva) if voltage_ratio == 1 else None
    # Registers of such meters show hundredths of a kWh.
    reading = rng.randint(10_000, 900_000)
    return Meter(meter_no(rng), max(current // 5, 1) * voltage_ratio, reading, True, loss)
