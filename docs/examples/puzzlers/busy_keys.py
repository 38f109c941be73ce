"""Which key was it? A shop is throttled, and its metrics name the table alone (S45).

A hundred orders a second for four seconds. Half of them are of one product, and most of those of one size; the others
spread over fifty products. A partition takes twenty writes a second, and one of them has that product.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import cast

from crowd import gather, throttled_service
from meter import SECOND_NS, Body, Database, Simulated, item, run, table

from dynalab.lab.readings import insights

RATE, SECONDS, LIMIT, TOLD = 100, 4, 20, 3


def order(number: int) -> tuple[str, Body]:
    """One order: what is left of a product in one size becomes less."""
    drawn = zlib.crc32(f"order {number}".encode())
    product = "shirt 7" if drawn % 2 else f"shirt {10 + drawn // 2 % 50}"
    size = "M" if drawn // 256 % 4 else "L"
    body: Body = {"TableName": "Stock", "Key": item({"product": product, "size": size})}
    values = {":one": {"N": "1"}}
    return "UpdateItem", {**body, "UpdateExpression": "ADD sold :one", "ExpressionAttributeValues": values}


def graphs(service: Simulated) -> Iterator[str]:
    """What the lab tells of busy keys: `GET /_dynalab/insights`."""
    nodes = [host.node for host in service.simulation.hosts if host.node is not None]
    for graph in cast("list[Body]", insights(nodes, b"table=Stock&limit=%d" % TOLD)["insights"]):
        told = cast("list[Body]", graph["keys"])
        rows = [(", ".join(_values(one["key"])), f"{one['count']}") for one in told]
        yield from table((f"{graph['graph']}: {graph['title']}", "times"), *rows)
        yield ""


def _values(key: object) -> list[str]:
    return [str(next(iter(value.values()))) for value in json.loads(json.dumps(key)).values()]


def puzzler(_: Database) -> Iterator[str]:
    """What the chapter shows; it brings its own service."""
    service, db = throttled_service(read=3_000, write=LIMIT)
    db.create("Stock", "product", "size")
    db.transport.call("UpdateContributorInsights", {"TableName": "Stock", "ContributorInsightsAction": "ENABLE"})
    service.run(2 * SECOND_NS)
    crowd = gather(service, SECONDS, RATE, order)
    yield f"{crowd.sent} orders, {crowd.throttled} of them throttled"
    yield ""
    told = list(graphs(service))
    yield from told[:-1]


if __name__ == "__main__":
    run(puzzler, anywhere=False)
