"""The arrears story in a real browser: the buttons of the Phones page, the cards, the pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from devtools.demo.county_steps import offer_story
from devtools.demo.office import Office
from devtools.demo.props import hand_out_phones
from devtools.demo.seeding import COUNTY_SANDBOX, COUNTY_SETTINGS, seed_county
from devtools.demo.stage import Stage
from tests.browser.viewer import DESK, PHONE, PhoneView, Viewer

pytestmark = pytest.mark.chromium

SCALE = 0.01
# One button of the story does all that an office does in an hour.
PATIENCE_MS = 120_000


@pytest.fixture
def stage(start_stage: Callable[..., Stage], tmp_path: Path) -> Stage:
    """A stage with a small county, whose story is on the buttons."""
    stage = start_stage(sandbox_settings=COUNTY_SANDBOX, **COUNTY_SETTINGS)
    hand_out_phones(stage)
    county = seed_county(stage, tmp_path / "county", lambda text: None, scale=SCALE)
    offer_story(stage.sandbox, Office(stage, county))
    return stage


def play(viewer: Viewer, name: str) -> None:
    """Press a scenario's button and wait until all of it came true."""
    button = viewer.page.locator(f".scenario[data-name='{name}']")
    button.click()
    expect(button).to_have_attribute("data-state", "done", timeout=PATIENCE_MS)


def told(viewer: Viewer) -> str:
    """What the panel wrote down."""
    return viewer.page.locator("#panel-scenarios .steps").inner_text()


def open_card(viewer: Viewer, phone: PhoneView, title: str) -> None:
    """Tap the newest card of this title."""
    card = phone.cards.filter(has_text=title).last
    card.get_by_role("button", name="查看详情").click()


def test_an_office_worker_plays_the_story_by_its_buttons(stage: Stage, browser: Browser) -> None:
    viewer = Viewer(browser, DESK)
    viewer.open(stage.sandbox)
    viewer.panel("scenarios")
    home, firm = viewer.phone("李女士"), viewer.phone("王先生")
    for name in ("绑定户号", "电费发行"):
        play(viewer, name)
    assert "拒收3" in told(viewer)
    play(viewer, "准备并预览")
    assert "第1阶段“电费到期提醒”" in told(viewer)
    viewer.picture("story-preview")
    play(viewer, "审批并发送")
    for phone, amount in ((home, "等2户"), (firm, "云溪恒源铸造有限公司等2户")):
        expect(phone.cards.filter(has_text="电费到期提醒")).to_contain_text(amount)
    expect(viewer.phone("老周").cards.filter(has_text="电费")).to_have_count(0)
    open_card(viewer, home, "电费到期提醒")
    expect(home.web.get_by_role("heading", level=1)).to_have_text("电费账单")
    home.web.get_by_role("button", name="已知晓").click()
    expect(home.web.get_by_role("heading", level=1)).to_have_text("谢谢，已收到您的回复")
    open_card(viewer, firm, "电费到期提醒")
    expect(firm.web.get_by_text("力调电费").first).to_be_attached()
    viewer.picture("story-pages")
    firm.root.get_by_label("返回").click()
    home.root.get_by_label("返回").click()
    for name in ("客户答复", "部分缴费", "拨快三天"):
        play(viewer, name)
    play(viewer, "下一阶段")
    expect(home.cards.filter(has_text="电费逾期提醒")).to_have_count(1)
    expect(firm.cards.filter(has_text="电费逾期提醒")).to_have_count(0)
    viewer.picture("story-next-stage")
    play(viewer, "待办")
    assert "核实客户疑问" in told(viewer)
    viewer.check()


def test_a_customer_reads_and_answers_on_a_phone(stage: Stage, browser: Browser) -> None:
    for name in ("绑定户号", "电费发行", "准备并预览", "审批并发送"):
        report = stage.sandbox.scenarios.run(name)
        assert report["state"] == "done", report
    viewer = Viewer(browser, PHONE)
    viewer.open(stage.sandbox)
    home = viewer.phone("李女士")
    expect(home.cards.filter(has_text="电费到期提醒")).to_have_count(1)
    viewer.picture("story-card-narrow")
    open_card(viewer, home, "电费到期提醒")
    expect(home.web.get_by_role("heading", level=1)).to_have_text("电费账单")
    viewer.picture("story-page-narrow")
    fold = home.web.locator("details").first
    fold.locator("summary").click()
    expect(fold.get_by_role("term").filter(has_text="本期示数")).to_be_visible()
    viewer.picture("story-lines-narrow")
    viewer.page.locator("#phone-tabs button", has_text="王先生").click()
    firm = viewer.phone("王先生")
    open_card(viewer, firm, "电费到期提醒")
    fold = firm.web.locator("details").first
    fold.locator("summary").click()
    fee = fold.get_by_text("力调电费").first
    expect(fee).to_be_visible()
    fee.scroll_into_view_if_needed()
    viewer.picture("story-fees-narrow")
    viewer.page.locator("#phone-tabs button", has_text="李女士").click()
    note = home.web.get_by_role("textbox")
    note.scroll_into_view_if_needed()
    note.fill("表是不是走快了？")
    viewer.picture("story-answers-narrow")
    home.web.get_by_role("button", name="有疑问").click()
    expect(home.web.get_by_role("heading", level=1)).to_have_text("谢谢，已收到您的回复")
    expect(home.web.get_by_text("核实期间请先交费")).to_be_visible()
    viewer.picture("story-answered-narrow")
    home.root.get_by_label("返回").click()
    home.root.get_by_role("button", name="我的电费").click()
    expect(home.web.get_by_role("heading", level=1)).to_contain_text("我的电费")
    viewer.picture("story-bills-narrow")
    viewer.check()
