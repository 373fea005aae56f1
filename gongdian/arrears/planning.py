"""Who is told what (催收计划): facts of many customers in, one checked card a person out.

Preparing and running call it with the same facts' readers, so that what is queued was decided from
facts of that moment. One person hears of all 户号 of a party for which they are a contact in one
card: that of the harshest stage. What is overdue is not added to what is not yet due, nor a debt
with a served letter to one without: the milder card waits for another day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from gongdian.accounts.people import Person, people_of
from gongdian.arrears.campaigns import Scope
from gongdian.arrears.cutoff import CutFacts, earliest_cut
from gongdian.arrears.events import facts_changed
from gongdian.arrears.facts import CaseFacts, DebtFacts, load_debts
from gongdian.arrears.messages import KIND_CUTOFF, Claim, keyword_values
from gongdian.arrears.model import ZERO, Decision, Ladder, StageRule
from gongdian.arrears.rules import cutoff_rules_in_force
from gongdian.db import Session
from gongdian.errors import InputError, NotFoundError
from gongdian.outbox.model import CHANNEL_TEMPLATE, FallbackStep
from gongdian.outbox.queueing import Outbox

EVERYBODY = Scope()
# What one card may speak of together: not yet due, overdue, overdue with a served letter.
_CALM, _OVERDUE, _SERVED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Ground:
    """What stays the same while a campaign is planned; ``today`` is the China day that counts."""

    outbox: Outbox
    ladder: Ladder
    today: date
    now: datetime
    _texts: dict[tuple[str, str], bool] = field(default_factory=dict)

    def has_text(self, channel: str, kind: str) -> bool:
        """Whether this installation can say this kind on a further channel."""
        key = (channel, kind)
        if key not in self._texts:
            composer = self.outbox.composers.get(channel)
            known = self.outbox.registry.kind(kind)
            self._texts[key] = composer is not None and (
                composer(kind, known.samples(), f"{self.outbox.public_url}/?m=sample", "sample")
                is not None
            )
        return self._texts[key]


@dataclass(frozen=True, slots=True)
class Due:
    """A debt that is to be told of today; ``cut_on``: when a cut would be lawful, of a letter."""

    facts: DebtFacts
    case: CaseFacts
    decision: Decision
    rule: StageRule
    stage: int
    anchor_on: date
    cut_on: date | None = None

    @property
    def customer_no(self) -> str:
        """The 户号."""
        return self.facts.customer.customer_no

    @property
    def party_no(self) -> str:
        """Whose debt it is."""
        return self.facts.customer.party_no

    @property
    def periods(self) -> tuple[str, ...]:
        """The billing months that it speaks of."""
        return tuple(bill.period for bill in self.facts.bills if bill.due_on >= self.anchor_on)


@dataclass(frozen=True, slots=True)
class Group:
    """What one person is to hear today; ``dues`` by 户号."""

    party_no: str
    recipient: str
    person: Person = field(repr=False)
    dues: tuple[Due, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked card for one person."""

    group: Group
    rule: StageRule
    values: Mapping[str, str] = field(repr=False)
    openid: str = field(repr=False)
    fallbacks: tuple[FallbackStep, ...] = field(repr=False)

    @property
    def channels(self) -> list[str]:
        """On which channels it goes, the first one first."""
        first = [CHANNEL_TEMPLATE] if self.openid else []
        return first + [step.channel for step in self.fallbacks]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A customer who is not told today, and why."""

    facts: DebtFacts
    decision: Decision
    reason: str


@dataclass(slots=True)
class Outlook:
    """What today's facts of some customers come to."""

    groups: list[Group] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    facts: dict[str, DebtFacts] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)


