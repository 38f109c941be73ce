"""Writing events into the two indexes of `old_events` (S63): what an index of one key can take, its table can take.

Sizes are 1 : 10. A partition, of the table or of an index, takes 100 writes a second. 400 a second arrive, each with an
identifier of its own, and some 500 of them are let in before the table waits for its index.
"""

from __future__ import annotations

from collections.abc import Iterator

from crowd import gather
from meter import Body, Database, Simulated, index, item, run, table

from dynalab_impl.effects import Limits

LIMIT, RATE, SECONDS = 100, 400, 6
STEP = 200  # served and throttled are told to so many: a message more or less does not move them
PARTITIONS, SHARDS = 8, 10
BACKLOG_MAX = 65  # changes that a partition may owe its index


def puzzler(_: Database) -> Iterator[str]:
    """What the chapter shows; it brings its own service."""
    lines = []
    for name, key, values in (
        ("none", None, 1),
        ("everything, at", "everything", 1),
        ("part, at", "part", SHARDS),
    ):
        limits = Limits(partition_read=LIMIT, partition_write=LIMIT, burst_s=0, node_partitions=2 * PARTITIONS)
        service = Simulated(partitions=PARTITIONS, index_partitions=PARTITIONS, backlog_max=BACKLOG_MAX, limits=limits)
        db = Database(service)
        indexes = [] if key is None else [index("ByTime", key, "at", projection="KEYS_ONLY")]
        db.create("Events", "event", indexes=indexes)

        def event(number: int, key: str | None = key, values: int = values) -> tuple[str, Body]:
            more = {} if key is None else {key: f"v{number % values}", "at": f"{number:05}"}
            return "PutItem", {"TableName": "Events", "Item": item({"event": f"e{number}", **more})}

        crowd = gather(service, SECONDS, RATE, event)
        served = round(crowd.served / STEP) * STEP
        lines.append((name, crowd.sent, served, crowd.sent - served))
    yield from table(("keys of the index", "writes", "about served", "throttled"), *lines)


if __name__ == "__main__":
    run(puzzler, anywhere=False)
