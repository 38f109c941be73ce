"""DynamoDB's wire protocol: from an HTTP exchange to an operation of the model, and back.

The order of checks is the service's own: method, path and content type; then JSON; then the target; then the signature;
then what `requests.parse` checks. (A body that is empty has no content type and no JSON that could be wrong: it is
missed last.) Errors have the service's types, texts and statuses. An exception of ours is answered with 500, logged,
and never ends a connection.

A page in a browser may ask: whatever names its origin is told that every origin is welcome, and a preflight is granted
what it asks for (as browsers' clients have seen it: rows `wire:cors` and `wire:preflight`).
"""

from __future__ import annotations

import json
import logging
import random
import re
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from time import time
from typing import NoReturn, Protocol, TypeAlias

from dynalab.endpoint import signature
from dynalab.endpoint.http import JSON_1_0, PLAIN, Exchange, inflate
from dynalab_impl.codec import to_json
from dynalab_impl.effects import Response
from dynalab_model import dialects, errors
from dynalab_model.errors import DynamoError
from dynalab_model.operations import Operation, ReadSettings
from dynalab_model.stream_requests import STREAM_OPERATIONS

Answer: TypeAlias = Callable[[Response], None]
Parse: TypeAlias = Callable[[str, dict[str, object]], Operation]

TARGET_PREFIX = b"DynamoDB_20120810."
STREAMS_PREFIX = b"DynamoDBStreams_20120810."  # the same endpoint serves both
NOT_FOUND_BODY = b"<UnknownOperationException/>\n"
LAB_PATH = b"/_dynalab/"
PREFLIGHT_SECONDS = 172_800  # two days
CORS = b"Access-Control-Allow-Origin: *\r\n"
# What a page may read of an answer beside its body.
CORS_EXPOSED = (
    b"Access-Control-Expose-Headers: x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,x-amz-crc32,Date\r\n"
)
# Header values that a preflight may have echoed: what HTTP calls tokens, and commas between them.
_ECHOED = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,4096}")
_REQUEST_ID = b"x-amzn-RequestId: %s%012d\r\n"
_EXTRA = _REQUEST_ID + b"x-amz-crc32: %d\r\n"
REQUEST_ID_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

log = logging.getLogger("dynalab.endpoint")


class Backend(Protocol):
    """Whatever carries out an operation: an embedded cluster, or a stand-in in a test."""

    def request(self, operation: Operation, answer: Answer) -> None:
        """Call `answer` once, now or later."""


class Lab(Protocol):
    """What `--lab` adds: a control surface over HTTP, and a hand on every request."""

    def handle(self, exchange: Exchange) -> None:
        """Answer a request to `/_dynalab/…`."""

    def intercept(self, name: str, operation: Operation, connection: int, answer: Answer) -> Answer | None:
        """What to call with the response, or None if the request was answered already."""


