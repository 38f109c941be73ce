"""A scan by four workers (S73), in virtual time.

A table of 16 partitions and 2,400 items of 4 KB, nearly ten pages. A worker asks for its next page when it has the one
before. The quarters of the workers are quarters of the hash: disjoint, and together the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from meter import KB, Body, Database, Simulated, padded, row, run, table

ITEMS = 2_400


def scan(service: Simulated, workers: int) -> tuple[list[list[str]], int, float]:
    """What each worker found, how long all of them took in nanoseconds, and the units of all."""
    began_ns = service.simulation.now
    found: list[list[str]] = [[] for _ in range(workers)]
    body: Body = {"TableName": "Things", "TotalSegments": workers, "ReturnConsumedCapacity": "TOTAL"}
    waiting = {service.send("Scan", {**body, "Segment": each}): each for each in range(workers)}
    ended_ns, units = began_ns, 0.0
    while waiting:
        service.run(10_000)
        for token in [token for token in waiting if token in service.answers]:
            worker = waiting.pop(token)
            ended_ns, response = service.answers.pop(token)
            assert response.status == 200
            answer = cast("Body", response.body)
            units += cast("float", cast("Body", answer["ConsumedCapacity"])["CapacityUnits"])
            found[worker] += [str(row(each)["thing"]) for each in cast("list[Body]", answer["Items"])]
            if "LastEvaluatedKey" in answer:
                again = {**body, "Segment": worker, "ExclusiveStartKey": answer["LastEvaluatedKey"]}
                waiting[service.send("Scan", again)] = worker
    return found, ended_ns - began_ns, units


def puzzler(_: Database) -> Iterator[str]:
    """What the chapter shows; it brings its own service."""
    service = Simulated(partitions=16)
    db = Database(service)
    db.create("Things", "thing")
    db.load("Things", [padded(4 * KB, thing=f"t{number}") for number in range(ITEMS)])
    lines = []
    for workers in (1, 2, 4, 100):
        found, took_ns, units = scan(service, workers)
        every = [name for worker in found for name in worker]
        assert len(set(every)) == len(every) == ITEMS, "an item was found twice, or not at all"
        sizes = sorted(len(worker) for worker in found)
        lines.append((f"{workers}", f"{sizes[0]}–{sizes[-1]}", f"{(took_ns + 500_000) // 1_000_000} ms", units))
    yield from table(("workers", "items each", "time", "units"), *lines)


if __name__ == "__main__":
    run(puzzler, anywhere=False)
