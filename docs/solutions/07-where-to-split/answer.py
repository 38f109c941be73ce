"""A solution of exercise 07."""

from __future__ import annotations

from itertools import pairwise


def weigh(samples: list) -> dict:
    """Units of each key."""
    weights: dict = {}
    for key, units in samples:
        weights[key] = weights.get(key, 0) + units
    return weights


def halve(samples: list) -> str:
    """Try each key but the first."""
    weights = weigh(samples)
    total, before = sum(weights.values()), 0
    best, at = total, ""
    for key in sorted(weights):
        busier = max(before, total - before)
        if before and busier < best:
            best, at = busier, key
        before += weights[key]
    return at


def split_point(samples: list, below: bool, above: bool) -> str:
    """The four rules, in their order."""
    if len(samples) < 32:
        return ""
    keys = [key for key, _ in samples]
    up = sum(a < b for a, b in pairwise(keys))
    down = sum(a > b for a, b in pairwise(keys))
    if 10 * max(up, down) >= 9 * (len(keys) - 1):
        return ""
    weights = weigh(samples)
    total = sum(weights.values())
    hottest = min(weights, key=lambda key: (-weights[key], key))
    if 2 * weights[hottest] >= total:
        if below:
            return hottest
        return hottest + "00" if above else ""
    before = 0
    for key in sorted(weights):
        if 2 * before >= total:
            return key
        before += weights[key]
    return max(weights)


def read(maps: list, limit: int) -> list:
    """Go on behind the last key, whichever partition holds it by now."""
    pages: list = []
    last = ""
    for parts in maps:
        page: list = []
        for _, _, keys in sorted(parts):
            page += sorted(key for key in keys if key > last)[: limit - len(page)]
        pages.append(page)
        if len(page) < limit:
            break
        last = page[-1]
    return pages
