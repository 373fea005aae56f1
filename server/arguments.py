"""What the command line takes (命令参数): one parser, each command bound to its function."""

from __future__ import annotations

import argparse
from datetime import timedelta

from gongdian.outbox.model import CHANNEL_MAIL, CHANNEL_SMS
from server import (
    account_commands,
    contact_commands,
    message_commands,
    operation_commands,
    process_commands,
)
from server.arrears_arguments import add_arrears
from server.binding_arguments import add_binding
from server.letter_arguments import add_letter
from server.source_arguments import add_source
from server.workflow_arguments import add_workflow


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``python -m server``."""
    parser = argparse.ArgumentParser(prog="python -m server", description="供电微信服务")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _processes(commands)
    _messages(commands)
    _contacts(commands)
    _operations(commands)
    _account(commands)
    add_arrears(commands)
    add_binding(commands)
    add_letter(commands)
    add_workflow(commands)
    add_source(commands)
    return parser


def _hours(text: str) -> float:
    hours = float(text)
    if not 0 < hours <= 8784:
        raise argparse.ArgumentTypeError("more than 0 and at most a year")
    return hours


def _place(text: str) -> int:
    """A place as people count, from 1; as the code counts, from 0."""
    place = int(text)
    if not 1 <= place <= 9:
        raise argparse.ArgumentTypeError("from 1 to 9")
    return place - 1


def _minutes(text: str) -> timedelta:
    minutes = int(text)
    if not 1 <= minutes <= 10_080:
        raise argparse.ArgumentTypeError("from 1 minute to 10080 (a week)")
    return timedelta(minutes=minutes)


def _processes(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser("run", help="网页与后台一起运行（一台机器）")
    run.set_defaults(work=process_commands.run_all)
    web = commands.add_parser("web", help="只运行网页")
    web.set_defaults(work=process_commands.run_web)
    worker = commands.add_parser("worker", help="只运行后台（可多台）")
    worker.set_defaults(work=process_commands.run_worker)
    migrate = commands.add_parser("migrate", help="把数据库升级到最新结构")
    migrate.set_defaults(work=process_commands.migrate)


def _messages(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    message = commands.add_parser("message", help="查看、暂停、恢复、撤回消息")
    actions = message.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="一条消息的全部经过")
    show.set_defaults(work=message_commands.show)
    hold = actions.add_parser("hold", help="暂停未发出的消息")
    hold.add_argument("--hours", type=_hours, help="暂停几小时；不写则直到恢复")
    hold.set_defaults(work=message_commands.hold)
    release = actions.add_parser("release", help="恢复暂停的消息")
    release.set_defaults(work=message_commands.release)
    withdraw = actions.add_parser("withdraw", help="撤回未发出的消息")
    withdraw.set_defaults(work=message_commands.withdraw)
    for action in (show, hold, release, withdraw):
        action.add_argument("key", metavar="KEY", help="业务键 flow:subject:occasion:recipient")
    for action in (hold, withdraw):
        action.add_argument("--reason", required=True, help="原因，记入消息经过")
    show.add_argument("--by", default="", help="谁在查看，记入审计；缺省为登录的用户名")
    for action in (hold, release, withdraw):
        action.add_argument("--by", required=True, help="谁在操作，记入审计")
    counts = actions.add_parser("counts", help="各状态的消息条数")
    counts.set_defaults(work=message_commands.counts)


def _contacts(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    contact = commands.add_parser("contact", help="联系人：查看，登记短信和邮件")
    actions = contact.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="联系人的状态、授权和接收方式（号码不全显示）")
    show.add_argument("--by", default="", help="谁在查看，记入审计；缺省为登录的用户名")
    show.set_defaults(work=contact_commands.show)
    channel = actions.add_parser("channel", help="登记、更换或删除手机号、邮箱")
    for action in (show, channel):
        action.add_argument("number", metavar="NUMBER", help="联系人编号，例如 c12")
    channel.add_argument("channel", choices=(CHANNEL_SMS, CHANNEL_MAIL), help="短信或邮件")
    channel.add_argument("address", metavar="ADDRESS", nargs="?", help="手机号或邮箱地址")
    channel.add_argument("--remove", action="store_true", help="删除已登记的号码或地址")
    channel.add_argument(
        "--position", type=_place, metavar="N", help="微信之后的第几个，从1起；缺省不变或排在最后"
    )
    channel.add_argument(
        "--wait-minutes",
        dest="wait",
        type=_minutes,
        metavar="N",
        help="前一个渠道多少分钟没有送达就改用；缺省不变或按紧急程度",
    )
    channel.add_argument("--by", required=True, help="谁在操作，记入审计")
    channel.set_defaults(work=contact_commands.channel)


def _operations(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sending = commands.add_parser("sending", help="停发开关")
    actions = sending.add_subparsers(dest="action", required=True, metavar="ACTION")
    status = actions.add_parser("status", help="正在生效的停发")
    status.set_defaults(work=operation_commands.sending_status)
    stop = actions.add_parser("stop", help="立即停止全部发送")
    stop.add_argument("--reason", required=True, help="原因")
    stop.set_defaults(work=operation_commands.sending_stop)
    start = actions.add_parser("start", help="恢复发送")
    start.set_defaults(work=operation_commands.sending_start)
    for action in (stop, start):
        action.add_argument("--name", default="sending", help="开关名称，缺省为全部发送")
        action.add_argument("--by", required=True, help="谁在操作，记入审计")
    audit = commands.add_parser("audit", help="审计链")
    verify = audit.add_subparsers(dest="action", required=True, metavar="ACTION").add_parser(
        "verify", help="核对整条审计链"
    )
    verify.add_argument(
        "--head", default="", help="日志 audit_sealed 里的 head，用来发现末尾被截断"
    )
    verify.set_defaults(work=operation_commands.audit_verify)
    bounce = commands.add_parser("bounce", help="从标准输入读一封退信，登记到对应的邮件")
    bounce.set_defaults(work=operation_commands.bounce)
    alarms = commands.add_parser("alarms", help="查看或清除告警，试发一条")
    alarms.add_argument("action", choices=("list", "clear", "test"))
    alarms.add_argument("--key", default="", help="要清除的告警")
    alarms.add_argument("--by", default="", help="谁在清除，记入审计；缺省为登录名")
    alarms.set_defaults(work=operation_commands.alarms)
    config = commands.add_parser("config", help="查看并检查设置（密钥不显示）")
    config.set_defaults(work=operation_commands.show_config)


def _account(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    menu = commands.add_parser("menu", help="公众号菜单：推送或查看")
    actions = menu.add_subparsers(dest="action", required=True, metavar="ACTION")
    push = actions.add_parser("push", help="用文件里的菜单替换公众号菜单")
    push.add_argument("file", metavar="FILE.toml", help="菜单文件，例如 templates/menus/demo.toml")
    push.add_argument("--by", default="operator", help="谁在操作，记入审计")
    push.set_defaults(work=account_commands.menu_push)
    show = actions.add_parser("show", help="查看公众号现在的菜单")
    show.set_defaults(work=account_commands.menu_show)
    quota = commands.add_parser("quota", help="微信接口的调用额度：查看或清零")
    choices = quota.add_subparsers(dest="action", required=True, metavar="ACTION")
    left = choices.add_parser("show", help="一个接口今天的额度")
    left.add_argument("path", metavar="PATH", help="接口路径，例如 /cgi-bin/message/template/send")
    left.set_defaults(work=account_commands.quota_show)
    clear = choices.add_parser("clear", help="清零今日调用次数，每月最多10次")
    clear.add_argument("--by", required=True, help="谁在操作，记入审计")
    clear.add_argument(
        "--with-secret", action="store_true", help="令牌额度也用完时，直接用 AppSecret 清零"
    )
    clear.set_defaults(work=account_commands.quota_clear)
