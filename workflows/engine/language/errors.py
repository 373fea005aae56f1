"""What goes wrong while ASL is read or evaluated (语言错误), in AWS's names."""

from __future__ import annotations

ALL = "States.ALL"
BRANCH_FAILED = "States.BranchFailed"
DATA_LIMIT_EXCEEDED = "States.DataLimitExceeded"
HEARTBEAT_TIMEOUT = "States.HeartbeatTimeout"
INTRINSIC_FAILURE = "States.IntrinsicFailure"
NO_CHOICE_MATCHED = "States.NoChoiceMatched"
RESULT_PATH_MATCH_FAILURE = "States.ResultPathMatchFailure"
RUNTIME = "States.Runtime"
TASK_FAILED = "States.TaskFailed"
TIMEOUT = "States.Timeout"


class StatesError(Exception):
    """A state failed: ``error`` is the name that Retry and Catch match, ``cause`` is for people.

    Either may be None: a Fail state need not give them.
    """

    def __init__(self, error: str | None, cause: str | None) -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause


class DefinitionError(Exception):
    """A part of a definition cannot be compiled; ``location`` is its place: ``/States/A/Next``."""

    def __init__(self, message: str, location: str = "") -> None:
        super().__init__(message, location)
        self.message = message
        self.location = location

    def at(self, prefix: str) -> DefinitionError:
        """The same error seen from further out."""
        return DefinitionError(self.message, prefix + self.location)
