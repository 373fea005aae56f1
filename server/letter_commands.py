"""Commands about letters before a cut (停电通知书命令): prepare, approve, print, serve, void.

Nothing here or anywhere else cuts a supply: a letter is paper, and people decide.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from gongdian.arrears.letters import (
    PROOF_LABELS,
    STATE_LABELS,
    ApproveLetter,
    LetterFacts,
    RecordService,
    approve_letter,
    letter_facts,
    letter_pdf,
    prepare_letter,
    record_service,
    void_letter,
)
from gongdian.arrears.rules import notice_of
from gongdian.audit import record_audit
from gongdian.clock import CHINA, china_date, china_text
from gongdian.db import Session
from gongdian.errors import InputError
from gongdian.settings import Settings
from gongdian.wiring import House, build_house
from report_gen.letters import CutoffLetter, LetterBill, cutoff_letter_pdf


def prepare(settings: Settings, options: argparse.Namespace) -> int:
    """Prepare a draft and print it."""
    with _open_house(settings) as house:
        now = house.clock.now()

        def work(session: Session) -> LetterFacts:
            notice = notice_of(session, options.customer_no, now)
            return prepare_letter(session, options.customer_no, notice, options.by, now)

        facts = house.database.run(work)
        _printable(house, facts)  # a name that cannot be printed is told now, not at the approval
    print(_text(facts))
    print("\n请负责人核对后审批：python -m server letter approve " + facts.number + " --by 姓名")
    return 0


def approve(settings: Settings, options: argparse.Namespace) -> int:
    """Approve a draft; its paper is made and kept."""
    with _open_house(settings) as house:
        now = house.clock.now()

        def work(session: Session) -> LetterFacts:
            pdf = _printable(house, letter_facts(session, options.number, now))
            command = ApproveLetter(options.number, options.by, settings.letter_approvers, pdf)
            approve_letter(session, command, now)
            return letter_facts(session, options.number, now)

        facts = house.database.run(work)
    print(_text(facts))
    return 0


def pdf(settings: Settings, options: argparse.Namespace) -> int:
    """Write the approved paper to a file that only its owner reads."""
    with _open_house(settings) as house:
        paper = house.database.run(
            lambda session: letter_pdf(session, options.number, options.by, house.clock.now())
        )
    try:
        handle = os.open(options.out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(paper)
    except OSError as error:
        raise InputError("cannot_write", f"{options.out}: {error.strerror}") from error
    print(f"已存到 {options.out}")
    return 0


def served(settings: Settings, options: argparse.Namespace) -> int:
    """Record the proof of service."""
    command = RecordService(
        options.number, options.kind, options.ref, _instant(options.at), options.by
    )
    with _open_house(settings) as house:
        earliest = house.database.run(
            lambda session: record_service(session, command, house.clock.now())
        )
    print(f"已登记送达（{PROOF_LABELS[options.kind]}）。按通知期限，最早合法停电日为{earliest}。")
    print("系统不会停电：是否停电由负责人另行决定，停电前30分钟须再次电话通知并留录音。")
    return 0


def void(settings: Settings, options: argparse.Namespace) -> int:
    """Take a letter back."""
    with _open_house(settings) as house:
        is_changed = house.database.run(
            lambda session: void_letter(
                session, options.number, options.reason, options.by, house.clock.now()
            )
        )
    print("已作废" if is_changed else "这份通知书早已作废")
    return 0


def show(settings: Settings, options: argparse.Namespace) -> int:
    """Print a letter; who looked is kept."""
    with _open_house(settings) as house:
        now = house.clock.now()

        def work(session: Session) -> LetterFacts:
            facts = letter_facts(session, options.number, now)
            record_audit(session, now, options.by, "arrears:letter:viewed", options.number, {})
            return facts

        facts = house.database.run(work)
    print(_text(facts))
    return 0


@contextmanager
def _open_house(settings: Settings) -> Iterator[House]:
    house = build_house(settings)
    try:
        yield house
    finally:
        house.close()


def _printable(house: House, facts: LetterFacts) -> bytes:
    """The paper of these facts."""
    today = china_date(house.clock.now())
    return cutoff_letter_pdf(
        CutoffLetter(
            number=facts.number,
            customer_no=facts.customer.customer_no,
            customer_name=facts.customer.name,
            address=facts.address,
            company=house.settings.company_name,
            phone=house.settings.service_phone,
            as_of=today,
            overdue_days=(today - facts.anchor_on).days,
            notice_days=facts.notice_days,
            earliest_cut_on=facts.earliest_cut_on,
            bills=tuple(
                LetterBill(bill.period, bill.due_on, bill.amount, bill.amount - bill.open_amount)
                for bill in facts.bills
            ),
        )
    )


def _text(facts: LetterFacts) -> str:
    lines = [
        f"停电通知书 {facts.number}　{STATE_LABELS[facts.state]}",
        f"户名 {facts.customer.name}　户号 {facts.customer.customer_no}",
        f"欠费本金 {facts.principal}元，最早一笔的交费截止日 {facts.anchor_on}",
        f"最早合法停电日 {facts.earliest_cut_on}（送达后满{facts.notice_days}日；{facts.rules}）",
        f"拟制 {facts.prepared_by}" + (f"　审批 {facts.approved_by}" if facts.approved_by else ""),
    ]
    if facts.served_at is not None:
        lines.append(f"送达 {china_text(facts.served_at)}（{PROOF_LABELS[facts.proof_kind]}）")
    if facts.void_reason:
        lines.append(f"作废原因 {facts.void_reason}")
    return "\n".join(lines)


def _instant(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=CHINA)
    except ValueError as error:
        raise InputError("bad_time", "write YYYY-MM-DD HH:MM, China time", field="--at") from error
