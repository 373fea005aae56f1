"""Payload templates."""

from __future__ import annotations

from typing import Any

import pytest

from workflows.engine.language.environment import Environment
from workflows.engine.language.errors import DefinitionError, StatesError
from workflows.engine.language.templates import compile_template


def render(template: Any, document: Any = None, variables: dict[str, Any] | None = None) -> Any:
    environment = Environment(document, lambda: {"Execution": {"Id": "e1"}}, variables or {})
    return compile_template(template).render(environment)


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ({"x.$": "$.a"}, {"x": 1}),
        ({"x.$": "$"}, {"x": {"a": 1, "l": [1, 2]}}),
        ({"id.$": "$$.Execution.Id"}, {"id": "e1"}),
        ({"v.$": "$v.w"}, {"v": 3}),
        ({"s.$": "States.MathAdd($.a, $v.w)"}, {"s": 4}),
        ({"deep": {"er": {"x.$": "$.a"}}, "c": 1}, {"deep": {"er": {"x": 1}}, "c": 1}),
        ({"list": [{"x.$": "$.a"}, 1, "$.a", [{"y.$": "$.a"}]]}, None),
        ({"all.$": "$.l[*]", "none.$": "$.zz[*]"}, {"all": [1, 2], "none": []}),
        ({"x": "$.a"}, {"x": "$.a"}),
        ({".$": "$.a"}, {"": 1}),
        (["a"], ["a"]),
        ("text", "text"),
    ],
)
def test_render(template: Any, result: Any) -> None:
    if result is None:
        result = {"list": [{"x": 1}, 1, "$.a", [{"y": 1}]]}
    assert render(template, {"a": 1, "l": [1, 2]}, {"v": {"w": 3}}) == result


def test_members_keep_their_order() -> None:
    assert list(render({"b.$": "$.x", "a": 1, "c.$": "$.x"}, {"x": 0})) == ["b", "a", "c"]


def test_a_constant_template_is_not_copied() -> None:
    document = {"a": [{"b": 1}]}
    assert compile_template(document).is_constant
    assert render(document) is document


def test_rendering_does_not_change_the_template() -> None:
    template = {"list": [{"x.$": "$.a"}]}
    compiled = compile_template(template)
    for number in (1, 2):
        environment = Environment({"a": number}, dict, {})
        assert compiled.render(environment) == {"list": [{"x": number}]}
    assert template == {"list": [{"x.$": "$.a"}]}


@pytest.mark.parametrize(
    ("template", "cause"),
    [
        (
            {"c": 1, "value.$": "$.no_such"},
            "The JSONPath '$.no_such' specified for the field 'value.$' could not be found in the "
            'input \'{"a":"电"}\'',
        ),
        (
            {"deep": [{"x.$": "$$.Nothing"}]},
            "The JSONPath '$$.Nothing' specified for the field 'x.$' could not be found in the "
            'input \'{"Execution":{"Id":"e1"}}\'',
        ),
        (
            {"x.$": "States.Format('{}', $.b)"},
            "The function 'States.Format('{}', $.b)' had the following error: The JsonPath "
            "argument for the field '$.b' could not be found in the input '{\"a\":\"电\"}'",
        ),
    ],
)
def test_missing_path(template: Any, cause: str) -> None:
    with pytest.raises(StatesError) as caught:
        render(template, {"a": "电"})
    assert caught.value.error == "States.Runtime"
    assert caught.value.cause == cause


def test_failing_function() -> None:
    with pytest.raises(StatesError) as caught:
        render({"x.$": "States.ArrayGetItem($.a, 3)"}, {"a": [1]})
    assert caught.value.error == "States.IntrinsicFailure"


def test_null_input() -> None:
    with pytest.raises(StatesError) as caught:
        render({"x.$": "$.a"}, None)
    assert caught.value.cause == "Unable to apply Path transformation to null or empty input."


@pytest.mark.parametrize(
    ("template", "location"),
    [
        ({"x.$": 1}, "/x.$"),
        ({"x.$": None}, "/x.$"),
        ({"x.$": "a"}, "/x.$"),
        ({"x.$": "$.a["}, "/x.$"),
        ({"x.$": "States.Nothing()"}, "/x.$"),
        ({"a": [0, {"b": {"x.$": []}}]}, "/a/1/b/x.$"),
    ],
)
def test_faulty_template(template: Any, location: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        compile_template(template)
    assert caught.value.location == location
