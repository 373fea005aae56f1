"""Kept files (原始文件留存): each run's file as it came, read-only, below ``<data_dir>/imports``.

``gongdian.sources.runs`` calls this. The files hold personal data: only the owner may enter the
folder. A file is whole or absent: it is written beside its place, flushed, then renamed.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gongdian.errors import InputError, NotFoundError, UpstreamError

_CHUNK = 1 << 20
_LONGEST_NAME = 80
_UNSAFE = re.compile(r"[^\w.\-]+")


@dataclass(frozen=True, slots=True)
class Arrived:
    """A copy of a file that came; not at its place yet."""

    draft: Path
    name: str
    digest: bytes
    size: int


def imports_folder(data_dir: Path, feed: str) -> Path:
    """Where the files of one feed are kept; made when it is not there."""
    folder = data_dir / "imports" / feed
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for one in (folder.parent, folder):
        one.chmod(0o700)
    return folder


def take_file(data_dir: Path, feed: str, source: Path) -> Arrived:
    """Copy a file in pieces and know its SHA-256; InputError when it cannot be read."""
    draft = imports_folder(data_dir, feed) / f".arriving-{os.getpid()}-{secrets.token_hex(6)}"
    digest = hashlib.sha256()
    size = 0
    try:
        with source.open("rb") as given, draft.open("xb") as copy:
            os.fchmod(copy.fileno(), 0o600)
            while piece := given.read(_CHUNK):
                digest.update(piece)
                size += len(piece)
                copy.write(piece)
            copy.flush()
            os.fsync(copy.fileno())
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise _failed(source, error) from error
    return Arrived(draft, source.name, digest.digest(), size)


def _failed(source: Path, error: OSError) -> Exception:
    if isinstance(error, FileNotFoundError):
        return InputError("no_such_file", f"文件不存在：{source.name}", file=str(source))
    if isinstance(error, IsADirectoryError):
        return InputError("not_a_file", f"这是一个目录，不是文件：{source.name}", file=str(source))
    if isinstance(error, PermissionError):
        return InputError("unreadable_file", f"没有权限读文件：{source.name}", file=str(source))
    reason = error.strerror or type(error).__name__
    return UpstreamError("file_not_kept", f"文件不能留存：{reason}", file=str(source))


def kept_name(feed: str, run_id: int, arrived: Arrived) -> str:
    """The path of a run's file below ``imports``: ``bills/12-0a1b2c3d4e5f-name.csv``."""
    stem, dot, suffix = arrived.name.rpartition(".")
    safe = _UNSAFE.sub("_", stem or suffix).strip("._") or "file"
    # Names are counted in bytes by the file system, and a Chinese character has three.
    room = _LONGEST_NAME - len(suffix.encode())
    short = safe.encode()[: max(room, 20)].decode("utf-8", "ignore")
    ending = f".{_UNSAFE.sub('_', suffix)[:10]}" if stem and dot else ""
    return f"{feed}/{run_id}-{arrived.digest.hex()[:12]}-{short}{ending}"


def keep_file(data_dir: Path, name: str, arrived: Arrived) -> Path:
    """Put a file at its place, read-only; a file that is there already is the same one."""
    place = data_dir / "imports" / name
    arrived.draft.chmod(0o444)
    arrived.draft.replace(place)
    _flush_folder(place.parent)
    return place


def kept_path(data_dir: Path, name: str) -> Path:
    """Where a run's file is; NotFoundError when somebody took it away."""
    place = data_dir / "imports" / name
    if not name or not place.is_file():
        raise NotFoundError("file_not_kept", "留存的原始文件不在了", file=name)
    return place


def forget_draft(arrived: Arrived) -> None:
    """Remove the copy of a file that is not needed a second time."""
    with suppress(FileNotFoundError):
        arrived.draft.unlink()


def work_folder(data_dir: Path, feed: str, run_id: int) -> Path:
    """Where a run puts what it only needs while it runs."""
    folder = imports_folder(data_dir, feed) / f".work-{run_id}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def clear_work(folder: Path) -> None:
    """Remove a run's work folder."""
    shutil.rmtree(folder, ignore_errors=True)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
