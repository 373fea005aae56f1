"""Parallel and Map states (并行与映射): branches, processors, the fields of distributed Maps.

Sources: ASL specification, Parallel State and Map State; Developer Guide, "Using Map state in
Distributed mode", ItemReader, ItemBatcher, ResultWriter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from workflows.engine.verdict.diagnostics import DUPLICATE_LABEL, INVALID_LABEL
from workflows.engine.verdict.nodes import JSONATA, JSONPATH, Node
from workflows.engine.verdict.paths import check_reference
from workflows.engine.verdict.payloads import check_payloads

LONGEST_LABEL = 40
LARGEST_BATCH = 262_144  # bytes of one batch
MOST_ITEMS = 100_000_000

_DISTRIBUTED = "DISTRIBUTED"
_PART = ("Comment", "StartAt", "States", "TimeoutSeconds", "Version")
_PROCESSOR = (*_PART, "ProcessorConfig")
_BAD_IN_LABEL = re.compile(r"[\s?*<>{}\[\]:;,\\|^~$#%&`\"\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Part:
    """A machine within the machine; ``sees_outer``: whether it reads the variables around it."""

    node: Node
    sees_outer: bool = True


def check_parallel(state: Node) -> list[Part]:
    """What only a Parallel has; its branches are the parts to walk."""
    if not state.require("Branches"):
        return []
    branches = state.objects("Branches")
    for branch in branches:
        branch.allow_only(_PART)
        branch.text("Comment")
    return [Part(branch) for branch in branches]


def check_map(state: Node) -> list[Part]:
    """What only a Map has; its processor is the part to walk."""
    state.exactly_one("ItemProcessor", "Iterator")
    state.at_most_one("ItemSelector", "Parameters")
    _check_items(state)
    _check_limits(state)
    _check_label(state)
    _check_reader(state)
    _check_batcher(state)
    _check_writer(state)
    parts = []
    for name in ("ItemProcessor", "Iterator"):
        processor = state.object(name)
        if processor is not None:
            processor.allow_only(_PROCESSOR)
            processor.text("Comment")
            parts.append(Part(processor, sees_outer=not _check_config(processor)))
    return parts


def _check_items(state: Node) -> None:
    check_payloads(state, ["ItemSelector", "Items"])
    if state.language != JSONATA:
        check_reference(state, "ItemsPath")
    elif isinstance(items := state.fields.get("Items"), str) and not items.startswith("{%"):
        state.refuse("JSONata string must start with {% and end with %}", "Items")


def _check_limits(state: Node) -> None:
    for name in ("MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage"):
        _check_pair(state, name)
    for name in ("MaxConcurrency", "ToleratedFailureCount"):
        state.integer(name, 0, dynamic=True)
    state.number("ToleratedFailurePercentage", 0.0, 100.0, dynamic=True)


def _check_pair(node: Node, name: str) -> None:
    """A number, or the path of one: a reference path into the input or a variable."""
    node.at_most_one(name, f"{name}Path")
    if node.language != JSONATA:
        check_reference(node, f"{name}Path", with_context=False)


def _check_label(state: Node) -> None:
    label = state.text("Label")
    if label is None:
        return
    report, place = state.machine.report, state.place("Label")
    if len(label) > LONGEST_LABEL:
        reason = f"exceeds the {LONGEST_LABEL}-character limit allowed by the service"
        report.add(INVALID_LABEL, place, f"Invalid Label name: Label '{label}' {reason}")
    if _BAD_IN_LABEL.search(label):
        reason = "contains invalid characters"
        report.add(INVALID_LABEL, place, f"Invalid Label name: Label '{label}' {reason}")
    if label in state.machine.labels:
        report.add(DUPLICATE_LABEL, place, f"Duplicate Label name: {label}")
    state.machine.labels.add(label)


def _check_config(processor: Node) -> bool:
    """ProcessorConfig; whether it makes the Map a distributed one."""
    config = processor.object("ProcessorConfig")
    if config is None:
        return False
    config.allow_only(("Mode", "ExecutionType"))
    mode = config.choice_of("Mode", ("INLINE", _DISTRIBUTED))
    if mode == _DISTRIBUTED:
        config.require("ExecutionType")
        if config.machine.is_express:
            message = "The field 'Mode' with value 'DISTRIBUTED' is not supported inside 'EXPRESS'"
            config.refuse(f"{message} state machines", "Mode")
    elif mode is not None and config.has("ExecutionType"):
        config.refuse("Field 'ExecutionType' is not supported")
    config.choice_of("ExecutionType", ("STANDARD", "EXPRESS"))
    return mode == _DISTRIBUTED


def _check_reader(state: Node) -> None:
    reader = state.object("ItemReader")
    if reader is None:
        return
    reader.allow_only(("Comment", "Resource", "Parameters", "Arguments", "ReaderConfig"))
    if reader.require("Resource"):
        _check_storage(reader, "getObject|listObjectsV2")
    _check_call(reader)
    config = reader.object("ReaderConfig")
    if config is None:
        return
    kind = config.text("InputType")
    config.belongs_to(JSONPATH, ["MaxItemsPath"])
    _check_pair(config, "MaxItems")
    config.integer("MaxItems", 0, MOST_ITEMS, dynamic=True)
    if kind == "CSV" and not config.has("CSVHeaderLocation"):
        config.refuse("The field 'CSVHeaderLocation' is required")
    if config.choice_of("CSVHeaderLocation", ("FIRST_ROW", "GIVEN")) == "GIVEN":
        config.require("CSVHeaders")


def _check_batcher(state: Node) -> None:
    batcher = state.object("ItemBatcher")
    if batcher is None:
        return
    numbers = ("MaxItemsPerBatch", "MaxInputBytesPerBatch")
    paths = tuple(f"{name}Path" for name in numbers)
    batcher.allow_only(("Comment", "BatchInput", *numbers, *paths))
    batcher.belongs_to(JSONPATH, paths)
    for name in numbers:
        _check_pair(batcher, name)
    batcher.integer("MaxItemsPerBatch", 0, dynamic=True)
    batcher.integer("MaxInputBytesPerBatch", 0, LARGEST_BATCH, dynamic=True)
    check_payloads(batcher, ["BatchInput"])


def _check_writer(state: Node) -> None:
    writer = state.object("ResultWriter")
    if writer is None:
        return
    writer.allow_only(("Comment", "Resource", "Parameters", "Arguments", "WriterConfig"))
    _check_storage(writer, "putObject")
    _check_call(writer)


def _check_storage(node: Node, actions: str) -> None:
    """Items and results of a distributed Map lie in S3."""
    arn = node.text("Resource")
    if arn is not None and not re.fullmatch(rf"arn:[^:]+:states:[^:]*:[^:]*:s3:({actions})", arn):
        node.refuse("The field 'Resource' does not match any of the allowed values", "Resource")


def _check_call(node: Node) -> None:
    node.belongs_to(JSONPATH, ["Parameters"])
    node.belongs_to(JSONATA, ["Arguments"])
    check_payloads(node, ["Arguments" if node.language == JSONATA else "Parameters"])
