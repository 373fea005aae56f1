"""The earliest lawful day of a supply cut (最早合法停电日), pure: shown with its reasons.

Nothing here or anywhere cuts a supply, and no function could: people decide, outside this system.
电力供应与使用条例 art. 39: more than 30 days overdue and demanded; 供电营业规则: a notice 3 to 7
days before, counted from its service (送达), a second one 30 minutes before. Provinces differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

NATIONAL = "national"
PROMISE = "SGCC commitment"
_REGION_LABELS = {
    NATIONAL: "国家规定",
    PROMISE: "国家电网承诺",
    "henan": "河南",
    "jinan": "济南",
    "shanghai": "上海",
}


@dataclass(frozen=True, slots=True)
class CutoffRule:
    """One row of the table ``arrears_cutoff_rules``; None where the source does not say.

    ``customer_class``: any, residential, non_residential. ``notice_days_most`` is what we keep to:
    the longer notice is lawful under each row.
    """

    region: str
    customer_class: str
    effective_from: date
    effective_to: date | None
    more_than_days: int | None
    notice_days_least: int | None
    notice_days_most: int | None
    final_notice: str
    extra_recipient: str
    reconnect_within: str
    source: str
    confidence: str


@dataclass(frozen=True, slots=True)
class CutoffRules:
    """The rows of one version; ``label`` is what results keep."""

    label: str
    rows: tuple[CutoffRule, ...]

    def of(self, region: str, customer_class: str, on: date) -> tuple[CutoffRule, ...]:
        """The rows that bind: the nation's, the company's promise, the region's own."""
        kind = "residential" if customer_class == "residential" else "non_residential"
        return tuple(
            row
            for row in self.rows
            if row.region in (NATIONAL, PROMISE, region)
            and row.customer_class in ("any", kind)
            and row.effective_from <= on
            and (row.effective_to is None or on <= row.effective_to)
        )


@dataclass(frozen=True, slots=True)
class CutFacts:
    """What the answer depends on; ``anchor_on`` is the oldest unpaid due date.

    ``demanded_on``: when 催告 reached somebody; ``served_on``: the day in the letter's
    proof of service.
    """

    region: str
    customer_class: str
    is_important: bool
    anchor_on: date
    demanded_on: date | None = None
    served_on: date | None = None


@dataclass(frozen=True, slots=True)
class CutReason:
    """One condition in words; ``is_met`` None: only people can say."""

    code: str
    text: str
    source: str
    is_met: bool | None
    from_on: date | None = None


@dataclass(frozen=True, slots=True)
class EarliestCut:
    """The first lawful day, None while a demand or the proof of service is missing.

    ``not_before`` holds even if both came today. ``notice_days`` is the notice that was counted.
    """

    on: date | None
    not_before: date
    notice_days: int
    reasons: tuple[CutReason, ...]
    rules: str

    @property
    def text(self) -> str:
        """The answer in words."""
        if self.on is not None:
            return f"最早合法停电日 {_day(self.on)}（仅供参考，停电须负责人决定）"
        return (
            f"尚不具备停电条件；不早于 {_day(self.not_before)}，且不早于送达满{self.notice_days}日"
        )


def earliest_cut(facts: CutFacts, rules: CutoffRules, today: date) -> EarliestCut:
    """The earliest lawful day by the strictest of the binding rows, with every condition."""
    rows = rules.of(facts.region, facts.customer_class, today)
    overdue_days = max((row.more_than_days or 0 for row in rows), default=0)
    notice_days = notice_days_of(rules, facts.region, facts.customer_class, today)
    overdue_from = facts.anchor_on + timedelta(days=overdue_days + 1)
    served_from = (facts.served_on or today) + timedelta(days=notice_days)
    not_before = max(overdue_from, served_from, facts.demanded_on or today)
    is_ready = facts.demanded_on is not None and facts.served_on is not None
    reasons = [
        CutReason(
            "overdue",
            f"逾期超过{overdue_days}日：交费截止日 {_day(facts.anchor_on)}，"
            f"{_day(overdue_from)} 起满足",
            _sources(row for row in rows if row.more_than_days is not None),
            today >= overdue_from,
            overdue_from,
        ),
        _demanded(facts, rows),
        _served(facts, rows, notice_days, today),
        *_before_the_cut(facts, rows),
    ]
    return EarliestCut(
        not_before if is_ready else None, not_before, notice_days, tuple(reasons), rules.label
    )


def notice_days_of(rules: CutoffRules, region: str, customer_class: str, on: date) -> int:
    """How many days of notice we keep to, counted from service."""
    rows = rules.of(region, customer_class, on)
    return max((row.notice_days_most or 0 for row in rows), default=0)


def _demanded(facts: CutFacts, rows: Sequence[CutoffRule]) -> CutReason:
    source = _sources(row for row in rows if row.more_than_days is not None)
    if facts.demanded_on is None:
        return CutReason("demanded", "须经催告：还没有催告记录", source, False)
    text = f"须经催告：{_day(facts.demanded_on)} 已催告"
    return CutReason("demanded", text, source, True, facts.demanded_on)


def _served(
    facts: CutFacts, rows: Sequence[CutoffRule], notice_days: int, today: date
) -> CutReason:
    stated = [row for row in rows if row.notice_days_most is not None]
    spans = "、".join(f"{_region(row)}{_span(row)}" for row in stated)
    source = _sources(stated)
    if facts.served_on is None:
        text = f"停电通知书须提前送达（{spans}）：尚无送达凭证，送达满{notice_days}日前不得停电"
        return CutReason("served", text, source, False)
    from_on = facts.served_on + timedelta(days=notice_days)
    text = (
        f"停电通知书 {_day(facts.served_on)} 送达（{spans}），"
        f"按{notice_days}日：{_day(from_on)} 起满足"
    )
    return CutReason("served", text, source, today >= from_on, from_on)


def _before_the_cut(facts: CutFacts, rows: Sequence[CutoffRule]) -> list[CutReason]:
    """What people see to on the day, and what holds after a payment."""
    found = []
    for row in rows:
        if row.final_notice:
            text = f"停电前{row.final_notice}再次通知，用录音电话（{_region(row)}）"
            found.append(CutReason("final_notice", text, row.source, None))
        if row.extra_recipient and facts.is_important:
            text = f"{row.extra_recipient}（{_region(row)}）"
            found.append(CutReason("important", text, row.source, None))
        if row.reconnect_within:
            text = f"交清后恢复供电：{row.reconnect_within}（{_region(row)}）"
            found.append(CutReason("reconnect", text, row.source, None))
    freeze = "节假日前、恶劣天气、保电期间是否暂缓，由负责人决定；停电前须再查一次缴费"
    found.append(CutReason("freeze", freeze, "停限电审批惯例", None))
    return found


def _span(row: CutoffRule) -> str:
    least, most = row.notice_days_least, row.notice_days_most
    return f"{most}日" if least == most else f"{least}至{most}日"


def _region(row: CutoffRule) -> str:
    return _REGION_LABELS.get(row.region, row.region)


def _sources(rows: Iterable[CutoffRule]) -> str:
    return "；".join(dict.fromkeys(row.source for row in rows))


def _day(on: date) -> str:
    return f"{on.year}年{on.month}月{on.day}日"
