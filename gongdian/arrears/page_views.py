"""A customer's debts as pages show them (账单页的内容), plain values; ``page`` builds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from gongdian.accounts.customers import CustomerFacts
from gongdian.arrears.cutoff import EarliestCut
from gongdian.arrears.page_bills import ZERO, ShownBill
from gongdian.billing.queries import Balance

CLASS_LABELS: Mapping[str, str] = {
    "residential": "居民生活",
    "agricultural": "农业生产",
    "industrial_one_part": "工商业单一制",
    "industrial_two_part": "工商业两部制",
}
_RULE_NAMES = {"late_fee_rules": "违约金计算规则", "arrears_cutoff_rules": "停电条件规则"}


def rule_text(label: str) -> str:
    """The version of a rule table in words: ``late_fee_rules v1`` -> 违约金计算规则第1版."""
    name, _, version = label.rpartition(" v")
    return f"{_RULE_NAMES[name]}第{version}版" if name in _RULE_NAMES else label


@dataclass(frozen=True, slots=True)
class MoneyOnItsWay:
    """Money that left the customer and is not booked (款项在途)."""

    amount: Decimal
    method: str
    expected_on: date | None


@dataclass(frozen=True, slots=True)
class Supply:
    """One 户号 on a page; ``bills`` are its open ones, the oldest first."""

    facts: CustomerFacts
    bills: tuple[ShownBill, ...] = ()
    in_flight: tuple[MoneyOnItsWay, ...] = ()
    pause_texts: tuple[str, ...] = ()
    cut: EarliestCut | None = None
    balance: Balance | None = None
    late_fee_rules: str = ""

    @property
    def customer_no(self) -> str:
        """户号."""
        return self.facts.customer_no

    @property
    def class_label(self) -> str:
        """用电类别 in words."""
        return CLASS_LABELS.get(self.facts.customer_class, "其他")

    @property
    def late_fee_version(self) -> str:
        """By which rules the late fee was computed."""
        return rule_text(self.late_fee_rules)

    @property
    def cut_version(self) -> str:
        """By which rules the earliest lawful cut was computed."""
        return rule_text(self.cut.rules) if self.cut is not None else ""

    @property
    def principal(self) -> Decimal:
        """What is open, without late fees."""
        return sum((bill.left for bill in self.bills), ZERO)

    @property
    def due_on(self) -> date | None:
        """The oldest unpaid due date."""
        return self.bills[0].view.due_on if self.bills else None

    @property
    def overdue_days(self) -> int:
        """Days since it; 0 before."""
        return self.bills[0].overdue_days if self.bills else 0

    @property
    def late_fee(self) -> Decimal | None:
        """All late fees of today; None where a rule is missing."""
        found = [bill.late_fee for bill in self.bills]
        return None if None in found else sum((one for one in found if one is not None), ZERO)

    @property
    def is_paused(self) -> bool:
        """Whether nobody is reminded of it."""
        return bool(self.pause_texts or self.in_flight)


@dataclass(frozen=True, slots=True)
class Party:
    """Everything of one page: those 户号 with a debt first; ``more`` are not listed.

    ``principal`` and ``due_on`` (the oldest) are of all of them. ``as_of``: up to when payments are
    known; None before the first file.
    """

    today: date
    supplies: tuple[Supply, ...]
    principal: Decimal
    due_on: date | None
    more: int = 0
    as_of: datetime | None = None

    @property
    def owing(self) -> tuple[Supply, ...]:
        """Those listed with a debt."""
        return tuple(one for one in self.supplies if one.principal)

    @property
    def overdue_days(self) -> int:
        """Days since the oldest unpaid due date; 0 before."""
        return max(0, (self.today - self.due_on).days) if self.due_on is not None else 0

    @property
    def lowest_balance(self) -> Balance | None:
        """Of the prepaid ones (费控) the one that has least left."""
        known = [one.balance for one in self.supplies if one.balance is not None]
        return min(known, key=lambda one: one.balance, default=None)

    @property
    def has_money_on_its_way(self) -> bool:
        """款项在途 of any of them."""
        return any(one.in_flight for one in self.owing)

    @property
    def is_paused(self) -> bool:
        """Whether nobody is reminded of any of them."""
        owing = self.owing
        return bool(owing) and all(one.is_paused for one in owing)
