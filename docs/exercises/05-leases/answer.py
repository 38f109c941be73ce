"""Your answer to exercise 05. The rules are in task.md; the standard library is at hand, nothing else."""

from __future__ import annotations


def wait_ns(lease_ns: int, drift_ppm: int) -> int:
    """Task 1: how long a new leader waits, by its own clock."""
    raise NotImplementedError


def lease_ends_ns(renewals: list, members: int, zone: str, lease_ns: int) -> int | None:
    """Task 2: when the lease ends; renewals are [sent_ns, [followers that acknowledged it]]."""
    raise NotImplementedError
