"""Commands about contacts (联系人命令): show one, register or remove their further channels."""

from __future__ import annotations

import argparse
import getpass
import re
from datetime import timedelta

from gongdian.accounts.channels import address_problem
from gongdian.accounts.model import (
    CONTACT_STATE_LABELS,
    DECISION_LABELS,
    ONLY_WHEN_REFUSED,
    PATIENCE_LABELS,
    ContactCard,
    ContactChannel,
    Patience,
    RegisterChannel,
)
from gongdian.accounts.preferences import register_channel, remove_channel
from gongdian.accounts.queries import contact_card
from gongdian.audit import record_audit
from gongdian.clock import china_text
from gongdian.db import Session
from gongdian.errors import InputError
from gongdian.outbox.model import CHANNEL_LABELS
from gongdian.settings import Settings
from gongdian.wiring import House, build_house

_NUMBER = re.compile(r"c([1-9][0-9]{0,17})")


def show(settings: Settings, options: argparse.Namespace) -> int:
    """Print what is known of a contact, addresses masked; who looked is kept."""
    contact_id = _contact_id(options.number)
    house = build_house(settings)

    def work(session: Session) -> ContactCard:
        found = contact_card(session, house.account, contact_id)
        at, by = house.clock.now(), options.by or getpass.getuser()
        record_audit(session, at, by, "accounts:contact:viewed", found.number, {})
        return found

    try:
        print(_card_text(house.database.run(work), house))
    finally:
        house.close()
    return 0


def channel(settings: Settings, options: argparse.Namespace) -> int:
    """Register a contact's address on a channel, or remove it; 1 when there is none to remove."""
    contact_id = _contact_id(options.number)
    _check_words(options)
    house = build_house(settings)

    def work(session: Session) -> tuple[bool, ContactCard]:
        contact_card(session, house.account, contact_id)  # NotFoundError for a stranger
        now = house.clock.now()
        if options.remove:
            is_changed = remove_channel(session, contact_id, options.channel, options.by, now)
        else:
            command = RegisterChannel(
                contact_id, options.channel, options.address, options.position, options.wait
            )
            is_changed = register_channel(session, command, options.by, now)
        return is_changed, contact_card(session, house.account, contact_id)

    try:
        is_changed, card = house.database.run(work)
        print("已登记" if is_changed and not options.remove else _unusual(options, is_changed))
        print(_card_text(card, house))
    finally:
        house.close()
    return 0 if is_changed or not options.remove else 1


def _unusual(options: argparse.Namespace, is_changed: bool) -> str:
    if is_changed:
        return "已删除"
    return "没有登记过这个渠道" if options.remove else "没有变化"


def _contact_id(number: str) -> int:
    found = _NUMBER.fullmatch(number)
    if found is None:
        raise InputError("bad_contact", "write c and digits, such as c12", field="NUMBER")
    return int(found[1])


def _check_words(options: argparse.Namespace) -> None:
    """InputError names the word that is missing, too much or wrong; an address is not repeated."""
    if options.remove:
        given = {"ADDRESS": options.address, "--position": options.position}
        for name, value in {**given, "--wait-minutes": options.wait}.items():
            if value is not None:
                raise InputError("bad_words", "it does not go with --remove", field=name)
        return
    if options.address is None:
        raise InputError("bad_words", "give an address, or --remove", field="ADDRESS")
    problem = address_problem(options.channel, options.address)
    if problem:
        raise InputError("bad_address", problem, field=f"{options.channel} ADDRESS")


def _card_text(card: ContactCard, house: House) -> str:
    because = f" 原因：{card.refused_reason}" if card.refused_reason else ""
    lines = [
        card.number,
        f"  状态：{CONTACT_STATE_LABELS[card.state]}（{card.state.value}）{because}",
        f"  授权：{_consent_text(card)}",
        "  微信",
    ]
    lines += [f"  {_channel_text(one, house)}" for one in card.channels]
    if not card.channels:
        lines.append("  没有登记其他渠道")
    return "\n".join(lines)


def _consent_text(card: ContactCard) -> str:
    if card.decision is None or card.decided_at is None:
        return "没有记录"
    version = f" 版本{card.version}" if card.version else ""
    return f"{DECISION_LABELS[card.decision]}{version} {china_text(card.decided_at)}"


def _channel_text(one: ContactChannel, house: House) -> str:
    parts = [CHANNEL_LABELS[one.channel], one.masked, _switch_text(one), _wait_text(one.wait)]
    if one.channel not in house.outbox.composers:
        parts.append("本系统没有设置这个渠道，暂不发送")
    return "\t".join(parts)


def _switch_text(one: ContactChannel) -> str:
    if one.refused_reason:
        return f"被拒收，已停用（{one.refused_reason}）"
    return "开启" if one.is_wanted else "客户已关闭"


def _wait_text(wait: timedelta | None) -> str:
    if wait is None:
        return PATIENCE_LABELS[Patience.UNDELIVERED]
    if wait >= ONLY_WHEN_REFUSED:
        return PATIENCE_LABELS[Patience.REFUSED]
    return f"等{wait // timedelta(minutes=1)}分钟"
