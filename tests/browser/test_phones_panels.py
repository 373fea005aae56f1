"""The panels of the Phones page in a real browser: traffic, faults, clock, scenarios, session."""

from __future__ import annotations

import json
import shlex
import smtplib
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from devtools.demo.props import hand_out_phones
from devtools.demo.stage import Stage
from devtools.wechat_sandbox.cast import CAST
from devtools.wechat_sandbox.due_events import upcoming
from devtools.wechat_sandbox.fixture import running_sandbox
from devtools.wechat_sandbox.outward_http import OutwardHttp
from gongdian.accounts.service import meet_contact
from gongdian.outbox.queries import message_timeline
from tests.browser.viewer import DESK, PHONE, Viewer, everyday, ready
from tests.flows.test_fallback import a_customer, tell

pytestmark = pytest.mark.chromium


def test_a_fault_of_the_panel_is_seen_in_the_traffic(stage: Stage, browser: Browser) -> None:
    ready(stage, "李女士")
    everyday(stage)
    viewer = Viewer(browser, DESK)
    viewer.open(stage.sandbox)
    duty = next(phone for phone in stage.sandbox.phones.listed() if phone.name == "老周")
    stage.sandbox.phones.show(duty, "sms", text="【云溪供电】解放路停电已派工。")
    viewer.panel("faults")
    viewer.page.get_by_role("button", name="40001 token 失效").click()
    rule = viewer.page.locator(".rules li[data-kind=errcode]")
    expect(rule).to_contain_text("还剩 1 次")
    viewer.phone("李女士").say("绑定")
    expect(viewer.phone("李女士").cards).to_have_count(1)
    expect(viewer.page.get_by_text("已命中：接口返回错误码 1 次")).to_be_visible()
    viewer.panel("traffic")
    broken = viewer.page.locator('.traffic tr[data-fault="true"]')
    expect(broken).to_contain_text("故障：接口返回错误码")
    expect(broken).to_contain_text("200 · 40001")
    viewer.phone("王先生").cards.get_by_role("button", name="查看详情").click()
    expect(viewer.phone("王先生").web.get_by_role("heading", level=1)).to_be_visible()
    viewer.page.locator(".traffic tr", has_text="文字消息").first.click()
    expect(viewer.page.get_by_text("请求（密文）")).to_be_visible()
    expect(viewer.page.locator(".bodies")).to_contain_text("<Content>绑定</Content>")
    viewer.page.get_by_role("button", name="重放").click()
    expect(viewer.page.locator(".traffic tr", has_text="重放的回调")).to_be_visible()
    viewer.picture("phones-traffic")
    viewer.page.get_by_label("筛选流量").fill("stable_token")
    expect(viewer.page.locator(".traffic tbody tr strong").first).to_have_text("取稳定版 token")
    viewer.check()


def test_a_fault_of_the_panel_is_in_the_timeline_of_the_message(
    stage: Stage, browser: Browser
) -> None:
    phone, house = ready(stage, "李女士"), stage.house
    viewer = Viewer(browser, DESK)
    viewer.open(stage.sandbox)
    viewer.panel("faults")
    viewer.page.get_by_label("错误码", exact=True).fill("45011")
    viewer.page.get_by_label("范围").fill("/cgi-bin/message/template/send")
    viewer.page.get_by_role("button", name="加入").click()
    expect(viewer.page.locator(".rules li[data-kind=errcode]")).to_contain_text("45011")
    viewer.phone("李女士").say("绑定")
    expect(viewer.page.get_by_text("已命中：接口返回错误码 1 次")).to_be_visible()
    contact = house.database.run(
        lambda session: meet_contact(session, house.account, phone.openid, stage.clock.now())
    )

    def errcodes() -> list[int]:
        with house.database.read() as session:
            told = message_timeline(session, f"accounts:binding:request#1:{contact.number}")
        return [entry.errcode for entry in told.entries if entry.errcode]

    stage.wait_for(errcodes, "the refusal in the timeline")
    assert errcodes() == [45011]
    assert phone.cards() == []
    viewer.panel("clock")
    viewer.page.get_by_role("button", name="+10 分钟").click()
    expect(viewer.phone("李女士").cards).to_have_count(1)
    viewer.check()


