"""The one Jinja environment of all pages (页面渲染); web edges and the card preview use it.

What a page needs is written in the comment at the top of its template; a name that is not
given is an error, and everything is escaped.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from gongdian.clock import china_text
from gongdian.logs import mask_phone
from gongdian.money import yuan_text
from gongdian.render import loader


@cache
def page_environment(templates_dir: Path = loader.TEMPLATES) -> Environment:
    """The environment of a template folder, made once.

    Filters: ``china_time`` (aware instant), ``china_day`` (date), ``month`` (``202610``), ``yuan``,
    ``quantity`` (of kWh, readings), ``mask_phone``, ``mask_name``, ``mask_no``.
    """
    environment = Environment(
        loader=loader.page_loader(templates_dir),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        china_time=china_text,
        china_day=day_text,
        month=month_text,
        yuan=yuan_text,
        quantity=quantity_text,
        mask_phone=mask_phone,
        mask_name=mask_name,
        mask_no=mask_no,
    )
    return environment


def render_page(name: str, **values: object) -> str:
    """A page such as ``h5/binding.html`` as text. Raises UndefinedError for a missing value."""
    return page_environment().get_template(name).render(**values)


def day_text(on: date) -> str:
    """A day as people read it: ``2026年11月5日``."""
    return f"{on.year}年{on.month}月{on.day}日"


def month_text(period: str) -> str:
    """A billing month (电费年月) as people read it: ``202610`` -> ``2026年10月``."""
    return f"{period[:4]}年{int(period[4:])}月"


def quantity_text(value: float) -> str:
    """A reading or an energy with at most two places: ``12480.5``, ``20``."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def mask_name(name: str) -> str:
    """``张三丰`` -> ``张*``; a longer (company) name keeps its first and last two characters."""
    if len(name) <= 4:
        return f"{name[:1]}*" if name else ""
    return f"{name[:2]}****{name[-2:]}"


def mask_no(number: str) -> str:
    """A business number such as 户号: ``9900001203457`` -> ``9900*****3457``."""
    hidden = len(number) - 8
    return f"{number[:4]}{'*' * hidden}{number[-4:]}" if hidden > 0 else "*" * len(number)
