"""The campaign's client tells an answer, a request that never left, and an unknown outcome apart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from dynalab.drivers.cluster.client import Client, NotSent, Outcome, Unknown, wire
from dynalab.drivers.cluster.process import LOOPBACK, listen
from dynalab_fault_injection.workloads.items import delete_if, get, put_if
from dynalab_impl.effects import Response
from dynalab_model.operations import Operation
from dynalab_model.requests import parse

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
READ = get("orders", "a", consistent=True)


def answer(status: int, body: dict[str, object]) -> bytes:
    data = json.dumps(body).encode()
    return b"HTTP/1.1 %d Any\r\nServer: x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(data), data)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return await reader.readexactly(length)


def outcomes(serve: Serve, count: int = 1, seconds_max: float = 0.2) -> list[Outcome]:
    async def go() -> list[Outcome]:
        server = await asyncio.start_server(serve, LOOPBACK, 0)
        client = Client(f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}")
        found = [await client.request(READ, seconds_max) for _ in range(count)]
        client.close()
        server.close()
        return found

    return asyncio.run(go())


def test_an_answer_and_an_error_are_told_with_their_names() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(200, {"Item": {}}))
        await read_request(reader)
        writer.write(answer(400, {"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"}))

    first, second = outcomes(serve, 2)
    assert first == Response(200, {"Item": {}}, None)
    assert isinstance(second, Response) and second.error == "ResourceNotFoundException"


def test_nobody_listening_means_no_effect() -> None:
    with listen(None, exact=False) as bound:
        port = bound.getsockname()[1]
    client = Client(f"http://{LOOPBACK}:{port}")
    assert asyncio.run(client.request(READ, 1.0)) == NotSent()


def test_a_connection_that_breaks_after_the_request_leaves_the_outcome_unknown() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(200, {"Item": {}})[:-3])
        writer.close()

    assert isinstance(outcomes(serve)[0], Unknown)


def test_a_late_answer_is_never_taken_for_that_of_the_next_request() -> None:
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        mine = served
        await read_request(reader)
        if mine == 1:
            await asyncio.sleep(0.1)
        writer.write(answer(200, {"Item": {"v": {"N": str(mine)}}}))

    first, second = outcomes(serve, 2, seconds_max=0.05)
    assert first == Unknown("timeout")
    assert isinstance(second, Response) and second.body == {"Item": {"v": {"N": "2"}}}


def test_what_goes_over_the_wire_is_parsed_back_to_the_same_operation() -> None:
    operations: list[Operation] = [READ, put_if("orders", "a", None, 3), put_if("orders", "a", 3, 4)]
    operations.append(delete_if("orders", "a", 4))
    for operation in operations:
        name, body = wire(operation)
        assert parse(name, dict(body)) == operation
