"""Limits of template keywords by parameter type (模板参数限制); the registry checks with them.

Source: the platform's table of parameter values for category templates and subscription
messages. Where sources differ or are silent the stricter reading is taken, because a refused
value (errcode 47003) or a silently stripped one reaches a customer as no or as wrong text:

- length: the larger of code points and UTF-16 units (``characters.length``);
- emoji, stripped by the platform since 2023-05, are refused here, so that a reader sees what
  we meant; ``shorten`` removes them beforehand where the text comes from people;
- ``amount``: 10 digits in all, those after the point included;
- ``character_string``: printable ASCII without blanks;
- ``const`` and ``enum``: only with the list of values approved for the template;
- ``short_thing`` is in the platform's library but undocumented: only with a configured length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

from gongdian.errors import InputError
from gongdian.render import characters
from gongdian.render.moments import moments_problem


class KeywordType(StrEnum):
    """The type that stands before the number in a platform key such as ``thing1``."""

    THING = "thing"
    CHARACTER_STRING = "character_string"
    PHRASE = "phrase"
    NUMBER = "number"
    LETTER = "letter"
    SYMBOL = "symbol"
    AMOUNT = "amount"
    TIME = "time"
    DATE = "date"
    PHONE_NUMBER = "phone_number"
    CAR_NUMBER = "car_number"
    NAME = "name"
    CONST = "const"
    ENUM = "enum"
    SHORT_THING = "short_thing"


class Reason(StrEnum):
    """Why a value is refused; used as the error's code."""

    EMPTY = "keyword_empty"
    TOO_LONG = "keyword_too_long"
    CONTROL = "keyword_control_character"
    EMOJI = "keyword_emoji"
    CHARACTERS = "keyword_characters"
    FORMAT = "keyword_format"
    IMPOSSIBLE = "keyword_impossible"
    ORDER = "keyword_range_order"
    NOT_LISTED = "keyword_not_listed"
    NOT_CONFIGURED = "keyword_not_configured"


REASON_LABELS: dict[Reason, str] = {
    Reason.EMPTY: "内容为空",
    Reason.TOO_LONG: "内容太长",
    Reason.CONTROL: "含有换行或不可见字符",
    Reason.EMOJI: "含有表情符号",
    Reason.CHARACTERS: "含有该类型不允许的字符",
    Reason.FORMAT: "格式不对",
    Reason.IMPOSSIBLE: "日期或时间不存在",
    Reason.ORDER: "时间段的结束早于开始",
    Reason.NOT_LISTED: "不在已核准的取值之内",
    Reason.NOT_CONFIGURED: "该类型须先在配置中给出限制",
}

