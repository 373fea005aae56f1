"""What an import is (数据导入), pure: its states and its report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

# How far the reporting machine's clock may be ahead of ours.
CLOCK_SKEW = timedelta(minutes=10)

FEED_LABELS = {
    "customers": "客户档案",
    "contacts": "联系人",
    "bills": "电费账单",
    "payments": "交费记录",
    "balances": "费控余额",
}


class RunState(StrEnum):
    """Where a run stands; refused means that nothing was changed."""

    CHECKING = "checking"
    LOADING = "loading"
    DONE = "done"
    REFUSED = "refused"


RUN_LABELS = {
    RunState.CHECKING: "校验中",
    RunState.LOADING: "入库中",
    RunState.DONE: "完成",
    RunState.REFUSED: "拒绝",
}


@dataclass(frozen=True, slots=True)
class RunReport:
    """What an import did; ``notices`` are Chinese sentences for whoever started it.

    ``is_repeat``: the same file with the same mapping was imported before, nothing was done now.
    ``is_resumed``: an earlier try was cut off, this one went on where it stopped.
    """

    run_id: int
    feed: str
    source: str
    file_name: str
    state: RunState
    as_of: datetime
    rows_read: int
    rows_new: int
    rows_changed: int
    rows_same: int
    rows_rejected: int
    problem: str
    kept_as: str
    corrects_run: int | None
    started_by: str
    started_at: datetime
    ended_at: datetime | None
    is_repeat: bool = False
    is_resumed: bool = False
    notices: tuple[str, ...] = ()
