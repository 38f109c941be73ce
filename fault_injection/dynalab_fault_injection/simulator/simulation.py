"""The event loop: virtual time, one heap, one step at a time.

A run is a function of (seed, topology, parameters, what the caller asks for and when). All that happens is an entry
of the heap, ordered by integer nanoseconds and then by a running number. The loop is one flat function on purpose: a
run takes some hundred thousand steps, and a function call more a step is a tenth of a second more a run.

Clients live outside the cluster: their requests travel to a router over the network, and are lost if the router is
down. Nothing tells them; they must give up by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Protocol, TypeAlias

from dynalab_fault_injection.simulator.disk import DamagedDisk, Disk, Format
from dynalab_fault_injection.simulator.host import Host
from dynalab_fault_injection.simulator.network import Delays, HeapEntry, Network
from dynalab_fault_injection.simulator.objects import ObjectStore
from dynalab_fault_injection.simulator.randomness import below, stream
from dynalab_fault_injection.simulator.trace import BATCH, Trace, line
from dynalab_impl.effects import Address, Message, Node, ObjectDone, Record, RequestToken, Response, Topology
from dynalab_model.events import Event
from dynalab_model.operations import Operation

# Kinds of heap entries. Up to REQUEST they are work for a node and can be queued.
DELIVER, TIMER, SYNCED, REQUEST, WAKE, REPLY, CLIENT, ACTION = range(8)

WALL_EPOCH_NS = (
    1_700_000_000_000_000_000  # what the wall clocks show at virtual time 0, give or take each machine's own offset
)
INBOX_MAX = 20_000  # work that a machine holds; beyond it is dropped, as a full socket buffer would
SERVICE_JITTER_BITS = 12
STEPS_MAX = 20_000_000  # a default run takes some ten thousand; beyond this nodes are talking to themselves for ever

NodeFactory: TypeAlias = Callable[[Address, Topology, int], Node]


@dataclass(frozen=True, slots=True)
class Parameters:
    """The physics of a simulated cluster, in nanoseconds."""

    delays: Delays = field(default_factory=Delays)
    service_ns: tuple[int, int, int, int] = (15_000, 3_000, 3_000, 20_000)  # message, timer, sync done, client request
    start_ns: int = 2_000_000  # a process takes this long to start, and a bit more for each record that it reads back
    start_record_ns: int = 2_000
    sync_ns: int = 250_000
    sync_spread_bits: int = 17  # up to 0.13 ms
    wall_offset_ns: int = 1_000_000  # each wall clock is off by up to this much, either way, on a healthy day


class Client(Protocol):
    """A seeded actor outside the cluster."""

    def on_wake(self, tag: int) -> None:
        """A wake-up that it asked for with `Simulation.wake`."""

    def on_response(self, token: RequestToken, response: Response) -> None:
        """The answer to its request; may come long after it gave up."""


class Simulation:
    """A cluster in virtual time.

    `format` brings the codec and the log format; `through_codec` sends each message through it and frames each record
    as it is appended, without changing the run.
    """

    def __init__(
        self,
        seed: int,
        topology: Topology,
        make_node: NodeFactory,
        format: Format,
        parameters: Parameters | None = None,
        *,
        through_codec: bool = False,
    ) -> None:
        self.seed = seed
        self.topology = topology
        self.parameters = parameters or Parameters()
        self.format = format
        self.now = 0
        self.trace = Trace()
        self.steps = 0
        self.counters: dict[str, int] = {}
        self.told: dict[str, int] = {}  # how often each kind of event was told
        self.listeners: list[Callable[[int, Address, Event], None]] = []
        self.clients: list[Client] = []
        self.addresses: tuple[Address, ...] = topology.storage + topology.routers
        self.storage_count = len(topology.storage)
        self._make_node = make_node
        self._heap: list[HeapEntry] = []
        self._next = count(1).__next__
        self._token_owner: dict[RequestToken, int] = {}
        self._scheduler = stream(seed, "scheduler")
        network_random = stream(seed, "network")
        self._client_draw = network_random.getrandbits
        self.network = Network(
            self.addresses,
            self.parameters.delays,
            network_random,
            self._heap,
            self._next,
            format if through_codec else None,
        )
        disk_random = stream(seed, "disk")
        self.objects = ObjectStore(stream(seed, "objects"))
        self.hosts = [
            Host(
                index,
                address,
                Disk(format, str(address), eager=through_codec),
                self.network,
                self._heap,
                self._next,
                self._on_reply,
                self._on_tell,
                stream(seed, "node", index),
                disk_random,
                self.objects,
                self._on_objects,
            )
            for index, address in enumerate(self.addresses)
        ]
        for host in self.hosts:
            host.sync_ns = self.parameters.sync_ns
            host.sync_spread_bits = self.parameters.sync_spread_bits
            # Every monotonic clock starts somewhere else, so comparing the clocks of two machines never works by luck.
            host.set_clock(0, local_ns=1 + self._scheduler.getrandbits(46))
            wall = below(self._scheduler, 2 * self.parameters.wall_offset_ns + 1) - self.parameters.wall_offset_ns
            host.wall_shift_ns = WALL_EPOCH_NS + wall - host.local_ns(0)

    # --- the outside: what a campaign asks for --------------------------------------------------------------

    def start(self) -> None:
        """Start every machine, one shortly after the other."""
        for host in self.hosts:
            self.at(self.now + below(self._scheduler, 1_000_000), f"start {host.address}", self._starter(host.index))

    def at(self, time_ns: int, label: str, action: Callable[[], None]) -> None:
        """Do something to the cluster at a virtual time; the label goes into the trace."""
        heappush(self._heap, (max(time_ns, self.now), self._next(), ACTION, 0, label, action))

    def wake(self, client: int, delay_ns: int, tag: int) -> None:
        """Call the client's `on_wake(tag)` later."""
        heappush(self._heap, (self.now + delay_ns, self._next(), CLIENT, client, tag, None))

    def request(self, client: int, router: int, operation: Operation) -> RequestToken:
        """Send a client's request to a router (0 is the first router). It may never be answered."""
        token = self._next()
        self._token_owner[token] = client
        delays = self.parameters.delays
        arrival_ns = self.now + delays.client_ns + self._client_draw(delays.spread_bits)
        heappush(self._heap, (arrival_ns, self._next(), REQUEST, self.storage_count + router, token, operation))
        return token

    def order(self, index: int, message: Message) -> None:
        """Hand a machine a message as if it had sent it to itself: an operator's order."""
        heappush(self._heap, (self.now, self._next(), DELIVER, index, index, message))

    def count(self, name: str, more: int = 1) -> None:
        """Add to one of the simulator's own counters."""
        self.counters[name] = self.counters.get(name, 0) + more

    def trace_hash(self) -> str:
        """The hash of everything that happened so far."""
        return self.trace.digest()

    def is_up(self, index: int) -> bool:
        return self.hosts[index].node is not None

    # --- power ----------------------------------------------------------------------------------------------

    def crash(self, index: int) -> None:
        """Cut the power of a machine: its memory is gone, and a random part of what was not synced."""
        host = self.hosts[index]
        assert host.node is not None, "it is down already"
        self.count("outputs-lost-in-crash", len(host.waiting))
        host.stop()
        loss = host.disk.crash(host.disk_random)
        if loss.lost:
            self.count("lost-unsynced-tails")
        self.count("crashes")
        self.trace.pending.append(line(self.now, "crash", index, loss.unsynced_bytes, loss.kept_bytes))

    def ask_to_stop(self, index: int) -> None:
        """A planned stop is near: the node hands over what it leads, and runs on until `stop`."""
        host = self.hosts[index]
        assert host.node is not None, "it is down already"
        host.time_ns = self.now
        host.now_ns = host.local_ns(self.now)
        host.wall_ns = host.now_ns + host.wall_shift_ns
        host.depart_ns = max(host.busy_until_ns, self.now)
        self.trace.pending.append(line(self.now, "ask to stop", index))
        host.node.on_stop(host)
        if host.appended > host.sync_covers and not host.syncing:
            host.start_sync()

    def stop(self, index: int) -> None:
        """End a process in order: all that it has appended is on disk."""
        host = self.hosts[index]
        assert host.node is not None, "it is down already"
        host.disk.sync(host.appended)
        host.stop()
        host.disk.crash(host.disk_random)
        self.count("planned-stops")
        self.trace.pending.append(line(self.now, "stop", index))

    def _fail_sync(self, host: Host) -> None:
        """A sync came back with an error: the node crashes, and nothing that waited for it leaves."""
        self.count("failed-syncs")
        host.failed_syncs += 1
        self.crash(host.index)
        host.failed_epoch = host.epoch

    def wipe(self, index: int) -> None:
        """Take away the disk of a machine that is down. It comes back under a higher incarnation."""
        host = self.hosts[index]
        assert host.node is None, "a disk is taken from a machine that is down"
        host.disk.wipe()
        host.incarnation += 1
        self.count("wiped-disks")
        self.trace.pending.append(line(self.now, "wipe", index, host.incarnation))

    def restart(self, index: int) -> None:
        """A fresh process on the machine, which recovers from what its disk holds."""
        host = self.hosts[index]
        assert host.node is None, "it is up already"
        if index >= self.storage_count:
            host.incarnation += 1  # a router has no disk, so each start is a new router
        # The monotonic clock begins anew, the wall clock goes on: a reading from before the crash must mean nothing.
        before_ns = host.local_ns(self.now)
        host.set_clock(self.now, local_ns=1 + self._scheduler.getrandbits(46))
        host.wall_shift_ns += before_ns - host.local_ns(self.now)
        torn = host.disk.torn_tails
        try:
            records = host.disk.open()
        except DamagedDisk as damage:
            # What had been synced cannot be read back: the disk counts as lost, with every promise on it.
            self.count(f"disks-given-up-{damage}")
            self.wipe(index)
            records = host.disk.open()
        self.count("torn-tails-cut", host.disk.torn_tails - torn)
        self.count("restarts")
        self._boot(host, records)

    def _starter(self, index: int) -> Callable[[], None]:
        return lambda: self._boot(self.hosts[index], self.hosts[index].disk.open())

    def _boot(self, host: Host, records: list[Record]) -> None:
        node = self._make_node(host.address, self.topology, host.incarnation)
        host.boot(node, records)
        self.trace.pending.append(line(self.now, "start", host.index, host.incarnation, len(records)))
        host.time_ns = self.now
        host.now_ns = now_ns = host.local_ns(self.now)
        host.wall_ns = now_ns + host.wall_shift_ns
        work_ns = self.parameters.start_ns + len(records) * self.parameters.start_record_ns
        host.depart_ns = host.busy_until_ns = self.now + work_ns * host.slowness
        node.on_start(host)
        if host.appended > host.durable:
            host.start_sync()

    # --- the loop -------------------------------------------------------------------------------------------

    def run_until(self, until_ns: int) -> None:
        """Let everything up to and including `until_ns` happen."""
        heap, hosts, clients, addresses, trace = self._heap, self.hosts, self.clients, self.addresses, self.trace
        pending = trace.pending
        record = pending.append
        jitter = self._scheduler.getrandbits
        service_ns = self.parameters.service_ns
        steps = 0
        while heap and heap[0][0] <= until_ns:
            time_ns, _, kind, target, a, b = heappop(heap)
            self.now = time_ns
            if kind <= REQUEST:
                host = hosts[target]
                node = host.node
                if kind == TIMER:
                    armed = host.timers.get(a)
                    if armed is None or armed[0] != b:
                        continue  # cancelled, replaced, or from before a crash
                elif kind == SYNCED:
                    if a != host.epoch:
                        continue
                    if host.sync_fails:
                        self._fail_sync(host)
                        continue
                    host.synced(b, time_ns)
                    if host.appended > b:
                        host.time_ns = time_ns
                        host.depart_ns = max(host.depart_ns, time_ns)
                        host.start_sync()
                if node is None:
                    self.count("lost-at-dead-router" if kind == REQUEST else "lost-at-dead-node")
                    continue
                if host.inbox or host.busy_until_ns > time_ns:
                    if len(host.inbox) >= INBOX_MAX:
                        self.count("dropped-at-full-queue")
                        continue
                    if not host.inbox:
                        heappush(heap, (host.busy_until_ns, self._next(), WAKE, target, host.epoch, None))
                    host.inbox.append((kind, a, b))
                    host.queued += 1
                    continue
            elif kind == WAKE:
                # One wake-up is on the heap while a machine's queue holds anything; it comes when the step before has
                # ended.
                host = hosts[target]
                node = host.node
                if a != host.epoch or node is None:
                    continue
                kind, a, b = host.inbox.popleft()
                if kind == TIMER:
                    armed = host.timers.get(a)
                    if armed is None or armed[0] != b:
                        if host.inbox:
                            heappush(heap, (time_ns, self._next(), WAKE, target, host.epoch, None))
                        continue
            elif kind == REPLY:
                record(f"({time_ns}, {REPLY}, {target}, {b.status}, {b.error!a})")
                clients[target].on_response(a, b)
                continue
            elif kind == CLIENT:
                clients[target].on_wake(a)
                continue
            else:
                record(f"({time_ns}, {ACTION}, {a!a})")
                b()
                continue
            # One step of one machine.
            steps += 1
            now_ns = host.local_ns(time_ns) if host.ppm else time_ns + host.ahead_ns
            if kind == TIMER:
                deadline_ns = host.timers[a][1]
                if now_ns < deadline_ns:
                    # The clock's rate changed while the timer ran; by this machine's own clock it is not due yet.
                    host.push_timer(a, b, deadline_ns - now_ns, time_ns)
                    if host.inbox:
                        heappush(heap, (time_ns, self._next(), WAKE, target, host.epoch, None))
                    continue
                del host.timers[a]
            host.time_ns = time_ns
            host.now_ns = now_ns
            host.wall_ns = now_ns + host.wall_shift_ns
            host.handled += 1
            ends_ns = time_ns + (service_ns[kind] + jitter(SERVICE_JITTER_BITS)) * host.slowness
            host.depart_ns = host.busy_until_ns = ends_ns
            if kind == DELIVER:
                record(f"({time_ns}, {DELIVER}, {target}, {a}, '{type(b).__name__}')")
                node.on_message(addresses[a], b, host)
            elif kind == TIMER:
                record(f"({time_ns}, {TIMER}, {target}, {a!a})")
                node.on_timer(a, host)
            elif kind == SYNCED:
                record(f"({time_ns}, {SYNCED}, {target}, {b})")
                node.on_durable(b, host)
            else:
                record(f"({time_ns}, {REQUEST}, {target}, '{type(b).__name__}')")
                node.on_request(a, b, host)
            if host.appended > host.sync_covers and not host.syncing:
                host.start_sync()
            if host.inbox:
                heappush(heap, (ends_ns, self._next(), WAKE, target, host.epoch, None))
            if len(pending) >= BATCH:
                trace.flush()
                assert self.steps + steps < STEPS_MAX, "the nodes never come to rest: too many steps"
        self.steps += steps
        if self.now < until_ns:
            self.now = until_ns

    # --- called back by the machines ------------------------------------------------------------------------

    def _on_reply(self, token: RequestToken, response: Response, source: int, depart_ns: int) -> None:
        # Popped: a second answer to one token is a fault of the node, and would be an answer to nobody.
        client = self._token_owner.pop(token)
        delays = self.parameters.delays
        arrival_ns = depart_ns + delays.client_ns + self._client_draw(delays.spread_bits)
        heappush(self._heap, (arrival_ns, self._next(), REPLY, client, token, response))

    def _on_objects(self, index: int, request: Callable[[], ObjectDone]) -> None:
        host = self.hosts[index]
        epoch = host.epoch

        def reaches() -> None:
            done = request()
            if host.epoch == epoch:  # else whoever asked is gone; what it asked for is done all the same
                heappush(self._heap, (self.now, self._next(), DELIVER, index, index, done))

        self.at(host.depart_ns + self.objects.delay_ns(), f"objects {host.address}", reaches)

    def _on_tell(self, index: int, event: Event) -> None:
        kind, group, ballot, slot, detail = event
        self.told[kind] = self.told.get(kind, 0) + 1
        self.trace.pending.append(f"({self.now}, {index}, {kind!a}, {group!a}, {ballot}, {slot}, {detail!a})")
        for listener in self.listeners:
            listener(self.now, self.addresses[index], event)
