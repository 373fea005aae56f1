"""What workflow commands say when they are refused (流程命令的拒绝): engine codes in Chinese.

The engine's errors carry AWS's names and AWS's English; operators read these sentences, with
the name in brackets so that it can be looked up.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from functools import wraps

from sqlalchemy.exc import DBAPIError

from gongdian.errors import ConfigError, GongdianError
from gongdian.settings import Settings
from workflows.engine.documents import LARGEST_DOCUMENT
from workflows.engine.home import LONGEST_NAME, machine_of
from workflows.shipped import SUBSTITUTIONS

Work = Callable[[Settings, argparse.Namespace], int]
_MIGRATE = "请先执行 python -m server migrate"
_SUBSTITUTED = "、".join(f"${{{name}}}" for name in SUBSTITUTIONS)


def told(work: Work) -> Work:
    """The same command; what it is refused is told in Chinese, with exit status 1."""

    @wraps(work)
    def telling(settings: Settings, options: argparse.Namespace) -> int:
        odd = _odd_arguments(options)
        if odd:
            return _refuse(f"参数不是 UTF-8 文字：{'、'.join(odd)}", "bad_words")
        try:
            return work(settings, options)
        except ConfigError:
            raise
        except GongdianError as error:
            return _refuse(refusal_text(error, options), error.code)
        except DBAPIError as error:  # MariaDB's "no such table" is a programming error to it
            return _refuse(_database_text(str(error.orig)), "database_unavailable")
        except UnicodeEncodeError as error:
            odd_text = ascii(error.object[error.start : error.end])[1:-1]
            return _refuse(f"有不能保存或显示的字符：{odd_text}", "bad_words")

    return telling


def _refuse(text: str, code: str) -> int:
    # What is shown may hold what was given, which no terminal need be able to show.
    first, *rest = text.encode("utf-8", "backslashreplace").decode().split("\n")
    print("\n".join((f"未完成：{first} [{code}]", *rest)), file=sys.stderr)
    return 1


def _odd_arguments(options: argparse.Namespace) -> list[str]:
    """Options whose text is no Unicode: bytes that are not UTF-8 come as lone surrogates."""
    return [
        name
        for name, value in vars(options).items()
        if isinstance(value, str) and any("\ud800" <= one <= "\udfff" for one in value)
    ]


def unreadable(error: Exception | None) -> str:
    """Why a file cannot be read."""
    reasons: tuple[tuple[type[Exception], str], ...] = (
        (FileNotFoundError, "文件不存在"),
        (PermissionError, "没有读它的权限"),
        (IsADirectoryError, "这是一个目录"),
        (UnicodeDecodeError, "不是 UTF-8 文字"),
    )
    for kind, reason in reasons:
        if isinstance(error, kind):
            return reason
    return (error.strerror if isinstance(error, OSError) else "") or str(error)


def refusal_text(error: GongdianError, options: argparse.Namespace) -> str:
    """What a refusal means, in Chinese; of an unknown code the error's own text."""
    text = _TEXTS.get(error.code)
    return error.text if text is None else text(error, options)


def _no_machine(_: GongdianError, options: argparse.Namespace) -> str:
    machine = machine_of(options.machine)
    number = getattr(options, "version", None) or getattr(options, "number", None)
    if number is not None:
        return f"{machine} 没有第 {number} 版；workflow versions {machine} 列出已有的"
    return (
        f"没有名为 {machine} 的流程；随附的流程由后台进程启动时发布；workflow versions 列出已有的"
    )


def _not_redrivable(error: GongdianError, options: argparse.Namespace) -> str:
    reasons = {
        "is RUNNING": "还在进行",
        "is SUCCEEDED": "已经成功",
        "period exceeded": "结束已超过 14 天，或数据已按保留期限清除",
        "too large": "数据太大，没有保存停下的位置",
        "limit exceeded": "经过已接近 25000 条的上限",
    }
    why = next((reason for part, reason in reasons.items() if part in error.text), error.text)
    return f"实例 {options.execution} 不能重新执行：{why}"


