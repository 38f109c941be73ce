"""Making a counterexample small: delta debugging with the checker itself as the judge.

It finds a part from which nothing more can be left out (1-minimal), unless its budget ends first; then the part is
still a counterexample, only not the smallest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def minimise(
    operations: Sequence[Item], is_invalid: Callable[[list[Item]], bool], work_max: int = 400_000
) -> list[Item]:
    """The smallest part found that is still invalid. `work_max` bounds the operations judged, over all attempts.

    `is_invalid` must be true of all operations together, and should be monotone: a part of a valid history is valid.

    >>> minimise(range(100), lambda part: 17 in part and 42 in part)
    [17, 42]
    """
    kept = list(operations)
    pieces = 2
    work = 0
    while len(kept) > 1 and work < work_max:
        size = max(1, len(kept) // pieces)
        removed = False
        start = 0
        while start < len(kept) and work < work_max:
            attempt = kept[:start] + kept[start + size :]
            work += len(attempt) + 1
            if attempt and is_invalid(attempt):
                kept = attempt
                removed = True
            else:
                start += size
        if not removed or size > len(kept):
            if size == 1:
                break
            pieces *= 2
    return kept
