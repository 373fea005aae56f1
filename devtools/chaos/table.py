"""How results are told (结果表); ``__main__`` prints it."""

from __future__ import annotations

from devtools.chaos.checks import Result
from devtools.chaos.fallback_checks import FallbackFigures


def result_text(result: Result) -> str:
    """One run as a table of figures, its notes and its failures."""
    shown = "honoured" if result.honours_id else "NOT honoured"
    head = f"{result.run} | {result.backend}, {result.workers} worker(s), client_msg_id {shown}"
    rows = [
        ("messages, by final state", f"{result.messages}: {_counts(result.states)}"),
        ("kills; of a sending worker", f"{result.kills}; {result.kills_inside}"),
        ("runs of workers that left messages", f"{result.workers_lost}"),
        ("attempts; with a lost lease", f"{result.attempts}; {result.leases_lost}"),
        ("cards; beyond a message's first", f"{result.cards}; {result.shown_again}"),
        ("delivered, never shown", f"{result.delivered_not_shown}"),
        ("unknown: shown; not shown", f"{result.unknown_shown}; {result.unknown_not_shown}"),
        ("failed or expired, and shown", f"{result.ended_otherwise_shown}"),
        *(_fallback_rows(result.fallback) if result.fallback else ()),
        ("faults injected", _counts(result.faults) or "none"),
        ("callbacks", _counts(result.callbacks)),
        ("receipts that matched nothing", f"{result.receipts_unmatched}"),
        ("longest pause, lost leases included", f"{result.longest_pause_s:.1f} s"),
        ("audit rows, sealed and sound", f"{result.audit_rows}"),
        ("took", f"{result.seconds:.0f} s"),
    ]
    lines = [head, *(f"  {name:<38}{value}" for name, value in rows)]
    lines += [f"  note: {note}" for note in result.notes]
    lines += [f"  FAILED: {failure}" for failure in result.failures]
    return "\n".join(lines)


def _fallback_rows(figures: FallbackFigures) -> list[tuple[str, str]]:
    doubt = f"{figures.texts_in_doubt_shown}; {figures.texts_in_doubt_not_shown}"
    return [
        ("ended, by channel", _counts(figures.ended)),
        ("went on to the next channel", _counts(figures.went_on) or "none"),
        ("text messages shown; mails shown", f"{figures.texts}; {figures.mails}"),
        ("text in doubt: shown; not shown", doubt),
        ("shown by several channels", _counts(figures.on_several) or "none"),
        ("taken by WeChat, no receipt came", f"{figures.without_receipt}"),
        ("text messages cost", f"{figures.cost_fen / 100:.2f} yuan"),
    ]


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count)
