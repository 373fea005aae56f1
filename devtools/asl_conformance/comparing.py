"""How an answer is compared with the recorded one.

Numbers are compared by value (1 is 1.0), ``true`` is no number. In fuzzy cases the record holds
placeholders (``<uuid:1>``, ``start-time``, a key's own name): they stand for any text there,
and everything around them must agree.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

_HOLE = re.compile(r"<[^<>\s]+>")
# Placeholders in a text, and account numbers, which an ARN of another installation does not share.
_LOOSE = re.compile(r"<[^<>\s]+>|(?<=:)\d{12}(?=:)")
# Whole values that the recording tool writes instead of what changes from run to run.
_WORDS = {"date", "datetime", "starttime", "enteredtime", "timestamp", "snfrolearn", "requestid"}
_SHOWN = 160


def first_difference(got: Any, recorded: Any, *, fuzzy: bool = False, place: str = "") -> str:
    """Where two JSON values differ first, in words; "" when they are the same."""
    if fuzzy and _is_placeholder_for(recorded, got, _last_key(place)):
        return ""
    if isinstance(got, dict) and isinstance(recorded, dict):
        return _in_objects(got, recorded, fuzzy, place)
    if isinstance(got, list) and isinstance(recorded, list):
        return _in_lists(got, recorded, fuzzy, place)
    if _is_same(got, recorded):
        return ""
    if fuzzy and isinstance(got, str) and isinstance(recorded, str):
        inner = _in_texts(got, recorded, place)
        if inner is not None:
            return inner
    return f"{place or 'value'}: {shown(got)}, recorded {shown(recorded)}"


def _in_objects(
    got: Mapping[str, Any], recorded: Mapping[str, Any], fuzzy: bool, place: str
) -> str:
    lacking, more = set(recorded) - set(got), set(got) - set(recorded)
    if lacking or more:
        parts = [f"lacks {sorted(lacking)}"] if lacking else []
        parts += [f"has {sorted(more)} more"] if more else []
        return f"{place or 'value'}: {', '.join(parts)}"
    for key, value in recorded.items():
        found = first_difference(got[key], value, fuzzy=fuzzy, place=f"{place}.{key}")
        if found:
            return found
    return ""


def _in_lists(got: Sequence[Any], recorded: Sequence[Any], fuzzy: bool, place: str) -> str:
    if len(got) != len(recorded):
        return f"{place or 'value'}: {len(got)} items, recorded {len(recorded)}"
    for index, (mine, theirs) in enumerate(zip(got, recorded, strict=True)):
        found = first_difference(mine, theirs, fuzzy=fuzzy, place=f"{place}[{index}]")
        if found:
            return found
    return ""


def _is_same(got: Any, recorded: Any) -> bool:
    if isinstance(got, bool) or isinstance(recorded, bool):
        return got is recorded
    if isinstance(got, int | float) and isinstance(recorded, int | float):
        return got == recorded
    return type(got) is type(recorded) and bool(got == recorded)


def _in_texts(got: str, recorded: str, place: str) -> str | None:
    """Texts that hold JSON are compared as JSON, others with their placeholders open."""
    mine, theirs = _as_json(got), _as_json(recorded)
    if mine is not None and theirs is not None:
        return first_difference(mine, theirs, fuzzy=True, place=f"{place}(JSON)")
    if _HOLE.search(recorded) and _pattern(recorded).fullmatch(got):
        return ""
    return None


def _pattern(recorded: str) -> re.Pattern[str]:
    parts, end = [], 0
    for hole in _LOOSE.finditer(recorded):
        parts.append(re.escape(recorded[end : hole.start()]))
        parts.append(".+" if hole[0].startswith("<") else r"\d{12}")
        end = hole.end()
    return re.compile("".join(parts) + re.escape(recorded[end:]), re.DOTALL)


def _as_json(text: str) -> Any:
    """The object or list that a text holds, or None."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _last_key(place: str) -> str:
    return re.sub(r"(\[\d+\])+$", "", place).rpartition(".")[2]


def _is_placeholder_for(recorded: Any, got: Any, key: str) -> bool:
    if key == "stackTrace":  # names files and lines of the function that was recorded
        return _is_texts(recorded) and _is_texts(got)
    if not isinstance(recorded, str):
        return False
    word = _bare(recorded)
    is_whole = bool(_HOLE.fullmatch(recorded))
    is_word = word in _WORDS or (bool(word) and word == _bare(key))
    # The headers of lambda:invoke are lists of one text, recorded as a word.
    return (is_whole and isinstance(got, str)) or (is_word and _is_texts(got))


def _is_texts(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(isinstance(one, str) for one in values)


def _bare(text: str) -> str:
    return re.sub(r"[-_]", "", text).lower()


def shown(value: Any) -> str:
    """A value as JSON, cut for a listing."""
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def cause_difference(got: str | None, recorded: Any, *, fuzzy: bool) -> str:
    """How causes differ; a recorded object was a JSON text."""
    mine: Any = got
    if isinstance(recorded, dict | list) and got is not None:
        mine = _as_json(got)
    return first_difference(mine, recorded, fuzzy=fuzzy, place="cause")


def event_difference(got: Sequence[str], recorded: Sequence[str], *, unordered: bool) -> str:
    """How two sequences of event types differ; ``unordered`` compares how many of each."""
    mine, theirs = Counter(got), Counter(recorded)
    if mine != theirs:
        lacks, more = sorted((theirs - mine).elements()), sorted((mine - theirs).elements())
        parts = [f"lacks {', '.join(lacks)}"] if lacks else []
        parts += [f"has {', '.join(more)} more"] if more else []
        return "events: " + "; ".join(parts)
    if unordered or list(got) == list(recorded):
        return ""
    pairs = enumerate(zip(got, recorded, strict=True), 1)
    number, (first, other) = next(pair for pair in pairs if pair[1][0] != pair[1][1])
    return f"events: number {number} is {first}, recorded {other}"
