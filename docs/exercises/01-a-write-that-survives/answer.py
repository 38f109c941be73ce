"""Your answers to exercise 01. Fill in the three functions; the standard library is all that is there.

Grade them with: dynalab grade docs/exercises/01-a-write-that-survives
"""

from __future__ import annotations


def may_acknowledge(holders: list[str], members: list[str]) -> bool:
    """May the leader say "done" when exactly these members have the entry on disk? A member is written "zone/node"."""
    raise NotImplementedError("task 1")


def all_fresh(reads: int) -> list[int]:
    """The probability that so many eventual reads in a row are all fresh, as [numerator, denominator]."""
    raise NotImplementedError("task 2")


def first_step_back(events: list[dict]) -> int | None:
    """The `index` of a strong read's completion that went back behind an acknowledged write, or None."""
    raise NotImplementedError("task 3")
