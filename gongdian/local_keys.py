"""Keys of a demo installation (演示密钥): made at the first start, kept beside its database."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import replace
from pathlib import Path

from gongdian.errors import ConfigError
from gongdian.settings import Settings

_NAMES = ("session_key", "data_key", "index_key", "audit_key")


def with_local_keys(settings: Settings) -> Settings:
    """The settings with every missing key of the house filled in.

    In production nothing is missing, since start-up refuses it. The file is readable by its
    owner only; when two processes make it at once, the first one's keys count.
    """
    if all(getattr(settings, name) for name in _NAMES):
        return settings
    folder = Path(settings.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "local_keys.json"
    if not path.exists():
        _make(path)
    try:
        kept = json.loads(path.read_text("utf-8"))
        found = {name: base64.b64decode(kept[name], validate=True) for name in _NAMES}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError("E007", "cannot read the local keys", file=str(path)) from error
    return replace(
        settings,
        session_key=settings.session_key or found["session_key"],
        data_key=settings.data_key or found["data_key"],
        index_key=settings.index_key or found["index_key"],
        audit_key=settings.audit_key or found["audit_key"],
    )


def _make(path: Path) -> None:
    keys = {name: base64.b64encode(secrets.token_bytes(32)).decode() for name in _NAMES}
    draft = path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(keys, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
