"""A solution of exercise 06."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict


def find(lows: list, keys: list) -> list:
    """The greatest low end that is not above the key."""
    return [bisect_right(lows, key) - 1 for key in keys]


def learn(known: list, new: list) -> list:
    """Whatever shares a key with the news goes."""
    low, high, _ = new
    kept = [one for one in known if (one[1] and one[1] <= low) or (high and one[0] >= high)]
    return sorted([*kept, new])


def questions(requests: list, capacity: int, refresh: bool) -> list:
    """With a refresh on every hit each request is one question: the cache does not matter."""
    caches: dict = {}
    counts: dict = {}
    for router, partition in requests:
        cache = caches.setdefault(router, OrderedDict())
        hit = partition in cache
        cache[partition] = True
        cache.move_to_end(partition)
        if len(cache) > capacity:
            cache.popitem(last=False)
        counts[router] = counts.get(router, 0) + (refresh or not hit)
    return [[router, counts[router]] for router in sorted(counts)]
