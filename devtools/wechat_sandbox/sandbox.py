"""The stand-in for the WeChat platform as one object: settings in, a base address out.

Made by ``__main__`` (its own program), ``fixture`` (tests) and the demo (in-process).
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from devtools.wechat_sandbox.account_desks import AccountDesks
from devtools.wechat_sandbox.browser import Browser
from devtools.wechat_sandbox.channels import ChannelDesks
from devtools.wechat_sandbox.clock import SandboxClock
from devtools.wechat_sandbox.control_api import ControlApi
from devtools.wechat_sandbox.courier import Courier, Delivery
from devtools.wechat_sandbox.events_stream import EventsStream
from devtools.wechat_sandbox.faults import FaultDesk
from devtools.wechat_sandbox.http_server import LeanServer, Request, Response
from devtools.wechat_sandbox.media import MediaDesk
from devtools.wechat_sandbox.oauth import OAuthDesk
from devtools.wechat_sandbox.outward_http import OutwardHttp
from devtools.wechat_sandbox.page_server import PageServer
from devtools.wechat_sandbox.phone import Phone
from devtools.wechat_sandbox.phones import PhoneDesk
from devtools.wechat_sandbox.platform_api import PlatformApi
from devtools.wechat_sandbox.quotas import QuotaDesk
from devtools.wechat_sandbox.scenarios import ScenarioDesk
from devtools.wechat_sandbox.sending import SendDesk
from devtools.wechat_sandbox.settings import SandboxSettings
from devtools.wechat_sandbox.templates import TemplateDesk
from devtools.wechat_sandbox.tokens import TokenDesk
from devtools.wechat_sandbox.traffic import TrafficLog
from devtools.wechat_sandbox.web_frames import FrameProxy
from wechat_handlers.crypto import CallbackCipher, callback_signature

SAVE_VERSION = 1
SERVICE_FAULT = "该公众号提供的服务出现故障，请稍后再试"


class Sandbox:
    """The desks and the server around them; safe to use from several threads.

    ``clock_source`` gives seconds since 1970; a demo passes the house's clock so that both agree,
    and ``clock_mover``, which moves that clock by seconds. ``due_sources`` are functions that name
    what becomes due outside the sandbox: pairs of seconds since 1970 and a Chinese text.
    """

    def __init__(
        self,
        settings: SandboxSettings | None = None,
        clock_source: Callable[[], float] = time.time,
        clock_mover: Callable[[float], object] | None = None,
    ) -> None:
        self.settings = settings or SandboxSettings()
        self.cipher = make_cipher(self.settings)
        self._lock = threading.RLock()
        self._browsers: dict[str, Browser] = {}
        self.stopping = threading.Event()
        self.due_sources: list[Callable[[], Iterable[tuple[float, str]]]] = []
        self.generation = 0  # grows when the session is replaced, so that pages forget theirs
        self.calls: Counter[str] = Counter()
        self.refusals: Counter[int] = Counter()
        seed = self.settings.seed
        self.clock = SandboxClock(clock_source, clock_mover)
        self.traffic = TrafficLog()
        self.faults = FaultDesk(self._lock, seed)
        self.quotas = QuotaDesk(self._lock, self.clock)
        self.phones = PhoneDesk(self._lock, self.clock, seed)
        self.templates = TemplateDesk(self._lock)
        self.media = MediaDesk(self._lock, self.clock)
        self.tokens = TokenDesk(self._lock, self.clock, self.quotas, self._current)
        self.oauth = OAuthDesk(self._lock, self.clock, self._current)
        self.courier = Courier(
            self.clock, self._current, lambda: self.cipher, self.faults, self.traffic, self._ended
        )
        self.sending = SendDesk(
            self._lock,
            self.clock,
            self._current,
            self.phones,
            self.templates,
            self.quotas,
            self.faults,
            self.courier,
        )
        self.channels = ChannelDesks(
            self._lock,
            self.clock,
            self._current,
            self.phones,
            self.quotas,
            self.faults,
            self.traffic,
            self.stopping,
        )
        self.desks = AccountDesks(self, self._lock, self._current)
        self._platform_api = PlatformApi(self)
        self._control_api = ControlApi(self)
        self.scenarios = ScenarioDesk(self)
        self.frames = FrameProxy(self)
        self._events = EventsStream(self)
        self._server = LeanServer(self.settings.host, self.settings.port, self._handle)
        self._pages = PageServer(self._server.port)

    @property
    def base_url(self) -> str:
        """Where the platform's endpoints are: set this instead of https://api.weixin.qq.com."""
        host = self._server.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._server.port}"

    @property
    def menu_version(self) -> int:
        """Another number after each change of the menu; 0 when there is none."""
        return self.desks.menus.version

    def start(self) -> None:
        """Begin to answer and to deliver callbacks."""
        self.courier.start()
        self.channels.start()
        self._server.start()

    def stop(self) -> None:
        """End; callbacks that wait are dropped."""
        self.stopping.set()
        self._server.stop()
        self.channels.stop()
        self.courier.stop()

    def change(self, **settings: Any) -> None:
        """Change settings while running (host, port and number of workers excepted)."""
        changed = dataclasses.replace(self.settings, **settings)
        self.cipher = make_cipher(changed)
        self.settings = changed

    def verify_callback(self) -> bool:
        """What saving the address in the console does: GET with echostr; True when it passes."""
        timestamp, nonce = str(int(self.clock.now())), str(secrets.randbelow(10**10))
        echo = str(secrets.randbelow(10**19))
        query = {
            "signature": callback_signature(self.settings.token, timestamp, nonce),
            "echostr": echo,
            "timestamp": timestamp,
            "nonce": nonce,
        }
        url, client = self.settings.callback_url, OutwardHttp()
        url += ("&" if "?" in url else "?") + urlencode(query)
        try:
            answer = client.send("GET", url, timeout_s=self.settings.callback_timeout_s)
        except OSError:
            return False
        finally:
            client.close()
        return answer.status == 200 and answer.body == echo.encode()

    def phone(self, openid: str) -> Phone:
        """A handle on a phone that exists."""
        return Phone(self, openid)

    def add_phone(
        self, openid: str = "", name: str = "", role: str = "", **attributes: Any
    ) -> Phone:
        """A new phone (or the one with this openid); no callback, ``Phone.follow`` sends one.

        ``attributes``: ``following``, ``phone_number`` (text messages), ``mail_address``.
        """
        return Phone(self, self.phones.add(openid, name, role, **attributes).openid)

    def add_phones(self, count: int, *, following: bool = True) -> list[str]:
        """Many phones at once; returns their openids."""
        return [self.phones.add(following=following).openid for _ in range(count)]

    def register_template(
        self,
        template_id: str,
        title: str,
        keys: Mapping[str, str] | Sequence[str],
        values: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Add a template: ``keys`` maps typed keys (``thing1``) to labels, or only lists them."""
        self.templates.register(template_id, title, keys, values)

    def load_templates(self, path: Path) -> None:
        """Add the templates of a JSON file, a list as ``TemplateDesk.load`` takes."""
        self.templates.load(json.loads(path.read_text(encoding="utf-8")))

    def browser(self, openid: str) -> Browser:
        """The browser of a phone, with its cookies."""
        with self._lock:
            if openid not in self._browsers:
                self._browsers[openid] = Browser(openid, self.base_url, self._current)
            return self._browsers[openid]

    def inbox(self, openid: str, after: int = 0, last: int = 0) -> list[dict[str, Any]]:
        """Everything that a phone shows, oldest first; see ``phones.InboxItem``."""
        return self.phones.inbox(openid, after, last)

    def move_clock(self, seconds: float) -> float:
        """Move the clock forward; what became due is delivered. Returns the new instant."""
        now = self.clock.move(seconds)
        self.courier.wake()
        return now

    def wait(self, delivery: Delivery, timeout_s: float = 30.0) -> Delivery:
        """Wait until a callback was answered or given up; TimeoutError when it takes longer."""
        if not self.courier.wait(delivery, timeout_s):
            raise TimeoutError(f"the callback {delivery.name} is still on its way")
        return delivery

    def drain(self, timeout_s: float = 60.0) -> bool:
        """Wait until every callback has come to its end, receipts that are not due included."""
        started = time.monotonic()
        if not self.courier.drain(timeout_s):
            return False
        return self.channels.reporter.drain(timeout_s - (time.monotonic() - started))

    def stats(self) -> dict[str, Any]:
        """Counts since the start or the last reset."""
        with self._lock:
            return {
                "calls": dict(self.calls),
                "refusals": {str(code): count for code, count in self.refusals.items()},
                "sends": dict(self.sending.counts),
                "cards_shown": self.phones.cards_shown,
                "duplicate_cards": self.phones.duplicate_cards,
                "callbacks": self.courier.stats(),
                **self.channels.stats(),
                "tokens_issued": dict(self.tokens.issued),
                "faults": self.faults.hits(),
                "quotas_used_today": self.quotas.used_today(),
                "now": self.clock.now(),
            }

    def reset(self) -> None:
        """Forget phones, sends, media, faults, quotas, counts; keep templates, tokens, clock."""
        self.courier.drop_waiting()
        self.channels.clear()
        with self._lock:
            self.phones.clear()
            self.sending.clear()
            self.media.restore([])
            self.oauth.restore({})
            self.desks.clear()
            self.quotas.clear()
            self.calls.clear()
            self.refusals.clear()
            self._browsers.clear()
            self.generation += 1
        self.faults.reset(self.settings.seed)
        self.traffic.clear()

    def save(self) -> dict[str, Any]:
        """The whole session as JSON values; callbacks that are on their way are not in it."""
        with self._lock:
            return {
                "version": SAVE_VERSION,
                "clock_moved_s": self.clock.moved_s,
                "templates": self.templates.listed(),
                "phones": self.phones.snapshot(),
                "tokens": self.tokens.snapshot(),
                "quotas": self.quotas.snapshot(),
                "media": self.media.snapshot(),
                "oauth": self.oauth.snapshot(),
                "client_msg_ids": self.sending.snapshot(),
                "faults": self.faults.listed(),
                "account": self.desks.snapshot(),
            }

    def load(self, saved: Mapping[str, Any]) -> None:
        """Replace the session by a saved one."""
        if saved.get("version") != SAVE_VERSION:
            raise ValueError("not a saved session of this sandbox")
        self.reset()
        with self._lock:
            self.clock.restore(saved["clock_moved_s"])
            self.templates.clear()
            self.templates.load(saved["templates"])
            self.phones.restore(saved["phones"])
            self.tokens.restore(saved["tokens"])
            self.quotas.restore(saved["quotas"])
            self.media.restore(saved["media"])
            self.oauth.restore(saved["oauth"])
            self.sending.restore(saved["client_msg_ids"])
            self.faults.restore(saved["faults"])
            self.desks.restore(saved.get("account", {}))
            self.generation += 1

    def count_call(self, path: str) -> None:
        """One API call came in."""
        with self._lock:
            self.calls[path] += 1

    def count_refusal(self, errcode: int) -> None:
        """One API call was refused by rule (injected errcodes are counted as faults)."""
        with self._lock:
            self.refusals[errcode] += 1

    def _current(self) -> SandboxSettings:
        return self.settings

    def answer_locally(self, request: Request) -> Response:
        """Answer a request that came by no connection (a replay)."""
        return self._platform_api.handle(request)

    def _handle(self, request: Request) -> Response:
        if self.frames.owns(request):
            return self.frames.handle(request)
        if self._pages.owns(request.path):
            return self._pages.handle(request)
        if self._events.owns(request.path):
            return self._events.handle(request)
        if self._control_api.owns(request.path):
            return self._control_api.handle(request)
        return self._platform_api.handle(request)

    def _ended(self, delivery: Delivery, state: str) -> None:
        phone = self.phones.find(delivery.fields["FromUserName"])
        if phone is None or delivery.is_copy:
            return
        reply = delivery.reply
        if reply is not None:
            extra = {"type": reply.kind, **reply.extra}
            self.phones.show(phone, "reply", text=reply.text, extra=extra)
        elif state != "acknowledged" and delivery.shows:
            self.phones.show(phone, "notice", text=SERVICE_FAULT)


def make_cipher(settings: SandboxSettings) -> CallbackCipher | None:
    """The cipher for these settings; None without a key."""
    if not settings.aes_key:
        return None
    return CallbackCipher(settings.appid, settings.aes_key, settings.previous_aes_key)
