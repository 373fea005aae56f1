"""Money: one rounding, exact fen, no silent loss."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongdian.errors import InputError
from gongdian.money import (
    MAX_YUAN,
    charge,
    from_fen,
    parse_decimal,
    parse_yuan,
    round_yuan,
    to_fen,
    yuan_text,
)

fens = st.integers(min_value=-(10**18) + 1, max_value=10**18 - 1)


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [
        ("2.675", "2.68"),
        ("2.665", "2.67"),
        ("0.005", "0.01"),
        ("-0.005", "-0.01"),
        ("0.0049999999999999999999999", "0.00"),
        ("1234567890123456.785", "1234567890123456.79"),
    ],
)
def test_half_a_fen_rounds_away_from_zero(exact: str, rounded: str):
    assert round_yuan(Decimal(exact)) == Decimal(rounded)
    assert yuan_text(Decimal(exact)) == rounded


def test_nothing_is_ever_minus_zero():
    assert str(round_yuan(Decimal("-0.001"))) == "0.00"


@given(fens)
def test_fen_survive_the_way_to_yuan_and_back(fen: int):
    assert to_fen(from_fen(fen)) == fen
    assert parse_yuan(yuan_text(from_fen(fen))) == from_fen(fen)


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=9))
def test_rounding_moves_by_half_a_fen_at_most_and_twice_is_once(amount: Decimal):
    rounded = round_yuan(amount)
    assert abs(rounded - amount) <= Decimal("0.005")
    assert round_yuan(rounded) == rounded
    assert round_yuan(-amount) == -rounded


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1,000.00",
        "¥1",
        "1e3",
        "NaN",
        "Infinity",
        "\N{FULLWIDTH DIGIT ONE}",
        ".5",
        "5.",
        "--1",
        "1\n",
    ],
)
def test_text_that_is_not_plain_digits_is_refused(text: str):
    with pytest.raises(InputError, match="bad_amount"):
        parse_decimal(text)


@pytest.mark.parametrize("value", [1.5, 3, None, Decimal("1")])
def test_only_text_becomes_money(value: object):
    with pytest.raises(InputError, match="bad_amount"):
        parse_yuan(value)


def test_a_published_price_keeps_its_digits():
    assert str(parse_decimal("0.58550000")) == "0.58550000"


def test_fractions_of_a_fen_are_refused_not_dropped():
    assert parse_yuan("1.500") == Decimal("1.50")
    with pytest.raises(InputError, match="too_precise"):
        parse_yuan("1.501")
    with pytest.raises(InputError, match="too_precise"):
        to_fen(Decimal("0.001"))


def test_an_amount_that_the_database_cannot_hold_is_refused():
    assert to_fen(MAX_YUAN) == 10**18 - 1
    with pytest.raises(InputError, match="too_large"):
        parse_yuan("10000000000000000.00")
    with pytest.raises(InputError, match="too_large"):
        charge(1e300, Decimal("1"))


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_no_amount(amount: str):
    with pytest.raises(InputError, match="bad_amount"):
        round_yuan(Decimal(amount))
    with pytest.raises(InputError, match="bad_price"):
        charge(1.0, Decimal(amount))


@pytest.mark.parametrize("quantity", [float("nan"), float("inf"), float("-inf")])
def test_a_quantity_that_is_no_number_cannot_be_charged(quantity: float):
    with pytest.raises(InputError, match="bad_quantity"):
        charge(quantity, Decimal("0.5"))


def test_a_float_counts_as_the_decimal_it_prints():
    # As binary fractions both products lie below the half fen and would round down.
    assert charge(2.675, Decimal("1")) == Decimal("2.68")
    assert charge(1.005, Decimal("1")) == Decimal("1.01")


@given(
    st.floats(min_value=0, max_value=1e9, allow_nan=False),
    st.decimals(min_value=0, max_value=10, places=8),
)
def test_a_charge_is_the_exact_product_rounded_once(quantity: float, price: Decimal):
    exact = Decimal(repr(quantity)) * price
    assert abs(charge(quantity, price) - exact) <= Decimal("0.005") + exact * Decimal("1e-27")
