"""Python files keep their size, say what they are for, and print only where they may."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture import code_checks
from tests.architecture.tree import PROJECT, plant

Check = Callable[[Path], list[str]]
LONG_FUNCTION = "def long():\n" + "    x = 1\n" * code_checks.FUNCTION_LINES
LONG_METHOD = "class A:\n    async def long(self):\n" + "        x = 1\n" * 80

BAD_TREES: list[tuple[Check, str, str]] = [
    (code_checks.too_long_files, "gongdian/long.py", "x = 1\n" * 501),
    (code_checks.too_long_functions, "gongdian/long.py", LONG_FUNCTION),
    (code_checks.too_long_functions, "server/long.py", LONG_METHOD),
    (code_checks.vague_names, "gongdian/utils.py", ""),
    (code_checks.vague_names, "server/common/text.py", ""),
    (code_checks.filled_init_files, "gongdian/__init__.py", "from gongdian import db\n"),
    (code_checks.undescribed, "server/silent.py", "x = 1\n"),
    (code_checks.undescribed, "gongdian/rule.py", '"""Rules."""\ndef rule():\n    return 1\n'),
    (code_checks.undescribed, "gongdian/arrears/service.py", '"""S."""\nclass Pay:\n    x = 1\n'),
    (
        code_checks.undescribed,
        "gongdian/ports.py",
        '"""P."""\nclass Port:\n    """P."""\n    def send(self):\n        ...\n',
    ),
    (code_checks.prints, "gongdian/talk.py", "print('hello')\n"),
]
CHECKS = [
    code_checks.too_long_files,
    code_checks.too_long_functions,
    code_checks.vague_names,
    code_checks.filled_init_files,
    code_checks.undescribed,
    code_checks.prints,
]


@pytest.mark.parametrize("check", CHECKS)
def test_the_project_passes(check: Check):
    assert check(PROJECT) == []


@pytest.mark.parametrize(("check", "name", "text"), BAD_TREES)
def test_each_check_finds_what_it_is_for(check: Check, name: str, text: str, tmp_path: Path):
    findings = check(plant(tmp_path, {name: text, "server/good.py": '"""Good."""\n'}))
    assert len(findings) == 1
    assert findings[0].startswith(name)


def test_the_limits_themselves_are_allowed(tmp_path: Path):
    body = "def full():\n" + "    x = 1\n" * 79 + "\n" * 420
    plant(tmp_path, {"server/full.py": body, "server/talk.py": "print(1)\n"})
    assert code_checks.too_long_files(tmp_path) == []
    assert code_checks.too_long_functions(tmp_path) == []
    assert code_checks.prints(tmp_path) == []


def test_private_and_inner_functions_need_no_docstring(tmp_path: Path):
    text = '"""Rules."""\ndef _inner():\n    return 1\n'
    assert code_checks.undescribed(plant(tmp_path, {"gongdian/rule.py": text})) == []


def test_what_is_beyond_the_aim_is_told_not_refused():
    files = code_checks.too_long_files(PROJECT, code_checks.FILE_AIM)
    functions = code_checks.too_long_functions(PROJECT, code_checks.FUNCTION_AIM)
    # Seen with `pytest -rP tests/architecture/test_code.py`.
    sys.stdout.write("\n".join(["beyond the aim:", *files, *functions]))
