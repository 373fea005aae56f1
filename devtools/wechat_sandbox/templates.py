"""The account's templates (模板), and what a card shows of the data sent for one.

Used by ``sending``; filled by ``register`` (Python or control API) or from a JSON list.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from devtools.wechat_sandbox.refusals import RefusalError
from devtools.wechat_sandbox.template_values import is_acceptable

# Shown values lose their emoji: the platform strips them without a word.
EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\ufe0f\u200d]")
LEGACY_LIMIT = 20
MAX_TEMPLATE_ID = 64


@dataclass(frozen=True, slots=True)
class Template:
    """One template: ``keys`` maps a typed key to the label on the card."""

    template_id: str
    title: str
    keys: Mapping[str, str]
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CardField:
    """One line of a card."""

    key: str
    label: str
    value: str


class TemplateDesk:
    """Knows the templates and checks data against them."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._templates: dict[str, Template] = {}

    def register(
        self,
        template_id: str,
        title: str,
        keys: Mapping[str, str] | Sequence[str],
        values: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Add or replace a template; ``values`` lists what const and enum keys may hold."""
        labels = dict(keys) if isinstance(keys, Mapping) else {key: key for key in keys}
        with self._lock:
            self._templates[template_id] = Template(template_id, title, labels, dict(values or {}))

    def load(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Register templates from ``[{"template_id", "title", "keys", "values"?}]``."""
        for row in rows:
            self.register(row["template_id"], row["title"], row["keys"], row.get("values"))

    def listed(self) -> list[dict[str, Any]]:
        """All templates as plain values, for saving and for the control API."""
        with self._lock:
            return [
                {
                    "template_id": template.template_id,
                    "title": template.title,
                    "keys": dict(template.keys),
                    "values": {key: list(some) for key, some in template.values.items()},
                }
                for template in self._templates.values()
            ]

    def clear(self) -> None:
        """Forget all templates."""
        with self._lock:
            self._templates.clear()

    def find(self, template_id: object, *, accept_any: bool) -> Template:
        """The template; raises 40036 or 40037."""
        if not isinstance(template_id, str) or not 0 < len(template_id) <= MAX_TEMPLATE_ID:
            raise RefusalError(40036)
        template = self._templates.get(template_id)
        if template is not None:
            return template
        if accept_any:
            return Template(template_id, "模板消息", {})
        raise RefusalError(40037)


def card_fields(template: Template, content: object) -> tuple[CardField, ...]:
    """The lines of the card in the template's order; raises 47003 naming the first bad key.

    Colours and keys that the template does not have are dropped without a word. A template
    without keys (accepted unseen) takes every key that is sent.
    """
    if not isinstance(content, dict):
        raise RefusalError(47003, "argument invalid! data invalid")
    keys = template.keys or {key: key for key in content}
    fields = []
    for key, label in keys.items():
        entry = content.get(key)
        value = entry.get("value") if isinstance(entry, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise RefusalError(47003, f"argument invalid! data.{key}.value invalid")
        shown = shown_value(key, value, tuple(template.values.get(key, ())))
        if shown is None:
            raise RefusalError(47003, f"argument invalid! data.{key}.value invalid")
        if key not in ("first", "remark"):
            fields.append(CardField(key, label, shown))
    return tuple(fields)


def shown_value(key: str, value: str, listed: tuple[str, ...]) -> str | None:
    """What the card shows for a value, or None when it is refused.

    The keys of the old industry templates (first, keyword1, remark) are cut, never refused.
    """
    if key in ("first", "remark") or re.fullmatch(r"keyword\d+", key):
        return EMOJI.sub("", " ".join(value.split()))[:LEGACY_LIMIT]
    return EMOJI.sub("", value) if is_acceptable(key, value, listed) else None
