"""The arrears flow."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from gongdian.columns import Digest, KeyText, RowId, UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

Sealed = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
INNODB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}


def upgrade() -> None:
    """Add the tables."""
    _arrears_answers()
    _arrears_campaigns()
    _arrears_cases()
    _arrears_holds()
    _arrears_letters()
    _arrears_recipients()
    _arrears_steps()
    _arrears_worklist()


def downgrade() -> None:
    """Take them away again."""
    for name in (
        "arrears_worklist",
        "arrears_steps",
        "arrears_recipients",
        "arrears_letters",
        "arrears_holds",
        "arrears_cases",
        "arrears_campaigns",
        "arrears_answers",
    ):
        op.drop_table(name)


def _arrears_answers() -> None:
    op.create_table(
        "arrears_answers",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("case_id", RowId, nullable=False),
        sa.Column("customer_no", KeyText(20), nullable=False),
        sa.Column("anchor_on", sa.Date(), nullable=False),
        sa.Column("contact_id", RowId, nullable=True),
        sa.Column("message_key", KeyText(190), nullable=False),
        sa.Column("answer", KeyText(12), nullable=False),
        sa.Column("note", Sealed, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrears_answers")),
        **INNODB,
    )
    op.create_index("ix_arrears_answers_case", "arrears_answers", ["case_id", "id"])
    op.create_index("ix_arrears_answers_message", "arrears_answers", ["message_key"])


def _arrears_campaigns() -> None:
    op.create_table(
        "arrears_campaigns",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("code", KeyText(40), nullable=False),
        sa.Column("state", KeyText(12), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("as_of_on", sa.Date(), nullable=False),
        sa.Column("rules", KeyText(60), nullable=False),
        sa.Column("prepared_to", KeyText(40), server_default=sa.text("''"), nullable=False),
        sa.Column("ran_to", RowId, server_default=sa.text("0"), nullable=False),
        sa.Column("planned", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("left_out", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("queued", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("dropped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("made_by", KeyText(64), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("approved_by", KeyText(64), server_default=sa.text("''"), nullable=False),
        sa.Column("approved_at", UtcDateTime(), nullable=True),
        sa.Column("cancelled_by", KeyText(64), server_default=sa.text("''"), nullable=False),
        sa.Column("cancel_reason", Sealed, nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("approval_token", Sealed, nullable=True),
        sa.Column("delivery_token", Sealed, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrears_campaigns")),
        sa.UniqueConstraint("code", name=op.f("uq_arrears_campaigns_code")),
        **INNODB,
    )
    op.create_index("ix_arrears_campaigns_state", "arrears_campaigns", ["state", "id"])


def _arrears_cases() -> None:
    op.create_table(
        "arrears_cases",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("customer_no", KeyText(20), nullable=False),
        sa.Column("party_no", KeyText(32), nullable=False),
        sa.Column("holder", sa.Integer(), nullable=False),
        sa.Column("state", KeyText(12), nullable=False),
        sa.Column("open_key", KeyText(20), nullable=True),
        sa.Column("anchor_on", sa.Date(), nullable=False),
        sa.Column("principal", sa.BigInteger(), nullable=False),
        sa.Column("bill_count", sa.Integer(), nullable=False),
        sa.Column("stage", sa.SmallInteger(), nullable=False),
        sa.Column("stage_at", UtcDateTime(), nullable=True),
        sa.Column("next_on", sa.Date(), nullable=True),
        sa.Column("paused_by", KeyText(40), server_default=sa.text("''"), nullable=False),
        sa.Column("rules", KeyText(60), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("close_reason", KeyText(40), server_default=sa.text("''"), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrears_cases")),
        sa.UniqueConstraint("open_key", name=op.f("uq_arrears_cases_open_key")),
        **INNODB,
    )
    op.create_index("ix_arrears_cases_customer", "arrears_cases", ["customer_no", "id"])
    op.create_index("ix_arrears_cases_party", "arrears_cases", ["party_no", "state"])
    op.create_index("ix_arrears_cases_state", "arrears_cases", ["state", "next_on"])


def _arrears_holds() -> None:
    op.create_table(
        "arrears_holds",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("customer_no", KeyText(20), nullable=False),
        sa.Column("kind", KeyText(16), nullable=False),
        sa.Column("reason", Sealed, nullable=False),
        sa.Column("until", UtcDateTime(), nullable=True),
        sa.Column("made_by", KeyText(64), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("ended_by", KeyText(64), server_default=sa.text("''"), nullable=False),
        sa.Column("end_reason", Sealed, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrears_holds")),
        **INNODB,
    )
    op.create_index("ix_arrears_holds_customer", "arrears_holds", ["customer_no", "ended_at"])


def _arrears_letters() -> None:
    op.create_table(
        "arrears_letters",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("case_id", RowId, nullable=False),
        sa.Column("customer_no", KeyText(20), nullable=False),
        sa.Column("anchor_on", sa.Date(), nullable=False),
        sa.Column("number", KeyText(40), nullable=False),
        sa.Column("state", KeyText(12), nullable=False),
        sa.Column("principal", sa.BigInteger(), nullable=False),
        sa.Column("earliest_cut_on", sa.Date(), nullable=False),
        sa.Column("notice_days", sa.SmallInteger(), nullable=False),
        sa.Column("rules", sa.String(length=300), nullable=False),
        sa.Column("prepared_by", KeyText(64), nullable=False),
        sa.Column("prepared_at", UtcDateTime(), nullable=False),
        sa.Column("approved_by", KeyText(64), server_default=sa.text("''"), nullable=False),
        sa.Column("approved_at", UtcDateTime(), nullable=True),
        sa.Column("proof_kind", KeyText(12), server_default=sa.text("''"), nullable=False),
        sa.Column("proof_ref", Sealed, nullable=True),
        sa.Column("served_at", UtcDateTime(), nullable=True),
        sa.Column("void_reason", Sealed, nullable=True),
        sa.Column("pdf", Sealed, nullable=True),
        sa.Column("pdf_digest", Digest(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrears_letters")),
        sa.UniqueConstraint("number", name=op.f("uq_arrears_letters_number")),
        **INNODB,
    )
    op.create_index("ix_arrears_letters_case", "arrears_letters", ["case_id", "state"])


def _arrears_recipients() -> None:
    op.create_table(
        "arrears_recipients",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("campaign_id", RowId, nullable=False),
        sa.Column("party_no", KeyText(32), nullable=False),
        sa.Column("customer_no", KeyText(20), nullable=False),
        sa.Column("station", KeyText(40), nullable=False),
        sa.Column("stage", sa.SmallInteger(), nullable=False),
        sa.Column("kind", KeyText(40), nullable=False),
        sa.Column("recipient", KeyText(40), nullable=False),
        sa.Column("state", KeyText(12), nullable=False),
        sa.Column("reason", KeyText(40), server_default=sa.text("''"), nullable=False),
        sa.Column("cases", sa.Text(), nullable=False),
        sa.Column("values", Sealed, nullable=False),
        sa.Column("message_key", KeyText(190), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrears_recipients")),
        sa.UniqueConstraint(
            "campaign_id",
            "party_no",
            "stage",
            "recipient",
            "customer_no",
            name=op.f("uq_arrears_recipients_campaign_id_party_no_stage_recipient_customer_no"),
        ),
        **INNODB,
    )
    op.create_index(
        "ix_arrears_recipients_counts",
        "arrears_recipients",
        ["campaign_id", "stage", "kind", "station", "state"],
    )
    op.create_index(
        "ix_arrears_recipients_state", "arrears_recipients", ["campaign_id", "state", "id"]
    )


def _arrears_steps() -> None:
    op.create_table(
        "arrears_steps",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("case_id", RowId, nullable=False),
        sa.Column("anchor_on", sa.Date(), nullable=False),
        sa.Column("stage", sa.SmallInteger(), nullable=False),
        sa.Column("campaign_id", RowId, nullable=False),
        sa.Column("taken_at", UtcDateTime(), nullable=False),
        sa.Column("rules", KeyText(60), nullable=False),
        sa.Column("proven_on", sa.Date(), nullable=True),
        sa.Column("proof_kind", KeyText(12), server_default=sa.text("''"), nullable=False),
        sa.Column("proof_ref", Sealed, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrears_steps")),
        sa.UniqueConstraint(
            "case_id", "anchor_on", "stage", name=op.f("uq_arrears_steps_case_id_anchor_on_stage")
        ),
        **INNODB,
    )


def _arrears_worklist() -> None:
    op.create_table(
        "arrears_worklist",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("open_key", KeyText(120), nullable=True),
        sa.Column("kind", KeyText(16), nullable=False),
        sa.Column("customer_no", KeyText(20), nullable=False),
        sa.Column("station", KeyText(40), nullable=False),
        sa.Column("case_id", RowId, nullable=True),
        sa.Column("note", Sealed, nullable=False),
        sa.Column("state", KeyText(12), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.Column("done_by", KeyText(64), server_default=sa.text("''"), nullable=False),
        sa.Column("outcome", Sealed, nullable=True),
        sa.Column("is_escalated", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrears_worklist")),
        sa.UniqueConstraint("open_key", name=op.f("uq_arrears_worklist_open_key")),
        **INNODB,
    )
    op.create_index("ix_arrears_worklist_customer", "arrears_worklist", ["customer_no", "state"])
    op.create_index("ix_arrears_worklist_state", "arrears_worklist", ["state", "due_at"])
