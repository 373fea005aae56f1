"""Intrinsic functions for arrays (数组函数). Source: AWS documentation, "Intrinsics for arrays"."""

from __future__ import annotations

from typing import Any, Final

from workflows.engine.language.intrinsic_arguments import ArgumentError, need_array, need_integer

LONGEST_RANGE: Final = 1000


def array(*items: Any) -> list[Any]:
    """States.Array: its arguments as an array."""
    return list(items)


def array_partition(whole: Any, size: Any) -> list[list[Any]]:
    """States.ArrayPartition: pieces of ``size`` elements, the last one perhaps shorter."""
    items = need_array(whole, "The first argument")
    step = need_integer(size, "The chunk size")
    if step <= 0:
        raise ArgumentError(f"The chunk size must be a positive integer, got {step}")
    return [items[start : start + step] for start in range(0, len(items), step)]


def array_contains(whole: Any, wanted: Any) -> bool:
    """States.ArrayContains: is a value equal to ``wanted`` in the array?"""
    key = equality_key(wanted)
    return any(equality_key(item) == key for item in need_array(whole, "The first argument"))


def array_range(first: Any, last: Any, step: Any) -> list[int]:
    """States.ArrayRange: numbers from ``first`` to ``last``, both included, at most 1,000."""
    start = need_integer(first, "The first argument")
    end = need_integer(last, "The second argument")
    by = need_integer(step, "The increment")
    if by == 0:
        raise ArgumentError("The increment must not be 0")
    numbers = range(start, end + (1 if by > 0 else -1), by)
    # len() of a range fails beyond the machine's word, so count by hand.
    if (end - start) // by + 1 > LONGEST_RANGE:
        raise ArgumentError(f"The array must not have more than {LONGEST_RANGE} elements")
    return list(numbers)


def array_get_item(whole: Any, index: Any) -> Any:
    """States.ArrayGetItem: the element at ``index``, counted from 0."""
    items = need_array(whole, "The first argument")
    position = need_integer(index, "The index")
    if not 0 <= position < len(items):
        raise ArgumentError(f"The index {position} is outside the array of {len(items)} elements")
    return items[position]


def array_length(whole: Any) -> int:
    """States.ArrayLength: the number of elements."""
    return len(need_array(whole, "The argument"))


def array_unique(whole: Any) -> list[Any]:
    """States.ArrayUnique: each value once, in the order of first appearance."""
    unique: dict[Any, Any] = {}
    for item in need_array(whole, "The argument"):
        unique.setdefault(equality_key(item), item)
    return list(unique.values())


def equality_key(value: Any) -> Any:
    """Something hashable that is equal for equal JSON values; Python alone takes true for 1."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return ("array", tuple(map(equality_key, value)))
    if isinstance(value, dict):
        return ("object", frozenset((key, equality_key(item)) for key, item in value.items()))
    return value
