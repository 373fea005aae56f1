"""Choice states (选择规则): operators, operands, And/Or/Not, and Condition in JSONata.

Source: ASL specification, Choice State; the AWS message "The object must have only one of the
following fields, [And, Or, Not, Variable, Condition]".
"""

from __future__ import annotations

from workflows.engine.language.timestamps import parse_timestamp
from workflows.engine.verdict.assigns import check_assign
from workflows.engine.verdict.nodes import JSONATA, JSONPATH, Node, listed
from workflows.engine.verdict.paths import check_any_reference, check_reference
from workflows.engine.verdict.payloads import check_payloads

_ORDERS = ("Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals")
_STRINGS = (*(f"String{order}" for order in _ORDERS), "StringMatches")
_NUMBERS = tuple(f"Numeric{order}" for order in _ORDERS)
_TIMESTAMPS = tuple(f"Timestamp{order}" for order in _ORDERS)
_TESTS = ("IsNull", "IsPresent", "IsNumeric", "IsString", "IsBoolean", "IsTimestamp")
_FLAGS = ("BooleanEquals", *_TESTS)
_BY_PATH = (
    *(f"{kind}{order}Path" for kind in ("String", "Numeric", "Timestamp") for order in _ORDERS),
    "BooleanEqualsPath",
)
OPERATORS = _STRINGS + _NUMBERS + _TIMESTAMPS + _FLAGS + _BY_PATH

_SELECTORS = ("And", "Or", "Not", "Variable", "Condition")
_NESTED = frozenset({*OPERATORS, "And", "Or", "Not", "Variable", "Comment"})
_TOP = _NESTED | {"Condition", "Next", "Assign", "Output"}


def check_choice(state: Node, outer: frozenset[str]) -> None:
    """The rules of a Choice state."""
    state.text("Default")
    if not state.require("Choices"):
        return
    for rule in state.objects("Choices", nonempty=True):
        rule.allow_only(_TOP)
        rule.text("Comment")
        if rule.require("Next"):
            rule.text("Next")
        check_assign(rule, outer)
        rule.belongs_to(JSONATA, ["Condition", "Output"])
        if rule.language == JSONATA:
            _check_condition(rule)
        else:
            _check_test(rule)


def check_timestamp(node: Node, name: str) -> None:
    """A field that must be an RFC 3339 timestamp."""
    text = node.text(name)
    if text is not None and parse_timestamp(text) is None:
        node.refuse("String does not match RFC3339 timestamp", name)


def _check_condition(rule: Node) -> None:
    foreign = [name for name in rule.fields if name in _NESTED and name != "Comment"]
    rule.belongs_to(JSONPATH, foreign)
    if not foreign and rule.require("Condition"):
        condition = rule.fields["Condition"]
        if isinstance(condition, str):
            if not (condition.startswith("{%") and condition.endswith("%}")):
                rule.refuse("JSONata string must start with {% and end with %}", "Condition")
        elif not isinstance(condition, bool):
            rule.refuse("Expected value of type [BOOLEAN]", "Condition")
    check_payloads(rule, ["Output"])


def _check_test(rule: Node) -> None:
    """What a JSONPath rule compares, or joins."""
    if sum(rule.has(name) for name in _SELECTORS) != 1:
        rule.refuse(f"The object must have only one of the following fields, {listed(_SELECTORS)}")
        return
    if rule.has("Variable"):
        check_reference(rule, "Variable")
        _check_comparison(rule)
    for name in ("And", "Or"):
        for nested in rule.objects(name, nonempty=True):
            _check_nested(nested)
    negated = rule.object("Not")
    if negated is not None:
        _check_nested(negated)


def _check_nested(rule: Node) -> None:
    rule.allow_only(_NESTED)
    rule.text("Comment")
    _check_test(rule)


def _check_comparison(rule: Node) -> None:
    given = [name for name in rule.fields if name in OPERATORS]
    if len(given) > 1:
        rule.refuse(f"There should only be one of the following fields: {listed(given)}")
    elif not given:
        rule.refuse(
            f"This object should have only one of the following fields: {listed(OPERATORS)}"
        )
    for name in given:
        _check_operand(rule, name)


def _check_operand(rule: Node, name: str) -> None:
    if name in _BY_PATH:
        check_any_reference(rule, name)
    elif name in _STRINGS:
        rule.text(name)
    elif name in _NUMBERS:
        rule.number(name, float("-inf"))
    elif name in _TIMESTAMPS:
        check_timestamp(rule, name)
    else:
        rule.flag(name)