def look(
    session: Session, ground: Ground, customer_nos: Sequence[str], scope: Scope = EVERYBODY
) -> Outlook:
    """Decide about these customers; all customers of a party belong into one call."""
    outlook = Outlook()
    dues: list[Due] = []
    outlook.facts = _debts(session, customer_nos, ground.now)
    for number, facts in outlook.facts.items():
        decision = outlook.decisions[number] = facts.decide(ground.ladder, ground.today)
        if scope.classes and facts.customer.customer_class not in scope.classes:
            continue
        if decision.stage is None or decision.rule is None or decision.anchor_on is None:
            if decision.why != "no_debt":
                outlook.left_out.append(LeftOut(facts, decision, decision.why))
        elif facts.case is None:
            outlook.left_out.append(LeftOut(facts, decision, "no_case"))
        elif not scope.stages or decision.stage in scope.stages:
            stage, anchor_on = decision.stage, decision.anchor_on
            due = Due(facts, facts.case, decision, decision.rule, stage, anchor_on)
            if decision.rule.kind != KIND_CUTOFF:
                dues.append(due)
                continue
            cut_on = _cut_on(session, facts, ground)
            if cut_on is None or cut_on <= ground.today:
                # Nobody is told of a cut on a day that has passed: people speak to them.
                outlook.left_out.append(LeftOut(facts, decision, "day_passed"))
            else:
                dues.append(replace(due, cut_on=cut_on))
    _group(session, ground, dues, outlook)
    return outlook


def _debts(session: Session, customer_nos: Sequence[str], now: datetime) -> dict[str, DebtFacts]:
    """The facts; a case that does not follow them yet is brought up to date first."""
    found = load_debts(session, customer_nos, now)
    behind = [number for number, facts in found.items() if _is_behind(facts)]
    if behind:
        facts_changed(session, behind, now)
        found |= load_debts(session, behind, now)
    return found


def _is_behind(facts: DebtFacts) -> bool:
    case, debt = facts.case, facts.debt
    if case is None:
        return bool(debt.bills) and not debt.is_prepaid
    return (
        debt.is_prepaid
        or case.anchor_on != debt.anchor_on
        or case.principal != debt.principal
        or case.bill_count != len(debt.bills)
        or case.holder != facts.customer.holder
    )


def _group(session: Session, ground: Ground, dues: Sequence[Due], outlook: Outlook) -> None:
    people = people_of(session, ground.outbox.policy.account, [due.customer_no for due in dues])
    for party in _by_party(dues):
        told = _by_person(ground, party, people)
        # A stage is taken once for everybody: what one person must wait for, all of them do.
        put_off = {
            due.customer_no
            for _, theirs in told.values()
            for due in _but_one_card(theirs, ground.today)
        }
        heard: set[str] = set()
        for recipient, (person, theirs) in told.items():
            chosen = tuple(due for due in theirs if due.customer_no not in put_off)
            if chosen:
                heard |= {due.customer_no for due in chosen}
                outlook.groups.append(Group(party[0].party_no, recipient, person, chosen))
        reached = {due.customer_no for _, theirs in told.values() for due in theirs}
        for due in party:
            if due.customer_no not in heard:
                reason = "next_window" if due.customer_no in reached else "unreachable"
                outlook.left_out.append(LeftOut(due.facts, due.decision, reason))


def _by_party(dues: Iterable[Due]) -> Iterator[list[Due]]:
    parties: dict[str, list[Due]] = {}
    for due in dues:
        parties.setdefault(due.party_no, []).append(due)
    for party in parties.values():
        party.sort(key=lambda due: due.customer_no)
        yield party


def _by_person(
    ground: Ground, party: Sequence[Due], people: Mapping[str, tuple[Person, ...]]
) -> dict[str, tuple[Person, list[Due]]]:
    """Who hears of which 户号: each only of those for which they are a contact of a level that the
    rule tells. A phone without WeChat that is also somebody's second channel is that somebody."""
    found: dict[str, tuple[Person, list[Due]]] = {}
    pairs = [
        (due, person)
        for due in party
        for person in people.get(due.customer_no, ())
        if person.level <= due.rule.max_level
        and (person.openid or _usable(ground, person, due.rule))
    ]
    owners = {
        step.address: person.recipient
        for _, person in pairs
        if person.openid
        for step in person.fallbacks
    }
    # Those with WeChat first: they stand for their phones.
    for due, person in sorted(pairs, key=lambda pair: not pair[1].openid):
        recipient = person.recipient
        if not person.openid:
            recipient = owners.get(person.fallbacks[0].address, recipient)
        _, theirs = found.setdefault(recipient, (person, []))
        if due not in theirs:
            theirs.append(due)
    for _, theirs in found.values():
        theirs.sort(key=lambda due: due.customer_no)
    return found


