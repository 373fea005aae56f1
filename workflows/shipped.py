"""Workflow files of the house (随附流程): read, filled in, published when a worker starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from gongdian.clock import Clock
from gongdian.db import Database
from gongdian.errors import ConflictError, InputError
from workflows.engine.versions import publish
from workflows.tasks import TASKS_FUNCTION

FOLDER = Path(__file__).parent
_SUFFIX = ".asl.json"
_PLACE = re.compile(r"\$\{(\w+)\}")

# The one map of this machine; moto and AWS have their own with the same names.
SUBSTITUTIONS: Mapping[str, str] = {"Partition": "aws", "TasksFunction": TASKS_FUNCTION}


def read_workflow(
    path: Path, substitutions: Mapping[str, str] = SUBSTITUTIONS, *, is_strict: bool = True
) -> str:
    """A workflow file's text with every ``${Name}`` filled in.

    InputError names the file, and the name that nothing is known for; not strict, that one stays.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("unreadable_workflow", f"{path}: {error}") from error

    def fill(found: re.Match[str]) -> str:
        if found[1] not in substitutions and not is_strict:
            return found[0]
        if found[1] not in substitutions:
            raise InputError("unknown_substitution", f"{path}: nothing for {found[0]}")
        return substitutions[found[1]]

    return _PLACE.sub(fill, text)


def shipped_workflows(folder: Path = FOLDER) -> dict[str, Path]:
    """Machine names and files of what the house brings."""
    return {path.name.removesuffix(_SUFFIX): path for path in sorted(folder.glob(f"*{_SUFFIX}"))}


def publish_shipped(database: Database, clock: Clock) -> dict[str, int]:
    """Publish every shipped workflow that has changed; the newest version numbers."""
    found = {}
    for machine, path in shipped_workflows().items():
        text = read_workflow(path)
        wanted = partial(publish, machine=machine, text=text, now=clock.now())
        try:
            version = database.run(wanted)
        except ConflictError:  # another worker starts at the same time with the same files
            continue
        found[machine] = version.number
    return found
