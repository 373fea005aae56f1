"""``python -m devtools.fuzz``: hostile callbacks at the gate, or with ``--http`` at its address."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from devtools.fuzz.callbacks import Fuzzer, fuzz_query_strings, print_report
from devtools.fuzz.over_http import http_fuzzer


def main() -> int:
    """Fuzz as asked on the command line; 1 if anything happened that must not."""
    parser = argparse.ArgumentParser(prog="python -m devtools.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--http", action="store_true", help="the whole callback address")
    arguments = parser.parse_args()
    if arguments.http:
        with (
            tempfile.TemporaryDirectory() as folder,
            http_fuzzer(arguments.seed, Path(folder)) as fuzzer,
        ):
            report = fuzzer.run(arguments.inputs)
            print(f"{fuzzer.stored()} callbacks stored")
    else:
        fuzz_query_strings(arguments.inputs // 20, arguments.seed)
        report = Fuzzer(arguments.seed).run(arguments.inputs)
    print_report(report)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
