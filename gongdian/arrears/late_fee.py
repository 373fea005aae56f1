"""Late fees (违约金), pure: by day, rate row and what was unpaid; on pages, never in messages.

供电营业规则: residential 0.1 % a day; others 0.2 % a day, and 0.3 % for days in later calendar
years than the one in which the debt became overdue. From the day after the due date to the day of
payment, both counted. Rounded once a bill, half up. What the company's own system bills counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from gongdian.errors import InputError
from gongdian.money import round_yuan

ZERO = Decimal("0.00")
NATIONAL = "national"
SAME_YEAR, LATER_YEARS, ANY_AGE = "same_calendar_year", "later_years", "any"


@dataclass(frozen=True, slots=True)
class LateFeeRule:
    """One row of the table ``late_fee_rules``: a rate a day for a class, an age and a time.

    ``minimum`` yuan a bill, None where there is none; ``effective_to`` None: still in force.
    """

    region: str
    customer_class: str  # residential, other
    age: str  # same_calendar_year, later_years, any
    effective_from: date
    effective_to: date | None
    daily_rate: Decimal
    minimum: Decimal | None
    source: str
    confidence: str

    def holds(self, region: str, customer_class: str, age: str, on: date) -> bool:
        """Whether the row is for such a debt on a day."""
        return (
            self.region in (NATIONAL, region)
            and self.customer_class == customer_class
            and self.age in (ANY_AGE, age)
            and self.effective_from <= on
            and (self.effective_to is None or on <= self.effective_to)
        )


@dataclass(frozen=True, slots=True)
class LateFeeRules:
    """The rows of one version; ``label`` is what results keep."""

    label: str
    rows: tuple[LateFeeRule, ...]


@dataclass(frozen=True, slots=True)
class PaidPart:
    """What was paid of a bill, and on which China day."""

    on: date
    amount: Decimal


@dataclass(frozen=True, slots=True)
class LateFeeSpan:
    """Days in a row with one rate and one unpaid principal; both days count."""

    from_on: date
    to_on: date
    principal: Decimal
    rule: LateFeeRule

    @property
    def days(self) -> int:
        """How many."""
        return (self.to_on - self.from_on).days + 1


@dataclass(frozen=True, slots=True)
class LateFee:
    """What one bill costs more by a day: yuan, days, the spans behind it, the rule version."""

    amount: Decimal
    days: int
    spans: tuple[LateFeeSpan, ...]
    is_minimum: bool
    rules: str


def late_fee(
    amount: Decimal,
    due_on: date,
    paid: Iterable[PaidPart],
    customer_class: str,
    region: str,
    rules: LateFeeRules,
    until: date,
) -> LateFee:
    """The late fee of one bill up to and with the day ``until``.

    ``amount`` is what was payable at first [yuan], ``paid`` what came of it and when: on the day of
    a payment the paid part still counts. InputError ``no_late_fee_rule`` for a day without a row.
    """
    parts = sorted(paid, key=lambda part: part.on)
    kind = "residential" if customer_class == "residential" else "other"
    spans: list[LateFeeSpan] = []
    start = due_on + timedelta(days=1)
    for first, last in _intervals(start, until, parts, rules):
        unpaid = amount - sum((part.amount for part in parts if part.on < first), ZERO)
        if unpaid <= 0:
            break
        age = SAME_YEAR if first.year == start.year else LATER_YEARS
        spans.append(LateFeeSpan(first, last, unpaid, _row(rules.rows, region, kind, age, first)))
    exact = sum((span.principal * span.rule.daily_rate * span.days for span in spans), ZERO)
    rounded = round_yuan(exact)
    minimum = spans[0].rule.minimum if spans else None
    is_minimum = minimum is not None and rounded < minimum
    total = minimum if minimum is not None and is_minimum else rounded
    return LateFee(total, sum(span.days for span in spans), tuple(spans), is_minimum, rules.label)


def _intervals(
    start: date, until: date, parts: Sequence[PaidPart], rules: LateFeeRules
) -> list[tuple[date, date]]:
    """The days cut where the unpaid principal, the year or the rows in force change."""
    if until < start:
        return []
    day = timedelta(days=1)
    cuts = {part.on + day for part in parts}
    cuts |= {date(year, 1, 1) for year in range(start.year + 1, until.year + 1)}
    cuts |= {row.effective_from for row in rules.rows}
    cuts |= {row.effective_to + day for row in rules.rows if row.effective_to is not None}
    begins = [start, *sorted(cut for cut in cuts if start < cut <= until)]
    return [
        (first, after - day)
        for first, after in zip(begins, [*begins[1:], until + day], strict=True)
    ]


def _row(rows: Sequence[LateFeeRule], region: str, kind: str, age: str, on: date) -> LateFeeRule:
    """The row of a day: the region's own before the national one, the newer before the older."""
    fitting = [row for row in rows if row.holds(region, kind, age, on)]
    if not fitting:
        raise InputError("no_late_fee_rule", "no rate is in force", region=region, on=on)
    return max(fitting, key=lambda row: (row.region != NATIONAL, row.effective_from))
