"""The command line (命令行): ``python -m server COMMAND``; operators and Makefile call it."""

from __future__ import annotations

import os
import sys

from gongdian.errors import ConfigError, GongdianError
from gongdian.logs import set_up_logs
from gongdian.settings import read_settings
from server.arguments import build_parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 done, 1 refused or failed, 2 wrong usage or settings."""
    options = build_parser().parse_args(arguments)
    try:
        settings = read_settings()
        # What a person reads is the answer, not the log of making it.
        is_process = options.command in ("web", "worker", "run")
        set_up_logs(settings.log_level if is_process else "ERROR")
        result: int = options.work(settings, options)
        sys.stdout.flush()
        return result
    except BrokenPipeError:
        # The reader (head, less) has what it wanted; nothing may be flushed at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ConfigError as error:
        print(f"设置有误 {error}", file=sys.stderr)
        return 2
    except GongdianError as error:
        print(f"未完成 {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
