"""What ``server workflow`` takes (流程命令参数)."""

from __future__ import annotations

import argparse

from server import workflow_commands
from workflows.engine.orders import Status

_EXECUTION = "流程:实例名，或 ARN"


def add_workflow(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its actions."""
    workflow = commands.add_parser("workflow", help="流程：检查、发布、启动、查看、终止、答复")
    actions = workflow.add_subparsers(dest="action", required=True, metavar="ACTION")
    _definitions(actions)
    _executions(actions)
    _answers(actions)


def _most(text: str) -> int:
    most = int(text)
    if not 1 <= most <= 1000:
        raise argparse.ArgumentTypeError("from 1 to 1000")
    return most


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
    validate.set_defaults(work=workflow_commands.validate)
    publish.set_defaults(work=workflow_commands.publish)
    _by(publish)
    versions = actions.add_parser("versions", help="流程的版本")
    versions.add_argument("machine", nargs="?", metavar="MACHINE", help="流程名称；不写为全部")
    versions.add_argument("--number", type=int, help="打印这一版的内容")
    versions.set_defaults(work=workflow_commands.list_versions)


def _executions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    start = actions.add_parser("start", help="启动流程")
    start.add_argument("machine", metavar="MACHINE", help="流程名称")
    start.add_argument("--input", default="{}", help="JSON，或 @文件，或 - 从标准输入读")
    start.add_argument("--name", default="", help="实例名，同名同输入不会重复启动")
    start.add_argument("--version", type=int, help="第几版；缺省为最新")
    start.add_argument("--wait", type=float, metavar="SECONDS", help="等它结束，最多几秒")
    start.set_defaults(work=workflow_commands.start)
    describe = actions.add_parser("describe", help="一个实例的状态和数据")
    describe.set_defaults(work=workflow_commands.describe)
    history = actions.add_parser("history", help="一个实例的全部经过")
    history.add_argument("--after", type=int, default=0, metavar="ID", help="从哪个事件之后")
    history.add_argument("--most", type=_most, default=1000, help="最多几条")
    history.add_argument("--reverse", action="store_true", help="从最后一条开始")
    history.add_argument("--json", action="store_true", help="与 AWS 相同的格式")
    history.set_defaults(work=workflow_commands.history)
    stop = actions.add_parser("stop", help="终止实例")
    stop.add_argument("--error", help="错误名")
    stop.add_argument("--cause", help="原因")
    stop.set_defaults(work=workflow_commands.stop)
    redrive = actions.add_parser("redrive", help="从失败处重新执行")
    redrive.set_defaults(work=workflow_commands.redrive)
    for parser in (describe, history, stop, redrive):
        parser.add_argument("execution", metavar="EXECUTION", help=_EXECUTION)
    _by(start, describe, history, stop, redrive)
    listed = actions.add_parser("list", help="列出实例，最新的在前")
    listed.add_argument("machine", nargs="?", metavar="MACHINE", help="流程名称；不写为全部")
    listed.add_argument("--status", choices=[one.value for one in Status], help="只看这种状态")
    listed.add_argument("--before", type=int, metavar="ID", help="下一页从哪里开始")
    listed.add_argument("--most", type=_most, default=100, help="最多几条")
    listed.set_defaults(work=workflow_commands.list_executions)


def _answers(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    success = actions.add_parser("success", help="用令牌完成任务")
    success.add_argument("--output", default="{}", help="JSON，或 @文件")
    success.set_defaults(work=workflow_commands.success)
    failure = actions.add_parser("failure", help="用令牌把任务记为失败")
    failure.add_argument("--error", help="错误名")
    failure.add_argument("--cause", help="原因")
    failure.set_defaults(work=workflow_commands.failure)
    heartbeat = actions.add_parser("heartbeat", help="用令牌续期")
    heartbeat.set_defaults(work=workflow_commands.heartbeat)
    for parser in (success, failure, heartbeat):
        parser.add_argument("token", metavar="TOKEN", help="任务令牌；- 为从标准输入读")
    _by(success, failure)
