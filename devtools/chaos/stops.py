"""The stop of the WeChat channel (停发): whether it stands, and how an operator lifts it."""

from __future__ import annotations

import time

from devtools.chaos.site import SEND, Site, StuckError
from gongdian.outbox.model import CHANNEL_TEMPLATE, channel_stop
from gongdian.outbox.switches import standing_stops

_FLIGHTS_END_S = 4.0


def is_stopped(site: Site) -> bool:
    """Whether nothing may be sent through WeChat now."""
    with site.house.database.read() as session:
        return _name(site) in standing_stops(session, site.house.clock.now())


def require_silence(site: Site) -> None:
    """StuckError when the platform still hears of messages after the flights have ended."""
    time.sleep(_FLIGHTS_END_S)
    before = site.sandbox.stats()["calls"].get(SEND, 0)
    time.sleep(1.0)
    after = site.sandbox.stats()["calls"].get(SEND, 0)
    if after != before:
        raise StuckError(f"{after - before} sends although 45009 had stopped the channel")


def lift_stop(site: Site) -> None:
    """What an operator does who had the quota raised; goes on the same day."""
    if site.crew.operate("sending", "start", "--name", _name(site), "--by", "chaos"):
        raise StuckError("the operator could not lift the stop")


def _name(site: Site) -> str:
    return channel_stop(CHANNEL_TEMPLATE, site.house.account)
