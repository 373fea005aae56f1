"""Scenarios (场景): small JSON scripts of what people do and what must be seen then.

Played by the page's buttons through ``panel_api``, and by tests through ``play``.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devtools.wechat_sandbox.browser import Page
from devtools.wechat_sandbox.courier import Delivery
from devtools.wechat_sandbox.due_events import move_to_next
from devtools.wechat_sandbox.faults import LABELS
from devtools.wechat_sandbox.phone import Phone
from devtools.wechat_sandbox.refusals import ActionError

if TYPE_CHECKING:
    from devtools.wechat_sandbox.sandbox import Sandbox

FOLDER = Path(__file__).parent / "scenarios"
WITHIN_S = 5.0
LOOK_EVERY_S = 0.02
Step = dict[str, Any]


class ScenarioError(Exception):
    """A step that cannot be done or did not come true; the argument says which and why."""


# Does one step and says what was done, in Chinese; ScenarioError when it did not come true.
DoStep = Callable[["Player", Step], str]


class ScenarioDesk:
    """The scenarios of all folders; plays one at a time."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._playing = threading.Lock()
        self._progress: dict[str, Any] = {}
        self.folders = [FOLDER]
        # Step words of an application's own scenarios; they may not overrule those of STEPS.
        self.extra_steps: dict[str, DoStep] = {}

    @property
    def steps(self) -> dict[str, DoStep]:
        """Every step word that a scenario may use, and what it does."""
        return {**self.extra_steps, **STEPS}

    def listed(self) -> list[dict[str, Any]]:
        """All scenarios, by file name within each folder; raises ValueError for a broken file."""
        paths = [path for folder in self.folders for path in sorted(folder.glob("*.json"))]
        return [read_scenario(path, self.steps) for path in paths]

    def progress(self) -> dict[str, Any]:
        """The scenario that is or was last played, and how far it came."""
        return self._progress

    def run(self, name: str) -> dict[str, Any]:
        """Play the scenario of this name and report; raises ActionError when one is playing."""
        chosen = [scenario for scenario in self.listed() if scenario["name"] == name]
        if not chosen:
            raise ActionError(f"there is no scenario {name!r}")
        if not self._playing.acquire(blocking=False):
            raise ActionError("another scenario is playing")
        try:
            steps: list[dict[str, Any]] = []
            total = len(chosen[0]["steps"])

            def tell(text: str) -> None:
                steps.append({"text": text})
                self._progress = {
                    "name": name,
                    "steps": list(steps),
                    "total": total,
                    "state": "playing",
                }

            problem = ""
            try:
                play(self._sandbox, chosen[0], tell)
            except ScenarioError as error:
                problem = str(error)
            state = "failed" if problem else "done"
            self._progress = {
                "name": name,
                "steps": steps,
                "total": total,
                "state": state,
                "problem": problem,
            }
            return self._progress
        finally:
            self._playing.release()


def read_scenario(path: Path, known: Mapping[str, DoStep] | None = None) -> dict[str, Any]:
    """One file: ``{"name", "about", "steps": [{"do": ...}]}``; raises ValueError."""
    scenario = json.loads(path.read_text(encoding="utf-8"))
    unknown = {step.get("do") for step in scenario["steps"]} - set(known or STEPS)
    if unknown:
        raise ValueError(f"{path.name}: no such step: {', '.join(map(str, unknown))}")
    return {
        "name": scenario["name"],
        "about": scenario.get("about", ""),
        "steps": scenario["steps"],
    }


