"""绑定户号 and 我的电费: binding a household and a company, the list, the months, the chat."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import pytest
from sqlalchemy import event, select

from devtools.demo.stage import Stage
from devtools.wechat_sandbox.phone import Phone
from gongdian.accounts.binding_model import DecideCompanyBinding
from gongdian.accounts.binding_requests import waiting_requests
from gongdian.accounts.company_bindings import decide_company_binding
from gongdian.accounts.customer_tables import binding_requests
from gongdian.accounts.people import customers_of_contact
from gongdian.accounts.tables import consents
from gongdian.arrears.page import open_sums
from gongdian.db import Session
from gongdian.render.consents import load_consent
from tests.account_factories import COMPANY, FIRM, HOLDER, PHONE, a_customer, a_firm, a_person
from tests.arrears_scene import HOME, HOME_LINES, SECOND, Customer, Scene, form_of, words_of
from tests.visitor import Seen

PAGE = "/h5/customer-binding"
APPLICANT = {
    "customer_no": FIRM,
    "name": "李敏",
    "phone": "13900002222",
    "position": "财务主管",
    "authorisation": "授权书2026-11号",
}
SENT = "如户号、户名与登记一致，验证码已发到登记的手机，5分钟内有效"


@pytest.fixture
def scene(start_stage: Callable[..., Stage]) -> Scene:
    return Scene(start_stage(with_worker=False))


def submit(who: Customer, path: str, **fields: str) -> Seen:
    """Fill in a form of the customer's and send it."""
    return who.visitor.ask(path, {**form_of(who.open(path)), **fields})


def bound(scene: Scene, who: Customer) -> list[str]:
    with scene.house.database.read() as session:
        return [one.customer_no for one in customers_of_contact(session, who.id)]


def newest_code(phone: Phone) -> str:
    found = re.search(r"验证码(\d{6})", phone.text_messages()[-1]["text"])
    assert found is not None
    return found[1]


def test_a_household_is_bound_by_the_code_that_its_phone_got(
    start_stage: Callable[..., Stage],
) -> None:
    scene = Scene(start_stage())
    scene.home()
    who = scene.person()
    owner = scene.stage.sandbox.add_phone(name="户主", phone_number=PHONE)
    form = who.open(f"{PAGE}/resident")
    assert "户号绑定授权书" in form.body
    assert f"授权书版本 {load_consent('customer_binding').version}" in form.body

    seen = submit(who, f"{PAGE}/resident", customer_no=HOME, customer_name=HOLDER)
    assert SENT in who.open(seen.location).body
    scene.stage.wait_for(owner.text_messages, "the code")
    wrong = submit(who, seen.location, code="000000" if newest_code(owner) != "000000" else "1")
    assert (wrong.status, "验证码不正确，请核对后重新输入，还可以试4次" in wrong.body) == (
        400,
        True,
    )
    done = who.open(submit(who, seen.location, code=newest_code(owner)).location)

    assert "绑定成功" in done.body
    assert "户名张三丰户号9900000345812我的身份户主" in words_of(done)
    assert bound(scene, who) == [HOME]
    with scene.house.database.read() as session:
        source = session.execute(select(consents.c.source).order_by(consents.c.id.desc())).scalar()
    assert str(source).startswith("binding:")
    assert "待交86.40元，交费截止日11月25日" in who.say("电费")


@pytest.mark.parametrize(
    ("number", "name"), [("9900000000000", HOLDER), (HOME, "李四"), (FIRM, COMPANY)]
)
def test_who_guesses_learns_nothing_of_a_customer(scene: Scene, number: str, name: str) -> None:
    scene.home()
    scene.firm()
    who = scene.person()

    seen = submit(who, f"{PAGE}/resident", customer_no=number, customer_name=name)

    right = scene.person(name="另一位")
    other = submit(right, f"{PAGE}/resident", customer_no=HOME, customer_name=HOLDER)
    assert (seen.status, other.status) == (302, 302)
    pages = [who.open(seen.location), right.open(other.location)]
    assert words_of(pages[0]) == words_of(pages[1])
    assert SENT in pages[0].body


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"customer_no": "12"}, "户号不对：请照电费账单填写"),
        ({"customer_no": "<b>9900"}, "户号不对：请照电费账单填写"),
        ({"customer_name": " "}, "请填写户名"),
    ],
)
def test_what_can_be_mended_is_said_above_the_form(
    scene: Scene, fields: dict[str, str], words: str
) -> None:
    who = scene.person()

    typed = {"customer_no": HOME, "customer_name": HOLDER, **fields}
    seen = submit(who, f"{PAGE}/resident", **typed)

    assert (seen.status, words in seen.body) == (400, True)
    if not fields.get("customer_name"):
        assert f'name="customer_name" value="{HOLDER}"' in seen.body
    assert "<b>" not in seen.body


