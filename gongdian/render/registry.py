"""The template registry (模板登记): from a kind and values to a checked message, per account.

Services compose through it before they queue anything; wiring loads it once at start-up.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from gongdian.errors import ConfigError, InputError, NotFoundError
from gongdian.render import loader
from gongdian.render.keywords import REASON_LABELS, TYPE_LABELS, find_problem
from gongdian.render.kinds import (
    AccountMap,
    MessageKind,
    Priority,
    TemplateMap,
    read_account,
    read_kind,
)
from gongdian.render.sms import ComposedSms, compose_sms

LONGEST_URL = 1024  # the platform documents no bound; longer links are cut by some phones


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One refused field; safe to log, for it never carries the value."""

    name: str
    key: str
    label: str
    reason: str
    text: str
    text_zh: str


@dataclass(frozen=True, slots=True)
class ComposedMessage:
    """A message that passed every check: what the outbox stores and the platform is sent.

    ``data`` maps platform keys (``thing1``) to texts; ``fields`` are (label, text) in order.
    """

    appid: str
    kind: str
    title: str
    template_id: str
    data: dict[str, str]
    fields: tuple[tuple[str, str], ...]
    url: str
    flow: str
    priority: Priority
    legal: bool
    time_to_live: timedelta
    quiet_hours: bool


class Registry:
    """All message kinds and the templates of every account."""

    def __init__(
        self, kinds: Mapping[str, MessageKind], accounts: Mapping[str, AccountMap]
    ) -> None:
        self._kinds = dict(kinds)
        self._accounts = dict(accounts)

    @classmethod
    def load(
        cls, messages_dir: Path = loader.MESSAGES, accounts_dir: Path = loader.ACCOUNTS
    ) -> Registry:
        """Read ``<kind>.toml`` files and account maps.

        Raises ConfigError with file, table and field in its context.
        """
        kinds = {
            kind.name: kind
            for kind in (
                read_kind(file, raw) for file, raw in loader.read_folder(messages_dir).items()
            )
        }
        accounts: dict[str, AccountMap] = {}
        for file, raw in loader.read_folder(accounts_dir).items():
            account = read_account(file, raw, kinds)
            if account.appid in accounts:
                raise ConfigError(
                    "templates_invalid",
                    "another file maps this account",
                    file=file,
                    table="(top)",
                    field="appid",
                )
            accounts[account.appid] = account
        return cls(kinds, accounts)

    def kinds(self) -> tuple[MessageKind, ...]:
        """Every kind, by name."""
        return tuple(self._kinds[name] for name in sorted(self._kinds))

    def accounts(self) -> tuple[AccountMap, ...]:
        """Every account, by appid."""
        return tuple(self._accounts[appid] for appid in sorted(self._accounts))

    def kind(self, name: str) -> MessageKind:
        """One kind. Raises NotFoundError ``kind_unknown``."""
        if name not in self._kinds:
            raise NotFoundError("kind_unknown", "no such message kind", kind=name)
        return self._kinds[name]

    def compose(
        self, appid: str, kind: str, values: Mapping[str, str], url: str = ""
    ) -> ComposedMessage:
        """Check everything and build the message.

        ``values`` holds one text per declared field, no more and no fewer. ``url`` is what the
        card opens, https unless its host is this machine; empty for a card that opens nothing.
        Raises NotFoundError (``kind_unknown``, ``template_not_mapped``) and InputError
        ``message_fields_invalid`` with every FieldProblem in ``context["fields"]``.
        """
        found = self.kind(kind)
        template = self._template(appid, kind)
        problems = _field_problems(found, template, values)
        url_text = url_problem(url)
        if url_text:
            problems.append(
                FieldProblem("url", "url", "链接", "url_not_allowed", url_text, "链接不符合要求")
            )
        if problems:
            names = ", ".join(f"{problem.name}: {problem.reason}" for problem in problems)
            raise InputError(
                "message_fields_invalid", names, kind=kind, appid=appid, fields=tuple(problems)
            )
        return ComposedMessage(
            appid=appid,
            kind=kind,
            title=found.title,
            template_id=template.template_id,
            data={template.keys[word.name]: values[word.name] for word in found.keywords},
            fields=tuple((word.label, values[word.name]) for word in found.keywords),
            url=url,
            flow=found.flow,
            priority=found.priority,
            legal=found.legal,
            time_to_live=found.time_to_live,
            quiet_hours=found.quiet_hours,
        )

    def compose_sms(
        self, appid: str, kind: str, values: Mapping[str, str], reference: str = ""
    ) -> ComposedSms | None:
        """The text message of a kind, or None when this account has none for it.

        ``values`` are those that ``compose`` accepted; ``reference`` is the last part of the link.
        Raises NotFoundError (``kind_unknown``) and InputError (``sms_fields_missing``,
        ``sms_reference_invalid``).
        """
        known, account = self.kind(kind), self._accounts.get(appid)
        sms = account.sms.get(known.name) if account else None
        return None if sms is None else compose_sms(sms, values, reference)

    def _template(self, appid: str, kind: str) -> TemplateMap:
        account = self._accounts.get(appid)
        if account is None or kind not in account.templates:
            raise NotFoundError(
                "template_not_mapped", "this account has no template for it", appid=appid, kind=kind
            )
        return account.templates[kind]


def _field_problems(
    kind: MessageKind, template: TemplateMap, values: Mapping[str, str]
) -> list[FieldProblem]:
    problems: list[FieldProblem] = []
    for word in kind.keywords:
        key = template.keys[word.name]
        if word.name not in values:
            problems.append(
                FieldProblem(word.name, key, word.label, "field_missing", "is missing", "缺少内容")
            )
            continue
        problem = find_problem(
            word.type, values[word.name], allowed=word.allowed, max_length=word.max_length
        )
        if problem is not None:
            text_zh = f"{REASON_LABELS[problem.reason]}（{TYPE_LABELS[word.type]}）"
            problems.append(
                FieldProblem(
                    word.name, key, word.label, problem.reason.value, problem.text, text_zh
                )
            )
    known = {word.name for word in kind.keywords}
    problems.extend(
        FieldProblem(
            name, "", "", "field_unknown", "is no field of this kind", "该消息没有这个字段"
        )
        for name in values
        if name not in known
    )
    return problems


def url_problem(url: str) -> str:
    """Why a card may not open this address; empty when it may (or when there is none)."""
    if not url:
        return ""
    if len(url) > LONGEST_URL:
        return f"longer than {LONGEST_URL} characters"
    if not all("!" <= character <= "~" for character in url):
        return "holds a blank, a control or a character that is not ASCII"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is no address"
    if not host or parts.username is not None or parts.password is not None:
        return "needs a host and no user name"
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return ""
    return "must be https"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
