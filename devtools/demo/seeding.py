"""Brings 云溪县 into the demo's database (数据入库): the county's files through the real import.

Called by the demo, the story's tests and whoever needs a stage with customers.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from devtools.demo.county.generator import make_county
from devtools.demo.stage import Stage
from gongdian.arrears.rules import seed_rules
from gongdian.clock import china_date
from gongdian.sources.model import FEED_LABELS, RunReport, RunState
from gongdian.sources.progress import no_progress
from gongdian.sources.runs import Importing, import_file
from server.source_progress import ProgressLine

Tell = Callable[[str], None]

# A stage for the county: its many text messages go out at once and reach everybody, and a
# campaign of more than a few needs a second person.
COUNTY_SETTINGS: dict[str, Any] = {
    "arrears_approval_above": 20,
    "sms_rate_per_s": 1_000,
    "sms_daily_quota": 100_000,
}
COUNTY_SANDBOX: dict[str, Any] = {"sms_elsewhere": "DELIVERED"}
BY = "导入员小孙"
# What is there before the story begins; the newest bills come in during the story. Payments go
# first: a bill that was paid long ago is settled as it comes in and never becomes a case.
HISTORY = (
    "customers",
    "contacts",
    "balances",
    "payments_history",
    "payments_newest",
    "bills_history",
)


@dataclass(frozen=True, slots=True)
class SeededCounty:
    """The county's folder and its ``county.json``."""

    folder: Path
    facts: dict[str, Any]

    @property
    def today(self) -> date:
        """The day from which its months are counted."""
        return date.fromisoformat(self.facts["today"])

    def file(self, word: str) -> Path:
        """One of its files."""
        return self.folder / str(self.facts["files"][word])


def seed_county(stage: Stage, folder: Path, tell: Tell, *, scale: float) -> SeededCounty:
    """Make the county as of the stage's day and import everything up to last month."""
    began = time.monotonic()
    make_county(folder, china_date(stage.clock.now()), scale=scale)
    county = SeededCounty(folder, json.loads((folder / "county.json").read_text("utf-8")))
    stage.house.database.run(lambda session: seed_rules(session, "demo", stage.clock.now()))
    counts = county.facts["counts"]
    tell(
        f"云溪县：高压{counts['high_voltage']}户，低压{counts['low_voltage']}户（抽样），"
        f"{len(county.facts['periods'])}个月电费（示例电价），"
        f"生成用时{time.monotonic() - began:.0f}秒"
    )
    for word in HISTORY:
        tell(report_text(bring_in(stage, county.file(word))))
    tell(f"数据准备完成，共用时{time.monotonic() - began:.0f}秒")
    return county


def bring_in(stage: Stage, path: Path, **wishes: Any) -> RunReport:
    """Import one file; which feed it is says its name. AssertionError when it is refused."""
    feed = path.name.split("_", 1)[0]
    house = stage.house
    place = Importing(house.database, house.clock, Path(house.settings.data_dir), patience_s=30.0)
    line = ProgressLine() if sys.stderr.isatty() else None
    try:
        report = import_file(
            place, path, f"sg186_{feed}", BY, progress=line or no_progress, **wishes
        )
    finally:
        if line is not None:
            line.close()
    if report.state is not RunState.DONE:
        raise AssertionError(f"{path.name}: {report.problem}")
    return report


def report_text(report: RunReport) -> str:
    """One line about a run."""
    text = f"导入{FEED_LABELS[report.feed]} {report.file_name}：{report.rows_read}行"
    parts = {
        "新增": report.rows_new,
        "变更": report.rows_changed,
        "相同": report.rows_same,
        "拒收": report.rows_rejected,
    }
    shown = "，".join(f"{word}{count}" for word, count in parts.items() if count)
    return f"{text}（{shown}）" if shown else text
