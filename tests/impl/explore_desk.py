"""One machine under `explore_group`: the implementation's own `StorageNode`, a disk, clocks, and the `Effects` that it
is handed. Nothing happens here by itself: the world says when a sync ends, a record is dropped, the power goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from dynalab_impl import messages as m
from dynalab_impl.effects import LAST, Address, Message, Nanoseconds, Position, Record, Response, TimerName, Topology
from dynalab_impl.records import Formatted, HostedGroup
from dynalab_impl.replication.replica import Replica
from dynalab_impl.storage_node import TICK, StorageNode
from dynalab_model.events import Event
from dynalab_model.keys import item_key
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND
SCHEMA = TableSchema("t", KeySchema(KeyAttribute("pk", "S")))
KEY = item_key(SCHEMA.key, {"pk": {"S": "k"}})
GROUP = "t/1.0"
ROUTER = Address("r1", "z1", "router1")
# The first three addresses hold a catalog that nobody runs here; the group lives on the other three.
STORAGE = tuple(Address("r1", f"z{i % 3 + 1}", f"n{i + 1}") for i in range(6))
TOPOLOGY = Topology(STORAGE, (ROUTER,))
HOSTS = STORAGE[3:]
# Nodes that hold nothing at first, for worlds with `spares`: log replicas go there.
SPARES = (Address("r1", "z1", "n7"), Address("r1", "z3", "n8"))
PLACES = HOSTS + SPARES
TO_THE_CATALOG = frozenset({m.Register, m.Membership})
SPEC = m.GroupSpec(GROUP, "t", "", b"", b"", tuple(m.Member(a, 1) for a in HOSTS), SCHEMA)
WALL_NS = 1_700_000_000_000_000_000
Packet: TypeAlias = "tuple[int, Address, Message]"  # (target, sender, message); target -1 is the router


class Desk:
    """One machine: the node, its disk, its clocks, and the `Effects` that the node is handed."""

    __slots__ = (
        "allowed",
        "appended",
        "disk",
        "dropped",
        "durable",
        "incarnation",
        "index",
        "node",
        "now_ns",
        "sent",
        "tick_ns",
        "topology",
        "waiting",
        "wall_ns",
        "wall_ns_off",
    )

    def __init__(self, index: int, wall_ns_off: Nanoseconds, topology: Topology) -> None:
        self.index = index
        self.topology = topology
        self.incarnation = 1
        self.wall_ns_off = wall_ns_off
        self.now_ns: Nanoseconds = 0
        self.wall_ns: Nanoseconds = 0
        self.disk: list[Record] = []
        self.dropped: Position = 0  # so many records before these were truncated
        self.allowed: Position = 0  # so many may be
        self.appended: Position = 0
        self.durable: Position = 0
        self.waiting: list[tuple[Position, Packet]] = []
        self.sent: list[Packet] = []
        self.tick_ns: Nanoseconds = 0
        self.node: StorageNode | None = None

    # --- Effects -----------------------------------------------------------------------------------------------------

    def send(self, to: Address, message: Message, after: Position = LAST) -> None:
        if (to != ROUTER and to not in PLACES) or type(message) in TO_THE_CATALOG:
            return
        packet = (-1 if to == ROUTER else PLACES.index(to), PLACES[self.index], message)
        position = self.appended if after == LAST else after
        if position <= self.durable:
            self.sent.append(packet)
        else:
            self.waiting.append((position, packet))

    def append(self, record: Record) -> Position:
        self.disk.append(record)
        self.appended += 1
        return self.appended

    def truncate(self, before: Position) -> None:
        assert before - 1 <= self.durable, "a node asks to drop what is not on disk yet"
        self.allowed = max(self.allowed, before - 1)

    def set_timer(self, name: TimerName, delay_ns: Nanoseconds) -> None:
        assert name == TICK
        self.tick_ns = self.now_ns + delay_ns

    def cancel_timer(self, name: TimerName) -> None:
        raise AssertionError("nobody cancels the tick")

    def read_log(self) -> Iterator[Record]:
        return iter(list(self.disk))

    def random_bits(self, count: int) -> int:
        # A function of machine and time: while the world wanders the scheduler says who stands when, and `heal` needs
        # candidates that do not meet in every election.
        return (self.now_ns // MILLISECOND * 2_654_435_761 + self.index * 40_503_123_457) % (1 << count)

    def tell(self, event: Event) -> None:
        """Events are not looked at here."""

    def reply(self, token: int, response: Response, after: Position = LAST) -> None:
        raise AssertionError("storage nodes answer routers")

    # --- what the world does with it ----------------------------------------------------------------------------------

    @property
    def replica(self) -> Replica | None:
        return None if self.node is None else self.node.replicas.get(GROUP)

    def set_clock(self, now_ns: Nanoseconds) -> None:
        self.now_ns, self.wall_ns = now_ns, WALL_NS + now_ns + self.wall_ns_off

    def host(self) -> None:
        """A disk on which the group is hosted already: with a Host message the first member would stand at once."""
        self.disk = [Formatted(self.incarnation)]
        if self.index < len(HOSTS):
            self.disk.append(HostedGroup(SPEC, False))
        self.appended = self.durable = len(self.disk)

    def boot(self) -> None:
        self.node = StorageNode(PLACES[self.index], self.topology, self.incarnation)
        self.node.on_start(self)

    def sync(self) -> None:
        self.durable = self.appended
        self.sent += [packet for _, packet in self.waiting]
        self.waiting = []
        if self.node is not None:
            self.node.on_durable(self.durable, self)

    def crash(self, keep_unsynced: bool) -> None:
        self.node = None
        self.waiting = []
        if not keep_unsynced:
            del self.disk[self.durable - self.dropped :]
        self.dropped = self.allowed = 0  # positions are of one life
        self.appended = self.durable = len(self.disk)

    def drop(self, everything: bool) -> None:
        """The driver truncates, as far as it may or half of that."""
        count = self.allowed - self.dropped
        count = count if everything else count // 2
        del self.disk[:count]
        self.dropped += count

    def wipe(self) -> None:
        self.disk = []
        self.appended = self.durable = 0
        self.incarnation += 1
