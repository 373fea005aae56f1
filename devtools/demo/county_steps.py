"""The office's step words for scenarios (场景步骤): the buttons of the Phones page tell the story.

``offer_story`` registers them with the sandbox, which knows nothing of bills, and adds the folder
of the scenarios that use them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from devtools.demo.arrears_texts import card_line, feeds_text, preview_texts, rejects_text
from devtools.demo.cast_bindings import CastBindings
from devtools.demo.office import Office, counted
from devtools.demo.seeding import report_text
from devtools.demo.stage import SCENARIOS
from devtools.wechat_sandbox.sandbox import Sandbox
from devtools.wechat_sandbox.scenarios import DoStep, Player, ScenarioError, Step
from gongdian.errors import GongdianError

Do = Callable[[Step], str]


def offer_story(sandbox: Sandbox, office: Office) -> None:
    """Put the story's buttons on the Phones page, before the others."""
    desk = sandbox.scenarios
    steps = CountySteps(office)
    desk.extra_steps.update({name: _told(do) for name, do in steps.words().items()})
    desk.extra_steps["expect_no_card"] = _expect_no_card
    desk.folders.insert(0, SCENARIOS / "arrears")


def _told(do: Do) -> DoStep:
    """The same step; what is refused ends the scenario and says why."""

    def step_of_scenario(player: Player, step: Step) -> str:
        try:
            return do(step)
        except (AssertionError, GongdianError) as error:
            raise ScenarioError(str(error)) from error

    return step_of_scenario


def _expect_no_card(player: Player, step: Step) -> str:
    """Nothing of this scenario came onto this phone as a card; the others have theirs already."""
    phone = player.phone(step)
    cards = [item for item in player.new_items(phone) if item["kind"] == "template"]
    if cards:
        raise ScenarioError(f"{step['phone']} 收到了“{cards[-1]['title']}”")
    return f"{step['phone']} 没有收到卡片"


class CountySteps:
    """Each word as a method; the sentence that it answers is what the panel shows."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._cast = CastBindings(office.stage, office.county)

    def words(self) -> dict[str, Do]:
        """The step words."""
        return {
            "bind": self.bind,
            "import_file": self.import_file,
            "prepare": self.prepare,
            "preview_stages": partial(self._preview, part=1),
            "preview_stations": partial(self._preview, part=2),
            "preview_left_out": partial(self._preview, part=3),
            "show_card": self.show_card,
            "approve_as_maker": self.approve_as_maker,
            "approve": self.approve,
            "stop_sending": self.stop_sending,
            "start_sending": self.start_sending,
            "pay": self.pay,
            "pay_of_the_last_days": self.pay_of_the_last_days,
            "look_at_feeds": self.look_at_feeds,
            "worklist": self.worklist,
            "finish_dispute": self.finish_dispute,
        }

    def bind(self, step: Step) -> str:
        """``phone``: this person binds every 户号 of theirs."""
        return self._cast.bind(step["phone"])

    def import_file(self, step: Step) -> str:
        """``file``: a word of county.json; ``rejects``: say what was refused."""
        report = self._office.bring_in(step["file"])
        text = report.notices[0] if report.is_repeat else report_text(report)
        if step.get("rejects"):
            text += f"。拒收：{rejects_text(self._office.rejects(report.run_id))}"
        return text

    def prepare(self, step: Step) -> str:
        """Begin a campaign."""
        campaign = self._office.prepare().campaign
        return f"批次{campaign.code}准备完成：{campaign.planned}条，不发送{campaign.left_out}户"

    def _preview(self, step: Step, part: int) -> str:
        return preview_texts(self._office.preview(), self._office.stage.house)[part]

    def show_card(self, step: Step) -> str:
        """``of``: what this person would be told."""
        line = self._office.line_of(step["of"])
        return f"{step['of']}不在批次里" if line is None else f"{step['of']}：{card_line(line)}"

    def approve_as_maker(self, step: Step) -> str:
        """Whoever began it tries to approve it."""
        if self._office.may_the_maker_approve():
            raise ScenarioError("制单人自己审批通过了")
        return "制单人自己审批：被拒绝，须另一人审批"

    def approve(self, step: Step) -> str:
        """The second person."""
        self._office.approve()
        return f"班长审批通过，{self._office.campaign().queued}条已入队"

    def stop_sending(self, step: Step) -> str:
        """Nothing goes out for now."""
        self._office.stop_sending()
        return "先停发：入队的消息等着"

    def start_sending(self, step: Step) -> str:
        """What waits goes out."""
        self._office.start_sending()
        return "放开发送"

    def pay(self, step: Step) -> str:
        """``of``: this person pays; ``supply``: only that one of their 户号, counted from 1."""
        numbers = self._office.numbers(step["of"])
        chosen = numbers if "supply" not in step else [numbers[step["supply"] - 1]]
        report = self._office.book(chosen)
        return f"{step['of']}交清户号{'、'.join(chosen)}：{report_text(report)}"

    def pay_of_the_last_days(self, step: Step) -> str:
        """A third of those who owe pay."""
        return report_text(self._office.book_the_last_days())

    def look_at_feeds(self, step: Step) -> str:
        """Which data are too old."""
        return feeds_text(self._office.look_at_feeds())

    def worklist(self, step: Step) -> str:
        """What people must do, by kind."""
        items = counted(self._office.worklist())
        return "；".join(f"{label}{count}件" for label, count in items.items()) or "没有待办"

    def finish_dispute(self, step: Step) -> str:
        """``of``: the question of this person is looked into and answered."""
        done = self._office.finish_disputes(step["of"])
        return f"{step['of']}的疑问已核实{done}件，暂停解除"
