"""What the commands about letters take (停电通知书命令参数); server/arguments.py adds them."""

from __future__ import annotations

import argparse
from pathlib import Path

from gongdian.arrears.letters import PROOF_LABELS
from server import letter_commands


def add_letter(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``letter`` and its actions."""
    letter = commands.add_parser("letter", help="停电通知书：拟制、审批、打印、登记送达、作废")
    actions = letter.add_subparsers(dest="action", required=True, metavar="ACTION")
    prepare = actions.add_parser("prepare", help="为一个欠费户拟制通知书")
    prepare.add_argument("customer_no", metavar="CUSTOMER_NO", help="户号")
    prepare.set_defaults(work=letter_commands.prepare)
    approve = actions.add_parser("approve", help="负责人审批（不能是拟制人）")
    approve.set_defaults(work=letter_commands.approve)
    pdf = actions.add_parser("pdf", help="取出已审批的 PDF")
    pdf.add_argument("--out", type=Path, required=True, metavar="FILE.pdf", help="存到哪个文件")
    pdf.set_defaults(work=letter_commands.pdf)
    served = actions.add_parser("served", help="登记送达凭证")
    served.add_argument("--kind", choices=tuple(PROOF_LABELS), required=True, help=_proofs())
    served.add_argument("--ref", required=True, help="凭证在哪里：签收人、照片编号、邮寄单号等")
    served.add_argument(
        "--at", required=True, metavar="'YYYY-MM-DD HH:MM'", help="送达时间，北京时间"
    )
    served.set_defaults(work=letter_commands.served)
    void = actions.add_parser("void", help="作废")
    void.add_argument("--reason", required=True, help="原因")
    void.set_defaults(work=letter_commands.void)
    show = actions.add_parser("show", help="一份通知书的内容和状态")
    show.set_defaults(work=letter_commands.show)
    for action in (approve, pdf, served, void, show):
        action.add_argument("number", metavar="NUMBER", help="通知书编号，例如 TD20261121-000001")
    for action in (prepare, approve, pdf, served, void, show):
        action.add_argument("--by", required=True, help="谁在操作，记入审计")


def _proofs() -> str:
    return "送达方式：" + "，".join(f"{kind} {label}" for kind, label in PROOF_LABELS.items())
