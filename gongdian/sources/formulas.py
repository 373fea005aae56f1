"""Formula guard (公式防护): what a spreadsheet would run gets an apostrophe.

Called by everything that writes CSV or XLSX for people, and by the reader of such files.
"""

from __future__ import annotations

import re

# What Excel, WPS or LibreOffice take for a formula or a command. Apostrophes before it are part of
# it, so that guarding can be undone: '=1 becomes ''=1 and back.
_RISKY = re.compile(r"'*(?:[\t\r\n]|[ ]*[=+\-@])")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_GUARDED = re.compile(r"'+(?:[\t\r\n]|[ ]*[=+\-@])")


def guard_cell(text: str) -> str:
    """The text as it may stand in an exported cell; plain numbers such as -12.50 stay."""
    if _RISKY.match(text) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def unguard_cell(text: str) -> str:
    """The text that ``guard_cell`` was given."""
    return text[1:] if _GUARDED.match(text) else text
