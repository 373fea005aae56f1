"""Versions of state machines (流程版本): immutable, numbered, compiled once in a process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from gongdian.db import AnyRow, Session, insert_once
from gongdian.errors import ConflictError, InputError, NotFoundError
from gongdian.workflow_tables import workflow_versions
from workflows.engine.compiling import compile_machine
from workflows.engine.documents import read_json
from workflows.engine.home import checked_name
from workflows.engine.language.errors import DefinitionError
from workflows.engine.profile import refuse_unsupported
from workflows.engine.states import Machine
from workflows.engine.verdict.check import check_definition

STANDARD, EXPRESS = "STANDARD", "EXPRESS"
_KEPT_COMPILED = 500


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a machine."""

    id: int
    machine: str
    number: int
    kind: str
    definition: str
    created_at: datetime


def load_definition(text: str, kind: str = STANDARD) -> Machine:
    """Check and compile a definition; InputError names every place and reason.

    Refused is what AWS refuses, and what AWS runs and this engine does not yet.
    """
    findings = [one for one in check_definition(text, kind) if one.severity == "ERROR"]
    if findings:
        lines = "; ".join(f"{one.message} at {one.location}" for one in findings)
        raise InputError("InvalidDefinition", f"Invalid State Machine Definition: {lines}")
    document = read_json(text)
    refuse_unsupported(document)
    try:
        return compile_machine(document)
    except DefinitionError as error:
        text = f"{error.message} at {error.location}"
        raise InputError("InvalidDefinition", text) from error


def publish(
    session: Session, machine: str, text: str, now: datetime, kind: str = STANDARD
) -> Version:
    """Make a definition the machine's newest version; the newest again changes nothing."""
    checked_name(machine)
    digest = hashlib.sha256(f"{kind}\x00{text}".encode()).digest()
    newest = _newest(session, machine)
    if newest is not None and newest.digest == digest:
        return _version(newest)
    load_definition(text, kind)
    values = {
        "machine": machine,
        "number": newest.number + 1 if newest is not None else 1,
        "kind": kind,
        "digest": digest,
        "definition": text,
        "created_at": now,
    }
    if not insert_once(session, workflow_versions, values):
        raise ConflictError("version_race", "the machine was published at the same time")
    published = _newest(session, machine)
    if published is None:
        raise NotFoundError("StateMachineDoesNotExist", machine)
    return _version(published)


def _newest(session: Session, machine: str) -> AnyRow | None:
    of = workflow_versions.c
    found = select(workflow_versions).where(of.machine == machine)
    return session.execute(found.order_by(of.number.desc()).limit(1)).one_or_none()


def _version(row: AnyRow) -> Version:
    return Version(row.id, row.machine, row.number, row.kind, row.definition, row.created_at)


def find_version(session: Session, machine: str, number: int | None = None) -> Version:
    """A machine's newest version, or the one of a number; NotFoundError."""
    of = workflow_versions.c
    if number is None:
        row = _newest(session, machine)
    else:
        found = select(workflow_versions).where(of.machine == machine, of.number == number)
        row = session.execute(found).one_or_none()
    if row is None:
        which = machine if number is None else f"{machine}:{number}"
        text = f"State Machine Does Not Exist: '{which}'"
        raise NotFoundError("StateMachineDoesNotExist", text)
    return _version(row)


def list_versions(session: Session, machine: str | None = None) -> list[Version]:
    """All versions, the newest of each machine first."""
    of = workflow_versions.c
    found = select(workflow_versions).order_by(of.machine, of.number.desc())
    if machine is not None:
        found = found.where(of.machine == machine)
    return [_version(row) for row in session.execute(found)]


class CompiledVersions:
    """The machines of one process, by version id; for one thread and one database."""

    def __init__(self) -> None:
        self._definitions: dict[int, str] = {}
        self._machines: dict[int, Machine] = {}

    def fetch(self, session: Session, version_ids: set[int]) -> None:
        """Read the definitions that are not known yet."""
        missing = version_ids - set(self._definitions)
        if not missing:
            return
        if len(self._definitions) + len(missing) > _KEPT_COMPILED:
            self._definitions.clear()
            self._machines.clear()
            missing = version_ids
        of = workflow_versions.c
        rows = session.execute(select(of.id, of.definition).where(of.id.in_(missing)))
        self._definitions |= {row.id: row.definition for row in rows}

    def machine(self, version_id: int) -> Machine:
        """The machine of a version that was fetched, compiled when it is first asked for.

        What this release cannot compile (a later one published it) raises here.
        """
        if version_id not in self._machines:
            text = self._definitions[version_id]
            self._machines[version_id] = compile_machine(read_json(text))
        return self._machines[version_id]
