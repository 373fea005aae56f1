"""The ladder (催费阶梯), pure: the stage a debt is due for today, recomputed from facts each time.

``gongdian.arrears.cases`` loads the facts and calls ``decide``. What stands here:

- The anchor is the oldest unpaid due date. Days count from it, never from a run or a payment, so a
  late run or a partial payment changes nothing (killbill #535, #2297). When the oldest bill is
  settled the anchor moves, and the ladder counts anew.
- The next stage is the first one not taken. One whose window has passed is left out unless it is
  required; a required one is never passed, nor is one whose conditions are not met yet.
- One stage a China day, and ``min_gap_days`` after the one before: never two in one run.
- A stage without ``from_day`` announces a bill (电费发行) and is taken for each due date of its
  own, also while an older debt is further up.
- A required stage is passed only when it is proven (送达): one of its messages arrived, was opened
  or answered, or a clerk recorded the demand. Until then the decision says ``demand_unproven``.
- The stage that needs an approval is not decided before its letter is served (送达); until then the
  decision says that a letter or its proof is due, for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from gongdian.clock import china_date

ZERO = Decimal("0.00")
NATIONAL = "national"
ANY = "any"

# Why a debt is or is not reminded; pages and previews show the labels.
WHY_LABELS: Mapping[str, str] = {
    "due": "到了提醒的日子",
    "announce": "电费已发行",
    "no_debt": "没有欠费",
    "prepaid": "费控客户，不走催费阶梯",
    "closed_customer": "客户已销户，由人工处理",
    "hold": "已暂停催收",
    "dispute": "客户有疑问，等待核实",
    "claimed_paid": "客户说已缴费，等待销账",
    "transfer": "已过户，欠费归属待核实",
    "in_flight": "款项在途，等待扣款结果",
    "stale_feed": "数据过期，不能催收",
    "not_yet": "还没到下一阶段的日子",
    "gap": "离上一次提醒太近",
    "below_minimum": "金额或笔数不到提醒条件",
    "demand_unproven": "催告没有送达，须电话、上门或书面催告并登记",
    "letter_due": "该出停电通知书，等待负责人审批",
    "proof_due": "停电通知书还没有送达凭证",
    "notice_runs": "停电通知书送达后的期限未满",
    "all_taken": "各阶段都已走完，由人工处理",
    "no_rules": "没有适用的催费规则",
}

# In this order a pause is named when there are several.
PAUSE_KINDS = ("stale_feed", "hold", "dispute", "transfer", "claimed_paid", "in_flight")


@dataclass(frozen=True, slots=True)
class StageRule:
    """One row of the table ``arrears_stages``.

    ``from_day`` and ``to_day`` count from the due date, both inclusive; before it they are
    negative. No ``from_day``: from the day of issue. No ``to_day``: without an end. The row is for
    ``region``, ``customer_class`` and ``important`` (any, yes, no); ``min_amount`` yuan and
    ``min_count`` bills are its conditions. Levels up to ``max_level`` are told, by ``kind`` in
    ``tone`` (plain, firm, formal); after ``wait_h`` hours without delivery the next channel, after
    ``answer_h`` hours without an opening or answer a work item. ``worklist`` is the kind of work
    item that taking the stage makes.
    """

    region: str
    customer_class: str
    important: str
    effective_from: date
    effective_to: date | None
    stage: int
    code: str
    label: str
    from_day: int | None
    to_day: int | None
    min_amount: Decimal
    min_count: int
    max_level: int
    kind: str
    tone: str
    is_required: bool
    needs_proof: bool
    needs_approval: bool
    min_gap_days: int
    wait_h: int | None
    answer_h: int | None
    worklist: str
    source: str
    confidence: str

    @property
    def is_announcement(self) -> bool:
        """Whether it tells of a bill that was issued, for each due date of its own."""
        return self.from_day is None


# The rows of one stage; among them the conditions choose.
Rung = tuple[StageRule, ...]


@dataclass(frozen=True)
class Ladder:
    """The stage rules of one version; ``label`` is what results keep."""

    label: str
    rules: tuple[StageRule, ...]
    _rungs: dict[tuple[str, str, bool, date], tuple[Rung, ...]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def rungs(
        self, region: str, customer_class: str, is_important: bool, on: date
    ) -> tuple[Rung, ...]:
        """The stages for such a customer on a day, lowest first.

        Of each stage the most specific rows count: by region first, then class, then important.
        Rows that are equally specific differ by their conditions, the harshest first.
        """
        key = (region, customer_class, is_important, on)
        found = self._rungs.get(key)
        if found is None:
            found = self._choose(*key)
            self._rungs[key] = found
        return found

    def _choose(
        self, region: str, customer_class: str, is_important: bool, on: date
    ) -> tuple[Rung, ...]:
        important = "yes" if is_important else "no"
        by_stage: dict[int, list[StageRule]] = {}
        for rule in self.rules:
            ends = rule.effective_to is not None and on > rule.effective_to
            if (
                rule.effective_from <= on
                and not ends
                and rule.region in (NATIONAL, region)
                and rule.customer_class in (ANY, customer_class)
                and rule.important in (ANY, important)
            ):
                by_stage.setdefault(rule.stage, []).append(rule)
        return tuple(_most_specific(by_stage[stage]) for stage in sorted(by_stage))


def _most_specific(rules: Sequence[StageRule]) -> Rung:
    def rank(rule: StageRule) -> tuple[bool, bool, bool, date]:
        return (
            rule.region != NATIONAL,
            rule.customer_class != ANY,
            rule.important != ANY,
            rule.effective_from,
        )

    best = max(rank(rule) for rule in rules)
    kept = [rule for rule in rules if rank(rule) == best]
    return tuple(sorted(kept, key=lambda rule: (rule.min_amount, rule.min_count), reverse=True))


class OpenDebt(Protocol):
    """What is unpaid of one bill [yuan]; ``billing.queries.OpenBill`` is one."""

    @property
    def bill_no(self) -> str:
        """Its number (应收编号)."""

    @property
    def due_on(self) -> date:
        """The last day on which it may be paid."""

    @property
    def open_amount(self) -> Decimal:
        """What is left to pay, above 0."""


@dataclass(frozen=True, slots=True)
class Debt:
    """What one customer owes, and what of the customer the rules ask for."""

    customer_no: str
    region: str
    customer_class: str
    is_important: bool
    is_prepaid: bool
    is_closed: bool
    bills: tuple[OpenDebt, ...]  # the oldest due date first

    @property
    def anchor_on(self) -> date | None:
        """The oldest unpaid due date."""
        return self.bills[0].due_on if self.bills else None

    @property
    def principal(self) -> Decimal:
        """Everything that is unpaid, due or not [yuan]."""
        return sum((bill.open_amount for bill in self.bills), ZERO)


@dataclass(frozen=True, slots=True)
class Taken:
    """A stage that was taken for an anchor, on which China day, and when it reached somebody."""

    anchor_on: date
    stage: int
    on: date
    proven_on: date | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Why nobody is reminded (暂停); ``until`` None: until somebody ends it."""

    kind: str
    until: datetime | None = None
    hold_id: int | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """The letter before a cut (停电通知书) of one anchor: draft, approved or served."""

    anchor_on: date
    state: str
    served_on: date | None = None
    notice_days: int = 7


