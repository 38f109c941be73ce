"""The endpoint over real sockets, in front of a stand-in backend: protocol, order, bounds, errors."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import re
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from dynalab.endpoint import http
from dynalab.endpoint.http import Listener
from dynalab.endpoint.service import Answer, Endpoint
from dynalab_impl.effects import Response
from dynalab_model.errors import DynamoError
from dynalab_model.operations import ListTables, Operation

T = TypeVar("T")
NO_TOKEN = "Request is missing Authentication Token"
AUTH = (
    "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=" + "0" * 64
)
HEADERS = {
    "Host": "localhost",
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "DynamoDB_20120810.ListTables",
    "X-Amz-Date": "20260101T000000Z",
    "Authorization": AUTH,
}


@dataclass(slots=True)
class Backend:
    """Answers in any order: each request waits in `waiting` until the test answers it, unless `at_once`."""

    at_once: bool = True
    waiting: list[tuple[Operation, Answer]] = field(default_factory=list)

    def request(self, operation: Operation, answer: Answer) -> None:
        if self.at_once:
            answer(Response(200, {"TableNames": []}))
        else:
            self.waiting.append((operation, answer))


def parse(name: str, body: dict[str, object]) -> Operation:
    if "Refuse" in body:
        raise DynamoError("ValidationException", "no")
    if "Break" in body:
        raise ZeroDivisionError
    limit = body.get("Limit", 100)
    assert isinstance(limit, int)
    return ListTables(limit=limit)


@dataclass(slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        return str(json.loads(self.body)["__type"])


@dataclass(slots=True)
class Wire:
    """One client connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(
        self, body: bytes = b"{}", *, method: str = "POST", path: str = "/", without: str = "", **headers: str
    ) -> Reply:
        self.write(body, method=method, path=path, without=without, **headers)
        return await self.read(head_only=method == "HEAD")

    def write(
        self, body: bytes = b"{}", *, method: str = "POST", path: str = "/", without: str = "", **headers: str
    ) -> None:
        lines = {**HEADERS, "Content-Length": str(len(body)), **{k.replace("_", "-"): v for k, v in headers.items()}}
        lines = {name: value for name, value in lines.items() if name != without and value != ""}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)

    async def read(self, *, head_only: bool = False) -> Reply:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = b"" if head_only else await self.reader.readexactly(int(headers["content-length"]))
        return Reply(int(head[0].split()[1]), headers, body)


