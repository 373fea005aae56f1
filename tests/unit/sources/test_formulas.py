"""The guard of exported cells (公式防护) and its undoing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongdian.sources.formulas import guard_cell, unguard_cell


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r1",
        "\n=1",
        "=HYPERLINK()",
        " =1",
    ],
)
def test_what_a_spreadsheet_would_run_begins_with_an_apostrophe(text: str) -> None:
    assert guard_cell(text) == "'" + text


@pytest.mark.parametrize("text", ["-12.50", "+8613900000000", "0", "", "张三", "1=1", "a@b.cn"])
def test_numbers_and_plain_texts_stay(text: str) -> None:
    assert guard_cell(text) == text


@given(st.text(alphabet="'=+-@\t\r\n 1.a张", max_size=8) | st.text(max_size=20))
def test_guarding_is_undone_exactly_and_nothing_risky_is_left(text: str) -> None:
    guarded = guard_cell(text)
    assert unguard_cell(guarded) == text
    assert guarded[:1] not in ("=", "@", "\t", "\r")


def test_an_apostrophe_of_the_text_itself_survives() -> None:
    assert unguard_cell(guard_cell("'=1")) == "'=1"
    assert unguard_cell(guard_cell("'-12.50")) == "'-12.50"
