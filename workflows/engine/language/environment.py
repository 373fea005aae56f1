"""What an expression can see (求值环境): the input, the context object, the variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Environment:
    """``$`` is ``input``; ``$$`` is what ``context()`` builds (only when asked); ``$x`` a variable.

    Values are JSON documents as Python objects. They are shared: nobody may change them.
    """

    input: Any
    context: Callable[[], Mapping[str, Any]]
    variables: Mapping[str, Any]
