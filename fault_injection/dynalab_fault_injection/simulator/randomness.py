"""Seeded integer draws. A run is a function of its seed, so every draw of the simulator comes through this file.

Rules: integers only (`getrandbits`, multiply, shift), because floating-point functions give other bits on other
platforms. Each purpose has a stream of its own, so that one more draw about the network does not change what the
clients do.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")

STREAMS: dict[str, int] = {
    "scheduler": 1,
    "network": 2,
    "disk": 3,
    "faults": 4,
    "workload": 5,
    "objects": 6,
    "swarm": 7,
    "rules": 8,
}
FIRST_NODE_STREAM = 64  # node i draws from stream 64 + i, client i from 32 768 + i
FIRST_CLIENT_STREAM = 1 << 15
DRAW_BITS = 32  # wide enough that the bias of multiply-and-shift is below one in a million for every bound used here


def stream(seed: int, name: str, number: int = 0) -> Random:
    """The stream of a purpose, or of node or client `number`.

    >>> stream(7, "network").getrandbits(8) == stream(7, "network").getrandbits(8)
    True
    >>> stream(7, "network").getrandbits(64) == stream(7, "disk").getrandbits(64)
    False
    """
    assert seed >= 0, "seeds are not negative: Random ignores the sign"
    if name == "node":
        index = FIRST_NODE_STREAM + number
    elif name == "client":
        index = FIRST_CLIENT_STREAM + number
    else:
        index = STREAMS[name]
    return Random((seed << 16) | index)


def below(random: Random, bound: int) -> int:
    """A draw from 0 … bound - 1, by multiply and shift: one draw whatever the bound, so streams stay in step.

    >>> [below(stream(1, "faults"), 1) for _ in range(3)]
    [0, 0, 0]
    """
    assert 0 < bound < 1 << DRAW_BITS
    return (random.getrandbits(DRAW_BITS) * bound) >> DRAW_BITS


def between(random: Random, low: int, high: int) -> int:
    """A draw from low … high, both included; spans beyond 32 bits are drawn in steps of their 2³²-th part."""
    span = high - low + 1
    assert span > 0
    return low + ((random.getrandbits(DRAW_BITS) * span) >> DRAW_BITS)


def pick(random: Random, choices: Sequence[T]) -> T:
    """One of the choices.

    >>> pick(stream(1, "faults"), ["only"])
    'only'
    """
    return choices[below(random, len(choices))]


def shuffled(random: Random, choices: Sequence[T]) -> list[T]:
    """All of the choices in a drawn order (Fisher and Yates)."""
    deck = list(choices)
    for last in range(len(deck) - 1, 0, -1):
        other = below(random, last + 1)
        deck[last], deck[other] = deck[other], deck[last]
    return deck
