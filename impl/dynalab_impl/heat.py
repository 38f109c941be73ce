"""Where a partition is hot, and whether a split would help: what its leader observes (ATC'22 §4; S43, S44, S136).

A partition is hot in a second in which it consumed nearly all that a partition may. When it was hot for long enough
without a pause, a split point is chosen from the keys that were seen, not from the middle of the range. A split does
not help, and none is asked for, when one item takes the load and is alone already, or when the load moves through the
key range in order: it would leave the new partition as fast as it came.

All of it is forgotten with the leadership: a hot partition shows itself to the next leader as well.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

from dynalab_impl.effects import Nanoseconds

SECOND_NS = 1_000_000_000
SAMPLES_MAX = 256
SAMPLE_STEP, SAMPLE_BELOW = 2_654_435_769, 1 << 30  # one access in four: samples reach back a second of a busy one
SAMPLES_MIN = 32  # fewer say nothing of a distribution
HOT_NUMERATOR, HOT_DENOMINATOR = 4, 5  # of a partition's limit: above this a second counts as hot
IN_ORDER_NUMERATOR, IN_ORDER_DENOMINATOR = 9, 10  # of the steps between samples: above this the load moves


@dataclass(slots=True)
class Heat:
    """One partition's consumption, second by second, and a sample of the keys behind it."""

    limit_parts: int  # what a partition may consume in a second
    second: int = 0
    parts: int = 0  # consumed in this second
    hot_s: int = 0  # hot seconds without a pause
    accesses: int = 0
    samples: deque[tuple[bytes, int]] = field(default_factory=lambda: deque(maxlen=SAMPLES_MAX))

    def note(self, key: bytes, parts: int, now_ns: Nanoseconds) -> None:
        """This key's item was read or written, which cost so many parts."""
        self.roll(now_ns)
        self.parts += parts
        self.accesses += 1
        # Not every fourth one: clients that write four keys in turn would show a single key. Steps of the golden ratio
        # around a circle fall into a quarter of it one time in four, and in step with no small number.
        if self.accesses * SAMPLE_STEP % (1 << 32) < SAMPLE_BELOW:
            self.samples.append((key, parts))

    def roll(self, now_ns: Nanoseconds) -> None:
        """Close the seconds that are over."""
        second = now_ns // SECOND_NS
        if second == self.second:
            return
        hot = self.parts * HOT_DENOMINATOR >= self.limit_parts * HOT_NUMERATOR
        self.hot_s = self.hot_s + 1 if hot and second == self.second + 1 else 0
        self.second, self.parts = second, 0

    def again(self) -> None:
        """A split was asked for, or would not help: wait as long as before."""
        self.hot_s = 0


def split_point(samples: list[tuple[bytes, int]], has_below: bool, has_above: bool) -> bytes:
    """Where to divide a hot partition; b"" if a split would not help.

    `samples` are (key, parts) in the order of access; `has_below` and `has_above` say whether the partition holds items
    before and behind the hottest one. A key that takes half of the load or more is set apart, in two splits.

    >>> split_point([(b"a", 1), (b"d", 1), (b"b", 1), (b"c", 1)] * 8, True, True)
    b'c'
    >>> split_point([(b"a", 1), (b"b", 9)] * 16, True, False)
    b'b'
    >>> split_point([(b"a", 9), (b"b", 1)] * 16, False, True)
    b'a\\x00'
    >>> split_point([(b"a", 1)] * 32, False, False)
    b''
    """
    if len(samples) < SAMPLES_MIN or moves(samples):
        return b""
    weights: dict[bytes, int] = {}
    for key, parts in samples:
        weights[key] = weights.get(key, 0) + parts
    total = sum(weights.values())
    hottest = hottest_key(samples)
    if 2 * weights[hottest] >= total:
        if has_below:
            return hottest
        return hottest + b"\x00" if has_above else b""
    before = 0
    keys = sorted(weights)
    for key in keys:
        if 2 * before >= total:
            return key
        before += weights[key]
    return keys[-1]


def hottest_key(samples: list[tuple[bytes, int]]) -> bytes:
    """The key that cost the most; the smallest of several."""
    weights: dict[bytes, int] = {}
    for key, parts in samples:
        weights[key] = weights.get(key, 0) + parts
    return min(weights, key=lambda key: (-weights[key], key))


def moves(samples: list[tuple[bytes, int]]) -> bool:
    """Whether the load goes through the keys in order, up or down.

    >>> moves([(bytes([k]), 1) for k in range(100)]), moves([(bytes([k * 37 % 100]), 1) for k in range(100)])
    (True, False)
    """
    keys = [key for key, _ in samples]
    up = sum(a < b for a, b in pairwise(keys))
    down = sum(a > b for a, b in pairwise(keys))
    return IN_ORDER_DENOMINATOR * max(up, down) >= IN_ORDER_NUMERATOR * (len(keys) - 1)
