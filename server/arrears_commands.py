"""Commands about campaigns (催收批次命令): start, preview, approve, cancel, watch."""

from __future__ import annotations

import argparse
import getpass
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from gongdian.arrears import service
from gongdian.arrears.campaigns import (
    Campaign,
    CampaignState,
    RecipientState,
    Scope,
    campaign_named,
    list_campaigns,
)
from gongdian.arrears.closing import WINDOW, drop_cancelled
from gongdian.arrears.queries import lines_of, preview, watch
from gongdian.arrears.rules import ladder_in_force
from gongdian.arrears.service import ApproveCampaign, CancelCampaign, StartCampaign
from gongdian.audit import record_audit
from gongdian.clock import CHINA
from gongdian.db import Session
from gongdian.settings import Settings
from gongdian.wiring import House, build_house
from server.arrears_texts import campaign_line, campaign_text, line_text, preview_text, watch_text

T = TypeVar("T")
_SENT_OR_NOT = (
    RecipientState.PLANNED,
    RecipientState.QUEUED,
    RecipientState.DELIVERED,
    RecipientState.CLOSED,
)
_NOT_SENT = (RecipientState.LEFT_OUT, RecipientState.TO_DO, RecipientState.DROPPED)
_LOOK_EVERY_S = 0.2


@contextmanager
def opened(settings: Settings) -> Iterator[House]:
    """The house for one command."""
    house = build_house(settings)
    try:
        yield house
    finally:
        house.close()


def changed(house: House, work: Callable[[Session, datetime], T]) -> T:
    """One writing transaction of now."""
    now = house.clock.now()
    return house.database.run(lambda session: work(session, now))


def viewed(house: House, by: str, what: str, subject: str) -> None:
    """Who looked at customers' debts is kept."""
    actor = by or getpass.getuser()
    changed(
        house,
        lambda session, now: record_audit(
            session, now, actor, f"arrears:{what}:viewed", subject, {}
        ),
    )


def start(settings: Settings, options: argparse.Namespace) -> int:
    """Begin a campaign; with ``--wait`` until it is prepared."""
    scope = Scope(tuple(options.station), tuple(options.customer_class), tuple(options.stage))
    with opened(settings) as house:
        code = options.code or f"c{house.clock.now().astimezone(CHINA):%Y%m%d-%H%M%S}"
        command = StartCampaign(code, options.by, scope)
        changed(house, lambda session, now: service.start_campaign(session, command, now))
        print(f"已建立批次 {code}，由后台准备名单")
        if options.wait is None:
            return 0
        campaign = _until_prepared(house, code, options.wait)
        print(campaign_line(campaign))
        if campaign.state is CampaignState.PREPARING:
            print("还在准备；请确认后台进程（server worker）在运行")
            return 1
        return 1 if campaign.state is CampaignState.FAILED else 0


def _until_prepared(house: House, code: str, seconds: float) -> Campaign:
    until = time.monotonic() + seconds
    while True:
        with house.database.read() as session:
            campaign = campaign_named(session, code)
        if campaign.state is not CampaignState.PREPARING or time.monotonic() > until:
            return campaign
        time.sleep(_LOOK_EVERY_S)


def list_all(settings: Settings, options: argparse.Namespace) -> int:
    """Print the last campaigns, newest first."""
    with opened(settings) as house, house.database.read() as session:
        found = list_campaigns(session, options.most)
    for one in found:
        print(campaign_line(one))
    if not found:
        print("没有批次")
    return 0


def show_preview(settings: Settings, options: argparse.Namespace) -> int:
    """Print figures and a page of lines, each with its card; who looked is kept."""
    states = _NOT_SENT if options.left_out else _SENT_OR_NOT
    with opened(settings) as house:
        with house.database.read() as session:
            found = preview(session, options.code)
            ladder = ladder_in_force(session)
            lines = lines_of(
                session,
                house.outbox,
                options.code,
                states=states,
                after=options.after,
                limit=options.most,
            )
        viewed(house, options.by, "campaign", found.campaign.subject)
    print(preview_text(found, ladder))
    for line in lines:
        print()
        print(line_text(line))
    if len(lines) == options.most:
        print(f"\n还有更多：--after {lines[-1].id}")
    return 0


def approve(settings: Settings, options: argparse.Namespace) -> int:
    """Approve; a large campaign needs another person than its maker."""
    command = ApproveCampaign(options.code, options.by, settings.arrears_approval_above)
    with opened(settings) as house:
        campaign = changed(
            house, lambda session, now: service.approve_campaign(session, command, now)
        )
    print(campaign_text(campaign))
    return 0


def cancel(settings: Settings, options: argparse.Namespace) -> int:
    """Cancel, and take back at once what is not out."""
    command = CancelCampaign(options.code, options.by, options.reason)
    with opened(settings) as house:
        campaign = changed(
            house, lambda session, now: service.cancel_campaign(session, command, now)
        )
        ended = 0
        while True:
            some = changed(
                house, lambda session, now: drop_cancelled(session, campaign.id, WINDOW, now)
            )
            ended += some
            if not some:
                break
    print(f"已取消批次 {options.code}；撤下 {ended} 条，已发出的不能收回")
    return 0


def resume(settings: Settings, options: argparse.Namespace) -> int:
    """Let a failed campaign go on."""
    with opened(settings) as house:
        campaign = changed(
            house,
            lambda session, now: service.resume_campaign(session, options.code, options.by, now),
        )
    print(campaign_text(campaign))
    return 0


def show_watch(settings: Settings, options: argparse.Namespace) -> int:
    """Print how far a campaign is, message by message state."""
    with opened(settings) as house, house.database.read() as session:
        found = watch(session, options.code)
    print(watch_text(found))
    return 0
