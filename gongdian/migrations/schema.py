"""Every table of the house (表结构): importing the table modules fills the one metadata."""

from __future__ import annotations

from gongdian import alarms, audit, feeds, rule_tables, workflow_tables
from gongdian.accounts import customer_tables
from gongdian.accounts import tables as accounts_tables
from gongdian.adapters import credentials_tables, queue_tables
from gongdian.arrears import tables as arrears_tables
from gongdian.billing import tables as billing_tables
from gongdian.db import metadata
from gongdian.inbox import tables as inbox_tables
from gongdian.outbox import tables as outbox_tables
from gongdian.sources import tables as sources_tables

TABLE_MODULES = (
    accounts_tables,
    alarms,
    arrears_tables,
    audit,
    billing_tables,
    credentials_tables,
    customer_tables,
    feeds,
    inbox_tables,
    outbox_tables,
    queue_tables,
    rule_tables,
    sources_tables,
    workflow_tables,
)

__all__ = ["TABLE_MODULES", "metadata"]
