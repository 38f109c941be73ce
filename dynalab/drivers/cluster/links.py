"""TCP between the nodes: one connection for each direction of each pair, so that a one-way cut is a closed connection.

Rules of this room:

1. Sending never waits. What a peer does not take piles up to OUTBOUND_BYTES_MAX, beyond that messages are dropped; so
   are messages to a peer that cannot be reached. The protocols above repeat what matters.
2. A connection begins with a hello: cluster, sender, token. Without a good one not a single message is believed.
3. Messages that became ready in one turn of the loop leave in one write.
4. A link that is cut has no connection, on either side, until it is healed. Faults of the lab (`rules`) act on what is
   sent here, or on what arrives here for a fault of the receiving machine.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias, cast

from dynalab.drivers.cluster.frames import BadFrame, FrameReader, frame
from dynalab.lab.network import LabNetwork
from dynalab_impl import codec
from dynalab_impl.effects import Address, Message

OUTBOUND_BYTES_MAX = 8 * 1024 * 1024
WAITING_BYTES_MAX = 256 * 1024  # kept for a peer while a connection to it is being made
CONNECT_SECONDS_MAX = 2.0
BACK_OFF_SECONDS = 0.05
BACK_OFF_SECONDS_MAX = 1.0
HELLO_SECONDS_MAX = 5.0
HELLO_BYTES_MAX = 4 * 1024  # nobody fills our memory before we know who it is

Deliver: TypeAlias = Callable[[Address, list[Message]], None]
_HERE = (0,)


@dataclass(frozen=True, slots=True)
class Pass:
    """What a connection of this cluster says first."""

    cluster: str
    token: str

    def hello(self, sender: str) -> bytes:
        """The first frame of a connection."""
        return frame(json.dumps({"cluster": self.cluster, "from": sender, "token": self.token}).encode())

    def sender(self, payload: bytes) -> str | None:
        """Who says hello; None if it is nobody of this cluster.

        >>> Pass("c", "secret").sender(Pass("c", "guessed").hello("n1")[9:]) is None
        True
        """
        try:
            said = json.loads(payload)
            good = said["cluster"] == self.cluster and hmac.compare_digest(str(said["token"]), self.token)
            return str(said["from"]) if good else None
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(slots=True)
class Counters:
    """What happened to messages of one direction of a link."""

    messages: int = 0
    dropped: int = 0  # full, or not connected
    cut: int = 0  # dropped because the link was cut
    connections: int = 0
    refused: int = 0  # connections or frames that were not believed


class Outbound(asyncio.Protocol):
    """What this node sends to one peer."""

    __slots__ = (
        "_back_off",
        "_bytes",
        "_closed",
        "_cut",
        "_flushing",
        "_hello",
        "_loop",
        "_opening",
        "_port",
        "_retry",
        "_staged",
        "_transport",
        "counters",
        "host",
    )

    def __init__(self, host: str, port: int, hello: bytes) -> None:
        self.host = host
        self._port = port
        self.counters = Counters()
        self._hello = hello
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._back_off = BACK_OFF_SECONDS
        self._staged: list[bytes] = []
        self._bytes = 0
        self._flushing = False
        self._cut = False
        self._closed = False

    @property
    def connected(self) -> bool:
        return self._transport is not None

    def send(self, message: Message) -> None:
        """Send if there is room; never waits."""
        counters = self.counters
        if self._cut:
            counters.cut += 1
            return
        transport = self._transport
        if transport is None:
            if self._opening is None or self._bytes > WAITING_BYTES_MAX:
                counters.dropped += 1
                return
        elif self._bytes + transport.get_write_buffer_size() > OUTBOUND_BYTES_MAX:
            counters.dropped += 1
            return
        counters.messages += 1
        data = frame(codec.encode(message))
        self._staged.append(data)
        self._bytes += len(data)
        if transport is not None and not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._transport is not None and self._staged:
            self._transport.write(b"".join(self._staged))
            self._staged.clear()
            self._bytes = 0

    # --- the connection -----------------------------------------------------------------------------------------------

    def open(self) -> asyncio.Task[None] | None:
        """Begin to connect, unless there is a connection, one on its way, or a cut."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._transport is None and self._opening is None and not self._cut and not self._closed:
            self._opening = self._loop.create_task(self._open())
        return self._opening

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                await self._loop.create_connection(lambda: self, self.host, self._port)
        except (OSError, TimeoutError):
            self._opening = None
            self._forget_staged()
            self._try_again()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._opening = None
        transport = cast(asyncio.Transport, transport)
        if self._cut or self._closed:
            transport.abort()
            return
        self._transport = transport
        self.counters.connections += 1
        self._back_off = BACK_OFF_SECONDS
        transport.write(self._hello)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        self._transport = None
        self._forget_staged()
        self._try_again()

    def data_received(self, data: bytes) -> None:
        """Nobody answers on this connection."""

    def _try_again(self) -> None:
        if self._cut or self._closed or self._retry is not None:
            return
        # Drawn, so that the nodes do not all come at once to a peer that restarts.
        delay = self._back_off * random.uniform(0.5, 1.0)
        self._back_off = min(2 * self._back_off, BACK_OFF_SECONDS_MAX)
        self._retry = self._loop.call_later(delay, self.open)

    def _forget_staged(self) -> None:
        self.counters.dropped += len(self._staged)
        self._staged.clear()
        self._bytes = 0

    def move(self, port: int) -> None:
        """The peer listens elsewhere now."""
        if port != self._port:
            self._port = port
            self._drop()
            self._try_again()

    def cut(self, is_cut: bool) -> None:
        """Close the connection and keep it closed, or let it come back."""
        if is_cut != self._cut:
            self._cut = is_cut
            if is_cut:
                self._drop()
            else:
                self._back_off = BACK_OFF_SECONDS
                self.open()

    def close(self) -> None:
        """For good."""
        self._flush()
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        if self._opening is not None:
            self._opening.cancel()
        if self._transport is not None:
            self._transport.close()

    def _drop(self) -> None:
        self._forget_staged()
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()


