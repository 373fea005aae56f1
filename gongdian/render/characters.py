"""What one character of a message is (字符): length, Chinese, emoji, invisible.

Called by the keyword limits and by the shorteners, which must agree on every point.
"""

from __future__ import annotations

import re
import unicodedata

# Controls, format characters (bidi overrides would let a name disguise an amount), lone
# surrogates, private use (shown as a box on phones), line and paragraph separators.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})

_HAN = re.compile(
    "[\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]", re.UNICODE
)

# What nearly every value is made of: none of it is refused, and no category need be looked up.
_HARMLESS = re.compile("[ -~\u4e00-\u9fff\u3001\u3002\uff08\uff09\uff0c\uff1a\uff1b\u2160-\u216b]*")

# Everything that phones draw as a picture. The blocks 2600-27BF are taken whole but for the two
# stars that Chinese offices use; ``\ufe0f`` and ``\u20e3`` make pictures of ordinary characters.
_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\u2600-\u2604\u2607-\u27bf\u20e3\ufe0f"
    "\u203c\u2049\u231a\u231b\u2328\u23cf\u23e9-\u23fa\u25fb-\u25fe"
    "\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299]"
)

MOST_MARKS = 2
GETA = "〓"  # what Chinese printers set for a character that the typeface lacks


def length(text: str) -> int:
    """Characters as we count them against the platform's limits.

    Whether the platform counts code points or UTF-16 units is not documented, so the larger of
    the two counts, which is always the UTF-16 one: a rare character such as 𠮷 takes two.
    """
    if text.isascii() or max(text) <= "\uffff":
        return len(text)
    return len(text) + sum(character > "\uffff" for character in text)


def is_han(character: str) -> bool:
    """Whether this is a Chinese character (汉字), rare ones and U+3007 (zero) included."""
    return _HAN.fullmatch(character) is not None


def has_emoji(text: str) -> bool:
    """Whether a phone would draw a picture somewhere in the text."""
    return _EMOJI.search(text) is not None


def has_refused(text: str) -> bool:
    """Whether the text holds a line break, control, invisible or private-use character."""
    if _HARMLESS.fullmatch(text):
        return False
    return any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in text)


def is_mark(character: str) -> bool:
    """Whether this combines with the character before it, so that no cut may stand between."""
    return unicodedata.category(character).startswith("M")


def is_symbol(character: str) -> bool:
    """Whether this is punctuation or another sign: no letter, digit, Chinese character, blank."""
    return unicodedata.category(character)[0] in "PS"


def plain(text: str) -> str:
    """The text as one line that every text keyword takes.

    Blanks and line breaks become one space, invisible characters and emoji go, a private-use
    character (a home-made rare name) becomes ``〓``. A character keeps at most two marks, so
    that one of them always fits; marks that stand on no letter go.
    """
    kept: list[str] = []
    for character in " ".join(_EMOJI.sub("", text).split()):
        category = unicodedata.category(character)
        if category == "Co":
            kept.append(GETA)
        elif category.startswith("M"):
            if _takes_mark(kept):
                kept.append(character)
        elif category not in _REFUSED_CATEGORIES:
            kept.append(character)
    # Again, because a control between two blanks may have gone.
    return " ".join("".join(kept).split())


def _takes_mark(kept: list[str]) -> bool:
    before = kept[-3:]
    marks = 0
    while before and is_mark(before[-1]):
        before.pop()
        marks += 1
    return marks < MOST_MARKS and bool(before) and before[-1].isalnum()