def _but_one_card(dues: Sequence[Due], today: date) -> list[Due]:
    """Of what a person is to hear, what is less urgent than the most urgent of it."""
    if len(dues) == 1:
        return []
    urgency = [_urgency(due, today) for due in dues]
    return [due for due, one in zip(dues, urgency, strict=True) if one < max(urgency)]


def _urgency(due: Due, today: date) -> int:
    if due.rule.kind == KIND_CUTOFF:
        return _SERVED
    return _OVERDUE if due.anchor_on < today else _CALM


def plan_of(ground: Ground, group: Group) -> Plan:
    """The card of a group, rendered and checked.

    InputError ``no_channel`` where this installation reaches the person on no channel, and those of
    the registry for a field that the platform would refuse.
    """
    harshest = max(group.dues, key=lambda due: due.stage)
    rule = harshest.rule
    first = group.dues[0].facts.customer
    claim = Claim(
        kind=rule.kind,
        name=first.name,
        customer_class=first.customer_class,
        customer_nos=tuple(due.customer_no for due in group.dues),
        amount=sum((due.decision.principal for due in group.dues), ZERO),
        due_on=min(due.anchor_on for due in group.dues),
        today=ground.today,
        tone=rule.tone,
        periods=tuple(period for due in group.dues for period in due.periods),
        cut_on=max((due.cut_on for due in group.dues if due.cut_on), default=None),
    )
    values = keyword_values(claim)
    openid, fallbacks = group.person.openid, _usable(ground, group.person, rule)
    if not openid and not fallbacks:
        raise InputError("no_channel", "neither WeChat nor another channel of this installation")
    # Every channel is filled from these fields: what passes here is refused on none of them.
    ground.outbox.registry.compose(ground.outbox.policy.account, rule.kind, values)
    return Plan(group, rule, values, openid, fallbacks)


def _cut_on(session: Session, facts: DebtFacts, ground: Ground) -> date | None:
    """The earliest lawful day by the rules and by the letter; None while something is missing."""
    letter, anchor_on = facts.letter, facts.debt.anchor_on
    if letter is None or letter.served_on is None or letter.anchor_on != anchor_on:
        return None
    of = facts.customer
    cut = CutFacts(
        of.region,
        of.customer_class,
        of.is_important,
        letter.anchor_on,
        facts.demanded_on(ground.ladder),
        letter.served_on,
    )
    earliest = earliest_cut(cut, cutoff_rules_in_force(session), ground.today).on
    if earliest is None:
        return None
    return max(earliest, letter.served_on + timedelta(days=letter.notice_days))


def _usable(ground: Ground, person: Person, rule: StageRule) -> tuple[FallbackStep, ...]:
    """The further channels that can say it; who set no wait of their own gets the rule's."""
    wait = None if rule.wait_h is None else timedelta(hours=rule.wait_h)
    return tuple(
        FallbackStep(step.channel, step.address, wait if step.wait is None else step.wait)
        for step in person.fallbacks
        if ground.has_text(step.channel, rule.kind)
    )


def refusal_of(error: InputError | NotFoundError) -> str:
    """The reason under which a line is kept whose card cannot be made."""
    return "unreachable" if error.code == "no_channel" else "unrenderable"


def plans_of(ground: Ground, outlook: Outlook) -> tuple[list[Plan], list[LeftOut]]:
    """The cards, and the customers of whom nobody is told."""
    plans: list[Plan] = []
    others = {one.facts.customer.customer_no: one for one in outlook.left_out}
    heard: set[str] = set()
    for group in outlook.groups:
        try:
            plans.append(plan_of(ground, group))
            heard.update(due.customer_no for due in group.dues)
        except (InputError, NotFoundError) as error:
            reason = refusal_of(error)
            for due in group.dues:
                others[due.customer_no] = LeftOut(due.facts, due.decision, reason)
    return plans, [one for number, one in others.items() if number not in heard]
