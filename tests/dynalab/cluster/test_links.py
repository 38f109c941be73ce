"""Links between two nodes over real sockets: order, cuts, strangers, peers that are dead or do not read."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import TypeVar, cast

import pytest

from dynalab.drivers.cluster import links as links_module
from dynalab.drivers.cluster.frames import frame
from dynalab.drivers.cluster.links import Inbound, Links, Pass
from dynalab.drivers.cluster.process import listen
from dynalab.drivers.embedded import EmbeddedCluster
from dynalab.lab import network
from dynalab.lab.network import Hits
from dynalab_impl.codec import encode
from dynalab_impl.effects import Address, Message, layout
from dynalab_impl.messages import Commit

T = TypeVar("T")
FIRST, SECOND, THIRD = layout(nodes_per_zone=1, routers=1).storage
PASS = Pass("cluster", "secret")
# Whose messages a rule looks at: without a table it asks no node.
EVERYWHERE = network.Groups(cast("EmbeddedCluster", None), None)


class End:
    """One node's links, listening, and what arrived."""

    def __init__(self, me: Address, bound: socket.socket, peers: dict[Address, int]) -> None:
        self.heard: list[tuple[Address, int]] = []
        self.links = Links(me, PASS, {a: ("127.0.0.1", port) for a, port in peers.items()}, self._deliver)
        self._bound = bound
        self.server: asyncio.Server | None = None

    def _deliver(self, sender: Address, messages: list[Message]) -> None:
        for message in messages:
            assert isinstance(message, Commit)
            self.heard.append((sender, message.commit_index))

    async def open(self) -> End:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Inbound(self.links), sock=self._bound)
        return self

    def send(self, to: Address, number: int) -> None:
        assert self.links.route(self.links.me, to, Commit("g", (1, "n1"), number)) == ()

    def close(self) -> None:
        if self.server is not None:
            self.server.close()
        self.links.close()


async def two() -> tuple[End, End]:
    one, other = listen(None, exact=False), listen(None, exact=False)
    ports = {FIRST: one.getsockname()[1], SECOND: other.getsockname()[1]}
    ends = await End(FIRST, one, {SECOND: ports[SECOND]}).open(), await End(SECOND, other, {FIRST: ports[FIRST]}).open()
    for end in ends:
        for task in end.links.connect():
            await task
    return ends


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not what():
            await asyncio.sleep(0.001)


