"""How far an import is (导入进度): a bar on a terminal, a line a phase elsewhere; on stderr."""

from __future__ import annotations

import sys
import time
from typing import TextIO

PHASES = {"reading": "读取", "checking": "校验", "loading": "入库"}
_EVERY_S = 0.1
_WIDTH = 30


class ProgressLine:
    """Shows progress; ``close`` leaves the cursor at the start of an empty line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._is_terminal = self._stream.isatty()
        self._phase = ""
        self._shown_at = 0.0
        self._shown = 0

    def __call__(self, done: int, total: int | None, phase: str) -> None:
        """``done`` rows of ``total`` (None: unknown) in a phase of the import."""
        is_new = phase != self._phase
        self._phase = phase
        if not self._is_terminal:
            if is_new:
                print(f"{PHASES.get(phase, phase)}中…", file=self._stream, flush=True)
            return
        now = time.monotonic()
        if is_new or now - self._shown_at >= _EVERY_S or done == total:
            self._shown_at = now
            self._show(self._text(done, total))

    def _text(self, done: int, total: int | None) -> str:
        label = PHASES.get(self._phase, self._phase)
        if not total:
            return f"{label} {done:,} 行"
        share = min(1.0, done / total)
        filled = round(share * _WIDTH)
        return f"{label} [{'#' * filled}{'.' * (_WIDTH - filled)}] {share:4.0%} {done:,} 行"

    def _show(self, text: str) -> None:
        # Chinese characters are two columns wide; what was longer is wiped.
        width = sum(2 if ord(one) > 0x2E7F else 1 for one in text)
        self._stream.write("\r" + text + " " * max(0, self._shown - width))
        self._stream.flush()
        self._shown = width

    def close(self) -> None:
        """Wipe the bar."""
        if self._is_terminal and self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._stream.flush()
            self._shown = 0
