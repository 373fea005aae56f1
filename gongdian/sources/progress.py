"""How far an import has come (进度): told by the reading and checking of files."""

from __future__ import annotations

from collections.abc import Callable

# Rows done, all rows (an estimate while reading; None when unknown), phase: reading or checking.
Progress = Callable[[int, int | None, str], None]


def no_progress(_done: int, _total: int | None, _phase: str) -> None:
    """Nobody watches."""
