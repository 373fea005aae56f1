"""The one font of printed papers (字体): registered once a process, asked for what it can draw.

The file lies in templates/fonts with its licence; it is embedded in every paper as a subset.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from reportlab.lib import textsplit
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import paragraph

from gongdian.errors import InputError

FONT = "WenQuanYiMicroHei"
FONT_FILE = Path(__file__).resolve().parents[1] / "templates" / "fonts" / "wqy-microhei.ttc"
# The library breaks lines by Japanese rules, which lack these (GB/T 15834: not at a line's start).
_NOT_AT_START = "，：；！？》〉℃"
_LAYOUT = {"\n", "\u3000", "\u00a0"}


@cache
def register_font() -> TTFont:
    """Make the font known to the PDF library, and where Chinese lines may not break."""
    textsplit.ALL_CANNOT_START = paragraph.ALL_CANNOT_START = (
        textsplit.ALL_CANNOT_START + _NOT_AT_START
    )
    font = TTFont(FONT, str(FONT_FILE), subfontIndex=0)
    registerFont(font)
    return font


def require_glyphs(text: str) -> None:
    """InputError ``no_glyph`` naming the characters that the font cannot draw.

    An empty box in the name of a letter's receiver would make the letter worthless.
    """
    known = register_font().face.charToGlyph
    missing = sorted({one for one in text if ord(one) not in known and one not in _LAYOUT})
    if missing:
        shown = " ".join(f"{one} (U+{ord(one):04X})" for one in missing[:10])
        raise InputError("no_glyph", f"the font of printed papers has no {shown}")