def on_the_wire(work: Callable[[Wire], Awaitable[T]], backend: Backend | None = None, **options: object) -> T:
    """Run `work` with a connection to an endpoint in front of `backend`."""

    async def main() -> T:
        endpoint = Endpoint(backend or Backend(), parse, {"ListTables": None}, **options)  # type: ignore[arg-type]
        listener = Listener(endpoint.handle)
        server = await asyncio.get_running_loop().create_server(listener.connection, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        try:
            return await asyncio.wait_for(work(Wire(reader, writer)), timeout=10)
        finally:
            writer.close()
            server.close()
            listener.close()

    return asyncio.run(main())


def reply(body_sent: bytes = b"{}", /, **how: str) -> Reply:
    return on_the_wire(lambda wire: wire.send(body_sent, **how))


def test_an_answer_has_the_headers_of_the_service() -> None:
    found = reply()
    assert (found.status, found.body) == (200, b'{"TableNames":[]}')
    assert re.fullmatch("[A-Z0-9]{52}", found.headers["x-amzn-requestid"])
    assert int(found.headers["x-amz-crc32"]) == zlib.crc32(found.body)
    assert found.headers["content-type"] == "application/x-amz-json-1.0"
    assert found.headers["server"] == "Server"
    assert found.headers["connection"] == "keep-alive"
    assert found.headers["date"].endswith(" GMT")


def test_every_request_has_an_id_of_its_own() -> None:
    async def work(wire: Wire) -> set[str]:
        return {(await wire.send()).headers["x-amzn-requestid"] for _ in range(20)}

    assert len(on_the_wire(work)) == 20


def test_the_health_page_answers_get_and_head() -> None:
    async def work(wire: Wire) -> tuple[Reply, Reply, Reply]:
        return await wire.send(b"", method="GET"), await wire.send(b"", method="HEAD"), await wire.send()

    get, head, after = on_the_wire(work)
    assert (get.status, get.body) == (200, b"healthy: dynamodb.us-east-1.amazonaws.com ")
    assert (head.status, head.headers["content-length"]) == (200, str(len(get.body)))
    assert after.status == 200


@pytest.mark.parametrize(
    "how",
    [
        {"method": "PUT"},
        {"method": "DELETE"},
        {"path": "/elsewhere"},
        {"method": "GET", "path": "/elsewhere"},
        {"path": "/_dynalab/faults"},  # no lab, no such page
        {"Content_Type": "text/plain"},
        {"without": "Content-Type"},
    ],
)
def test_what_is_no_dynamodb_request_gets_404_in_xml(how: dict[str, str]) -> None:
    found = reply(**how)
    assert (found.status, found.body) == (404, b"<UnknownOperationException/>\n")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"9" * 5000,
        b"[" * 100_000,
        b"null",
        b"[]",
        b'"text"',
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
def test_what_is_no_json_object_is_a_serialization_error(body: bytes) -> None:
    found = reply(body)
    assert (found.status, found.error) == (400, "com.amazon.coral.service#SerializationException")


def test_half_a_surrogate_pair_does_not_end_the_connection() -> None:
    async def work(wire: Wire) -> tuple[Reply, Reply]:
        return await wire.send(b'{"TableName": "\\ud800"}'), await wire.send()

    assert [found.status for found in on_the_wire(work)] == [400, 200]


@pytest.mark.parametrize("body", [{"Tags": [{"Key": "\ud800", "Value": "b"}]}, {"Keys": ["\udbff"]}, {"\udfff": 1}])
def test_half_a_surrogate_pair_reaches_no_node_wherever_it_stands(body: dict[str, object]) -> None:
    """In the catalog's log it would end every replica of it, one after the other."""
    found = reply(json.dumps(body).encode())
    assert (found.status, found.error) == (400, "com.amazon.coral.service#SerializationException")
    whole = json.dumps({"Tags": ["\U0001f600"]}).encode()  # both halves: an ordinary character
    assert b"\\ud83d" in whole and reply(whole).status == 200


@pytest.mark.parametrize(
    "target", ["DynamoDB_20120810.Nonsense", "DynamoDBStreams_20120810.ListStreams", "ListTables", ""]
)
def test_an_unknown_target_is_an_unknown_operation_without_a_message(target: str) -> None:
    found = reply(X_Amz_Target=target, without="X-Amz-Target" if not target else "")
    assert found.status == 400
    assert json.loads(found.body) == {"__type": "com.amazon.coral.service#UnknownOperationException"}


@pytest.mark.parametrize(
    ("how", "error", "text"),
    [
        (
            {"without": "Authorization"},
            "MissingAuthenticationTokenException",
            NO_TOKEN,
        ),
        (
            {"Authorization": "Basic abc"},
            "MissingAuthenticationTokenException",
            NO_TOKEN,
        ),
        (
            {"Authorization": "AWS4-HMAC-SHA256 Signature=abc"},
            "IncompleteSignatureException",
            "Authorization header requires 'Credential' parameter. "
            "Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4-HMAC-SHA256 Signature=abc",
        ),
        (
            {"without": "X-Amz-Date"},
            "IncompleteSignatureException",
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization="
            + AUTH,
        ),
        (
            {"path": "/?X-Amz-Algorithm=AWS4-HMAC-SHA256"},
            "InvalidSignatureException",
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
        ),
        (
            {"path": "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=x&X-Amz-Signature=x", "without": "Authorization"},
            "IncompleteSignatureException",
            "AWS query-string parameters must include 'X-Amz-Credential'. "
            "AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the query-string parameters.",
        ),
    ],
)
def test_a_signature_must_be_there_and_whole(how: dict[str, str], error: str, text: str) -> None:
    found = reply(**how)
    assert found.status == 400
    assert json.loads(found.body) == {"__type": f"com.amazon.coral.service#{error}", "message": text}


def test_checks_come_in_the_order_of_the_service() -> None:
    # Content type before JSON, JSON before target, target before signature, signature before members.
    assert reply(b"{", Content_Type="text/plain").status == 404
    assert reply(b"{", X_Amz_Target="x").error.endswith("SerializationException")
    assert reply(X_Amz_Target="x", without="Authorization").error.endswith("UnknownOperationException")
    assert reply(b'{"Refuse": 1}', without="Authorization").error.endswith("MissingAuthenticationTokenException")
    assert reply(b'{"Refuse": 1}').error == "com.amazon.coral.validate#ValidationException"


def test_a_bug_of_ours_is_a_500_and_the_connection_lives_on() -> None:
    async def work(wire: Wire) -> tuple[Reply, Reply]:
        return await wire.send(b'{"Break": 1}'), await wire.send()

    broken, after = on_the_wire(work)
    assert (broken.status, broken.error) == (500, "com.amazonaws.dynamodb.v20120810#InternalServerError")
    assert after.status == 200


def test_pipelined_requests_are_answered_in_order_whatever_finishes_first() -> None:
    backend = Backend(at_once=False)

    async def work(wire: Wire) -> list[bytes]:
        for limit in range(1, 6):
            wire.write(b'{"Limit": %d}' % limit)
        while len(backend.waiting) < 5:
            await asyncio.sleep(0.001)
        for operation, answer in reversed(backend.waiting):
            assert isinstance(operation, ListTables)
            answer(Response(200, {"n": operation.limit}))
        return [(await wire.read()).body for _ in range(5)]

    assert on_the_wire(work, backend) == [b'{"n":%d}' % n for n in range(1, 6)]


def test_more_pipelined_requests_than_the_bound_are_all_answered() -> None:
    async def work(wire: Wire) -> int:
        for _ in range(http.PIPELINE_MAX * 4):
            wire.write()
        return sum([(await wire.read()).status == 200 for _ in range(http.PIPELINE_MAX * 4)])

    assert on_the_wire(work) == http.PIPELINE_MAX * 4


def test_a_request_may_come_byte_by_byte() -> None:
    async def work(wire: Wire) -> Reply:
        head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        for byte in f"POST / HTTP/1.1\r\n{head}Content-Length: 2\r\n\r\n{{}}".encode():
            wire.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        return await wire.read()

    assert on_the_wire(work).status == 200


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read() -> None:
    async def work(wire: Wire) -> Reply:
        wire.write(b"", Content_Length=str(http.BODY_BYTES_MAX + 1))
        return await wire.read()

    found = on_the_wire(work)
    assert (found.status, found.headers["connection"]) == (413, "close")


def test_a_chunked_body_is_cut_off_at_the_same_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_BYTES_MAX", 1_000)

    async def work(wire: Wire) -> Reply:
        wire.write(b"", without="Content-Length", Transfer_Encoding="chunked")
        for _ in range(3):
            wire.writer.write(b"190\r\n" + b"x" * 400 + b"\r\n")
        return await wire.read()

    assert on_the_wire(work).status == 413


def test_a_head_without_end_is_refused() -> None:
    async def work(wire: Wire) -> Reply:
        wire.writer.write(b"POST / HTTP/1.1\r\nX-Long: " + b"x" * (http.HEAD_BYTES_MAX + 1))
        return await wire.read()

    assert on_the_wire(work).status == 431


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST / HTTP/1.1\r\nA B\r\n\r\n"]
)
def test_what_is_no_http_is_answered_with_400_and_closed(junk: bytes) -> None:
    async def work(wire: Wire) -> tuple[Reply, bytes]:
        wire.writer.write(junk)
        return await wire.read(), await wire.reader.read()

    found, rest = on_the_wire(work)
    assert (found.status, rest) == (400, b"")


