"""云溪县 as the demo makes it: the same bytes each time, bills that close, a county that nods."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from devtools.demo.county import notable
from devtools.demo.county.feeds import HEADINGS
from devtools.demo.county.generator import make_county
from devtools.demo.county.months import billing_months
from devtools.demo.county.places import public_transformers
from devtools.demo.county.prices import adjustment, county_prices

TODAY = date(2026, 11, 23)
SCALE = 0.05
FEES = HEADINGS["bills"][-8:]
Row = dict[str, str]


class Made:
    """A county on the disk, read back as a source system's files are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts: dict[str, Any] = json.loads((folder / "county.json").read_text("utf-8"))

    def rows(self, word: str, encoding: str = "utf-8-sig") -> list[Row]:
        with (self.folder / self.facts["files"][word]).open(encoding=encoding, newline="") as file:
            return list(csv.DictReader(file))

    @property
    def bills(self) -> list[Row]:
        return self.rows("bills_history") + self.rows("bills_newest")

    @property
    def payments(self) -> list[Row]:
        words = ("payments_history", "payments_newest")
        return [row for word in words for row in self.rows(word, "gb18030")]


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("county")
    make_county(folder, TODAY, scale=SCALE)
    return Made(folder)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_seed_and_day_give_the_same_bytes(county: Made, tmp_path: Path) -> None:
    make_county(tmp_path / "again", TODAY, scale=SCALE)
    make_county(tmp_path / "other", TODAY, scale=SCALE, seed=43)
    first, again, other = map(bytes_of, (county.folder, tmp_path / "again", tmp_path / "other"))
    assert first == again
    assert set(first) == set(other)
    assert all(first[name] != other[name] for name in first if "transfer" not in name)


def test_the_county_has_the_size_and_the_classes_that_were_asked_for(county: Made) -> None:
    customers = county.rows("customers")
    assert len(customers) == (2_200 + 20_000) * SCALE
    high = [row for row in customers if row["电压等级"] in ("10kV", "35kV")]
    assert len(high) == 2_200 * SCALE
    assert 1 <= sum(row["电压等级"] == "35kV" for row in high) <= 3
    classes = Counter(row["用电类别"] for row in customers)
    assert set(classes) == {"居民生活", "农业生产", "工商业单一制", "工商业两部制"}
    assert classes["居民生活"] > 0.8 * len(customers)
    assert all(row["地区"] == "全国" and row["供电单位"].endswith("供电所") for row in customers)
    assert len({row["客户编号"] for row in customers}) < len(customers)
    parties = {row["客户编号"] for row in customers if row["户名"] == "云溪恒源铸造有限公司"}
    assert parties == {notable.FOUNDRY_NO}
    assert {row["代扣方式"] for row in customers} == {"", "代扣", "托收"}
    assert Counter(row["客户状态"] for row in customers)["销户"] >= 1
    assert county.facts["notes"][1].startswith("示例电价")


def test_numbers_are_of_the_reserved_kind_and_nobody_real_has_them(county: Made) -> None:
    customers, people = county.rows("customers"), county.rows("contacts")
    numbers = [row["户号"] for row in customers]
    assert len(set(numbers)) == len(numbers)
    assert all(re.fullmatch(r"99\d{11}", number) for number in numbers)
    phones = [row["手机号"] for row in people if "短信" in row["接收方式"]]
    assert all(re.fullmatch(r"(199000\d{5}|1380000000[1-4])", phone) for phone in phones)
    assert any(not row["手机号"] for row in people)
    assert len({(row["户号"], row["联系人编号"]) for row in people}) == len(people)


def test_every_file_has_the_headings_of_the_source(county: Made) -> None:
    for word, feed in (
        ("customers", "customers"),
        ("contacts", "contacts"),
        ("balances", "balances"),
        ("bills_history", "bills"),
        ("bills_newest", "bills"),
        ("bills_late", "bills"),
    ):
        assert tuple(county.rows(word)[0]) == HEADINGS[feed]
    assert tuple(county.rows("payments_newest", "gb18030")[0]) == HEADINGS["payments"]


def test_the_fees_of_each_bill_are_its_amount_to_the_fen(county: Made) -> None:
    for row in county.bills:
        fees = [Decimal(row[name]) for name in FEES if row[name]]
        assert sum(fees, Decimal(0)) == Decimal(row["应收电费"]), row
        parts = [int(row[name]) for name in ("尖电量", "峰电量", "平电量", "谷电量") if row[name]]
        assert not parts or sum(parts) == int(row["计费电量"])
        assert date.fromisoformat(row["发行日期"]) < date.fromisoformat(row["交费截止日期"])


