"""The earliest lawful day of a cut: its reasons, its rows, and that nothing could cut."""

from __future__ import annotations

import ast
from datetime import date
from pathlib import Path

import pytest

from gongdian.arrears.cutoff import CutFacts, CutoffRules, EarliestCut, earliest_cut, notice_days_of
from gongdian.arrears.rules import CUTOFFS, read_rules, shipped_rows
from gongdian.rule_tables import RuleSet

_READ = read_rules(RuleSet(CUTOFFS, 2, "", tuple(shipped_rows(CUTOFFS))))
assert isinstance(_READ, CutoffRules)
RULES: CutoffRules = _READ
DUE = date(2026, 11, 25)
ROOT = Path(__file__).parents[3]


def cut(
    today: date,
    *,
    region: str = "national",
    kind: str = "residential",
    is_important: bool = False,
    demanded_on: date | None = None,
    served_on: date | None = None,
) -> EarliestCut:
    """For a bill due on ``DUE``."""
    facts = CutFacts(region, kind, is_important, DUE, demanded_on, served_on)
    return earliest_cut(facts, RULES, today)


def states(found: EarliestCut) -> dict[str, bool | None]:
    """Whether each condition is met."""
    return {reason.code: reason.is_met for reason in found.reasons}


def test_thirty_days_are_not_enough_and_the_notice_counts_from_its_service() -> None:
    early = cut(date(2026, 12, 12), demanded_on=date(2026, 12, 10), served_on=date(2026, 12, 11))
    assert early.on == date(2026, 12, 26), "due 25 November: the 31st day overdue"
    late = cut(date(2027, 1, 5), demanded_on=date(2026, 12, 10), served_on=date(2026, 12, 30))
    assert late.on == date(2027, 1, 6)
    assert states(late)["served"] is False
    assert states(late)["overdue"] is True
    assert "2027年1月6日" in late.text
    assert late.rules == "arrears_cutoff_rules v2"


def test_without_proof_of_service_there_is_no_day() -> None:
    found = cut(date(2027, 3, 1), demanded_on=date(2026, 12, 10))
    assert found.on is None
    assert found.not_before == date(2027, 3, 8)
    assert "送达满7日" in found.text
    assert states(found) == {
        "overdue": True,
        "demanded": True,
        "served": False,
        "final_notice": None,
        "reconnect": None,
        "freeze": None,
    }


def test_without_a_demand_there_is_no_day_either() -> None:
    found = cut(date(2027, 3, 1), served_on=date(2027, 1, 1))
    assert found.on is None
    assert states(found)["demanded"] is False


def test_seven_days_satisfy_the_law_and_the_promise() -> None:
    assert notice_days_of(RULES, "national", "residential", DUE) == 7
    lawful = CutoffRules("x", tuple(row for row in RULES.rows if row.region == "national"))
    assert notice_days_of(lawful, "national", "residential", DUE) == 7, "3 to 7: the longer one"
    served = next(reason for reason in cut(DUE).reasons if reason.code == "served")
    assert "3至7日" in served.text
    assert "国家电网承诺7日" in served.text


def test_the_second_notice_the_reconnection_and_the_freeze_are_for_people() -> None:
    texts = {reason.code: reason.text for reason in cut(DUE).reasons}
    assert "30分钟" in texts["final_notice"]
    assert "录音电话" in texts["final_notice"]
    assert "24小时" in texts["reconnect"]
    assert "负责人" in texts["freeze"]


def test_important_customers_letter_goes_to_the_authority_too() -> None:
    assert "important" not in states(cut(DUE))
    found = cut(DUE, is_important=True)
    assert any("电力管理部门" in reason.text for reason in found.reasons)


def test_a_regions_own_rows_join_the_nations() -> None:
    own = cut(DUE, region="henan")
    assert sum(reason.code == "final_notice" for reason in own.reasons) == 2
    assert not any("省份未核" in reason.source for reason in own.reasons)


# Every name of the flow and its edges with such a word: days that are shown, and the letter.
HARMLESS = {
    "CutFacts",
    "CutReason",
    "EarliestCut",
    "_before_the_cut",
    "_cut",
    "_cut_on",
    "callback_cut_off",
    "cut_on",
    "cut_version",
    "earliest_cut",
    "earliest_cut_on",
}


@pytest.mark.parametrize(
    "pattern",
    [
        "gongdian/arrears/*.py",
        "gongdian/accounts/*.py",
        "gongdian/outbox/intents.py",
        "workflows/*.py",
        "wechat_handlers/*.py",
        "server/*.py",
    ],
)
def test_there_is_no_code_path_that_cuts_a_supply(pattern: str) -> None:
    """No function, class, task, command or intent is called cut or disconnect.

    A new name that has such a word must be looked at before it joins ``HARMLESS``.
    """
    words = {"cut", "disconnect", "deenergise", "deenergize"}
    found = set()
    for path in ROOT.glob(pattern):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = ""
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = node.name
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                name = node.value if node.value.replace("-", "_").isidentifier() else ""
            spaced = "".join(f" {one}" if one.isupper() else one for one in name)
            if words & set(spaced.replace("_", " ").replace("-", " ").lower().split()):
                found.add(name)
    assert found <= HARMLESS


def test_no_workflow_state_cuts_anything() -> None:
    for path in (ROOT / "workflows").glob("*.asl.json"):
        text = path.read_text(encoding="utf-8").lower()
        assert "cut" not in text.replace("execut", ""), path.name
