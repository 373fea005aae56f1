"""What this engine does not run yet although AWS does (支持范围): refused before it is stored.

The verdict says what is ASL; this page says what of it is ours. JSONata and the parts of a
distributed Map that read or write files come in an issue of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gongdian.errors import InputError
from workflows.engine.language.errors import DefinitionError
from workflows.engine.resources import parse_resource

_DISTRIBUTED_PARTS = ("ItemReader", "ItemBatcher", "ResultWriter")


def refuse_unsupported(document: Mapping[str, Any]) -> None:
    """InputError UnsupportedDefinition that names every place and reason."""
    findings = list(unsupported(document))
    if findings:
        lines = "; ".join(f"{place}: {reason}" for place, reason in findings)
        raise InputError("UnsupportedDefinition", f"this engine does not run {lines}")


def unsupported(
    document: Mapping[str, Any], place: str = "", language: str = "JSONPath"
) -> Iterator[tuple[str, str]]:
    """Places and reasons, outermost first."""
    language = document.get("QueryLanguage", language)
    for name, state in document["States"].items():
        where = f"{place}/States/{name}"
        if state.get("QueryLanguage", language) == "JSONata":
            yield f"{where}/QueryLanguage", "JSONata"
        if "Credentials" in state:
            yield f"{where}/Credentials", "another account's role"
        yield from _unsupported_resource(state, where)
        yield from _unsupported_map(state, where)
        for inner, chart in _charts(state):
            yield from unsupported(chart, f"{where}/{inner}", language)


def _unsupported_resource(state: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    if state["Type"] != "Task":
        return
    try:
        parse_resource(state["Resource"])
    except DefinitionError as error:
        yield f"{where}/Resource", error.message


def _unsupported_map(state: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    if state["Type"] == "Map":
        for part in _DISTRIBUTED_PARTS:
            if part in state:
                yield f"{where}/{part}", f"a Map with {part}"


def _charts(state: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for index, branch in enumerate(state.get("Branches", ())):
        yield f"Branches[{index}]", branch
    for part in ("ItemProcessor", "Iterator"):
        if part in state:
            yield part, state[part]
