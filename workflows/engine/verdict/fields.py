"""Which fields a state may have (字段表): by type, and by query language.

Sources: ASL specification, "State type / field" tables; Step Functions Developer Guide, pages of
the eight states. AWS refuses every other field ("Field 'X' is not supported").
"""

from __future__ import annotations

from collections.abc import Mapping

from workflows.engine.verdict.nodes import JSONATA, JSONPATH, Node

MACHINE = ("Comment", "QueryLanguage", "StartAt", "States", "TimeoutSeconds", "Version")

_ALWAYS = frozenset({"Type", "Comment", "QueryLanguage"})
_ONWARD = frozenset({"Next", "End"})
_PATHS = frozenset({"InputPath", "OutputPath"})
_OUT = frozenset({"Output", "Assign"})
_PAYLOAD = frozenset({"Parameters", "ResultPath"})
_RESULT = frozenset({"ResultSelector", "Retry", "Catch"})
_COMMON = _ALWAYS | _ONWARD | _PATHS | _OUT

BY_TYPE: dict[str, frozenset[str]] = {
    "Pass": _COMMON | _PAYLOAD | {"Result"},
    "Task": _COMMON
    | _PAYLOAD
    | _RESULT
    | {"Resource", "Arguments", "Credentials"}
    | {"TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath"},
    "Choice": _ALWAYS | _PATHS | _OUT | {"Choices", "Default"},
    "Wait": _COMMON | {"Seconds", "SecondsPath", "Timestamp", "TimestampPath"},
    "Succeed": _ALWAYS | _PATHS | {"Output"},
    "Fail": _ALWAYS | {"Error", "ErrorPath", "Cause", "CausePath"},
    "Parallel": _COMMON | _PAYLOAD | _RESULT | {"Arguments", "Branches"},
    "Map": _COMMON
    | _PAYLOAD
    | _RESULT
    | {"ItemProcessor", "Iterator", "Items", "ItemsPath", "ItemSelector", "MaxConcurrency"}
    | {"MaxConcurrencyPath", "Label", "ItemReader", "ItemBatcher", "ResultWriter"}
    | {"ToleratedFailureCount", "ToleratedFailureCountPath"}
    | {"ToleratedFailurePercentage", "ToleratedFailurePercentagePath"},
}

ONLY_JSONPATH = (
    "InputPath",
    "OutputPath",
    "Parameters",
    "ResultSelector",
    "ResultPath",
    "Result",
    "ItemsPath",
    "SecondsPath",
    "TimestampPath",
    "TimeoutSecondsPath",
    "HeartbeatSecondsPath",
    "MaxConcurrencyPath",
    "ToleratedFailureCountPath",
    "ToleratedFailurePercentagePath",
    "ErrorPath",
    "CausePath",
)
ONLY_JSONATA = ("Arguments", "Output", "Items")

LANGUAGES = (JSONPATH, JSONATA)


def check_state_fields(state: Node, kind: str, is_downgraded: bool) -> None:
    """Fields that the type does not have, then fields of the other query language.

    AWS does not name the fields of a state that may not have its query language at all.
    """
    allowed = BY_TYPE[kind]
    state.allow_only(allowed)
    if not is_downgraded:
        state.belongs_to(JSONPATH, (name for name in ONLY_JSONPATH if name in allowed))
        state.belongs_to(JSONATA, (name for name in ONLY_JSONATA if name in allowed))


def language_of(fields: object, inherited: str) -> str:
    """The language a machine or state is read in: what it says, or what it inherits.

    As AWS does: anything but exactly "JSONPath" is taken for JSONata, besides being refused.
    """
    if not isinstance(fields, Mapping) or "QueryLanguage" not in fields:
        return inherited
    return JSONPATH if fields["QueryLanguage"] == JSONPATH else JSONATA
