"""Commands about bindings (绑定命令): what waits for the office, its decisions, unbinding."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from gongdian.accounts.binding_model import (
    OBSTACLE_LABELS,
    STATE_LABELS,
    DecideCompanyBinding,
    WaitingRequest,
)
from gongdian.accounts.binding_requests import request_by_id, waiting_requests
from gongdian.accounts.company_bindings import decide_company_binding
from gongdian.arrears.leavers import leave_customer
from gongdian.audit import record_audit
from gongdian.clock import china_text
from gongdian.db import Session
from gongdian.errors import InputError
from gongdian.logs import mask_name, mask_phone
from gongdian.settings import Settings
from gongdian.wiring import House, build_house

T = TypeVar("T")

_CONTACT = re.compile(r"c([1-9][0-9]{0,17})")


def list_waiting(settings: Settings, options: argparse.Namespace) -> int:
    """Print what waits for the office, people masked."""
    house = build_house(settings)
    with house.database.read() as session:
        found = waiting_requests(session, house.clock.now())
    house.close()
    for one in found:
        print(_line(one))
    if not found:
        print("没有待审核的申请")
    return 0


def _line(one: WaitingRequest) -> str:
    who = one.applicant
    parts = [
        str(one.id),
        one.customer_no,
        mask_name(one.customer_name),
        one.station,
        f"c{one.contact_id}",
        f"{mask_name(who.name)} {mask_phone(who.phone)}" if who else "",
        f"{china_text(one.requested_at)} 提出",
        f"{china_text(one.expires_at)} 前有效",
        OBSTACLE_LABELS[one.obstacle],
    ]
    return "\t".join(part for part in parts if part)


def show(settings: Settings, options: argparse.Namespace) -> int:
    """Print one request as a whole; it holds personal data, so who looked is kept."""

    def work(session: Session, house: House, now: datetime) -> WaitingRequest:
        found = request_by_id(session, options.id)
        details = {"request": found.id, "customer_no": found.customer_no}
        action = "accounts:binding:viewed"
        record_audit(session, now, options.by, action, f"c{found.contact_id}", details)
        return found

    print(_card(_run(settings, work)))
    return 0


def _card(one: WaitingRequest) -> str:
    lines = [
        f"申请 {one.id} 状态：{STATE_LABELS[one.state]}（{one.state.value}）",
        f"  户号：{one.customer_no} {one.customer_name}",
        f"  供电所：{one.station or '—'}",
        f"  联系人：c{one.contact_id}",
        f"  提出：{china_text(one.requested_at)}，{china_text(one.expires_at)} 前有效",
    ]
    if one.obstacle:
        lines.append(f"  注意：{OBSTACLE_LABELS[one.obstacle]}")
    if one.applicant is None:
        lines.append("  经办人：资料已清除")
    else:
        who = one.applicant
        lines += [
            f"  经办人：{who.name} {who.position}",
            f"  手机：{who.phone}",
            f"  授权：{who.authorisation}",
        ]
    if one.decided_by:
        because = f" 原因：{one.reason}" if one.reason else ""
        lines.append(f"  经办：{one.decided_by}{because}")
    return "\n".join(lines)


def approve(settings: Settings, options: argparse.Namespace) -> int:
    """Approve a request; ConflictError says what stands in the way."""
    command = DecideCompanyBinding(options.id, is_approved=True, by=options.by, level=options.level)
    _decide(settings, command)
    print("已通过，经办人会收到通知")
    return 0


def refuse(settings: Settings, options: argparse.Namespace) -> int:
    """Refuse a request; the applicant reads the reason."""
    command = DecideCompanyBinding(
        options.id, is_approved=False, by=options.by, reason=options.reason
    )
    _decide(settings, command)
    print("未通过，经办人会收到原因")
    return 0


def _decide(settings: Settings, command: DecideCompanyBinding) -> None:
    def work(session: Session, house: House, now: datetime) -> None:
        decide_company_binding(session, house.outbox, command, now)

    _run(settings, work)


def remove(settings: Settings, options: argparse.Namespace) -> int:
    """Unbind one 户号 from a contact; 1 when it was not bound."""
    found = _CONTACT.fullmatch(options.contact)
    if found is None:
        raise InputError("bad_contact", "write c and digits, such as c12", field="CONTACT")
    contact_id = int(found[1])

    def work(session: Session, house: House, now: datetime) -> bool:
        return leave_customer(session, contact_id, options.customer_no, now, options.by)

    is_done = _run(settings, work)
    print("已解除绑定" if is_done else "这个联系人没有绑定这个户号")
    return 0 if is_done else 1


def _run(settings: Settings, work: Callable[[Session, House, datetime], T]) -> T:
    house = build_house(settings)
    try:
        return house.database.run(lambda session: work(session, house, house.clock.now()))
    finally:
        house.close()
