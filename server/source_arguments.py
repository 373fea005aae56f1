"""What ``server source`` takes (数据导入参数)."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime

from gongdian.clock import CHINA
from gongdian.sources.model import FEED_LABELS
from server import source_commands

_LONGEST_WAIT_S = 86_400


def add_source(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its actions."""
    source = commands.add_parser("source", help="数据导入：导入文件、拉取视图、拒收行、时效")
    actions = source.add_subparsers(dest="action", required=True, metavar="ACTION")
    _imports(actions)
    _reports(actions)


def _imports(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    feeds = "、".join(f"{feed}（{label}）" for feed, label in FEED_LABELS.items())
    load = actions.add_parser("import", help="导入一个 CSV 或 XLSX 文件")
    load.add_argument(
        "mapping",
        metavar="FEED_OR_MAPPING",
        help=f"数据种类 {feeds}（用自带的 sg186 映射），或映射名，或映射文件 .toml",
    )
    load.add_argument("file", metavar="FILE", help="要导入的文件")
    load.add_argument(
        "--as-of",
        type=_instant,
        help="数据截至时间（北京时间），例如 2026-11-20 或 '2026-11-20 06:00'；缺省按映射的规则",
    )
    load.add_argument(
        "--corrects", type=_number, metavar="RUN", help="这个文件更正哪个批次导出的拒收行"
    )
    load.add_argument("--force", action="store_true", help="客户档案、联系人早于已导入的，也要导入")
    load.set_defaults(work=source_commands.import_one)
    pull = actions.add_parser("pull", help="从另一个数据库的视图拉取新数据并导入")
    pull.add_argument("mapping", metavar="MAPPING", help="有 [sql] 部分的映射名或映射文件")
    pull.add_argument(
        "--url-from",
        required=True,
        metavar="NAME",
        help="环境变量名，它的值是数据库地址（SQLAlchemy URL）；地址和密码不会显示",
    )
    pull.set_defaults(work=source_commands.pull)
    for one in (load, pull):
        one.add_argument("--by", required=True, help="谁在操作，记入审计")
        one.add_argument(
            "--wait",
            type=_seconds,
            default=0.0,
            metavar="SECONDS",
            help="另一个导入正在进行时，最多等几秒；缺省不等",
        )


def _reports(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    runs = actions.add_parser("runs", help="列出导入批次，最新的在前")
    runs.add_argument("--feed", choices=tuple(FEED_LABELS), default="", help="只看这种数据")
    runs.add_argument("--most", type=_number, default=20, help="最多几条")
    runs.set_defaults(work=source_commands.list_runs)
    show = actions.add_parser("show", help="一个批次的结果和拒收原因")
    show.set_defaults(work=source_commands.show)
    rejects = actions.add_parser("rejects", help="导出一个批次待更正的拒收行（含个人信息）")
    rejects.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="新文件，.csv 或 .xlsx；用 Excel 更正时请选 .xlsx，户号不会变成 9.9E+12",
    )
    rejects.add_argument("--by", required=True, help="谁在导出，记入审计")
    rejects.set_defaults(work=source_commands.export)
    for one in (show, rejects):
        one.add_argument("run", type=_number, metavar="RUN", help="批次号")
    feeds = actions.add_parser("feeds", help="每种数据截至何时、是否过期")
    feeds.set_defaults(work=source_commands.list_feeds)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:19]) <= 2**62):
        raise argparse.ArgumentTypeError(f"应为 1 以上的整数，不是 {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"应为秒数，不是 {text!r}") from None
    if not 0 <= seconds <= _LONGEST_WAIT_S:
        raise argparse.ArgumentTypeError(f"应为 0 到 {_LONGEST_WAIT_S} 秒（一天）")
    return seconds


def _instant(text: str) -> date:
    """An instant in China time, or a day, which counts to its end."""
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"):
        try:
            told = datetime.strptime(text, form)  # noqa: DTZ007 - zone below
        except ValueError:
            continue
        return told.replace(tzinfo=CHINA).astimezone(UTC)
    try:
        day = datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"应写成 2026-11-20 或 '2026-11-20 06:00'，不是 {text!r}"
        ) from None
    return day.date()
