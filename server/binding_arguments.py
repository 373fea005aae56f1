"""What ``server binding`` takes (绑定命令参数)."""

from __future__ import annotations

import argparse

from server import binding_commands


def add_binding(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its actions."""
    binding = commands.add_parser("binding", help="户号绑定：待审申请，通过、不通过、解除")
    actions = binding.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="待审核的单位绑定申请（姓名、电话不全显示）")
    listed.set_defaults(work=binding_commands.list_waiting)
    show = actions.add_parser("show", help="一个申请的全部内容，含个人信息；查看记入审计")
    show.set_defaults(work=binding_commands.show)
    approve = actions.add_parser("approve", help="通过申请，并通知经办人")
    approve.add_argument(
        "--level", type=_level, default=1, metavar="N", help="联络级别，1起；缺省为1"
    )
    approve.set_defaults(work=binding_commands.approve)
    refuse = actions.add_parser("refuse", help="不通过，原因会告诉经办人")
    refuse.add_argument("--reason", required=True, help="原因，经办人会看到，20字以内最好")
    refuse.set_defaults(work=binding_commands.refuse)
    for action in (show, approve, refuse):
        action.add_argument("id", metavar="ID", type=_number, help="申请编号")
    remove = actions.add_parser("remove", help="解除一个联系人与一个户号的绑定")
    remove.add_argument("customer_no", metavar="CUSTOMER_NO", help="户号")
    remove.add_argument("contact", metavar="CONTACT", help="联系人编号，例如 c12")
    remove.set_defaults(work=binding_commands.remove)
    for action in (show, approve, refuse, remove):
        action.add_argument("--by", required=True, help="谁在操作，记入审计")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 18):
        raise argparse.ArgumentTypeError("申请编号是数字")
    return int(text)


def _level(text: str) -> int:
    level = _number(text)
    if not 1 <= level <= 9:
        raise argparse.ArgumentTypeError("1 到 9")
    return level
