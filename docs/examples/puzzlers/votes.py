"""Votes (S60–S62): one counter a candidate, or many?

Told: candidate A gets 20,000 votes a second and B 10,000, and a partition takes 1,000 writes. Here sizes are 1 : 50:
400 and 200 votes a second, and 64 partitions that take 20 writes a second each.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator

from crowd import Crowd, gather, throttled_service
from meter import Body, Database, Simulated, item, run, table

RATE, SECONDS, LIMIT = 600, 2, 20
SHARDS = (1, 20, 100, 400)


def candidate(number: int) -> str:
    """Two votes of three are for A."""
    return "B" if number % 3 == 2 else "A"


def shard(number: int, shards: int) -> int:
    """Where a vote is counted: calculated from the voter, and as even as a random number would be.

    >>> [shard(number, 10) for number in range(6)]
    [2, 2, 4, 0, 3, 1]
    """
    return zlib.crc32(f"voter {number}".encode()) % shards


def vote(number: int, shards: int) -> tuple[str, Body]:
    """One vote: one write unit."""
    key = f"Candidate{candidate(number)}_{shard(number, shards)}"
    values = item({"one": 1})
    body: Body = {"TableName": "Votes", "Key": item({"candidate": key}), "UpdateExpression": "ADD votes :one"}
    return "UpdateItem", {**body, "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}}


def counted(db: Database, name: str, shards: int) -> int:
    """The sum over all shards of a candidate."""
    found = (db.get("Votes", {"candidate": f"Candidate{name}_{number}"}) for number in range(shards))
    return sum(int(str(each["votes"])) for each in found if each is not None)


def election(shards: int) -> tuple[Crowd, dict[str, int], Simulated, Database]:
    """Two seconds of votes, and what the shards hold afterwards."""
    service, db = throttled_service(read=3_000, write=LIMIT)
    db.create("Votes", "candidate")
    crowd = gather(service, SECONDS, RATE, lambda number: vote(number, shards))
    service.settle()
    return crowd, {name: counted(db, name, shards) for name in "AB"}, service, db


def totals(service: Simulated, db: Database, shards: int, rounds: int = 3) -> list[int]:
    """Voting goes on while an aggregator, each second, adds the shards of A and writes the total (S62)."""
    seen = []
    for second in range(rounds):
        begin = RATE * (SECONDS + second)
        gather(service, 1, RATE // 2, lambda number, begin=begin: vote(begin + number, shards))  # type: ignore[misc]
        db.update("Votes", {"candidate": "CandidateA"}, "SET votes = :v", v=counted(db, "A", shards))
        row = db.get("Votes", {"candidate": "CandidateA"})
        assert row is not None
        seen.append(int(str(row["votes"])))
    return seen


def puzzler(_: Database) -> Iterator[str]:
    """What the chapter shows; it brings its own service."""
    lines = []
    for shards in SHARDS:
        crowd, held, service, db = election(shards)
        assert sum(held.values()) == crowd.served, "a vote that was taken is counted once"
        lines.append((f"{shards}", crowd.sent, crowd.served, crowd.throttled))
    yield from table(("shards a candidate", "votes", "counted", "throttled"), *lines)
    spread = Counter(shard(number, SHARDS[1]) for number in range(RATE * SECONDS))
    low, high = min(spread.values()), max(spread.values())
    yield f"of {RATE * SECONDS:,} votes the {SHARDS[1]} shards get from {low} to {high}"
    seen = totals(service, db, SHARDS[-1])
    yield f"the total of A, written each second: {', '.join(str(each) for each in [held['A'], *seen])}"
    assert seen[-1] == counted(db, "A", SHARDS[-1])


if __name__ == "__main__":
    run(puzzler, anywhere=False)
