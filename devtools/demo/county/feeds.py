"""The county's feeds as SG186 writes them (接口文件): headings, encodings, texts of each cell."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from devtools.demo.county.billing import FEES, Bill
from devtools.demo.county.customers import Customer
from devtools.demo.county.paying import Payment

UTF8, GB18030 = "utf-8-sig", "gb18030"
_HEADINGS = {
    "customers": "户号,客户编号,户名,用电地址,用电类别,电压等级,供电单位,地区,运行容量,重要用户,"
    "费控标志,代扣方式,客户状态",
    "contacts": "户号,联系人编号,联系人类型,级别,顺序,姓名,手机号,邮箱,接收方式,状态",
    "bills": "户号,应收编号,版本,账单类型,电费年月,应收电费,发行日期,交费截止日期,表资产号,"
    "上期示数,本期示数,倍率,变线损电量,计费电量,尖电量,峰电量,平电量,谷电量,购电费,上网环节线损费,"
    "输配电费,系统运行费,政府性基金及附加,容需量电费,力调电费,其他费用",
    "payments": "交易流水号,户号,应收编号,金额,状态,交费方式,交易时间,预计扣款日",
    "balances": "户号,可用余额,测算时间",
    "wiring": "户号,供电单位,变电站,线路,台区,台区容量,合同容量,运行容量,市场化属性,计量方式",
}
HEADINGS = {feed: tuple(text.split(",")) for feed, text in _HEADINGS.items()}
Row = tuple[str, ...]


def write_feed(path: Path, feed: str, rows: Iterable[Row]) -> int:
    """Write one file and return how many rows it has."""
    encoding = GB18030 if feed == "payments" else UTF8
    count = 0
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADINGS[feed])
        for row in rows:
            writer.writerow(row)
            count += 1
    return count


def yuan(fen: int) -> str:
    """Fen as yuan with two decimals."""
    return f"{fen / 100:.2f}"


def customer_row(customer: Customer) -> Row:
    """A row of the customer feed."""
    return (
        customer.customer_no,
        customer.party_no,
        customer.name,
        customer.address,
        customer.customer_class,
        customer.voltage,
        customer.wiring.station,
        "全国",
        "" if customer.running_kva is None else f"{customer.running_kva:g}",
        "是" if customer.is_important else "否",
        "是" if customer.is_prepaid else "否",
        customer.autopay,
        "销户" if customer.is_closed else "正常",
    )


def contact_rows(customer: Customer) -> list[Row]:
    """The rows of the contact feed of one customer."""
    state = "失效" if customer.is_closed else "有效"
    return [
        (
            customer.customer_no,
            person.contact_no,
            person.role,
            str(person.level),
            str(person.position),
            person.name,
            person.phone,
            person.mail,
            person.channels,
            state,
        )
        for person in customer.people
    ]


def balance_row(customer: Customer, today: date) -> Row:
    """A row of the balance feed, measured this morning."""
    return (customer.customer_no, yuan(customer.balance_fen), f"{today:%Y-%m-%d} 06:00:00")


def wiring_row(customer: Customer) -> Row:
    """Where the supply point hangs; not a feed of the arrears flow."""
    wiring = customer.wiring
    loss, is_high = customer.meter.loss, customer.is_high_voltage
    metering = ("高供低计" if loss else "高供高计") if is_high else "低供低计"
    market = "直接交易" if customer.pricing.market_price else "代理购电"
    return (
        customer.customer_no,
        wiring.station,
        wiring.substation,
        wiring.line,
        wiring.transformer,
        str(wiring.transformer_kva),
        "" if customer.contract_kva is None else f"{customer.contract_kva:g}",
        "" if customer.running_kva is None else f"{customer.running_kva:g}",
        market if customer.customer_class.startswith("工商业") else "目录电价",
        metering,
    )


def bill_row(customer_no: str, bill: Bill) -> Row:
    """A row of the bill feed; what a bill does not have stays empty."""
    fees, month = bill.fees, bill.month
    return (
        customer_no,
        bill.bill_no,
        str(bill.version),
        bill.kind,
        month.period,
        yuan(bill.amount),
        str(month.issued_on),
        str(month.due_on),
        bill.meter_no,
        _reading(bill.previous),
        _reading(bill.current),
        "" if bill.previous is None else str(bill.multiplier),
        "" if bill.loss_kwh is None else str(bill.loss_kwh),
        str(bill.kwh),
        *(tuple(map(str, bill.periods)) or ("", "", "", "")),
        *(yuan(fees[name]) if name in fees else "" for name in FEES),
    )


def _reading(hundredths: int | None) -> str:
    if hundredths is None:
        return ""
    whole, rest = divmod(hundredths, 100)
    return f"{whole}.{rest:02d}" if rest else str(whole)


def payment_row(number: str, payment: Payment) -> Row:
    """A row of the payment feed."""
    return (
        number,
        payment.customer_no,
        payment.bill_no,
        yuan(payment.amount),
        payment.state,
        payment.method,
        str(payment.paid_at),
        "" if payment.expected_on is None else str(payment.expected_on),
    )
