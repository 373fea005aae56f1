"""When workers are killed (击杀时刻); the runs with kills call it."""

from __future__ import annotations

import time
from functools import partial

from devtools.chaos.site import Site


def kill_between(site: Site, first: float, last: float, kills: int) -> None:
    """Kill while the platform takes the messages from ``first`` to ``last``.

    The way is cut into equal parts and one moment is drawn in each.
    """
    for number in range(kills):
        goal = int(first + (last - first) * (number + site.dice.random()) / kills)
        site.wait_until(partial(is_past, site, goal), f"message {goal}")
        time.sleep(site.dice.random() * site.plan.answer_s)
        site.kill_one()


def is_past(site: Site, goal: int) -> bool:
    """Whether the platform has taken more than ``goal`` messages, or they have ended."""
    return site.with_platform() > goal
