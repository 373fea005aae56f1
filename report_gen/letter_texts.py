"""The words of printed letters (信函文字): read from templates/letters, placeholders checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from gongdian.errors import ConfigError

LETTERS = Path(__file__).resolve().parents[1] / "templates" / "letters"


@dataclass(frozen=True, slots=True)
class LetterText:
    """One version of a letter; every text may hold ``{placeholders}``."""

    version: str
    title: str
    subtitle: str
    greeting: str
    paragraphs: tuple[str, ...]
    after_table: tuple[str, ...]
    signed: str
    seal: str
    receipt_title: str
    receipt_rows: tuple[tuple[str, str], ...]

    def fill(self, values: Mapping[str, str]) -> LetterText:
        """The same with every placeholder filled in; ConfigError names one without a value."""

        def filled(text: str) -> str:
            for _, name, _, _ in Formatter().parse(text):
                if name is not None and name not in values:
                    raise ConfigError("letter_placeholder", "nothing to fill in", name=name)
            return text.format_map(values)

        return LetterText(
            version=self.version,
            title=filled(self.title),
            subtitle=filled(self.subtitle),
            greeting=filled(self.greeting),
            paragraphs=tuple(map(filled, self.paragraphs)),
            after_table=tuple(map(filled, self.after_table)),
            signed=filled(self.signed),
            seal=filled(self.seal),
            receipt_title=filled(self.receipt_title),
            receipt_rows=tuple((label, filled(value)) for label, value in self.receipt_rows),
        )


def load_letter(name: str, folder: Path = LETTERS) -> LetterText:
    """A letter's words, such as ``cutoff_notice``; ConfigError names what the file lacks."""
    path = folder / f"{name}.toml"
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError("letter_unreadable", str(error), file=path.name) from error
    fields = set(LetterText.__dataclass_fields__)
    if set(document) != fields:
        raise ConfigError(
            "letter_fields",
            "wrong fields",
            file=path.name,
            missing=sorted(fields - set(document)),
            unknown=sorted(set(document) - fields),
        )
    for name_of_list in ("paragraphs", "after_table"):
        document[name_of_list] = tuple(document[name_of_list])
    document["receipt_rows"] = tuple((row[0], row[1]) for row in document["receipt_rows"])
    return LetterText(**document)
