"""Faults of a file as a whole (整体拒绝): one clear error each, and nothing else."""

from __future__ import annotations

import resource
import traceback
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from gongdian.errors import ConfigError, InputError, UpstreamError
from gongdian.sources.checking import check_file
from gongdian.sources.checks import Known
from tests.unit.sources.feed_files import (
    BALANCE,
    NOW,
    check,
    check_rows,
    csv_text,
    good_of,
    mapping_of,
    rows_of,
    write_csv,
)


def refused(tmp_path: Path, content: bytes, feed: str = "balances") -> InputError:
    path = tmp_path / "in.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        check(tmp_path, feed, path)
    assert caught.value.context["problem"], "people are told in Chinese"
    return caught.value


def text_of(count: int = 3, feed: str = "balances") -> str:
    return csv_text(rows_of(feed, count))


def test_utf8_where_gb18030_is_expected_is_refused_with_what_it_seems_to_be(tmp_path: Path) -> None:
    error = refused(tmp_path, text_of(3, "payments").encode(), "payments")
    assert error.code == "wrong_encoding"
    assert (error.context["expected"], error.context["found"]) == ("GB18030", "UTF-8")


def test_gb18030_where_utf8_is_expected_is_refused_at_its_byte(tmp_path: Path) -> None:
    error = refused(tmp_path, text_of().encode("gb18030"))
    assert error.code == "wrong_encoding"
    assert (error.context["found"], error.context["row"], error.context["byte"]) == (
        "GB18030",
        1,
        0,
    )


def test_one_wrong_byte_far_into_the_file_is_named_with_row_and_byte(tmp_path: Path) -> None:
    good = csv_text(rows_of("balances", 20_000)).encode()
    error = refused(tmp_path, good + b"\xff\xfe,1,2\n")
    assert error.code == "wrong_encoding"
    assert error.context["byte"] == len(good)
    assert error.context["row"] == 20_002
    assert "第 20002 行" in str(error.context["problem"])


def test_utf16_is_refused_as_such(tmp_path: Path) -> None:
    assert refused(tmp_path, text_of().encode("utf-16")).context["found"] == "UTF-16"


def test_a_character_cut_at_the_end_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, text_of().encode() + "户".encode()[:2]).code == "wrong_encoding"


def test_missing_headings_are_named_with_what_the_file_has(tmp_path: Path) -> None:
    error = refused(tmp_path, text_of().replace("可用余额", "剩余金额").encode())
    assert error.code == "missing_columns"
    assert error.context["missing"] == ["可用余额"]
    problem = str(error.context["problem"])
    assert "缺少列：可用余额" in problem
    assert "剩余金额" in problem
    assert "户号、剩余金额、测算时间" in problem


def test_an_unknown_heading_is_refused(tmp_path: Path) -> None:
    rows = [row | {"备注": ""} for row in rows_of("balances", 2)]
    error = refused(tmp_path, csv_text(rows).encode())
    assert error.code == "unknown_columns"
    assert "备注" in str(error.context["problem"])


def test_a_heading_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, text_of().replace("测算时间", "户号").encode())
    assert error.code == "duplicate_columns"


@pytest.mark.parametrize("content", ["", "\n", "\ufeff\n", "户号,可用余额,测算时间\n"])
def test_a_file_without_rows_is_refused(tmp_path: Path, content: str) -> None:
    assert refused(tmp_path, content.encode()).code in ("empty_file", "missing_columns")


def test_a_file_that_ends_inside_quotes_is_refused_at_the_row(tmp_path: Path) -> None:
    text = text_of() + '"9900000000009,1.00,2026-11-20 06:00:00\n9900000000010,1,x\n'
    error = refused(tmp_path, text.encode())
    assert (error.code, error.context["row"]) == ("truncated_file", 5)


def test_a_last_line_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, (text_of() + "9900000000009,1.0").encode())
    assert (error.code, error.context["row"]) == ("truncated_file", 5)


def test_a_last_line_without_line_end_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(text_of().rstrip("\n"), encoding="utf-8")
    assert check(tmp_path, "balances", path).rows_good == 3


@pytest.mark.parametrize("start", ["", '"'])
def test_an_endless_line_is_refused_without_reading_it_into_memory(
    tmp_path: Path, start: str
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = tmp_path / "in.csv"
    with path.open("wb") as file:
        file.write(text_of().encode() + start.encode())
        for _ in range(200):
            file.write(b"9" * (1 << 20))
    with pytest.raises(InputError) as caught:
        check(tmp_path, "balances", path)
    assert (caught.value.code, caught.value.context["row"]) == ("endless_line", 5)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_quotes_that_swallow_line_after_line_are_refused(tmp_path: Path) -> None:
    line = "9900000000009,1.00,2026-11-20 06:00:00\n"
    error = refused(tmp_path, (text_of() + '"' + line * 60_000).encode())
    assert (error.code, error.context["row"]) == ("endless_line", 5)


def test_a_row_of_endless_cells_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, (text_of() + '"' + 'x\n","' * 400_000).encode())
    assert (error.code, error.context["row"]) == ("endless_line", 5)


def test_nul_bytes_are_refused_at_their_row(tmp_path: Path) -> None:
    error = refused(tmp_path, (text_of() + "99\0,1,2\n").encode())
    assert (error.code, error.context["row"]) == ("nul_bytes", 5)


