"""Sends a request to a service over HTTP and gives its answer; what has no order of its own is read whole.

A Scan is all its segments and all its pages, and so is a Query of an index: where their pages end depends on how a
service hashes and on the order of equal keys, which nobody promises. A Query of a table is one page, as asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import cast

from dynalab.bench.load import Connection, Target
from dynalab.differential.compare import Answer
from dynalab.differential.tables import Body, TableShape

PAGES_MAX = 200
DIED = 0  # in place of an HTTP status
READY_POLLS_MAX = 200
CALL_SECONDS_MAX = 5.0


class Caller:
    """One service under comparison: a name and one keep-alive connection. `start` starts it, anew if it runs, and gives
    its URL.
    """

    __slots__ = ("_connection", "_start", "_target", "name")

    def __init__(self, name: str, start: Callable[[], str]) -> None:
        self.name = name
        self._start = start
        self._target = Target.of(start())
        self._connection: Connection | None = None

    async def revive(self, model: Caller, shapes: tuple[TableShape, ...]) -> None:
        """Start the service again after it died, with the tables and items that `model` has."""
        self.close()
        self._target = Target.of(self._start())
        for shape in shapes:
            await self.create(shape)
            held = await model.ask("Scan", {"TableName": shape.name, "ConsistentRead": True})
            for item in cast("list[object]", held.body["Items"]):
                await self.once("PutItem", {"TableName": shape.name, "Item": item})

    async def once(self, operation: str, body: Body) -> Answer:
        """One request, one answer; that the service died, or says nothing, is an answer, too."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = await self._target.connect()
            sent = self._connection.request(self._target.encode(operation, body))
            status, data = await asyncio.wait_for(sent, CALL_SECONDS_MAX)
        except (ConnectionError, TimeoutError) as error:
            self.close()
            why = "no answer in time" if isinstance(error, TimeoutError) else "no answer, and the connection is closed"
            return Answer(DIED, {"__type": "#Died", "message": why})
        try:
            content = json.loads(data or b"{}")
        except ValueError:
            content = {}
        return Answer(status, content if isinstance(content, dict) else {})

    async def ask(self, operation: str, body: Body) -> Answer:
        """The answer to compare: one page, or the whole of what has no order."""
        if operation == "Query" and "IndexName" not in body:
            return await self.once(operation, body)
        if operation not in ("Query", "Scan"):
            return await self.once(operation, body)
        answer = await self._pages(operation, body)
        segments = body.get("TotalSegments")
        if answer.status != 200 or not isinstance(segments, int) or "Segment" not in body:
            return answer
        for segment in range(segments):
            if segment != body["Segment"]:
                answer = _joined(answer, await self._pages(operation, {**body, "Segment": segment}))
        return answer

    async def _pages(self, operation: str, body: Body) -> Answer:
        answer = await self.once(operation, body)
        last, pages = answer, 1
        while last.status == 200 and last.body.get("LastEvaluatedKey") and pages < PAGES_MAX:
            last = await self.once(operation, {**body, "ExclusiveStartKey": last.body["LastEvaluatedKey"]})
            answer, pages = _joined(answer, last), pages + 1
        return Answer(answer.status, answer.body, unordered=True)

    async def create(self, shape: TableShape) -> None:
        """Make a table and wait until it is ACTIVE. Raises OSError when the service does not."""
        answer = await self.once("CreateTable", shape.create())
        if answer.status != 200:
            raise OSError(f"{self.name} does not create {shape.name}: {answer.says}")
        for _ in range(READY_POLLS_MAX):
            described = (await self.once("DescribeTable", {"TableName": shape.name})).body.get("Table")
            if isinstance(described, dict) and described.get("TableStatus") == "ACTIVE":
                return
            await asyncio.sleep(0.05)
        raise OSError(f"{self.name}: {shape.name} never became ACTIVE")

    async def delete(self, table: str) -> None:
        """Delete a table if there is one, and wait until it is gone. Raises OSError when it stays."""
        for _ in range(READY_POLLS_MAX):
            answer = await self.once("DeleteTable", {"TableName": table})
            if "ResourceNotFound" in answer.says or "ValidationException" in answer.says:  # gone, or never a name
                return
            await asyncio.sleep(0.02)
        raise OSError(f"{self.name}: {table} was not deleted: {answer.says}")

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None and self._connection.transport is not None:
            self._connection.transport.close()
        self._connection = None


def _joined(one: Answer, more: Answer) -> Answer:
    """Two pages as one answer; an error of the second is the answer of both. What they cost cannot be compared."""
    if more.status != 200 or one.status != 200:
        return more if more.status != 200 else one
    body = dict(one.body)
    for name in ("Count", "ScannedCount"):
        body[name] = cast(int, one.body.get(name, 0)) + cast(int, more.body.get(name, 0))
    if "Items" in body or "Items" in more.body:
        body["Items"] = [
            *cast("list[object]", one.body.get("Items", [])),
            *cast("list[object]", more.body.get("Items", [])),
        ]
    body.pop("ConsumedCapacity", None)
    body.pop("LastEvaluatedKey", None)
    return Answer(200, body, unordered=True)
