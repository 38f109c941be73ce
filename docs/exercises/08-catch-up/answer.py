"""Your answer to exercise 08. The rules are in task.md; the standard library is at hand, nothing else."""

from __future__ import annotations


def lacks(base: int, last: int, match: int, most: int) -> list | None:
    """Task 1: what the leader sends to a follower whose log agrees with its own up to `match`."""
    raise NotImplementedError


def follow(follower: dict, messages: list) -> list:
    """Task 2: the follower after these messages, and its answer to each: [follower, answers]."""
    raise NotImplementedError


def messages_needed(base: int, last: int, match: int, rows: int, piece: int, most: int, rate: int) -> int | None:
    """Task 3: how many messages it takes until the follower has everything; None if it never will."""
    raise NotImplementedError