def test_readings_go_on_where_the_last_month_ended_and_say_the_kwh(county: Made) -> None:
    ends: dict[str, Decimal] = {}
    current = {(row["户号"], row["应收编号"]): row for row in county.bills if row["上期示数"]}
    for row in current.values():
        begin, end = Decimal(row["上期示数"]), Decimal(row["本期示数"])
        assert begin == ends.get(row["表资产号"], begin), row
        ends[row["表资产号"]] = end
        used = (end - begin) * int(row["倍率"]) + int(row["变线损电量"] or 0)
        assert abs(used - int(row["计费电量"])) <= 1
    assert any(int(row["倍率"]) >= 1_000 for row in current.values())
    assert any(row["变线损电量"] for row in current.values())


def test_every_customer_has_thirteen_months_and_half_a_year_when_it_has_left(county: Made) -> None:
    closed = {row["户号"] for row in county.rows("customers") if row["客户状态"] == "销户"}
    months: dict[str, set[str]] = defaultdict(set)
    # The file of late bills has some of the newest month.
    for row in [*county.bills, *county.rows("bills_late")]:
        months[row["户号"]].add(row["电费年月"])
    del months["9900009999999"]
    assert {len(found) for number, found in months.items() if number not in closed} == {13}
    assert {len(months[number]) for number in closed} == {6}
    assert sorted(months[notable.HOME_NO]) == county.facts["periods"]


def test_the_versions_of_a_bill_tell_of_a_misread_meter_and_of_a_refund(county: Made) -> None:
    told = [row for row in county.bills if row["户号"] == county.facts["reissued"]]
    number = next(row["应收编号"] for row in told if row["账单类型"] == "冲红")
    versions = [row for row in told if row["应收编号"] == number]
    assert [(row["版本"], row["账单类型"]) for row in versions] == [
        ("1", "正常"),
        ("2", "冲红"),
        ("3", "重发"),
    ]
    wrong, void, right = (Decimal(row["应收电费"]) for row in versions)
    assert void == 0
    assert wrong > right > 0
    (refund,) = [
        row
        for row in county.bills
        if row["户号"] == county.facts["refunded"] and row["账单类型"] == "退补"
    ]
    assert Decimal(refund["应收电费"]) < 0


def open_of(county: Made) -> dict[str, list[Row]]:
    """Bills of which more is left than was paid, by customer."""
    paid: Counter[str] = Counter()
    for row in county.payments:
        if row["状态"] == "已销账":
            paid[row["应收编号"]] += round(Decimal(row["金额"]) * 100)
    current = {row["应收编号"]: row for row in county.bills}
    left: dict[str, list[Row]] = defaultdict(list)
    for row in current.values():
        if round(Decimal(row["应收电费"]) * 100) > paid[row["应收编号"]]:
            left[row["户号"]].append(row)
    return left


def test_arrears_are_as_common_and_as_old_as_in_a_real_county(county: Made) -> None:
    customers = {row["户号"]: row for row in county.rows("customers")}
    newest = county.facts["periods"][-1]
    old = {
        number: [row for row in rows if row["电费年月"] != newest]
        for number, rows in open_of(county).items()
    }
    owing = [number for number, rows in old.items() if rows]
    homes = [number for number in customers if customers[number]["用电类别"] == "居民生活"]
    high = [number for number in customers if customers[number]["电压等级"] == "10kV"]
    assert 0.06 < len(set(owing) & set(homes)) / len(homes) < 0.10
    assert 0.01 < len(set(owing) & set(high)) / len(high) < 0.10
    ages = Counter(len(old[number]) for number in owing)
    assert ages[1] > ages[2] > ages[4]
    assert max(ages) <= 9
    prepaid = {number for number in customers if customers[number]["费控标志"] == "是"}
    assert not set(owing) & prepaid
    assert prepaid == {row["户号"] for row in county.rows("balances")}


