"""JSONPath and reference paths as AWS Step Functions reads them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from workflows.engine.language.environment import Environment
from workflows.engine.language.errors import DefinitionError, StatesError
from workflows.engine.language.paths import PathMissingError, parse_path, parse_reference_path

DOCUMENT: dict[str, Any] = {
    "a": [{"s": 0, "t": "x", "q": [1, 2]}, {"s": "z", "t": "y"}, {"s": 1, "n": None}],
    "b": 0,
    "中文": [{"名": 1}, {"名": 2}],
    "k-v": {"x y": 1},
    "o": {"p": 1, "r": 2},
    "null": None,
    "text": "abc",
}
ENVIRONMENT = Environment(
    DOCUMENT, lambda: {"Execution": {"Input": [7]}}, {"v": {"x": [1, 2]}, "名": 5}
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$", DOCUMENT),
        ("$.b", 0),
        ("$.null", None),
        ("$['b']", 0),
        ('$["b"]', 0),
        ("$.a[0].q[1]", 2),
        ("$.a[(@.length-1)].s", 1),
        ("$.a.length()", 3),
        ("$.中文[1].名", 2),
        ("$.k-v['x y']", 1),
        ("$.k-v.['x y']", 1),
        ("$.o['p','r','absent']", {"p": 1, "r": 2}),
        ("$$.Execution.Input[0]", 7),
        ("$$", {"Execution": {"Input": [7]}}),
        ("$v", {"x": [1, 2]}),
        ("$v.x[0]", 1),
        ("$名", 5),
    ],
)
def test_definite_path_gives_a_value(text: str, found: Any) -> None:
    path = parse_path(text)
    assert path.is_definite
    assert path.read(ENVIRONMENT) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$.a[*].s", [0, "z", 1]),
        ("$.a[1:].s", ["z", 1]),
        ("$.a[-1:].s", [1]),
        ("$.a[:1].s", [0]),
        ("$.a[0,2].s", [0, 1]),
        ("$..s", [0, "z", 1]),
        ("$.o.*", [1, 2]),
        ("$v.x[*]", [1, 2]),
        ("$.a[?(@.s == 0)].t", ["x"]),
        ("$.a[?(@.s > 0)].s", [1]),
        ("$.a[?(@.t == 'x' || @.t == \"y\")].s", [0, "z"]),
        ("$.a[?(@.t && @.s == 0)].t", ["x"]),
        ("$.a[?(!@.t)].s", [1]),
        ("$.a[?(@.s in [0, 1])].s", [0, 1]),
        ("$.a[?(@.s nin [0, 1])].s", ["z"]),
        ("$.a[?(@.q.length() > 1)].t", ["x"]),
        ("$.a[?(@.n == null)].s", [1]),
        ("$.a[?(@.s == $.b)].t", ["x"]),
        ("$.中文[?(@.名 == 2)]", [{"名": 2}]),
        ("$.a[*]['s','t']", [{"s": 0, "t": "x"}, {"s": "z", "t": "y"}, {"s": 1}]),
        ("$.absent[*].x", []),
        ("$.absent.further[1:]", []),
        ("$.a[?(@.absent == 1)]", []),
        ("$.text[*]", []),
        ("$.b[*]", []),
    ],
)
def test_indefinite_path_gives_a_list(text: str, found: Any) -> None:
    path = parse_path(text)
    assert not path.is_definite
    assert path.read(ENVIRONMENT) == found


def test_index_after_an_indefinite_path_picks_from_the_list() -> None:
    assert parse_path("$.a[?(@.s == 0)][0].t").read(ENVIRONMENT) == "x"
    assert parse_path("$.a[*].length()").read(ENVIRONMENT) == 3
    with pytest.raises(PathMissingError):
        parse_path("$.a[?(@.s == 9)][0]").read(ENVIRONMENT)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("$.absent", "No results for path: $['absent']"),
        ("$.absent.x", "Missing property in path $['absent']"),
        ("$.a[9]", "No results for path: $['a'][9]"),
        ("$.text[0]", "No results for path: $['text'][0]"),
        ("$.text.x", "No results for path: $['text']['x']"),
        ("$.null.x", "No results for path: $['null']['x']"),
        ("$.a[-1]", "No results for path: $.a[-1]"),
        ("$.a.sum()", "No results for path: $['a']['sum()']"),
        ("$.b.length()", "No results for path: $.b.length()"),
        ("$$.Execution.Nothing", "No results for path: $['Execution']['Nothing']"),
        ("$nothing.x", "The variable '$nothing' does not exist"),
    ],
)
def test_definite_path_that_finds_nothing(text: str, reason: str) -> None:
    with pytest.raises(PathMissingError) as caught:
        parse_path(text).read(ENVIRONMENT)
    assert caught.value.path == text
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "$.",
        "$..",
        "$.a.",
        "$[",
        "$[]",
        "$.a b",
        "$.a]",
        "$x-y",
        "$['a",
        "$.a[?(@.s==)]",
        "$.a.length().b",
    ],
)
def test_what_is_no_jsonpath(text: str) -> None:
    with pytest.raises(DefinitionError):
        parse_path(text)


@pytest.mark.parametrize(
    ("text", "document", "result"),
    [
        ("$", {"a": 1}, 9),
        ("$.x", {"a": 1}, {"a": 1, "x": 9}),
        ("$.a", {"a": 1}, {"a": 9}),
        ("$.x.y.z", {"a": 1}, {"a": 1, "x": {"y": {"z": 9}}}),
        ("$['x y'].z", {}, {"x y": {"z": 9}}),
        ("$.a[1]", {"a": [1, 2]}, {"a": [1, 9]}),
        ("$.a[0].b", {"a": [{}, 2]}, {"a": [{"b": 9}, 2]}),
        ("$[0]", [1], [9]),
    ],
)
def test_put(text: str, document: Any, result: Any) -> None:
    before = copy.deepcopy(document)
    assert parse_reference_path(text).put(document, 9) == result
    assert document == before


def test_put_shares_what_is_unchanged() -> None:
    document = {"a": {"b": 1}, "c": [1]}
    changed = parse_reference_path("$.a.d").put(document, 2)
    assert changed["c"] is document["c"]


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("$.a", "text"),
        ("$.a", None),
        ("$.a", [1]),
        ("$.a.b", {"a": 1}),
        ("$.a[2]", {"a": [1, 2]}),
        ("$.a[0]", {}),
    ],
)
def test_put_where_it_does_not_fit(text: str, document: Any) -> None:
    with pytest.raises(StatesError) as caught:
        parse_reference_path(text).put(document, 9)
    assert caught.value.error == "States.ResultPathMatchFailure"
    assert caught.value.cause is not None
    assert caught.value.cause.startswith(f"Unable to apply ReferencePath {text} to input ")


@pytest.mark.parametrize("text", ["$$.a", "$v.a", "$.a[*]", "$..a", "$.a[0,1]", "$.a[-1]", "x"])
def test_what_is_no_reference_path(text: str) -> None:
    with pytest.raises(DefinitionError):
        parse_reference_path(text)
