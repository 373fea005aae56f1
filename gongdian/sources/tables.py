"""Tables of the imports (数据导入): runs, the rows that were refused, cursors of SQL views."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, Text, text

from gongdian.columns import Digest, EncryptedJson, KeyText, RowId, UtcDateTime
from gongdian.db import metadata

import_runs = Table(
    "import_runs",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("feed", KeyText(20), nullable=False),
    Column("source", KeyText(40), nullable=False),  # the mapping's name
    Column("file_name", String(200), nullable=False),
    Column("file_hash", Digest, nullable=False),
    Column("mapping_hash", Digest, nullable=False),
    # where the file is kept, below data_dir
    Column("kept_as", String(200), nullable=False),
    # checking, loading, done, refused (broken: nothing was changed)
    Column("state", KeyText(12), nullable=False),
    # NULL but for the run that holds this file with this mapping: the same file twice is one run
    Column("file_key", Digest, unique=True),
    Column("as_of", UtcDateTime, nullable=False),
    Column("rows_read", Integer, nullable=False, server_default=text("0")),
    Column("rows_new", Integer, nullable=False, server_default=text("0")),
    Column("rows_changed", Integer, nullable=False, server_default=text("0")),
    Column("rows_same", Integer, nullable=False, server_default=text("0")),
    Column("rows_rejected", Integer, nullable=False, server_default=text("0")),
    # how far loading has come: rows of the checked file that are in
    Column("rows_loaded", Integer, nullable=False, server_default=text("0")),
    Column("problem", String(500), nullable=False, server_default=text("''")),
    # the run whose rejected rows this file corrects
    Column("corrects_run", RowId),
    Column("started_by", KeyText(64), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Index("ix_import_runs_feed", "feed", "id"),
)

import_rejects = Table(
    "import_rejects",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("run_id", RowId, nullable=False),
    # of the file as it came: the heading is row 1
    Column("row_no", Integer, nullable=False),
    # the file's own name of the column; '' when it is the row as a whole
    Column("column_name", String(100), nullable=False),
    Column("reason", KeyText(40), nullable=False),
    Column("message", String(300), nullable=False),  # Chinese, no personal data
    Column("row_values", EncryptedJson("import_rejects.row_values"), nullable=False),
    Column("is_corrected", Boolean, nullable=False, server_default=text("0")),
    Index("ix_import_rejects_run", "run_id", "row_no"),
)

import_cursors = Table(
    "import_cursors",
    metadata,
    Column("source", KeyText(40), primary_key=True),
    # JSON of the last row's cursor values
    Column("position", Text, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)
