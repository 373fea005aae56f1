"""Checks on Python files one by one: size, names, docstrings, printing."""

from __future__ import annotations

import ast
import fnmatch
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.tree import python_paths, syntax_of, text_of

FILE_LINES, FILE_AIM = 500, 300
FUNCTION_LINES, FUNCTION_AIM = 80, 40
VAGUE_NAMES = {"utils", "util", "common", "manager", "helpers", "helper", "misc", "data", "info"}
# Everything public in these files says what it takes and gives.
DESCRIBED = (
    "gongdian/*.py",
    "gongdian/*/service.py",
    "gongdian/outbox/*.py",
    "gongdian/render/*.py",
    "report_gen/*.py",
    "wechat_handlers/*.py",
)
DESCRIBED_METHODS = ("gongdian/ports.py", "gongdian/wechat_ports.py")
MAY_PRINT = ("server/", "devtools/")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions_of(tree: ast.AST) -> Iterator[Function]:
    """All functions, nested ones and methods included."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def lines_of(function: Function) -> int:
    """Lines from ``def`` to the last statement."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def too_long_files(root: Path, limit: int = FILE_LINES) -> list[str]:
    """Python files with more lines than ``limit``."""
    sizes = {name: len(text_of(root, name).splitlines()) for name in python_paths(root)}
    return [f"{name}: {size} lines" for name, size in sizes.items() if size > limit]


def too_long_functions(root: Path, limit: int = FUNCTION_LINES) -> list[str]:
    """Functions with more lines than ``limit``."""
    return [
        f"{name}:{function.lineno}: {function.name} has {lines_of(function)} lines"
        for name in python_paths(root)
        for function in functions_of(syntax_of(root, name))
        if lines_of(function) > limit
    ]


def vague_names(root: Path) -> list[str]:
    """Modules and packages whose name says nothing."""
    return [
        f"{name}: name the thing it holds"
        for name in python_paths(root)
        if VAGUE_NAMES & {Path(part).stem for part in Path(name).parts}
    ]


def filled_init_files(root: Path) -> list[str]:
    """Package files that hold anything."""
    inits = (name for name in python_paths(root) if Path(name).name == "__init__.py")
    return [f"{name}: must be empty" for name in inits if text_of(root, name).strip()]


def undescribed(root: Path) -> list[str]:
    """Modules, and public names of ``DESCRIBED`` files, that have no docstring."""
    findings = []
    for name in python_paths(root):
        if name.startswith("tests/") or not text_of(root, name).strip():
            continue
        tree = syntax_of(root, name)
        if not ast.get_docstring(tree):
            findings.append(f"{name}: says neither its role nor who calls it")
        if any(_matches(name, pattern) for pattern in DESCRIBED):
            bodies = [tree.body]
            if name in DESCRIBED_METHODS:
                bodies += [node.body for node in tree.body if isinstance(node, ast.ClassDef)]
            for body in bodies:
                findings += [f"{name}:{line}: {what}" for line, what in _silent(body)]
    return findings


def _matches(name: str, pattern: str) -> bool:
    """Match folder by folder: a star does not cross a slash."""
    names, patterns = name.split("/"), pattern.split("/")
    return len(names) == len(patterns) and all(map(fnmatch.fnmatchcase, names, patterns))


def _silent(body: list[ast.stmt]) -> Iterator[tuple[int, str]]:
    for node in body:
        named = isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
        if named and not ast.get_docstring(node):
            yield node.lineno, f"{node.name} has no docstring"


def prints(root: Path) -> list[str]:
    """Calls of ``print`` outside the rooms that talk to a terminal."""
    return [
        f"{name}:{node.lineno}: print"
        for name in python_paths(root)
        if not name.startswith(MAY_PRINT)
        for node in ast.walk(syntax_of(root, name))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
