"""Made-up debts and the shipped ladder, for the tests of the arrears rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from gongdian.arrears.model import Debt, Ladder, StageRule, Taken
from gongdian.arrears.rules import STAGES, read_rules, shipped_rows
from gongdian.rule_tables import RuleSet

DUE = date(2026, 11, 25)


class Unpaid(NamedTuple):
    """What is unpaid of one bill."""

    bill_no: str
    due_on: date
    open_amount: Decimal


def shipped_ladder() -> Ladder:
    """The ladder that comes with the program."""
    ladder = read_rules(RuleSet(STAGES, 1, "", tuple(shipped_rows(STAGES))))
    assert isinstance(ladder, Ladder)
    return ladder


def with_rule(ladder: Ladder, stage: int, **changes: object) -> Ladder:
    """The ladder and one more row, made from the shipped one of that stage."""
    row = next(rule for rule in ladder.rules if rule.stage == stage)
    return Ladder(ladder.label, (*ladder.rules, replace(row, **changes)))  # type: ignore[arg-type]


def changed_rule(ladder: Ladder, stage: int, **changes: object) -> Ladder:
    """The ladder with one row changed."""
    rules: list[StageRule] = [
        replace(rule, **changes) if rule.stage == stage else rule  # type: ignore[arg-type]
        for rule in ladder.rules
    ]
    return Ladder(ladder.label, tuple(rules))


def day(offset: int, due: date = DUE) -> date:
    """The day that is ``offset`` days after the due date."""
    return due + timedelta(days=offset)


def debt(
    *bills: tuple[date, str],
    customer_class: str = "residential",
    region: str = "national",
    is_important: bool = False,
    is_prepaid: bool = False,
    is_closed: bool = False,
) -> Debt:
    """A debt of bills given as due date and yuan; without any, 86.40 due on ``DUE``."""
    made = [
        Unpaid(f"B{number}", due_on, Decimal(amount))
        for number, (due_on, amount) in enumerate(sorted(bills or [(DUE, "86.40")]))
    ]
    return Debt(
        "9900000345812",
        region,
        customer_class,
        is_important,
        is_prepaid,
        is_closed,
        tuple(made),
    )


def taken(*stages: tuple[int, int], due: date = DUE) -> tuple[Taken, ...]:
    """Stages with the day after the due date on which each was taken, and arrived."""
    return tuple(Taken(due, stage, day(offset, due), day(offset, due)) for stage, offset in stages)
