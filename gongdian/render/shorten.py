"""Shorteners (缩写): the useful end of a long text within a keyword's limit; flows call them.

Every result passes the ``thing`` check at the given limit: one line, no emoji, nothing
invisible, counted by ``characters.length``. A text with nothing visible is an InputError.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from gongdian.errors import InputError
from gongdian.render import characters

THING_LIMIT = 20
ELLIPSIS = "…"
_FILLING = " …"  # says nothing by itself
_AMOUNT_DIGITS = 10
_SMALLEST_LIMIT = 8  # the ellipsis and the widest single character with its marks

# Where an address may be cut: after an administrative word, unless the next characters show
# that the word belongs to a name (市场路, 县城, 村委会, 路口, 号楼).
_BOUNDARY = re.compile(
    r"自治区|自治州|省|州(?![路市])|(?<!超)市(?![场政民区])|县(?!城(?![关东西南北中])|[医政])|(?<![小社])区(?![政委])"
    r"|街道(?!办)|镇(?![政中])|乡(?!政)|村(?![委口部道])|路(?!口)|街(?!道)|组(?!团)|号(?![楼院公线])"
)
_RUN = re.compile(r"[0-9A-Za-z]")


def shorten_address(text: str, limit: int = THING_LIMIT) -> str:
    """Keep the end of an address: ``湖北省云溪县城关镇东关村2组18号`` -> ``…东关村2组18号``.

    Cut after 省 市 县 区 镇 乡 街道 村 路 组 号 when such a cut fits, else by characters.
    """
    line = _visible(text, limit)
    if characters.length(line) <= limit:
        return line
    body = line.strip(_FILLING)
    for boundary in _BOUNDARY.finditer(body):
        tail = body[boundary.end() :].strip()
        # A cut that would leave less than half of the room says less than a cut by characters.
        if limit // 2 <= characters.length(tail) < limit and not characters.is_mark(tail[0]):
            return ELLIPSIS + tail
    return ELLIPSIS + _tail(body, limit - 1)


def shorten_end(text: str, limit: int = THING_LIMIT) -> str:
    """Keep the beginning of a name or a reason: ``更换老旧导线，可能…``."""
    line = _visible(text, limit)
    if characters.length(line) <= limit:
        return line
    return _head(line.strip(_FILLING), limit - 1) + ELLIPSIS


def shorten_list(items: Sequence[str], limit: int = THING_LIMIT, unit: str = "个台区") -> str:
    """Several names in one value: all when they fit, else ``东关村2号公变等6个台区``.

    ``unit`` is the counted word. Raises InputError without items, or when not even
    ``共6个台区`` fits.
    """
    lines = [_visible(item, limit) for item in items]
    if not lines:
        raise InputError("shorten_nothing", "there is nothing to show")
    if len(lines) == 1:
        return shorten_end(lines[0], limit)
    whole = "、".join(lines)
    if characters.length(whole) <= limit:
        return whole
    ending = f"等{len(lines)}{unit}"
    room = limit - characters.length(ending)
    if room >= _SMALLEST_LIMIT:
        return shorten_end(lines[0], room) + ending
    total = f"共{len(lines)}{unit}"
    if characters.length(total) > limit:
        raise InputError("shorten_limit", "the counted word does not fit", limit=limit)
    return total


def fit_amount(yuan: Decimal) -> str:
    """Money for an ``amount`` keyword: ``Decimal("186452.37")`` -> ``186452.37元``.

    A sum is never rounded to fit: ``.00`` may go, else InputError ``amount_too_large``.
    Raises InputError ``amount_not_payable`` for a negative sum, or for more than two decimals.
    """
    if not yuan.is_finite() or yuan < 0:
        raise InputError("amount_not_payable", "an amount is zero or more")
    if yuan.adjusted() >= _AMOUNT_DIGITS:
        raise InputError("amount_too_large", "more than 10 digits")
    if yuan != yuan.quantize(Decimal("0.01")):
        raise InputError("amount_not_payable", "an amount is in whole fen")
    text = f"{abs(yuan):.2f}"
    if len(text.replace(".", "")) > _AMOUNT_DIGITS:
        text = text.removesuffix(".00")
    if len(text.replace(".", "")) > _AMOUNT_DIGITS:
        raise InputError("amount_too_large", "more than 10 digits")
    return f"{text}元"


def _visible(text: str, limit: int) -> str:
    if limit < _SMALLEST_LIMIT:
        raise InputError("shorten_limit", "the limit is too small to say anything", limit=limit)
    line = characters.plain(text)
    if not line.strip(_FILLING):
        raise InputError("shorten_nothing", "there is nothing to show")
    return line


def _head(text: str, room: int) -> str:
    """The longest beginning that fits, not ending inside a character or a number."""
    end = 0
    for index in range(len(text) + 1):
        if characters.length(text[:index]) > room:
            break
        if index == len(text) or not characters.is_mark(text[index]):
            end = index
    return _whole_run(text, end, -1).rstrip()


def _tail(text: str, room: int) -> str:
    """The longest end that fits, not starting inside a character or a number."""
    start = next(
        index
        for index in range(len(text) + 1)
        if characters.length(text[index:]) <= room
        and (index == len(text) or not characters.is_mark(text[index]))
    )
    return _whole_run(text, start, 1).lstrip()


def _whole_run(text: str, cut: int, step: int) -> str:
    """Move a cut out of a number or a Latin word, when something is left then."""
    moved = cut
    while 0 < moved < len(text) and _RUN.match(text[moved - 1]) and _RUN.match(text[moved]):
        moved += step
    while step > 0 and moved < len(text) and characters.is_mark(text[moved]):
        moved += 1
    kept = text[:moved] if step < 0 else text[moved:]
    if kept.strip():
        return kept
    return text[:cut] if step < 0 else text[cut:]
