"""Commands of the arrears flow (催费命令): what people decide about campaigns, in one place.

The command line and the console call it in their transaction; what must happen outside (starting
the workflow, letting a waiting step go on) is written as intents. Holds, answers, letters and the
worklist have services of their own beside this one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gongdian.arrears.campaigns import (
    Campaign,
    CampaignState,
    RecipientState,
    Scope,
    campaign_named,
    count_lines,
    finish_token,
    keep_token,
    move,
    start_workflow,
)
from gongdian.arrears.rules import ladder_in_force
from gongdian.arrears.second_person import is_same_person
from gongdian.arrears.tables import campaigns
from gongdian.audit import record_audit
from gongdian.clock import china_date
from gongdian.db import Session, insert_once
from gongdian.errors import ConflictError, InputError, PermissionDeniedError

CLASSES = ("residential", "agricultural", "industrial_one_part", "industrial_two_part")
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,39}")
_LONGEST_REASON = 200
_BEFORE_DECISION = (CampaignState.PREPARING, CampaignState.PREPARED)
_MAY_BE_CANCELLED = (
    *_BEFORE_DECISION,
    CampaignState.APPROVED,
    CampaignState.RUNNING,
    CampaignState.SENT,
    CampaignState.FAILED,
)


@dataclass(frozen=True, slots=True)
class StartCampaign:
    """Begin a campaign; ``code`` is its name for ever, and its workflow's."""

    code: str
    by: str
    scope: Scope = field(default_factory=Scope)


@dataclass(frozen=True, slots=True)
class ApproveCampaign:
    """Let a prepared campaign run; above ``second_above`` recipients another person must."""

    code: str
    by: str
    second_above: int


@dataclass(frozen=True, slots=True)
class CancelCampaign:
    """Stop a campaign and take back what is not out."""

    code: str
    by: str
    reason: str


def start_campaign(session: Session, command: StartCampaign, now: datetime) -> Campaign:
    """Write the campaign and the intent that starts its workflow; the same again is the same one.

    InputError ``bad_code``, ``unknown_class``, ``no_name``; ConflictError ``campaign_exists``
    when the code stands for another one.
    """
    _check_name(command.by)
    if not _CODE.fullmatch(command.code):
        raise InputError("bad_code", "3 to 40 letters, digits, - and _", campaign=command.code)
    strangers = sorted(set(command.scope.classes) - set(CLASSES))
    if strangers:
        raise InputError("unknown_class", f"one of {', '.join(CLASSES)}", given=strangers)
    values = {
        "code": command.code,
        "state": CampaignState.PREPARING.value,
        "scope": command.scope.as_text(),
        "as_of_on": china_date(now),
        "rules": ladder_in_force(session).label,
        "made_by": command.by,
        "made_at": now,
    }
    if not insert_once(session, campaigns, values):
        known = campaign_named(session, command.code)
        if (known.scope, known.made_by) != (command.scope, command.by):
            raise ConflictError("campaign_exists", "this code is taken", campaign=command.code)
        return known
    campaign = campaign_named(session, command.code)
    start_workflow(session, campaign, campaign.code, now)
    _audit(session, campaign, command.by, "made", now, {"scope": command.scope.as_text()})
    return campaign


def approve_campaign(session: Session, command: ApproveCampaign, now: datetime) -> Campaign:
    """Approve; the same person again changes nothing.

    PermissionDeniedError ``second_person_needed`` for the maker of a large one; ConflictError
    ``campaign_state`` when it is not prepared, or approved by another person already.
    """
    _check_name(command.by)
    campaign = campaign_named(session, command.code, is_locked=True)
    if campaign.approved_by and is_same_person(campaign.approved_by, command.by):
        return campaign
    is_makers = is_same_person(campaign.made_by, command.by)
    if is_makers and campaign.planned > command.second_above:
        raise PermissionDeniedError(
            "second_person_needed",
            f"over {command.second_above} recipients: another person approves",
            campaign=campaign.code,
        )
    values = {"approved_by": command.by, "approved_at": now}
    move(session, campaign, [CampaignState.PREPARED], CampaignState.APPROVED, **values)
    finish_token(session, campaign, "approval_token", _decision("approved"), now)
    details = {"planned": campaign.planned, "by_maker": is_makers}
    _audit(session, campaign, command.by, "approved", now, details)
    return campaign_named(session, command.code)


