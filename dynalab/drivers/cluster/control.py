"""The control connection of a node: one line of JSON asks, one line answers, on loopback, with the cluster's token.

A request names a command of a table and nothing else: neither a path nor code, nor anything that is stored. What is to
be changed stands in the cluster file already; `reload` only says that it is time to look. So a node that was paused and
one that restarted come to the same state as all others.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import socket
from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

from dynalab.drivers.cluster.process import LOOPBACK
from dynalab.drivers.cluster.state import Body, as_body

REQUEST_BYTES_MAX = 4 * 1024
ANSWER_BYTES_MAX = 64 * 1024 * 1024
ASK_SECONDS_MAX = 1.5

Command: TypeAlias = Callable[[Body], Body]


class Silent(Exception):
    """The node did not answer: it is down, paused, or busy beyond measure."""


class Control(asyncio.Protocol):
    """One control connection."""

    __slots__ = ("_buffer", "_commands", "_token", "_transport")

    def __init__(self, token: str, commands: Mapping[str, Command]) -> None:
        self._token = token
        self._commands = commands
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\n")
        if end < 0 and len(self._buffer) <= REQUEST_BYTES_MAX:
            return
        assert self._transport is not None
        if 0 <= end <= REQUEST_BYTES_MAX:
            self._transport.write(json.dumps(self._answer(bytes(self._buffer[:end]))).encode() + b"\n")
        self._transport.close()

    def _answer(self, line: bytes) -> Body:
        try:
            request = json.loads(line)
            known = hmac.compare_digest(str(request["token"]).encode(), self._token.encode())
            command = self._commands.get(str(request["command"]))
        except (ValueError, KeyError, TypeError):
            return {"error": "malformed request"}
        if not known:
            return {"error": "wrong token"}
        if command is None:
            return {"error": f"there is no such command; there are {', '.join(self._commands)}"}
        return command(as_body(request))


def ask(port: int, token: str, command: str, *, seconds_max: float = ASK_SECONDS_MAX, **parameters: str | int) -> Body:
    """Ask a node and wait for its answer. Raises Silent."""
    request = {"token": token, "command": command, **parameters}
    try:
        with socket.create_connection((LOOPBACK, port), timeout=seconds_max) as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = bytearray()
            while part := connection.recv(1 << 16):
                answer += part
                if len(answer) > ANSWER_BYTES_MAX:
                    raise Silent("its answer has no end")
        content = as_body(json.loads(answer))
    except (OSError, ValueError) as error:
        raise Silent(str(error)) from error
    if "error" in content:
        raise Silent(str(content["error"]))
    return content


def poke(port: int, token: str, command: str) -> bool:
    """Say something and do not wait for the answer: a paused node does it once it runs again. False if nobody
    listens.
    """
    try:
        with socket.create_connection((LOOPBACK, port), timeout=ASK_SECONDS_MAX) as connection:
            connection.sendall(json.dumps({"token": token, "command": command}).encode() + b"\n")
        return True
    except OSError:
        return False
