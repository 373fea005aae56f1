"""What each feed must look like (校验规则): its fields, its keys, the reasons of a reject.

One table each. ``mapping`` holds mapping files against the fields, ``check_sql`` turns them into
SQL. Lengths are those of the columns that the fields end in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

KIND_KEY = "key"
KIND_TEXT = "text"
KIND_PHONE = "phone"
KIND_MAIL = "mail"
KIND_MONEY = "money"
KIND_NUMBER = "number"
KIND_INTEGER = "integer"
KIND_DATE = "date"
KIND_MONTH = "month"
KIND_INSTANT = "instant"
KIND_CODE = "code"
KIND_FLAG = "flag"
KIND_LIST = "list"

# Each reason of a reject and what people read of it. Never the value: it may be personal.
REASONS = {
    "wrong_cell_count": "列数与表头不一致",
    "bad_quotes": "引号使用有误，无法分列",
    "missing": "必填，但为空",
    "formula": "单元格是公式，请改为数值",
    "cell_error": "单元格是错误值（如 #N/A）",
    "control_characters": "含有换行、制表符等控制字符",
    "garbled": "含有乱码字符",
    "too_long": "文字过长",
    "bad_key": "编号格式不对",
    "bad_phone": "不是 11 位手机号",
    "bad_mail": "不是邮箱地址",
    "not_amount": "不是金额（只写数字，不带千位分隔符和货币符号）",
    "too_precise": "金额有不足一分的小数",
    "not_number": "不是数字",
    "not_integer": "不是整数",
    "not_date": "不是日期",
    "not_month": "不是年月",
    "not_instant": "不是日期时间",
    "out_of_range": "超出允许范围",
    "in_future": "晚于导入时间",
    "unknown_code": "不是约定的取值",
    "repeated_key": "同一编号有多行且内容不同，均未导入",
    "unknown_customer": "户号在客户档案中不存在",
    "fees_differ": "各项费用之和与应收电费不一致",
    "wrong_sign": "冲红账单金额应为 0，正常和重发账单金额不得为负",
    "due_before_issue": "交费截止日期早于发行日期",
    "issued_before_period": "发行日期早于电费年月",
    "readings_differ": "示数差乘以倍率，加变线损电量，与计费电量不一致",
    "reading_back": "示数倒走",
    "reading_jump": "示数突变，超过平常的 10 倍",
    "phone_missing": "接收方式含短信，但没有手机号",
    "mail_missing": "接收方式含邮件，但没有邮箱",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a feed, as text in the file and typed in the table ``good``."""

    name: str
    kind: str
    may_be_empty: bool = False
    is_needed: bool = True  # a mapping must give it
    longest: int = 0
    low: float | date | None = None
    high: float | date | None = None
    choices: tuple[str, ...] = ()
    default: str = ""  # what an empty text becomes
    default_field: str = ""  # whose value an empty one takes
    is_past: bool = False  # cannot lie after now