def _bad_input(error: GongdianError, _: argparse.Namespace) -> str:
    if "too deeply" in error.text:
        return "输入的层次太多"
    if " bytes" in error.text:
        return f"输入超过 {LARGEST_DOCUMENT} 字节"
    return f"--input 不是合法的 JSON：{_detail(error)}"


def _bad_output(error: GongdianError, _: argparse.Namespace) -> str:
    if " bytes" in error.text:
        return f"输出超过 {LARGEST_DOCUMENT} 字节，或层次太多"
    return f"--output 不是合法的 JSON：{_detail(error)}"


def _detail(error: GongdianError) -> str:
    """What stands after AWS's words: ``Invalid Output: ...``."""
    return error.text.partition(": ")[2] or error.text


def _bad_definition(error: GongdianError, _: argparse.Namespace) -> str:
    problems = error.text.removeprefix("Invalid State Machine Definition: ").split("; ")
    lines = (f"\n  {one.strip().removesuffix(' at')}" for one in problems)
    return "流程文件不合规" + "".join(lines)


def _unsupported(error: GongdianError, _: argparse.Namespace) -> str:
    places = error.text.removeprefix("this engine does not run ").split("; ")
    return "本机引擎暂不支持" + "".join(f"\n  {one}" for one in places)


def _unknown_substitution(error: GongdianError, options: argparse.Namespace) -> str:
    found = re.search(r"\$\{\w+\}", error.text)
    what = found[0] if found else error.text
    return f"文件 {options.file} 里的 {what} 没有对应的值；可用的有 {_SUBSTITUTED}"


def _database_text(text: str) -> str:
    if "no such table" in text or "1146" in text:
        return f"数据库还没有建表：{_MIGRATE}"
    if "no such column" in text or "1054" in text:
        return f"数据库的结构不是最新：{_MIGRATE}"
    if re.search(r"refused|2003|2002|Can't connect|timed out|unable to open", text):
        return f"连不上数据库，请确认它在运行、地址正确：{text}"
    return f"数据库现在不能用：{text}"


_TEXTS: dict[str, Callable[[GongdianError, argparse.Namespace], str]] = {
    "StateMachineDoesNotExist": _no_machine,
    "ExecutionDoesNotExist": lambda _, options: (
        f"没有实例 {options.execution}；workflow list 列出已有的"
    ),
    "InvalidArn": lambda _, options: f"“{options.execution}”不是实例：应写成 流程:实例名",
    "InvalidToken": lambda *_: "令牌不对：请核对是否复制完整",
    "TaskTimedOut": lambda *_: "这个任务已经答复过、已超时或已终止，本次答复没有采用",
    "ExecutionAlreadyExists": lambda _, options: (
        f"实例名 {options.name} 已用过，不能再用；请换一个名称，失败的可用 redrive"
    ),
    "ExecutionNotRedrivable": _not_redrivable,
    "InvalidName": lambda error, _: (
        f"名称 {_detail(error)} 不合规：1 到 {LONGEST_NAME} 个字，"
        "不能有空格、冒号、斜线、逗号、引号等符号"
    ),
    "InvalidExecutionInput": _bad_input,
    "InvalidOutput": _bad_output,
    "ValidationException": lambda *_: "--error 最多 256 个字，--cause 最多 32768 个字",
    "unreadable_input": lambda error, _: f"读不到{error.text}",
    "unreadable_workflow": lambda error, options: (
        f"读不到文件 {options.file}：{unreadable(_origin(error))}"
    ),
    "unknown_substitution": _unknown_substitution,
    "InvalidDefinition": _bad_definition,
    "UnsupportedDefinition": _unsupported,
    "version_race": lambda *_: "有人同时发布了这个流程，请核对后再试一次",
    "database_unavailable": lambda error, _: _database_text(error.text),
}


def _origin(error: GongdianError) -> Exception | None:
    cause = error.__cause__
    return cause if isinstance(cause, Exception) else None
