"""The rule tables of the arrears flow (催费规则): shipped files into versions, versions into rules.

``seed_rules`` runs at start-up; what the company changes afterwards are new versions of
``gongdian.rule_tables``. Rows are checked when they are read: a wrong one stops the run.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from gongdian.accounts.customers import customers_of
from gongdian.arrears.cutoff import CutoffRule, CutoffRules, notice_days_of
from gongdian.arrears.late_fee import ANY_AGE, LATER_YEARS, SAME_YEAR, LateFeeRule, LateFeeRules
from gongdian.arrears.model import ANY, Ladder, StageRule
from gongdian.arrears.working_days import HolidayCalendar
from gongdian.clock import china_date
from gongdian.db import Session
from gongdian.errors import InputError, NotFoundError
from gongdian.money import parse_decimal, parse_yuan
from gongdian.rule_tables import Row, RuleSet, enforce_rules, has_rules, put_rules, rules_in_force

STAGES, LATE_FEES = "arrears_stages", "late_fee_rules"
CUTOFFS, HOLIDAYS = "arrears_cutoff_rules", "cn_holidays"

TONES = ("plain", "firm", "formal")
_FILES = {
    STAGES: "stage_rules.csv",
    LATE_FEES: "late_fee_rules.csv",
    CUTOFFS: "arrears_cutoff_rules.csv",
    HOLIDAYS: "holidays_2026_2027.csv",
}
_FOLDER = Path(__file__).with_name("rules")
T = TypeVar("T")


def shipped_rows(name: str) -> list[dict[str, str]]:
    """The rows that come with the program."""
    with (_FOLDER / _FILES[name]).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def seed_rules(session: Session, by: str, now: datetime) -> list[str]:
    """Put the shipped rows in force where no version was ever written; the tables that were."""
    seeded = [name for name in _FILES if not has_rules(session, name)]
    for name in seeded:
        rows = shipped_rows(name)
        read_rules(RuleSet(name, 1, "", tuple(rows)))
        version = put_rules(session, name, rows, f"shipped {_FILES[name]}", by, now)
        enforce_rules(session, name, version, by, now)
    return seeded


def read_rules(rules: RuleSet) -> Ladder | LateFeeRules | CutoffRules | HolidayCalendar:
    """Rows as rules; InputError ``bad_rule`` names the row and the column. For drafts too."""
    readers: dict[str, Callable[[RuleSet], Ladder | LateFeeRules | CutoffRules | HolidayCalendar]]
    readers = {STAGES: _ladder, LATE_FEES: _late_fees, CUTOFFS: _cutoffs, HOLIDAYS: _holidays}
    return readers[rules.name](rules)


def ladder_in_force(session: Session) -> Ladder:
    """The stage rules; NotFoundError ``no_rules`` before ``seed_rules``."""
    return _ladder(rules_in_force(session, STAGES))


def late_fee_rules_in_force(session: Session) -> LateFeeRules:
    """The late fee rows; NotFoundError ``no_rules`` before ``seed_rules``."""
    return _late_fees(rules_in_force(session, LATE_FEES))


def cutoff_rules_in_force(session: Session) -> CutoffRules:
    """The rows about cuts; NotFoundError ``no_rules`` before ``seed_rules``."""
    return _cutoffs(rules_in_force(session, CUTOFFS))


def holidays_in_force(session: Session) -> HolidayCalendar:
    """The calendar; NotFoundError ``no_rules`` before ``seed_rules``."""
    return _holidays(rules_in_force(session, HOLIDAYS))


def notice_of(session: Session, customer_no: str, now: datetime) -> tuple[int, str]:
    """The days of notice that a letter to this customer gives, and the label of the rules that say
    so; NotFoundError ``no_customer``."""
    customer = customers_of(session, [customer_no]).get(customer_no)
    if customer is None:
        raise NotFoundError("no_customer", "no such customer", customer=customer_no)
    rules = cutoff_rules_in_force(session)
    kind, region = customer.customer_class, customer.region
    return notice_days_of(rules, region, kind, china_date(now)), rules.label


def _ladder(rules: RuleSet) -> Ladder:
    ladder = Ladder(rules.label, tuple(_each(rules, _stage_rule)))
    _check_order(ladder)
    return ladder


def _stage_rule(row: Row) -> StageRule:
    return StageRule(
        region=_text(row, "region"),
        customer_class=_text(row, "customer_class"),
        important=_one_of(row, "important", (ANY, "yes", "no")),
        effective_from=_on(row, "effective_from"),
        effective_to=_opt(row, "effective_to", _on),
        stage=_number(row, "stage"),
        code=_text(row, "code"),
        label=_text(row, "label"),
        from_day=_opt(row, "from_day", _number),
        to_day=_opt(row, "to_day", _number),
        min_amount=parse_yuan(row["min_amount_yuan"]),
        min_count=_number(row, "min_count"),
        max_level=_number(row, "max_level"),
        kind=_text(row, "kind"),
        tone=_one_of(row, "tone", TONES),
        is_required=_yes(row, "is_required"),
        needs_proof=_yes(row, "needs_proof"),
        needs_approval=_yes(row, "needs_approval"),
        min_gap_days=max(1, _number(row, "min_gap_days")),
        wait_h=_opt(row, "wait_h", _number),
        answer_h=_opt(row, "answer_h", _number),
        worklist=row["worklist"],
        source=_text(row, "source"),
        confidence=_text(row, "confidence"),
    )


def _check_order(ladder: Ladder) -> None:
    """A higher stage never begins before a lower one of the same customers."""
    begins: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for rule in ladder.rules:
        scope = (rule.region, rule.customer_class, rule.important, rule.effective_from)
        if rule.from_day is not None:
            begins.setdefault(scope, []).append((rule.stage, rule.from_day))
        if rule.from_day is not None and rule.to_day is not None and rule.to_day < rule.from_day:
            raise InputError("bad_rule", "to_day is before from_day", stage=rule.stage)
    for days in begins.values():
        for stage, day in days:
            if any(other > stage and begin < day for other, begin in days):
                raise InputError("bad_rule", "a higher stage begins earlier", stage=stage)


def _late_fees(rules: RuleSet) -> LateFeeRules:
    return LateFeeRules(rules.label, tuple(_each(rules, _late_fee_rule)))


def _late_fee_rule(row: Row) -> LateFeeRule:
    return LateFeeRule(
        region=_text(row, "region"),
        customer_class=_one_of(row, "customer_class", ("residential", "other")),
        age=_one_of(row, "age", (SAME_YEAR, LATER_YEARS, ANY_AGE)),
        effective_from=_on(row, "effective_from"),
        effective_to=_opt(row, "effective_to", _on),
        daily_rate=_rate(row, "daily_rate"),
        minimum=_opt(row, "minimum_yuan", lambda source, name: parse_yuan(source[name])),
        source=_text(row, "source"),
        confidence=_text(row, "confidence"),
    )


def _cutoffs(rules: RuleSet) -> CutoffRules:
    return CutoffRules(rules.label, tuple(_each(rules, _cutoff_rule)))


def _cutoff_rule(row: Row) -> CutoffRule:
    return CutoffRule(
        region=_text(row, "region"),
        customer_class=_one_of(row, "customer_class", (ANY, "residential", "non_residential")),
        effective_from=_on(row, "effective_from"),
        effective_to=_opt(row, "effective_to", _on),
        more_than_days=_opt(row, "more_than_days", _number),
        notice_days_least=_opt(row, "notice_days_least", _number),
        notice_days_most=_opt(row, "notice_days_most", _number),
        final_notice=row["final_notice"],
        extra_recipient=row["extra_recipient"],
        reconnect_within=row["reconnect_within"],
        source=_text(row, "source"),
        confidence=_text(row, "confidence"),
    )


def _holidays(rules: RuleSet) -> HolidayCalendar:
    days = _each(rules, lambda row: (_one_of(row, "kind", ("holiday", "workday")), _on(row, "on")))
    return HolidayCalendar(
        rules.label,
        frozenset(on for kind, on in days if kind == "holiday"),
        frozenset(on for kind, on in days if kind == "workday"),
    )


def _each(rules: RuleSet, read: Callable[[Row], T]) -> list[T]:
    found = []
    for number, row in enumerate(rules.rows, start=1):
        try:
            found.append(read(row))
        except KeyError as error:
            raise InputError(
                "bad_rule", "a column is missing", table=rules.name, row=number, column=str(error)
            ) from error
        except (InputError, ValueError) as error:
            raise InputError("bad_rule", str(error), table=rules.name, row=number) from error
    return found


def _text(row: Row, name: str) -> str:
    if not row[name]:
        raise ValueError(f"{name} is empty")
    return row[name]


def _one_of(row: Row, name: str, allowed: Sequence[str]) -> str:
    if row[name] not in allowed:
        raise ValueError(f"{name} is none of {', '.join(allowed)}")
    return row[name]


def _number(row: Row, name: str) -> int:
    return int(row[name])


def _on(row: Row, name: str) -> date:
    return date.fromisoformat(row[name])


def _yes(row: Row, name: str) -> bool:
    return _one_of(row, name, ("yes", "no")) == "yes"


def _rate(row: Row, name: str) -> Decimal:
    """At most 0.003 a day: the regulation's bound (条例第三十九条)."""
    rate = parse_decimal(row[name])
    if not 0 < rate <= Decimal("0.003"):
        raise ValueError(f"{name} is outside the regulation's bounds")
    return rate


def _opt(row: Row, name: str, read: Callable[[Row, str], T]) -> T | None:
    return read(row, name) if row[name] else None
