"""What ``server arrears`` takes (催收命令参数)."""

from __future__ import annotations

import argparse
from datetime import date, datetime

from gongdian.arrears.demands import HOW_LABELS
from gongdian.arrears.service import CLASSES
from gongdian.arrears.worklist import ITEM_LABELS
from gongdian.clock import CHINA
from server import arrears_case_commands, arrears_commands
from server.arrears_texts import Work, told

_LONGEST_WAIT_S = 86_400
_Actions = argparse._SubParsersAction  # what add_subparsers gives has no public name


def add_arrears(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its actions."""
    arrears = commands.add_parser("arrears", help="电费催收：规则、批次、暂停、待办、余额提醒")
    actions = arrears.add_subparsers(dest="action", required=True, metavar="ACTION")
    _rules(actions)
    _campaign(actions)
    _customer(actions)
    _worklist(actions)
    balances = actions.add_parser("balances", help="给余额不足的费控客户发余额提醒")
    _work(balances, arrears_case_commands.balances)
    _by(balances)


def _work(parser: argparse.ArgumentParser, work: Work) -> None:
    parser.set_defaults(work=told(work))


def _by(*parsers: argparse.ArgumentParser) -> None:
    for parser in parsers:
        parser.add_argument("--by", required=True, help="谁在操作，记入审计")


def _seen_by(*parsers: argparse.ArgumentParser) -> None:
    for parser in parsers:
        parser.add_argument("--by", default="", help="谁在查看，记入审计；缺省为登录名")


def _rules(actions: _Actions[argparse.ArgumentParser]) -> None:
    rules = actions.add_parser("rules", help="规则表：查看，启用随附的")
    choices = rules.add_subparsers(dest="choice", required=True, metavar="CHOICE")
    show = choices.add_parser("show", help="生效的规则表")
    names = tuple(arrears_case_commands.TABLES)
    show.add_argument("name", nargs="?", choices=names, metavar="TABLE", help="表名；不写为全部")
    _work(show, arrears_case_commands.rules_show)
    seed = choices.add_parser("seed", help="没有规则时启用随附的；已有的不动")
    _work(seed, arrears_case_commands.rules_seed)
    _by(seed)


def _campaign(actions: _Actions[argparse.ArgumentParser]) -> None:
    campaign = actions.add_parser("campaign", help="催收批次")
    choices = campaign.add_subparsers(dest="choice", required=True, metavar="CHOICE")
    start = choices.add_parser("start", help="建立批次，由后台准备名单")
    start.add_argument("--station", action="append", default=[], help="供电所，可写多次")
    start.add_argument(
        "--class",
        dest="customer_class",
        action="append",
        default=[],
        choices=CLASSES,
        help="用电类别，可写多次",
    )
    start.add_argument(
        "--stage", action="append", default=[], type=_number, help="阶段号，可写多次"
    )
    start.add_argument("--wait", type=_seconds, metavar="SECONDS", help="等名单准备好，最多几秒")
    _work(start, arrears_commands.start)
    listed = choices.add_parser("list", help="最近的批次，最新的在前")
    listed.add_argument("--most", type=_most, default=20, help="最多几个")
    _work(listed, arrears_commands.list_all)
    preview = choices.add_parser(
        "preview", help="各阶段、供电所的条数，名单和每张卡片，谁不发、为何"
    )
    preview.add_argument("--left-out", action="store_true", help="看不发送的，而不是要发送的")
    preview.add_argument("--after", type=_number, default=0, metavar="ID", help="下一页从哪里开始")
    preview.add_argument("--most", type=_most, default=10, help="一页几条")
    _work(preview, arrears_commands.show_preview)
    approve = choices.add_parser("approve", help="审批；对象较多时须由制单人以外的人")
    _work(approve, arrears_commands.approve)
    cancel = choices.add_parser("cancel", help="取消，未发出的都撤下")
    cancel.add_argument("--reason", required=True, help="原因")
    _work(cancel, arrears_commands.cancel)
    resume = choices.add_parser("resume", help="出错停下的批次从停下处继续")
    _work(resume, arrears_commands.resume)
    watch = choices.add_parser("watch", help="进展：名单和消息各状态的条数")
    _work(watch, arrears_commands.show_watch)
    start.add_argument(
        "code", nargs="?", default="", metavar="CODE", help="批次编号；不写则按时间取名"
    )
    for parser in (preview, approve, cancel, resume, watch):
        parser.add_argument("code", metavar="CODE", help="批次编号，例如 2026-11-due")
    _by(start, approve, cancel, resume)
    _seen_by(preview)


def _customer(actions: _Actions[argparse.ArgumentParser]) -> None:
    case = actions.add_parser("case", help="一个户号的催费案")
    choices = case.add_subparsers(dest="choice", required=True, metavar="CHOICE")
    show = choices.add_parser("show", help="阶段、答复、暂停")
    _work(show, arrears_case_commands.case_show)
    hold = actions.add_parser("hold", help="暂停催收一个户号")
    hold.add_argument("--until", type=_day, metavar="YYYY-MM-DD", help="到哪天为止；不写则直到恢复")
    _work(hold, arrears_case_commands.hold_customer)
    release = actions.add_parser("release", help="恢复催收一个户号")
    _work(release, arrears_case_commands.release_customer)
    demand = actions.add_parser("demand", help="登记人工催告：消息没有送达时，凭它才可出停电通知书")
    demand.add_argument("--how", required=True, choices=tuple(HOW_LABELS), help="电话、上门、书面")
    demand.add_argument("--ref", required=True, help="凭据在哪里：录音、照片或回执编号")
    demand.add_argument("--at", required=True, type=_instant, metavar="'YYYY-MM-DD HH:MM'")
    _work(demand, arrears_case_commands.demand_customer)
    withdraw = actions.add_parser("withdraw", help="撤回一个户号还没发出的提醒；下一个批次可再提醒")
    _work(withdraw, arrears_case_commands.withdraw_customer)
    for parser in (show, hold, release, demand, withdraw):
        parser.add_argument("customer_no", metavar="CUSTOMER_NO", help="户号")
    for parser in (hold, release, withdraw):
        parser.add_argument("--reason", required=True, help="原因")
    _by(hold, release, demand, withdraw)
    _seen_by(show)


def _worklist(actions: _Actions[argparse.ArgumentParser]) -> None:
    worklist = actions.add_parser("worklist", help="待办")
    choices = worklist.add_subparsers(dest="choice", required=True, metavar="CHOICE")
    listed = choices.add_parser("list", help="没有办完的")
    listed.add_argument("--station", default="", help="只看这个供电所")
    listed.add_argument("--kind", default="", choices=("", *ITEM_LABELS), help="只看这一种")
    listed.add_argument("--after", type=_number, default=0, metavar="ID", help="下一页从哪里开始")
    listed.add_argument("--most", type=_most, default=100, help="一页几条")
    _work(listed, arrears_case_commands.worklist_show)
    _seen_by(listed)
    done = choices.add_parser("done", help="办完一条")
    done.add_argument("id", metavar="ID", type=_number, help="待办编号")
    done.add_argument("--outcome", required=True, help="处理结果")
    done.add_argument(
        "--people-stay", action="store_true", help="过户或更名后联系人不变，恢复向他们发送"
    )
    _work(done, arrears_case_commands.worklist_done)
    _by(done)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise argparse.ArgumentTypeError("应为0以上的整数")
    return int(text)


def _most(text: str) -> int:
    most = _number(text)
    if not 1 <= most <= 1000:
        raise argparse.ArgumentTypeError("应为1到1000")
    return most


def _seconds(text: str) -> float:
    seconds = float(_number(text))
    if not 0 < seconds <= _LONGEST_WAIT_S:
        raise argparse.ArgumentTypeError("应为1到86400秒")
    return seconds


def _instant(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=CHINA)
    except ValueError:
        raise argparse.ArgumentTypeError("应为北京时间 'YYYY-MM-DD HH:MM'") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("应为 YYYY-MM-DD") from None
