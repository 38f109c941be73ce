"""HTTP/1.1 for the endpoint: cutting requests out of a connection and putting responses into it, in order.

Rules of this room:

1. Nothing is unbounded: head, body, pipelined requests, connections, and the time that one request may take to arrive.
2. Pipelined requests are answered in the order in which they came, however they finish.
3. A request that is refused before its body was read gets its answer, and the connection is closed once the client had
   time to read it (a reset would take the answer away).
4. Nothing here knows DynamoDB. The hot path is one callback a header and one write a response.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from time import time
from typing import TypeAlias, cast

import httptools

HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 16 * 1024 * 1024
PIPELINE_MAX = 64
CONNECTIONS_MAX = 4_096
ARRIVAL_SECONDS_MAX = 60.0
LINGER_SECONDS = 2.0

JSON_1_0 = b"application/x-amz-json-1.0"
PLAIN = b"text/plain; charset=utf-8"
_WIRE = b"%b%bDate: %b\r\nContent-Length: %d\r\n\r\n%b"

Handler: TypeAlias = "Callable[[Exchange], None]"


class Exchange:
    """One request and its answer. Header names are lower case; a header that came twice is joined with a comma."""

    __slots__ = ("body", "connection", "extra", "headers", "keep_alive", "method", "url", "wire")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.url = b""
        self.method = b""
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.keep_alive = True
        self.extra = b""  # header lines that every answer to this request has
        self.wire: bytes | None = None  # the answer, until it can be written

    def answer(self, status: int, content_type: bytes, body: bytes, extra: bytes = b"") -> None:
        """Answer this request, once. `extra` is whole header lines, each with its line end."""
        if self.wire is None:
            head = _head(status, content_type, self.keep_alive)
            if self.extra:
                extra = self.extra + extra
            sent = b"" if self.method == b"HEAD" else body
            self.wire = _WIRE % (head, extra, http_date(), len(body), sent)
            self.connection.flush()


class Listener:
    """What the connections of one server share."""

    def __init__(self, handle: Handler) -> None:
        self.handle = handle
        self.connections: set[Connection] = set()
        self.accepted = 0
        self._sweep: asyncio.TimerHandle | None = None

    def connection(self) -> Connection:
        """The protocol factory for `loop.create_server`."""
        return Connection(self)

    def sweep(self) -> None:
        """Close connections whose request does not arrive; runs again by itself."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - ARRIVAL_SECONDS_MAX
        for connection in list(self.connections):
            connection.close_if_stuck_since(oldest)
        self._sweep = loop.call_later(ARRIVAL_SECONDS_MAX / 4, self.sweep)

    def close(self) -> None:
        """Close every connection."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self.connections):
            connection.abort()

    def busy(self) -> bool:
        """Whether any request still waits for its answer."""
        return any(connection.open for connection in self.connections)


class Connection(asyncio.Protocol):
    """One client connection."""

    __slots__ = (
        "_began_at",
        "_body",
        "_body_bytes",
        "_exchange",
        "_head_bytes",
        "_headers",
        "_linger_bytes",
        "_listener",
        "_loop",
        "_parser",
        "_paused",
        "_refused",
        "_transport",
        "number",
        "open",
    )

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._headers: dict[bytes, bytes] = {}  # of the exchange that is arriving
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._head_bytes = 0
        self._began_at = 0.0
        self._paused = False
        self._refused = False
        self._linger_bytes = 0
        self.number = 0
        self.open: deque[Exchange] = deque()

    # --- asyncio -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        listener = self._listener
        if len(listener.connections) >= CONNECTIONS_MAX:
            transport.close()
            return
        listener.accepted += 1
        self.number = listener.accepted
        listener.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.connections.discard(self)
        self._transport = None
        self.open.clear()
        # The parser holds our callbacks and we hold the parser: taken apart, both go at once, without the collector.
        del self._parser

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._linger_bytes += len(data)
            if self._linger_bytes > 4 * BODY_BYTES_MAX:
                self.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, b"upgrade is not supported\n")
        except httptools.HttpParserError:
            self._refuse(400, b"malformed HTTP\n")
        if self._exchange is not None and not self._body and not self._body_bytes:
            # Still in the head, or no body byte yet: bytes that came since the last whole request.
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX and not self._exchange.method:
                self._refuse(431, b"the head of the request is too long\n")

    def eof_received(self) -> bool:
        return bool(self.open)  # answer what was asked, although the client has closed its side

    def pause_writing(self) -> None:
        self._paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        if self._transport is not None and len(self.open) < PIPELINE_MAX:
            self._transport.resume_reading()

    # --- httptools ---------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        exchange = self._exchange = Exchange(self)
        self._headers = exchange.headers
        self._head_bytes = 0
        self._began_at = self._loop.time()

    def on_url(self, url: bytes) -> None:
        assert self._exchange is not None
        self._exchange.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        headers, name = self._headers, name.lower()
        headers[name] = headers[name] + b"," + value if name in headers else value

    def on_headers_complete(self) -> None:
        exchange, parser = self._exchange, self._parser
        assert exchange is not None
        exchange.method = parser.get_method()
        exchange.keep_alive = parser.should_keep_alive()
        length = exchange.headers.get(b"content-length")
        if length is not None and (len(length) > 12 or int(length) > BODY_BYTES_MAX):
            self._refuse(413, b"")
        elif b"expect" in exchange.headers and not self.open and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._refused:
            return
        if self._body_bytes > BODY_BYTES_MAX:
            self._refuse(413, b"")
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        exchange = self._exchange
        if exchange is None or self._refused:
            return
        body = self._body
        exchange.body = body[0] if len(body) == 1 else b"".join(body)
        self._exchange = None
        self._body = []
        self._body_bytes = self._head_bytes = 0
        self.open.append(exchange)
        if len(self.open) >= PIPELINE_MAX and self._transport is not None:
            self._transport.pause_reading()
        self._listener.handle(exchange)

    # --- answers -----------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write every answer that is next in line."""
        line, transport = self.open, self._transport
        if transport is None:
            return
        if len(line) == 1:  # nothing was pipelined
            exchange = line[0]
            if exchange.wire is not None and exchange.keep_alive:
                line.popleft()
                transport.write(exchange.wire)
                return
        full = len(line) >= PIPELINE_MAX
        while line and line[0].wire is not None:
            exchange = line.popleft()
            transport.write(cast(bytes, exchange.wire))
            if not exchange.keep_alive:
                self._linger()
                return
        if full and len(line) < PIPELINE_MAX and not self._paused:
            transport.resume_reading()

    def close_if_stuck_since(self, oldest: float) -> None:
        """Give up on a request that began to arrive before that time."""
        if self._exchange is not None and not self._refused and self._began_at < oldest:
            self.abort()

    def abort(self) -> None:
        """Close without waiting for anything."""
        if self._transport is not None:
            self._transport.close()

    def _refuse(self, status: int, body: bytes) -> None:
        if self._refused:
            return
        self._refused = True
        exchange = self._exchange or Exchange(self)
        self._exchange = None
        self._body = []
        exchange.keep_alive = False
        self.open.append(exchange)
        exchange.answer(status, PLAIN, body)

    def _linger(self) -> None:
        transport = self._transport
        self._refused = True  # whatever still comes is dropped
        if transport is None:
            return
        if transport.can_write_eof():
            transport.write_eof()
        self._loop.call_later(LINGER_SECONDS, self.abort)


