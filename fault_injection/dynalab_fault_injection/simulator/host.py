"""One simulated machine: a node's process, its clocks, its disk and its queue. It is the `Effects` that the node is
handed.

The rule that matters most lives here: a send or reply leaves once the log position that it names is on disk,
whichever call appended it, and never if the machine loses power first. What a handler asks for leaves at the end of
its service time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappush
from random import Random
from typing import Any

from dynalab_fault_injection.simulator.disk import Disk
from dynalab_fault_injection.simulator.network import DELIVER, HeapEntry, Network
from dynalab_fault_injection.simulator.objects import ObjectStore
from dynalab_impl.effects import (
    LAST,
    Address,
    Message,
    Nanoseconds,
    Node,
    ObjectDone,
    Position,
    Record,
    RequestToken,
    Response,
    TimerName,
)
from dynalab_model.events import Event

TIMER = 1
SYNCED = 2
MILLION = 1_000_000


class Host:
    """A machine of the simulation. Everything the event loop touches is a plain attribute: this is the hot path."""

    __slots__ = (
        "_base_ns",
        "_clock_anchor_local_ns",
        "_clock_anchor_ns",
        "_heap",
        "_network",
        "_next",
        "_objects",
        "_reading",
        "_reply",
        "_store",
        "_tell",
        "address",
        "ahead_ns",
        "appended",
        "busy_until_ns",
        "depart_ns",
        "disk",
        "disk_random",
        "dropped",
        "durable",
        "epoch",
        "failed_epoch",
        "failed_syncs",
        "handled",
        "inbox",
        "incarnation",
        "index",
        "node",
        "now_ns",
        "ppm",
        "queued",
        "random_bits",
        "slow_syncs",
        "slowness",
        "sync_covers",
        "sync_fails",
        "sync_ns",
        "sync_slowness",
        "sync_spread_bits",
        "syncing",
        "time_ns",
        "timers",
        "trap",
        "waiting",
        "wall_ns",
        "wall_shift_ns",
    )

    def __init__(
        self,
        index: int,
        address: Address,
        disk: Disk,
        network: Network,
        heap: list[HeapEntry],
        next_number: Callable[[], int],
        reply: Callable[[RequestToken, Response, int, int], None],
        tell: Callable[[int, Event], None],
        node_random: Random,
        disk_random: Random,
        store: ObjectStore,
        objects: Callable[[int, Callable[[], ObjectDone]], None],
    ) -> None:
        self.index = index
        self.address = address
        self.disk = disk
        self.disk_random = disk_random
        self.random_bits = node_random.getrandbits
        self._network = network
        self._base_ns = network.base_ns[index * network.nodes : (index + 1) * network.nodes]
        self._heap = heap
        self._next = next_number
        self._reply = reply
        self._tell = tell
        self._store = store
        self._objects = objects
        self.node: Node | None = None
        self.incarnation = 1
        self.epoch = 0  # counts crashes: what was scheduled before one means nothing after it
        # Clocks: local = anchor + elapsed * (1 + ppm / 10⁶); a step of the wall clock never touches the monotonic one.
        self.ppm = 0
        self.ahead_ns = 0  # local less virtual time, while the rate is right
        self._clock_anchor_ns = 0
        self._clock_anchor_local_ns = 0
        self.wall_shift_ns = 0
        self.now_ns: Nanoseconds = 0
        self.wall_ns: Nanoseconds = 0
        # The processor: one step at a time, the rest waits in `inbox`.
        self.slowness = 1
        self.busy_until_ns = 0
        self.depart_ns = 0
        self.time_ns = 0  # virtual time at which the running step began
        self.inbox: deque[tuple[int, Any, Any]] = deque()
        self.handled = 0
        self.dropped = 0  # log records that were truncated
        self.queued = 0
        # The log: positions up to `durable` are on disk, up to `appended` written, up to `sync_covers` under the
        # running sync.
        self.appended: Position = 0
        self.durable: Position = 0
        self.sync_covers: Position = 0
        self.syncing = False
        self.sync_ns = 0
        self.sync_spread_bits = 0
        self.sync_fails = False  # every sync that ends now ends with an error
        self.failed_syncs = 0
        self.failed_epoch = -1  # the epoch that the last of them began
        self.sync_slowness = 1
        self.slow_syncs = 0
        self.waiting: list[tuple[Position, int, Any]] = []  # (position, target or -1, message or (token, response))
        self.timers: dict[TimerName, tuple[int, int]] = {}  # name: (number of its event, local deadline)
        self.trap: Callable[[int], None] | None = None  # called with the length of the next sync when that begins
        self._reading: list[Record] | None = None

    # --- clocks ---------------------------------------------------------------------------------------------

    def local_ns(self, time_ns: int) -> Nanoseconds:
        """This machine's monotonic clock at a virtual time."""
        elapsed = time_ns - self._clock_anchor_ns
        if self.ppm:
            elapsed += elapsed * self.ppm // MILLION
        return self._clock_anchor_local_ns + elapsed

    def set_clock(self, time_ns: int, *, local_ns: int | None = None, ppm: int | None = None) -> None:
        """Change the rate from now on (the reading stays continuous), or the reading itself before the machine has
        started.
        """
        reading = self.local_ns(time_ns) if local_ns is None else local_ns
        self._clock_anchor_local_ns = reading
        self._clock_anchor_ns = time_ns
        self.ahead_ns = reading - time_ns
        if ppm is not None:
            self.ppm = ppm

    # --- Effects --------------------------------------------------------------------------------------------

    def send(self, to: Address, message: Message, after: Position = LAST) -> None:
        if after == LAST:
            after = self.appended
        target = self._network.index_of[to]
        if after <= self.durable:
            network = self._network
            if network.healthy:  # `Network.transmit`, written out: nearly every message goes this way
                arrival_ns = self.depart_ns + self._base_ns[target] + network.draw(network.spread_bits)
                heappush(self._heap, (arrival_ns, self._next(), DELIVER, target, self.index, message))
            else:
                network.transmit(self.index, target, message, self.depart_ns)
        else:
            assert after <= self.appended, "a send names a position that was never appended"
            self.waiting.append((after, target, message))

    def reply(self, token: RequestToken, response: Response, after: Position = LAST) -> None:
        if after == LAST:
            after = self.appended
        if after <= self.durable:
            self._reply(token, response, self.index, self.depart_ns)
        else:
            assert after <= self.appended, "a reply names a position that was never appended"
            self.waiting.append((after, -1, (token, response)))

    def set_timer(self, name: TimerName, delay_ns: Nanoseconds) -> None:
        assert delay_ns >= 0, "a timer in the past"
        number = self._next()
        self.timers[name] = (number, self.now_ns + delay_ns)
        self.push_timer(name, number, delay_ns, self.time_ns)

    def cancel_timer(self, name: TimerName) -> None:
        self.timers.pop(name, None)

    def append(self, record: Record) -> Position:
        self.appended = self.disk.append(record)
        return self.appended

    def truncate(self, before: Position) -> None:
        self.dropped += self.disk.truncate(before, self.disk_random)

    def read_log(self) -> Iterator[Record]:
        assert self._reading is not None, "the log is read in on_start, once"
        records, self._reading = self._reading, None
        return iter(records)

    def put_object(self, name: str, data: bytes, expected: str | None = None) -> None:
        self._objects(self.index, lambda: self._store.put(name, data, expected))

    def get_object(self, name: str) -> None:
        self._objects(self.index, lambda: self._store.get(name))

    def tell(self, event: Event) -> None:
        self._tell(self.index, event)

    # --- what the event loop does with a machine ------------------------------------------------------------

    def push_timer(self, name: TimerName, number: int, delay_ns: int, time_ns: int) -> None:
        """Put the timer's event on the heap: `delay_ns` of this machine's clock after virtual time `time_ns`."""
        if self.ppm:
            # Rounded up: never early by the machine's own clock.
            delay_ns = -(-delay_ns * MILLION // (MILLION + self.ppm))
        heappush(self._heap, (time_ns + delay_ns, number, TIMER, self.index, name, number))

    def start_sync(self) -> None:
        """Sync everything appended so far. One sync runs at a time, so appends meanwhile share the next one (group
        commit).
        """
        self.syncing = True
        self.sync_covers = self.appended
        length_ns = self.sync_ns + self.disk_random.getrandbits(self.sync_spread_bits)
        if self.sync_slowness > 1:
            length_ns *= self.sync_slowness
            self.slow_syncs += 1
        done_ns = self.depart_ns + length_ns
        if self.trap is not None:
            trap, self.trap = self.trap, None
            trap(done_ns - self.time_ns)
        heappush(self._heap, (done_ns, self._next(), SYNCED, self.index, self.epoch, self.sync_covers))

    def synced(self, position: Position, time_ns: int) -> None:
        """The sync is done: what waited for it leaves, in the order in which it was asked for."""
        self.disk.sync(position)
        self.durable = position
        self.syncing = False
        if self.waiting:
            # Nothing leaves before the step that asked for it has ended, also if the sync was quicker.
            depart_ns = max(time_ns, self.depart_ns)
            still: list[tuple[Position, int, Any]] = []
            for entry in self.waiting:
                after, target, what = entry
                if after > position:
                    still.append(entry)
                elif target >= 0:
                    self._network.transmit(self.index, target, what, depart_ns)
                else:
                    self._reply(what[0], what[1], self.index, depart_ns)
            self.waiting = still

    def stop(self) -> None:
        """The process is gone, with everything that was only in memory: its queue, its timers, what waited for the
        disk.
        """
        self.node = None
        self.epoch += 1
        self.inbox.clear()
        self.timers.clear()
        self.waiting.clear()
        self.trap = None
        self.syncing = False
        self.busy_until_ns = 0

    def boot(self, node: Node, records: list[Record]) -> None:
        """A fresh process with the records that survived."""
        self.node = node
        self._reading = records
        self.appended = self.durable = self.sync_covers = self.disk.last_position
