"""Your answer to exercise 10. The rules are in task.md; the standard library is at hand, nothing else."""

from __future__ import annotations


def keys(votes: list, shards: int) -> list:
    """Task 1: the partition key that counts each vote."""
    raise NotImplementedError


def shards(rate: int, limit: int, partitions: int) -> int:
    """Task 2: how many shards a candidate needs."""
    raise NotImplementedError


def totals(rounds: list, shards: int) -> list:
    """Task 3: the total that is written after each round of reads."""
    raise NotImplementedError
