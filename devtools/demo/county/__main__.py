"""``python -m devtools.demo.county``: writes the feeds of 云溪县 (演示数据) into a folder."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

from devtools.demo.county.generator import make_county
from gongdian.clock import china_date


def main() -> int:
    """Make the county and say what it has."""
    parser = argparse.ArgumentParser(
        prog="python -m devtools.demo.county", description="生成云溪县"
    )
    parser.add_argument("--out", type=Path, required=True, help="文件夹")
    parser.add_argument("--today", type=date.fromisoformat, help="演示日，默认今天")
    parser.add_argument("--scale", type=float, default=1.0, help="规模，1 为全县")
    parser.add_argument("--seed", type=int, default=42, help="随机种子")
    options = parser.parse_args()
    today = options.today or china_date(datetime.fromtimestamp(time.time(), UTC))
    began = time.monotonic()
    county = make_county(options.out, today, scale=options.scale, seed=options.seed)
    for word, name in county.files.items():
        print(f"{county.counts[word]:>8} 行  {name}")
    print(f"云溪县已写入 {options.out}，用时 {time.monotonic() - began:.1f} 秒")
    return 0


if __name__ == "__main__":
    sys.exit(main())