def test_a_text_message_follows_a_refusal_that_the_panel_injected(
    stage: Stage, browser: Browser
) -> None:
    customer = a_customer(stage, "sms", "mail")
    stage.sandbox.phones.get(customer.openid).role = "客户"
    for person in CAST[1:]:
        stage.sandbox.add_phone(**person)
    everyday(stage)
    viewer = Viewer(browser, DESK)
    viewer.open(stage.sandbox)
    viewer.panel("faults")
    viewer.page.get_by_role("button", name="43101 用户拒收").click()
    expect(viewer.page.locator(".rules li[data-kind=errcode]")).to_contain_text("43101")
    tell(stage, customer)
    phone = viewer.phone("李女士")
    expect(phone.root.locator(".tabs .badge")).to_have_text(["1"])
    phone.root.get_by_role("tab", name="短信").click()
    expect(phone.root.locator(".messages .bubble")).to_have_count(1)
    expect(phone.root.locator(".messages .bubble")).to_contain_text("10kV城东II线512于")
    viewer.panel("traffic")
    refused = viewer.page.locator('.traffic tr[data-fault="true"]')
    expect(refused).to_contain_text("200 · 43101")
    sent = viewer.page.locator(".traffic tr", has_text="发短信")
    expect(sent).to_contain_text("应用 → 短信")
    expect(sent.locator(".who")).to_have_text("李女士")
    expect(viewer.page.locator(".traffic tr", has_text="短信回执")).to_be_visible()
    viewer.picture("phones-fallback")
    phone.root.get_by_role("tab", name="公众号").click()
    expect(phone.cards).to_have_count(0)
    viewer.check()


def test_a_copied_curl_line_is_the_same_call(browser: Browser) -> None:
    with running_sandbox(receipts=False) as running:
        sandbox = running.sandbox
        sandbox.register_template("T1", "停电通知", {"thing1": "地址"})
        phone = sandbox.add_phone(name="李女士", following=True)
        client = OutwardHttp()
        token = sandbox.tokens.plain()[0]
        url = f"{sandbox.base_url}/cgi-bin/message/template/send?access_token={token}"
        values = {"thing1": {"value": "解放路'1号'"}}
        order = {"touser": phone.openid, "template_id": "T1", "data": values}
        client.send("POST", url, json.dumps(order, ensure_ascii=False).encode())
        viewer = Viewer(browser, DESK)
        viewer.context.grant_permissions(["clipboard-read", "clipboard-write"])
        viewer.open(sandbox)
        viewer.page.locator(".traffic tr", has_text="发模板消息").click()
        viewer.page.get_by_role("button", name="复制为 curl").click()
        expect(viewer.page.locator("#toast")).to_have_text("已复制 curl 命令")
        words = shlex.split(viewer.page.evaluate("navigator.clipboard.readText()"))
        assert (words[0], words[-1]) == ("curl", url)
        body = words[words.index("--data-binary") + 1]
        assert json.loads(client.send("POST", url, body.encode()).body)["errcode"] == 0
        client.close()
        expect(viewer.phone("李女士").cards.locator(".flag")).to_have_text("内容相同")
        viewer.page.get_by_label("关闭详情").click()
        expect(viewer.page.get_by_role("button", name="复制为 curl")).to_have_count(0)
        viewer.check()


def test_mails_are_seen_on_the_phone_and_their_refusals_in_the_traffic(browser: Browser) -> None:
    with running_sandbox(smtp_port=0, smtp_starttls=False) as running:
        sandbox = running.sandbox
        sandbox.add_phone(name="老周", mail_address="zhou@example.com")
        server = sandbox.channels.smtp
        assert server is not None
        viewer = Viewer(browser, DESK)
        viewer.open(sandbox)
        viewer.panel("faults")
        viewer.page.get_by_role("button", name="邮件 451 稍后再试").click()
        expect(viewer.page.locator(".rules li[data-kind=smtp_reply]")).to_contain_text("451")
        mail = "Subject: =?utf-8?B?5YGc55S16YCa55+l?=\r\n\r\ntoday\r\n"
        with smtplib.SMTP(server.host, server.port, timeout=5) as client:
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                client.sendmail("a@example.com", ["zhou@example.com"], mail)
            client.sendmail("a@example.com", ["zhou@example.com"], mail)
        duty = viewer.phone("老周")
        expect(duty.root.locator(".tabs .badge")).to_have_text("1")
        duty.root.get_by_role("tab", name="邮件").click()
        expect(duty.root.locator(".mail h3")).to_have_text("停电通知")
        viewer.panel("traffic")
        rows = viewer.page.locator(".traffic tbody tr", has_text="发邮件")
        expect(rows.locator(".result")).to_have_text(["250", "451"])
        expect(rows.locator(".who")).to_have_text(["老周", "老周"])
        expect(rows.last).to_contain_text("故障：邮件服务器拒绝")
        rows.last.click()
        expect(viewer.page.locator(".bodies")).to_contain_text("451 4.3.0 try again later")
        expect(viewer.page.get_by_role("button", name="重放")).to_have_count(0)
        viewer.check()


