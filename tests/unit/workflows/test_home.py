"""Names and ARNs."""

from __future__ import annotations

import pytest

from gongdian.errors import InputError
from workflows.engine.home import Home, checked_name, execution_of, machine_of


def test_arns() -> None:
    home = Home()
    assert home.machine_arn("m") == "arn:aws:states:local:000000000000:stateMachine:m"
    assert home.execution_arn("m", "e") == "arn:aws:states:local:000000000000:execution:m:e"
    assert home.activity_arn("a") == "arn:aws:states:local:000000000000:activity:a"
    other = Home("aws-cn", "cn-north-1", "123456789012")
    assert other.machine_arn("m") == "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:m"


@pytest.mark.parametrize("name", ["a", "x" * 80, "订单-12_3.4!", "a=b(c)'@+", "😀"])
def test_good_names(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "x" * 81, "a b", "a\tb", "a\u3000b", *(f"a{one}" for one in '<>{}[]?*"#%\\^|~`$&,;:/')]
    + [f"a{chr(code)}" for code in (0, 0x1F, 0x7F, 0x9F, 0xD800, 0xDFFF, 0xFFFE, 0xFFFF, 0x10FFFF)],
)
def test_bad_names(name: str) -> None:
    with pytest.raises(InputError) as caught:
        checked_name(name)
    assert caught.value.code == "InvalidName"
    assert caught.value.text == f"Invalid Name: '{name}'"


@pytest.mark.parametrize(
    ("given", "machine"),
    [
        ("m", "m"),
        ("arn:aws:states:local:000000000000:stateMachine:m", "m"),
        ("arn:aws:states:local:000000000000:stateMachine:m:3", "m"),
    ],
)
def test_machine_of(given: str, machine: str) -> None:
    assert machine_of(given) == machine


@pytest.mark.parametrize("given", ["m:e", Home().execution_arn("m", "e")])
def test_execution_of(given: str) -> None:
    assert execution_of(given) == ("m", "e")


@pytest.mark.parametrize("given", ["", "m", "m:", ":e", "arn:aws:states:l:0:execution:m"])
def test_bad_execution_arns(given: str) -> None:
    with pytest.raises(InputError, match="Invalid Arn"):
        execution_of(given)
