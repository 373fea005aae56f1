"""Customers that the story and the examples name (演示人物): fixed numbers, fixed phones.

The cast's phones are those of the sandbox; whoever has one here is bound in the story.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from devtools.demo.county import words
from devtools.demo.county.customers import RESIDENTIAL, Customer, Habit, Person, Pricing, Usage
from devtools.demo.county.high_voltage import (
    county_managers,
    office_of,
    own_transformer_customer,
    own_wiring,
)
from devtools.demo.county.low_voltage import home_address, home_meter, owner
from devtools.demo.county.places import TOWNSHIPS, Wiring
from devtools.demo.county.trades import ROUND_THE_CLOCK, TRADES, Trade
from devtools.demo.county.usage import HOME, WARD
from devtools.wechat_sandbox.cast import CAST

PHONES = {person["name"]: person["phone_number"] for person in CAST}

HOME_NO, SECOND_HOME_NO = "9900000341266", "9900000341274"
CLAIMS_PAID_NO, PAYS_FIRST_NO = "9900000342108", "9900000342116"
LOW_BALANCE_NO, REISSUED_NO, TRANSFERRED_NO = "9900000345901", "9900000340019", "9900000340027"
FOUNDRY_NO, FOUNDRY_SECOND_NO = "9900001203457", "9900001203465"
HOSPITAL_NO, REFUNDED_NO = "9900001200016", "9900001200024"
NEW_HOLDER = "钱文静"

_OPEN = Habit("微信", "open", punctuality=-9)
_PAID = Habit("微信", "paid", punctuality=-9)


@dataclass(frozen=True, slots=True)
class _Home:
    number: str
    name: str
    phone: str
    habit: Habit
    party: str = ""
    incident: str = ""
    # 费控: the balance [fen]
    balance_fen: int | None = None


@dataclass(frozen=True, slots=True)
class _Company:
    number: str
    name: str
    trade: Trade
    kva: int
    village: str
    newest: str
    party: str = ""
    is_important: bool = True
    incident: str = ""


_HOMES = (
    _Home(HOME_NO, "李秀兰", PHONES["李女士"], _OPEN),
    _Home(SECOND_HOME_NO, "李秀兰", PHONES["李女士"], _OPEN, party=HOME_NO),
    _Home(CLAIMS_PAID_NO, "赵志强", PHONES["小赵"], _OPEN),
    _Home(PAYS_FIRST_NO, "周德福", PHONES["老周"], replace(_OPEN, owes=1)),
    _Home("9900000345812", "张桂英", "19900012345", _OPEN),
    _Home(
        LOW_BALANCE_NO, "陈建国", "19900012352", replace(_PAID, method="其他"), balance_fen=1_236
    ),
    _Home(REISSUED_NO, "何玉珍", "19900012360", _PAID, incident="冲红重发"),
    _Home(TRANSFERRED_NO, "孙国强", "19900012378", _OPEN),
)
_WORKS = TRADES[0]
_PLANT = Trade(1, "public", (), (), 0.34, 96, ROUND_THE_CLOCK, WARD)
_FOUNDRY, _WATER = "云溪恒源铸造有限公司", "云溪县自来水公司"
_WATER_NO = "9900001200032"
_COMPANIES = (
    _Company(FOUNDRY_NO, _FOUNDRY, _WORKS, 800, "大塘村", "open", is_important=False),
    _Company(
        FOUNDRY_SECOND_NO, _FOUNDRY, _WORKS, 400, "大塘村", "open", FOUNDRY_NO, is_important=False
    ),
    _Company(HOSPITAL_NO, "云溪县人民医院", _PLANT, 1600, "东关村", "open"),
    _Company(_WATER_NO, _WATER, _PLANT, 630, "滨河社区", "paid"),
    _Company("9900001200040", _WATER, _PLANT, 400, "清水村", "open", _WATER_NO),
    _Company("9900001200057", "云溪县城东污水处理厂", _PLANT, 800, "东门社区", "open"),
    _Company("9900001200065", "云溪县中医院", _PLANT, 1000, "医院路社区", "paid"),
    _Company("9900001200073", "云溪县第一中学", _PLANT, 500, "北门社区", "paid"),
    _Company("9900001200081", "云溪县广播电视台", _PLANT, 315, "人民路社区", "paid"),
    _Company(
        REFUNDED_NO,
        "云溪鑫达塑业有限公司",
        _WORKS,
        500,
        "新桥村",
        "paid",
        is_important=False,
        incident="退补",
    ),
)


def notable_customers(transformers: list[list[Wiring]], seed: int) -> list[Customer]:
    """All of them; they are there at every scale."""
    town = [wiring for wiring in transformers[0] if wiring.transformer == "东关村2号公变"]
    managers = county_managers(seed)
    homes = [_home(each, town[0], seed) for each in _HOMES]
    return homes + [_company(each, managers, seed) for each in _COMPANIES]


def _home(each: _Home, wiring: Wiring, seed: int) -> Customer:
    rng = Random(f"{seed}:notable:{each.number}")
    return Customer(
        each.number,
        each.party or each.number,
        each.name,
        home_address(rng, wiring),
        RESIDENTIAL,
        "220V",
        wiring,
        Pricing("household"),
        home_meter(rng),
        Usage(rng.uniform(130, 210), HOME, 0.15),
        each.habit,
        (owner(each.number, each.name, each.phone),),
        is_prepaid=each.balance_fen is not None,
        incident=each.incident,
        balance_fen=each.balance_fen or 0,
    )


def _company(each: _Company, managers: list[Person], seed: int) -> Customer:
    rng = Random(f"{seed}:notable:{each.number}")
    township = next(one for one in TOWNSHIPS if each.village in one.villages)
    party = each.party or each.number
    customer = own_transformer_customer(
        rng,
        each.number,
        each.name,
        party=party,
        trade=each.trade,
        wiring=own_wiring(township, each.village, each.name, each.kva, each.number),
        kva=each.kva,
        people=_people(Random(f"{seed}:office:{party}"), each.number, managers),
    )
    return replace(
        customer,
        habit=Habit("转账", each.newest, punctuality=-6),
        is_important=each.is_important,
        is_closed=False,
        incident=each.incident,
    )


def _people(rng: Random, number: str, managers: list[Person]) -> tuple[Person, ...]:
    people = office_of(rng, number, managers)
    if number not in (FOUNDRY_NO, FOUNDRY_SECOND_NO):
        return people
    finance = replace(people[0], name="王建平", phone=PHONES["王先生"], mail="wang@example.com")
    return (finance, *people[1:])


def new_holder(customer: Customer, seed: int) -> Customer:
    """The same supply point after 过户: another party, another name, another phone."""
    phone = words.mobile(Random(f"{seed}:holder:{customer.customer_no}"))
    number = customer.customer_no
    person = replace(owner(number, NEW_HOLDER, phone), contact_no=f"{number}91")
    return replace(customer, party_no=f"{number}B", name=NEW_HOLDER, people=(person,))
