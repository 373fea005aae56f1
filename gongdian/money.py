"""Money (金额): Decimal yuan in code, integer fen in the database, one rounding function.

Called by column types, tariffs and flows. Amounts have two places and round half up, as bills
do (2.675 -> 2.68; a float gives 2.67). Unit prices keep the digits they were published with.
A float crosses into money in ``charge`` only.
"""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext

from gongdian.errors import InputError

FEN_PER_YUAN = 100
# BIGINT fen holds 18 digits whole; a bill never comes near, a corrupted file does.
MAX_YUAN = Decimal("9999999999999999.99")

_CENT = Decimal("0.01")
_WIDE = Context(prec=60, rounding=ROUND_HALF_UP)
_PLAIN = re.compile(r"[+-]?[0-9]{1,28}(?:\.[0-9]{1,28})?", re.ASCII)


def parse_decimal(text: str) -> Decimal:
    """An exact decimal from plain digits such as ``-12.50``; any number of places is kept.

    InputError(``bad_amount``) for anything else: exponents, separators, signs of currency, NaN,
    full-width digits. The type is checked because a float here would be wrong without a sign.
    """
    if not isinstance(text, str) or not _PLAIN.fullmatch(text):
        raise InputError("bad_amount", value=text)
    return Decimal(text)


def parse_yuan(text: str) -> Decimal:
    """An amount [yuan] from text with at most two places.

    InputError(``bad_amount``) for malformed text, ``too_precise`` for fractions of a fen (they
    are never rounded away silently), ``too_large`` beyond ``MAX_YUAN``.
    """
    amount = parse_decimal(text)
    rounded = round_yuan(amount)
    if rounded != amount:
        raise InputError("too_precise", value=text)
    return rounded


def round_yuan(amount: Decimal) -> Decimal:
    """Round to two places, half away from zero [yuan]: the one rounding of the house.

    InputError(``bad_amount``) for NaN and infinity, ``too_large`` beyond ``MAX_YUAN``.
    """
    if not amount.is_finite():
        raise InputError("bad_amount", value=str(amount))
    if amount.copy_abs() > MAX_YUAN:
        raise InputError("too_large", value=str(amount))
    rounded = amount.quantize(_CENT, context=_WIDE)
    return abs(rounded) if rounded.is_zero() else rounded


def to_fen(amount: Decimal) -> int:
    """Yuan -> fen, exact. InputError(``too_precise``) when it is not a whole number of fen."""
    rounded = round_yuan(amount)
    if rounded != amount:
        raise InputError("too_precise", value=str(amount))
    return int(rounded * FEN_PER_YUAN)


def from_fen(fen: int) -> Decimal:
    """Fen -> yuan with two places, exact."""
    with localcontext(_WIDE):
        return round_yuan(Decimal(fen) / FEN_PER_YUAN)


def charge(quantity: float, price: Decimal) -> Decimal:
    """Quantity [unit] x price [yuan per unit] -> amount [yuan], rounded once.

    The quantity counts as the decimal text that Python prints for it: 0.1 kWh is one tenth, not
    the binary fraction beneath it. InputError(``bad_quantity``, ``bad_price``) for NaN and
    infinity, ``too_large`` beyond ``MAX_YUAN``.
    """
    if not math.isfinite(quantity):
        raise InputError("bad_quantity", value=repr(quantity))
    if not price.is_finite():
        raise InputError("bad_price", value=str(price))
    return round_yuan(_WIDE.multiply(Decimal(repr(float(quantity))), price))


def yuan_text(amount: Decimal) -> str:
    """The amount as people and JSON get it: two places, no separators (``186452.37``)."""
    return f"{round_yuan(amount):f}"
