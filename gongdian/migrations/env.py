"""Alembic's environment (迁移): runs on the connection that ``upgrade_database`` opened."""

from __future__ import annotations

from alembic import context

from gongdian.migrations.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