def test_swapped_columns_are_named_and_nothing_is_taken(tmp_path: Path) -> None:
    rows = rows_of("bills", 30)
    for row in rows:
        row["应收电费"], row["发行日期"] = row["发行日期"], row["应收电费"]
    with pytest.raises(InputError) as caught:
        check_rows(tmp_path, "bills", rows)
    assert caught.value.code == "swapped_columns"
    assert caught.value.context["columns"] == [["应收电费", "发行日期"]]
    assert "“应收电费”与“发行日期”两列可能对调" in str(caught.value.context["problem"])


def test_swapped_days_are_found_by_their_order(tmp_path: Path) -> None:
    rows = rows_of("bills", 30)
    for row in rows:
        row["发行日期"], row["交费截止日期"] = "2026-11-22", "2026-11-05"
    with pytest.raises(InputError) as caught:
        check_rows(tmp_path, "bills", rows)
    assert caught.value.context["columns"] == [["发行日期", "交费截止日期"]]


def test_a_file_of_mostly_bad_rows_is_refused_with_the_reasons(tmp_path: Path) -> None:
    rows = rows_of("balances", 20)
    for row in rows[:11]:
        row["可用余额"] = "多"
    with pytest.raises(InputError) as caught:
        check_rows(tmp_path, "balances", rows)
    assert caught.value.code == "mostly_bad"
    assert "20 行中有 11 行有误（不是金额" in str(caught.value.context["problem"])


def test_half_of_the_rows_bad_is_not_most(tmp_path: Path) -> None:
    rows = rows_of("balances", 20)
    for row in rows[:10]:
        row["可用余额"] = "多"
    assert check_rows(tmp_path, "balances", rows).rows_rejected == 10


def test_a_few_rows_are_told_one_by_one_however_bad(tmp_path: Path) -> None:
    rows = rows_of("balances", 2)
    for row in rows:
        row["可用余额"] = "多"
    assert check_rows(tmp_path, "balances", rows).rows_rejected == 2


def test_a_bom_is_no_part_of_the_first_heading(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    for mark in ("", "\ufeff"):
        path.write_text(mark + text_of(), encoding="utf-8")
        assert check(tmp_path, "balances", path).headings == tuple(BALANCE)


def test_gb18030_is_read_with_rare_characters_and_chunks_cut_anywhere(tmp_path: Path) -> None:
    rows = rows_of("customers", 4000)
    for number, row in enumerate(rows):
        row["户名"] = "䶮㑇𠮷" * (number % 5 + 1)  # two and four bytes
    path = tmp_path / "in.csv"
    path.write_bytes(csv_text(rows).encode("gb18030"))
    mapping = mapping_of("customers")
    object.__setattr__(mapping, "encoding", "gb18030")
    checked = check_file(path, mapping, tmp_path / "work", Known(now=NOW))
    assert [row[0] for row in good_of(checked, "name")] == [row["户名"] for row in rows]


def test_windows_line_ends_and_columns_in_another_order_are_fine(tmp_path: Path) -> None:
    rows = rows_of("balances", 3)
    text = csv_text(rows, ["测算时间", "户号", "可用余额"]).replace("\n", "\r\n")
    path = tmp_path / "in.csv"
    path.write_bytes(text.encode())
    checked = check(tmp_path, "balances", path)
    assert good_of(checked, "row_no", "balance") == [(2, -1236), (3, -1236), (4, -1236)]


def test_a_full_disk_is_told_without_a_word_of_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise duckdb.IOException("could not write 9900000000001,张三")

    monkeypatch.setattr("gongdian.sources.checking.check_keys", fail)
    with pytest.raises(UpstreamError) as caught:
        check_rows(tmp_path, "balances", rows_of("balances", 3))
    assert caught.value.code == "check_failed"
    shown = "".join(traceback.format_exception(caught.value))
    assert "张三" not in shown.replace('"could not write 9900000000001,张三"', "")


def test_a_pattern_that_duckdb_does_not_know_is_a_fault_of_the_mapping(tmp_path: Path) -> None:
    mapping = mapping_of("balances")
    columns = (replace(mapping.columns[0], pattern="(?=9)9+"), *mapping.columns[1:])
    path = write_csv(tmp_path / "in.csv", "balances", rows_of("balances", 3))
    with pytest.raises(ConfigError) as caught:
        check_file(path, replace(mapping, columns=columns), tmp_path / "work", Known())
    assert caught.value.context["key"] == "户号"


def test_progress_tells_how_far_reading_and_checking_are(tmp_path: Path) -> None:
    told: list[tuple[int, int | None, str]] = []
    path = write_csv(tmp_path / "in.csv", "balances", rows_of("balances", 120_000))
    mapping = mapping_of("balances")
    check_file(path, mapping, tmp_path / "work", Known(), lambda *one: told.append(one))
    assert [one[0] for one in told if one[2] == "reading"] == [49_999, 99_999]
    assert all(one[1] and one[1] > 100_000 for one in told if one[2] == "reading")
    assert told[-2:] == [(0, 120_000, "checking"), (120_000, 120_000, "checking")]


def test_a_second_try_in_the_same_work_folder_begins_anew(tmp_path: Path) -> None:
    for _ in range(2):
        checked = check_rows(tmp_path, "balances", rows_of("balances", 3))
        assert checked.rows_good == 3
        checked.close()
