"""Exit codes, the same for every command, and which of several is the worst."""

from __future__ import annotations

from collections.abc import Iterable

VALID = 0
INVALID = 1
UNKNOWN = 2  # ran out of budget, or a fault of the catalogue never fired: never a pass
DIFFERS = 3  # a replay took another course
USAGE = 64
DATA = 65  # malformed input
INTERNAL = 70

WORST_FIRST = (INTERNAL, DATA, DIFFERS, INVALID, UNKNOWN, VALID)
OF_VERDICT = {"valid": VALID, "invalid": INVALID, "unknown": UNKNOWN}


def worst(codes: Iterable[int]) -> int:
    """
    >>> worst([0, 2, 1]), worst([1, 65, 70]), worst([])
    (1, 70, 0)
    """
    found = set(codes)
    return next((code for code in WORST_FIRST if code in found), VALID)
