"""A right answer to exercise 10."""

from __future__ import annotations

import zlib


def keys(votes: list, shards: int) -> list:
    """`hash()` of a text is salted anew in each process; a checksum is not."""
    return [f"{candidate}_{zlib.crc32(voter.encode()) % shards}" for candidate, voter in votes]


def shards(rate: int, limit: int, partitions: int) -> int:
    """Some shards meet in one partition, so each must be a small part of what a partition takes."""
    return 30 * rate // limit


def totals(rounds: list, shards: int) -> list:
    """The most that was ever seen of each shard is the best that is known of it."""
    best = [0] * shards
    written = []
    for round in rounds:
        for shard, votes in round:
            best[shard] = max(best[shard], votes)
        written.append(sum(best))
    return written
