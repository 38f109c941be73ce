"""A client over HTTP that writes down what really happened: one connection, one request at a time, no retries.

It tells three things apart that other clients mix up: an answer; a request that certainly never left (nobody listens:
no effect); and one that left and was never answered (unknown, for ever). After the third the connection is given up, so
that a late answer is never taken for that of the next request.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from dynalab.drivers.cluster.state import Body, as_body
from dynalab_impl.effects import JSON, Response
from dynalab_model.operations import CreateTable, DeleteItem, DescribeTable, GetItem, ListTables, Operation, PutItem

CONNECT_SECONDS_MAX = 1.0
HEAD_BYTES_MAX = 64 * 1024
_HEAD = (
    "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-amz-json-1.0\r\n"
    "X-Amz-Target: DynamoDB_20120810.{target}\r\nX-Amz-Date: 20260101T000000Z\r\n"
    "Authorization: AWS4-HMAC-SHA256 Credential=campaign/20260101/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64 + "\r\nContent-Length: {length}\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nobody listened: the request had no effect."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """It was sent, and no whole answer came. `why` in a word."""

    why: str


Outcome: TypeAlias = Response | NotSent | Unknown


class Client:
    """One connection to one router, made when it is needed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(self, operation: Operation, seconds_max: float) -> Outcome:
        """Send it once, and wait so long for the answer."""
        try:
            async with asyncio.timeout(min(seconds_max, CONNECT_SECONDS_MAX)):
                await self._connect()
        except (OSError, TimeoutError):
            self.close()
            return NotSent()
        try:
            async with asyncio.timeout(seconds_max):
                return await self._exchange(operation)
        except TimeoutError:
            why = "timeout"
        except (OSError, EOFError, ValueError) as error:
            why = type(error).__name__
        self.close()
        return Unknown(why)

    async def _connect(self) -> None:
        # A connection that the other side closed while it was idle is noticed here, before anything is sent on it.
        if self._reader is not None and self._reader.at_eof():
            self.close()
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self.host, self.port)

    async def _exchange(self, operation: Operation) -> Response:
        assert self._reader is not None and self._writer is not None
        target, payload = wire(operation)
        body = json.dumps(payload, separators=(",", ":")).encode()
        head = _HEAD.format(host=f"{self.host}:{self.port}", target=target, length=len(body))
        self._writer.write(head.encode() + body)
        answer_head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = int(answer_head[9:12])
        fields = dict(line.lower().split(": ", 1) for line in answer_head.split("\r\n")[1:] if ": " in line)
        content = as_body(json.loads(await self._reader.readexactly(int(fields["content-length"]))))
        if fields.get("connection") == "close":
            self.close()
        error = str(content.get("__type", "")).rpartition("#")[2] or None
        return Response(status, content, error if status != 200 else None)

    def close(self) -> None:
        """Give the connection up."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.transport.abort()


def wire(operation: Operation) -> tuple[str, Body]:
    """An operation as DynamoDB's JSON: the name of the action and the body of the request.

    >>> wire(GetItem("orders", {"pk": {"S": "a"}}, consistent=True))
    ('GetItem', {'TableName': 'orders', 'Key': {'pk': {'S': 'a'}}, 'ConsistentRead': True})
    """
    body: Body = {}
    if isinstance(operation, ListTables):
        return "ListTables", body
    if isinstance(operation, CreateTable):
        return "CreateTable", _creation(operation)
    assert isinstance(operation, GetItem | PutItem | DeleteItem | DescribeTable), "what campaigns send"
    body["TableName"] = operation.table
    if isinstance(operation, DescribeTable):
        return "DescribeTable", body
    if isinstance(operation, GetItem):
        body["Key"] = _json(operation.key)
        if operation.consistent:
            body["ConsistentRead"] = True
        return "GetItem", body
    if isinstance(operation, PutItem):
        body["Item"] = _json(operation.item)
    else:
        body["Key"] = _json(operation.key)
    if operation.condition is not None:
        body["ConditionExpression"] = operation.condition
    if operation.names:
        body["ExpressionAttributeNames"] = _json(operation.names)
    if operation.values:
        body["ExpressionAttributeValues"] = _json(operation.values)
    body["ReturnValues"] = operation.return_values
    body["ReturnValuesOnConditionCheckFailure"] = operation.return_on_failure
    return type(operation).__name__, body


def _creation(operation: CreateTable) -> Body:
    schema = operation.schema
    assert not schema.indexes, "tables of this campaign have no index"
    keys = [attribute for attribute in (schema.key.hash, schema.key.range) if attribute is not None]
    return {
        "TableName": schema.name,
        "AttributeDefinitions": [{"AttributeName": key.name, "AttributeType": key.type} for key in keys],
        "KeySchema": [
            {"AttributeName": key.name, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
        ],
        **{name: _json(value) for name, value in operation.settings.items()},
    }


def _json(value: object) -> JSON:
    """Items are JSON already; a copy, so that what is sent cannot change."""
    copied: JSON = json.loads(json.dumps(value))
    return copied
