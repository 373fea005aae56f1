"""The endpoints of the Phones page's panels: clock, traffic, scenarios, links tapped in a frame.

Merged into the routes of ``control_api``, so that tests and scripts can use them too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from devtools.wechat_sandbox.cast import CAST
from devtools.wechat_sandbox.due_events import move_to_next, upcoming
from devtools.wechat_sandbox.faults import LABELS
from devtools.wechat_sandbox.http_server import Request
from devtools.wechat_sandbox.inspector import describe, replay

if TYPE_CHECKING:
    from devtools.wechat_sandbox.sandbox import Sandbox

Body = dict[str, Any]
Routes = dict[tuple[str, str], Callable[[Request, Body], Any]]


def panel_routes(sandbox: Sandbox) -> Routes:
    """Method and path to a function of the request and its JSON body."""
    panel = PanelApi(sandbox)
    return {
        ("GET", "/sandbox/about"): panel.about,
        ("GET", "/sandbox/clock"): panel.clock,
        ("POST", "/sandbox/clock"): panel.move_clock,
        ("GET", "/sandbox/traffic/entry"): panel.exchange,
        ("POST", "/sandbox/traffic/replay"): panel.replay,
        ("POST", "/sandbox/frame"): panel.frame,
        ("GET", "/sandbox/frame"): panel.frame_title,
        ("GET", "/sandbox/scenarios"): panel.scenarios,
        ("POST", "/sandbox/scenarios/run"): panel.run_scenario,
    }


class PanelApi:
    """One method per endpoint; raises ActionError, ValueError, KeyError or OSError."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def about(self, request: Request, body: Body) -> Any:
        """What the page needs to know once; no secrets, people share screenshots of it."""
        settings = self._sandbox.settings
        return {
            "account_name": settings.account_name,
            "appid": settings.appid,
            "base_url": self._sandbox.base_url,
            "callback_url": settings.callback_url,
            "mode": settings.mode,
            "format": settings.format,
            "faults": LABELS,
            "cast": CAST,
        }

    def clock(self, request: Request, body: Body) -> Any:
        """The instant and what is due next."""
        clock = self._sandbox.clock
        return {"now": clock.now(), "moved_s": clock.moved_s, "due": upcoming(self._sandbox)}

    def move_clock(self, request: Request, body: Body) -> Any:
        """Forward by ``move_s`` seconds, or ``to_next_due``."""
        if body.get("to_next_due"):
            reached = move_to_next(self._sandbox)
            return {"now": self._sandbox.clock.now(), "reached": reached}
        return {"now": self._sandbox.move_clock(float(body["move_s"]))}

    def exchange(self, request: Request, body: Body) -> Any:
        """One exchange in full."""
        return describe(self._sandbox, int(request.query["number"]))

    def replay(self, request: Request, body: Body) -> Any:
        """Send one exchange again."""
        return replay(self._sandbox, int(body["number"]))

    def frame(self, request: Request, body: Body) -> Any:
        """Where a link opens inside this phone's frame."""
        address = self._sandbox.frames.address(str(body["openid"]), str(body["url"]))
        return {"address": address}

    def frame_title(self, request: Request, body: Body) -> Any:
        """What the page in this phone's frame calls itself."""
        return {"title": self._sandbox.frames.title(request.query["openid"])}

    def scenarios(self, request: Request, body: Body) -> Any:
        """All scenarios that can be played."""
        return self._sandbox.scenarios.listed()

    def run_scenario(self, request: Request, body: Body) -> Any:
        """Play one by its ``name`` and report each step."""
        return self._sandbox.scenarios.run(str(body["name"]))
