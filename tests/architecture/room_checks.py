"""Checks on the house as a whole: rooms, documents, contracts, vendored files."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any

from devtools.check_requirements import read_asked
from gongdian.flows import FLOWS
from tests.architecture.tree import paths, text_of

PACKAGES = {
    "gongdian",
    "report_gen",
    "workflows",
    "wechat_handlers",
    "admin_web",
    "server",
    "functions",
    "devtools",
}
FOLDERS = PACKAGES | {"templates", "tests", "docs", ".ci"}
FILES = re.compile(
    r"(\.gitignore|pyproject\.toml|serverless\.yml|Makefile|LICENSE"
    r"|requirements(-[a-z]+)?\.(in|txt)|(README|CONTRIBUTING|CHANGELOG)\.md)"
)
VENDOR = "templates/static/vendor"
MANIFEST = f"{VENDOR}/MANIFEST.sha256"
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:home|root|work|Users|mnt|opt)/[\w.]")
REGISTRY = re.compile(r"https?://[\w.-]*(?:pypi|pythonhosted|npmjs|npmmirror|goproxy)[\w.-]*")


def foreign_entries(root: Path) -> list[str]:
    """Top-level names that are no room and no known file."""
    findings = set()
    for name in paths(root):
        first, _, rest = name.partition("/")
        if (first not in FOLDERS) if rest else not FILES.fullmatch(first):
            findings.add(f"{first}: not a room of docs/decisions/0001-layout.md")
    return sorted(findings)


def contracts_of(root: Path) -> dict[str, Any]:
    """The import-linter table of pyproject.toml, contracts by id."""
    table = tomllib.loads(text_of(root, "pyproject.toml"))["tool"]["importlinter"]
    return {**table, "contracts": {entry["id"]: entry for entry in table["contracts"]}}


def named_layers(contract: dict[str, Any]) -> set[str]:
    """All module names that a layers contract places."""
    return {part.strip(" ()") for layer in contract["layers"] for part in re.split(r"[|:]", layer)}


def unplaced_packages(root: Path) -> list[str]:
    """Packages that the import contracts overlook, and flows and rooms they do not name."""
    table = contracts_of(root)
    contracts = table["contracts"]
    existing = {
        path.split("/")[0] for path in paths(root) if re.fullmatch(r"[a-z_]+/__init__\.py", path)
    } - {"tests"}
    rooms = named_layers(contracts["rooms"])
    findings = [f"{name}: not in the contract 'rooms'" for name in (existing | PACKAGES) - rooms]
    findings += [
        f"{name}: not in root_packages, so nothing checks it"
        for name in existing - set(table["root_packages"])
    ]
    inside = named_layers(contracts["inside-gongdian"])
    findings += [f"{flow.name}: has no layer" for flow in FLOWS if flow.name not in inside]
    for identifier in ("only-wiring-knows-adapters", "only-adapters-know-sdks"):
        sources = {name.split(".")[0] for name in contracts[identifier]["source_modules"]}
        findings += [
            f"{name}: not among the sources of '{identifier}'"
            for name in existing - sources - {"devtools"}
        ]
    return sorted(findings)


def misnumbered_decisions(root: Path) -> list[str]:
    """Gaps and doubles in docs/decisions/NNNN-title.md, and pages without the four parts."""
    names = [name for name in paths(root) if name.startswith("docs/decisions/")]
    findings = []
    for number, name in enumerate(names, start=1):
        if not re.fullmatch(rf"{number:04d}-[a-z0-9-]+\.md", PurePosixPath(name).name):
            findings.append(f"{name}: expected number {number:04d}")
        text = text_of(root, name)
        findings += [
            f"{name}: no part '{part}'"
            for part in ("Context", "Choice", "Price", "How to undo")
            if f"\n## {part}\n" not in text
        ]
    return findings


def unexplained_dependencies(root: Path) -> list[str]:
    """Direct dependencies that decision 6 has no row for."""
    text = text_of(root, "docs/decisions/0006-dependencies.md").lower()
    rows = {line.split()[1] for line in text.splitlines() if line.startswith("| ")}
    return [
        f"{name}: no row in decision 6"
        for name in read_asked(root / "requirements.in")
        if name not in rows
    ]


def documents(root: Path) -> list[str]:
    """The Markdown files in which commands are promised to readers."""
    return [name for name in paths(root) if name.endswith(".md") and name != "CHANGELOG.md"]


def unknown_commands(root: Path) -> list[str]:
    """``make verb`` and ``python -m module`` in documents that do not exist."""
    verbs = set(re.findall(r"^([a-z-]+):", text_of(root, "Makefile"), flags=re.MULTILINE))
    findings = []
    for name in documents(root):
        text = text_of(root, name)
        findings += [
            f"{name}: make {verb}"
            for verb in re.findall(r"(?:`|^)make ([a-z-]+)", text, flags=re.MULTILINE)
            if verb not in verbs
        ]
        for module in re.findall(r"python -m ([a-z_.]+)", text):
            place = root / module.replace(".", "/")
            program = place / "__main__.py" if place.is_dir() else place.with_suffix(".py")
            if module.split(".")[0] in PACKAGES and not program.is_file():
                findings.append(f"{name}: python -m {module}")
    return findings


def server_commands(root: Path) -> set[tuple[str, ...]]:
    """Sub-commands of ``python -m server`` that documents promise: ``("audit", "verify")``."""
    promised = set()
    for name in documents(root):
        for words in re.findall(r"python -m server((?: [a-z][a-z-]*)+)", text_of(root, name)):
            promised.add(tuple(words.split()))
    return promised


def changelog_differs(root: Path) -> list[str]:
    """A changelog whose top version is not the one of pyproject.toml."""
    version = tomllib.loads(text_of(root, "pyproject.toml"))["project"]["version"]
    top = re.search(r"^## \[([^\]]+)\]", text_of(root, "CHANGELOG.md"), flags=re.MULTILINE)
    found = top[1] if top else "none"
    return [] if found == version else [f"CHANGELOG.md: top is {found}, version is {version}"]


def unlisted_assets(root: Path) -> list[str]:
    """Vendored files that differ from the manifest or lack ``<product>.LICENSE.txt``."""
    present = {name for name in paths(root) if name.startswith(f"{VENDOR}/")} - {MANIFEST}
    if not present:
        return []
    listed = {}
    for line in text_of(root, MANIFEST).splitlines():
        if line and not line.startswith("#"):
            digest, name = line.split()
            listed[f"{VENDOR}/{name}"] = digest
    findings = [f"{name}: listed but absent" for name in sorted(set(listed) - present)]
    for name in sorted(present):
        if listed.get(name) != hashlib.sha256((root / name).read_bytes()).hexdigest():
            findings.append(f"{name}: not what the manifest says")
    products = {PurePosixPath(name).name.split(".")[0] for name in present}
    licensed = {name for name in products if f"{VENDOR}/{name}.LICENSE.txt" in present}
    return findings + [f"{VENDOR}/{name}: no licence" for name in sorted(products - licensed)]


def machine_traces(root: Path) -> list[str]:
    """Absolute paths of somebody's machine, and addresses of package registries."""
    findings = []
    for name in paths(root):
        for number, line in enumerate(text_of(root, name).splitlines(), start=1):
            if MACHINE_PATH.search(line) or REGISTRY.search(line):
                findings.append(f"{name}:{number}: {line.strip()[:80]}")
    return findings
