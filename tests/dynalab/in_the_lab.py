"""A client of a service in this process, with the lab's pages beside DynamoDB's operations: for tests of the lab."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from dynalab.endpoint.server import Service, Settings
from dynalab.lab import Lab
from dynalab_checkers.history import History, parse_jsonl
from tests.dynalab.test_endpoint import Reply, Wire

T = TypeVar("T")
JSON = dict[str, object]


@dataclass(slots=True)
class Client:
    """One connection to the service, with the lab's pages beside DynamoDB's operations."""

    service: Service
    wire: Wire

    @property
    def lab(self) -> Lab:
        assert self.service.lab is not None
        return self.service.lab

    async def call(self, operation: str, body: JSON) -> Reply:
        return await self.wire.send(json.dumps(body).encode(), X_Amz_Target=f"DynamoDB_20120810.{operation}")

    async def ok(self, operation: str, body: JSON) -> JSON:
        found = await self.call(operation, body)
        assert found.status == 200, found.body
        return cast(JSON, json.loads(found.body))

    async def page(self, method: str, path: str, body: object = None) -> Reply:
        content = b"" if body is None else json.dumps(body).encode()
        return await self.wire.send(
            content, method=method, path=f"/_dynalab/{path}", Host="127.0.0.1:1", Content_Type="application/json"
        )

    async def fault(self, name: str, **parameters: str | int) -> JSON:
        found = await self.page("POST", "faults", {"fault": name, **parameters})
        assert found.status == 200, found.body
        return cast(JSON, json.loads(found.body))

    async def state(self) -> JSON:
        return cast(JSON, json.loads((await self.page("GET", "faults")).body))

    async def history(self) -> History:
        return parse_jsonl((await self.page("GET", "history")).body.decode().splitlines())

    async def create(self, table: str = "orders", index: bool = False) -> None:
        body: JSON = {
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        }
        if index:
            cast("list[JSON]", body["AttributeDefinitions"]).append({"AttributeName": "v", "AttributeType": "N"})
            body["GlobalSecondaryIndexes"] = [
                {
                    "IndexName": "by-v",
                    "KeySchema": [{"AttributeName": "v", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ]
        await self.ok("CreateTable", body)
        while True:
            table_now = cast(JSON, (await self.ok("DescribeTable", {"TableName": table}))["Table"])
            if table_now["TableStatus"] == "ACTIVE":
                return
            await asyncio.sleep(0.01)

    async def put(self, pk: str, v: int, **more: object) -> Reply:
        return await self.call(
            "PutItem", {"TableName": "orders", "Item": {"pk": {"S": pk}, "v": {"N": str(v)}}, **more}
        )

    async def get(self, pk: str, *, consistent: bool = True) -> int | None:
        body = {"TableName": "orders", "Key": {"pk": {"S": pk}}, "ConsistentRead": consistent}
        item = (await self.ok("GetItem", body)).get("Item")
        return None if item is None else int(cast("dict[str, dict[str, str]]", item)["v"]["N"])


def in_the_lab(work: Callable[[Client], Awaitable[T]]) -> T:
    async def main() -> T:
        service = Service(Settings(port=0, lab=True))
        url = await service.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        try:
            return await asyncio.wait_for(work(Client(service, Wire(reader, writer))), timeout=25)
        finally:
            writer.close()
            await service.stop()

    return asyncio.run(main())
