"""Tables of the workflow engine (流程引擎): versions, executions, history, timers, tasks, answers.

The engine is ``workflows/engine``; its tables are here because migrations know this package only.
Columns that end in ``_ms`` are milliseconds since 1970; 0 is "at once", whatever the clock says.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, UniqueConstraint
from sqlalchemy.dialects import mysql

from gongdian.columns import Digest, KeyText, PackedText, RowId, UtcDateTime
from gongdian.db import metadata

_Definition = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")

# Immutable: an execution keeps the version that it started with.
workflow_versions = Table(
    "workflow_versions",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("machine", KeyText(80), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", KeyText(8), nullable=False),
    Column("digest", Digest, nullable=False),
    Column("definition", _Definition, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("machine", "number"),
)

workflow_executions = Table(
    "workflow_executions",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("machine", KeyText(80), nullable=False),
    Column("name", KeyText(80), nullable=False),
    Column("version_id", RowId, nullable=False),
    Column("status", KeyText(10), nullable=False),
    Column("input", PackedText("workflow_executions.input")),
    Column("output", PackedText("workflow_executions.output")),
    Column("error", String(256)),
    Column("cause", PackedText("workflow_executions.cause")),
    # where it stands, as the history up to last_event leaves it
    Column("snapshot", PackedText("workflow_executions.snapshot")),
    Column("last_event", Integer, nullable=False),
    # the lease: ``epoch`` grows with each claim and each save
    Column("epoch", Integer, nullable=False),
    Column("owner", KeyText(64)),
    Column("leased_until_ms", BigInteger),
    # when somebody must look at it: a timer, an answer, the end of a lease; null never
    Column("wake_at_ms", BigInteger),
    # counts what came from outside, so that a save sees what came during its lease
    Column("signals", Integer, nullable=False),
    Column("parent_id", RowId),
    Column("parent_task", Integer),
    Column("redrives", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("stopped_at", UtcDateTime),
    Column("pruned_at", UtcDateTime),
    UniqueConstraint("machine", "name"),
    Index("ix_workflow_executions_wake", "wake_at_ms"),
    Index("ix_workflow_executions_lease", "leased_until_ms"),
    Index("ix_workflow_executions_owner", "owner"),
    Index("ix_workflow_executions_machine", "machine", "id"),
    Index("ix_workflow_executions_status", "status", "id"),
    Index("ix_workflow_executions_pruned", "pruned_at", "stopped_at"),
    Index("ix_workflow_executions_parent", "parent_id", "parent_task"),
)

# One row a batch: a JSON array of events. The key forbids that two workers write the same event.
workflow_history = Table(
    "workflow_history",
    metadata,
    Column("execution_id", RowId, primary_key=True, autoincrement=False),
    Column("first_event", Integer, primary_key=True, autoincrement=False),
    Column("last_event", Integer, nullable=False),
    Column("events", PackedText("workflow_history.events"), nullable=False),
)

workflow_timers = Table(
    "workflow_timers",
    metadata,
    Column("execution_id", RowId, primary_key=True, autoincrement=False),
    Column("scope", Integer, primary_key=True, autoincrement=False),
    Column("kind", KeyText(10), primary_key=True),
    Column("serial", Integer, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
)

# One attempt of one task. The token itself is in the payload only, until it is handed over.
workflow_tasks = Table(
    "workflow_tasks",
    metadata,
    Column("execution_id", RowId, primary_key=True, autoincrement=False),
    Column("serial", Integer, primary_key=True, autoincrement=False),
    Column("scope", Integer, nullable=False),
    Column("service", KeyText(10), nullable=False),
    Column("pattern", KeyText(20), nullable=False),
    Column("name", KeyText(300), nullable=False),
    Column("key", KeyText(300), nullable=False),
    Column("payload", PackedText("workflow_tasks.payload")),
    Column("state", KeyText(8), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("owner", KeyText(64)),
    Column("lease_until_ms", BigInteger),
    Column("token_hash", Digest),
    Column("heartbeat_s", Integer),
    # the execution that is waited for: this task may have started it, or found it running
    Column("child_id", RowId),
    Index("ix_workflow_tasks_child", "child_id", "state"),
    Index("ix_workflow_tasks_lease", "lease_until_ms"),
    Index("ix_workflow_tasks_token", "token_hash", unique=True),
    Index("ix_workflow_tasks_name", "service", "name", "state"),
    Index("ix_workflow_tasks_owner", "owner", "state"),
)

# What came back and is not in a history yet, in order.
workflow_answers = Table(
    "workflow_answers",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("execution_id", RowId, nullable=False, index=True),
    Column("scope", Integer, nullable=False),
    Column("serial", Integer, nullable=False),
    Column("kind", KeyText(10), nullable=False),
    Column("output", PackedText("workflow_answers.output")),
    Column("error", String(256)),
    Column("cause", PackedText("workflow_answers.cause")),
    Column("worker", String(80), nullable=False),
)
