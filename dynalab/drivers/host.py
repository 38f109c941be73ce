"""One machine of an embedded cluster: the node that runs on it, its disk, its timers and its clocks.

A host is the `Effects` that its node's handlers get. It holds back what waits for the disk, and nothing else: queue,
loop and routing belong to `embedded`.
"""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

from dynalab.drivers.objects import Objects
from dynalab.drivers.store import NodeDisk
from dynalab_impl.effects import Address, Message, Node, ObjectDone, Position, Record, RequestToken, Response, TimerName
from dynalab_model.events import Event
from dynalab_model.operations import Operation

_MILLION = 1_000_000


QUEUE_MAX = 200_000  # messages beyond this are dropped, as a full network queue would
# What waits to be handled: (host, sender, message) for a message, (host, token, operation) for a request.
Queue: TypeAlias = "deque[tuple[Host, Address | RequestToken, Message | Operation]]"


class Switch(Protocol):
    """What connects a host with the others and with its clients."""

    told: Counter[str]
    hosts: dict[Address, Host]
    network: Network | None
    queue: Queue
    dirty: list[Host]  # hosts whose appends want a sync

    def post(self, source: Address, to: Address, message: Message) -> None: ...

    def answer(self, token: RequestToken, response: Response) -> None: ...

    def ask_objects(self, host: Host, request: Callable[[Objects], ObjectDone]) -> None: ...

    def arm(self, host: Host, name: TimerName, delay_ns: int) -> int: ...


class Network(Protocol):
    """What may happen to a message on its way; None in the driver means that nothing does."""

    def route(self, source: Address, to: Address, message: Message) -> tuple[int, ...]:
        """The delays in nanoseconds after which copies arrive: (0,) is a healthy network, () is loss."""


class Host:
    """One machine: the node that runs on it, its disk, its timers, its clocks. This is the `Effects` that its handlers
    get.
    """

    __slots__ = (
        "_base_ns",
        "_cluster",
        "_drift_ppm",
        "_random",
        "_real_ns",
        "_records",
        "_waiting",
        "_wall_offset_ns",
        "address",
        "appended",
        "dirty",
        "disk",
        "durable",
        "epoch",
        "incarnation",
        "node",
        "now_ns",
        "skewed",
        "syncing",
        "timers",
        "wall_ns",
    )

    def __init__(self, cluster: Switch, address: Address, seed: int) -> None:
        self._cluster = cluster
        self.address = address
        self.node: Node | None = None
        self.disk: NodeDisk | None = None
        self.incarnation = 0
        self.epoch = 0  # counts lives: what belongs to an earlier one is dropped
        self.appended: Position = 0
        self.durable: Position = 0
        self.dirty = False
        self.syncing = False  # a sync runs, perhaps that of an earlier life
        self.timers: dict[TimerName, int] = {}
        self.now_ns = 0
        self.wall_ns = 0
        self._waiting: list[tuple[Position, Address | RequestToken, Message | Response]] = []
        self._records: list[Record] | None = None
        self._random = random.Random(seed)
        self.skewed = False
        self._drift_ppm = 0
        self._wall_offset_ns = 0
        self._base_ns = self._real_ns = 0

    # --- clocks -------------------------------------------------------------------------------------------------------

    def sample(self) -> None:
        """Read both clocks; called once an event is in hand."""
        self.now_ns = time.monotonic_ns()
        self.wall_ns = time.time_ns()
        if self.skewed:
            self.now_ns = self._base_ns + (self.now_ns - self._real_ns) * (_MILLION + self._drift_ppm) // _MILLION
            self.wall_ns += self._wall_offset_ns

    def shift_wall(self, by_ns: int) -> None:
        """Move the wall clock, forward or (negative) back."""
        self._wall_offset_ns += by_ns
        if not self.skewed:
            self.set_drift(0)

    def set_drift(self, ppm: int) -> None:
        """Let the monotonic clock run fast or slow from now on. It never jumps."""
        self.sample()
        self._base_ns, self._real_ns, self._drift_ppm = self.now_ns, time.monotonic_ns(), ppm
        self.skewed = True

    # --- Effects ------------------------------------------------------------------------------------------------------

    def send(self, to: Address, message: Message, after: Position = -1) -> None:
        if (after if after >= 0 else self.appended) <= self.durable:
            cluster = self._cluster
            if cluster.network is None and len(cluster.queue) < QUEUE_MAX:
                cluster.queue.append((cluster.hosts[to], self.address, message))  # what `post` does, written out
            else:
                cluster.post(self.address, to, message)
        else:
            self._waiting.append((after if after >= 0 else self.appended, to, message))

    def reply(self, token: RequestToken, response: Response, after: Position = -1) -> None:
        if after < 0:
            after = self.appended
        if after <= self.durable:
            self._cluster.answer(token, response)
        else:
            self._waiting.append((after, token, response))

    def set_timer(self, name: TimerName, delay_ns: int) -> None:
        if self._drift_ppm:
            delay_ns = delay_ns * _MILLION // (_MILLION + self._drift_ppm)
        self.timers[name] = self._cluster.arm(self, name, delay_ns)

    def cancel_timer(self, name: TimerName) -> None:
        self.timers.pop(name, None)

    def append(self, record: Record) -> Position:
        assert self.disk is not None
        self.disk.append(record)
        self.appended += 1
        if not self.dirty:
            self.dirty = True
            self._cluster.dirty.append(self)
        return self.appended

    def truncate(self, before: Position) -> None:
        assert before <= self.durable + 1, "a node asks to drop what is not on disk yet"
        assert self.disk is not None
        self.disk.truncate(before)

    def read_log(self) -> Iterator[Record]:
        assert self._records is not None, "read_log is for on_start alone"
        return iter(self._records)

    def put_object(self, name: str, data: bytes, expected: str | None = None) -> None:
        self._cluster.ask_objects(self, lambda objects: objects.put(name, data, expected))

    def get_object(self, name: str) -> None:
        self._cluster.ask_objects(self, lambda objects: objects.get(name))

    def random_bits(self, count: int) -> int:
        return self._random.getrandbits(count)

    def reseed(self, seed: int) -> None:
        """Begin this machine's random stream anew."""
        self._random.seed(seed)

    def tell(self, event: Event) -> None:
        self._cluster.told[event.kind] += 1

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self, node: Node, disk: NodeDisk, records: list[Record], incarnation: int) -> None:
        """A process begins: `on_start` is its first call."""
        assert self.node is None and not self.syncing
        self.disk, self.incarnation, self.node = disk, incarnation, node
        self.appended = self.durable = len(records)
        self._records = records
        self.sample()
        node.on_start(self)
        self._records = None

    def crash(self) -> None:
        """The process is gone, with everything that was not on disk."""
        self.node = None
        self.epoch += 1
        self.timers.clear()
        self._waiting.clear()
        if self.disk is not None and not self.syncing:
            self.disk.close()
            self.disk = None

    def reached_disk(self, position: Position) -> None:
        """Everything up to `position` is safe: let go what waited for it, in the order in which it was sent."""
        assert position >= self.durable
        self.durable = position
        waiting, self._waiting = self._waiting, []
        cluster = self._cluster
        for entry in waiting:
            after, to, payload = entry
            if after > position:
                self._waiting.append(entry)
            elif isinstance(payload, Response):
                assert isinstance(to, int)
                cluster.answer(to, payload)
            else:
                assert isinstance(to, Address)
                cluster.post(self.address, to, payload)
