"""A demand that people made (登记催告): by phone, at the door, on paper, where no message came.

Without a proven demand nobody may prepare a letter. What a clerk records takes the stage if no
campaign could take it, for want of anybody to tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import insert, select, update

from gongdian.accounts.customers import customers_of
from gongdian.arrears.demand_proofs import DEMAND
from gongdian.arrears.model import StageRule
from gongdian.arrears.rules import ladder_in_force
from gongdian.arrears.steps import count_anew
from gongdian.arrears.tables import cases, steps
from gongdian.arrears.worklist import end_items
from gongdian.audit import record_audit
from gongdian.clock import china_date
from gongdian.db import AnyRow, Session
from gongdian.errors import ConflictError, InputError, NotFoundError

HOW_LABELS = {"phone": "电话", "visit": "上门", "paper": "书面"}
_CLOCKS_DIFFER = timedelta(minutes=10)
_BY_HAND = 0  # the campaign of a step that no campaign took


@dataclass(frozen=True, slots=True)
class RecordDemand:
    """A demand that was made; ``reference`` says where the proof lies (录音、照片、回执)."""

    customer_no: str
    how: str
    reference: str
    at: datetime
    by: str


def record_demand(session: Session, command: RecordDemand, now: datetime) -> date:
    """Record a demand for the debt of the open case; the day that counts. Again, it is the same.

    InputError for an unknown way, a missing reference or name, a time in the future or before the
    stage; NotFoundError ``no_case``; ConflictError ``demand_recorded`` when another one stands.
    """
    _check(command, now)
    case = _locked_case(session, command.customer_no)
    on = china_date(command.at)
    label, rule = _demand_rule(session, command.customer_no, on)
    opens = case.anchor_on + timedelta(days=rule.from_day or 0)
    if on < opens:
        raise InputError("demand_too_early", f"not before {opens}", customer=command.customer_no)
    of = steps.c
    mine = (of.case_id == case.id, of.anchor_on == case.anchor_on, of.stage == rule.stage)
    known = session.execute(select(of.id, of.proven_on, of.proof_kind).where(*mine)).first()
    if known is not None and known.proven_on is not None:
        if (known.proven_on, known.proof_kind) == (on, command.how):
            return on
        raise ConflictError("demand_recorded", "a demand is on record", on=known.proven_on)
    proof = {"proven_on": on, "proof_kind": command.how, "proof_ref": command.reference}
    if known is not None:
        session.execute(update(steps).where(of.id == known.id).values(**proof))
    else:
        step = {
            "case_id": case.id,
            "anchor_on": case.anchor_on,
            "stage": rule.stage,
            "campaign_id": _BY_HAND,
            "taken_at": command.at,
            "rules": label,
        }
        session.execute(insert(steps).values(**step, **proof))
        count_anew(session, [case.id])
    told = {"stage_at": now, "next_on": china_date(now), "changed_at": now}
    session.execute(update(cases).where(cases.c.id == case.id).values(**told))
    end_items(session, [command.customer_no], "已登记催告", now, ("demand_unproven",))
    details = {"how": command.how, "on": on.isoformat(), "case": case.id}
    subject = f"customer {command.customer_no}"
    record_audit(session, now, command.by, "arrears:demand:recorded", subject, details)
    return on


def _check(command: RecordDemand, now: datetime) -> None:
    if command.how not in HOW_LABELS:
        raise InputError("unknown_proof", f"one of {', '.join(HOW_LABELS)}", how=command.how)
    if not command.reference.strip():
        raise InputError("no_proof", "say where the proof lies", customer=command.customer_no)
    if not command.by.strip() or len(command.by) > 64:
        raise InputError("no_name", "say who does it, in at most 64 characters")
    if command.at > now + _CLOCKS_DIFFER:
        raise InputError("demanded_in_future", "nobody can have been told later than now")


def _locked_case(session: Session, customer_no: str) -> AnyRow:
    query = select(cases.c.id, cases.c.anchor_on).where(cases.c.open_key == customer_no)
    row = session.execute(query.with_for_update()).first()
    if row is None:
        raise NotFoundError("no_case", "this customer has no open case", customer=customer_no)
    return row


def _demand_rule(session: Session, customer_no: str, on: date) -> tuple[str, StageRule]:
    """The stage 催告 for this customer, with the label of its rules."""
    customer = customers_of(session, [customer_no])[customer_no]
    ladder = ladder_in_force(session)
    rungs = ladder.rungs(customer.region, customer.customer_class, customer.is_important, on)
    for rung in rungs:
        for rule in rung:
            if rule.code == DEMAND:
                return ladder.label, rule
    raise NotFoundError("no_rules", "the stage rules have no demand", customer=customer_no)
