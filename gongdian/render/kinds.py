"""Message kinds and account maps (消息种类、模板编号对照): plain values and how TOML becomes them.

Called by the registry only; the files are described in ``templates/messages/README.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from gongdian.errors import InputError
from gongdian.render.keywords import KeywordType, find_problem, type_of
from gongdian.render.sms import SmsMap, read_sms
from gongdian.render.tables import Table

MOST_TEMPLATES = 25  # in use at once per account, by the platform's rule


class Priority(StrEnum):
    """Priority class (优先级) of a message; ``critical`` passes quiet hours and budgets last."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Keyword:
    """One row of a card: our field name, the label people read, the platform's type.

    A ``is_secret`` one (a code) is shown to its recipient alone, to no clerk.
    """

    name: str
    label: str
    type: KeywordType
    sample: str
    allowed: tuple[str, ...] = ()
    max_length: int | None = None
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class MessageKind:
    """One kind of message (消息种类), independent of any account."""

    name: str
    title: str
    flow: str
    label: str
    priority: Priority
    legal: bool
    time_to_live: timedelta
    quiet_hours: bool
    keywords: tuple[Keyword, ...]

    def samples(self) -> dict[str, str]:
        """The sample values by field name."""
        return {keyword.name: keyword.sample for keyword in self.keywords}

    def secrets(self) -> tuple[str, ...]:
        """The names of the fields that only the recipient may read."""
        return tuple(keyword.name for keyword in self.keywords if keyword.is_secret)


@dataclass(frozen=True, slots=True)
class TemplateMap:
    """How one account calls one kind: template id, and our field name -> platform key."""

    template_id: str
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AccountMap:
    """All templates of one account (公众号), by kind; ``sms`` are its text messages."""

    appid: str
    name: str
    templates: Mapping[str, TemplateMap]
    sms: Mapping[str, SmsMap] = field(default_factory=dict)


def read_kind(file: str, raw: object) -> MessageKind:
    """One ``templates/messages/<kind>.toml``. Raises ConfigError naming file, table, field."""
    top = Table(raw, file=file)
    name = top.text("kind", r"[a-z][a-z0-9_]{1,39}")
    if f"{name}.toml" != file:
        top.refuse("kind", f"must be the file's name: {file.removesuffix('.toml')}")
    keywords = tuple(_read_keyword(table) for table in top.children("keywords"))
    if len({keyword.name for keyword in keywords}) != len(keywords):
        top.refuse("keywords", "has one name twice")
    kind = MessageKind(
        name=name,
        title=top.text("title"),
        flow=top.text("flow", r"[a-z]+"),
        label=top.text("label"),
        priority=top.value("priority", Priority, ", ".join(Priority)),
        legal=top.flag("legal"),
        time_to_live=timedelta(hours=top.count("time_to_live_h", 1, 24 * 31)),
        quiet_hours=top.flag("quiet_hours"),
        keywords=keywords,
    )
    top.close()
    return kind


def _read_keyword(table: Table) -> Keyword:
    keyword = Keyword(
        name=table.text("name", r"[a-z][a-z0-9_]{0,39}"),
        label=table.text("label", r"\S{1,8}"),
        type=table.value("type", KeywordType, ", ".join(KeywordType)),
        sample=table.text("sample"),
        allowed=table.texts("allowed") if table.has("allowed") else (),
        max_length=table.count("max_length", 1, 20) if table.has("max_length") else None,
        is_secret=table.flag("secret") if table.has("secret") else False,
    )
    table.close()
    if keyword.allowed and keyword.type not in (KeywordType.CONST, KeywordType.ENUM):
        table.refuse("allowed", "is only for const and enum")
    if keyword.max_length is not None and keyword.type is not KeywordType.SHORT_THING:
        table.refuse("max_length", "is only for short_thing")
    problem = find_problem(
        keyword.type, keyword.sample, allowed=keyword.allowed, max_length=keyword.max_length
    )
    if problem is not None:
        table.refuse("sample", f"{problem.reason}: {problem.text}")
    return keyword


def read_account(file: str, raw: object, kinds: Mapping[str, MessageKind]) -> AccountMap:
    """One account's TOML file. Raises ConfigError naming file, table and field."""
    top = Table(raw, file=file)
    appid = top.text("appid", r"wx[0-9A-Za-z]{8,30}")
    name = top.text("name")
    tables = top.child("templates")
    sms_tables = top.child("sms") if top.has("sms") else None
    top.close()
    templates: dict[str, TemplateMap] = {}
    for kind_name in tables.names():
        if kind_name not in kinds:
            tables.refuse(kind_name, "is not a known message kind")
        templates[kind_name] = _read_template(tables.child(kind_name), kinds[kind_name])
    if len({template.template_id for template in templates.values()}) > MOST_TEMPLATES:
        top.refuse("templates", f"an account has at most {MOST_TEMPLATES} templates")
    _refuse_unequal_sharing(top, templates, kinds)
    sms = _read_text_messages(sms_tables, kinds) if sms_tables else {}
    return AccountMap(appid, name, templates, sms)


def _read_text_messages(tables: Table, kinds: Mapping[str, MessageKind]) -> dict[str, SmsMap]:
    found: dict[str, SmsMap] = {}
    for kind_name in tables.names():
        if kind_name not in kinds:
            tables.refuse(kind_name, "is not a known message kind")
        found[kind_name] = read_sms(tables.child(kind_name), kinds[kind_name].samples())
    return found


def _read_template(table: Table, kind: MessageKind) -> TemplateMap:
    template_id = table.text("template_id", r"[A-Za-z0-9_-]{20,64}")
    keys_table = table.child("keys")
    table.close()
    keys: dict[str, str] = {}
    for keyword in kind.keywords:
        key = keys_table.text(keyword.name, r"[a-z_]+[1-9][0-9]{0,2}")
        if _type_or_none(key) is not keyword.type:
            keys_table.refuse(keyword.name, f"must be a key of type {keyword.type}")
        if key in keys.values():
            keys_table.refuse(keyword.name, f"uses {key} a second time")
        keys[keyword.name] = key
    keys_table.close()
    return TemplateMap(template_id, keys)


def _type_or_none(key: str) -> KeywordType | None:
    try:
        return type_of(key)
    except InputError:
        return None


def _refuse_unequal_sharing(
    top: Table, templates: Mapping[str, TemplateMap], kinds: Mapping[str, MessageKind]
) -> None:
    """Two kinds may share a platform template only if the platform would show the same card."""
    shapes: dict[str, tuple[str, frozenset[tuple[str, str]]]] = {}
    for name, template in templates.items():
        rows = frozenset(_labels(kinds[name].keywords, template))
        shape = (kinds[name].title, rows)
        if shapes.setdefault(template.template_id, shape) != shape:
            top.refuse(f"templates.{name}.template_id", "is used by a kind with another card")


def _labels(keywords: Iterable[Keyword], template: TemplateMap) -> Iterable[tuple[str, str]]:
    return ((template.keys[keyword.name], keyword.label) for keyword in keywords)
