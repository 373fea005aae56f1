"""Says whether requirements*.txt still fit requirements*.in, without any network.

Called by ``make check`` and by tests/architecture. It sees: a name that was added to or removed
from an .in file and not compiled, a pin that breaks an ``==`` of the .in file, a pin without
version or hash, a pin that nothing asks for, two files that pin one package differently, an
index address that slipped in. It cannot see what only a package index knows: newer versions,
withdrawn files, or that the needs of a package have changed. ``make lock`` answers those.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

RUNTIME = "requirements.txt"
DEV = "requirements-dev.txt"
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==(?P<version>[^\s;\\]+)")
_ASKED = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?\s*(?P<rest>.*)$")


@dataclass(frozen=True, slots=True)
class Pin:
    """One pinned package: its version, how many hashes, and who asks for it."""

    version: str
    hashes: int
    asked_by: frozenset[str]


def canonical(name: str) -> str:
    """The one spelling of a package name: ``prometheus_client`` -> ``prometheus-client``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_asked(path: Path) -> dict[str, str]:
    """Names of an .in file with their version limits; files named by ``-r`` are not followed."""
    asked: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.split("#")[0].strip()
        found = _ASKED.match(text)
        if found:
            asked[canonical(found["name"])] = found["rest"]
    return asked


def read_pins(path: Path) -> dict[str, Pin]:
    """Pins of a compiled file, with what its ``# via`` comments say."""
    pins: dict[str, Pin] = {}
    block: list[str] = []
    for line in [*path.read_text(encoding="utf-8").splitlines(), "end"]:
        if line and not line[0].isspace() and block:
            _take(block, pins)
            block = []
        block.append(line)
    return pins


def _take(block: list[str], pins: dict[str, Pin]) -> None:
    found = _PIN.match(block[0])
    if not found:
        return
    comments = [line.strip()[1:].strip() for line in block if line.strip().startswith("#")]
    asked_by = {text.removeprefix("via").strip() for text in comments} - {""}
    hashes = sum("--hash=sha256:" in line for line in block)
    pins[canonical(found["name"])] = Pin(found["version"], hashes, frozenset(asked_by))


def check_pair(root: Path, source: str, compiled: str) -> list[str]:
    """Findings about one .in file and the .txt compiled from it."""
    asked = read_asked(root / source)
    pins = read_pins(root / compiled)
    marker = f"-r {source}"
    findings = [f"{compiled}: {name} of {source} is missing" for name in asked if name not in pins]
    for name, pin in pins.items():
        direct = marker in pin.asked_by
        if direct and name not in asked:
            findings.append(f"{compiled}: {name} is no longer in {source}")
        if not pin.hashes:
            findings.append(f"{compiled}: {name} has no hash")
        if not pin.asked_by:
            findings.append(f"{compiled}: nobody asks for {name}")
        limit = asked.get(name, "")
        if limit.startswith("==") and limit[2:].strip() != pin.version:
            findings.append(f"{compiled}: {name} is {pin.version}, {source} says {limit}")
    return findings


def check_shared(root: Path) -> list[str]:
    """Findings about runtime pins that the dev file lacks or pins differently."""
    runtime, dev = read_pins(root / RUNTIME), read_pins(root / DEV)
    return [
        f"{DEV}: {name} is {dev[name].version if name in dev else 'missing'}, "
        f"{RUNTIME} has {pin.version}"
        for name, pin in runtime.items()
        if name not in dev or dev[name].version != pin.version
    ]


def check_addresses(root: Path) -> list[str]:
    """Findings about index addresses: they would bind every user to one mirror."""
    return [
        f"{path.name}: line {number} names an address"
        for path in sorted(root.glob("requirements*.*"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "://" in line or re.search(r"--(?:extra-)?index-url|--find-links", line)
    ]


def check_requirements(root: Path) -> list[str]:
    """All findings for the project at ``root``; an empty list is good."""
    return [
        *check_pair(root, "requirements.in", RUNTIME),
        *check_pair(root, "requirements-dev.in", DEV),
        *check_shared(root),
        *check_addresses(root),
    ]


def main() -> int:
    """Print the findings; 1 when there are any."""
    findings = check_requirements(Path(__file__).parents[1])
    for finding in findings:
        print(finding)
    if findings:
        print("run `make lock`")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
