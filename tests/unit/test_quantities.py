"""Quantities: reading with units, showing, the mean power factor."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongdian.errors import InputError
from gongdian.quantities import UNITS, power_factor, read_quantity, show_quantity


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("1234.5", "kWh", 1234.5),
        ("1,234.5 kWh", "kWh", 1234.5),
        ("1.2万千瓦时", "kWh", 12000.0),
        ("86度", "kWh", 86.0),
        ("400kVA", "kVA", 400.0),
        ("1.25MW", "kW", 1250.0),
        ("10千伏", "V", 10000.0),
        ("-3.5", "kW", -3.5),
    ],
)
def test_a_quantity_is_read_in_the_unit_that_is_asked_for(text: str, unit: str, expected: float):
    assert read_quantity(text, unit) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "unit", "code"),
    [
        ("", "kWh", "not_a_quantity"),
        ("nan", "kWh", "not_a_quantity"),
        ("kWh", "kWh", "not_a_quantity"),
        ("12 kW", "kWh", "wrong_unit"),
        ("1,23", "kWh", "wrong_unit"),
        ("1e5", "kWh", "wrong_unit"),
        ("12", "mile", "unknown_unit"),
    ],
)
def test_what_is_no_quantity_is_refused_with_the_field_named(text: str, unit: str, code: str):
    with pytest.raises(InputError) as refused:
        read_quantity(text, unit, field="本期电量")
    assert refused.value.code == code
    assert refused.value.context["field"] == "本期电量"


@given(st.floats(min_value=-1e9, max_value=1e9), st.sampled_from(UNITS))
def test_what_is_shown_is_read_again(value: float, unit: str):
    shown = show_quantity(value, unit, places=3)
    assert read_quantity(shown, unit) == pytest.approx(value, abs=0.0006)


def test_an_infinite_quantity_is_not_shown():
    with pytest.raises(InputError):
        show_quantity(math.inf, "kWh")


def test_the_power_factor_of_a_three_four_five_triangle():
    assert power_factor(400.0, 300.0) == pytest.approx(0.8)


@pytest.mark.parametrize(("kwh", "kvarh"), [(0.0, 0.0), (-1.0, 5.0), (5.0, -1.0)])
def test_there_is_no_power_factor_without_consumption(kwh: float, kvarh: float):
    with pytest.raises(InputError):
        power_factor(kwh, kvarh)
