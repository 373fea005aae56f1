"""Checks on the grid: flows are rows, folders are columns, the same file name in each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from gongdian.flows import FLOWS, Flow
from tests.architecture.tree import paths

# Where a file is either a flow's or on the column's own list. A flow may split its file by
# adding a suffix: arrears.py, arrears_stages.py. tests/flows is open: it also holds stories of
# the house.
OWN_FILES: dict[str, set[str]] = {
    "workflows": {
        "__init__.py",
        "engine",
        "intents.py",
        "selfcheck.asl.json",
        "selfcheck.py",
        "shipped.py",
        "tasks.py",
    },
    "wechat_handlers": {
        "__init__.py",
        "accounts.py",
        "callbacks.py",
        "crypto.py",
        "documents.py",
        "events.py",
        "gate.py",
        "handling.py",
        "kept_replies.py",
        "links.py",
        "messages.py",
        "metrics.py",
        "oauth.py",
        "pages.py",
        "preferences.py",
        "processing.py",
        "receive.py",
        "replies.py",
        "router.py",
        "rules.py",
        "spool.py",
        "subscriptions.py",
        "wire.py",
    },
    "docs/flows": {"README.md"},
}


def half_flows(root: Path, flows: Sequence[Flow] = FLOWS) -> list[str]:
    """Files that a begun flow lacks: a flow is whole or absent."""
    present = set(paths(root))
    findings = []
    for flow in flows:
        begun = any(name in present for name in flow.files()) or any(
            name.startswith(f"gongdian/{flow.name}/") for name in present
        )
        if begun:
            findings += [
                f"{flow.name}: {name} is missing" for name in flow.files() if name not in present
            ]
    return findings


def stray_rows(root: Path, flows: Sequence[Flow] = FLOWS) -> list[str]:
    """Files in a column that belong to no flow and are not the column's own."""
    names = {flow.name for flow in flows}
    findings = []
    for path in paths(root):
        for column, own in OWN_FILES.items():
            if path.startswith(f"{column}/"):
                first = PurePosixPath(path).relative_to(column).parts[0]
                if first not in own and not _belongs(first, names):
                    findings.append(f"{path}: no flow, and not {column}'s own")
    return findings


def _belongs(filename: str, flow_names: set[str]) -> bool:
    stem = filename.split(".")[0]
    return any(stem == flow or stem.startswith(f"{flow}_") for flow in flow_names)
