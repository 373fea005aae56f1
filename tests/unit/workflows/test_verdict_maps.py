"""The verdict on Map and Parallel states, and on what Express machines leave out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.workflows.verdict_samples import (
    ACTIVITY,
    INVOKE,
    SCHEMA,
    distributed,
    faults,
    machine,
    mapping,
    parallel,
    passing,
    task,
)

A = "/States/A"
READER = {"Resource": "arn:aws:states:::s3:getObject", "Parameters": {"Bucket": "b", "Key": "k"}}


def _without_processor(**fields: Any) -> dict[str, Any]:
    return {"Type": "Map", "End": True, **fields}


PROCESSOR = {"StartAt": "I", "States": {"I": passing()}}


@pytest.mark.parametrize(
    ("state", "location", "message"),
    [
        (
            _without_processor(),
            A,
            "This object should have only one of the following fields: [ItemProcessor, Iterator]",
        ),
        (
            mapping(ItemSelector={}, Parameters={}),
            A,
            "There should only be one of the following fields: [ItemSelector, Parameters]",
        ),
        (mapping(MaxConcurrency=-1), f"{A}/MaxConcurrency", "Minimum value is 0"),
        (mapping(MaxConcurrency="5"), f"{A}/MaxConcurrency", "Expected value of type [INTEGER]"),
        (
            mapping(MaxConcurrency=1, MaxConcurrencyPath="$.n"),
            A,
            "There should only be one of the following fields: "
            "[MaxConcurrency, MaxConcurrencyPath]",
        ),
        (mapping(ToleratedFailureCount=-1), f"{A}/ToleratedFailureCount", "Minimum value is 0"),
        (
            mapping(ToleratedFailurePercentage=101),
            f"{A}/ToleratedFailurePercentage",
            "Maximum value is 100.0",
        ),
        (
            mapping(ToleratedFailurePercentage=-0.5),
            f"{A}/ToleratedFailurePercentage",
            "Minimum value is 0.0",
        ),
        (
            mapping(ToleratedFailureCount=1, ToleratedFailureCountPath="$.n"),
            A,
            "There should only be one of the following fields: "
            "[ToleratedFailureCount, ToleratedFailureCountPath]",
        ),
        (
            mapping(QueryLanguage="JSONata", Items="items"),
            f"{A}/Items",
            "JSONata string must start with {% and end with %}",
        ),
        (
            mapping(QueryLanguage="JSONata", MaxConcurrency="many"),
            f"{A}/MaxConcurrency",
            "JSONata string must start with {% and end with %}",
        ),
        (
            _without_processor(ItemProcessor={**PROCESSOR, "QueryLanguage": "JSONata"}),
            f"{A}/ItemProcessor",
            "Field 'QueryLanguage' is not supported",
        ),
        (
            _without_processor(Iterator={"StartAt": "I"}),
            f"{A}/Iterator",
            "These fields are required: [States]",
        ),
        (
            distributed({"Mode": "FAST"}),
            f"{A}/ItemProcessor/ProcessorConfig/Mode",
            "Value should be one of the following: [INLINE, DISTRIBUTED]",
        ),
        (
            distributed({"Mode": "DISTRIBUTED"}),
            f"{A}/ItemProcessor/ProcessorConfig",
            "These fields are required: [ExecutionType]",
        ),
        (
            distributed({"Mode": "INLINE", "ExecutionType": "STANDARD"}),
            f"{A}/ItemProcessor/ProcessorConfig",
            "Field 'ExecutionType' is not supported",
        ),
        (
            distributed({"Mode": "DISTRIBUTED", "ExecutionType": "FAST"}),
            f"{A}/ItemProcessor/ProcessorConfig/ExecutionType",
            "Value should be one of the following: [STANDARD, EXPRESS]",
        ),
        (
            distributed(ItemReader={}),
            f"{A}/ItemReader",
            "These fields are required: [Resource]",
        ),
        (
            distributed(ItemReader={"Resource": INVOKE}),
            f"{A}/ItemReader/Resource",
            "The field 'Resource' does not match any of the allowed values",
        ),
        (
            distributed(ItemReader={**READER, "ReaderConfig": {"InputType": "CSV"}}),
            f"{A}/ItemReader/ReaderConfig",
            "The field 'CSVHeaderLocation' is required",
        ),
        (
            distributed(
                ItemReader={
                    **READER,
                    "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "GIVEN"},
                }
            ),
            f"{A}/ItemReader/ReaderConfig",
            "These fields are required: [CSVHeaders]",
        ),
        (
            distributed(ItemReader={**READER, "ReaderConfig": {"MaxItems": 100_000_001}}),
            f"{A}/ItemReader/ReaderConfig/MaxItems",
            "Maximum value is 100000000",
        ),
        (
            distributed(
                ItemReader={**READER, "ReaderConfig": {"MaxItems": 1, "MaxItemsPath": "$.n"}}
            ),
            f"{A}/ItemReader/ReaderConfig",
            "There should only be one of the following fields: [MaxItems, MaxItemsPath]",
        ),
        (
            distributed(ItemBatcher={"MaxItemsPerBatch": -1}),
            f"{A}/ItemBatcher/MaxItemsPerBatch",
            "Minimum value is 0",
        ),
        (
            distributed(ItemBatcher={"Size": 1}),
            f"{A}/ItemBatcher",
            "Field 'Size' is not supported",
        ),
        (
            distributed(QueryLanguage="JSONata", ItemBatcher={"MaxItemsPerBatchPath": "$.n"}),
            f"{A}/ItemBatcher",
            "The QueryLanguage is set to 'JSONata', but field 'MaxItemsPerBatchPath' is only "
            "supported for the 'JSONPath' QueryLanguage",
        ),
        (
            distributed(ResultWriter={"Resource": "arn:aws:states:::s3:getObject"}),
            f"{A}/ResultWriter/Resource",
            "The field 'Resource' does not match any of the allowed values",
        ),
        ({"Type": "Parallel", "End": True}, A, "These fields are required: [Branches]"),
        (parallel(Branches={}), f"{A}/Branches", "Expected value of type [ARRAY]"),
        (
            parallel({**PROCESSOR, "QueryLanguage": "JSONPath"}),
            f"{A}/Branches[0]",
            "Field 'QueryLanguage' is not supported",
        ),
        (
            parallel({"States": {}}),
            f"{A}/Branches[0]",
            "These fields are required: [StartAt]",
        ),
    ],
)
def test_maps_and_branches(state: dict[str, Any], location: str, message: str) -> None:
    assert faults(machine(state)) == [(SCHEMA, location, message)]


def test_processor_and_iterator_exclude_each_other() -> None:
    state = mapping(Iterator={"StartAt": "J", "States": {"J": passing()}})
    message = "There should only be one of the following fields: [ItemProcessor, Iterator]"
    assert faults(machine(state)) == [(SCHEMA, A, message)]


BAD_CHARACTERS = [*' \t\n?*<>{}[]:;,\\|^~$#%&`"', "\x01", "\x1f", "\x7f", "\x9f"]


@pytest.mark.parametrize("character", BAD_CHARACTERS)
def test_characters_of_labels(character: str) -> None:
    [found] = faults(machine(distributed(Label=f"label_{character}")))
    assert found[:2] == ("INVALID_LABEL_NAME", f"{A}/Label")


def test_length_of_labels() -> None:
    assert faults(machine(distributed(Label="n" * 40))) == []
    [found] = faults(machine(distributed(Label="n" * 41)))
    assert found[0] == "INVALID_LABEL_NAME"
    assert "exceeds the 40-character limit" in found[2]


def test_labels_are_unique() -> None:
    inner = {"I": distributed(Label="bills", inner={"J": passing()})}
    inner["I"]["ItemProcessor"]["StartAt"] = "J"
    outer = distributed(Label="bills", inner=inner)
    assert faults(machine(outer)) == [
        (
            "DUPLICATE_LABEL_NAME",
            f"{A}/ItemProcessor/States/I/Label",
            "Duplicate Label name: bills",
        )
    ]


@pytest.mark.parametrize(
    ("state", "location", "message"),
    [
        (
            task(Resource="arn:aws:states:::sqs:sendMessage.waitForTaskToken"),
            f"{A}/Resource",
            "Express state machine does not support '.waitForTaskToken' service integration ",
        ),
        (
            task(Resource="arn:aws:states:::states:startExecution.sync:2"),
            f"{A}/Resource",
            "Express state machine does not support '.sync' service integration ",
        ),
        (
            task(Resource=ACTIVITY),
            f"{A}/Resource",
            "Express state machine does not support Activity ARN",
        ),
        (
            distributed(),
            f"{A}/ItemProcessor/ProcessorConfig/Mode",
            "The field 'Mode' with value 'DISTRIBUTED' is not supported inside 'EXPRESS' state "
            "machines",
        ),
    ],
)
def test_express_machines(state: dict[str, Any], location: str, message: str) -> None:
    assert faults(machine(state)) == []
    assert faults(machine(state), "EXPRESS") == [(SCHEMA, location, message)]
