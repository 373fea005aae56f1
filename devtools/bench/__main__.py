"""``make bench``: every figure that the project promises, with its target, in one run.

``--short`` takes about three minutes; quote the long form. With ``--strict`` a missed target ends
in exit 1: for a quiet machine, since neighbours on the same cores can miss any target.
``--only`` measures one part, or several when given again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from devtools.bench import callbacks, campaign, drain, gate, imports, phones, send, workflows


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; ``target`` is empty where only the figure is asked for."""

    what: str
    value: float
    unit: str
    target: str = ""
    is_met: bool = True
    beside: str = ""


def _gate(seconds: float) -> Iterator[Figure]:
    *cycles, cold = gate.run(seconds)
    for row in cycles:
        ratio = row["ratio_median"]
        beside = f"{row['ours_median_us']:.0f} us / {row['peer_median_us']:.0f} us wechatpy"
        yield Figure(row["name"], ratio, "x CPU", "<= 0.4", ratio <= 0.4, beside)
    value = cold["ours_ms"]
    yield Figure(cold["name"], value, "ms CPU", "< 100", value < 100)


def _send(seconds: float) -> Iterator[Figure]:
    for row in send.run(seconds):
        ratio = row["ratio_median"]
        beside = f"{row['ours_median_us']:.0f} us / {row['peer_median_us']:.0f} us wechatpy"
        yield Figure(row["name"], ratio, "x CPU", "<= 0.5", ratio <= 0.5, beside)


def _callbacks(seconds: float) -> Iterator[Figure]:
    for row in callbacks.run(seconds):
        name = f"callback POST on {row['backend']}"
        steady = row["rate_per_s"] >= 0.98 * callbacks.RATE and row["not_200"] == 0
        beside = f"p50 {row['p50_ms']:.1f} ms, max {row['max_ms']:.0f} ms"
        yield Figure(f"{name}: rate kept", row["rate_per_s"], "/s", ">= 300", steady, beside)
        p99 = row["p99_ms"]
        yield Figure(f"{name}: p99", p99, "ms", "< 500", p99 < 500)
        yield Figure(f"{name}: closed loop", row["most_per_s"], "/s")


def _drain(messages: int) -> Iterator[Figure]:
    for row in drain.run(messages):
        beside = f"{row['ratio']:.2f} x the wechatpy loop, CPU {row['cpu_us']:.0f} us each"
        yield Figure(f"drain of {messages}: {row['what']}", row["per_s"], "/s", beside=beside)


def _phones(rounds: int) -> Iterator[Figure]:
    if not Path(phones.CHROMIUM).exists():
        print(f"phones page: not measured, there is no {phones.CHROMIUM}", flush=True)
        return
    for row in phones.run(rounds):
        value, target = row["median_ms"], row["target_ms"]
        beside = f"worst {row['worst_ms']:.1f} ms"
        yield Figure(row["what"], value, "ms", f"< {target:.0f}", value < target, beside)


def _workflows(is_short: bool) -> Iterator[Figure]:
    for row in workflows.run(is_short=is_short):
        yield Figure(**asdict(row))


def _campaign(is_short: bool) -> Iterator[Figure]:
    for row in campaign.run(is_short=is_short):
        yield Figure(**asdict(row))


def _imports(is_short: bool) -> Iterator[Figure]:
    for row in imports.run(is_short=is_short):
        yield Figure(**asdict(row))


_PARTS: dict[str, Callable[[bool], Iterator[Figure]]] = {
    "gate": lambda is_short: _gate(_seconds(is_short)),
    "send": lambda is_short: _send(_seconds(is_short)),
    "callbacks": lambda is_short: _callbacks(_seconds(is_short)),
    "drain": lambda is_short: _drain(2_000 if is_short else 20_000),
    "phones": lambda is_short: _phones(3 if is_short else 5),
    "workflows": _workflows,
    "imports": _imports,
    "campaign": _campaign,
}


def _seconds(is_short: bool) -> float:
    return 6.0 if is_short else 20.0


def _print(figure: Figure) -> None:
    mark = "" if not figure.target else ("ok" if figure.is_met else "MISSED")
    value = f"{figure.value:.3f}" if figure.unit == "x CPU" else f"{figure.value:.1f}"
    print(
        f"{figure.what:58} {value:>9} {figure.unit:6} {figure.target:7} {mark:6} {figure.beside}",
        flush=True,
    )


def main() -> int:
    """Measure, print, and say whether every target is met."""
    parser = argparse.ArgumentParser(prog="python -m devtools.bench")
    parser.add_argument("--short", action="store_true", help="about three minutes")
    parser.add_argument("--only", action="append", choices=_PARTS, help="this part; repeatable")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    options = parser.parse_args()
    figures: list[Figure] = []
    for name in options.only or _PARTS:
        for figure in _PARTS[name](options.short):
            _print(figure)
            figures.append(figure)
    if options.json:
        rows: list[dict[str, Any]] = [asdict(figure) for figure in figures]
        options.json.write_text(json.dumps(rows, ensure_ascii=False, indent=1), "utf-8")
    missed = [figure.what for figure in figures if not figure.is_met]
    print(f"bench: {len(figures)} figures, {len(missed)} targets missed", *missed, sep="\n  ")
    return 1 if missed and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
