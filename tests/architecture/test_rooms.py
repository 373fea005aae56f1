"""The house has the rooms it says it has, and its documents tell the truth about it."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from devtools import settings_table
from server.arguments import build_parser
from tests.architecture import room_checks
from tests.architecture.tree import PROJECT, plant

Check = Callable[[Path], list[str]]
CHECKS = [
    room_checks.foreign_entries,
    room_checks.unplaced_packages,
    room_checks.misnumbered_decisions,
    room_checks.unexplained_dependencies,
    room_checks.unknown_commands,
    room_checks.changelog_differs,
    room_checks.unlisted_assets,
    room_checks.machine_traces,
]
DECISION = "# T\n\n## Context\n\n## Choice\n\n## Price\n\n## How to undo\n"
CONTRACTS = """
[project]
version = "0.2.0"
[tool.importlinter]
root_packages = ["gongdian", "server"]
[[tool.importlinter.contracts]]
id = "rooms"
layers = ["(devtools)", "(functions)", "server", "(admin_web) | (wechat_handlers)", "(workflows)",
  "(report_gen)", "gongdian"]
[[tool.importlinter.contracts]]
id = "inside-gongdian"
layers = ["(arrears) | (outage) | (invoice) | (inspection) | (energy)"]
[[tool.importlinter.contracts]]
id = "only-wiring-knows-adapters"
source_modules = ["gongdian.*", "server"]
[[tool.importlinter.contracts]]
id = "only-adapters-know-sdks"
source_modules = ["gongdian", "server"]
"""


@pytest.mark.parametrize("check", CHECKS)
def test_the_project_passes(check: Check):
    assert check(PROJECT) == []


def test_a_top_level_name_that_is_no_room_is_found(tmp_path: Path):
    plant(tmp_path, {"lib/x.py": "", "notes.txt": "", "docs/x.md": "", "requirements-dev.in": ""})
    assert [finding.split(":")[0] for finding in room_checks.foreign_entries(tmp_path)] == [
        "lib",
        "notes.txt",
    ]


def test_a_package_that_no_contract_places_is_found(tmp_path: Path):
    plant(tmp_path, {"pyproject.toml": CONTRACTS, "gongdian/__init__.py": ""})
    assert room_checks.unplaced_packages(tmp_path) == []
    plant(tmp_path, {"lib/__init__.py": "", "functions/__init__.py": ""})
    found = room_checks.unplaced_packages(tmp_path)
    assert "lib: not in the contract 'rooms'" in found
    assert "functions: not in root_packages, so nothing checks it" in found
    assert "functions: not among the sources of 'only-adapters-know-sdks'" in found


@pytest.mark.parametrize("name", ["devtools", "functions", "admin_web", "energy"])
def test_a_room_or_flow_that_the_contracts_forget_is_found(name: str, tmp_path: Path):
    forgotten = CONTRACTS.replace(f"({name})", "(elsewhere)")
    plant(tmp_path, {"pyproject.toml": forgotten, "gongdian/__init__.py": ""})
    found = room_checks.unplaced_packages(tmp_path)
    assert len(found) == 1
    assert found[0].startswith(f"{name}:")


def test_gaps_doubles_and_missing_parts_of_decisions_are_found(tmp_path: Path):
    folder = "docs/decisions"
    plant(tmp_path, {f"{folder}/0001-a.md": DECISION, f"{folder}/0002-b.md": DECISION})
    assert room_checks.misnumbered_decisions(tmp_path) == []
    plant(tmp_path, {f"{folder}/0004-d.md": DECISION.replace("## Price", "## Cost")})
    assert room_checks.misnumbered_decisions(tmp_path) == [
        f"{folder}/0004-d.md: expected number 0003",
        f"{folder}/0004-d.md: no part 'Price'",
    ]


def test_a_dependency_without_a_reason_is_found(tmp_path: Path):
    table = "| package | job |\n|---|---|\n| Flask 3.1 | web |\n"
    plant(tmp_path, {"docs/decisions/0006-dependencies.md": table, "requirements.in": "Flask\n"})
    assert room_checks.unexplained_dependencies(tmp_path) == []
    plant(tmp_path, {"requirements.in": "Flask\nredis>=5\n"})
    assert room_checks.unexplained_dependencies(tmp_path) == ["redis: no row in decision 6"]


def test_commands_that_do_not_exist_are_found_in_documents(tmp_path: Path):
    readme = "```sh\nmake demo\nmake dmeo\n```\n`python -m server run`, `python -m devtools.show`\n"
    plant(tmp_path, {"Makefile": "demo: x ## tell\n", "README.md": readme})
    assert room_checks.unknown_commands(tmp_path) == [
        "README.md: make dmeo",
        "README.md: python -m server",
        "README.md: python -m devtools.show",
    ]
    plant(tmp_path, {"server/__main__.py": "", "devtools/show.py": ""})
    assert room_checks.unknown_commands(tmp_path) == ["README.md: make dmeo"]
    assert room_checks.server_commands(tmp_path) == {("run",)}


@pytest.mark.parametrize("words", sorted(room_checks.server_commands(PROJECT)))
def test_every_server_command_in_the_documents_explains_itself(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args([*words, "--help"])
    assert ended.value.code == 0
    assert "usage: " in capsys.readouterr().out


def test_the_program_itself_explains_its_commands():
    answer = subprocess.run(
        [sys.executable, "-m", "server", "--help"],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr.decode()


def test_the_page_of_settings_is_what_the_settings_say():
    assert (PROJECT / settings_table.PAGE).read_text(encoding="utf-8") == settings_table.page(), (
        "run `make fix`"
    )


def test_the_page_of_settings_names_secrets_and_defaults():
    rows = list(settings_table.rows())
    assert "| `GONGDIAN_DATABASE_URL` | 空 | 密 | 数据库地址；空 = 数据目录里的 SQLite |\n" in rows
    assert any("| `21:30-08:00` |" in row for row in rows)


def test_a_changelog_of_another_version_is_found(tmp_path: Path):
    plant(tmp_path, {"pyproject.toml": CONTRACTS, "CHANGELOG.md": "# C\n\n## [0.2.0] - x\n"})
    assert room_checks.changelog_differs(tmp_path) == []
    plant(tmp_path, {"CHANGELOG.md": "# C\n\n## [0.3.0] - x\n\n## [0.2.0] - x\n"})
    assert room_checks.changelog_differs(tmp_path) == [
        "CHANGELOG.md: top is 0.3.0, version is 0.2.0"
    ]


def test_vendored_files_that_changed_or_lack_a_licence_are_found(tmp_path: Path):
    vendor = room_checks.VENDOR
    digest = hashlib.sha256(b"x").hexdigest()
    sums = f"{digest}  htmx.min.js\n{digest}  htmx.LICENSE.txt\n"
    good = {f"{vendor}/htmx.min.js": "x", f"{vendor}/htmx.LICENSE.txt": "x"}
    assert room_checks.unlisted_assets(tmp_path) == []
    plant(tmp_path, {**good, room_checks.MANIFEST: sums})
    assert room_checks.unlisted_assets(tmp_path) == []
    plant(tmp_path, {f"{vendor}/htmx.min.js": "y", f"{vendor}/weui.min.css": "x"})
    assert room_checks.unlisted_assets(tmp_path) == [
        f"{vendor}/htmx.min.js: not what the manifest says",
        f"{vendor}/weui.min.css: not what the manifest says",
        f"{vendor}/weui: no licence",
    ]
    (tmp_path / vendor / "htmx.min.js").unlink()
    assert f"{vendor}/htmx.min.js: listed but absent" in room_checks.unlisted_assets(tmp_path)


@pytest.mark.parametrize(
    "trace", ["/{}/li/gongdian".format("home"), "https://{}.org/simple".format("pypi")]
)
def test_traces_of_a_machine_are_found(trace: str, tmp_path: Path):
    plant(tmp_path, {"docs/x.md": f"see {trace} there\nand http://example.test/home/x\n"})
    assert len(room_checks.machine_traces(tmp_path)) == 1
