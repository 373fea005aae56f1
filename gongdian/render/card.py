"""The card of a composed message (模板消息卡片): for the terminal and for console pages.

Called by the sandbox, the command line and the console; customers see WeChat's own drawing.
"""

from __future__ import annotations

import unicodedata

from gongdian.render.pages import page_environment
from gongdian.render.registry import ComposedMessage

_CARD = "cards/template_card.html"
_LINK = "查看详情"


def preview_text(composed: ComposedMessage) -> str:
    """The card as plain lines: title, ``label  value`` rows in one column, the link."""
    width = max(_columns(label) for label, _ in composed.fields)
    rows = [
        f"{label}{' ' * (width - _columns(label))}  {value}" for label, value in composed.fields
    ]
    rule = "─" * 24
    link = [rule, f"{_LINK} > {composed.url}"] if composed.url else []
    return "\n".join([composed.title, rule, *rows, *link])


def preview_html(composed: ComposedMessage) -> str:
    """The card as WeChat draws it: an HTML fragment, escaped, styled by ``static/card.css``."""
    template = page_environment().get_template(_CARD)
    return template.render(title=composed.title, fields=composed.fields, url=composed.url)


def _columns(text: str) -> int:
    """Terminal columns: a wide character takes two."""
    return sum(2 if unicodedata.east_asian_width(mark) in "WF" else 1 for mark in text)
