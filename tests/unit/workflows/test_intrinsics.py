"""The intrinsic functions of JSONPath mode."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from workflows.engine.language.environment import Environment
from workflows.engine.language.errors import DefinitionError, StatesError
from workflows.engine.language.expressions import compile_expression
from workflows.engine.language.json_text import java_double
from workflows.engine.language.paths import PathMissingError

DOCUMENT: dict[str, Any] = {
    "n": 3,
    "list": [1, 2, 2, 1.0, True, "1", {"a": 1}, {"a": 1}],
    "object": {"Arg1": 1, "Arg2": [], "s": "x", "none": None, "yes": True},
    "text": "电力 {}",
    "blank": " \n",
    "json": '{"a": [1, 1.5, null]}',
    "big": 1e10,
    "long": "x" * 10_001,
    "it's": 4,
}


def evaluate(text: str) -> Any:
    environment = Environment(DOCUMENT, lambda: {"Name": "a-b-c"}, {"v": [5, 6]})
    return compile_expression(text).evaluate(environment)


RESULTS: list[tuple[str, Any]] = [
    ("States.Array()", []),
    ("States.Array() ", []),
    (
        "States.Array( 1 , -2.5, 1e2, true,false, null,'x' , $.n)",
        [1, -2.5, 100.0, True, False, None, "x", 3],
    ),
    ("States.ArrayPartition($v, 1)", [[5], [6]]),
    ("States.ArrayPartition(States.ArrayRange(1, 5, 1), 1.6)", [[1, 2], [3, 4], [5]]),
    ("States.ArrayContains($.list, 2.0)", True),
    ("States.ArrayContains(States.Array(1), true)", False),
    ("States.ArrayContains($.list, $.object)", False),
    ("States.ArrayRange(1, 9, 2)", [1, 3, 5, 7, 9]),
    ("States.ArrayRange(5, 1, -2)", [5, 3, 1]),
    ("States.ArrayRange(5, 1, 2)", []),
    ("States.ArrayGetItem($v, 1)", 6),
    ("States.ArrayLength($.list)", 8),
    ("States.ArrayUnique($.list)", [1, 2, True, "1", {"a": 1}]),
    ("States.Format('plain')", "plain"),
    ("States.Format('{}-{}', $.n, null)", "3-null"),
    ("States.Format('{}{}', 1.0, true)", "1.0true"),
    ("States.Format('{}', $.object)", "{Arg1=1, Arg2=[], s=x, none=null, yes=true}"),
    ("States.Format('{}', $.text)", "电力 {}"),
    ("States.Format($.text, 'x')", "电力 x"),
    (r"States.Format('it\'s \{\} {} \\', $.n)", "it's {} 3 \\"),
    ("States.Format('{}', $.big)", "1.0E10"),
    ("States.Format('a), (b, {}', $['it\\'s'])", "a), (b, 4"),
    ("States.StringToJson($.json)", {"a": [1, 1.5, None]}),
    ("States.StringToJson('')", None),
    ("States.StringToJson($.blank)", None),
    ("States.StringToJson('-0')", 0),
    ("States.JsonToString($.object)", '{"Arg1":1,"Arg2":[],"s":"x","none":null,"yes":true}'),
    ("States.JsonToString($.big)", "1.0E10"),
    ("States.JsonToString(States.Array($.text, 1e-7))", '["电力 {}",1.0E-7]'),
    ("States.Base64Encode('停电')", "5YGc55S1"),
    ("States.Base64Decode('5YGc55S1')", "停电"),
    ("States.Base64Decode('YQ')", "a"),
    ("States.Hash('input data', 'MD5')", "812f45842bc6d66ee14572ce20db8e86"),
    ("States.Hash('', 'SHA-1')", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ("States.JsonMerge(States.StringToJson($.json), $.list[6], false)", {"a": 1}),
    ("States.MathAdd(1.5, -1.5)", 1),
    ("States.MathAdd(-2.5, 0)", -2),
    ("States.MathAdd(0.49999999999999994, 0)", 0),
    ("States.MathRandom(4, 5)", 4),
    ("States.StringSplit('a-b+c--', '-+')", ["a", "b", "c"]),
    ("States.StringSplit('a^]b', ']^')", ["a", "b"]),
    ("States.StringSplit('a,b', '')", ["a,b"]),
    ("States.StringSplit('', ',')", []),
    ("States.ArrayGetItem(States.StringSplit($$.Name, '-'), 2)", "c"),
    ("States.ArrayLength($.list[?(@.a == 1)])", 2),
]


@pytest.mark.parametrize(("text", "result"), RESULTS)
def test_result(text: str, result: Any) -> None:
    value = evaluate(text)
    assert (value, type(value)) == (result, type(result))


@pytest.mark.parametrize(
    "text",
    [
        "States.ArrayPartition($.list, 0)",
        "States.ArrayPartition($.n, 1)",
        "States.ArrayPartition($.list, true)",
        "States.ArrayRange(1, 9, 0)",
        "States.ArrayRange(1, 1001, 0.4)",
        "States.ArrayRange(0, 1000, 1)",
        "States.ArrayRange(0, 99999999999999999999, 1)",
        "States.ArrayGetItem($.list, 8)",
        "States.ArrayGetItem($.list, -1)",
        "States.ArrayLength($.object)",
        "States.Format('{}')",
        "States.Format('x', 1)",
        "States.Format($.n, 1)",
        "States.StringToJson('{')",
        "States.StringToJson('NaN')",
        "States.StringToJson($.n)",
        "States.Base64Decode('*')",
        "States.Base64Decode('停')",
        "States.Base64Encode($.long)",
        "States.Base64Encode($.n)",
        "States.Hash('a', 'md5')",
        "States.Hash($.long, 'MD5')",
        "States.JsonMerge($.object, $.object, true)",
        "States.JsonMerge($.object, $.list, false)",
        "States.JsonMerge($.object, $.object, 0)",
        "States.MathAdd('1', 1)",
        "States.MathRandom(5, 5)",
        "States.StringSplit($.n, ',')",
        "States.ArrayLength(States.MathAdd(1, 1))",
    ],
)
def test_failure(text: str) -> None:
    with pytest.raises(StatesError) as caught:
        evaluate(text)
    assert caught.value.error == "States.IntrinsicFailure"
    assert caught.value.cause is not None
    assert caught.value.cause.startswith(f"The function '{text}' had the following error: ")


def test_random_number_with_a_seed_repeats() -> None:
    text = "States.MathRandom(1, 1000000, 7)"
    assert evaluate(text) == evaluate(text)


def test_uuid() -> None:
    expression = compile_expression("States.UUID()")
    environment = Environment({}, dict, {})
    first, second = expression.evaluate(environment), expression.evaluate(environment)
    assert uuid.UUID(first).version == 4
    assert first != second


def test_missing_argument() -> None:
    with pytest.raises(PathMissingError):
        evaluate("States.Format('{}', $.nothing)")


def nested(depth: int) -> str:
    return "States.Array(" * depth + ")" * depth


def test_nesting() -> None:
    compile_expression(nested(10))
    with pytest.raises(DefinitionError):
        compile_expression(nested(11))


@pytest.mark.parametrize(
    "text",
    [
        "States.Nothing()",
        "States.Format()",
        "States.Format(1)",
        "States.Format('{ x', 1)",
        "States.UUID(1)",
        "States.MathAdd(1)",
        "States.MathRandom(1, 2, 3, 4)",
        "States.Array(1",
        "States.Array(1,)",
        "States.Array(1 2)",
        "States.Array('x)",
        "States.Array(x)",
        "States.Array()[0]",
        "States.Array($.a[)",
        r"States.Array('\n')",
        "States.Array",
        "states.Array()",
    ],
)
def test_what_is_no_call(text: str) -> None:
    with pytest.raises(DefinitionError):
        compile_expression(text)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.0"),
        (1.1, "1.1"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (12345678.9, "1.23456789E7"),
        (-1.5e300, "-1.5E300"),
        (0.001, "0.001"),
        (0.00012, "1.2E-4"),
        (1e22, "1.0E22"),
        (1e16, "1.0E16"),
        (123456789012345680.0, "1.2345678901234568E17"),
    ],
)
def test_numbers_as_java_prints_them(number: float, text: str) -> None:
    assert java_double(number) == text
