"""A table's changes in a Kinesis stream: doubled and out of order, and what a consumer makes of them (S149).

Three items are written in turn, one of them is deleted, and the table has a destination that tells times in
microseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import cast

from meter import SECOND_NS, Body, Database, Simulated, item, row, run, table

from dynalab.consumers import in_order
from dynalab.consumers.kinesis import Record
from dynalab.lab.kinesis import Deliveries
from dynalab_impl.effects import Response
from dynalab_model.operations import Operation

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/carts"


def carried(service: Simulated, seed: int) -> list[Record]:
    """What has come to the stream, as the lab carries it there: `GET /_dynalab/kinesis?arn=…`."""

    async def call(operation: Operation) -> Response:
        token = service.simulation.request(0, 0, operation)
        service.wait(token)
        return service.answers.pop(token)[1]

    deliveries = Deliveries(call, seed=seed)
    for _ in range(2):
        asyncio.run(deliveries.step())
    return [cast("Record", record["Data"]) for record in deliveries.streams[ARN].read()]


def rows_of(records: Sequence[Record]) -> list[tuple[str, ...]]:
    """Records as the rows of a table: the first letters of the event's id, its name, the key, the new value, and the
    time behind the first one.
    """
    changes = [cast("Body", record["dynamodb"]) for record in records]
    began = min(cast("int", change["ApproximateCreationDateTime"]) for change in changes)
    out = []
    for record, change in zip(records, changes, strict=True):
        new = row(cast("Body", change.get("NewImage") or {}))
        after_us = cast("int", change["ApproximateCreationDateTime"]) - began
        key = str(row(cast("Body", change["Keys"]))["cart"])
        out.append((str(record["eventID"])[:6], str(record["eventName"]), key, str(new.get("n", "")), f"{after_us:,}"))
    return out


def puzzler(_: Database) -> Iterator[str]:
    """What the chapter shows; it brings its own service."""
    service = Simulated()
    db = Database(service)
    db.create("Carts", "cart")
    precision = {"ApproximateCreationDateTimePrecision": "MICROSECOND"}
    asked: Body = {"TableName": "Carts", "StreamArn": ARN, "EnableKinesisStreamingConfiguration": precision}
    db.transport.call("EnableKinesisStreamingDestination", asked)
    service.run(2 * SECOND_NS)
    for number in range(6):
        db.put("Carts", cart="abc"[number % 3], n=number)
    db.call("DeleteItem", TableName="Carts", Key=item({"cart": "b"}))
    records = carried(service, seed=5)
    head = ("event", "name", "cart", "n", "µs")
    yield from table(head, *rows_of(records))
    yield ""
    yield "each once, by time:"
    sorted_out = in_order(records)
    yield from table(head, *rows_of(sorted_out))
    folded: dict[str, str] = {}
    for _event, name, cart, n, _us in rows_of(sorted_out):
        folded.pop(cart, None)
        if name != "REMOVE":
            folded[cart] = n
    assert folded == {str(found["cart"]): str(found["n"]) for found in db.scan("Carts", ConsistentRead=True)}
    yield ""
    yield f"which makes: {', '.join(f'{cart}={n}' for cart, n in sorted(folded.items()))}, as the table has it"


if __name__ == "__main__":
    run(puzzler, anywhere=False)
