"""绑定户号 in a real browser: a household, a company, the list, on a phone and on a desk.

With GONGDIAN_TEST_SCREENSHOTS=1 the pictures of docs/images are taken anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, expect

from devtools.demo.stage import Stage
from gongdian.accounts.binding_model import DecideCompanyBinding
from gongdian.accounts.binding_requests import waiting_requests
from gongdian.accounts.company_bindings import decide_company_binding
from gongdian.db import Session
from tests.account_factories import FIRM, HOLDER, PHONE
from tests.arrears_scene import HOME, SECOND, Scene
from tests.browser.customer_window import CustomerWindow
from tests.browser.test_binding_page import SIZES

pytestmark = pytest.mark.chromium

PAGE = "/h5/customer-binding"


@pytest.mark.parametrize("size", SIZES)
def test_a_resident_binds_with_the_code_of_the_registered_phone(
    start_stage: Callable[..., Stage], browser: Browser, size: str
) -> None:
    scene = Scene(start_stage())
    scene.home()
    who = scene.person(name="张三丰")
    owner = scene.stage.sandbox.add_phone(name="户主", phone_number=PHONE)
    window = CustomerWindow(browser, scene.stage, size, who.phone.openid)
    window.open(PAGE)
    assert window.title() == "绑定户号"
    window.check()
    window.press("居民家庭：短信验证")
    window.page.get_by_role("textbox", name="户号", exact=True).fill(HOME)
    window.page.get_by_role("textbox", name="户名", exact=True).fill(HOLDER)
    window.check()
    window.picture("customer-binding-resident")

    window.press("同意授权书并获取验证码")
    window.check()
    scene.stage.wait_for(owner.text_messages, "the code")
    found = re.search(r"验证码(\d{6})", owner.text_messages()[-1]["text"])
    assert found is not None
    window.page.get_by_role("textbox", name="短信里的6位数字", exact=True).fill("12 34")
    window.press("完成绑定")
    expect(window.page.get_by_role("alert")).to_contain_text("验证码不正确")
    window.check()
    window.picture("customer-binding-code")
    window.page.get_by_role("textbox", name="短信里的6位数字", exact=True).fill(found[1])
    window.press("完成绑定")

    expect(window.page.get_by_role("status")).to_contain_text("绑定成功")
    window.check()
    window.press("查看我的电费")
    assert "待交86.40元" in window.words()
    window.check()


@pytest.mark.parametrize("size", SIZES)
def test_a_company_asks_waits_and_learns_why_it_was_refused(
    start_stage: Callable[..., Stage], browser: Browser, size: str
) -> None:
    scene = Scene(start_stage(with_worker=False))
    scene.firm()
    scene.home()
    who = scene.person(HOME, name="李敏")
    window = CustomerWindow(browser, scene.stage, size, who.phone.openid)
    window.open(f"{PAGE}/company")
    _fill(window, FIRM, phone="1380000")
    window.press("同意授权书并提交申请")
    expect(window.page.get_by_role("alert")).to_have_text("请填写经办人的11位手机号。")
    window.check()
    window.picture("customer-binding-company")

    window.page.get_by_role("textbox", name="经办人手机", exact=True).fill("13900002222")
    window.press("同意授权书并提交申请")
    expect(window.page.get_by_role("status")).to_contain_text("申请已提交")
    refuse(scene)
    window.open(f"{PAGE}/company")
    _fill(window, SECOND, phone="13900002222")
    window.press("同意授权书并提交申请")

    assert "原因授权书没有盖章" in window.words()
    assert "进度待审核" in window.words()
    window.check()
    window.picture("customer-binding")
    window.press("解除绑定")
    window.check()
    window.picture("customer-binding-unbind")
    window.press("解除绑定")
    expect(window.page.get_by_text("还没有绑定户号")).to_be_visible()
    window.check()


def _fill(window: CustomerWindow, customer_no: str, *, phone: str) -> None:
    for label, text in (
        ("户号", customer_no),
        ("经办人姓名", "李敏"),
        ("经办人手机", phone),
        ("职务", "财务主管"),
        ("授权书编号", "云恒授2026第11号"),
    ):
        window.page.get_by_role("textbox", name=label, exact=True).fill(text)


def refuse(scene: Scene) -> None:
    def work(session: Session) -> None:
        (waiting,) = waiting_requests(session, scene.now)
        command = DecideCompanyBinding(waiting.id, False, "赵主任", "授权书没有盖章")
        decide_company_binding(session, scene.house.outbox, command, scene.now)

    scene.house.database.run(work)
