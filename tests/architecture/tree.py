"""The project as a list of files; every architecture check starts here.

Checks take the root of a tree and return findings as text, so that each can be shown a bad
tree: a check that cannot fail proves nothing.
"""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def paths(root: Path) -> list[str]:
    """Files that belong to the project, relative to ``root``, sorted.

    In a git checkout: tracked ones and new ones that are not ignored. Elsewhere: all of them
    outside hidden folders.
    """
    if (root / ".git").exists():
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        listing = subprocess.run(command, cwd=root, capture_output=True, check=True, text=True)
        named = {name for name in listing.stdout.split("\0") if name}
        return sorted(name for name in named if (root / name).is_file())
    files = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(
        path.as_posix()
        for path in files
        if not any(part.startswith(".") and part != ".ci" for part in path.parts[:-1])
    )


def python_paths(root: Path) -> list[str]:
    """The Python files among ``paths``."""
    return [name for name in paths(root) if name.endswith(".py")]


def text_of(root: Path, name: str) -> str:
    """A file's text, or nothing for a binary or absent one."""
    try:
        return (root / name).read_text(encoding="utf-8")
    except (UnicodeDecodeError, FileNotFoundError):
        return ""


def syntax_of(root: Path, name: str) -> ast.Module:
    """A Python file's syntax tree."""
    return ast.parse(text_of(root, name), filename=name)


def plant(root: Path, files: dict[str, str]) -> Path:
    """Write a synthetic tree below ``root`` and return it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root
