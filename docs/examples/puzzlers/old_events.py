"""Events older than four hours (S63, S64): an index over time needs a partition key. Which one?

480 events, one a minute from midnight; at 08:00 those from before 04:00 are wanted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from meter import Database, index, padded, run, table

EVENTS, SHARDS = 480, 10
LIMIT = "04:00"
ALL_IN_ONE = index("ByTime", "everything", "at", projection="KEYS_ONLY")
SHARDED = index("ByPart", "part", "at", projection="KEYS_ONLY")


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    db.create("Events", "event", indexes=[ALL_IN_ONE, SHARDED])
    rows = [
        padded(512, event=f"e{n}", at=f"{n // 60:02}:{n % 60:02}", everything="1", part=f"p{n * 7 % SHARDS}")
        for n in range(EVENTS)
    ]
    db.load("Events", rows)
    wanted = sorted(str(each["event"]) for each in rows if str(each["at"]) < LIMIT)
    lines: list[tuple[str, int, int, float, str]] = []
    before = {"ExpressionAttributeNames": {"#at": "at"}}
    with db.bill() as bill:
        found = db.scan("Events", FilterExpression="#at < :t", ExpressionAttributeValues={":t": {"S": LIMIT}}, **before)
    assert sorted(str(each["event"]) for each in found) == wanted
    lines.append(("scan, filter", bill.requests, bill.scanned, bill.units, "–"))
    for name, key, values in (
        ("ByTime", "everything", ["1"]),
        ("ByPart", "part", [f"p{number}" for number in range(SHARDS)]),
    ):
        found = []
        with db.bill() as bill:
            for value in values:
                found += db.query(
                    "Events", f"{key} = :k AND #at < :t", {"k": value, "t": LIMIT}, IndexName=name, **before
                )
        assert sorted(str(each["event"]) for each in found) == wanted
        busiest = max(Counter(str(each[key]) for each in rows).values())
        lines.append((f"index on {key}", bill.requests, bill.scanned, bill.units, f"{busiest * 100 // EVENTS} %"))
    yield from table(("old events", "requests", "scanned", "units", "writes on the busiest key"), *lines)


if __name__ == "__main__":
    run(puzzler)