class Endpoint:
    """Serves exchanges. `credentials` maps access keys to secrets; None accepts every complete signature. `dialect` is
    one of `dialects.DIALECTS`.
    """

    def __init__(
        self,
        backend: Backend,
        parse: Parse,
        operation_names: Mapping[str, object],
        *,
        credentials: Mapping[str, str] | None = None,
        lab: Lab | None = None,
        region: str = "us-east-1",
        dialect: str = dialects.CLASSIC,
    ) -> None:
        self._backend = backend
        self._parse = parse
        self._targets = {
            (STREAMS_PREFIX if name in STREAM_OPERATIONS else TARGET_PREFIX) + name.encode(): name
            for name in operation_names
        }
        self._credentials = credentials
        self._lab = lab
        self._dialect = None if dialect == dialects.CLASSIC else dialect
        self._healthy = f"healthy: dynamodb.{region}.amazonaws.com ".encode()
        # 40 characters drawn once and a counter of 12: no random draw a request.
        letters = random.SystemRandom().choices(REQUEST_ID_CHARACTERS, k=40)
        self._id_prefix = "".join(letters).encode()
        self._id = 0

    def handle(self, exchange: Exchange) -> None:
        """Answer an exchange, now or when the backend answers."""
        try:
            self._handle(exchange)
        except DynamoError as error:
            self._refuse(exchange, error.status, error.body())
        except Exception:
            log.exception("a request could not be handled")
            internal = errors.internal_server_error()
            self._send(exchange, internal.status, internal.body())

    def _handle(self, exchange: Exchange) -> None:
        url, headers = exchange.url, exchange.headers
        if b"origin" in headers and not url.startswith(LAB_PATH):  # no page may read or work the controls
            exchange.extra = CORS if exchange.method == b"OPTIONS" else CORS + CORS_EXPOSED
        if (url != b"/" or exchange.method != b"POST") and self._plain(exchange):
            return
        body = exchange.body
        content_type = headers.get(b"content-type", b"")
        if content_type != JSON_1_0 and body and content_type.partition(b";")[0].strip().lower() != JSON_1_0:
            self._say(exchange, 404, NOT_FOUND_BODY)
            return
        if body and b"content-encoding" in headers and headers[b"content-encoding"].strip().lower() != b"identity":
            body = _inflated(headers[b"content-encoding"], body)
        try:
            content = _decode(body.decode()) if body else None
        except (ValueError, RecursionError):  # also what is not UTF-8, NaN, and integers of absurd length
            raise DynamoError("SerializationException") from None
        name = self._targets.get(headers.get(b"x-amz-target", b""))
        if name is None:
            raise errors.unknown_operation()
        query = url.partition(b"?")[2] if url != b"/" else b""
        signature.check_present(headers, query)
        if self._credentials is not None:
            # The signature covers the bytes that were sent, before inflating.
            signature.verify(self._credentials, "POST", url, headers, exchange.body, time())
        if content.__class__ is not dict:
            raise DynamoError("SerializationException", _not_an_object(content))
        if self._dialect is not None:
            dialects.check_request(self._dialect, name, content)
        try:
            operation = self._parse(name, content)
            if b"\\ud" in body or b"\\uD" in body:
                # Half a surrogate pair has no bytes: no node may meet one, wherever in the request it stands.
                json.dumps(content, ensure_ascii=False).encode()
        except (UnicodeEncodeError, RecursionError):  # half a surrogate pair, or nested beyond reading
            raise DynamoError("SerializationException") from None
        if operation.__class__ is ReadSettings and name == "DescribeEndpoints":
            # The address that the client used: a client that follows it must come back here, not to the real service.
            operation.argument = headers.get(b"host", b"").decode("latin-1")
        answer: Answer | None = partial(self._answered, exchange)
        if self._lab is not None:
            assert answer is not None
            answer = self._lab.intercept(name, operation, exchange.connection.number, answer)
        if answer is not None:
            self._backend.request(operation, answer)

    def _plain(self, exchange: Exchange) -> bool:
        """Everything but a POST to the root; False if the request goes on as one (a query string is allowed there)."""
        path = exchange.url.partition(b"?")[0]
        if self._lab is not None and path.startswith(LAB_PATH):
            self._lab.handle(exchange)
            return True
        if path == b"/" and exchange.method == b"POST":
            return False
        if exchange.method == b"OPTIONS" and b"origin" in exchange.headers:
            self._grant(exchange)
        elif path == b"/" and exchange.method in (b"GET", b"HEAD"):
            self._say(exchange, 200, self._healthy)
        else:
            self._say(exchange, 404, NOT_FOUND_BODY)
        return True

    def _grant(self, exchange: Exchange) -> None:
        """A browser asks before it sends: every method and header that it names is granted."""
        lines = [b"Access-Control-Max-Age: %d\r\n" % PREFLIGHT_SECONDS]
        for asked, granted in ((b"headers", b"Headers"), (b"method", b"Methods")):
            value = exchange.headers.get(b"access-control-request-" + asked, b"")
            if _ECHOED.fullmatch(value):
                lines.append(b"Access-Control-Allow-%s: %s\r\n" % (granted, value))
        exchange.answer(200, PLAIN, b"", b"".join(lines) + self._next_id())

    def _say(self, exchange: Exchange, status: int, text: bytes) -> None:
        """An answer that is no JSON."""
        self._id += 1
        exchange.answer(status, PLAIN, text, _EXTRA % (self._id_prefix, self._id, zlib.crc32(text)))

    def _next_id(self) -> bytes:
        self._id += 1
        return _REQUEST_ID % (self._id_prefix, self._id)

    def _answered(self, exchange: Exchange, response: Response) -> None:
        if response.status == 200:
            self._send(exchange, 200, response.body)
        else:
            self._refuse(exchange, response.status, response.body)

    def _refuse(self, exchange: Exchange, status: int, body: Mapping[str, object]) -> None:
        if self._dialect is not None:
            name = self._targets.get(exchange.headers.get(b"x-amz-target", b""), "")
            body = dialects.respelt(self._dialect, name, body)
        self._send(exchange, status, body)

    def _send(self, exchange: Exchange, status: int, body: Mapping[str, object]) -> None:
        # ASCII out: half a surrogate pair that somebody stored can then be sent back as it came.
        data = to_json(body).encode() if body else b"{}"
        self._id += 1
        extra = _EXTRA % (self._id_prefix, self._id, zlib.crc32(data))
        exchange.answer(status, JSON_1_0, data, extra)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def _decode(text: str) -> object:
    """What the JSON says. Bodies are mostly one object and nothing around it: then nobody looks for blanks."""
    if text[0] == "{":
        content, end = _decoder.raw_decode(text)
        if end == len(text):
            return content
    return _decoder.decode(text)


def _inflated(encoding: bytes, body: bytes) -> bytes:
    content = inflate(body) if encoding.strip().lower() == b"gzip" else None
    if content is None:
        raise DynamoError("SerializationException")
    return content


def _not_an_object(content: object) -> str | None:
    # null has no message; a list is told where it stands. Scalars as for members of the wrong type.
    return errors.TEXTS["list"] if isinstance(content, list) else None
