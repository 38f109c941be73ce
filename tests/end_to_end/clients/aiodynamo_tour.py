"""aiodynamo over its HTTP adapter: tables, items, queries, scans, batches, updates. `python aiodynamo_tour.py URL`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable

from aiodynamo.client import Client, Table
from aiodynamo.credentials import Key, StaticCredentials
from aiodynamo.errors import ConditionalCheckFailed, ItemNotFound, TableNotFound
from aiodynamo.expressions import F, HashKey, RangeKey
from aiodynamo.http.httpx import HTTPX
from aiodynamo.models import (
    BatchGetRequest,
    BatchWriteRequest,
    GlobalSecondaryIndex,
    KeySchema,
    KeySpec,
    KeyType,
    PayPerRequest,
    Projection,
    ProjectionType,
    ReturnValues,
    StaticDelayRetry,
)
from httpx import AsyncClient
from yarl import URL

WAIT = StaticDelayRetry(time_limit_secs=20, delay=0.05)


async def refused(kind: type[Exception], call: Awaitable[object]) -> None:
    """The call must end in this error."""
    try:
        await call
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was expected")


async def items(orders: Table) -> None:
    order = {"customer": "ann", "number": 1, "total": 30, "tags": {"a", "b"}, "lines": ["tea", {"milk": True}, None]}
    assert await orders.put_item(order) is None
    assert await orders.get_item({"customer": "ann", "number": 1}) == order
    await refused(ItemNotFound, orders.get_item({"customer": "ann", "number": 2}))
    await refused(ConditionalCheckFailed, orders.put_item(order, condition=F("customer").does_not_exist()))

    key = {"customer": "ann", "number": 1}
    change = F("total").add(5) & F("state").set("paid") & F("tags").delete({"b"}) & F("lines", 1, "milk").set(False)
    changed = await orders.update_item(key, change, return_values=ReturnValues.all_new)
    expected = {"total": 35, "state": "paid", "tags": {"a"}, "lines": ["tea", {"milk": False}, None]}
    assert changed == {**order, **expected}, changed
    paid = F("state").equals("paid") & F("total").gt(1000)
    await refused(ConditionalCheckFailed, orders.update_item(key, F("total").set(0), condition=paid))
    projected = await orders.get_item(key, projection=F("total") & F("lines", 1))
    assert projected == {"total": 35, "lines": [{"milk": False}]}
    gone = await orders.delete_item(key, return_values=ReturnValues.all_old, condition=F("total").equals(35))
    assert gone is not None and gone["state"] == "paid"


async def pages(client: Client, orders: Table) -> None:
    bob = HashKey("customer", "bob")
    made = [
        {"customer": "bob", "number": n, "state": "open" if n % 3 else "paid", "text": "x" * 20_000} for n in range(75)
    ]
    for first in range(0, 75, 25):
        wanted = BatchWriteRequest(items_to_put=made[first : first + 25])
        done = await client.batch_write({"orders": wanted})
        assert not done
    found = [item["number"] async for item in orders.query(bob)]  # 1.5 MB: more than a page
    assert found == list(range(75))
    some = bob & RangeKey("number").between(10, 20)
    found = [item["number"] async for item in orders.query(some, filter_expression=F("state").equals("paid"))]
    assert found == [12, 15, 18]
    found = [item["number"] async for item in orders.query(bob, scan_forward=False, limit=3)]
    assert found == [74, 73, 72]
    assert await orders.count(bob) == 75
    assert sorted([item["number"] async for item in orders.scan()]) == list(range(75))
    keys = [{"customer": "bob", "number": n} for n in (1, 5, 500)]
    read = await client.batch_get({"orders": BatchGetRequest(keys)})
    assert sorted(item["number"] for item in read.items["orders"]) == [1, 5] and not read.unprocessed_keys

    paid: list[object] = []
    while len(paid) < 25:  # an index follows its table
        paid = [item["number"] async for item in orders.query(HashKey("state", "paid"), index="by-state")]
    assert paid == list(range(0, 75, 3))


async def main(url: str) -> None:
    async with AsyncClient() as http:
        credentials = StaticCredentials(Key("any", "any"))
        client = Client(HTTPX(http), credentials, "us-east-1", endpoint=URL(url))
        orders = client.table("orders")
        assert not await orders.exists()
        await refused(TableNotFound, orders.describe())
        number = KeySpec("number", KeyType.number)
        index = GlobalSecondaryIndex(
            name="by-state",
            schema=KeySchema(KeySpec("state", KeyType.string), number),
            projection=Projection(ProjectionType.all),
            throughput=None,
        )
        schema = KeySchema(KeySpec("customer", KeyType.string), number)
        await orders.create(PayPerRequest(), schema, gsis=[index], wait_for_active=WAIT)
        described = await orders.describe()
        assert described.key_schema == schema, described
        await items(orders)
        print("items")
        await pages(client, orders)
        print("pages")
        await orders.delete(wait_for_disabled=WAIT)
        assert not await orders.exists()
        print("gone")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
