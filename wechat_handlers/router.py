"""Which handler answers which message (路由): the most specific rule wins.

Built once by the edge from the rules of all flows; asked for each received message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from gongdian.errors import ConfigError
from wechat_handlers.messages import TextMessage
from wechat_handlers.wire import Event, Message

H = TypeVar("H")

MAX_MATCHED_TEXT = 512

# Backtracking of a pattern is bounded by what may repeat in it: two open repeats over 512
# characters are 262,144 steps at most; a repeated group would be exponential.
_MAX_REPEATS = 2
_MAX_OPTIONALS = 8
_IRRELEVANT = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?(?:P<\w+>|<?[=!]|:|[aims]+\))", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Rule(Generic[H]):
    """A condition and the handler for what meets it; empty parts of the condition meet all.

    msg_type: e.g. ``text``; event: e.g. ``click`` (any case; implies msg_type ``event``).
    key, key_prefix: compared with ``Message.key``: EventKey (for a follow, the scene without
    ``qrscene_``), or the text without outer white space.
    text_pattern: a regular expression for the whole text without outer white space
    (implies msg_type ``text``); texts over 512 characters match no pattern. Refused: a
    repeated group, more than 2 repeats, more than 8 optional items, back references.

    mode: ``inline`` answers passively within 3 s; ``queued`` answers ``success`` at once.
    """

    name: str
    handler: H
    mode: Literal["inline", "queued"] = "queued"
    msg_type: str = ""
    event: str = ""
    key: str = ""
    key_prefix: str = ""
    text_pattern: str = ""
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.event:
            self._imply("event", "event", self.event)
            object.__setattr__(self, "event", self.event.lower())
        if self.text_pattern:
            self._imply("text", "text_pattern", self.text_pattern)
            object.__setattr__(self, "_pattern", _safe_pattern(self.name, self.text_pattern))
        object.__setattr__(self, "msg_type", self.msg_type.lower())
        if sum(map(bool, (self.key, self.key_prefix, self.text_pattern))) > 1:
            raise ConfigError(
                "route_condition", "one of key, key_prefix, text_pattern", rule=self.name
            )

    def _imply(self, msg_type: str, because: str, value: str) -> None:
        if self.msg_type.lower() not in ("", msg_type):
            raise ConfigError(
                "route_condition", f"{because} needs {msg_type}", rule=self.name, got=value
            )
        object.__setattr__(self, "msg_type", msg_type)

    @property
    def condition(self) -> tuple[str, ...]:
        """Equal for rules that match the same messages."""
        return (self.msg_type, self.event, self.key, self.key_prefix, self.text_pattern)

    @property
    def specificity(self) -> tuple[int, int, int]:
        """Larger is tried first: exact key, longer prefix, pattern, event, type, any."""
        by_key = 3 if self.key else 2 if self.key_prefix else 1 if self.text_pattern else 0
        by_kind = 2 if self.event else 1 if self.msg_type else 0
        return (by_key, len(self.key_prefix), by_kind)

    def matches(self, message: Message) -> bool:
        """Whether the message meets the condition."""
        if self.msg_type and self.msg_type != message.msg_type:
            return False
        if self.event and not (isinstance(message, Event) and message.event == self.event):
            return False
        if self.key:
            return message.key == self.key
        if self.key_prefix:
            return message.key.startswith(self.key_prefix)
        if self._pattern is not None:
            return isinstance(message, TextMessage) and self._matches_text(message.key)
        return True

    def _matches_text(self, text: str) -> bool:
        if self._pattern is None or len(text) > MAX_MATCHED_TEXT:
            return False
        return self._pattern.fullmatch(text) is not None


class Router(Generic[H]):
    """An immutable set of rules. Rules of equal rank are tried in the order given."""

    def __init__(self, rules: Iterable[Rule[H]]) -> None:
        given = list(rules)
        by_condition: dict[tuple[str, ...], Rule[H]] = {}
        for rule in given:
            known = by_condition.setdefault(rule.condition, rule)
            if known is not rule:
                raise ConfigError(
                    "route_duplicate", "two rules for the same", rules=(known.name, rule.name)
                )
        self._rules = tuple(sorted(given, key=lambda rule: rule.specificity, reverse=True))

    @property
    def rules(self) -> tuple[Rule[H], ...]:
        """In the order in which they are tried."""
        return self._rules

    def match(self, message: Message) -> Rule[H] | None:
        """The most specific rule for a message, or None."""
        for rule in self._rules:
            if rule.matches(message):
                return rule
        return None


def _safe_pattern(rule: str, source: str) -> re.Pattern[str]:
    """Compile a pattern that no text can hang; ConfigError for others."""
    try:
        pattern = re.compile(source)
    except re.error as error:
        raise ConfigError("route_pattern", str(error), rule=rule) from error
    bare = _IRRELEVANT.sub(lambda found: "(" if found[0][0] == "(" else "x", source)
    repeats = len(re.findall(r"[*+{]", bare))
    optionals = bare.count("?")
    if (
        re.search(r"\)[*+{]", bare)
        or "(?" in bare
        or re.search(r"\\[1-9]", source)
        or repeats > _MAX_REPEATS
        or optionals > _MAX_OPTIONALS
    ):
        raise ConfigError("route_pattern", "this pattern can hang on a hostile text", rule=rule)
    return pattern
