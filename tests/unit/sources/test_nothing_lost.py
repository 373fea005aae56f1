"""Every row of a file is good, rejected, or counted as a repetition (一行不丢): property test."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from gongdian.errors import InputError
from gongdian.sources.checking import check_file
from gongdian.sources.checks import Known
from tests.unit.sources.feed_files import NOW, PAYMENT, mapping_of, write_xlsx

HEADINGS = list(PAYMENT)
CELLS = {
    "交易流水号": ["T1", "T2", "T3", "T4", "T5", "", "T 6"],
    "户号": ["9900000000001", "9900000000002", "9900000000003", "12", ""],
    "应收编号": ["YS1", "", "坏"],
    "金额": ["1", "120.50", "0", "-1", "1.005", "=1", "x,y", '"', " 3 "],
    "状态": ["已销账", "在途", "已冲正", "不明"],
    "交费方式": ["微信", "柜台", "a\nb"],
    "交易时间": ["2026-11-21 09:30:00", "2026/11/21 09:30:00", "2026-11-31 09:30:00", "昨天"],
    "预计扣款日": ["", "2026-11-25", "25"],
}
ROW = st.tuples(*(st.sampled_from(CELLS[heading]) for heading in HEADINGS)).map(list)
# Most rows are good, or the file would be refused as a whole.
GOOD = st.builds(
    lambda number, amount: [f"G{number}", *list(PAYMENT.values())[1:3], amount, *_REST],
    st.integers(1, 30),
    st.sampled_from(["1.00", "2.00"]),
)
_REST = list(PAYMENT.values())[4:]
ODD = st.lists(st.sampled_from(["a", "", '"', "x\ny"]), min_size=2, max_size=12)
BLANK = st.sampled_from([[], [""], [""] * 8, [" "] * 8])
ROWS = st.lists(st.one_of(GOOD, GOOD, GOOD, GOOD, ROW, ODD, BLANK), min_size=1, max_size=30)


def _is_row(cells: list[str]) -> bool:
    return any(cell.strip() for cell in cells)


def _told(path: Path, work: Path) -> tuple[int, list[int], list[int], int]:
    """Rows read, numbers of good rows, of rejected ones, how many were repetitions."""
    known = Known(customers=["9900000000001", "9900000000002"], now=NOW)
    checked = check_file(path, mapping_of("payments"), work, known)
    query = checked.connection.execute
    good = [row[0] for row in query("SELECT row_no FROM good").fetchall()]
    bad = [row[0] for row in query("SELECT DISTINCT row_no FROM rejects ORDER BY 1").fetchall()]
    assert (checked.rows_good, checked.rows_rejected) == (len(good), len(bad))
    checked.close()
    return checked.rows_read, good, bad, checked.rows_duplicate


def _hold(rows: list[list[str]], told: tuple[int, list[int], list[int], int]) -> None:
    read, good, bad, repeated = told
    numbers = {number for number, row in enumerate(rows, 2) if _is_row(row)}
    assert read == len(numbers)
    assert not set(good) & set(bad)
    assert set(good) | set(bad) <= numbers
    assert len(good) + len(bad) + repeated == read
    assert good == sorted(good)
    by_number = dict(enumerate(rows, 2))
    clean = {number: [cell.strip() for cell in by_number[number]] for number in numbers}
    for number in numbers - set(good) - set(bad):  # a repetition is of a row that is told
        assert any(clean[number] == clean[other] for other in (*good, *bad))


@settings(max_examples=30)
@given(rows=ROWS, quotes=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_no_row_of_a_csv_file_is_lost(rows: list[list[str]], quotes: int) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=quotes, lineterminator="\r\n")
    writer.writerow(HEADINGS)
    writer.writerows(rows)
    with TemporaryDirectory() as folder:
        path = Path(folder, "in.csv")
        path.write_bytes(text.getvalue().encode("gb18030"))
        try:
            told = _told(path, Path(folder, "work"))
        except InputError as error:
            assert error.code in ("mostly_bad", "swapped_columns", "empty_file")  # noqa: PT017
            return
        _hold(rows, told)


@settings(max_examples=12)
@given(rows=ROWS)
def test_no_row_of_a_workbook_is_lost(rows: list[list[str]]) -> None:
    with TemporaryDirectory() as folder:
        path = write_xlsx(Path(folder, "in.xlsx"), [HEADINGS, *rows])
        try:
            told = _told(path, Path(folder, "work"))
        except InputError as error:
            assert error.code in ("mostly_bad", "swapped_columns", "empty_file")  # noqa: PT017
            return
        padded = [row + [""] * (8 - len(row)) for row in rows]
        _hold(padded, told)
