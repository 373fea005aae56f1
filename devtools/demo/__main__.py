"""``python -m devtools.demo``: 云溪县 (演示) in one process, its stories played or to be played."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from devtools.demo.arrears_story import ArrearsStory
from devtools.demo.county.notable import HOME_NO
from devtools.demo.county_steps import offer_story
from devtools.demo.office import Office
from devtools.demo.props import hand_out_phones
from devtools.demo.seeding import COUNTY_SANDBOX, COUNTY_SETTINGS, SeededCounty, seed_county
from devtools.demo.stage import Stage, running_stage, start_of_day
from devtools.demo.story import tell_story
from gongdian.clock import MovableClock
from gongdian.logs import set_up_logs

# ``--once`` checks every step; a tenth of the county is enough for that.
ONCE_SCALE = 0.1


def main() -> int:
    """Run the demo; with ``--once`` play the stories, check them and end (1 when one breaks)."""
    options = _options()
    set_up_logs("ERROR")
    folder = Path(tempfile.mkdtemp(prefix="gongdian-demo-"))
    port = 0 if options.once else options.port
    try:
        clock = MovableClock(start_of_day())
        beside = {"port": port + 1 if port else 0, **COUNTY_SANDBOX}
        with running_stage(
            folder / "data", port=port, clock=clock, sandbox_settings=beside, **COUNTY_SETTINGS
        ) as stage:
            _run(stage, folder, options)
    except AssertionError as error:
        print(f"演示未通过：{error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"无法启动（端口 {port} 被占用？可加 --port 0）：{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\n正在结束……")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m devtools.demo", description="供电微信服务演示")
    parser.add_argument("--once", action="store_true", help="演示一遍并核对，然后结束")
    parser.add_argument("--port", type=int, default=8600, help="网页端口；0 为任意空闲端口")
    parser.add_argument(
        "--scale",
        type=float,
        help=f"云溪县的规模，1 为全县；默认 1，加 --once 时 {ONCE_SCALE:g}",
    )
    options = parser.parse_args()
    if options.scale is None:
        options.scale = ONCE_SCALE if options.once else 1.0
    if not 0 < options.scale <= 1:
        parser.error("--scale 大于 0，不超过 1")
    return options


def _run(stage: Stage, folder: Path, options: argparse.Namespace) -> None:
    began = time.monotonic()
    print(f"手机墙（模拟微信）  {stage.sandbox.base_url}\n", flush=True)
    hand_out_phones(stage)
    tell_story(stage, _tell)
    _tell("")
    if options.scale < 1:
        _tell(f"只用全县的{options.scale:.0%}（全县：--scale 1）")
    else:
        _tell("正在准备云溪县的数据，约一分钟；手机墙已经可以打开")
    county = seed_county(stage, folder / "county", _tell, scale=options.scale)
    if options.once:
        ArrearsStory(stage, county, _tell).play()
        _tell(f"两个故事都通过，共用时{time.monotonic() - began:.0f}秒")
    else:
        offer_story(stage.sandbox, Office(stage, county))
        _keep_running(stage, county)


def _tell(text: str) -> None:
    print(text, flush=True)


# What can be looked at, and decided, from another terminal while the demo runs.
OFFICE_COMMANDS = (
    "source runs",
    "source feeds",
    "arrears campaign list",
    "arrears campaign preview 批次编号",
    "arrears campaign approve 批次编号 --by 班长老吴",
    f"arrears case show {HOME_NO}",
    "arrears worklist list",
)


def _keep_running(stage: Stage, county: SeededCounty) -> None:
    settings = stage.house.settings
    commands = "".join(f"\n  {sys.executable} -m server {one}" for one in OFFICE_COMMANDS)
    _tell(
        "\n系统正在运行，按 Ctrl+C 结束。\n"
        f"  手机墙    {stage.sandbox.base_url}（用浏览器打开；在下方“场景”里从“绑定户号”到“待办”"
        "依次点，就是电费催收的故事）\n"
        f"  数据      {'；'.join(county.facts['notes'])}\n"
        f"  健康检查  {stage.web_url}/readyz\n"
        f"  运行指标  {stage.web_url}/metrics\n"
        "  沙箱的全部接口见 devtools/wechat_sandbox/README.md\n"
        "另开一个终端，在本目录可以用办公室的命令（它们按真实时间，演示的时钟另走）：\n"
        f"  export GONGDIAN_DATA_DIR={settings.data_dir}\n"
        f"  export GONGDIAN_ARREARS_APPROVAL_ABOVE={settings.arrears_approval_above}"
        f"{commands}"
    )
    threading.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