@dataclass(frozen=True, slots=True)
class RowRule:
    """A rule over several fields: SQL over typed values that is true when the row breaks it."""

    reason: str
    field: str  # the column that the reject names
    fields: tuple[str, ...]  # all that it looks at; when one of them is unreadable it is silent
    sql: str


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed: fields in the order of the table ``good``, the key of a row, rules over fields."""

    name: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    rules: tuple[RowRule, ...] = ()
    names_customer: bool = True  # customer_no must be known
    by_name: dict[str, Field] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {one.name: one for one in self.fields})


# Nothing that we bill is older; a typed 0206 or 9999 is a slip.
_FIRST_DAY = date(2000, 1, 1)
_LAST_DAY = date(2099, 12, 31)
_MOST_YUAN = 10_000_000_000.0
_MOST_KWH = 1e11
_READINGS = ("previous_reading", "current_reading", "multiplier")
FEES = (
    "energy_fee",
    "line_loss_fee",
    "transmission_fee",
    "system_fee",
    "funds_fee",
    "basic_fee",
    "power_factor_fee",
    "other_fee",
)


def _key(name: str, longest: int, *, may_be_empty: bool = False, is_needed: bool = True) -> Field:
    return Field(name, KIND_KEY, may_be_empty, is_needed, longest)


def _code(name: str, *choices: str, may_be_empty: bool = False) -> Field:
    return Field(name, KIND_CODE, may_be_empty, choices=choices)


def _day(name: str, *, may_be_empty: bool = False, is_needed: bool = True) -> Field:
    low, high = _FIRST_DAY, _LAST_DAY
    return Field(
        name, KIND_DATE, may_be_empty, is_needed, 0, low, high, is_past=name == "issued_on"
    )


def _yuan(name: str, low: float = -_MOST_YUAN, *, is_optional: bool = False) -> Field:
    return Field(name, KIND_MONEY, is_optional, not is_optional, low=low, high=_MOST_YUAN)


def _number(name: str, low: float, high: float, *, is_optional: bool = True) -> Field:
    return Field(name, KIND_NUMBER, is_optional, not is_optional, low=low, high=high)


def _count(name: str, low: int, high: int) -> Field:
    return Field(name, KIND_INTEGER, low=low, high=high)


def _instant(name: str) -> Field:
    return Field(name, KIND_INSTANT, low=_FIRST_DAY, high=_LAST_DAY, is_past=True)


_CUSTOMER_NO = _key("customer_no", 20)

# A meter of n digits begins anew at 10^n; going back is right when the kWh say the same.
_TURNED = "(10.0 ** length(CAST(CAST(floor(previous_reading) AS BIGINT) AS VARCHAR)))"
_BILLED = "kind IN ('normal', 'reissue')"
_ADVANCE = (
    "(current_reading - previous_reading"
    f" + CASE WHEN current_reading < previous_reading THEN {_TURNED} ELSE 0.0 END)"
)
_USED_KWH = f"{_ADVANCE} * multiplier + coalesce(loss_kwh, 0.0)"
_STRAIGHT_KWH = "(current_reading - previous_reading) * multiplier + coalesce(loss_kwh, 0.0)"
_FEE_SUM = " + ".join(f"coalesce({fee}, 0)" for fee in FEES)
_ANY_FEE = " OR ".join(f"{fee} IS NOT NULL" for fee in FEES)

_BILL_RULES = (
    RowRule(
        "fees_differ",
        "amount",
        ("amount", "kind", *FEES),
        f"kind <> 'reversal' AND ({_ANY_FEE}) AND {_FEE_SUM} <> amount",
    ),
    RowRule(
        "wrong_sign",
        "amount",
        ("amount", "kind"),
        f"(kind = 'reversal' AND amount <> 0) OR ({_BILLED} AND amount < 0)",
    ),
    RowRule("due_before_issue", "due_on", ("issued_on", "due_on"), "due_on < issued_on"),
    RowRule(
        "issued_before_period",
        "issued_on",
        ("issued_on", "period"),
        "strftime(issued_on, '%Y%m') < period",
    ),
    RowRule(
        "reading_back",
        "current_reading",
        ("kind", "kwh", "loss_kwh", *_READINGS),
        f"{_BILLED} AND current_reading < previous_reading AND abs({_USED_KWH} - kwh) > 1.0",
    ),
    RowRule(
        "readings_differ",
        "kwh",
        ("kind", "kwh", "loss_kwh", *_READINGS),
        f"{_BILLED} AND current_reading >= previous_reading AND abs({_STRAIGHT_KWH} - kwh) > 1.0",
    ),
)

_CONTACT_RULES = (
    RowRule(
        "phone_missing",
        "phone",
        ("channels", "phone", "state"),
        "state = 'active' AND phone = '' AND list_contains(string_split(channels, ','), 'sms')",
    ),
    RowRule(
        "mail_missing",
        "mail",
        ("channels", "mail", "state"),
        "state = 'active' AND mail = '' AND list_contains(string_split(channels, ','), 'mail')",
    ),
)

_CUSTOMERS = Feed(
    "customers",
    (
        _CUSTOMER_NO,
        Field("party_no", KIND_KEY, True, False, 32, default_field="customer_no"),
        Field("name", KIND_TEXT, longest=100),
        Field("address", KIND_TEXT, may_be_empty=True, longest=200),
        _code(
            "customer_class",
            "residential",
            "agricultural",
            "industrial_one_part",
            "industrial_two_part",
        ),
        _code("voltage_kv", "0.22", "0.4", "6", "10", "20", "35", "66", "110", "220"),
        Field("station", KIND_TEXT, longest=40),
        Field("region", KIND_CODE, True, False, 20, default="national"),
        _number("capacity_kva", 0.0, 1e7),
        Field("is_important", KIND_FLAG),
        Field("is_prepaid", KIND_FLAG),
        _code("autopay", "", "bank_debit", "collection", may_be_empty=True),
        _code("state", "active", "closed"),
    ),
    ("customer_no",),
    names_customer=False,
)

_CONTACTS = Feed(
    "contacts",
    (
        _CUSTOMER_NO,
        _key("contact_no", 40),
        _code("role", "owner", "legal_person", "finance", "electrical", "agent", "manager"),
        _count("level", 0, 99),
        _count("position", 0, 999),
        Field("name", KIND_TEXT, longest=100),
        Field("phone", KIND_PHONE, True, False),
        Field("mail", KIND_MAIL, True, False, 254),
        Field("channels", KIND_LIST, True, choices=("wechat_template", "sms", "mail")),
        _code("state", "active", "revoked"),
    ),
    ("customer_no", "contact_no"),
    _CONTACT_RULES,
)

_BILLS = Feed(
    "bills",
    (
        _CUSTOMER_NO,
        _key("bill_no", 32),
        _count("version", 1, 9999),
        _code("kind", "normal", "adjustment", "reversal", "reissue"),
        Field("period", KIND_MONTH, low=_FIRST_DAY, high=_LAST_DAY),
        _yuan("amount"),
        _day("issued_on"),
        _day("due_on"),
        _number("kwh", -_MOST_KWH, _MOST_KWH, is_optional=False),
        _key("meter_no", 40, may_be_empty=True, is_needed=False),
        _number("previous_reading", 0.0, 1e12),
        _number("current_reading", 0.0, 1e12),
        _number("multiplier", 0.0, 1e7),
        *(
            _number(f"{part}_kwh", -_MOST_KWH, _MOST_KWH)
            for part in ("sharp", "peak", "flat", "valley", "loss")
        ),
        *(_yuan(fee, is_optional=True) for fee in FEES),
    ),
    ("customer_no", "bill_no", "version"),
    _BILL_RULES,
)

_PAYMENTS = Feed(
    "payments",
    (
        _key("payment_no", 40),
        _CUSTOMER_NO,
        _key("bill_no", 32, may_be_empty=True, is_needed=False),
        _yuan("amount", 0.01),
        _code("state", "in_flight", "booked", "failed", "reversed"),
        _code("method", "counter", "wechat", "bank_debit", "collection", "transfer", "other"),
        _instant("paid_at"),
        _day("expected_on", may_be_empty=True, is_needed=False),
    ),
    ("payment_no",),
)

_BALANCES = Feed(
    "balances",
    (_CUSTOMER_NO, _yuan("balance"), _instant("measured_at")),
    ("customer_no",),
)

FEEDS = {one.name: one for one in (_CUSTOMERS, _CONTACTS, _BILLS, _PAYMENTS, _BALANCES)}
