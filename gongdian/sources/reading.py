"""Reading of a file that came (文件读取): CSV or XLSX into one work file for DuckDB.

Called by ``gongdian.sources.checks``. A fault of the file as a whole is an InputError whose
context holds ``problem``, a Chinese sentence for the person who sent it.
"""

from __future__ import annotations

from pathlib import Path

from gongdian.sources.csv_files import read_csv
from gongdian.sources.mapping import Mapping
from gongdian.sources.progress import Progress
from gongdian.sources.work_rows import RowsRead, RowWriter, refuse
from gongdian.sources.xlsx_files import is_workbook, read_xlsx


def read_rows(path: Path, mapping: Mapping, work: Path, progress: Progress) -> RowsRead:
    """The rows of ``path`` in files below ``work``; InputError for a fault of the whole file."""
    if not path.stat().st_size:
        raise refuse("empty_file", "文件为空", "no bytes")
    writer = RowWriter(work, mapping.delimiter)
    try:
        if is_workbook(path):
            read_xlsx(path, mapping, work, writer, progress)
        else:
            read_csv(path, mapping, writer, progress)
        return writer.finish()
    finally:
        writer.close()
