"""Consent texts (授权书文本): the words a person agreed to, by name, with version and digest.

Called by the page that shows a consent and by the service that records it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from gongdian.errors import NotFoundError
from gongdian.render import loader
from gongdian.render.tables import Table


@dataclass(frozen=True, slots=True)
class Notice:
    """One group of notices that the consent covers."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class ConsentText:
    """One version of a consent; ``digest`` (sha256 hex) proves which words were shown."""

    name: str
    version: str
    title: str
    paragraphs: tuple[str, ...]
    notices: tuple[Notice, ...]
    digest: str


def load_consent(name: str, folder: Path = loader.CONSENTS) -> ConsentText:
    """The current text of a consent such as ``binding``.

    Raises NotFoundError ``consent_unknown``, and ConfigError for a malformed file.
    """
    documents = loader.read_folder(folder)
    file = f"{name}.toml"
    if file not in documents:
        raise NotFoundError("consent_unknown", "no such consent text", consent=name)
    top = Table(documents[file], file=file)
    version, title = top.text("version", r"[0-9A-Za-z.-]{1,20}"), top.text("title")
    paragraphs = top.texts("paragraphs")
    notices = tuple(_read_notice(table) for table in top.children("notices"))
    top.close()
    words = "\n".join(
        [version, title, *paragraphs, *(f"{notice.title}\t{notice.text}" for notice in notices)]
    )
    digest = hashlib.sha256(words.encode()).hexdigest()
    return ConsentText(name, version, title, paragraphs, notices, digest)


def _read_notice(table: Table) -> Notice:
    notice = Notice(table.text("title"), table.text("text"))
    table.close()
    return notice
