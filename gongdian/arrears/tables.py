"""Tables of the arrears flow (电费催收): cases, steps of the ladder, holds, answers, letters,
campaigns with their recipients, the worklist.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import mysql

from gongdian.columns import (
    Digest,
    EncryptedJson,
    EncryptedText,
    Fen,
    KeyText,
    RowId,
    UtcDateTime,
)
from gongdian.db import metadata

# One debt of one customer, from the first open bill until everything is settled.
cases = Table(
    "arrears_cases",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("customer_no", KeyText(20), nullable=False),
    # whose debt it is: messages about it carry this party as their subject
    Column("party_no", KeyText(32), nullable=False),
    Column("holder", Integer, nullable=False),
    Column("state", KeyText(12), nullable=False),  # open, closed
    # the customer_no while open, else NULL: a customer has one open case
    Column("open_key", KeyText(20), unique=True),
    # the ladder counts from the oldest unpaid due date
    Column("anchor_on", Date, nullable=False),
    Column("principal", Fen, nullable=False),
    Column("bill_count", Integer, nullable=False),
    # the last stage taken for this anchor; -1 none
    Column("stage", SmallInteger, nullable=False),
    Column("stage_at", UtcDateTime),
    Column("next_on", Date),
    Column("paused_by", KeyText(40), nullable=False, server_default=text("''")),
    Column("rules", KeyText(60), nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("close_reason", KeyText(40), nullable=False, server_default=text("''")),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("ix_arrears_cases_customer", "customer_no", "id"),
    Index("ix_arrears_cases_party", "party_no", "state"),
    Index("ix_arrears_cases_state", "state", "next_on"),
)

# A stage that was taken: once for a case, an anchor and a stage, for ever.
steps = Table(
    "arrears_steps",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("case_id", RowId, nullable=False),
    Column("anchor_on", Date, nullable=False),
    Column("stage", SmallInteger, nullable=False),
    Column("campaign_id", RowId, nullable=False),
    Column("taken_at", UtcDateTime, nullable=False),
    Column("rules", KeyText(60), nullable=False),
    # a demand that a clerk recorded: phone 电话, visit 上门, paper 书面; messages prove by receipts
    Column("proven_on", Date),
    Column("proof_kind", KeyText(12), nullable=False, server_default=text("''")),
    Column("proof_ref", EncryptedText("arrears_steps.proof_ref")),
    UniqueConstraint("case_id", "anchor_on", "stage"),
)

# Why a customer is not reminded (暂停催收): hold, dispute 有疑问, claimed_paid 已缴费,
# transfer 过户 (whose debt it is must be told first).
holds = Table(
    "arrears_holds",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("customer_no", KeyText(20), nullable=False),
    Column("kind", KeyText(16), nullable=False),
    Column("reason", EncryptedText("arrears_holds.reason"), nullable=False),
    # NULL: until somebody ends it
    Column("until", UtcDateTime),
    Column("made_by", KeyText(64), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("ended_by", KeyText(64), nullable=False, server_default=text("''")),
    Column("end_reason", EncryptedText("arrears_holds.end_reason")),
    Index("ix_arrears_holds_customer", "customer_no", "ended_at"),
)

# What a customer said on the page: known 已知晓, paid 已缴费, dispute 有疑问, not_mine 不是我的.
answers = Table(
    "arrears_answers",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("case_id", RowId, nullable=False),
    Column("customer_no", KeyText(20), nullable=False),
    # the debt that it is about: 已缴费 pauses once a debt
    Column("anchor_on", Date, nullable=False),
    Column("contact_id", RowId),
    Column("message_key", KeyText(190), nullable=False),
    Column("answer", KeyText(12), nullable=False),
    Column("note", EncryptedText("arrears_answers.note"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_arrears_answers_case", "case_id", "id"),
    Index("ix_arrears_answers_message", "message_key"),
)

# The letter before a supply cut (停电通知书): nothing here cuts anything.
letters = Table(
    "arrears_letters",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("case_id", RowId, nullable=False),
    Column("customer_no", KeyText(20), nullable=False),
    Column("anchor_on", Date, nullable=False),
    Column("number", KeyText(40), nullable=False, unique=True),
    # draft, approved, served, void
    Column("state", KeyText(12), nullable=False),
    Column("principal", Fen, nullable=False),
    # the day from which a cut would be lawful if the letter is served on the day of approval
    Column("earliest_cut_on", Date, nullable=False),
    Column("notice_days", SmallInteger, nullable=False),
    Column("rules", String(300), nullable=False),
    Column("prepared_by", KeyText(64), nullable=False),
    Column("prepared_at", UtcDateTime, nullable=False),
    Column("approved_by", KeyText(64), nullable=False, server_default=text("''")),
    Column("approved_at", UtcDateTime),
    # signed 签收, left 留置, mailed 邮寄, electronic 约定电子送达
    Column("proof_kind", KeyText(12), nullable=False, server_default=text("''")),
    Column("proof_ref", EncryptedText("arrears_letters.proof_ref")),
    Column("served_at", UtcDateTime),
    Column("void_reason", EncryptedText("arrears_letters.void_reason")),
    Column("pdf", LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")),
    Column("pdf_digest", Digest),
    Index("ix_arrears_letters_case", "case_id", "state"),
)

campaigns = Table(
    "arrears_campaigns",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("code", KeyText(40), nullable=False, unique=True),
    # preparing, prepared, approved, running, sent (all queued), finished, cancelled, failed
    Column("state", KeyText(12), nullable=False),
    # JSON: stations, classes, stages that it is for; empty lists mean all
    Column("scope", Text, nullable=False),
    # the China day whose facts it was prepared from
    Column("as_of_on", Date, nullable=False),
    Column("rules", KeyText(60), nullable=False),
    # how far preparing and running have come, by party_no and by recipient number
    Column("prepared_to", KeyText(40), nullable=False, server_default=text("''")),
    Column("ran_to", RowId, nullable=False, server_default=text("0")),
    Column("planned", Integer, nullable=False, server_default=text("0")),
    Column("left_out", Integer, nullable=False, server_default=text("0")),
    Column("queued", Integer, nullable=False, server_default=text("0")),
    Column("dropped", Integer, nullable=False, server_default=text("0")),
    Column("made_by", KeyText(64), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("approved_by", KeyText(64), nullable=False, server_default=text("''")),
    Column("approved_at", UtcDateTime),
    Column("cancelled_by", KeyText(64), nullable=False, server_default=text("''")),
    Column("cancel_reason", EncryptedText("arrears_campaigns.cancel_reason")),
    Column("finished_at", UtcDateTime),
    # tokens of the waiting workflow: the decision, the last delivery
    Column("approval_token", EncryptedText("arrears_campaigns.approval_token")),
    Column("delivery_token", EncryptedText("arrears_campaigns.delivery_token")),
    Index("ix_arrears_campaigns_state", "state", "id"),
)

# One line a recipient of a campaign, or one a customer who is left out.
recipients = Table(
    "arrears_recipients",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("campaign_id", RowId, nullable=False),
    Column("party_no", KeyText(32), nullable=False),
    # the first (or only) 户号; all of them are in ``cases``
    Column("customer_no", KeyText(20), nullable=False),
    Column("station", KeyText(40), nullable=False),
    Column("stage", SmallInteger, nullable=False),
    Column("kind", KeyText(40), nullable=False),
    # c<contact id> of WeChat, p<customer_contacts id> of one with a phone only; '' left out
    Column("recipient", KeyText(40), nullable=False),
    # planned; queued, delivered (an answer is awaited), closed; dropped (changed since);
    # left_out, to_do (left out, and work for people once the campaign runs)
    Column("state", KeyText(12), nullable=False),
    # why it was left out or dropped, or how it ended
    Column("reason", KeyText(40), nullable=False, server_default=text("''")),
    # JSON: [[case id, anchor, principal in fen], ...]
    Column("cases", Text, nullable=False),
    # JSON: the card's keyword values (fields), its channels, how long an answer is awaited
    Column("values", EncryptedJson("arrears_recipients.values"), nullable=False),
    Column("message_key", KeyText(190)),
    UniqueConstraint("campaign_id", "party_no", "stage", "recipient", "customer_no"),
    Index("ix_arrears_recipients_state", "campaign_id", "state", "id"),
    Index("ix_arrears_recipients_counts", "campaign_id", "stage", "kind", "station", "state"),
)

# What people must do (待办): dispute, unreachable, demand_unproven, letter_due, proof_due,
# not_mine, overdue and the rest of ``worklist.ITEM_LABELS``.
worklist = Table(
    "arrears_worklist",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    # kind:subject while open, else NULL: the same thing is asked for once
    Column("open_key", KeyText(120), unique=True),
    Column("kind", KeyText(16), nullable=False),
    Column("customer_no", KeyText(20), nullable=False),
    Column("station", KeyText(40), nullable=False),
    Column("case_id", RowId),
    Column("note", EncryptedText("arrears_worklist.note"), nullable=False),
    Column("state", KeyText(12), nullable=False),  # open, done
    Column("due_at", UtcDateTime, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
    Column("done_by", KeyText(64), nullable=False, server_default=text("''")),
    Column("outcome", EncryptedText("arrears_worklist.outcome")),
    Column("is_escalated", Boolean, nullable=False, server_default=text("0")),
    Index("ix_arrears_worklist_state", "state", "due_at"),
    Index("ix_arrears_worklist_customer", "customer_no", "state"),
)
