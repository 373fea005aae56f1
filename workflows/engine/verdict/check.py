"""AWS's verdict on a definition (定义裁决): what CreateStateMachine accepts and refuses.

``check_definition`` judges as ValidateStateMachineDefinition does, in AWS's words where they are
known. Sources: ASL specification; Step Functions API Reference and Developer Guide; AWS's answers
in the conformance cases. Warnings (NO_DOLLAR and so on) refuse nothing and are not given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from workflows.engine.verdict.diagnostics import INVALID_JSON, Diagnostic, Report
from workflows.engine.verdict.json_text import parse_definition, too_deep, within_limit
from workflows.engine.verdict.machines import check_machine

__all__ = ["KINDS", "Diagnostic", "check_definition"]

KINDS = ("STANDARD", "EXPRESS")


def check_definition(
    definition: str | Mapping[str, Any], kind: str = "STANDARD"
) -> list[Diagnostic]:
    """The faults of a definition, JSON text or document; an empty list: AWS accepts it.

    ``kind`` is STANDARD or EXPRESS (ValueError otherwise). The definition is not changed.
    """
    if kind not in KINDS:
        raise ValueError(f"a state machine is STANDARD or EXPRESS, not {kind!r}")
    report = Report()
    document = _document_of(definition, report)
    if report.diagnostics:
        return report.diagnostics
    if not isinstance(document, Mapping):
        report.schema("/", "Expected value of type [OBJECT]")
        return report.diagnostics
    try:
        check_machine(document, report, kind == "EXPRESS")
    except RecursionError:
        too_deep(report)
    return report.diagnostics


def _document_of(definition: str | Mapping[str, Any], report: Report) -> Any:
    if isinstance(definition, str):
        return parse_definition(definition, report)
    try:
        within_limit(json.dumps(definition, ensure_ascii=False, allow_nan=False), report)
    except RecursionError:
        too_deep(report)
    except (TypeError, ValueError) as error:
        report.add(INVALID_JSON, "", str(error))
    return definition
