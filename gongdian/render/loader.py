"""The files that render reads (模板文件): message kinds, account maps, consents, page templates.

The only module of this room that touches the file system; start-up calls it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from jinja2 import BaseLoader, FileSystemLoader

from gongdian.errors import ConfigError

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
MESSAGES = TEMPLATES / "messages"
ACCOUNTS = TEMPLATES / "accounts"
CONSENTS = TEMPLATES / "consents"
STATIC = TEMPLATES / "static"


def read_folder(folder: Path) -> dict[str, dict[str, object]]:
    """Every ``*.toml`` of a folder, parsed, by file name in name order.

    Raises ConfigError for a missing or empty folder and for a file that is no TOML.
    """
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise ConfigError("templates_missing", "no *.toml file there", folder=str(folder))
    return {file.name: _read(file) for file in files}


def _read(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError("templates_unreadable", str(error), file=str(file)) from error


def page_loader(folder: Path = TEMPLATES) -> BaseLoader:
    """The Jinja loader of the page templates."""
    return FileSystemLoader(folder)
