"""The callback gate loads little: it must answer within 5 s of a cold start."""

import json
import subprocess
import sys

import pytest

from tests.architecture.tree import PROJECT

LIGHT = ["crypto", "documents", "wire", "messages", "events", "gate", "replies", "router"]
ALLOWED = {"cryptography", "_cffi_backend", "_openssl", "wechat_handlers"}
ALLOWED_INSIDE = {"gongdian", "gongdian.errors"}
PROBE = """
import importlib, json, sys
before = set(sys.modules)
importlib.import_module(sys.argv[1])
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def heavy_imports(module: str, root: object = PROJECT) -> set[str]:
    """What a fresh interpreter loads for ``module`` beyond what the gate may use."""
    answer = subprocess.run(
        [sys.executable, "-c", PROBE, module],
        cwd=str(root),
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    loaded = json.loads(answer.stdout)
    return {
        name
        for name in loaded
        if name.split(".")[0] not in ALLOWED | sys.stdlib_module_names
        and name not in ALLOWED_INSIDE
    }


@pytest.mark.parametrize("name", LIGHT)
def test_the_gate_loads_cryptography_and_the_standard_library_only(name: str):
    assert heavy_imports(f"wechat_handlers.{name}") == set()


@pytest.mark.parametrize("module", ["sqlalchemy", "gongdian.ports", "redis"])
def test_a_heavy_import_would_be_seen(module: str):
    assert module in heavy_imports(module)
