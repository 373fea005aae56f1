"""The second story (电费催收): bills come in, the right people hear of them, payments stop it.

After the story of binding. Every step checks what it sees; AssertionError when it breaks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from devtools.demo.arrears_texts import (
    card_line,
    preview_texts,
    reasons_text,
    rejects_text,
    shown_card,
)
from devtools.demo.cast_bindings import CastBindings
from devtools.demo.office import APPROVER, MAKER, Office, counted
from devtools.demo.seeding import SeededCounty, report_text
from devtools.demo.stage import Stage
from devtools.wechat_sandbox.browser import Page
from devtools.wechat_sandbox.phone import Phone
from gongdian.arrears.campaigns import RecipientState
from gongdian.outbox.model import STATE_LABELS

Tell = Callable[[str], None]

DUE_SOON, OVERDUE = "电费到期提醒", "电费逾期提醒"


class ArrearsStory:
    """One telling of the story."""

    def __init__(self, stage: Stage, county: SeededCounty, tell: Tell) -> None:
        self._stage = stage
        self._office = Office(stage, county)
        self._cast = CastBindings(stage, county)
        self._tell = tell

    def play(self) -> Office:
        """All of it, in its order."""
        began = time.monotonic()
        for number, (title, step) in enumerate(self._steps(), start=1):
            self._tell(f"\n{number}. {title}")
            at = time.monotonic()
            step()
            self._tell(f"   （{time.monotonic() - at:.1f}秒）")
        self._tell(f"\n催费故事全部核对通过，用时{time.monotonic() - began:.1f}秒")
        return self._office

    def _steps(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("客户绑定户号", self.bind),
            ("电费发行：账单文件进来", self.issue_bills),
            ("准备批次并预览", self.prepare),
            ("第二人审批，入队后有人交费", self.approve_while_somebody_pays),
            ("卡片到手机，打开页面", self.read_cards),
            ("客户答复", self.answer),
            ("交费到账，催费结束", self.payment_ends_it),
            ("三天以后：数据过期先停发", self.three_days_later),
            ("一户过户", self.change_of_holder),
            ("下一阶段只发给没交的人", self.next_stage),
            ("待办：要人做的事", self.look_at_worklist),
        ]

    def bind(self) -> None:
        """Everybody of the cast binds, by code or by the office."""
        for name in self._office.county.facts["cast"]:
            self._say(self._cast.bind(name))

    def issue_bills(self) -> None:
        """The month's bills come in; a second file has three rows that nobody can load."""
        newest = self._office.bring_in("bills_newest")
        self._say(report_text(newest))
        _check(newest.rows_rejected == 0, "all bills of the month are good")
        again = self._office.bring_in("bills_newest")
        _check(again.is_repeat, "the same file again is the same run")
        self._say(f"同一文件再导入：{again.notices[0]}")
        late = self._office.bring_in("bills_late")
        self._say(report_text(late))
        rejects = self._office.rejects(late.run_id)
        _check((late.rows_new, len(rejects)) == (4, 3), "three of seven late rows are refused")
        self._say(f"拒收：{rejects_text(rejects)}")

    def prepare(self) -> None:
        """A campaign is prepared; the preview says who would hear what, and who not."""
        office = self._office
        figures = office.prepare()
        for line in preview_texts(figures, office.stage.house):
            self._say(line)
        _check(figures.campaign.planned > 0, "somebody would be told")
        card = self._office.line_of("李女士")
        _check(card is not None and "等2户" in card.card, "two supply points, one card")
        if card is not None:
            self._say(f"李女士将收到{card_line(card)}")

    def approve_while_somebody_pays(self) -> None:
        """The maker may not approve; between queueing and sending a payment comes."""
        office = self._office
        _check(not office.may_the_maker_approve(), "a large campaign needs a second person")
        self._say(f"制单人{MAKER}自己审批：被拒绝（超过规定人数须另一人审批）")
        office.stop_sending()
        office.approve()
        lines = office.preview().lines
        self._say(f"{APPROVER}审批通过，{lines[RecipientState.QUEUED]}条入队，先不发出")
        paid = office.book(office.numbers("老周"))
        self._say(f"老周这时交了费：{report_text(paid)}")
        office.start_sending()
        watch = office.wait_until_sent()
        ends = "，".join(
            f"{STATE_LABELS[state]}{count}" for state, count in sorted(watch.messages.items())
        )
        self._say(f"放开发送，结果：{ends}")

    def read_cards(self) -> None:
        """One card each, none for who paid meanwhile; the page shows the bill."""
        for name in ("李女士", "王先生", "小赵"):
            card = self._card(name, DUE_SOON)
            self._say(f"{name}收到：{shown_card(card)}")
        _check(not self._reminders("老周"), "who paid before it went out hears nothing")
        self._say("老周：发出前已交费，消息撤回，手机上没有卡片")
        page = self._cast.phone("李女士").open(self._card("李女士", DUE_SOON)["url"])
        numbers = self._office.numbers("李女士")
        _check(all(number in page.body for number in numbers), "the page shows both 户号")
        self._say(f"李女士点开卡片：页面逐项列出户号{'、'.join(numbers)}的电费")
        stranger = self._stage.sandbox.add_phone(name="路人")
        opened = stranger.open(self._card("李女士", DUE_SOON)["url"])
        _check(opened.status == 404, "a stranger sees nothing")
        self._say("链接转给别人打开：看不到内容（404）")

    def answer(self) -> None:
        """The three answers; each says what it pauses and what not."""
        for name, word, label, note in (
            ("李女士", "known", "已知晓", ""),
            ("小赵", "paid", "已缴费", ""),
            ("王先生", "dispute", "有疑问", "本月电量比上月多了一倍，请核实"),
        ):
            page = self._answer(name, word, note)
            _check(label in page.body, f"{name} is thanked for {label}")
            self._say(f"{name}答复“{label}”：{_effect(page)}")

    def payment_ends_it(self) -> None:
        """The money of who said so arrives: the case is closed."""
        self._say(report_text(self._office.book(self._office.numbers("小赵"))))
        phone = self._cast.phone("小赵")
        page = phone.open(self._card("小赵", DUE_SOON)["url"])
        _check("电费已结清" in page.body, "the page says that nothing is owed")
        self._say("小赵的电费销账，催费案自动结束；再点开卡片，页面显示“电费已结清”")
        _, second = self._office.numbers("李女士")
        self._say(f"李女士先交一户：{report_text(self._office.book([second]))}")

    def three_days_later(self) -> None:
        """Payments are too old to remind anybody; then the file comes."""
        office = self._office
        office.three_days_later()
        office.look_at_feeds()
        blocked = office.prepare()
        _check(blocked.campaign.planned == 0, "nobody is told by old payments")
        _check(blocked.left_out.get("stale_feed", 0) > 0, "the preview says why")
        self._say(
            f"交费数据三天没更新：批次{office.code}没有对象（{reasons_text(blocked.left_out)}）"
        )
        self._say(report_text(office.book_the_last_days()))

    def change_of_holder(self) -> None:
        """过户: the debt of the former holder waits for a clerk, nobody is told."""
        office = self._office
        number = office.transfer()
        kinds = {item.kind for item in office.worklist() if item.customer_no == number}
        _check("transfer" in kinds, "a clerk is asked whose debt it is")
        self._say(f"户号{number}过户：原户主不再收到消息，过户前的欠费转人工核实")

    def next_stage(self) -> None:
        """Who has not paid is told that it is overdue; who disputes or paid is not."""
        office = self._office
        figures = office.prepare()
        for line in preview_texts(figures, office.stage.house):
            self._say(line)
        office.approve()
        office.wait_until_sent()
        card = self._card("李女士", OVERDUE)
        _check("等2户" not in shown_card(card), "what was paid is not asked for again")
        self._say(f"李女士收到：{shown_card(card)}（只剩没交的一户）")
        for name, why in (("王先生", "有疑问，暂停"), ("小赵", "已交"), ("老周", "已交")):
            _check(not self._cards(name, OVERDUE), f"{name} hears nothing more")
            self._say(f"{name}：{why}，没有再收到提醒")

    def look_at_worklist(self) -> None:
        """Disputes and people who cannot be reached wait for a clerk."""
        office = self._office
        for label, count in counted(office.worklist()).items():
            self._say(f"{label}：{count}件")
        _check(office.finish_disputes("王先生") > 0, "the dispute waits for a clerk")
        _check(office.finish_disputes("王先生") == 0, "what was done is not asked for again")
        self._say("王先生的疑问已核实并答复，暂停解除")
        _check(self._stage.sandbox.stats()["duplicate_cards"] == 0, "no card is shown twice")
        self._say("全程没有一张重复的卡片")

    def _answer(self, name: str, word: str, note: str) -> Page:
        phone = self._cast.phone(name)
        page = phone.open(self._card(name, DUE_SOON)["url"])
        form = {**page.hidden_fields, **page.ticked_fields, "answer": word, "note": note}
        done = phone.submit(page.url, form)
        _check(done.status == 200, f"the answer counts ({done.status})")
        return done

    def _cards(self, name: str, title: str) -> list[dict[str, Any]]:
        phone: Phone = self._cast.phone(name)
        return [card for card in phone.cards() if card["title"] == title]

    def _reminders(self, name: str) -> list[dict[str, Any]]:
        return self._cards(name, DUE_SOON) + self._cards(name, OVERDUE)

    def _card(self, name: str, title: str) -> dict[str, Any]:
        cards: list[dict[str, Any]] = self._stage.wait_for(
            lambda: self._cards(name, title), f"{name}: {title}", 60.0
        )
        _check(len(cards) == 1, f"{name} has one card {title}")
        return cards[0]

    def _say(self, text: str) -> None:
        self._tell(f"   {text}")


def _effect(page: Page) -> str:
    """The first paragraph after the thanks: what the answer does."""
    found = page.body.split('aria-label="回复的作用">', 1)[-1].split("<p>", 1)[-1]
    return found.split("</p>", 1)[0].strip()


def _check(is_true: object, what: str) -> None:
    if not is_true:
        raise AssertionError(f"the story broke: {what}")
