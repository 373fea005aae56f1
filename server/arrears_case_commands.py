"""Commands about single debts (催费命令): rules, cases, holds, the worklist, 余额提醒."""

from __future__ import annotations

import argparse
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

from gongdian.arrears.answers import ANSWER_LABELS
from gongdian.arrears.balance_reminders import THRESHOLDS, remind_batch, seed_thresholds
from gongdian.arrears.demands import HOW_LABELS, RecordDemand, record_demand
from gongdian.arrears.holds import HoldCustomer, end_holds, hold, holds_of, release_held
from gongdian.arrears.queries import cases_of
from gongdian.arrears.rules import CUTOFFS, HOLIDAYS, LATE_FEES, STAGES, seed_rules
from gongdian.arrears.withdrawing import withdraw_reminders
from gongdian.arrears.worklist import finish_item, open_items
from gongdian.audit import record_audit
from gongdian.clock import CHINA, china_text
from gongdian.db import Session
from gongdian.rule_tables import rules_in_force
from gongdian.settings import Settings
from server.arrears_commands import changed, opened, viewed
from server.arrears_texts import case_text, reason_text

TABLES = {
    STAGES: "催费阶段",
    LATE_FEES: "违约金",
    CUTOFFS: "停电条件",
    HOLIDAYS: "节假日",
    THRESHOLDS: "余额提醒",
}


def rules_seed(settings: Settings, options: argparse.Namespace) -> int:
    """Put the shipped rules in force where there are none."""
    with opened(settings) as house:
        seeded = changed(
            house,
            lambda session, now: [
                *seed_rules(session, options.by, now),
                *seed_thresholds(session, options.by, now),
            ],
        )
    for name in seeded:
        print(f"{name}\t{TABLES[name]}\t随附的规则已生效")
    if not seeded:
        print("规则表都已有生效的版本，没有改动")
    return 0


def rules_show(settings: Settings, options: argparse.Namespace) -> int:
    """Print the tables in force, or every row of one."""
    with opened(settings) as house, house.database.read() as session:
        for name in [options.name] if options.name else TABLES:
            rules = rules_in_force(session, name)
            print(f"{rules.label}\t{TABLES[name]}\t{len(rules.rows)} 行\t{rules.source}")
            if options.name:
                print("\t".join(rules.rows[0]))
                for row in rules.rows:
                    print("\t".join(row.values()))
    return 0


def case_show(settings: Settings, options: argparse.Namespace) -> int:
    """Print a customer's cases and the holds that run; who looked is kept."""
    with opened(settings) as house:
        with house.database.read() as session:
            found = cases_of(session, options.customer_no)
            pauses = holds_of(session, options.customer_no)
        now = house.clock.now()
        viewed(house, options.by, "case", f"customer {options.customer_no}")
    for one in found:
        print(case_text(one, ANSWER_LABELS))
    for pause in pauses:
        if pause.ended_at is None and (pause.until is None or pause.until > now):
            until = china_text(pause.until) if pause.until else "人工恢复"
            print(f"暂停（{reason_text(pause.kind)}）直到 {until}，{pause.made_by}：{pause.reason}")
    return 0


def hold_customer(settings: Settings, options: argparse.Namespace) -> int:
    """Stop reminding a customer."""
    until = _end_of(options.until) if options.until else None
    command = HoldCustomer(options.customer_no, options.reason, options.by, until)
    with opened(settings) as house:
        changed(house, lambda session, now: hold(session, command, now))
    text = f"到 {options.until} 止" if options.until else "直到恢复"
    print(f"已暂停催收 {options.customer_no}，{text}；交费截止日和违约金不变")
    return 0


def release_customer(settings: Settings, options: argparse.Namespace) -> int:
    """End a customer's hold; other pauses stay."""

    def work(session: Session, now: datetime) -> int:
        number = options.customer_no
        ended = end_holds(session, [number], ["hold"], options.by, now, reason=options.reason)
        if ended:
            release_held(session, [number], now)
            subject = f"customer {number}"
            record_audit(session, now, options.by, "arrears:hold:released", subject, {})
        return ended

    with opened(settings) as house:
        ended = changed(house, work)
    print("已恢复催收" if ended else "没有正在生效的暂停催收")
    return 0 if ended else 1


def demand_customer(settings: Settings, options: argparse.Namespace) -> int:
    """Record a demand that people made."""
    command = RecordDemand(options.customer_no, options.how, options.ref, options.at, options.by)
    with opened(settings) as house:
        on = changed(house, lambda session, now: record_demand(session, command, now))
    print(f"已登记 {options.customer_no} 的催告：{on}，{HOW_LABELS[options.how]}")
    print("催告不是停电通知书；逾期超过30日才可拟制通知书，须负责人审批并送达")
    return 0


def withdraw_customer(settings: Settings, options: argparse.Namespace) -> int:
    """Take back a customer's reminders that are not out yet; 1 when there is none."""
    with opened(settings) as house:
        withdrawn = changed(
            house,
            lambda session, now: withdraw_reminders(
                session, options.customer_no, options.reason, options.by, now
            ),
        )
    if not withdrawn:
        print("没有可以撤回的提醒")
        return 1
    print(f"已撤回{withdrawn}条；要停止催收请用 arrears hold")
    return 0


def worklist_show(settings: Settings, options: argparse.Namespace) -> int:
    """Print open items; who looked is kept, since the notes hold what people wrote."""
    with opened(settings) as house:
        with house.database.read() as session:
            found = open_items(
                session,
                station=options.station,
                kind=options.kind,
                after=options.after,
                limit=options.most,
            )
        viewed(house, options.by, "worklist", options.station or "all stations")
    for item in found:
        mark = "！" if item.is_escalated else ""
        print(
            f"{item.id}\t{mark}{item.label}\t{item.customer_no}\t{item.station}\t"
            f"{china_text(item.due_at)} 前\t{item.note}"
        )
    if not found:
        print("没有待办")
    elif len(found) == options.most:
        print(f"还有更多：--after {found[-1].id}")
    return 0


def worklist_done(settings: Settings, options: argparse.Namespace) -> int:
    """Finish an item with what came of it."""

    def work(session: Session, now: datetime) -> None:
        stay = options.people_stay
        finish_item(session, options.id, options.outcome, options.by, now, people_stay=stay)

    with opened(settings) as house:
        changed(house, work)
    print(f"待办 {options.id} 已办完")
    return 0


def balances(settings: Settings, options: argparse.Namespace) -> int:
    """Queue 余额提醒 for 费控 customers whose balance is low."""
    queued, left_out, after = 0, Counter[str](), ""
    with opened(settings) as house:
        while True:
            done = changed(
                house,
                lambda session, now: remind_batch(session, house.outbox, after, now),  # noqa: B023
            )
            queued += done.queued
            left_out.update(done.left_out)
            after = done.after
            if not after:
                break
        details = {"queued": queued, **left_out}
        changed(
            house,
            lambda session, now: record_audit(
                session, now, options.by, "arrears:balances:reminded", "all", details
            ),
        )
    print(f"余额提醒入队 {queued} 条")
    for reason, count in left_out.items():
        print(f"  不发 {reason_text(reason)}\t{count}")
    return 0


def _end_of(day: date) -> datetime:
    """The end of a China day."""
    return datetime.combine(day + timedelta(days=1), time(), CHINA).astimezone(UTC)
