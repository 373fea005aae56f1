"""The rule of two people (双人复核), pure: whether two names mean one person."""

from __future__ import annotations


def is_same_person(one: str, other: str) -> bool:
    """Blanks around a name and its capitals make nobody a second person."""
    return one.strip().casefold() == other.strip().casefold()