def cancel_campaign(session: Session, command: CancelCampaign, now: datetime) -> Campaign:
    """Cancel; its unsent lines and messages are ended by ``closing`` bit by bit.

    A cancelled one stays so; ConflictError ``campaign_state`` for a finished one.
    """
    _check_name(command.by)
    if not command.reason.strip() or len(command.reason) > _LONGEST_REASON:
        raise InputError("bad_reason", f"1 to {_LONGEST_REASON} characters")
    campaign = campaign_named(session, command.code, is_locked=True)
    if campaign.state is CampaignState.CANCELLED:
        return campaign
    values = {"cancelled_by": command.by, "cancel_reason": command.reason}
    move(session, campaign, _MAY_BE_CANCELLED, CampaignState.CANCELLED, **values)
    for which in ("approval_token", "delivery_token"):
        finish_token(session, campaign, which, _decision("cancelled"), now)
    details = {"from": campaign.state.value}
    _audit(session, campaign, command.by, "cancelled", now, details)
    return campaign_named(session, command.code)


def resume_campaign(session: Session, code: str, by: str, now: datetime) -> Campaign:
    """Let a failed campaign go on from where it stood, in a new execution."""
    _check_name(by)
    campaign = campaign_named(session, code, is_locked=True)
    to = CampaignState.APPROVED if campaign.approved_by else CampaignState.PREPARING
    move(session, campaign, [CampaignState.FAILED], to)
    start_workflow(session, campaign, f"{code}-{now:%Y%m%dT%H%M%S}", now)
    _audit(session, campaign, by, "resumed", now, {})
    return campaign_named(session, code)


def await_approval(session: Session, code: str, token: str, now: datetime) -> None:
    """The workflow waits for the decision; one that was made meanwhile is told at once."""
    campaign = campaign_named(session, code, is_locked=True)
    keep_token(session, campaign, "approval_token", token)
    if campaign.state in (CampaignState.CANCELLED, CampaignState.FAILED):
        finish_token(session, campaign, "approval_token", _decision("cancelled"), now)
    elif campaign.state not in _BEFORE_DECISION:
        finish_token(session, campaign, "approval_token", _decision("approved"), now)


def await_deliveries(session: Session, code: str, token: str, now: datetime) -> None:
    """The workflow waits until nothing is on its way; ``closing`` lets it go on."""
    campaign = campaign_named(session, code, is_locked=True)
    keep_token(session, campaign, "delivery_token", token)
    if campaign.state is not CampaignState.SENT:
        finish_token(session, campaign, "delivery_token", _decision(campaign.state.value), now)


def finish_campaign(session: Session, code: str, now: datetime) -> dict[str, Any]:
    """It is over; what came of it. One that was cancelled stays cancelled."""
    campaign = campaign_named(session, code, is_locked=True)
    counts = {state.value: count for state, count in count_lines(session, campaign).items()}
    if campaign.state in (CampaignState.SENT, CampaignState.PREPARED):
        unfinished = (RecipientState.PLANNED.value, RecipientState.TO_DO.value)
        if campaign.state is CampaignState.PREPARED and any(map(counts.get, unfinished)):
            raise ConflictError("campaign_state", "it is not approved", campaign=code)
        from_states = [CampaignState.SENT, CampaignState.PREPARED]
        move(session, campaign, from_states, CampaignState.FINISHED, finished_at=now)
        _audit(session, campaign, "workflow", "finished", now, counts)
    return {"campaign": code, "state": campaign_named(session, code).state.value, "lines": counts}


def expire_campaign(session: Session, code: str, now: datetime) -> None:
    """Nobody decided in time: the facts it was prepared from are too old.

    ConflictError ``approval_unheard`` when somebody did and the workflow never heard of it: it
    fails, and the campaign can be resumed.
    """
    campaign = campaign_named(session, code, is_locked=True)
    if campaign.state is CampaignState.APPROVED:
        raise ConflictError("approval_unheard", "it was approved in time", campaign=code)
    if campaign.state in _BEFORE_DECISION:
        command = CancelCampaign(code, "workflow", "逾期未审批，自动取消")
        cancel_campaign(session, command, now)


def fail_campaign(session: Session, code: str, error: str, now: datetime) -> None:
    """A step failed for good; operators are told by the engine's alarm."""
    campaign = campaign_named(session, code, is_locked=True)
    if campaign.state in (CampaignState.FINISHED, CampaignState.CANCELLED, CampaignState.FAILED):
        return
    move(session, campaign, [campaign.state], CampaignState.FAILED)
    details = {"from": campaign.state.value, "error": error[:80]}
    _audit(session, campaign, "workflow", "failed", now, details)


def _decision(what: str) -> dict[str, str]:
    return {"decision": what}


def _check_name(by: str) -> None:
    if not by.strip() or len(by) > 64:
        raise InputError("no_name", "say who does it, in at most 64 characters")


def _audit(
    session: Session,
    campaign: Campaign,
    by: str,
    verb: str,
    now: datetime,
    details: Mapping[str, Any],
) -> None:
    action = f"arrears:campaign:{verb}"
    record_audit(session, now, by, action, campaign.subject, details)
