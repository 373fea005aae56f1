"""XML and JSON bodies as plain trees of text: strict, bounded, every character kept.

Called by the message parser and by the gate (for the envelope around an encrypted message).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias
from xml.parsers import expat

from gongdian.errors import CallbackError

Value: TypeAlias = "str | Mapping[str, Value] | Sequence[Value]"
Fields: TypeAlias = Mapping[str, Value]

MAX_DEPTH = 8
MAX_ELEMENTS = 1000
_SPACE = " \t\r\n"

# What the platform writes: leaves with CDATA or bare text, opening and closing tags of what
# nests. The last alternative swallows everything from the first thing that is none of these,
# so that a hostile text is scanned once and not once per "<". The atomic group ends CDATA at
# its first "]]>" (spelled without ".*?", which is slower).
_CANONICAL = re.compile(
    r"[ \t\r\n]*(?:"
    r"<([A-Za-z_][A-Za-z0-9_]*)>"
    r"(?:<!\[CDATA\[(?>([^\]]*(?:\](?!\]>)[^\]]*)*)\]\]>)|([^<&\]]*))</\1>"
    r"|<(/?[A-Za-z_][A-Za-z0-9_]*)>)"
    r"|(.+)",
    re.DOTALL,
)
_PROLOG = re.compile(r"<\?xml[ \t\r\n]([^<>?]*)\?>")
_ENCODING = re.compile(r"encoding[ \t\r\n]*=[ \t\r\n]*[\"']([^\"']*)[\"']")
# What XML 1.0 forbids, and CR, which an XML parser turns into LF.
_UNSPEAKABLE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")
_REFERENCE = re.compile(r"&#(?:x0*([0-9A-Fa-f]{1,6})|0*([0-9]{1,7}));")
_PRIVATE_USE = range(0xF0000, 0xFFFFE)


def unreadable(why: str) -> CallbackError:
    """The error of a body that cannot be read; ``why`` never quotes the body."""
    return CallbackError("callback_body", why, status=400)


def decode(raw: bytes) -> str:
    """UTF-8 text of a body without byte order mark and surrounding white space."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise unreadable("the body is not UTF-8") from error
    return text.removeprefix("\ufeff").strip(_SPACE)


def looks_like_json(text: str) -> bool:
    """Whether a decoded body is JSON; the content type is not trusted for that."""
    return text.startswith("{")


def read_xml(text: str) -> dict[str, Value]:
    """The children of ``<xml>``: text, or a mapping for nested ones, or a list if repeated.

    ``text`` comes from ``decode``. Raises CallbackError for everything else, and for any
    document type or entity declaration, more than MAX_ELEMENTS elements or MAX_DEPTH levels.
    """
    fields = read_canonical_xml(text)
    return read_any_xml(text) if fields is None else fields


def read_canonical_xml(text: str) -> dict[str, Value] | None:
    """The same for the form that the platform writes, fast; None for other forms."""
    if not (text.startswith("<xml>") and text.endswith("</xml>")) or len(text) < 11:
        return None
    found = _CANONICAL.findall(text[5:-6].strip(_SPACE))
    if not found or len(found) > MAX_ELEMENTS:
        return None
    fields: dict[str, Value] = {name: cdata or bare for name, cdata, bare, _, _ in found}
    if len(fields) == len(found) and "" not in fields:
        return fields  # no nesting, nothing twice
    return _nested(found)


def _nested(found: list[tuple[str, str, str, str, str]]) -> dict[str, Value] | None:
    above: list[tuple[str, dict[str, Value]]] = []
    siblings: dict[str, Value] = {}
    for name, cdata, bare, tag, rest in found:
        if name:
            _add(siblings, name, cdata or bare)
        elif rest or len(above) >= MAX_DEPTH - 1:
            return None
        elif tag[0] != "/":
            above.append((tag, siblings))
            siblings = {}
        else:
            if not above or above[-1][0] != tag[1:] or not siblings:
                return None
            children = siblings
            tag, siblings = above.pop()
            _add(siblings, tag, children)
    return None if above else siblings


def _add(siblings: dict[str, Value], name: str, value: Value) -> None:
    """Repeated elements become a list."""
    known = siblings.get(name)
    if known is None:
        siblings[name] = value
    elif isinstance(known, list):
        known.append(value)
    else:
        siblings[name] = [known, value]


