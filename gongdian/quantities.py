"""Energy and power as numbers with their unit in the name (电量与功率); readers and pages call it.

Values are floats; the unit is the suffix of the name (``_kwh``, ``_kw``, ``_kvarh``, ``_kva``).
A value is rounded only for display, and becomes money only in ``gongdian.money.charge``.
"""

from __future__ import annotations

import math
import re

from gongdian.errors import InputError

UNITS = ("kWh", "kvarh", "kW", "kvar", "kVA", "V", "A")

_NUMBER = re.compile(r"[+-]?(\d{1,3}(,\d{3}){1,4}(?!\d)|\d{1,15})(\.\d{1,9})?")
_FACTORS = {
    "kWh": {"kWh": 1.0, "千瓦时": 1.0, "度": 1.0, "MWh": 1e3, "兆瓦时": 1e3, "万千瓦时": 1e4},
    "kvarh": {"kvarh": 1.0, "千乏时": 1.0, "Mvarh": 1e3},
    "kW": {"kW": 1.0, "千瓦": 1.0, "MW": 1e3, "兆瓦": 1e3},
    "kvar": {"kvar": 1.0, "千乏": 1.0},
    "kVA": {"kVA": 1.0, "千伏安": 1.0, "MVA": 1e3, "兆伏安": 1e3},
    "V": {"V": 1.0, "伏": 1.0, "kV": 1e3, "千伏": 1e3},
    "A": {"A": 1.0, "安": 1.0},
}


def read_quantity(text: str, unit: str, *, field: str = "") -> float:
    """The number in ``text``, in ``unit`` (one of UNITS).

    ``text`` is a number, with thousands commas or without, and may end in a unit of the same
    kind: ``read_quantity("1.2万千瓦时", "kWh")`` is 12000.0. InputError names the field.
    """
    if unit not in _FACTORS:
        raise InputError("unknown_unit", f"one of {', '.join(UNITS)}", field=field, unit=unit)
    found = _NUMBER.match(text.strip())
    if not found:
        raise InputError("not_a_quantity", "no number", field=field, value=text[:40])
    rest = text.strip()[found.end() :].strip()
    factor = _FACTORS[unit].get(rest or unit)
    if factor is None:
        raise InputError("wrong_unit", f"not a unit of {unit}", field=field, value=text[:40])
    return float(found[0].replace(",", "")) * factor


def show_quantity(value: float, unit: str, places: int = 2) -> str:
    """For people: ``1234.5`` -> ``1,234.50 kWh``; InputError for what is no finite number."""
    if not math.isfinite(value):
        raise InputError("not_a_quantity", "not finite", value=value)
    return f"{value:,.{places}f} {unit}"


def power_factor(active_kwh: float, reactive_kvarh: float) -> float:
    """Mean power factor of a period (平均功率因数), 0 to 1: kWh / sqrt(kWh² + kvarh²).

    Source: 功率因数调整电费办法 (83)水电财字第215号. InputError when both are zero or one is
    negative: a factor without consumption does not exist.
    """
    if active_kwh < 0 or reactive_kvarh < 0 or active_kwh + reactive_kvarh <= 0:
        raise InputError(
            "no_power_factor", "needs consumption", kwh=active_kwh, kvarh=reactive_kvarh
        )
    return active_kwh / math.hypot(active_kwh, reactive_kvarh)
