"""The sandbox's own endpoints under /sandbox/ and /inbox: what a person or a test does to it.

Called by ``sandbox``; the real platform has none of them. JSON in, JSON out.
"""

from __future__ import annotations

import base64
import dataclasses
import inspect
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from devtools.wechat_sandbox.browser import Page
from devtools.wechat_sandbox.courier import Delivery
from devtools.wechat_sandbox.http_server import Request, Response, json_response
from devtools.wechat_sandbox.panel_api import panel_routes
from devtools.wechat_sandbox.phone_actions import ACCOUNT_ACTIONS
from devtools.wechat_sandbox.refusals import ActionError, RefusalError

if TYPE_CHECKING:
    from devtools.wechat_sandbox.sandbox import Sandbox

DEFAULT_WAIT_S = 30.0
ACTIONS = frozenset(
    (
        *("follow", "unfollow", "scan", "say", "photo", "voice", "video", "location", "link"),
        *("report_location", "click", "view", "view_miniprogram", "scan_code", "pick_photos"),
        *ACCOUNT_ACTIONS,
        "scan_ticket",
        *("select_location", "event", "pay", "upload", "open", "submit", "receipts_say"),
    )
)
Body = dict[str, Any]


class ControlApi:
    """Routes by method and path; what follows /sandbox/phones/ and /sandbox/media/ is a name."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._routes: dict[tuple[str, str], Callable[[Request, Body], Any]] = {
            ("GET", "/inbox"): self._inbox,
            ("GET", "/sandbox/inbox"): self._inbox,
            ("GET", "/sandbox/phones"): self._phones,
            ("POST", "/sandbox/phones"): self._add_phones,
            ("GET", "/sandbox/templates"): lambda request, body: sandbox.templates.listed(),
            ("POST", "/sandbox/templates"): self._add_templates,
            ("POST", "/sandbox/sms_templates"): self._add_sms_template,
            ("GET", "/sandbox/mail"): lambda request, body: sandbox.channels.mail_server(),
            ("GET", "/sandbox/faults"): lambda request, body: sandbox.faults.listed(),
            ("POST", "/sandbox/faults"): lambda request, body: {
                "number": sandbox.faults.add(**body)
            },
            ("DELETE", "/sandbox/faults"): self._remove_faults,
            ("GET", "/sandbox/stats"): lambda request, body: sandbox.stats(),
            ("GET", "/sandbox/traffic"): self._traffic,
            ("POST", "/sandbox/drain"): self._drain,
            ("POST", "/sandbox/settings"): self._change,
            ("GET", "/sandbox/settings"): lambda request, body: dataclasses.asdict(
                sandbox.settings
            ),
            ("POST", "/sandbox/verify"): lambda request, body: {"ok": sandbox.verify_callback()},
            ("POST", "/sandbox/tokens/end"): self._end_tokens,
            ("POST", "/sandbox/reset"): self._reset,
            ("GET", "/sandbox/save"): lambda request, body: sandbox.save(),
            ("POST", "/sandbox/load"): self._load,
            ("GET", "/sandbox/menu"): lambda request, body: {
                "buttons": sandbox.desks.menus.buttons
            },
            **panel_routes(sandbox),
        }

    def owns(self, path: str) -> bool:
        """Whether this path belongs to the sandbox and not to the platform."""
        return path.startswith("/sandbox/") or path == "/inbox"

    def handle(self, request: Request) -> Response:
        """Answer one call: 400 for wrong values, 404 for no such thing, 409 for a phone's no."""
        if request.path.startswith("/sandbox/media/"):
            return self._media(request.path.removeprefix("/sandbox/media/"))
        route = self._routes.get((request.method, request.path))
        try:
            body = json.loads(request.body or b"{}")
            if not isinstance(body, dict):
                raise ValueError("the body must be a JSON object")
            if route is not None:
                return json_response(route(request, body))
            names = request.path.split("/")[3:]
            if request.method == "POST" and request.path.startswith("/sandbox/phones/"):
                return json_response(self._act(names, body))
        except ActionError as refusal:
            return json_response({"error": str(refusal)}, 409)
        except (ValueError, TypeError, KeyError) as error:
            return json_response({"error": f"{type(error).__name__}: {error}"}, 400)
        except OSError as error:
            return json_response({"error": f"{type(error).__name__}: {error}"}, 502)
        return json_response({"error": "no such endpoint"}, 404)

    def _act(self, names: list[str], body: Body) -> Any:
        """POST /sandbox/phones/{openid}/{action}; waits for the callback's end, ``wait_s``."""
        if len(names) != 2 or names[1] not in ACTIONS:
            raise ValueError(f"an action is one of {', '.join(sorted(ACTIONS))}")
        wait_s = float(body.pop("wait_s", DEFAULT_WAIT_S))
        if "content_b64" in body:
            body["content"] = base64.b64decode(body.pop("content_b64"), validate=True)
        action = getattr(self._sandbox.phone(names[0]), names[1])
        inspect.signature(action).bind(**body)
        result = action(**body)
        if isinstance(result, Delivery):
            self._sandbox.courier.wait(result, wait_s)
            return delivery_values(result)
        return dataclasses.asdict(result) if isinstance(result, Page) else {"result": result}

    def _media(self, media_id: str) -> Response:
        try:
            media = self._sandbox.media.get(media_id)
        except RefusalError as refusal:
            return json_response(refusal.answer(), 404)
        return Response(media.content, content_type=media.content_type)

    def _inbox(self, request: Request, body: Body) -> Any:
        after, last = (int(request.query.get(name, "0")) for name in ("after", "last"))
        return {"items": self._sandbox.inbox(request.query["openid"], after, last)}

    def _phones(self, request: Request, body: Body) -> Any:
        return [
            {
                "openid": phone.openid,
                "name": phone.name,
                "role": phone.role,
                "following": phone.following,
                "items": len(phone.inbox),
                "receipt_status": phone.receipt_status,
                "phone_number": phone.phone_number,
                "mail_address": phone.mail_address,
            }
            for phone in self._sandbox.phones.listed()
        ]

    def _add_phones(self, request: Request, body: Body) -> Any:
        if "count" in body:
            return {"openids": self._sandbox.add_phones(**body)}
        return {"openid": self._sandbox.add_phone(**body).openid}

    def _add_templates(self, request: Request, body: Body) -> Any:
        self._sandbox.templates.load(body.get("templates", [body]))
        return {"ok": True}

    def _add_sms_template(self, request: Request, body: Body) -> Any:
        self._sandbox.channels.sms.register(body["code"], body["text"])
        return {"ok": True}

    def _remove_faults(self, request: Request, body: Body) -> Any:
        if "number" in request.query:
            self._sandbox.faults.remove(int(request.query["number"]))
        else:
            self._sandbox.faults.clear()
        return {"ok": True}

    def _traffic(self, request: Request, body: Body) -> Any:
        after, limit = request.query.get("after", "0"), request.query.get("limit", "200")
        return {"entries": self._sandbox.traffic.entries(int(after), int(limit))}

    def _drain(self, request: Request, body: Body) -> Any:
        return {"drained": self._sandbox.drain(float(body.get("timeout_s", 60)))}

    def _change(self, request: Request, body: Body) -> Any:
        if {"host", "port", "allow_public", "callback_workers", "smtp_port"} & body.keys():
            raise ValueError("host, ports and workers are fixed while the sandbox runs")
        self._sandbox.change(**body)
        return {"ok": True}

    def _end_tokens(self, request: Request, body: Body) -> Any:
        self._sandbox.tokens.end_all(withdrawn=bool(body.get("withdrawn")))
        return {"ok": True}

    def _reset(self, request: Request, body: Body) -> Any:
        self._sandbox.reset()
        return {"ok": True}

    def _load(self, request: Request, body: Body) -> Any:
        self._sandbox.load(body)
        return {"ok": True}


def delivery_values(delivery: Delivery) -> dict[str, Any]:
    """How far a callback has come, as plain values."""
    return {
        "state": delivery.state,
        "attempts": delivery.attempts,
        "statuses": delivery.statuses,
        "problem": delivery.problem,
        "reply": dataclasses.asdict(delivery.reply) if delivery.reply else None,
    }
