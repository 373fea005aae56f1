"""The error tree: what the module's docstring draws is what the classes are."""

from __future__ import annotations

import inspect
import re

from gongdian import errors


def _drawn() -> dict[str, str]:
    """Class name -> name of its parent, from the indentation of the drawing."""
    parents: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"( {4,})(\w+Error)\b", line)
        if found:
            depth = len(found[1])
            path = [one for one in path if one[0] < depth]
            parents[found[2]] = path[-1][1] if path else "Exception"
            path.append((depth, found[2]))
    return parents


def test_the_drawing_in_the_docstring_is_the_tree():
    real = {
        name: kind.__bases__[0].__name__
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, Exception)
    }
    assert _drawn() == real


def test_the_docstring_is_the_default_text_and_context_is_shown():
    error = errors.ConflictError("bill_closed", bill="B1")
    assert str(error) == (
        "bill_closed: The thing is not in the state that this change needs. (bill='B1')"
    )


def test_only_failures_of_others_and_passing_refusals_are_retryable():
    assert errors.UpstreamError("x").retryable
    assert errors.OutcomeUnknownError("x").retryable
    assert errors.DeliveryError("x").retryable
    assert not errors.DeliveryError("x", permanent=True).retryable
    assert not errors.InputError("x").retryable
