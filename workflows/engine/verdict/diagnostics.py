"""What the verdict says (诊断): one Diagnostic for each fault, in the words of AWS.

Codes are those of AWS's ValidateStateMachineDefinitionDiagnostic; a location is a path such as
``/States/A/Catch[0]/Next``, ``/`` for the machine itself and empty when AWS gives none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SCHEMA = "SCHEMA_VALIDATION_FAILED"
INVALID_JSON = "INVALID_JSON_DESCRIPTION"
MISSING_DESCRIPTION = "MISSING_DESCRIPTION"
MISSING_TARGET = "MISSING_TRANSITION_TARGET"
MISSING_END = "MISSING_END_STATE"
DUPLICATE_STATE = "DUPLICATE_STATE_NAME"
INVALID_STATE_NAME = "INVALID_STATE_NAME"
DUPLICATE_LABEL = "DUPLICATE_LABEL_NAME"
INVALID_LABEL = "INVALID_LABEL_NAME"
INVALID_VARIABLE = "INVALID_VARIABLE_NAME"
RESERVED_VARIABLE = "RESERVED_VARIABLE_NAME"
DUPLICATE_VARIABLE = "DUPLICATE_VARIABLE_NAME"
TOO_DEEP = "TOO_DEEPLY_NESTED"
TOO_LARGE = "DEFINITION_TOO_LARGE"  # AWS answers a ValidationException of the call itself


@dataclass(frozen=True)
class Diagnostic:
    """One fault: refused when ``severity`` is ERROR; ``message`` is for people."""

    severity: Literal["ERROR", "WARNING"]
    code: str
    location: str
    message: str

    def __str__(self) -> str:
        """As CreateStateMachine prints it: ``CODE: message at location`` (``null`` for none)."""
        return f"{self.code}: {self.message} at {self.location or 'null'}"


class Report:
    """The diagnostics found so far, in order of finding."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []

    def add(self, code: str, location: str, message: str) -> None:
        """Note an error."""
        self.diagnostics.append(Diagnostic("ERROR", code, location, message))

    def schema(self, location: str, message: str) -> None:
        """Note an error of the code that most have."""
        self.add(SCHEMA, location, message)
