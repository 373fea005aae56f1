"""Printed letters (信函) as PDF: facts and words in, bytes out; edges call it before they approve.

The same facts give the same bytes, so that a kept digest proves what was served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from html import escape
from io import BytesIO
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table

from report_gen.fonts import FONT, register_font, require_glyphs
from report_gen.letter_texts import LetterText, load_letter

_GREY = HexColor("#8c8c8c")
_HEAD = HexColor("#f0f2f5")
# The frame keeps 6 points free at each side.
_WIDTH = A4[0] - 50 * mm - 12
_BODY = ParagraphStyle("body", fontName=FONT, fontSize=10.5, leading=16.5, wordWrap="CJK")
_INDENTED = ParagraphStyle("indented", parent=_BODY, firstLineIndent=21, spaceAfter=2)
_TITLE = ParagraphStyle("title", parent=_BODY, fontSize=20, leading=28, alignment=TA_CENTER)
_SUBTITLE = ParagraphStyle("subtitle", parent=_BODY, fontSize=12, alignment=TA_CENTER)
_RIGHT = ParagraphStyle("right", parent=_BODY, alignment=TA_RIGHT)
_CELL = ParagraphStyle("cell", parent=_BODY, fontSize=10, leading=14)
_CELL_RIGHT = ParagraphStyle("cell_right", parent=_CELL, alignment=TA_RIGHT)
_BILL_HEADS = ("电费年月", "交费截止日", "应收电费（元）", "已交（元）", "欠费本金（元）")


@dataclass(frozen=True, slots=True)
class LetterBill:
    """One unpaid bill of the letter; amounts in yuan."""

    period: str
    due_on: date
    amount: Decimal
    paid: Decimal

    @property
    def principal(self) -> Decimal:
        """What is still to be paid."""
        return self.amount - self.paid


@dataclass(frozen=True, slots=True)
class CutoffLetter:
    """The facts of a letter before a supply cut (停电通知书)."""

    number: str
    customer_no: str
    customer_name: str
    address: str
    company: str
    phone: str
    as_of: date
    overdue_days: int
    notice_days: int
    earliest_cut_on: date
    bills: tuple[LetterBill, ...]

    @property
    def principal(self) -> Decimal:
        """All unpaid principal [yuan]."""
        return sum((bill.principal for bill in self.bills), Decimal(0))


def cutoff_letter_pdf(letter: CutoffLetter, text: LetterText | None = None) -> bytes:
    """The letter as PDF (A4); InputError ``no_glyph`` when a name cannot be printed."""
    register_font()
    words = (text or load_letter("cutoff_notice")).fill(_values(letter))
    require_glyphs(_all_text(letter, words))
    story: list[Flowable] = [
        Paragraph(escape(words.title), _TITLE),
        Paragraph(escape(words.subtitle), _SUBTITLE),
        Paragraph(escape(f"编号：{letter.number}"), _RIGHT),
        Spacer(1, 4 * mm),
        Paragraph(escape(words.greeting), _BODY),
        *(Paragraph(escape(one), _INDENTED) for one in words.paragraphs),
        Paragraph(escape(f"用电地址：{letter.address}"), _INDENTED),
        Spacer(1, 2 * mm),
        _bill_table(letter),
        Spacer(1, 3 * mm),
        *(Paragraph(escape(one), _INDENTED) for one in words.after_table),
        Spacer(1, 2 * mm),
        KeepTogether(
            [
                Paragraph(escape(words.signed), _RIGHT),
                Paragraph(escape(words.seal), _RIGHT),
                Paragraph(_day(letter.as_of), _RIGHT),
            ]
        ),
        Spacer(1, 5 * mm),
        KeepTogether(_receipt(words)),
    ]
    return _build(story, title=f"{words.title} {letter.number}", author=letter.company)


def _values(letter: CutoffLetter) -> dict[str, str]:
    return {
        "number": letter.number,
        "customer_name": letter.customer_name,
        "customer_no": letter.customer_no,
        "as_of": _day(letter.as_of),
        "principal": f"{letter.principal:,.2f}",
        "overdue_days": str(letter.overdue_days),
        "notice_days": str(letter.notice_days),
        "earliest": _day(letter.earliest_cut_on),
        "company": letter.company,
        "phone": letter.phone,
    }


def _all_text(letter: CutoffLetter, words: LetterText) -> str:
    rows = "".join(label + value for label, value in words.receipt_rows)
    texts = (words.title, words.subtitle, words.greeting, words.signed, words.seal, rows)
    return "".join((*texts, *words.paragraphs, *words.after_table, letter.address, letter.number))


def _day(on: date) -> str:
    return f"{on.year}年{on.month}月{on.day}日"


def _bill_table(letter: CutoffLetter) -> Table:
    rows: list[list[Any]] = [[Paragraph(head, _CELL) for head in _BILL_HEADS]]
    for bill in letter.bills:
        rows.append(
            [
                Paragraph(f"{bill.period[:4]}年{int(bill.period[4:])}月", _CELL),
                Paragraph(bill.due_on.isoformat(), _CELL),
                *_amounts(bill.amount, bill.paid, bill.principal),
            ]
        )
    amount = sum((bill.amount for bill in letter.bills), Decimal(0))
    paid = sum((bill.paid for bill in letter.bills), Decimal(0))
    total = _amounts(amount, paid, letter.principal)
    rows.append([Paragraph("合计", _CELL), Paragraph("", _CELL), *total])
    grid = [
        ("GRID", (0, 0), (-1, -1), 0.5, _GREY),
        ("BACKGROUND", (0, 0), (-1, 0), _HEAD),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
    ]
    return Table(rows, colWidths=_shares(18, 20, 22, 18, 22), style=grid, repeatRows=1)


def _amounts(*amounts: Decimal) -> list[Paragraph]:
    return [Paragraph(f"{amount:,.2f}", _CELL_RIGHT) for amount in amounts]


def _receipt(words: LetterText) -> list[Flowable]:
    rows = [
        [Paragraph(escape(label), _CELL), Paragraph(_kept_blanks(value), _CELL)]
        for label, value in words.receipt_rows
    ]
    grid = [
        ("GRID", (0, 0), (-1, -1), 0.5, _GREY),
        ("BACKGROUND", (0, 0), (0, -1), _HEAD),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
        ("TOPPADDING", (0, 0), (-1, -1), 4),
    ]
    table = Table(rows, colWidths=_shares(26, 74), style=grid)
    return [Paragraph(escape(words.receipt_title), _SUBTITLE), Spacer(1, 2 * mm), table]


def _kept_blanks(text: str) -> str:
    """Blanks to write into stay; the library would join them."""
    return escape(text).replace("\u3000", "\u00a0" * 4)


def _shares(*shares: int) -> Sequence[float]:
    return [_WIDTH * share / sum(shares) for share in shares]


def _build(story: list[Flowable], *, title: str, author: str) -> bytes:
    out = BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=25 * mm,
        rightMargin=25 * mm,
        topMargin=16 * mm,
        bottomMargin=17 * mm,
        title=title,
        author=author,
        invariant=1,  # no time of making inside: equal facts, equal bytes
    )
    document.build(story, onFirstPage=_foot, onLaterPages=_foot)
    return out.getvalue()


def _foot(canvas: Canvas, document: SimpleDocTemplate) -> None:
    canvas.saveState()
    canvas.setFont(FONT, 9)
    canvas.setFillColor(_GREY)
    canvas.drawCentredString(A4[0] / 2, 12 * mm, f"第 {document.page} 页")
    canvas.restoreState()
