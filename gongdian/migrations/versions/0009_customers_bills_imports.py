"""Customers, bills, feeds, rule tables and imports."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from gongdian.columns import Digest, KeyText, RowId, UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

Sealed = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
INNODB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}


def upgrade() -> None:
    """Add the tables."""
    _balances()
    _billing_turns()
    _bills()
    _binding_requests()
    _credits()
    _customer_contacts()
    _customers()
    _feed_states()
    _import_cursors()
    _import_rejects()
    _import_runs()
    _payments()
    _rule_sets()


def downgrade() -> None:
    """Take them away again."""
    for name in (
        "rule_sets",
        "payments",
        "import_runs",
        "import_rejects",
        "import_cursors",
        "feed_states",
        "customers",
        "customer_contacts",
        "credits",
        "binding_requests",
        "bills",
        "billing_turns",
        "balances",
    ):
        op.drop_table(name)


def _balances() -> None:
    op.create_table(
        "balances",
        sa.Column("customer_no", KeyText(20), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("measured_at", UtcDateTime(), nullable=False),
        sa.Column("run_id", RowId, nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("customer_no", name=op.f("pk_balances")),
        **INNODB,
    )


def _billing_turns() -> None:
    op.create_table(
        "billing_turns",
        sa.Column("name", KeyText(20), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_billing_turns")),
        **INNODB,
    )


def _bills() -> None:
    op.create_table(
        "bills",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("customer_no", KeyText(20), nullable=False),
        sa.Column("bill_no", KeyText(32), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("kind", KeyText(12), nullable=False),
        sa.Column("period", KeyText(6), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("paid", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("kwh", sa.Double(), nullable=False),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.Column("run_id", RowId, nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bills")),
        sa.UniqueConstraint(
            "customer_no", "bill_no", "version", name=op.f("uq_bills_customer_no_bill_no_version")
        ),
        **INNODB,
    )
    op.create_index("ix_bills_open", "bills", ["is_open", "customer_no"])


def _binding_requests() -> None:
    op.create_table(
        "binding_requests",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("contact_id", RowId, nullable=False),
        sa.Column("customer_no", KeyText(20), nullable=False),
        sa.Column("kind", KeyText(12), nullable=False),
        sa.Column("state", KeyText(12), nullable=False),
        sa.Column("matched_id", RowId, nullable=True),
        sa.Column("code_hash", Digest(), nullable=True),
        sa.Column("tries", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("applicant", Sealed, nullable=False),
        sa.Column("holder", sa.Integer(), nullable=False),
        sa.Column("consent_version", KeyText(20), nullable=False),
        sa.Column("consent_digest", KeyText(64), nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("decided_by", KeyText(64), server_default=sa.text("''"), nullable=False),
        sa.Column("reason", KeyText(190), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_binding_requests")),
        **INNODB,
    )
    op.create_index(
        "ix_binding_requests_contact", "binding_requests", ["contact_id", "customer_no", "state"]
    )
    op.create_index("ix_binding_requests_state", "binding_requests", ["state", "requested_at"])


def _credits() -> None:
    op.create_table(
        "credits",
        sa.Column("customer_no", KeyText(20), nullable=False),
        sa.Column("loose", sa.BigInteger(), nullable=False),
        sa.Column("credit", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("customer_no", name=op.f("pk_credits")),
        **INNODB,
    )


def _customer_contacts() -> None:
    op.create_table(
        "customer_contacts",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("customer_no", KeyText(20), nullable=False),
        sa.Column("contact_no", KeyText(40), nullable=False),
        sa.Column("role", KeyText(16), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("name", Sealed, nullable=False),
        sa.Column("phone", Sealed, nullable=False),
        sa.Column("phone_hash", Digest(), nullable=True),
        sa.Column("mail", Sealed, nullable=False),
        sa.Column("channels", KeyText(40), nullable=False),
        sa.Column("contact_id", RowId, nullable=True),
        sa.Column("holder", sa.Integer(), nullable=False),
        sa.Column("state", KeyText(12), nullable=False),
        sa.Column("origin", KeyText(12), nullable=False),
        sa.Column("run_id", RowId, server_default=sa.text("0"), nullable=False),
        sa.Column("row_no", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_contacts")),
        sa.UniqueConstraint(
            "customer_no", "contact_no", name=op.f("uq_customer_contacts_customer_no_contact_no")
        ),
        **INNODB,
    )
    op.create_index("ix_customer_contacts_contact", "customer_contacts", ["contact_id", "state"])
    op.create_index("ix_customer_contacts_phone", "customer_contacts", ["phone_hash"])


def _customers() -> None:
    op.create_table(
        "customers",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("customer_no", KeyText(20), nullable=False),
        sa.Column("party_no", KeyText(32), nullable=False),
        sa.Column("name", Sealed, nullable=False),
        sa.Column("name_hash", Digest(), nullable=False),
        sa.Column("address", Sealed, nullable=False),
        sa.Column("customer_class", KeyText(24), nullable=False),
        sa.Column("voltage_kv", KeyText(8), nullable=False),
        sa.Column("station", KeyText(40), nullable=False),
        sa.Column("region", KeyText(20), nullable=False),
        sa.Column("capacity_kva", sa.Double(), nullable=True),
        sa.Column("is_important", sa.Boolean(), nullable=False),
        sa.Column("is_prepaid", sa.Boolean(), nullable=False),
        sa.Column("autopay", KeyText(12), nullable=False),
        sa.Column("state", KeyText(12), nullable=False),
        sa.Column("holder", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("holder_since_on", sa.Date(), nullable=True),
        sa.Column("run_id", RowId, nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
        sa.UniqueConstraint("customer_no", name=op.f("uq_customers_customer_no")),
        **INNODB,
    )
    op.create_index("ix_customers_name", "customers", ["name_hash"])
    op.create_index("ix_customers_party", "customers", ["party_no"])
    op.create_index("ix_customers_station", "customers", ["station", "customer_no"])


def _feed_states() -> None:
    op.create_table(
        "feed_states",
        sa.Column("feed", KeyText(20), nullable=False),
        sa.Column("as_of", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=False),
        sa.Column("run_id", RowId, nullable=False),
        sa.Column("period_s", sa.Integer(), nullable=False),
        sa.Column("grace_s", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("feed", name=op.f("pk_feed_states")),
        **INNODB,
    )


def _import_cursors() -> None:
    op.create_table(
        "import_cursors",
        sa.Column("source", KeyText(40), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_import_cursors")),
        **INNODB,
    )


def _import_rejects() -> None:
    op.create_table(
        "import_rejects",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("run_id", RowId, nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("column_name", sa.String(length=100), nullable=False),
        sa.Column("reason", KeyText(40), nullable=False),
        sa.Column("message", sa.String(length=300), nullable=False),
        sa.Column("row_values", Sealed, nullable=False),
        sa.Column("is_corrected", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_rejects")),
        **INNODB,
    )
    op.create_index("ix_import_rejects_run", "import_rejects", ["run_id", "row_no"])


def _import_runs() -> None:
    op.create_table(
        "import_runs",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("feed", KeyText(20), nullable=False),
        sa.Column("source", KeyText(40), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("file_hash", Digest(), nullable=False),
        sa.Column("mapping_hash", Digest(), nullable=False),
        sa.Column("kept_as", sa.String(length=200), nullable=False),
        sa.Column("state", KeyText(12), nullable=False),
        sa.Column("file_key", Digest(), nullable=True),
        sa.Column("as_of", UtcDateTime(), nullable=False),
        sa.Column("rows_read", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows_new", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows_changed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows_same", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows_rejected", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows_loaded", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("problem", sa.String(length=500), server_default=sa.text("''"), nullable=False),
        sa.Column("corrects_run", RowId, nullable=True),
        sa.Column("started_by", KeyText(64), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_runs")),
        sa.UniqueConstraint("file_key", name=op.f("uq_import_runs_file_key")),
        **INNODB,
    )
    op.create_index("ix_import_runs_feed", "import_runs", ["feed", "id"])


def _payments() -> None:
    op.create_table(
        "payments",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("payment_no", KeyText(40), nullable=False),
        sa.Column("customer_no", KeyText(20), nullable=False),
        sa.Column("bill_no", KeyText(32), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("state", KeyText(12), nullable=False),
        sa.Column("method", KeyText(12), nullable=False),
        sa.Column("paid_at", UtcDateTime(), nullable=False),
        sa.Column("expected_on", sa.Date(), nullable=True),
        sa.Column("run_id", RowId, nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint("payment_no", name=op.f("uq_payments_payment_no")),
        **INNODB,
    )
    op.create_index("ix_payments_customer", "payments", ["customer_no", "state"])


def _rule_sets() -> None:
    op.create_table(
        "rule_sets",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("name", KeyText(40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", Digest(), nullable=False),
        sa.Column("rows", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=300), nullable=False),
        sa.Column("state", KeyText(12), nullable=False),
        sa.Column("made_by", KeyText(64), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("approved_by", KeyText(64), server_default=sa.text("''"), nullable=False),
        sa.Column("approved_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_sets")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_rule_sets_name_version")),
        **INNODB,
    )
