"""Your answer to exercise 06. The rules are in task.md; the standard library is at hand, nothing else."""

from __future__ import annotations


def find(lows: list, keys: list) -> list:
    """Task 1: for each key the number of the partition that holds it."""
    raise NotImplementedError


def learn(known: list, new: list) -> list:
    """Task 2: the ranges that are known after the news; each is [low, high, name]."""
    raise NotImplementedError


def questions(requests: list, capacity: int, refresh: bool) -> list:
    """Task 3: how many questions each router asks; requests are [router, partition]."""
    raise NotImplementedError
