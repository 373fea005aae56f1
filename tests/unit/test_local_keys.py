"""The keys of a demo: made once, the same for every process, readable by the owner only."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gongdian.errors import ConfigError
from gongdian.local_keys import with_local_keys
from gongdian.settings import Settings

PROGRAM = """
import sys
from gongdian.local_keys import with_local_keys
from gongdian.settings import Settings
print(with_local_keys(Settings(data_dir=sys.argv[1])).data_key.hex())
"""


def test_keys_are_made_once_and_kept(tmp_path: Path) -> None:
    first = with_local_keys(Settings(data_dir=str(tmp_path / "new" / "folder")))
    again = with_local_keys(Settings(data_dir=str(tmp_path / "new" / "folder")))
    assert first == again
    keys = {first.session_key, first.data_key, first.index_key, first.audit_key}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}


def test_the_file_is_for_its_owner_only_and_no_draft_stays(tmp_path: Path) -> None:
    with_local_keys(Settings(data_dir=str(tmp_path)))
    [path] = tmp_path.iterdir()
    assert (path.name, path.stat().st_mode & 0o777) == ("local_keys.json", 0o600)


def test_processes_that_start_at_once_use_the_same_keys(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    shown = {process.communicate(timeout=30)[0] for process in running}
    assert len(shown) == 1
    assert len(shown.pop().strip()) == 64
    assert [path.name for path in tmp_path.iterdir()] == ["local_keys.json"]


def test_a_key_that_is_set_wins_and_with_all_set_no_file_is_made(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path / "a"), data_key=b"x" * 32)
    assert with_local_keys(settings).data_key == b"x" * 32
    full = replace(
        settings,
        data_dir=str(tmp_path / "b"),
        session_key=b"s" * 32,
        index_key=b"i" * 32,
        audit_key=b"a" * 32,
    )
    assert with_local_keys(full) == full
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"session_key": "?"}', "not json"])
def test_a_damaged_file_stops_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "local_keys.json").write_text(text)
    with pytest.raises(ConfigError, match="E007"):
        with_local_keys(Settings(data_dir=str(tmp_path)))
