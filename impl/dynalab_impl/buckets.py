"""Token buckets as values: what a level is after some time, and after something was taken (S36).

Pure functions in integers. A bucket gains `rate` tokens every `per_ns` nanoseconds, up to its capacity. Its `level`
counts tokens times `per_ns`, so no time is ever rounded away: it gains exactly `rate` a nanosecond. The level may fall
below zero, for what a request costs is known when it has been served; the debt is paid off by the time that passes.
Whoever asks, asks whether the level is above zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dynalab_impl.effects import Nanoseconds

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """See the rules above. `capacity` counts as `level` does.

    >>> bucket = full_bucket(5, SECOND_NS, 1, 0)
    >>> bucket = take(bucket, 7)
    >>> tokens(bucket), tokens(refill(bucket, SECOND_NS)[0])
    (-2, 3)
    """

    rate: int
    per_ns: Nanoseconds
    capacity: int
    level: int
    last_ns: Nanoseconds


def full_bucket(rate: int, per_ns: Nanoseconds, seconds: int, now_ns: Nanoseconds) -> Bucket:
    """A full bucket that holds what flows in within so many seconds."""
    capacity = rate * seconds * SECOND_NS
    return Bucket(rate, per_ns, capacity, capacity, now_ns)


def refill(bucket: Bucket, now_ns: Nanoseconds) -> tuple[Bucket, int]:
    """The bucket at `now_ns` by the same monotonic clock, and what found no room in it (counted as levels are)."""
    assert now_ns >= bucket.last_ns, "a monotonic clock went back"
    level = bucket.level + bucket.rate * (now_ns - bucket.last_ns)
    spilled = max(0, level - bucket.capacity)
    return Bucket(bucket.rate, bucket.per_ns, bucket.capacity, level - spilled, now_ns), spilled


def pour(bucket: Bucket, spilled: int) -> Bucket:
    """Add what another bucket of the same `per_ns` had no room for; the rest is lost."""
    return replace(bucket, level=min(bucket.capacity, bucket.level + spilled))


def take(bucket: Bucket, cost: int) -> Bucket:
    """So many tokens fewer; the level may become negative."""
    return replace(bucket, level=bucket.level - cost * bucket.per_ns)


def tokens(bucket: Bucket) -> int:
    """Whole tokens in it; negative in debt.

    >>> tokens(take(full_bucket(10, 3 * SECOND_NS, 1, 0), 3))
    0
    """
    return bucket.level // bucket.per_ns


def resized(bucket: Bucket, rate: int, per_ns: Nanoseconds, seconds: int) -> Bucket:
    """Another rate and capacity; the tokens in it stay, as far as there is room.

    >>> tokens(resized(full_bucket(5, SECOND_NS, 300, 0), 1000, SECOND_NS, 300))
    1500
    """
    capacity = rate * seconds * SECOND_NS
    return Bucket(rate, per_ns, capacity, min(capacity, bucket.level * per_ns // bucket.per_ns), bucket.last_ns)


def halved(bucket: Bucket) -> Bucket:
    """The same bucket with half of its tokens or half of its debt: what a split leaves to each child."""
    return replace(bucket, level=bucket.level // 2)
