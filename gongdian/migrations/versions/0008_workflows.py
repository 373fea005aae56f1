"""The workflow engine and the local queue."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from gongdian.columns import Digest, KeyText, RowId, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

Sealed = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
Definition = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
INNODB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "workflow_versions",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("machine", KeyText(length=80), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", KeyText(length=8), nullable=False),
        sa.Column("digest", Digest(), nullable=False),
        sa.Column("definition", Definition, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workflow_versions")),
        sa.UniqueConstraint("machine", "number", name=op.f("uq_workflow_versions_machine_number")),
        **INNODB,
    )
    _executions()
    op.create_table(
        "workflow_history",
        sa.Column("execution_id", RowId, autoincrement=False, nullable=False),
        sa.Column("first_event", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_event", sa.Integer(), nullable=False),
        sa.Column("events", Sealed, nullable=False),
        sa.PrimaryKeyConstraint("execution_id", "first_event", name=op.f("pk_workflow_history")),
        **INNODB,
    )
    op.create_table(
        "workflow_timers",
        sa.Column("execution_id", RowId, autoincrement=False, nullable=False),
        sa.Column("scope", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", KeyText(length=10), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("execution_id", "scope", "kind", name=op.f("pk_workflow_timers")),
        **INNODB,
    )
    _tasks()
    _queue()


def _executions() -> None:
    op.create_table(
        "workflow_executions",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("machine", KeyText(length=80), nullable=False),
        sa.Column("name", KeyText(length=80), nullable=False),
        sa.Column("version_id", RowId, nullable=False),
        sa.Column("status", KeyText(length=10), nullable=False),
        sa.Column("input", Sealed, nullable=True),
        sa.Column("output", Sealed, nullable=True),
        sa.Column("error", sa.String(length=256), nullable=True),
        sa.Column("cause", Sealed, nullable=True),
        sa.Column("snapshot", Sealed, nullable=True),
        sa.Column("last_event", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("owner", KeyText(length=64), nullable=True),
        sa.Column("leased_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("wake_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("signals", sa.Integer(), nullable=False),
        sa.Column("parent_id", RowId, nullable=True),
        sa.Column("parent_task", sa.Integer(), nullable=True),
        sa.Column("redrives", sa.Integer(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("stopped_at", UtcDateTime(), nullable=True),
        sa.Column("pruned_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workflow_executions")),
        sa.UniqueConstraint("machine", "name", name=op.f("uq_workflow_executions_machine_name")),
        **INNODB,
    )
    for name, columns in (
        ("wake", ["wake_at_ms"]),
        ("lease", ["leased_until_ms"]),
        ("owner", ["owner"]),
        ("machine", ["machine", "id"]),
        ("status", ["status", "id"]),
        ("pruned", ["pruned_at", "stopped_at"]),
        ("parent", ["parent_id", "parent_task"]),
    ):
        op.create_index(f"ix_workflow_executions_{name}", "workflow_executions", columns)


def _tasks() -> None:
    op.create_table(
        "workflow_tasks",
        sa.Column("execution_id", RowId, autoincrement=False, nullable=False),
        sa.Column("serial", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("scope", sa.Integer(), nullable=False),
        sa.Column("service", KeyText(length=10), nullable=False),
        sa.Column("pattern", KeyText(length=20), nullable=False),
        sa.Column("name", KeyText(length=300), nullable=False),
        sa.Column("key", KeyText(length=300), nullable=False),
        sa.Column("payload", Sealed, nullable=True),
        sa.Column("state", KeyText(length=8), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("owner", KeyText(length=64), nullable=True),
        sa.Column("lease_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("token_hash", Digest(), nullable=True),
        sa.Column("heartbeat_s", sa.Integer(), nullable=True),
        sa.Column("child_id", RowId, nullable=True),
        sa.PrimaryKeyConstraint("execution_id", "serial", name=op.f("pk_workflow_tasks")),
        **INNODB,
    )
    for name, columns in (
        ("child", ["child_id", "state"]),
        ("lease", ["lease_until_ms"]),
        ("name", ["service", "name", "state"]),
        ("owner", ["owner", "state"]),
    ):
        op.create_index(f"ix_workflow_tasks_{name}", "workflow_tasks", columns)
    op.create_index("ix_workflow_tasks_token", "workflow_tasks", ["token_hash"], unique=True)
    op.create_table(
        "workflow_answers",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("execution_id", RowId, nullable=False),
        sa.Column("scope", sa.Integer(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("kind", KeyText(length=10), nullable=False),
        sa.Column("output", Sealed, nullable=True),
        sa.Column("error", sa.String(length=256), nullable=True),
        sa.Column("cause", Sealed, nullable=True),
        sa.Column("worker", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workflow_answers")),
        **INNODB,
    )
    op.create_index(op.f("ix_workflow_answers_execution_id"), "workflow_answers", ["execution_id"])


def _queue() -> None:
    op.create_table(
        "queue_messages",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("queue", KeyText(length=80), nullable=False),
        sa.Column("key", KeyText(length=300), nullable=False),
        sa.Column("body", Sealed, nullable=True),
        sa.Column("attributes", Sealed, nullable=True),
        sa.Column("sent_at", UtcDateTime(), nullable=False),
        sa.Column("visible_at", UtcDateTime(), nullable=True),
        sa.Column("receives", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queue_messages")),
        sa.UniqueConstraint("queue", "key", name=op.f("uq_queue_messages_queue_key")),
        **INNODB,
    )
    op.create_index("ix_queue_messages_visible", "queue_messages", ["queue", "visible_at"])
    op.create_index("ix_queue_messages_sent", "queue_messages", ["sent_at"])


def downgrade() -> None:
    """Take them away again."""
    op.drop_table("queue_messages")
    for name in ("answers", "tasks", "timers", "history", "executions", "versions"):
        op.drop_table(f"workflow_{name}")
