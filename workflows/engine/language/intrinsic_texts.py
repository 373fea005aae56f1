"""Intrinsic functions for strings (文本函数). Source: AWS documentation, "Intrinsic functions"."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from typing import Any, Final

from workflows.engine.language.errors import DefinitionError
from workflows.engine.language.intrinsic_arguments import ArgumentError, need_string
from workflows.engine.language.intrinsic_parser import unescape
from workflows.engine.language.json_text import to_json, to_plain_text

LONGEST_INPUT: Final = 10_000

_PLACE: Final = re.compile(r"((?:[^\\{]|\\.)*)(\{\})?", re.DOTALL)
_ALGORITHMS: Final = {
    "MD5": "md5",
    "SHA-1": "sha1",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
}


def format_text(template: Any, *arguments: Any) -> str:
    """States.Format with a template that is only known at run time: each ``{}`` is a place."""
    pieces = need_string(template, "The first argument").split("{}")
    return _filled(pieces, arguments)


def prepare_format(raw: str) -> Callable[..., str]:
    r"""States.Format with a literal template, escapes unread: ``\{\}`` is no place, ``{}`` is.

    Raises DefinitionError for another ``{``, as AWS does when the definition is created.
    """
    pieces: list[str] = []
    position = 0
    while (match := _PLACE.match(raw, position)) is not None:
        pieces.append(unescape(match.group(1)))
        position = match.end()
        if match.group(2) is None:
            break
    if position != len(raw):
        raise DefinitionError(f"States.Format: matching '}}' not found for '{{' in {raw!r}")
    return lambda *arguments: _filled(pieces, arguments)


def _filled(pieces: list[str], arguments: tuple[Any, ...]) -> str:
    if len(pieces) != len(arguments) + 1:
        raise ArgumentError(
            f"The template has {len(pieces) - 1} places {{}}, but {len(arguments)} arguments follow"
        )
    parts = [pieces[0]]
    for argument, piece in zip(arguments, pieces[1:], strict=True):
        parts.append(argument if argument.__class__ is str else to_plain_text(argument))
        parts.append(piece)
    return "".join(parts)


def string_split(text: Any, separators: Any) -> list[str]:
    """States.StringSplit: cut at any character of ``separators``; empty pieces are dropped."""
    whole = need_string(text, "The first argument")
    characters = need_string(separators, "The separator")
    if len(characters) == 1:
        return [piece for piece in whole.split(characters) if piece]
    if not characters:
        return [whole] if whole else []
    cut = re.split("[" + re.escape(characters) + "]", whole)
    return [piece for piece in cut if piece]


def base64_encode(text: Any) -> str:
    """States.Base64Encode of at most 10,000 characters, as UTF-8."""
    return base64.b64encode(_encoded(_short(text))).decode("ascii")


def base64_decode(text: Any) -> str:
    """States.Base64Decode of at most 10,000 characters; padding may be left out, as in Java."""
    encoded = _short(text)
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ArgumentError("The argument is not Base64 text") from error
    return decoded.decode("utf-8", errors="replace")


def hash_text(content: Any, algorithm: Any) -> str:
    """States.Hash: hexadecimal digest of a string (of the JSON text of anything else)."""
    name = _ALGORITHMS.get(need_string(algorithm, "The algorithm"))
    if name is None:
        raise ArgumentError(f"The algorithm must be one of {', '.join(_ALGORITHMS)}")
    text = _short(content if isinstance(content, str) else to_json(content))
    return hashlib.new(name, _encoded(text), usedforsecurity=False).hexdigest()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="replace")  # lone surrogates, as Java does it


def _short(text: Any) -> str:
    whole = need_string(text, "The argument")
    if len(whole) > LONGEST_INPUT:
        raise ArgumentError(f"The argument must not be longer than {LONGEST_INPUT:,} characters")
    return whole