@dataclass(frozen=True, slots=True)
class Decision:
    """What the ladder says today; ``stage`` None: nothing goes out, and ``why`` says why.

    ``principal`` [yuan] and ``bill_count`` are what a message of it may claim: what is overdue when
    the anchor has passed, else what is due on the anchor or later. ``next_on`` is the day to look
    again at the earliest, None when only people or facts can move it.
    """

    stage: int | None
    rule: StageRule | None
    why: str
    anchor_on: date | None
    principal: Decimal = ZERO
    bill_count: int = 0
    next_on: date | None = None
    until: datetime | None = None

    @property
    def label(self) -> str:
        """``why`` in words."""
        return WHY_LABELS[self.why]


def payable(debt: Debt, anchor_on: date, today: date) -> tuple[Decimal, int]:
    """What a message about ``anchor_on`` may claim [yuan], and of how many bills."""
    total, count = ZERO, 0
    for bill in debt.bills:
        if bill.due_on >= anchor_on and (anchor_on >= today or bill.due_on < today):
            total += bill.open_amount
            count += 1
    return total, count


def decide(
    debt: Debt,
    taken: Sequence[Taken],
    pauses: Sequence[Pause],
    letter: Letter | None,
    ladder: Ladder,
    today: date,
) -> Decision:
    """The one stage that may go out today, or why none does; the same facts, the same answer."""
    anchor = debt.anchor_on
    if anchor is None:
        return Decision(None, None, "no_debt", None)
    if debt.is_prepaid or debt.is_closed:
        return Decision(None, None, "prepaid" if debt.is_prepaid else "closed_customer", anchor)
    if pauses:
        return _paused(pauses, anchor, today)
    rungs = ladder.rungs(debt.region, debt.customer_class, debt.is_important, today)
    if not rungs:
        return Decision(None, None, "no_rules", anchor)
    climb = _Climb(debt, taken, letter, rungs, today)
    decision = climb.next_of(anchor)
    if decision.stage is None and len(debt.bills) > 1:
        return climb.announcement(anchor) or decision
    return decision


