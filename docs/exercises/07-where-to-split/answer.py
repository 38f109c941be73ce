"""Your answer to exercise 07. The rules are in task.md; the standard library is at hand, nothing else."""

from __future__ import annotations


def halve(samples: list) -> str:
    """Task 1: the key at which a split divides the load most evenly; "" if no split divides it."""
    raise NotImplementedError


def split_point(samples: list, below: bool, above: bool) -> str:
    """Task 2: where to divide a hot partition; "" if a split would not help."""
    raise NotImplementedError


def read(maps: list, limit: int) -> list:
    """Task 3: the pages of a read, each from the partitions as they are by then."""
    raise NotImplementedError