TYPE_LABELS: dict[KeywordType, str] = {
    KeywordType.THING: "20个字以内",
    KeywordType.CHARACTER_STRING: "32位以内数字、字母或符号，不含汉字",
    KeywordType.PHRASE: "5个以内汉字",
    KeywordType.NUMBER: "32位以内数字，可带小数",
    KeywordType.LETTER: "32位以内字母",
    KeywordType.SYMBOL: "5位以内符号",
    KeywordType.AMOUNT: "1个币种符号加10位以内数字，可带小数，结尾可带“元”",
    KeywordType.TIME: "24小时制时间，可带年月日，时间段用~连接",
    KeywordType.DATE: "年月日，可带时间，时间段用~连接",
    KeywordType.PHONE_NUMBER: "17位以内数字、符号",
    KeywordType.CAR_NUMBER: "8位以内，首末位可为汉字",
    KeywordType.NAME: "10个以内汉字，或20个以内字母、符号",
    KeywordType.CONST: "20个字以内，且已核准",
    KeywordType.ENUM: "枚举值之一",
    KeywordType.SHORT_THING: "按配置的字数",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a value is refused; the text never repeats the value (personal data)."""

    reason: Reason
    text: str


_KEY = re.compile(r"([a-z_]+?)([1-9][0-9]{0,2})?")
_AMOUNT = re.compile(r"[¥￥$€£]?([0-9]+)(?:\.([0-9]+))?元?")
_PHONE = re.compile(r"(?=.*[0-9])[0-9+\-() ,;*#/]+")
_CAR = re.compile(r".[A-Za-z0-9]*.?")


def type_of(key: str) -> KeywordType:
    """The type of a platform key (``thing1``) or of a bare type name (``thing``).

    Raises InputError ``keyword_type_unknown``.
    """
    found = _KEY.fullmatch(key)
    if found is None or found.group(1) not in set(KeywordType):
        raise InputError("keyword_type_unknown", "no such keyword type", key=key)
    return KeywordType(found.group(1))


def check(
    key: str,
    value: str,
    *,
    kind: str = "",
    label: str = "",
    allowed: Collection[str] = (),
    max_length: int | None = None,
) -> None:
    """Refuse a value that the platform would refuse or change.

    ``key`` is a platform key (``thing1``) or a type name; ``allowed`` are the approved values of
    a ``const`` or ``enum``; ``max_length`` is the configured length of a ``short_thing``.
    Raises InputError whose code is a ``Reason``, with kind, key and label in its context.
    """
    problem = find_problem(type_of(key), value, allowed=allowed, max_length=max_length)
    if problem is not None:
        raise InputError(problem.reason.value, problem.text, kind=kind, key=key, label=label)


def find_problem(
    keyword_type: KeywordType,
    value: str,
    *,
    allowed: Collection[str] = (),
    max_length: int | None = None,
) -> Problem | None:
    """What is wrong with a value, or None."""
    if not value.strip():
        return Problem(Reason.EMPTY, "value is empty")
    if characters.has_emoji(value):
        return Problem(Reason.EMOJI, "value holds an emoji, which the platform strips")
    if characters.has_refused(value):
        return Problem(Reason.CONTROL, "value holds a line break or an invisible character")
    if keyword_type is KeywordType.SHORT_THING:
        if max_length is None:
            return Problem(Reason.NOT_CONFIGURED, "short_thing needs a configured max_length")
        return _too_long(value, max_length)
    if keyword_type in (KeywordType.CONST, KeywordType.ENUM):
        return _listed(keyword_type, value, allowed)
    return _CHECKS[keyword_type](value)


def _too_long(value: str, limit: int) -> Problem | None:
    found = characters.length(value)
    if found <= limit:
        return None
    return Problem(Reason.TOO_LONG, f"{found} characters, at most {limit}")


def _of(limit: int, accepts: Callable[[str], bool], wanted: str) -> Callable[[str], Problem | None]:
    """A check: every character is accepted, and at most ``limit`` of them."""

    def run(value: str) -> Problem | None:
        if not all(accepts(character) for character in value):
            return Problem(Reason.CHARACTERS, f"only {wanted}")
        return _too_long(value, limit)

    return run


def _matching(pattern: str, limit: int, wanted: str) -> Callable[[str], Problem | None]:
    """A check: the whole value matches, and at most ``limit`` characters."""
    compiled = re.compile(pattern)

    def run(value: str) -> Problem | None:
        if compiled.fullmatch(value) is None:
            return Problem(Reason.FORMAT, f"wanted {wanted}")
        return _too_long(value, limit)

    return run


def _amount(value: str) -> Problem | None:
    found = _AMOUNT.fullmatch(value)
    if found is None:
        return Problem(Reason.FORMAT, "wanted one currency sign, digits, decimals, 元")
    digits = len(found.group(1)) + len(found.group(2) or "")
    if digits > 10:
        return Problem(Reason.TOO_LONG, f"{digits} digits, at most 10")
    return None


def _car_number(value: str) -> Problem | None:
    ends_fit = all(
        characters.is_han(end) or (end.isascii() and end.isalnum()) for end in (value[0], value[-1])
    )
    if _CAR.fullmatch(value) is None or not ends_fit:
        return Problem(Reason.FORMAT, "letters and digits, Chinese only first and last")
    return _too_long(value, 8)


def _name(value: str) -> Problem | None:
    chinese = any(characters.is_han(character) for character in value)
    if any(character.isnumeric() and not characters.is_han(character) for character in value):
        return Problem(Reason.CHARACTERS, "a name holds no digits")
    return _too_long(value, 10 if chinese else 20)


def _moments(with_time_only: bool) -> Callable[[str], Problem | None]:
    """A check for ``time`` (a clock time is needed) or ``date`` (a day is needed)."""

    def run(value: str) -> Problem | None:
        found = moments_problem(value, time_needed=with_time_only, day_needed=not with_time_only)
        return None if found is None else Problem(Reason(f"keyword_{found[0]}"), found[1])

    return run


def _listed(keyword_type: KeywordType, value: str, allowed: Collection[str]) -> Problem | None:
    if not allowed:
        return Problem(Reason.NOT_CONFIGURED, f"{keyword_type} needs its approved values")
    if value not in allowed:
        return Problem(Reason.NOT_LISTED, "not one of the approved values")
    return _too_long(value, 20) if keyword_type is KeywordType.CONST else None


_CHECKS: dict[KeywordType, Callable[[str], Problem | None]] = {
    KeywordType.THING: lambda value: _too_long(value, 20),
    KeywordType.CHARACTER_STRING: _of(
        32, lambda character: "!" <= character <= "~", "digits, letters and ASCII symbols"
    ),
    KeywordType.PHRASE: _of(5, characters.is_han, "Chinese characters"),
    KeywordType.NUMBER: _matching(r"[0-9]+(\.[0-9]+)?", 32, "digits, one decimal point"),
    KeywordType.LETTER: _matching(r"[A-Za-z]+", 32, "letters"),
    KeywordType.SYMBOL: _of(5, characters.is_symbol, "symbols"),
    KeywordType.AMOUNT: _amount,
    KeywordType.TIME: _moments(with_time_only=True),
    KeywordType.DATE: _moments(with_time_only=False),
    KeywordType.PHONE_NUMBER: _matching(_PHONE.pattern, 17, "digits and phone symbols"),
    KeywordType.CAR_NUMBER: _car_number,
    KeywordType.NAME: _name,
}
