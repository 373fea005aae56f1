"""Choice rules (选择规则): comparisons, And, Or, Not. Source: ASL specification, Choice State."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from workflows.engine.language.choice_operators import IS_OPERATORS, OPERATORS, Test
from workflows.engine.language.environment import Environment
from workflows.engine.language.errors import RUNTIME, DefinitionError, StatesError
from workflows.engine.language.paths import Path, PathMissingError, parse_path

Matches = Callable[[Environment], bool]

_COMBINATIONS: Final = ("And", "Or", "Not")
_PATH: Final = "Path"


class Rule:
    """A compiled rule. ``matches(environment)`` says whether it holds.

    ``matches`` raises StatesError(RUNTIME) when a path in a comparison finds nothing, except for
    IsPresent.
    """

    __slots__ = ("matches",)

    def __init__(self, matches: Matches) -> None:
        self.matches = matches


def compile_rule(rule: Mapping[str, Any]) -> Rule:
    """Compile a rule; what does not belong to the comparison (Next, Assign, Comment) is ignored.

    Raises DefinitionError when it is not exactly one comparison or combination.
    """
    return Rule(_compile(rule))


def _compile(rule: Any) -> Matches:
    if not isinstance(rule, Mapping):
        raise DefinitionError("A choice rule must be an object")
    found = [key for key in rule if key in _COMBINATIONS or _is_operator(key)]
    if len(found) != 1:
        raise DefinitionError(f"A choice rule must have exactly one operator, it has {found}")
    operator = found[0]
    try:
        if operator == "Not":
            return _negation(_compile(rule[operator]))
        if operator in _COMBINATIONS:
            return _combination(operator, rule[operator])
        return _comparison(operator, rule[operator], _variable(rule))
    except DefinitionError as error:
        raise error.at(f"/{operator}") from None


def _is_operator(key: str) -> bool:
    if key in OPERATORS or key in IS_OPERATORS or key == "IsPresent":
        return True
    # StringMatches has no Path form in the specification
    return key.endswith(_PATH) and key[:-4] in OPERATORS and key != "StringMatchesPath"


def _negation(inner: Matches) -> Matches:
    return lambda environment: not inner(environment)


def _combination(operator: str, rules: Any) -> Matches:
    if not isinstance(rules, list) or not rules:
        raise DefinitionError(f"{operator} needs a non-empty array of rules")
    parts = []
    for index, rule in enumerate(rules):
        try:
            parts.append(_compile(rule))
        except DefinitionError as error:
            raise error.at(f"/{index}") from None
    stops_at = operator == "Or"  # And stops at the first that fails, Or at the first that holds

    def matches(environment: Environment) -> bool:
        for part in parts:
            if part(environment) is stops_at:
                return stops_at
        return not stops_at

    return matches


def _variable(rule: Mapping[str, Any]) -> Path:
    variable = rule.get("Variable")
    if not isinstance(variable, str):
        raise DefinitionError("A comparison needs a Variable, a JSONPath")
    return parse_path(variable)


def _comparison(operator: str, operand: Any, variable: Path) -> Matches:
    if operator == "IsPresent":
        return _presence(variable, _boolean(operator, operand))
    read = _reading(variable)
    if operator in IS_OPERATORS:
        is_so = IS_OPERATORS[operator]
        wanted = _boolean(operator, operand)
        return lambda environment: is_so(read(environment)) is wanted
    if operator in OPERATORS:
        test = OPERATORS[operator](operand)
        return lambda environment: test(read(environment))
    return _path_comparison(operator, operand, read)


def _path_comparison(operator: str, operand: Any, read: Callable[[Environment], Any]) -> Matches:
    if not isinstance(operand, str):
        raise DefinitionError(f"{operator} needs a JSONPath")
    read_operand = _reading(parse_path(operand))
    prepare = OPERATORS[operator[: -len(_PATH)]]

    def matches(environment: Environment) -> bool:
        value = read(environment)
        given = read_operand(environment)
        try:
            test: Test = prepare(given)
        except DefinitionError:  # an operand of the wrong type matches nothing
            return False
        return test(value)

    return matches


def _presence(variable: Path, wanted: bool) -> Matches:
    def matches(environment: Environment) -> bool:
        try:
            variable.read(environment)
        except PathMissingError:
            return not wanted
        return wanted

    return matches


def _reading(path: Path) -> Callable[[Environment], Any]:
    """Reads a path; what is missing is AWS's error for choice states."""
    read = path.read

    def reading(environment: Environment) -> Any:
        try:
            return read(environment)
        except PathMissingError:
            cause = (
                f"Invalid path '{path.text}': The choice state's condition path references an "
                "invalid value."
            )
            raise StatesError(RUNTIME, cause) from None

    return reading


def _boolean(operator: str, operand: Any) -> bool:
    if not isinstance(operand, bool):
        raise DefinitionError(f"{operator} needs true or false")
    return operand
