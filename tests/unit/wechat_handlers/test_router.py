"""Routing: the most specific rule wins, whatever the order of registration."""

import random
import time

import pytest

from devtools.fuzz.samples import SAMPLES, to_xml
from gongdian.errors import ConfigError
from wechat_handlers.messages import parse_message
from wechat_handlers.router import MAX_MATCHED_TEXT, Router, Rule


def message(name, **more):
    return parse_message(to_xml({**SAMPLES[name], **more}).encode(), False)


RULES = [
    Rule("any", 0),
    Rule("all text", 0, msg_type="text"),
    Rule("binding", 0, mode="inline", msg_type="text", key="绑定"),
    Rule("number", 0, text_pattern=r"\d{10}"),
    Rule("contains", 0, text_pattern=r".*停电.*"),
    Rule("event", 0, msg_type="event"),
    Rule("click", 0, event="CLICK"),
    Rule("bill", 0, event="click", key="MENU_BILL"),
    Rule("menu", 0, event="click", key_prefix="MENU_"),
    Rule("outage menu", 0, event="click", key_prefix="MENU_OUTAGE"),
    Rule("counter", 0, key_prefix="counter-"),
]

CASES = [
    (message("image"), "any"),
    (message("text", Content="随便"), "all text"),
    (message("text", Content="  绑定\n"), "binding"),
    (message("text", Content="绑定 3104250001"), "all text"),
    (message("text", Content="3104250001"), "number"),
    (message("text", Content="请问停电吗"), "contains"),
    (message("VIEW"), "event"),
    (message("CLICK", EventKey="x"), "click"),
    (message("CLICK", EventKey="MENU_BILL"), "bill"),
    (message("CLICK", EventKey="MENU_BILLS"), "menu"),
    (message("CLICK", EventKey="MENU_OUTAGE_NOW"), "outage menu"),
    (message("SCAN", EventKey="counter-7"), "counter"),
    (message("subscribe by code", EventKey="qrscene_counter-7"), "counter"),
]


@pytest.mark.parametrize("seed", range(10))
def test_most_specific_rule_wins_in_any_order_of_registration(seed):
    rules = RULES.copy()
    random.Random(seed).shuffle(rules)
    router = Router(rules)
    for received, expected in CASES:
        assert router.match(received).name == expected


def test_nothing_matches_without_a_rule():
    assert Router([Rule("text", 0, msg_type="text")]).match(message("image")) is None
    assert Router([]).match(message("image")) is None


def test_rules_of_equal_rank_are_tried_in_order():
    first, second = Rule("a", 0, text_pattern="停.*"), Rule("b", 0, text_pattern=".*电")
    received = message("text", Content="停电")
    assert Router([first, second]).match(received) is first
    assert Router([second, first]).match(received) is second


def test_rule_is_queued_unless_said_otherwise_and_carries_its_handler():
    def handler():
        return "handled"

    rule = Router([Rule("r", handler)]).match(message("text"))
    assert rule.mode == "queued"
    assert rule.handler() == "handled"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (Rule("a", 0), Rule("b", 1)),
        (
            Rule("a", 0, event="CLICK", key="k"),
            Rule("b", 1, msg_type="event", event="click", key="k"),
        ),
        (Rule("a", 0, text_pattern="x"), Rule("b", 1, msg_type="TEXT", text_pattern="x")),
        (Rule("a", 0, key_prefix="k"), Rule("b", 0, mode="inline", key_prefix="k")),
    ],
)
def test_two_rules_for_the_same_stop_the_start(one, two):
    with pytest.raises(ConfigError) as caught:
        Router([one, two])
    assert caught.value.context["rules"] == ("a", "b")


@pytest.mark.parametrize(
    "condition",
    [
        {"msg_type": "text", "event": "click"},
        {"msg_type": "event", "text_pattern": "x"},
        {"event": "click", "text_pattern": "x"},
        {"key": "a", "key_prefix": "a"},
        {"key": "a", "text_pattern": "a"},
    ],
)
def test_condition_that_cannot_be_met_stops_the_start(condition):
    with pytest.raises(ConfigError):
        Rule("r", 0, **condition)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(a|b)*c",
        "(?:ab){2,}",
        "a*b*c*",
        r"(.)\1",
        "(?P<x>a)(?P=x)",
        "a?" * 9,
        "(?>a)",
        "[",
        "(",
        "a**",
        "(a)?" * 9,
        "(?=a+)+",
    ],
)
def test_pattern_that_could_hang_stops_the_start(pattern):
    with pytest.raises(ConfigError):
        Rule("r", 0, text_pattern=pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "绑定",
        "绑定|解绑",
        r"\d{10}",
        r"[+*]?户号[:：]\s*\d+",
        "(?i)help",
        "(缴费|查询)?账单",
        r"\(a\)\*",
    ],
)
def test_usual_patterns_are_accepted(pattern):
    assert Rule("r", 0, text_pattern=pattern)


def test_hostile_text_does_not_hang_the_worst_pattern_that_is_accepted():
    rule = Rule("r", 0, text_pattern=".*a.*" + "x?" * 8 + "b")
    received = message("text", Content="a" * MAX_MATCHED_TEXT)
    start = time.process_time()
    assert not rule.matches(received)
    assert time.process_time() - start < 0.5


def test_longer_text_matches_no_pattern():
    rule = Rule("r", 0, text_pattern=".*")
    assert rule.matches(message("text", Content="a" * MAX_MATCHED_TEXT))
    assert not rule.matches(message("text", Content="a" * (MAX_MATCHED_TEXT + 1)))
