"""Small definitions for the verdict's tests, and their faults as (code, location, message)."""

from __future__ import annotations

from typing import Any

from workflows.engine.verdict.check import check_definition

FUNCTION = "arn:aws-cn:lambda:cn-north-1:123456789012:function:notify"
INVOKE = "arn:aws:states:::lambda:invoke"
ACTIVITY = "arn:aws:states:cn-north-1:123456789012:activity:inspect"
SCHEMA = "SCHEMA_VALIDATION_FAILED"
A = "/States/A"
REFERENCE = "Value is not a Reference Path"
UNDOLLARED = f"{REFERENCE}: Reference path didn't start with '$'"
PATH = "Value must be a valid JSONPath."
STRING = "Expected value of type [STRING]"
INTEGER = "Expected value of type [INTEGER]"
UNCLOSED = "JSONata string must start with {% and end with %}"
ONE_WAY = "This object should have only one of the following fields: [Next, End]"


def machine(state: dict[str, Any], **top: Any) -> dict[str, Any]:
    """A machine of one state A; ``top`` are fields of the machine."""
    return {"StartAt": "A", "States": {"A": state}, **top}


def passing(**fields: Any) -> dict[str, Any]:
    """A Pass state that ends."""
    return {"Type": "Pass", "End": True, **fields}


def task(**fields: Any) -> dict[str, Any]:
    """A Task that ends."""
    return {"Type": "Task", "Resource": FUNCTION, "End": True, **fields}


def jsonata(**fields: Any) -> dict[str, Any]:
    """A Pass state in JSONata."""
    return passing(QueryLanguage="JSONata", **fields)


def mapping(inner: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A Map that ends, over one state I."""
    states = {"I": passing()} if inner is None else inner
    return {
        "Type": "Map",
        "End": True,
        "ItemProcessor": {"StartAt": "I", "States": states},
        **fields,
    }


def distributed(config: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A distributed Map; ``config`` replaces its ProcessorConfig."""
    found = mapping(**fields)
    default = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    found["ItemProcessor"]["ProcessorConfig"] = default if config is None else config
    return found


def parallel(*branches: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A Parallel that ends."""
    return {"Type": "Parallel", "End": True, "Branches": list(branches), **fields}


def choice(*rules: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A machine whose Choice A leads to B."""
    state = {"Type": "Choice", "Choices": list(rules), **fields}
    return {"StartAt": "A", "States": {"A": state, "B": {"Type": "Succeed"}}}


def faults(definition: str | dict[str, Any], kind: str = "STANDARD") -> list[tuple[str, str, str]]:
    """What is wrong with a definition."""
    found = check_definition(definition, kind)
    assert all(one.severity == "ERROR" for one in found)
    return [(one.code, one.location, one.message) for one in found]


def foreign(language: str, field: str) -> str:
    """What is said of a field of the other query language."""
    other = "JSONata" if language == "JSONPath" else "JSONPath"
    return (
        f"The QueryLanguage is set to '{language}', but field '{field}' is only supported for the "
        f"'{other}' QueryLanguage"
    )


def dynamic(field: str) -> str:
    """What is said of a ``.$`` field that fetches nothing."""
    return f"The value for the field '{field}' must be a valid JSONPath or a valid intrinsic " + (
        "function call"
    )
