"""Sends bytes and reads the responses that must come: sockets, no HTTP library, because what is sent is no HTTP."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import zlib
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import urlsplit

from dynalab.differential.tables import Body

ANSWER_SECONDS_MAX: Final = 5.0
READ_BYTES: Final = 1 << 16


class NoAnswer(Exception):
    """A response that must come did not come in time, or is none; the text says which."""


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response; `body` is None unless it is a JSON object."""

    status: int
    body: Body | None
    text: bytes

    @property
    def error(self) -> str:
        """The error's short name; "" for an answer, and for what is no error of the service's.

        >>> Response(400, {"__type": "a.b#ValidationException"}, b"").error
        'ValidationException'
        """
        return str((self.body or {}).get("__type", "")).rpartition("#")[2] if self.status != 200 else ""


class Line:
    """One connection after another to one server."""

    __slots__ = ("_at", "_buffer", "_socket")

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._at = (str(parts.hostname), parts.port or 80)
        self._socket: socket.socket | None = None
        self._buffer = b""

    def send(self, data: bytes, answers: int, *, ends: bool = False) -> list[Response]:
        """Send, and read so many responses. Fewer are right only after one that closed the connection. Raises NoAnswer,
        and OSError when nobody listens.
        """
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        line = self._socket or socket.create_connection(self._at, ANSWER_SECONDS_MAX)
        self._socket = line
        try:
            line.settimeout(ANSWER_SECONDS_MAX)
            self._send_all(line, data)
            if ends:
                line.shutdown(socket.SHUT_WR)
            responses: list[Response] = []
            while len(responses) < answers:
                response, closed = self._read(line, deadline)
                if response is not None:
                    responses.append(response)
                if closed:
                    self.close()
                    break
            if not responses and answers:
                raise NoAnswer("the connection was closed without an answer")
            return responses
        except TimeoutError as error:
            self.close()
            raise NoAnswer(f"no answer in {ANSWER_SECONDS_MAX:.0f} s") from error
        finally:
            if ends:
                self.close()

    def call(self, request: bytes) -> Response:
        """One whole request, one response."""
        return self.send(request, 1)[0]

    def close(self) -> None:
        """Close the connection; the next `send` opens another."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._buffer = None, b""

    @staticmethod
    def _send_all(line: socket.socket, data: bytes) -> None:
        # Refused before it was read: the answer is there to be read all the same.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            line.sendall(data)

    def _more(self, line: socket.socket, deadline: float) -> bool:
        line.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            data = line.recv(READ_BYTES)
        except ConnectionResetError:
            data = b""
        self._buffer += data
        return bool(data)

    def _read(self, line: socket.socket, deadline: float) -> tuple[Response | None, bool]:
        """The next response, and whether the connection is over."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if not self._more(line, deadline):
                return None, True
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): text.strip() for name, _, text in (each.partition(":") for each in lines[1:])}
        status = int(lines[0].split(" ")[1])
        if status == 100:
            self._buffer = self._buffer[end + 4 :]
            return None, False
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < end + 4 + length:
            if not self._more(line, deadline):
                raise NoAnswer("the connection was closed in the middle of an answer")
        content = self._buffer[end + 4 : end + 4 + length]
        self._buffer = self._buffer[end + 4 + length :]
        return _checked(status, headers, content), headers.get("connection", "").lower() == "close"


def _checked(status: int, headers: dict[str, str], content: bytes) -> Response:
    checksum = headers.get("x-amz-crc32")
    if checksum is not None and int(checksum) != zlib.crc32(content):
        raise NoAnswer(f"the checksum {checksum} is not that of the body")
    if headers.get("content-type") != "application/x-amz-json-1.0":
        return Response(status, None, content)
    try:
        body = json.loads(content)
    except ValueError as error:
        raise NoAnswer(f"the body is no JSON: {content[:100]!r}") from error
    if not isinstance(body, dict):
        raise NoAnswer(f"the body is no object: {content[:100]!r}")
    return Response(status, cast(Body, body), content)
