"""``python -m devtools.demo``: a running system in one process, with the story played in it."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
from pathlib import Path

from devtools.demo.props import hand_out_phones
from devtools.demo.stage import Stage, running_stage, start_of_day
from devtools.demo.story import tell_story
from devtools.wechat_sandbox.phone import Phone
from gongdian.clock import MovableClock
from gongdian.logs import set_up_logs


def main() -> int:
    """Run the demo; with ``--once`` play the story, check it and end (1 when it breaks)."""
    parser = argparse.ArgumentParser(prog="python -m devtools.demo", description="供电微信服务演示")
    parser.add_argument("--once", action="store_true", help="演示一遍并核对，然后结束")
    parser.add_argument("--port", type=int, default=8600, help="网页端口；0 为任意空闲端口")
    options = parser.parse_args()
    set_up_logs("ERROR")
    folder = Path(tempfile.mkdtemp(prefix="gongdian-demo-"))
    port = 0 if options.once else options.port
    try:
        clock = MovableClock(start_of_day())
        beside = {"port": port + 1 if port else 0}
        with running_stage(folder, port=port, clock=clock, sandbox_settings=beside) as stage:
            print(f"手机墙（模拟微信）  {stage.sandbox.base_url}\n", flush=True)
            phones = hand_out_phones(stage)
            tell_story(stage, lambda text: print(text, flush=True))
            if not options.once:
                _keep_running(stage, phones["王先生"])
    except AssertionError as error:
        print(f"演示未通过：{error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"无法启动（端口 {port} 被占用？可加 --port 0）：{error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _leave_a_card(stage: Stage, phone: Phone) -> None:
    """A second customer's card that nobody has answered: for the reader to open."""
    stage.sandbox.wait(phone.follow())
    stage.sandbox.wait(phone.say("绑定"))
    stage.wait_for(phone.cards, "the second customer's card")


def _keep_running(stage: Stage, second: Phone) -> None:
    _leave_a_card(stage, second)
    print(
        "\n系统正在运行，按 Ctrl+C 结束。\n"
        f"  手机墙    {stage.sandbox.base_url}（用浏览器打开；王先生的卡片还没有人点）\n"
        f"  健康检查  {stage.web_url}/readyz\n"
        f"  运行指标  {stage.web_url}/metrics\n"
        "  沙箱的全部接口见 devtools/wechat_sandbox/README.md",
        flush=True,
    )
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print("\n正在结束……")


if __name__ == "__main__":
    sys.exit(main())
