"""Your answers to exercise 03. Fill in the two functions; the standard library is all that is there.

Grade them with: dynalab grade docs/exercises/03-sessions
"""

from __future__ import annotations


def broken() -> dict[str, str]:
    """For the histories a to h: the guarantee that a session lost, or "none"."""
    raise NotImplementedError("task 1")


def kept(events: list[dict]) -> list[str]:
    """Those of "read-your-writes" and "monotonic-reads" that every session kept, in this order."""
    raise NotImplementedError("task 2")
