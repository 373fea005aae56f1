"""A compiled machine (编译后的状态机): charts of states, immutable, shared by all executions.

A *chart* is one ``States`` map: the machine's own, a Parallel branch's or a Map's processor's.
Paths and templates are compiled; nothing here is JSON any more. The shapes follow the Amazon
States Language specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from workflows.engine.language.environment import Environment
from workflows.engine.language.reference_paths import ReferencePath
from workflows.engine.resources import Resource


class Evaluates(Protocol):
    """An expression: a path or an intrinsic."""

    @property
    def text(self) -> str:
        """As it is written in the definition."""

    def evaluate(self, environment: Environment) -> Any:
        """Its value."""


class Renders(Protocol):
    """A payload template."""

    def render(self, environment: Environment) -> Any:
        """The document with every ``.$`` key filled in."""


class Decides(Protocol):
    """A Choice rule."""

    def matches(self, environment: Environment) -> bool:
        """Whether it applies."""


@dataclass(frozen=True, slots=True)
class Retrier:
    """One entry of Retry; seconds."""

    errors: tuple[str, ...]
    interval: float = 1.0
    most_attempts: int = 3
    backoff: float = 2.0
    longest: float | None = None
    full_jitter: bool = False


@dataclass(frozen=True, slots=True)
class Catcher:
    """One entry of Catch; ``result_path`` None discards the error."""

    errors: tuple[str, ...]
    next: str
    result_path: ReferencePath | None
    assign: Renders | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What all states have. ``next`` None is the end. A path of None stands for JSON null."""

    name: str
    kind: str
    next: str | None = None
    input_path: Evaluates | None = None
    output_path: Evaluates | None = None
    is_input_whole: bool = True  # InputPath is absent or "$"
    is_output_whole: bool = True
    assign: Renders | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resulting(State):
    """States with a result that is put somewhere: Pass, Task, Parallel, Map."""

    parameters: Renders | None = None
    selector: Renders | None = None
    result_path: ReferencePath | None = None
    is_result_whole: bool = True  # ResultPath is absent or "$"
    retry: tuple[Retrier, ...] = ()
    catch: tuple[Catcher, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PassState(Resulting):
    """Pass: hands on its input or a fixed result."""

    has_result: bool = False
    result: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState(Resulting):
    """Task: work done elsewhere. Time limits are seconds or expressions, None is none."""

    resource: Resource
    timeout: int | Evaluates | None = None
    heartbeat: int | Evaluates | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelState(Resulting):
    """Parallel: ``branches`` are indexes of charts."""

    branches: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapState(Resulting):
    """Map: ``processor`` is the index of the chart that each item goes through."""

    processor: int
    items_path: Evaluates | None = None
    item_selector: Renders | None = None
    concurrency: int | Evaluates = 0
    is_distributed: bool = False
    tolerated_count: int | Evaluates | None = None
    tolerated_percentage: float | Evaluates | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitState(State):
    """Wait: exactly one of the two; ``until`` fixed as text or an expression."""

    seconds: int | Evaluates | None = None
    until: str | Evaluates | None = None


@dataclass(frozen=True, slots=True)
class ChoiceRule:
    """A rule of a Choice and where it leads."""

    rule: Decides
    next: str
    assign: Renders | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceState(State):
    """Choice: the first rule that matches, else ``default``."""

    rules: tuple[ChoiceRule, ...] = ()
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SucceedState(State):
    """Succeed: the end of its chart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailState(State):
    """Fail: text, an expression, or nothing."""

    error: str | Evaluates | None = None
    cause: str | Evaluates | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """One ``States`` map."""

    start_at: str
    states: Mapping[str, State]


@dataclass(frozen=True, slots=True)
class Machine:
    """A whole compiled machine; ``charts[0]`` is the outermost."""

    charts: tuple[Chart, ...]
    timeout: int | None = None
    comment: str = field(default="", compare=False)
    has_children: bool = False  # whether a task waits for an execution that it started
