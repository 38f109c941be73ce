"""Your answers to exercise 02. Fill in the two functions; the standard library is all that is there.

Grade them with: dynalab grade docs/exercises/02-a-consistent-history
"""

from __future__ import annotations


def verdicts() -> dict[str, str]:
    """What the checker says of the histories a to h: "valid" or "invalid"."""
    raise NotImplementedError("task 1")


def violations(histories: list[list[dict]]) -> list[int]:
    """The positions of the histories that are not linearizable."""
    raise NotImplementedError("task 2")