def decide_letter(
    debt: Debt,
    taken: Sequence[Taken],
    pauses: Sequence[Pause],
    letter: Letter | None,
    ladder: Ladder,
    today: date,
) -> Decision:
    """``decide`` for the letter alone: ``letter_due`` to prepare and approve one, ``proof_due`` to
    serve it.

    What was or will be told of other bills does not count, nor the card that told of an earlier
    letter for this debt: a letter whose amount has changed is made anew.
    """
    paper = {rule.stage for rule in ladder.rules if rule.needs_approval}
    own = [one for one in taken if one.anchor_on == debt.anchor_on and one.stage not in paper]
    oldest = replace(debt, bills=tuple(bill for bill in debt.bills if bill.due_on < today))
    return decide(oldest, own, pauses, letter, ladder, today)


def _paused(pauses: Sequence[Pause], anchor: date, today: date) -> Decision:
    """Named by the first kind; over when the last one ends."""
    first = min(pauses, key=lambda pause: PAUSE_KINDS.index(pause.kind))
    lasting = [pause for pause in pauses if pause.kind != "stale_feed"]
    ends = [pause.until for pause in lasting if pause.until is not None]
    is_endless = len(ends) < len(lasting)
    until = None if is_endless or not ends else max(ends)
    again = None if is_endless else max(today, china_date(until) if until else today)
    return Decision(None, None, first.kind, anchor, next_on=again, until=until)


