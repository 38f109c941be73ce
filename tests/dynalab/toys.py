"""Small nodes for tests of the driver: what they do is in their names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TypeVar

from dynalab.drivers.embedded import EmbeddedCluster
from dynalab.drivers.store import NodeDisk, Store
from dynalab_impl.effects import (
    NOTHING,
    Address,
    Effects,
    Message,
    Node,
    Position,
    Record,
    RequestToken,
    Response,
    TimerName,
    Topology,
    layout,
)
from dynalab_impl.records import Promised
from dynalab_model.operations import ListTables, Operation

T = TypeVar("T")
TOPOLOGY = layout(nodes_per_zone=1, routers=1)
FIRST, SECOND, THIRD = TOPOLOGY.storage
(ROUTER,) = TOPOLOGY.routers
REQUEST = ListTables()


@dataclass(slots=True)
class Add(Message):
    """Append a record, and answer the token once it is durable."""

    token: int


@dataclass(slots=True)
class Added(Message):
    token: int
    total: int


class Counter:
    """A storage node that counts its records; a router sends every request to the first one."""

    def __init__(self, address: Address, topology: Topology, incarnation: int) -> None:
        self.address = address
        self.incarnation = incarnation
        self.total = 0
        self.synced: list[Position] = []
        self.depth = 0

    def on_start(self, effects: Effects) -> None:
        self.total = sum(1 for _ in effects.read_log())

    def on_message(self, sender: Address, message: Message, effects: Effects) -> None:
        assert self.depth == 0, "delivered re-entrantly"
        self.depth += 1
        if isinstance(message, Add):
            self.total += 1
            effects.append(Promised("g", (self.total, self.address.node)))
            effects.send(sender, Added(message.token, self.total))
        elif isinstance(message, Added):
            effects.reply(message.token, Response(200, {"total": message.total}), NOTHING)
        self.depth -= 1

    def on_timer(self, name: TimerName, effects: Effects) -> None:
        """None is ever set."""

    def on_stop(self, effects: Effects) -> None:
        """It leads nothing."""

    def may_stop(self) -> bool:
        return True

    def on_durable(self, position: Position, effects: Effects) -> None:
        self.synced.append(position)

    def on_request(self, token: RequestToken, operation: Operation, effects: Effects) -> None:
        effects.send(FIRST, Add(token))


class Lasting:
    """A store over another whose syncs wait until the test lets them go, or fail."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.topology = store.topology
        self.gate = asyncio.Event()
        self.syncs = 0
        self.broken = False

    def open(self, address: Address) -> tuple[NodeDisk, list[Record], int]:
        disk, records, incarnation = self._store.open(address)
        return _LastingDisk(self, disk), records, incarnation

    def wipe(self, address: Address) -> None:
        self._store.wipe(address)


class _LastingDisk:
    waits = True

    def __init__(self, store: Lasting, disk: NodeDisk) -> None:
        self._store = store
        self._disk = disk
        self._loop = asyncio.get_running_loop()

    def append(self, record: Record) -> None:
        self._disk.append(record)

    def take(self) -> Callable[[], None]:
        self._disk.take()
        self._store.syncs += 1

        def sync() -> None:  # runs in a worker thread
            asyncio.run_coroutine_threadsafe(self._store.gate.wait(), self._loop).result(timeout=10)
            if self._store.broken:
                raise OSError(5, "the disk is broken")

        return sync

    def close(self) -> None:
        self._disk.close()


def run(work: Callable[[], Coroutine[object, object, T]]) -> T:
    """Run a coroutine to its end, at most ten seconds."""

    async def bounded() -> T:
        return await asyncio.wait_for(work(), timeout=10)

    return asyncio.run(bounded())


async def settle(cluster: EmbeddedCluster) -> None:
    """Let everything that is ready happen."""
    for _ in range(20):
        await asyncio.sleep(0)


def counter(cluster: EmbeddedCluster, address: Address) -> Counter:
    node: Node | None = cluster.hosts[address].node
    assert isinstance(node, Counter)
    return node