def test_connection_close_is_obeyed_after_the_answer() -> None:
    async def work(wire: Wire) -> tuple[Reply, bytes]:
        found = await wire.send(Connection="close")
        return found, await wire.reader.read()

    found, rest = on_the_wire(work)
    assert (found.status, found.headers["connection"], rest) == (200, "close", b"")


def test_a_client_that_expects_a_continue_gets_it() -> None:
    async def work(wire: Wire) -> tuple[bytes, Reply]:
        wire.write(b"", Content_Length="2", Expect="100-continue")
        first = await wire.reader.readuntil(b"\r\n\r\n")
        wire.writer.write(b"{}")
        return first, await wire.read()

    first, found = on_the_wire(work)
    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert found.status == 200


def test_a_gzip_body_is_read_and_its_size_is_bounded_when_inflated() -> None:
    assert reply(gzip.compress(b'{"Limit": 5}'), Content_Encoding="gzip").status == 200
    bomb = gzip.compress(b" " * (http.BODY_BYTES_MAX + 1))
    assert reply(bomb, Content_Encoding="gzip").error.endswith("SerializationException")
    assert reply(b"no gzip", Content_Encoding="gzip").error.endswith("SerializationException")
    assert reply(b"{}", Content_Encoding="br").error.endswith("SerializationException")


def test_a_client_that_leaves_before_the_answer_does_no_harm() -> None:
    backend = Backend(at_once=False)

    async def work(wire: Wire) -> None:
        wire.write()
        while not backend.waiting:
            await asyncio.sleep(0.001)
        wire.writer.transport.abort()
        await asyncio.sleep(0.01)
        backend.waiting[0][1](Response(200, {}))

    on_the_wire(work, backend)


def test_a_request_that_never_arrives_is_given_up() -> None:
    async def work(wire: Wire) -> bytes:
        wire.writer.write(b"POST / HTTP/1.1\r\n")
        await asyncio.sleep(0.01)
        for connection in list(connections()):
            connection.close_if_stuck_since(asyncio.get_running_loop().time() + 1)
        return await wire.reader.read()

    def connections() -> set[http.Connection]:
        return {found for found in gc.get_objects() if isinstance(found, http.Connection)}

    assert on_the_wire(work) == b""


def test_a_closed_connection_is_freed_without_the_collector() -> None:
    """Survivors of a full collection are never walked again, so a cycle among them would stay for ever."""

    async def work(wire: Wire) -> int:
        gc.collect()
        gc.disable()
        try:
            assert (await wire.send()).status == 200
            wire.writer.close()
            for _ in range(100):
                await asyncio.sleep(0.01)
                left = sum(isinstance(found, http.Connection) for found in gc.get_objects())
                if not left:
                    break
            return left
        finally:
            gc.enable()

    assert on_the_wire(work) == 0
