"""The control connection: the token opens it, the table of commands bounds it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from dynalab.drivers.cluster.control import REQUEST_BYTES_MAX, Control, Silent, ask, poke
from dynalab.drivers.cluster.process import LOOPBACK, listen
from dynalab.drivers.cluster.state import Body

TOKEN = "a" * 64


@pytest.fixture
def port() -> Iterator[int]:
    """A control port with one command; runs on a loop of its own, since `ask` blocks."""
    loop = asyncio.new_event_loop()
    bound = listen(None, exact=False)

    def echo(request: Body) -> Body:
        return {"table": request.get("table")}

    server = loop.run_until_complete(loop.create_server(lambda: Control(TOKEN, {"digest": echo}), sock=bound))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield int(bound.getsockname()[1])
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_command_is_answered(port: int) -> None:
    assert ask(port, TOKEN, "digest", table="orders") == {"table": "orders"}


def test_without_the_token_nothing_is_done(port: int) -> None:
    with pytest.raises(Silent, match="wrong token"):
        ask(port, "b" * 64, "digest", table="orders")
    with pytest.raises(Silent, match="wrong token"):
        ask(port, "ü", "digest")


def test_only_commands_of_the_table_are_known(port: int) -> None:
    with pytest.raises(Silent, match="there is no such command; there are digest"):
        ask(port, TOKEN, "__import__('os').system")


@pytest.mark.parametrize("line", [b"{}\n", b"not json\n", b"[1]\n", b'{"token": 1, "command": {}}\n', b"\xff\n"])
def test_malformed_requests_are_answered_and_closed(port: int, line: bytes) -> None:
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        connection.sendall(line)
        answer = b""
        while part := connection.recv(4096):
            answer += part
    assert answer.startswith(b'{"error": ')


def test_a_request_without_end_is_cut_off(port: int) -> None:
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        connection.sendall(b"x" * (REQUEST_BYTES_MAX + 1))
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def test_nobody_there_is_silent() -> None:
    with listen(None, exact=False) as bound:
        port = bound.getsockname()[1]
    with pytest.raises(Silent):
        ask(port, TOKEN, "digest")
    assert not poke(port, TOKEN, "reload")