def test_payments_come_in_every_way_that_a_clerk_knows(county: Made) -> None:
    payments = county.payments
    assert {row["状态"] for row in payments} == {"已销账", "在途", "扣款失败", "已冲正"}
    assert len({row["交易流水号"] for row in payments}) == len(payments)
    assert {row["交费方式"] for row in payments} >= {"柜台", "微信", "银行代扣", "托收", "转账"}
    for row in payments:
        assert Decimal(row["金额"]) > 0
        assert row["交易时间"] < f"{TODAY} 00:00:00"
        assert (row["状态"] in ("在途", "扣款失败")) == bool(row["预计扣款日"])
    flying = [row["预计扣款日"] for row in payments if row["状态"] == "在途"]
    assert set(flying) == {str(TODAY + timedelta(days=1))}
    amounts = {row["应收编号"]: Decimal(row["应收电费"]) for row in county.bills}
    late = {row["应收编号"] for row in county.rows("bills_late")}
    partial = [
        row
        for row in payments
        if row["应收编号"] not in late and Decimal(row["金额"]) < amounts[row["应收编号"]]
    ]
    assert partial


def test_the_cast_has_its_own_phones_and_owes_this_month(county: Made) -> None:
    assert county.facts["cast"] == {
        "李女士": [notable.HOME_NO, notable.SECOND_HOME_NO],
        "王先生": [notable.FOUNDRY_NO, notable.FOUNDRY_SECOND_NO],
        "小赵": [notable.CLAIMS_PAID_NO],
        "老周": [notable.PAYS_FIRST_NO],
    }
    left = open_of(county)
    assert all(left[number] for numbers in county.facts["cast"].values() for number in numbers)
    assert "云溪县人民医院" in county.facts["important"]
    people = [row for row in county.rows("contacts") if row["户号"] == notable.FOUNDRY_NO]
    assert [row["联系人类型"] for row in people] == ["财务", "电气负责人", "法人", "客户经理"]


def test_the_late_file_has_three_rows_that_nobody_can_load(county: Made) -> None:
    known = {row["户号"] for row in county.rows("customers")}
    bad = []
    for row in county.rows("bills_late"):
        fees = sum(Decimal(row[name]) for name in FEES if row[name])
        if row["户号"] not in known:
            bad.append("户号")
        elif not re.fullmatch(r"\d+\.\d\d", row["应收电费"]):
            bad.append("应收电费")
        elif fees != Decimal(row["应收电费"]):
            bad.append("费用")
    assert sorted(bad) == ["应收电费", "户号", "费用"]


def test_wires_lead_from_the_substation_to_the_transformer(county: Made) -> None:
    wires = {row["户号"]: row for row in county.rows("wiring")}
    assert set(wires) == {row["户号"] for row in county.rows("customers")}
    home = wires[notable.HOME_NO]
    assert (home["变电站"], home["线路"]) == ("110kV城关变", "10kV城东Ⅱ线512")
    assert (home["台区"], home["台区容量"]) == ("东关村2号公变", "400")
    assert any(row["合同容量"] != row["运行容量"] for row in wires.values())
    assert {row["市场化属性"] for row in wires.values()} == {"代理购电", "直接交易", "目录电价"}
    assert {row["计量方式"] for row in wires.values()} == {"高供高计", "高供低计", "低供低计"}


def test_everybodys_example_of_a_transformer_is_there_whatever_the_seed() -> None:
    for seed in range(8):
        (example,) = [
            wiring
            for wiring in public_transformers(0.02, seed)[0]
            if wiring.transformer == "东关村2号公变"
        ]
        assert (example.transformer_kva, example.line) == (400, "10kV城东Ⅱ线512")


@pytest.mark.parametrize(
    "today", [date(2026, 1, 30), date(2026, 3, 1), date(2026, 3, 28), date(2028, 2, 28)]
)
def test_the_newest_bills_are_due_in_two_days_whatever_the_day(today: date) -> None:
    months = billing_months(today)
    assert months[-1].due_on == today + timedelta(days=2)
    assert len({month.period for month in months}) == len(months) == 13
    assert [month.period for month in months] == sorted(month.period for month in months)
    for month in months:
        assert month.period < f"{month.issued_on:%Y%m}"
        assert month.issued_on < month.due_on


def test_the_power_factor_charge_is_that_of_a_real_bill() -> None:
    # A 110 kV bill of September 2025: 0.91, base 6,137,186.50 yuan, -9,205.78 (printed -9,205.79).
    assert adjustment(county_prices(), 90, 91, 613_718_650) == -920_578
    assert adjustment(county_prices(), 85, 84, 1_000_000) == 5_000