def test_codes_are_limited_and_the_page_says_so(scene: Scene) -> None:
    who = scene.person()

    for _ in range(3):
        seen = submit(who, f"{PAGE}/resident", customer_no=HOME, customer_name=HOLDER)
        assert seen.status == 302
    fourth = submit(who, f"{PAGE}/resident", customer_no=HOME, customer_name=HOLDER)

    assert (fourth.status, "一小时内最多获取3次验证码" in fourth.body) == (400, True)


def test_a_code_is_of_no_use_to_another_visitor(scene: Scene) -> None:
    scene.home()
    who, thief = scene.person(), scene.person(name="路人")
    seen = submit(who, f"{PAGE}/resident", customer_no=HOME, customer_name=HOLDER)

    tried = submit(thief, seen.location, code="123456")

    assert (tried.status, "验证码已失效" in tried.body) == (400, True)
    for strange in ("x", "-1", "9" * 30, "%C2%B2"):
        tried = submit(thief, f"{PAGE}/code?r={strange}", code="123456")
        assert (tried.status, "验证码已失效" in tried.body) == (400, True)


def test_the_consent_that_was_shown_must_be_the_one_in_force(scene: Scene) -> None:
    who = scene.person()

    typed = {"customer_no": HOME, "customer_name": HOLDER, "consent_version": "2020-01"}
    for path, fields in ((f"{PAGE}/resident", typed), (f"{PAGE}/company", {**APPLICANT, **typed})):
        seen = submit(who, path, **fields)
        assert (seen.status, "页面已更新" in seen.body) == (409, True)

    with scene.house.database.read() as session:
        assert session.execute(select(binding_requests.c.id)).all() == []


def test_a_company_waits_for_the_office_is_refused_and_is_bound(scene: Scene) -> None:
    scene.firm()
    who = scene.person()
    seen = submit(who, f"{PAGE}/company", **APPLICANT)
    page = words_of(who.open(seen.location))
    assert "申请已提交，审核结果会发到这个微信。" in page
    assert "户号9900001203457" in page
    assert "进度待审核" in page
    assert bound(scene, who) == []

    decide(scene, is_approved=False, reason="授权书没有盖章")
    assert "进度未通过原因授权书没有盖章可以改正后重新申请。" in words_of(who.open(PAGE))
    submit(who, f"{PAGE}/company", **APPLICANT)
    decide(scene, is_approved=True)

    page = words_of(who.open(PAGE))
    assert "户名云溪恒源铸造有限公司户号9900001203457我的身份经办人" in page
    assert "申请进度" not in page
    again = submit(who, f"{PAGE}/company", **APPLICANT)
    assert (again.status, "已经绑定在这个微信上了" in again.body) == (400, True)


def decide(scene: Scene, *, is_approved: bool, reason: str = "") -> None:
    def work(session: Session) -> None:
        (waiting,) = waiting_requests(session, scene.now)
        command = DecideCompanyBinding(waiting.id, is_approved, "赵主任", reason)
        decide_company_binding(session, scene.house.outbox, command, scene.now)

    scene.house.database.run(work)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("name", "请填写经办人姓名。"),
        ("position", "请填写经办人职务"),
        ("authorisation", "请填写授权书编号"),
        ("phone", "请填写经办人的11位手机号。"),
    ],
)
def test_a_company_form_names_the_field_that_is_missing(
    scene: Scene, field: str, words: str
) -> None:
    scene.firm()
    who = scene.person()

    seen = submit(who, f"{PAGE}/company", **{**APPLICANT, field: " "})

    assert (seen.status, words in seen.body) == (400, True)
    kept = "李敏" if field != "name" else "财务主管"
    assert f'value="{kept}"' in seen.body


def test_unbinding_one_leaves_the_others(scene: Scene) -> None:
    scene.firm()
    scene.home()
    who = scene.person(FIRM, HOME)
    link = re.search(rf'href="({PAGE}/unbind[^"]+)">解除绑定[^/]+{HOME}', who.open(PAGE).body)
    assert link is not None
    assert HOME not in link[1]
    asked = who.open(link[1])
    assert "解除后，这个微信不再收到这个户号的通知" in asked.body

    done = who.open(who.visitor.ask(link[1], form_of(asked)).location)

    assert "已解除绑定" in done.body
    assert bound(scene, who) == [FIRM]
    stranger = scene.person(name="路人")
    assert stranger.open(link[1]).status == 404