def play(
    sandbox: Sandbox, scenario: dict[str, Any], tell: Callable[[str], None] = lambda text: None
) -> None:
    """Play all steps; ``tell`` hears each one when it is done. Raises ScenarioError."""
    player, steps = Player(sandbox), sandbox.scenarios.steps
    for number, step in enumerate(scenario["steps"], start=1):
        try:
            text = steps[step["do"]](player, step)
        except (ActionError, ScenarioError, ValueError, TypeError, KeyError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise ScenarioError(f"第 {number} 步（{step['do']}）：{reason}") from error
        tell(text)


class Player:
    """The state of one run: which page each phone has open."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.pages: dict[str, Page] = {}
        self.began = {phone.openid: len(phone.inbox) for phone in sandbox.phones.listed()}

    def phone(self, step: Step) -> Phone:
        """The phone of this name; made when there is none."""
        name = step["phone"]
        for state in self.sandbox.phones.listed():
            if name in (state.name, state.openid):
                return self.sandbox.phone(state.openid)
        return self.sandbox.add_phone(name=name)

    def ended(self, delivery: Delivery) -> str:
        """Wait for the answer to a callback and say how it came out."""
        self.sandbox.wait(delivery)
        if delivery.reply is not None:
            shown = delivery.reply.text or delivery.reply.kind
            return f"，收到回复：{shown.splitlines()[0]}"
        return "" if delivery.state == "acknowledged" else f"，回调结果：{delivery.state}"

    def new_items(self, phone: Phone) -> list[dict[str, Any]]:
        """What came onto this screen since the scenario began."""
        return phone.inbox()[self.began.get(phone.openid, 0) :]


def _follow(player: Player, step: Step) -> str:
    phone = player.phone(step)
    if phone.following and not step.get("again"):
        return f"{step['phone']} 已经关注"
    return f"{step['phone']} 关注公众号" + player.ended(phone.follow(step.get("scene", "")))


def _unfollow(player: Player, step: Step) -> str:
    return f"{step['phone']} 取消关注" + player.ended(player.phone(step).unfollow())


def _say(player: Player, step: Step) -> str:
    return f"{step['phone']} 发送“{step['text']}”" + player.ended(
        player.phone(step).say(step["text"])
    )


def _click(player: Player, step: Step) -> str:
    return f"{step['phone']} 点菜单 {step['key']}" + player.ended(
        player.phone(step).click(step["key"])
    )


def _photo(player: Player, step: Step) -> str:
    return f"{step['phone']} 发送图片" + player.ended(player.phone(step).photo())


def _location(player: Player, step: Step) -> str:
    place = {name: step[name] for name in ("latitude", "longitude", "label") if name in step}
    return f"{step['phone']} 发送位置" + player.ended(player.phone(step).location(**place))


def _open(player: Player, step: Step) -> str:
    phone = player.phone(step)
    url = step.get("url") or _card(phone, step.get("card", ""))["url"]
    page = phone.open(url)
    player.pages[phone.openid] = page
    wanted = step.get("status", 200)
    _must(page.status == wanted, f"页面返回 {page.status}，应为 {wanted}")
    _must(step.get("shows", "") in page.body, f"页面上没有“{step.get('shows')}”")
    return f"{step['phone']} 打开{step.get('card') or '链接'}（HTTP {page.status}）"


def _submit(player: Player, step: Step) -> str:
    phone = player.phone(step)
    page = player.pages[phone.openid]
    fields = {**page.hidden_fields, **page.ticked_fields, **step.get("form", {})}
    done = phone.submit(page.url, fields)
    player.pages[phone.openid] = done
    _must(done.status == step.get("status", 200), f"提交后返回 {done.status}")
    _must(step.get("shows", "") in done.body, f"页面上没有“{step.get('shows')}”")
    return f"{step['phone']} 提交页面" + (f"，看到“{step['shows']}”" if "shows" in step else "")


def _fault(player: Player, step: Step) -> str:
    fields = {name: value for name, value in step.items() if name != "do"}
    player.sandbox.faults.add(**fields)
    code = f" {step['errcode']}" if "errcode" in step else ""
    return f"加入故障：{LABELS.get(step['kind'], step['kind'])}{code}"


def _clear_faults(player: Player, step: Step) -> str:
    player.sandbox.faults.clear()
    return "清除故障"


def _clock(player: Player, step: Step) -> str:
    if step.get("to_next_due"):
        reached = move_to_next(player.sandbox)
        return f"时钟拨到：{reached['what']}" if reached else "没有到期的事"
    player.sandbox.move_clock(float(step["move_s"]))
    return f"时钟拨快 {step['move_s'] / 3600:g} 小时"


def _send(player: Player, step: Step) -> str:
    """The account sends a template message without an application behind it."""
    phone = player.phone(step)
    order = {name: value for name, value in step.items() if name not in ("do", "phone")}
    answer = player.sandbox.sending.template({**order, "touser": phone.openid})
    return f"公众号发出模板消息，msgid {answer['msgid']}"


def _expect(player: Player, step: Step) -> str:
    phone = player.phone(step)
    end = time.monotonic() + float(step.get("within_s", WITHIN_S))
    while True:
        found = [item for item in player.new_items(phone) if _fits(item, step)]
        if len(found) >= step.get("count", 1):
            break
        _must(time.monotonic() < end, f"{step['phone']} 没有看到{_wanted(step)}")
        time.sleep(LOOK_EVERY_S)
    return f"{step['phone']} 看到{_wanted(step)}"


def _expect_call(player: Player, step: Step) -> str:
    calls = player.sandbox.stats()["calls"].get(step["path"], 0)
    _must(calls >= step.get("count", 1), f"{step['path']} 只被调用 {calls} 次")
    return f"{step['path']} 被调用 {calls} 次"


def _wait(player: Player, step: Step) -> str:
    player.sandbox.stopping.wait(float(step["seconds"]))
    return f"等待 {step['seconds']} 秒"


def _must(is_true: bool, problem: str) -> None:
    if not is_true:
        raise ScenarioError(problem)


def _fits(item: dict[str, Any], step: Step) -> bool:
    if "kind" in step and item["kind"] != step["kind"]:
        return False
    if "title" in step and item["title"] != step["title"]:
        return False
    values = [item["text"], item["title"], *(line["value"] for line in item["fields"])]
    return "contains" not in step or any(step["contains"] in value for value in values)


def _wanted(step: Step) -> str:
    words = [str(step[name]) for name in ("title", "contains") if name in step]
    return "“" + "”、“".join(words or [str(step.get("kind", "新消息"))]) + "”"


def _card(phone: Phone, title: str) -> dict[str, Any]:
    cards = [card for card in phone.cards() if title in ("", card["title"])]
    if not cards:
        raise ActionError(f"没有卡片“{title}”")
    return cards[-1]


STEPS: dict[str, DoStep] = {
    "follow": _follow,
    "unfollow": _unfollow,
    "say": _say,
    "click": _click,
    "photo": _photo,
    "location": _location,
    "open": _open,
    "submit": _submit,
    "fault": _fault,
    "clear_faults": _clear_faults,
    "clock": _clock,
    "send": _send,
    "expect": _expect,
    "expect_call": _expect_call,
    "wait": _wait,
}
