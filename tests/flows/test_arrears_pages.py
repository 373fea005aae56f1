"""The page behind an arrears card: what its recipient reads and answers, and what others get."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from devtools.demo.stage import Stage
from gongdian.arrears.demands import RecordDemand, record_demand
from gongdian.arrears.holds import active_pauses
from gongdian.arrears.letters import (
    ApproveLetter,
    RecordService,
    approve_letter,
    prepare_letter,
    record_service,
)
from gongdian.db import Session
from tests.account_factories import FIRM, a_customer, a_firm, a_person
from tests.arrears_scene import (
    HOME,
    HOME_LINES,
    SECOND,
    Scene,
    answer,
    form_of,
    has_item,
    link_to,
    message_row,
    refused,
    words_of,
)

FIRM_PHONE, HOME_PHONE = "13900002222", "13800001111"
ANSWERED = "/h5/arrears/answered"


@pytest.fixture
def scene(start_stage: Callable[..., Stage]) -> Scene:
    return Scene(start_stage(with_worker=False))


def pauses(scene: Scene, customer_no: str = FIRM) -> list[str]:
    with scene.house.database.read() as session:
        found = active_pauses(session, [customer_no], scene.now)
    return [one.kind for one in found.get(customer_no, [])]


def test_the_bill_is_explained_line_by_line(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)

    words = words_of(who.open(who.card()))

    for part in (
        "欠费本金9000.00元已逾期8天",
        "户名云溪恒源铸造有限公司户号9900001203457用电类别工商业两部制",
        "电能表3720001234上期示数1480.5本期示数2080.5倍率20抄见电量12000千瓦时",
        "变线损电量120千瓦时计费电量12120千瓦时",
        "其中尖段1500千瓦时其中峰段3600千瓦时其中平段3900千瓦时其中谷段3120千瓦时",
        "购电费5123.45元上网环节线损费210.05元输配电费1530.90元系统运行费300.60元",
        "政府性基金及附加542.40元容(需)量电费1380.75元力调电费-88.15元",
        "应收电费9000.00元已交0.00元未交本金9000.00元",
        "交费截止日2026年11月15日",
    ):
        assert part in words


def test_the_late_fee_is_todays_and_grows_with_the_days(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)
    path = who.card()

    # 0.2 % of 9,000 yuan for each of the days 16 to 23 November
    words = words_of(who.open(path))
    assert "截至今天是144.00元，不在上面的本金里。违约金每天变化" in words
    assert "已逾期8天，按违约金计算规则第1版计算" in words
    scene.stage.move_clock(timedelta(days=1))
    who.visitor.cookies.clear()

    assert "截至今天是162.00元" in words_of(who.open(path))


def test_a_part_that_was_paid_bears_late_fee_up_to_its_day_only(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)
    scene.pay(FIRM, 600_000, at=datetime(2026, 11, 18, 4, tzinfo=UTC))

    words = words_of(who.open(who.card()))

    # 3 days of 9,000 yuan (the day of payment counts) and 5 of 3,000 at 0.2 %
    assert "已交6000.00元未交本金3000.00元" in words
    assert "截至今天是84.00元" in words


def test_before_the_due_date_there_is_neither_late_fee_nor_cut(scene: Scene) -> None:
    scene.home()
    who = scene.person(HOME)

    words = words_of(who.open(who.card("P345812")))

    assert "应交电费86.40元交费截止日2026年11月25日" in words
    assert "最早合法停电日" not in words
    assert "违约金截至" not in words


def test_the_earliest_lawful_cut_comes_with_its_reasons_and_cuts_nothing(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)
    words = words_of(who.open(who.card()))
    assert "最早合法停电日：还不具备条件" in words
    assert "系统不会自动停电，停电须由负责人另行批准。交清欠费就不会停电。" in words
    assert "须经催告：还没有催告记录（未满足）" in words
    assert "依据停电条件规则第1版" in words

    scene.stage.move_clock(timedelta(days=32))
    serve_letter(scene)
    who.visitor.cookies.clear()
    words = words_of(who.open(who.card()))

    assert "最早合法停电日：2027年1月1日" in words
    assert "2026年12月10日已催告（已满足）" in words
    assert "2026年12月25日送达" in words


def serve_letter(scene: Scene) -> None:
    """催告 on 10 December, a letter approved and served today."""
    now = scene.now

    def work(session: Session) -> None:
        told = RecordDemand(FIRM, "visit", "照片", datetime(2026, 12, 10, 2, tzinfo=UTC), "王工")
        record_demand(session, told, now)
        number = prepare_letter(session, FIRM, (7, "v1"), "王工", now).number
        approve_letter(session, ApproveLetter(number, "赵主任", ("赵主任",), b"%PDF-"), now)
        record_service(session, RecordService(number, "signed", "签收单", now, "王工"), now)

    scene.house.database.run(work)


def test_money_on_its_way_is_shown_and_nobody_is_asked_to_pay_twice(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)
    on = date(2026, 11, 24)
    scene.pay(FIRM, 900_000, state="in_flight", method="bank_debit", expected_on=on)

    words = words_of(who.open(who.card()))

    assert "有一笔9000.00元的银行代扣款项在途，还没有销账，预计2026年11月24日有结果" in words
    assert "请不要重复交费" in words
    assert "款项在途已暂停提醒" in words


def test_known_pauses_nothing_and_the_page_says_so(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)
    path = who.card()
    before = words_of(who.open(path))
    assert "只表示您已看到，不暂停任何事项：交费截止日、违约金和后续提醒照常。" in before

    seen = answer(who.visitor, path, "known")
    thanks = words_of(who.open(seen.location))

    assert seen.location.startswith(ANSWERED)
    assert "谢谢，已收到您的回复您的回复：已知晓" in thanks
    assert "催费提醒照常" in thanks
    assert (scene.answered(), pauses(scene)) == ([(FIRM, "known", "")], [])
    row = message_row(scene)
    assert (row["answer"], row["answered_at"] is not None) == ("known", True)


def test_paid_pauses_and_a_dispute_makes_work_with_its_note(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)
    path = who.card()
    who.open(path)

    answer(who.visitor, path, "paid")
    assert pauses(scene) == ["claimed_paid"]
    page = words_of(who.open(path))
    assert "已记下您说的缴费，提醒已暂停，到账销账后自动结束" in page
    assert "您在2026-11-2310:00回复过“已缴费”" in page
    seen = answer(who.visitor, path, "dispute", note="  峰段电量不对  ")

    assert "核实期间请先交费，多退少补" in words_of(who.open(seen.location))
    assert scene.answered() == [(FIRM, "paid", ""), (FIRM, "dispute", "峰段电量不对")]
    assert has_item(scene, "dispute")
    # The first answer stays with the message, the later one is on record.
    assert message_row(scene)["answer"] == "paid"


def test_the_same_answer_twice_is_one(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)
    path = who.card()
    who.open(path)

    first, second = (answer(who.visitor, path, "paid") for _ in range(2))

    assert (first.status, second.status) == (302, 302)
    assert scene.answered() == [(FIRM, "paid", "")]


def test_one_party_with_several_supply_points_reads_one_page_and_answers_for_one(
    scene: Scene,
) -> None:
    scene.firm()
    party = f"P{FIRM[-6:]}"
    scene.customers(a_firm(SECOND, party_no=party))
    scene.bill(SECOND, 100_000, {"fees": {"energy": 100_000}}, due_on=date(2026, 11, 20))
    who = scene.person(FIRM, SECOND)
    path = who.card()

    seen = who.open(path)
    words = words_of(seen)
    assert "欠费本金合计（2个户号）10000.00元已逾期8天" in words
    assert seen.body.count('type="checkbox"') == 2
    refs = re.findall(r'name="supply" value="(\w+)"', seen.body)
    assert len(set(refs)) == 2
    # 9900001203457 comes first: it is the lower number of two that owe.
    answer(who.visitor, path, "paid", supply=refs[0])

    assert (pauses(scene, FIRM), pauses(scene, SECOND)) == (["claimed_paid"], [])


def test_what_was_paid_meanwhile_does_not_keep_the_rest_from_being_answered(scene: Scene) -> None:
    scene.firm()
    scene.customers(a_firm(SECOND, party_no=f"P{FIRM[-6:]}"))
    scene.bill(SECOND, 100_000, {"fees": {"energy": 100_000}})
    who = scene.person(FIRM, SECOND)
    path = who.card()
    form = form_of(who.open(path))
    refs = re.findall(r'name="supply" value="(\w+)"', who.open(path).body)
    scene.pay(FIRM, 900_000)

    sent = [("supply", ref) for ref in refs] + [*form.items(), ("answer", "dispute")]
    seen = who.visitor.ask(path, sent)  # type: ignore[arg-type]

    assert seen.status == 302
    assert scene.answered() == [(SECOND, "dispute", "")]


def test_a_settled_debt_asks_for_no_answer(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)
    path = who.card()
    form = {**form_of(who.open(path)), "answer": "known"}
    scene.pay(FIRM, 900_000)

    seen = who.open(path)
    assert "电费已结清" in seen.body
    assert "请选一项回复我们" not in seen.body
    refused(who.visitor.ask(path, form), 409, "电费已结清")
    assert scene.answered() == []


def test_not_mine_takes_one_tap_and_a_confirmation(scene: Scene) -> None:
    scene.firm()
    who = scene.person(FIRM)
    path = who.card()
    asked = who.open(link_to(who.open(path), "不是我的户号"))
    assert "确认后不再把下面户号的消息发给您" in asked.body
    assert 'type="text"' not in asked.body

    action = re.search(r'<form[^>]+action="([^"]+)"', asked.body)
    assert action is not None
    done = who.open(who.visitor.ask(action[1], form_of(asked)).location)

    assert "已经记下" in done.body
    assert scene.answered() == [(FIRM, "not_mine", "")]
    assert has_item(scene, "not_mine")
    refused(who.open(path), 409, "不能再查看这份账单")
    assert "还没有绑定户号" in who.say("电费")


def test_a_balance_reminder_leads_to_the_balance_and_to_where_it_is_paid(scene: Scene) -> None:
    scene.customers(a_customer(HOME, is_prepaid=True), a_person(HOME))
    scene.balance(HOME, 1_236)
    who = scene.person(HOME)

    words = words_of(who.open(who.card("P345812")))

    assert words.startswith("电费余额可用余额12.36元2026-11-2106:00测算。智能交费没有交费截止日")
    assert "去交费" in words
    assert "请选一项回复我们" not in words


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "请在网上国网App或供电营业厅交费"),
        ("https://pay.example.cn/power", "去官方页面交费"),
    ],
)
def test_the_official_payment_is_linked_where_one_is_set(
    start_stage: Callable[..., Stage], url: str, words: str
) -> None:
    scene = Scene(start_stage(with_worker=False, arrears_pay_url=url))
    scene.firm()
    who = scene.person(FIRM)

    seen = who.open(who.card())

    assert words in words_of(seen)
    assert (f'href="{url}"' in seen.body) == bool(url)


def test_home_lines_without_fees_say_so(scene: Scene) -> None:
    scene.customers(a_customer(HOME), a_person(HOME))
    scene.bill(HOME, 9_999, HOME_LINES, due_on=date(2026, 11, 25))
    who = scene.person(HOME)

    words = words_of(who.open(who.card("P345812")))

    assert "这份账单没有完整的费用明细，以应收电费为准" in words