class Inbound(asyncio.Protocol):
    """What one peer sends to this node, from its hello on."""

    __slots__ = ("_hello_by", "_links", "_reader", "_sender", "_transport")

    def __init__(self, links: Links) -> None:
        self._links = links
        self._reader = FrameReader()
        self._sender: Address | None = None
        self._transport: asyncio.Transport | None = None
        self._hello_by: asyncio.TimerHandle | None = None

    @property
    def sender(self) -> Address | None:
        return self._sender

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._links.inbound.add(self)
        loop = asyncio.get_running_loop()
        self._hello_by = loop.call_later(HELLO_SECONDS_MAX, self._expect_hello)

    def connection_lost(self, exc: Exception | None) -> None:
        self._links.inbound.discard(self)
        self._transport = None
        if self._hello_by is not None:
            self._hello_by.cancel()

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        try:
            payloads = self._reader.feed(data)
            if self._sender is None and not payloads and self._reader.waiting_bytes > HELLO_BYTES_MAX:
                raise BadFrame("a hello is short")
            if payloads and self._sender is None:
                self._sender = self._links.admit(payloads.pop(0))
            messages = [cast(Message, codec.decode(payload)) for payload in payloads]
        except (BadFrame, codec.CodecError):
            self._links.received.refused += 1
            self.abort()
            return
        if messages:
            assert self._sender is not None
            self._links.received.messages += len(messages)
            self._links.arrived(self._sender, messages)

    def abort(self) -> None:
        """Give the connection up; nothing of it is believed any more."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def _expect_hello(self) -> None:
        if self._sender is None:
            self._links.received.refused += 1
            self.abort()


class Links:
    """All connections of one node. As the `network` of an embedded cluster of one machine, it takes what goes elsewhere
    and lets the rest pass.
    """

    def __init__(self, me: Address, entry: Pass, peers: dict[Address, tuple[str, int]], deliver: Deliver) -> None:
        self.me = me
        self.sent = LabNetwork()  # rules of the lab for what leaves, and for what arrives
        self.heard = LabNetwork()
        self.received = Counters()
        self.inbound: set[Inbound] = set()
        self.outbound = {a: Outbound(host, port, entry.hello(str(me))) for a, (host, port) in peers.items()}
        self._pass = entry
        self._by_name = {str(address): address for address in peers}
        self._deliver = deliver
        self._deaf_to: set[Address] = set()
        self._loop = asyncio.get_running_loop()

    def connect(self) -> Iterable[asyncio.Task[None]]:
        """Begin to connect to everybody."""
        return [task for out in self.outbound.values() if (task := out.open()) is not None]

    def route(self, source: Address, to: Address, message: Message) -> tuple[int, ...]:
        """Send what is for others; what is for this node stays in the process."""
        if to == self.me:
            return _HERE
        out = self.outbound[to]
        if not self.sent:
            out.send(message)
            return ()
        for delay_ns in self.sent.route(source, to, message):
            if delay_ns <= 0:
                out.send(message)
            else:
                self._loop.call_later(delay_ns / 1e9, out.send, message)
        return ()

    def arrived(self, sender: Address, messages: list[Message]) -> None:
        """Messages came in from a peer that said hello."""
        if not self.heard:
            self._deliver(sender, messages)
            return
        for message in messages:
            for delay_ns in self.heard.route(sender, self.me, message):
                if delay_ns <= 0:
                    self._deliver(sender, [message])
                else:
                    self._loop.call_later(delay_ns / 1e9, self._deliver, sender, [message])

    def admit(self, payload: bytes) -> Address:
        """Who sent this hello. Raises BadFrame if it is a stranger, or one whose link is cut."""
        address = self._by_name.get(self._pass.sender(payload) or "")
        if address is None:
            raise BadFrame("not a node of this cluster")
        if address in self._deaf_to:
            self.received.cut += 1
            raise BadFrame("the link is cut")
        self.received.connections += 1
        self.outbound[address].open()  # it is back: no need to wait until the back-off is over
        return address

    def cut(self, to: set[Address], from_: set[Address]) -> None:
        """From now on exactly these links are cut: to those peers, and from those."""
        for address, out in self.outbound.items():
            out.cut(address in to)
        self._deaf_to = from_
        for connection in list(self.inbound):
            if connection.sender in from_:
                connection.abort()

    def close(self) -> None:
        """Send what is staged, and close everything."""
        for out in self.outbound.values():
            out.close()
        for connection in list(self.inbound):
            connection.abort()