def test_my_bills_list_each_supply_point_with_its_months(scene: Scene) -> None:
    scene.firm()
    scene.home()
    for number in range(1, 14):
        period = f"{2025 + (number + 8) // 12}{(number + 8) % 12 + 1:02d}"
        due = date(int(period[:4]), int(period[4:]), 25)
        scene.bill(HOME, 5_000 + number, HOME_LINES, period=period, due_on=due)
    who = scene.person(FIRM, HOME)

    seen = who.open("/h5/bills")
    words = words_of(seen)

    assert "我的电费欠费本金合计" in words
    assert "户名云溪恒源铸造有限公司" in words
    assert len(re.findall(r'href="/h5/bills/month\?s=[^"]+"', seen.body)) == 1 + 12
    month = re.search(r'href="(/h5/bills/month\?s=\w+&amp;p=202610)"', seen.body)
    assert month is not None
    shown = words_of(who.open(month[1].replace("&amp;", "&")))
    assert "2026年10月电费" in shown
    assert "抄见电量" in shown
    overdue = re.findall(r'href="(/h5/bills/month[^"]+)"', seen.body)[-1]
    assert "今天的违约金144.00元" in words_of(who.open(overdue.replace("&amp;", "&")))


def test_anothers_months_are_not_to_be_had(scene: Scene) -> None:
    scene.firm()
    scene.home()
    who, other = scene.person(FIRM), scene.person(HOME, name="路人")
    month = re.search(r'href="(/h5/bills/month[^"]+)"', who.open("/h5/bills").body)
    assert month is not None
    path = month[1].replace("&amp;", "&")

    assert who.open(path).status == 200
    assert other.open(path).status == 404
    assert who.open(path.replace("202610", "201001")).status == 404
    assert who.open("/h5/bills/month").status == 404
    assert "/connect/oauth2/authorize" in scene.stranger().ask("/h5/bills").location


def test_a_prepaid_customer_sees_the_balance(scene: Scene) -> None:
    scene.customers(a_customer(HOME, is_prepaid=True), a_person(HOME))
    scene.balance(HOME, 1_236)
    who = scene.person(HOME)

    words = words_of(who.open("/h5/bills"))

    assert "可用余额12.36元（2026-11-2106:00测算）" in words
    assert "目前没有待交的电费" in words
    assert "智能交费，余额请点链接查看" in who.say("电费")


@pytest.mark.parametrize("words", ["电费", "账单", "我的电费", "交电费", " 电费 "])
def test_the_words_are_answered_at_once_with_what_is_open(scene: Scene, words: str) -> None:
    scene.firm()
    scene.home()
    who, stranger = scene.person(FIRM, HOME), scene.person(name="路人")

    said = who.say(words)

    assert said.split("\n") == [
        f"户号{FIRM}：待交9000.00元，已逾期8天，违约金另计",
        f"户号{HOME}：待交86.40元，交费截止日11月25日",
        "账单明细和交费方式：",
        f"{scene.stage.web_url}/h5/bills",
    ]
    assert stranger.say(words) == (
        "这个微信还没有绑定户号，绑定后就能在这里查电费。点击下面的链接绑定：\n"
        f"{scene.stage.web_url}{PAGE}"
    )


def test_the_menu_answers_as_the_words_do(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)

    scene.stage.sandbox.wait(who.phone.click("BILLS"))

    assert "待交9000.00元" in who.phone.texts()[-1]
    assert f"{scene.stage.web_url}{PAGE}" in who.say("绑定户号")


def test_of_many_supply_points_five_are_named_in_the_chat(scene: Scene) -> None:
    numbers = [f"99000012{number:05d}" for number in range(7)]
    scene.customers(*(a_firm(number, party_no="P1") for number in numbers))
    scene.bill(numbers[6], 10_000, {})
    who = scene.person(*numbers)

    said = who.say("电费")

    # Those that owe come first.
    assert said.startswith(f"户号{numbers[6]}：待交100.00元")
    assert said.count("户号9900001200") == 5
    assert "另有2个户号，请点链接查看。" in said


def test_the_chat_needs_one_read_for_all_of_it(scene: Scene) -> None:
    scene.firm()
    scene.home()
    scene.customers(a_firm(SECOND))
    who = scene.person(FIRM, HOME, SECOND)

    with scene.house.database.read() as session, statements(session.engine) as seen:
        sums = open_sums(session, who.id)

    assert len(sums) == 3
    assert len([one for one in seen if one.startswith("SELECT")]) == 1


@contextmanager
def statements(engine: object) -> Iterator[list[str]]:
    """What is sent to the database."""
    seen: list[str] = []

    def note(_c: object, _k: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def test_a_former_holder_is_told_nothing_in_the_chat(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)
    assert "9000.00" in who.say("电费")

    scene.customers(a_firm(FIRM, party_no="P777777"))
    scene.stage.move_clock(timedelta(seconds=2))

    assert "还没有绑定户号" in who.say("电费")
    assert "还没有绑定户号" in who.open("/h5/bills").body
