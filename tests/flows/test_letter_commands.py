"""The commands about letters: from the draft to the paper and its proof, as a clerk types them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pypdfium2
import pytest

from devtools.demo.stage import Stage
from gongdian.arrears.demands import RecordDemand, record_demand
from gongdian.errors import InputError, PermissionDeniedError
from server.arguments import build_parser
from tests.account_factories import FIRM
from tests.arrears_scene import FIRM_FEN, FIRM_LINES, Scene

Run = Callable[..., str]
NUMBER = "TD20261123-000001"


@pytest.fixture
def stage(start_stage: Callable[..., Stage]) -> Stage:
    return start_stage(with_worker=False, letter_approvers=("陈所长",))


@pytest.fixture
def run(stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch) -> Run:
    """Runs ``letter …`` with the stage's clock; returns what it prints."""
    from gongdian import wiring
    from server import letter_commands

    Scene(stage).firm()
    Scene(stage).bill(FIRM, FIRM_FEN, FIRM_LINES, period="202609", due_on=date(2026, 10, 15))
    now = stage.clock.now()
    told = RecordDemand(FIRM, "phone", "录音 1", now - timedelta(days=20), "王经理")
    stage.house.database.run(lambda session: record_demand(session, told, now))

    def at_the_stage(settings):
        return wiring.build_house(settings, stage.clock)

    monkeypatch.setattr(letter_commands, "build_house", at_the_stage)

    def runs(*words: str) -> str:
        options = build_parser().parse_args(["letter", *words])
        assert options.work(stage.house.settings, options) == 0
        return capsys.readouterr().out

    return runs


def test_a_letter_from_the_draft_to_its_proof(run: Run, tmp_path: Path) -> None:
    told = run("prepare", FIRM, "--by", "张工")
    assert NUMBER in told
    assert "18000.00元" in told
    assert "待审批" in told
    with pytest.raises(PermissionDeniedError):
        run("approve", NUMBER, "--by", "张工")
    assert "已审批，待送达" in run("approve", NUMBER, "--by", "陈所长")
    paper = tmp_path / "letter.pdf"
    run("pdf", NUMBER, "--out", str(paper), "--by", "张工")
    assert paper.stat().st_mode & 0o077 == 0
    words = "".join(pypdfium2.PdfDocument(paper)[0].get_textpage().get_text_range().split())
    assert "欠费本金合计18,000.00元" in words
    assert FIRM in words
    served = ("served", NUMBER, "--kind", "left", "--ref", "照片 20261123-07", "--by", "张工")
    told = run(*served, "--at", "2026-11-23 10:00")
    assert "最早合法停电日为2026-11-30" in told
    assert "系统不会停电" in told
    assert "送达 2026-11-23 10:00（留置（附照片））" in run("show", NUMBER, "--by", "张工")
    assert "已作废" in run("void", NUMBER, "--reason", "测试", "--by", "张工")
    assert "早已作废" in run("void", NUMBER, "--reason", "测试", "--by", "张工")


def test_a_time_that_is_none_is_refused_with_its_field(run: Run) -> None:
    with pytest.raises(InputError, match="bad_time"):
        run("served", NUMBER, "--kind", "left", "--ref", "x", "--by", "y", "--at", "昨天")


def test_a_file_that_cannot_be_written_is_told(run: Run, tmp_path: Path) -> None:
    run("prepare", FIRM, "--by", "张工")
    run("approve", NUMBER, "--by", "陈所长")
    with pytest.raises(InputError, match="cannot_write"):
        run("pdf", NUMBER, "--out", str(tmp_path / "no" / "x.pdf"), "--by", "张工")