def read_any_xml(text: str) -> dict[str, Value]:
    """The same for any XML, by expat."""
    prolog = _PROLOG.match(text)
    if prolog:
        encoding = _ENCODING.search(prolog[1])
        if encoding and encoding[1].lower() not in ("utf-8", "utf8"):
            raise unreadable("the XML declares another encoding than UTF-8")
        text = text[prolog.end() :].lstrip(_SPACE)
    hidden, shown = _hide_unspeakable(text)
    tree = _Tree(shown)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(hidden, True)
    except expat.ExpatError as error:
        raise unreadable("the body is not well-formed XML") from error
    return tree.root()


def _refuse_doctype(*_: object) -> NoReturn:
    raise unreadable("document type declarations are refused")


def _hide_unspeakable(text: str) -> tuple[str, dict[int, str]]:
    """Put private-use characters in place of what expat refuses, and how to go back.

    Only characters that the text does not hold, not even as a reference, are taken.
    """
    present = set(_UNSPEAKABLE.findall(text))
    if not present:
        return text, {}
    taken = {ord(char) for char in set(text)}
    for hexadecimal, decimal in _REFERENCE.findall(text):
        taken.add(int(hexadecimal, 16) if hexadecimal else int(decimal))
    free: Iterator[int] = (code for code in _PRIVATE_USE if code not in taken)
    back = {next(free): char for char in sorted(present)}
    return text.translate({ord(char): code for code, char in back.items()}), back


class _Tree:
    """Collects expat's events into nested mappings."""

    def __init__(self, shown: dict[int, str]) -> None:
        self._shown = shown
        self._stack: list[tuple[dict[str, Value], list[str]]] = [({}, [])]
        self._count = 0

    def start(self, _name: str, _attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS + 1:  # the root is not counted
            raise unreadable("too many elements")
        if len(self._stack) > MAX_DEPTH:
            raise unreadable("nested too deeply")
        self._stack.append(({}, []))

    def text(self, text: str) -> None:
        self._stack[-1][1].append(text)

    def end(self, name: str) -> None:
        children, parts = self._stack.pop()
        text = "".join(parts)
        if self._shown:
            text = text.translate(self._shown)
        if children and text.strip(_SPACE):
            raise unreadable("text between elements")
        value: Value = children or text
        _add(self._stack[-1][0], name, value)

    def root(self) -> dict[str, Value]:
        root = self._stack[0][0].get("xml")
        if isinstance(root, dict):
            return root
        if isinstance(root, str) and not root.strip(_SPACE):
            return {}
        raise unreadable("the root element is not <xml>")


def read_json(text: str) -> dict[str, Value]:
    """The members of a JSON object as text, mappings and lists; ``text`` from ``decode``.

    Numbers keep their digits as text, true and false are text, null is empty. Raises
    CallbackError for everything that is no such object, for a repeated member, NaN and
    Infinity, half a surrogate pair, and beyond the bounds of ``read_xml``.
    """
    try:
        loaded = json.loads(
            text,
            strict=False,  # control characters survive here as they do in XML
            parse_int=str,
            parse_float=str,
            parse_constant=_refuse_constant,
            object_pairs_hook=_members,
        )
    except (ValueError, RecursionError) as error:
        raise unreadable("the body is not JSON") from error
    if not isinstance(loaded, dict):
        raise unreadable("the body is not a JSON object")
    count = [0]
    return {_whole_text(name): _texts(value, 1, count) for name, value in loaded.items()}


def _refuse_constant(_: str) -> NoReturn:
    raise unreadable("NaN and Infinity are no JSON")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise unreadable("a JSON member is given twice")
    return members


def _texts(value: Any, depth: int, count: list[int]) -> Value:
    """The same tree with text as its only leaf."""
    count[0] += 1
    if count[0] > MAX_ELEMENTS:
        raise unreadable("too many elements")
    if isinstance(value, str):
        return _whole_text(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if depth >= MAX_DEPTH:
        raise unreadable("nested too deeply")
    if isinstance(value, dict):
        return {_whole_text(name): _texts(inner, depth + 1, count) for name, inner in value.items()}
    return [_texts(inner, depth + 1, count) for inner in value]


def _whole_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise unreadable("half a surrogate pair") from error
    return text