def test_the_inspector_is_read_on_a_narrow_screen(stage: Stage, browser: Browser) -> None:
    ready(stage, "李女士")
    everyday(stage)
    viewer = Viewer(browser, PHONE)
    viewer.open(stage.sandbox)
    viewer.panel("traffic")
    viewer.page.locator(".traffic tr", has_text="文字消息").first.click()
    expect(viewer.page.locator(".bodies")).to_contain_text("<Content>绑定</Content>")
    expect(viewer.page.locator(".traffic-list")).to_be_hidden()
    viewer.picture("phones-narrow-traffic")
    viewer.page.get_by_label("关闭详情").click()
    expect(viewer.page.locator(".traffic-list")).to_be_visible()
    viewer.page.get_by_label("收起工具").click()
    expect(viewer.phone("李女士").root).to_be_visible()
    viewer.check()


def test_the_clock_moves_for_the_sandbox_and_the_house(stage: Stage, browser: Browser) -> None:
    ready(stage, "李女士")
    everyday(stage)
    viewer = Viewer(browser, DESK)
    viewer.open(stage.sandbox)
    viewer.panel("clock")
    before = stage.clock.now()
    viewer.page.get_by_role("button", name="+3 天").click()
    expect(viewer.page.locator("#clock")).to_contain_text("11月26日")
    assert (stage.clock.now() - before).days == 3
    viewer.phone("李女士").say("你好")
    row = viewer.page.locator(".due li").first
    expect(row).to_contain_text("客服窗口")
    viewer.picture("phones-clock")
    due_at = upcoming(stage.sandbox, 1)[0]["at"]
    viewer.page.get_by_role("button", name="到下一件到期的事").click()
    expect(viewer.page.locator("#toast")).to_contain_text("已拨到")
    assert 0 <= stage.clock.now().timestamp() - due_at < 60
    viewer.page.get_by_role("button", name="+1 小时").click()
    shown = (stage.clock.now() + timedelta(hours=8)).strftime("%H:")
    expect(viewer.phone("李女士").root.locator(".statusbar time")).to_contain_text(shown)
    viewer.check()


def test_a_scenario_button_plays_its_file(stage: Stage, browser: Browser) -> None:
    hand_out_phones(stage)
    everyday(stage)
    viewer = Viewer(browser, DESK)
    viewer.open(stage.sandbox)
    viewer.panel("scenarios")
    viewer.page.get_by_role("button", name="关注并绑定").click()
    expect(viewer.page.locator("#panel-scenarios .state")).to_have_text("通过", timeout=15_000)
    expect(viewer.phone("李女士").cards).to_have_count(2)
    viewer.picture("phones-scenario")
    viewer.check()


def test_a_scenario_that_does_not_come_true_says_where(browser: Browser, tmp_path: Path) -> None:
    steps = [{"do": "expect", "phone": "李女士", "title": "没有这张", "within_s": 0.1}]
    scenario = {"name": "会失败的", "steps": steps}
    (tmp_path / "a.json").write_text(json.dumps(scenario), "utf-8")
    with running_sandbox() as running:
        running.sandbox.scenarios.folders.append(tmp_path)
        viewer = Viewer(browser, DESK)
        viewer.open(running.sandbox)
        viewer.panel("scenarios")
        viewer.page.get_by_role("button", name="会失败的").click()
        expect(viewer.page.locator("#panel-scenarios .state")).to_have_text("未通过")
        expect(viewer.page.locator(".steps .bad")).to_contain_text("第 1 步（expect）")
        viewer.check()


def test_session_is_saved_reset_and_loaded_as_a_file(
    stage: Stage, browser: Browser, tmp_path: Path
) -> None:
    phone = ready(stage, "李女士")
    stage.sandbox.wait(phone.say("你好"))
    viewer = Viewer(browser, DESK)
    viewer.open(stage.sandbox)
    viewer.panel("session")
    with viewer.page.expect_download() as download:
        viewer.page.get_by_role("button", name="存为文件").click()
    path = tmp_path / "session.json"
    download.value.save_as(path)
    assert len(json.loads(path.read_text())["phones"]) == 4
    for _ in range(2):
        viewer.page.get_by_role("button", name="重置会话").or_(
            viewer.page.get_by_role("button", name="确定？")
        ).click()
    expect(viewer.page.locator(".phones .nothing")).to_be_visible()
    viewer.page.get_by_label("会话文件").set_input_files(path)
    expect(viewer.phone("李女士").root.locator(".mine .bubble")).to_have_text("你好")
    viewer.check()