def inflate(data: bytes) -> bytes | None:
    """The content of a gzip body; None if it is not gzip, or larger than a body may be.

    >>> import gzip
    >>> inflate(gzip.compress(b"{}"))
    b'{}'
    >>> inflate(gzip.compress(b"0" * (BODY_BYTES_MAX + 1))) is None
    True
    """
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(data, BODY_BYTES_MAX + 1)
    except zlib.error:
        return None
    return content if unpacker.eof and len(content) <= BODY_BYTES_MAX else None


_HEADS: dict[tuple[int, bytes, bool], bytes] = {}
_date_second = 0
_date_text = b""


def _head(status: int, content_type: bytes, keep_alive: bool) -> bytes:
    known = _HEADS.get((status, content_type, keep_alive))
    if known is None:
        connection = b"keep-alive" if keep_alive else b"close"
        known = _HEADS[status, content_type, keep_alive] = (
            b"HTTP/1.1 %d %s\r\nServer: Server\r\nContent-Type: %s\r\nConnection: %s\r\n"
            % (status, HTTPStatus(status).phrase.encode(), content_type, connection)
        )
    return known


def http_date() -> bytes:
    """The value of a Date header, made once a second."""
    global _date_second, _date_text
    now = int(time())
    if now != _date_second:
        _date_second, _date_text = now, formatdate(now, usegmt=True).encode()
    return _date_text
