"""Every table of the house (表结构): importing the table modules fills the one metadata."""

from __future__ import annotations

from gongdian import alarms, audit, workflow_tables
from gongdian.accounts import tables as accounts_tables
from gongdian.adapters import credentials_tables, queue_tables
from gongdian.db import metadata
from gongdian.inbox import tables as inbox_tables
from gongdian.outbox import tables as outbox_tables

TABLE_MODULES = (
    accounts_tables,
    alarms,
    audit,
    credentials_tables,
    inbox_tables,
    outbox_tables,
    queue_tables,
    workflow_tables,
)

__all__ = ["TABLE_MODULES", "metadata"]
