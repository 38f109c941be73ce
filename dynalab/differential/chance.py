"""Where the generator's choices come from: a seed, or somebody who wants to shrink what he finds.

Every choice is a whole number below a bound; nothing here draws more than the choice needs, and the first alternative
is always the simplest, so that smaller choices make simpler requests.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """Choices from `below(bound)`, which gives a number from 0 to bound - 1.

    >>> seeded(1).pick("abc") == seeded(1).pick("abc")
    True
    >>> Chance(lambda bound: 0).pick(["simplest", "harder"])
    'simplest'
    """

    __slots__ = ("below",)

    def __init__(self, below: Callable[[int], int]) -> None:
        self.below = below

    def pick(self, options: Sequence[T]) -> T:
        """One of them."""
        return options[self.below(len(options))]

    def one_in(self, bound: int) -> bool:
        """True once in that many times."""
        return self.below(bound) == bound - 1

    def some(self, options: Sequence[T], most: int) -> list[T]:
        """From one to `most` different ones, in their own order."""
        count = 1 + self.below(min(most, len(options)))
        left = list(range(len(options)))
        chosen = [left.pop(self.below(len(left))) for _ in range(count)]
        return [options[at] for at in sorted(chosen)]


def seeded(seed: int) -> Chance:
    """Choices that this seed makes, the same on every machine."""
    return Chance(random.Random(seed).randrange)
