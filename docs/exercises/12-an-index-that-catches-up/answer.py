"""Your answer to exercise 12. The rules are in task.md; the standard library is at hand, nothing else."""

from __future__ import annotations


def owed(before: dict | None, after: dict | None, key: str, projected: list) -> list:
    """Task 1: the changes that one write of an item owes to an index."""
    raise NotImplementedError


def apply(changes: list) -> dict:
    """Task 2: what the index holds after these changes, in whatever order they come."""
    raise NotImplementedError


def accepted(writes: list, capacity: int, bound: int) -> list:
    """Task 3: second by second, the writes that are taken and how many changes wait at its end."""
    raise NotImplementedError
