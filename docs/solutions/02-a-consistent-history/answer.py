"""One right answer to exercise 02. The test suite grades it; the site and the wheel leave it out."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any


def verdicts() -> dict[str, str]:
    """Each letter with what the checker says."""
    right = {"a": "valid", "b": "invalid", "c": "invalid", "d": "valid"}
    return right | {"e": "valid", "f": "invalid", "g": "invalid", "h": "valid"}


def violations(histories: list[list[dict[str, Any]]]) -> list[int]:
    """By hand, as the chapter does it first: try every order, with and without what never returned."""
    return [place for place, history in enumerate(histories) if not linearizable(history)]


def linearizable(history: list[dict[str, Any]]) -> bool:
    """Whether some order of the operations explains what the reads returned."""
    pending = [one for one in history if one["ret"] is None]
    done = [one for one in history if one["ret"] is not None]
    for count in range(len(pending) + 1):
        for happened in combinations(pending, count):
            if any(explains(order) for order in permutations([*done, *happened])):
                return True
    return False


def explains(order: tuple[dict[str, Any], ...]) -> bool:
    """Whether a register would have answered so, and nobody was put before what had returned before his call."""
    state = None
    latest_call = -1
    for one in order:
        if one["ret"] is not None and one["ret"] < latest_call:
            return False
        latest_call = max(latest_call, one["call"])
        if one["f"] == "write":
            state = one["value"]
        elif one["value"] != state:
            return False
    return True
