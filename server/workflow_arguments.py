"""What ``server workflow`` takes (流程命令参数)."""

from __future__ import annotations

import argparse

from server import workflow_answers, workflow_commands, workflow_files
from server.workflow_refusals import Work, told
from workflows.engine.orders import Status

_EXECUTION = "流程:实例名，或 ARN"
_LONGEST_WAIT_S = 86_400


def add_workflow(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its actions."""
    workflow = commands.add_parser("workflow", help="流程：检查、发布、启动、查看、终止、答复")
    actions = workflow.add_subparsers(dest="action", required=True, metavar="ACTION")
    _definitions(actions)
    _executions(actions)
    _answers(actions)


def _work(parser: argparse.ArgumentParser, work: Work) -> None:
    parser.set_defaults(work=told(work))


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"应为整数，不是 {text!r}") from None


def _most(text: str) -> int:
    most = _whole(text)
    if not 1 <= most <= 1000:
        raise argparse.ArgumentTypeError("应为 1 到 1000")
    return most


def _number(text: str) -> int:
    number = _whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError("应为 1 以上的整数")
    return number


def _place(text: str) -> int:
    place = _whole(text)
    if place < 0:
        raise argparse.ArgumentTypeError("应为 0 以上的整数")
    return place


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"应为秒数，不是 {text!r}") from None
    if not 0 < seconds <= _LONGEST_WAIT_S:
        raise argparse.ArgumentTypeError(f"应大于 0 秒，不超过 {_LONGEST_WAIT_S} 秒（一天）")
    return seconds


def _name(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("不能为空；不写 --name 时自动取名")
    return text


def _by(*parsers: argparse.ArgumentParser) -> None:
    for parser in parsers:
        parser.add_argument("--by", default="", help="谁在操作，记入审计；缺省为登录名")


def _definitions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    validate = actions.add_parser("validate", help="检查流程文件：AWS 是否接受，本机能否运行")
    publish = actions.add_parser("publish", help="把流程文件发布为新版本")
    publish.add_argument("machine", metavar="MACHINE", help="流程名称")
    for parser in (validate, publish):
        parser.add_argument("file", metavar="FILE.asl.json", help="流程文件")
        parser.add_argument("--type", choices=("STANDARD", "EXPRESS"), default="STANDARD")
    validate.add_argument(
        "--runs-here", action="store_true", help="AWS 接受、本机不能运行时，退出状态也为 1"
    )
    _work(validate, workflow_files.validate)
    _work(publish, workflow_files.publish)
    _by(publish)
    versions = actions.add_parser("versions", help="流程的版本")
    versions.add_argument("machine", nargs="?", metavar="MACHINE", help="流程名称；不写为全部")
    versions.add_argument("--number", type=_number, help="打印这一版的内容")
    _work(versions, workflow_files.list_versions)


def _executions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    start = actions.add_parser("start", help="启动流程")
    start.add_argument("machine", metavar="MACHINE", help="流程名称")
    start.add_argument("--input", default="{}", help="JSON，或 @文件，或 - 从标准输入读")
    start.add_argument("--name", type=_name, help="实例名，同名同输入不会重复启动")
    start.add_argument("--version", type=_number, help="第几版；缺省为最新")
    start.add_argument("--wait", type=_seconds, metavar="SECONDS", help="等它结束，最多几秒")
    _work(start, workflow_commands.start)
    describe = actions.add_parser("describe", help="一个实例的状态和数据")
    describe.add_argument("--json", action="store_true", help="与 AWS 相同的格式，原因为全文")
    _work(describe, workflow_commands.describe)
    history = actions.add_parser("history", help="一个实例的全部经过")
    history.add_argument(
        "--after",
        type=_place,
        default=0,
        metavar="ID",
        help="接着这个事件往后；有 --reverse 时接着它往前",
    )
    history.add_argument("--most", type=_most, default=1000, help="最多几条")
    history.add_argument("--reverse", action="store_true", help="从最后一条开始，由新到旧")
    history.add_argument("--json", action="store_true", help="与 AWS 相同的格式")
    _work(history, workflow_commands.history)
    stop = actions.add_parser("stop", help="终止实例")
    stop.add_argument("--error", help="错误名")
    stop.add_argument("--cause", help="原因")
    _work(stop, workflow_commands.stop)
    redrive = actions.add_parser("redrive", help="从失败处重新执行，版本和输入不变")
    _work(redrive, workflow_commands.redrive)
    for parser in (describe, history, stop, redrive):
        parser.add_argument("execution", metavar="EXECUTION", help=_EXECUTION)
    _by(start, describe, history, stop, redrive)
    listed = actions.add_parser("list", help="列出实例，最新的在前")
    listed.add_argument("machine", nargs="?", metavar="MACHINE", help="流程名称；不写为全部")
    listed.add_argument("--status", choices=[one.value for one in Status], help="只看这种状态")
    listed.add_argument("--before", type=_place, metavar="ID", help="下一页从哪里开始")
    listed.add_argument("--most", type=_most, default=100, help="最多几条")
    _work(listed, workflow_commands.list_executions)


def _answers(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    success = actions.add_parser("success", help="用令牌完成任务")
    success.add_argument("--output", default="{}", help="JSON，或 @文件，或 - 从标准输入读")
    _work(success, workflow_answers.success)
    failure = actions.add_parser("failure", help="用令牌把任务记为失败")
    failure.add_argument("--error", help="错误名")
    failure.add_argument("--cause", help="原因")
    _work(failure, workflow_answers.failure)
    heartbeat = actions.add_parser("heartbeat", help="用令牌续期")
    _work(heartbeat, workflow_answers.heartbeat)
    for parser in (success, failure, heartbeat):
        parser.add_argument("token", metavar="TOKEN", help="任务令牌；- 为从标准输入的第一行读")
    _by(success, failure, heartbeat)