def run(work: Coroutine[object, object, T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(10):
            return await work

    return asyncio.run(bounded())


def test_messages_arrive_under_the_name_of_their_sender_in_the_order_of_sending() -> None:
    async def go() -> None:
        a, b = await two()
        for number in range(500):
            a.send(SECOND, number)
        b.send(FIRST, 7)
        await until(lambda: len(b.heard) == 500 and len(a.heard) == 1)
        assert b.heard == [(FIRST, number) for number in range(500)]
        assert a.heard == [(SECOND, 7)]
        a.close()
        b.close()

    run(go())


def test_what_a_node_sends_to_itself_uses_no_link() -> None:
    async def go() -> None:
        a, b = await two()
        assert a.links.route(FIRST, FIRST, Commit("g", (1, "n1"), 1)) == (0,)
        a.close()
        b.close()

    run(go())


@pytest.mark.claim("S89")
def test_a_one_way_cut_stops_one_direction_and_healing_brings_it_back() -> None:
    async def go() -> None:
        a, b = await two()
        a.links.cut({SECOND}, set())
        b.links.cut(set(), {FIRST})
        a.send(SECOND, 1)
        b.send(FIRST, 2)
        await until(lambda: a.heard == [(SECOND, 2)])
        assert not a.links.outbound[SECOND].connected
        assert b.heard == [] and a.links.outbound[SECOND].counters.cut == 1
        a.links.cut(set(), set())
        b.links.cut(set(), set())
        await until(lambda: a.links.outbound[SECOND].connected)
        a.send(SECOND, 3)
        await until(lambda: b.heard == [(FIRST, 3)])
        a.close()
        b.close()

    run(go())


def test_a_cut_holds_although_only_the_receiver_knows_of_it() -> None:
    async def go() -> None:
        a, b = await two()
        b.links.cut(set(), {FIRST})  # as after a restart of the sender, before it has read the cluster file
        await until(lambda: b.links.received.cut > 1)  # it came back, and was turned away
        a.send(SECOND, 1)
        await asyncio.sleep(0.05)
        assert b.heard == []
        a.close()
        b.close()

    run(go())


@pytest.mark.parametrize("entry", [Pass("cluster", "guessed"), Pass("another", "secret")])
def test_a_stranger_is_not_believed(entry: Pass) -> None:
    async def go() -> None:
        a, b = await two()
        assert b.server is not None
        reader, writer = await asyncio.open_connection(*b.server.sockets[0].getsockname())
        writer.write(entry.hello(str(FIRST)) + frame(encode(Commit("g", (9, "n9"), 9))))
        with pytest.raises(ConnectionResetError):
            if await reader.read() == b"":
                raise ConnectionResetError
        assert b.heard == [] and b.links.received.refused == 1
        a.close()
        b.close()

    run(go())


def test_a_name_that_is_no_peer_is_not_believed_even_with_the_token() -> None:
    async def go() -> None:
        a, b = await two()
        assert b.server is not None
        _, writer = await asyncio.open_connection(*b.server.sockets[0].getsockname())
        writer.write(PASS.hello(str(THIRD)) + frame(encode(Commit("g", (9, "n9"), 9))))
        await until(lambda: b.links.received.refused == 1)
        assert b.heard == []
        a.close()
        b.close()

    run(go())


def test_a_stranger_cannot_fill_the_memory_before_it_has_said_who_it_is() -> None:
    async def go() -> None:
        a, b = await two()
        assert b.server is not None
        _, writer = await asyncio.open_connection(*b.server.sockets[0].getsockname())
        began = asyncio.get_running_loop().time()
        writer.write(frame(b"x" * 1_000_000)[:100_000])
        await until(lambda: b.links.received.refused == 1)
        assert asyncio.get_running_loop().time() - began < links_module.HELLO_SECONDS_MAX / 2, "at once, not in the end"
        a.close()
        b.close()

    run(go())


def test_a_damaged_frame_ends_the_connection_and_the_sender_comes_back() -> None:
    async def go() -> None:
        a, b = await two()
        out = a.links.outbound[SECOND]
        assert out._transport is not None
        out._transport.write(b"\x05\0\0\0\x01garbage that is no checksum")
        await until(lambda: b.links.received.refused == 1 and out.counters.connections == 2)
        a.send(SECOND, 4)
        await until(lambda: b.heard == [(FIRST, 4)])
        a.close()
        b.close()

    run(go())


def test_messages_to_a_dead_peer_are_dropped_and_not_kept_for_its_return() -> None:
    async def go() -> None:
        a, b = await two()
        port = listen_port(b)
        b.close()
        out = a.links.outbound[SECOND]
        await until(lambda: not out.connected and out._opening is None)
        for number in range(10):
            a.send(SECOND, number)
        assert out.counters.dropped >= 10
        again = await End(SECOND, listen(port, exact=True), {FIRST: listen_port(a)}).open()
        await until(lambda: out.connected)
        a.send(SECOND, 99)
        await until(lambda: (FIRST, 99) in again.heard)
        assert again.heard == [(FIRST, 99)]
        a.close()
        again.close()

    run(go())


def listen_port(end: End) -> int:
    assert end.server is not None
    return int(end.server.sockets[0].getsockname()[1])


def test_a_peer_that_does_not_read_costs_bounded_memory_and_no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links_module, "OUTBOUND_BYTES_MAX", 256 * 1024)

    async def go() -> None:
        deaf = listen(None, exact=False)  # the kernel takes the connection, nobody ever reads: a paused process
        end = await End(FIRST, listen(None, exact=False), {SECOND: deaf.getsockname()[1]}).open()
        for task in end.links.connect():
            await task
        out = end.links.outbound[SECOND]
        padded = Commit("g" * 10_000, (1, "n1"), 1)
        for _ in range(100):
            for _ in range(20):
                end.links.route(FIRST, SECOND, padded)
            await asyncio.sleep(0)
            assert out._transport is not None
            assert out._bytes + out._transport.get_write_buffer_size() <= 256 * 1024 + 20_000
        assert out.counters.dropped > 100
        end.close()
        deaf.close()

    run(go())


def test_rules_of_the_lab_act_on_what_leaves_and_on_what_arrives() -> None:
    async def go() -> None:
        a, b = await two()
        hits = Hits()
        rule = network.hold_back(("Commit",), None, hits, EVERYWHERE)
        a.links.sent.add(rule)
        a.send(SECOND, 1)
        a.links.sent.remove(rule)
        slow = network.slow_node(SECOND, 20_000_000, hits)
        b.links.heard.add(slow)
        began = asyncio.get_running_loop().time()
        a.send(SECOND, 2)
        a.send(SECOND, 3)
        await until(lambda: len(b.heard) == 2)
        assert asyncio.get_running_loop().time() - began >= 0.04
        assert b.heard == [(FIRST, 2), (FIRST, 3)] and hits.count == 3
        a.close()
        b.close()

    run(go())