@dataclass(slots=True)
class _Climb:
    """One look at the ladder."""

    debt: Debt
    taken: Sequence[Taken]
    letter: Letter | None
    rungs: tuple[Rung, ...]
    today: date

    def next_of(self, anchor: date) -> Decision:
        """The first stage of this anchor that is neither taken nor left out."""
        principal, count = payable(self.debt, anchor, self.today)
        highest = max((one.stage for one in self.taken if one.anchor_on == anchor), default=-1)
        day = (self.today - anchor).days
        left_out = "all_taken"
        again: date | None = None
        for rung in self.rungs:
            fitting = _fitting(rung, principal, count)
            rule = fitting or rung[-1]
            if rule.stage <= highest or _is_over(rule, day):
                continue
            if rule.from_day is not None and day < rule.from_day:
                opens = anchor + timedelta(days=rule.from_day)
                why = left_out if left_out == "below_minimum" else "not_yet"
                return Decision(None, rule, why, anchor, principal, count, _first(again, opens))
            if fitting is None:
                left_out, again = "below_minimum", self._next_due()
                if rule.is_required:
                    break
                continue
            why, until = self._hindrance(rule, anchor, highest)
            if why:
                return Decision(None, rule, why, anchor, principal, count, until)
            why = "announce" if rule.is_announcement else "due"
            return Decision(rule.stage, rule, why, anchor, principal, count, self.today)
        return Decision(None, None, left_out, anchor, principal, count, again)

    def announcement(self, anchor: date) -> Decision | None:
        """A newer bill whose issue was not told yet, while the oldest one has nothing to send."""
        if self._is_told_today():
            return None
        rungs = [rung for rung in self.rungs if rung[-1].is_announcement]
        told = {(one.anchor_on, one.stage) for one in self.taken}
        for due_on in sorted({bill.due_on for bill in self.debt.bills} - {anchor}):
            principal, count = payable(self.debt, due_on, self.today)
            for rung in rungs:
                rule = _fitting(rung, principal, count)
                if rule is None or (due_on, rule.stage) in told:
                    continue
                if not _is_over(rule, (self.today - due_on).days):
                    return Decision(
                        rule.stage, rule, "announce", due_on, principal, count, self.today
                    )
        return None

    def _hindrance(self, rule: StageRule, anchor: date, highest: int) -> tuple[str, date | None]:
        """What stands in the way of a stage whose days and conditions are there."""
        waits = self._proof_of(highest, anchor)
        if waits[0]:
            return waits
        if self._is_told_today():
            return "gap", self.today + timedelta(days=1)
        opens = self._after_gap(rule, anchor)
        if opens > self.today:
            return "gap", opens
        if rule.needs_approval:
            letter = self._letter_of(anchor)
            if letter is None or letter.state not in ("approved", "served"):
                return "letter_due", self.today
            if rule.needs_proof and letter.served_on is None:
                return "proof_due", self.today
        return "", None

    def _proof_of(self, highest: int, anchor: date) -> tuple[str, date | None]:
        """A stage that needs proof is passed only with it, and after its days of notice."""
        below = [rule for rung in self.rungs for rule in rung if rule.stage == highest]
        if not any(rule.needs_proof for rule in below):
            if any(rule.is_required for rule in below) and not self._is_proven(highest, anchor):
                return "demand_unproven", self.today
            return "", None
        letter = self._letter_of(anchor)
        if letter is None or letter.served_on is None:
            return "proof_due", self.today
        ends = letter.served_on + timedelta(days=letter.notice_days)
        return ("notice_runs", ends) if self.today < ends else ("", None)

    def _is_proven(self, stage: int, anchor: date) -> bool:
        return any(
            one.proven_on is not None and one.proven_on <= self.today
            for one in self.taken
            if (one.anchor_on, one.stage) == (anchor, stage)
        )

    def _letter_of(self, anchor: date) -> Letter | None:
        """A letter for another debt proves nothing about this one."""
        return self.letter if self.letter and self.letter.anchor_on == anchor else None

    def _is_told_today(self) -> bool:
        return any(one.on >= self.today for one in self.taken)

    def _after_gap(self, rule: StageRule, anchor: date) -> date:
        """The first day after the gap; the mere announcement of another bill opens none."""
        telling = {rung[-1].stage for rung in self.rungs if rung[-1].is_announcement}
        days = [one.on for one in self.taken if one.anchor_on == anchor or one.stage not in telling]
        return max(days) + timedelta(days=rule.min_gap_days) if days else self.today

    def _next_due(self) -> date | None:
        """When more falls due and the conditions are worth another look."""
        coming = [bill.due_on for bill in self.debt.bills if bill.due_on >= self.today]
        return min(coming) + timedelta(days=1) if coming else None


def _first(one: date | None, other: date) -> date:
    return other if one is None else min(one, other)


def _is_over(rule: StageRule, day: int) -> bool:
    """Its window has passed and nothing asks for it any more."""
    return rule.to_day is not None and day > rule.to_day and not rule.is_required


def _fitting(rung: Rung, principal: Decimal, count: int) -> StageRule | None:
    """The harshest row whose conditions are met."""
    for rule in rung:
        if principal >= rule.min_amount and count >= rule.min_count:
            return rule
    return None
