"""The load generator: keep-alive HTTP/1.1 connections, one request in flight on each, the same pool of encoded
requests for every server.

It measures the server and not itself: requests are encoded beforehand, and a response is only cut out of the stream,
never parsed. The signature is a dummy; servers that verify signatures are not what is measured here.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import urlsplit

AUTHORIZATION: Final = (
    "AWS4-HMAC-SHA256 Credential=AKIDLOADGEN00000000/20260101/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=" + "0" * 64
)
PAD_BYTES: Final = 110  # makes an item of about 200 bytes of JSON
KEYS: Final = 2_000
POOL: Final = 4_096
READY_POLLS_MAX: Final = 300


class LoadError(RuntimeError):
    """The server answered something that makes a measurement meaningless."""


@dataclass(slots=True)
class Measured:
    """Requests per second, latency quantiles (milliseconds), and the processor time (microseconds) that the server
    used for each request, of one server under one operation.
    """

    rate: float
    requests: int
    p50_ms: float
    p99_ms: float
    cpu_us: float | None = None
    errors: list[str] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """One keep-alive connection; at most one request in flight."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self.transport: asyncio.Transport | None = None
        self.closed = False
        self._close_after = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are not of asyncio's class
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(exc or ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        response = self._cut()
        if response is None:
            return
        waiting, self.waiting = self.waiting, None
        self.buffer.clear()
        if self._close_after:  # werkzeug's server keeps no connection alive
            self.closed = True
            assert self.transport is not None
            self.transport.close()
        if waiting is not None and not waiting.done():
            waiting.set_result(response)

    def _cut(self) -> tuple[int, bytes] | None:
        """Status and body, once both are there."""
        head_end = self.buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        head = bytes(self.buffer[:head_end]).lower()
        self._close_after = b"\r\nconnection: close" in head or head.startswith(b"http/1.0")
        body_at = head_end + 4
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            end = head.find(b"\r\n", at + 2)
            length = int(head[at + 17 : end if end > 0 else None])
            if len(self.buffer) - body_at < length:
                return None
            return int(head[9:12]), bytes(self.buffer[body_at : body_at + length])
        if b"transfer-encoding: chunked" in head:
            return self._cut_chunks(int(head[9:12]), body_at)
        raise LoadError("a response without a length")

    def _cut_chunks(self, status: int, at: int) -> tuple[int, bytes] | None:
        body = bytearray()
        while True:
            line_end = self.buffer.find(b"\r\n", at)
            if line_end < 0:
                return None
            length = int(bytes(self.buffer[at:line_end]).split(b";")[0], 16)
            if len(self.buffer) < line_end + 2 + length + 2:
                return None
            if length == 0:
                return status, bytes(body)
            body += self.buffer[line_end + 2 : line_end + 2 + length]
            at = line_end + 2 + length + 2

    def request(self, raw: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Send one encoded request; the future holds status and body."""
        assert self.waiting is None, "one request in flight"
        assert self.transport is not None
        self.waiting = asyncio.get_running_loop().create_future()
        self.transport.write(raw)
        return self.waiting


@dataclass(frozen=True, slots=True)
class Target:
    """A server: where it listens, and how a request to it is encoded."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Target:
        """From http://host:port.

        >>> Target.of("http://127.0.0.1:8000").port
        8000
        """
        parts = urlsplit(url)
        return cls(parts.hostname or "127.0.0.1", parts.port or 80)

    def encode(self, operation: str, payload: dict[str, object]) -> bytes:
        """The whole request, ready to be written."""
        body = json.dumps(payload, separators=(",", ":")).encode()
        head = (
            f"POST / HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/x-amz-json-1.0\r\n"
            f"X-Amz-Target: DynamoDB_20120810.{operation}\r\nX-Amz-Date: 20260101T000000Z\r\n"
            f"Authorization: {AUTHORIZATION}\r\nAccept-Encoding: identity\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def connect(self) -> Connection:
        """A new connection."""
        _, protocol = await asyncio.get_running_loop().create_connection(Connection, self.host, self.port)
        return protocol

    async def call(self, operation: str, payload: dict[str, object]) -> tuple[int, dict[str, object]]:
        """One request on a connection of its own."""
        connection = await self.connect()
        status, body = await connection.request(self.encode(operation, payload))
        if connection.transport is not None:
            connection.transport.close()
        parsed = json.loads(body or b"{}")
        return status, parsed if isinstance(parsed, dict) else {}


def make_item(number: int) -> dict[str, object]:
    """About 200 bytes of JSON; ten sort keys to a collection, so a Query reads ten items.

    >>> 190 <= len(json.dumps(make_item(0), separators=(",", ":"))) <= 260
    True
    """
    return {
        "pk": {"S": f"user#{number // 10:07d}"},
        "sk": {"S": f"s#{number % 10:02d}"},
        "n": {"N": str(number)},
        "active": {"BOOL": True},
        "payload": {"S": "x" * PAD_BYTES},
    }


def make_pool(target: Target, operation: str, table: str, seed: int = 1) -> list[bytes]:
    """A fixed pool of encoded requests over KEYS items: GetItem (eventual), PutItem, Query of a whole collection,
    or TransactWriteItems of two puts into different collections, with items of its own each: none meets another.
    """
    rng = random.Random(seed)
    pool: list[bytes] = []
    for number in range(POOL):
        item = make_item(rng.randrange(KEYS))
        payload: dict[str, object] = {"TableName": table}
        if operation == "PutItem":
            payload["Item"] = item
        elif operation == "GetItem":
            payload["Key"] = {"pk": item["pk"], "sk": item["sk"]}
        elif operation == "TransactWriteItems":
            both = (make_item(number), make_item(number + POOL))
            payload = {"TransactItems": [{"Put": {"TableName": table, "Item": part}} for part in both]}
        elif operation == "Query":
            payload["KeyConditionExpression"] = "pk = :pk"
            payload["ExpressionAttributeValues"] = {":pk": item["pk"]}
        else:
            raise ValueError(f"no requests of this operation are made here: {operation}")
        pool.append(target.encode(operation, payload))
    return pool


async def prepare(target: Target, table: str) -> None:
    """Create the table, wait until it is ACTIVE, and put every item once."""
    payload: dict[str, object] = {
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    }
    status, body = await target.call("CreateTable", payload)
    if status != 200:
        raise LoadError(f"CreateTable: {status} {body}")
    for _ in range(READY_POLLS_MAX):
        status, body = await target.call("DescribeTable", {"TableName": table})
        description = body.get("Table")
        if status == 200 and isinstance(description, dict) and description.get("TableStatus") == "ACTIVE":
            break
        await asyncio.sleep(0.1)
    else:
        raise LoadError(f"the table did not become active: {body}")

    async def fill(start: int) -> None:
        connection = await target.connect()
        for number in range(start, KEYS, 16):
            if connection.closed:
                connection = await target.connect()
            raw = target.encode("PutItem", {"TableName": table, "Item": make_item(number)})
            status, body = await connection.request(raw)
            if status != 200:
                raise LoadError(f"PutItem: {status} {body[:200]!r}")
        if connection.transport is not None:
            connection.transport.close()

    await asyncio.gather(*(fill(start) for start in range(16)))


async def _worker(
    target: Target, pool: list[bytes], offset: int, start: float, stop: float, latencies: list[float], errors: list[str]
) -> None:
    connection = await target.connect()
    clock, count, index = time.perf_counter, len(pool), offset
    while True:
        if connection.closed:
            connection = await target.connect()
        sent = clock()
        if sent >= stop:
            break
        try:
            status, body = await connection.request(pool[index % count])
        except OSError as error:
            errors.append(str(error))
            continue
        done = clock()
        if status != 200:
            errors.append(f"{status} {body[:200]!r}")
        elif sent >= start:
            latencies.append(done - sent)
        index += 1
    if connection.transport is not None:
        connection.transport.close()


async def load(
    url: str,
    operation: str,
    table: str,
    cpu_seconds: Callable[[], float | None] = lambda: None,
    *,
    connections: int = 16,
    seconds: float = 5.0,
    warmup_seconds: float = 1.0,
) -> Measured:
    """Load one prepared table with one operation over `connections` connections; the warm-up is not counted.

    `cpu_seconds` tells how much processor time the server has used so far.
    """
    target = Target.of(url)
    pool = make_pool(target, operation, table)
    latencies: list[float] = []
    errors: list[str] = []
    start = time.perf_counter() + warmup_seconds
    stop = start + seconds
    used: list[float | None] = []
    asyncio.get_running_loop().call_later(warmup_seconds, lambda: used.append(cpu_seconds()))
    await asyncio.gather(
        *(
            _worker(target, pool, k * len(pool) // connections, start, stop, latencies, errors)
            for k in range(connections)
        )
    )
    used.append(cpu_seconds())
    cpu_us = None
    if len(used) == 2 and used[0] is not None and used[1] is not None and latencies:
        cpu_us = (used[1] - used[0]) * 1_000_000 / len(latencies)
    latencies.sort()

    def quantile_ms(parts: int, of: int) -> float:
        return round(latencies[min(len(latencies) - 1, len(latencies) * parts // of)] * 1000, 2) if latencies else 0.0

    p50_ms, p99_ms = quantile_ms(1, 2), quantile_ms(99, 100)
    return Measured(len(latencies) / seconds, len(latencies), p50_ms, p99_ms, cpu_us, errors)
