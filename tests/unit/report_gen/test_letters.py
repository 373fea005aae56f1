"""The letter before a supply cut as PDF: its words, equal bytes, names that cannot be printed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pypdfium2
import pytest

from gongdian.errors import ConfigError, InputError
from report_gen.letter_texts import load_letter
from report_gen.letters import CutoffLetter, LetterBill, cutoff_letter_pdf

BILLS = (
    LetterBill("202608", date(2026, 9, 25), Decimal("61234.50"), Decimal("0.00")),
    LetterBill("202609", date(2026, 10, 25), Decimal("186452.37"), Decimal("20000.00")),
)
LETTER = CutoffLetter(
    number="TD20261121-000001",
    customer_no="9900001203457",
    customer_name="云溪恒源铸造有限公司",
    address="云溪县城关镇工业园区创业路18号",
    company="云溪县供电公司",
    phone="95598",
    as_of=date(2026, 11, 21),
    overdue_days=57,
    notice_days=7,
    earliest_cut_on=date(2026, 11, 28),
    bills=BILLS,
)


def pages_of(pdf: bytes) -> list[str]:
    """The text of each page, as a reader's program sees it."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [page.get_textpage().get_text_range() for page in document]
    finally:
        document.close()


def words_of(pdf: bytes) -> str:
    return "".join("".join(pages_of(pdf)).split())


def test_the_letter_says_whom_how_much_and_from_when():
    words = words_of(cutoff_letter_pdf(LETTER))
    for shown in (
        "停电通知书",
        "TD20261121-000001",
        "云溪恒源铸造有限公司（户号9900001203457）",
        "已超过交费期限57日",
        "欠费本金合计227,686.87元",
        "166,452.37",
        "送达之日起第7日",
        "即不早于2026年11月28日",
        "送达回执",
    ):
        assert shown in words


def test_the_columns_of_the_table_add_up():
    words = words_of(cutoff_letter_pdf(LETTER))
    assert "合计247,686.8720,000.00227,686.87" in words
    assert LETTER.principal == Decimal("227686.87")


def test_late_fee_is_named_but_never_added():
    assert "不包含在上表之内" in words_of(cutoff_letter_pdf(LETTER))


def test_equal_facts_give_equal_bytes_so_that_a_digest_proves_what_was_served():
    assert cutoff_letter_pdf(LETTER) == cutoff_letter_pdf(replace(LETTER))
    assert cutoff_letter_pdf(LETTER) != cutoff_letter_pdf(replace(LETTER, number="TD2"))


def test_a_name_with_markup_is_printed_as_it_is():
    name = "<b>恒源</b>&铸造"
    assert name in words_of(cutoff_letter_pdf(replace(LETTER, customer_name=name)))


def test_a_character_without_a_glyph_is_refused_by_name_and_not_printed_as_a_box():
    with pytest.raises(InputError) as caught:
        cutoff_letter_pdf(replace(LETTER, customer_name="𠮷源公司"))
    assert caught.value.code == "no_glyph"
    assert "U+20BB7" in str(caught.value)


def test_many_bills_go_on_to_further_pages_and_each_is_there():
    many = tuple(replace(BILLS[0], period=f"{2021 + n // 12}{n % 12 + 1:02d}") for n in range(60))
    pdf = cutoff_letter_pdf(replace(LETTER, bills=many))
    assert len(pages_of(pdf)) > 1
    assert "2025年12月" in words_of(pdf)


def test_no_line_begins_with_a_closing_mark():
    for filler in range(1, 40):
        letter = replace(LETTER, address="云" * filler + "》乡")
        for page in pages_of(cutoff_letter_pdf(letter)):
            assert not [line for line in page.splitlines() if line[:1] in set("，。；：！？》）")]


def test_a_placeholder_that_nothing_fills_is_a_setting_error():
    text = load_letter("cutoff_notice")
    with pytest.raises(ConfigError, match="letter_placeholder"):
        cutoff_letter_pdf(LETTER, replace(text, seal="{stamp}"))


def test_a_letter_file_that_lacks_a_part_is_named(tmp_path):
    (tmp_path / "short.toml").write_text('title = "停电通知书"\nother = "x"\n', "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_letter("short", tmp_path)
    assert "greeting" in str(caught.value.context["missing"])
    assert caught.value.context["unknown"] == ["other"]
