"""The offline check of requirements files sees what it says it sees."""

from pathlib import Path

import pytest

from devtools.check_requirements import check_requirements
from tests.architecture.tree import PROJECT, plant

RUNTIME = """\
flask==3.1.3 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via -r requirements.in
werkzeug==3.1.9 ; sys_platform != 'x' \\
    --hash=sha256:cc
    # via flask
"""
DEV = (
    RUNTIME
    + """\
wechatpy==1.8.18 \\
    --hash=sha256:dd
    # via
    #   -r requirements-dev.in
    #   flask
"""
)
GOOD = {
    "requirements.in": "# what runs\nFlask\n",
    "requirements.txt": RUNTIME,
    "requirements-dev.in": "-r requirements.in\nwechatpy==1.8.18\n",
    "requirements-dev.txt": DEV,
}


def test_the_files_of_the_project_fit():
    assert check_requirements(PROJECT) == []


def test_good_files_have_no_findings(tmp_path: Path):
    assert check_requirements(plant(tmp_path, GOOD)) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "finding"),
    [
        ("requirements.in", "Flask\n", "Flask\nredis\n", "redis of requirements.in is missing"),
        ("requirements.in", "Flask\n", "", "flask is no longer in requirements.in"),
        ("requirements-dev.in", "1.8.18", "1.8.17", "wechatpy is 1.8.18"),
        ("requirements-dev.txt", "--hash=sha256:dd", "", "wechatpy has no hash"),
        ("requirements-dev.txt", "werkzeug==3.1.9", "werkzeug==3.1.8", "werkzeug is 3.1.8"),
        ("requirements.txt", "    # via flask\n", "", "nobody asks for werkzeug"),
        ("requirements.txt", "flask==", "--index-url https://x.test\nflask==", "names an address"),
    ],
)
def test_each_kind_of_staleness_is_found(
    name: str, old: str, new: str, finding: str, tmp_path: Path
):
    assert old in GOOD[name]
    plant(tmp_path, {**GOOD, name: GOOD[name].replace(old, new)})
    assert any(finding in found for found in check_requirements(tmp_path))
