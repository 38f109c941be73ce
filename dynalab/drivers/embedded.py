"""All the nodes of a cluster in one process and one event loop, on a real clock: what `dynalab serve` runs.

Rules of this room (they carry out the rules of `dynalab_impl.effects`):

1. Nothing is delivered re-entrantly: sends, replies and timers go through one queue, drained a bounded number of events
   at a time so that sockets are served in between.
2. Clocks are sampled after an event was taken from the queue, never before.
3. What depends on a position leaves when that position is on disk. One sync covers everything appended since the last
   one began; with files it runs in a worker thread while the loop goes on. A sync that fails crashes the node, and the
   node stays down.
4. A handler that raises is a bug: it is logged, and its node is restarted from its log like any process that died.
5. Runs here are not replayable: the clock is real. The simulator is for that.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeAlias

from dynalab.drivers.host import QUEUE_MAX, Host, Network, Queue
from dynalab.drivers.objects import MemoryObjects, Objects
from dynalab.drivers.store import Store, StoreError
from dynalab.drivers.syncing import SyncThread
from dynalab_impl.effects import (
    Address,
    Message,
    Node,
    ObjectDone,
    Position,
    RequestToken,
    Response,
    TimerName,
    Topology,
)
from dynalab_model.operations import Operation

MakeNode: TypeAlias = Callable[[Address, Topology, int], Node]
Answer: TypeAlias = Callable[[Response], None]

EVENTS_PER_TICK_MAX = 512
REQUESTS_MAX = 8_192
RESTART_NS = 300_000_000
STOP_POLL_SECONDS = 0.001

log = logging.getLogger("dynalab.embedded")


class EmbeddedCluster:
    """Runs a topology; clients are served through `request`. Everything is called from the thread of its event loop."""

    def __init__(
        self, store: Store, make_node: MakeNode, *, seed: int | None = None, objects: Objects | None = None
    ) -> None:
        self.store = store
        self.objects = MemoryObjects() if objects is None else objects
        self.topology = store.topology
        self.told: Counter[str] = Counter()  # trace events by kind
        self.failures: list[str] = []  # nodes that died of themselves, in words
        self.network: Network | None = None
        self.on_boot: Callable[[Node], None] | None = None  # sees every node before it starts
        self._make_node = make_node
        seeds = random.Random(random.SystemRandom().getrandbits(64) if seed is None else seed)
        addresses = (*self.topology.storage, *self.topology.routers)
        self.hosts: dict[Address, Host] = {a: Host(self, a, seeds.getrandbits(64)) for a in addresses}
        self._routers = [self.hosts[address] for address in self.topology.routers]
        self._turn = 0
        self.queue: Queue = deque()
        self._heap: list[tuple[int, int, Callable[[], None] | Host, TimerName]] = []
        self._serial = 0
        self.dirty: list[Host] = []
        self._pending: dict[RequestToken, tuple[Host, Answer]] = {}
        self._token = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ticking = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_ns = 0
        self._object_pool: ThreadPoolExecutor | None = None
        self._sync_threads: dict[Address, SyncThread] = {}  # of machines whose disks are waited for

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every node. Call it from within the running loop. Raises what the store raises (StoreError,
        OSError).
        """
        self._loop = asyncio.get_running_loop()
        for host in self.hosts.values():
            self._boot(host)

    async def stop(self) -> None:
        """Stop every node as a kill would; syncs that run are waited for. Clients still waiting learn that the outcome
        is unknown.
        """
        for host in self.hosts.values():
            self.crash(host.address)
        while any(host.syncing for host in self.hosts.values()):
            await asyncio.sleep(STOP_POLL_SECONDS)  # when a sync ends, its disk is closed
        if self._alarm is not None:
            self._alarm.cancel()
        self.queue.clear()
        self._heap.clear()
        for thread in self._sync_threads.values():
            thread.close()
        self._sync_threads.clear()
        if self._object_pool is not None:
            self._object_pool.shutdown()

    def crash(self, address: Address) -> None:
        """Kill the process on that machine; nothing happens if it is down already."""
        host = self.hosts[address]
        if host.node is None:
            return
        host.crash()
        orphans = [token for token, (owner, _) in self._pending.items() if owner is host]
        for token in orphans:
            self.answer(token, _unknown_outcome())

    def restart(self, address: Address) -> None:
        """Start a new process on that machine from what its disk holds; nothing happens if one runs."""
        host = self.hosts[address]
        if host.node is not None:
            return
        if host.syncing:  # the last life's sync still writes to the file: come back when it is over
            self.call_later(1_000_000, lambda: self.restart(address))
            return
        try:
            self._boot(host)
        except (OSError, StoreError) as error:
            self.failures.append(f"{address}: its disk cannot be opened: {error}")
            log.error("%s stays down: its disk cannot be opened: %s", address, error)

    def _boot(self, host: Host) -> None:
        disk, records, incarnation = self.store.open(host.address)
        host.epoch += 1
        node = self._make_node(host.address, self.topology, incarnation)
        if self.on_boot is not None:
            self.on_boot(node)
        try:
            host.start(node, disk, records, incarnation)
        except Exception:
            self._died(host, "could not start")
            return
        self._settle(host)
        if not self._ticking:
            self._wake()

    def wipe(self, address: Address) -> None:
        """Kill the machine and lose its disk; it stays down until `restart`."""
        self.crash(address)
        host = self.hosts[address]
        if host.syncing:
            self.call_later(1_000_000, lambda: self.wipe(address))
            return
        self.store.wipe(address)

    def nodes(self) -> list[Node]:
        """The nodes that run."""
        return [host.node for host in self.hosts.values() if host.node is not None]

    # --- clients ------------------------------------------------------------------------------------------------------

    def request(self, operation: Operation, answer: Answer) -> None:
        """Give a request to a router that runs; `answer` is called once, later, with the response."""
        routers = self._routers
        self._turn += 1
        host = routers[self._turn % len(routers)]
        if host.node is None:
            host = next((other for other in routers if other.node is not None), host)
        if host.node is None or len(self._pending) >= REQUESTS_MAX:
            assert self._loop is not None
            self._loop.call_soon(answer, _unavailable())
            return
        self._token = token = self._token + 1
        self._pending[token] = (host, answer)
        self.queue.append((host, token, operation))
        if not self._ticking:
            self._wake()

    async def call(self, operation: Operation) -> Response:
        """`request` for coroutines."""
        assert self._loop is not None
        future: asyncio.Future[Response] = self._loop.create_future()
        self.request(operation, lambda response: None if future.done() else future.set_result(response))
        return await future

    # --- what hosts ask for -------------------------------------------------------------------------------------------

    def post(self, source: Address, to: Address, message: Message) -> None:
        """Put a message on its way."""
        queue = self.queue
        if len(queue) >= QUEUE_MAX:
            return
        if self.network is None:
            queue.append((self.hosts[to], source, message))
            return
        for delay_ns in self.network.route(source, to, message):
            if delay_ns <= 0:
                queue.append((self.hosts[to], source, message))
            else:
                self.call_later(delay_ns, lambda: queue.append((self.hosts[to], source, message)))

    def answer(self, token: RequestToken, response: Response) -> None:
        """Tell the client; a second answer to one request is dropped."""
        found = self._pending.pop(token, None)
        if found is not None:
            found[1](response)

    def ask_objects(self, host: Host, request: Callable[[Objects], ObjectDone]) -> None:
        """Give a request to the object store, in a thread of its own; the node that asked is told what came of it."""
        assert self._loop is not None
        if self._object_pool is None:
            self._object_pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dynalab-objects")
        asked = self._loop.run_in_executor(self._object_pool, request, self.objects)
        asked.add_done_callback(partial(self._objects_answered, host, host.epoch))

    def _objects_answered(self, host: Host, epoch: int, asked: asyncio.Future[ObjectDone]) -> None:
        if host.epoch != epoch or host.node is None or asked.cancelled():
            return  # whoever asked is gone; what it asked for is done all the same
        self.queue.append((host, host.address, asked.result()))
        if not self._ticking:
            self._wake()

    def arm(self, host: Host, name: TimerName, delay_ns: int) -> int:
        """Set a timer; the number given back is what makes it valid."""
        self._serial = serial = self._serial + 1
        heapq.heappush(self._heap, (time.monotonic_ns() + max(0, delay_ns), serial, host, name))
        return serial

    def call_later(self, delay_ns: int, action: Callable[[], None]) -> None:
        """Run something of the driver's own, between events."""
        self._serial += 1
        heapq.heappush(self._heap, (time.monotonic_ns() + delay_ns, self._serial, action, ()))
        if not self._ticking:
            self._wake()

    # --- the loop -----------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        assert self._loop is not None
        self._ticking = True
        self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        budget = EVENTS_PER_TICK_MAX
        queue, heap = self.queue, self._heap
        take, monotonic_ns = queue.popleft, time.monotonic_ns
        # The wall clock does not jump within a tick: where it stands beside the other one is looked up once.
        ahead_ns = time.time_ns() - monotonic_ns()
        while True:
            # Those that are here now, and then those that came of them.
            count = len(queue) if len(queue) < budget else budget
            budget -= count
            for _ in range(count):
                host, sender, payload = take()
                node = host.node
                if node is None:
                    if isinstance(sender, int):
                        self.answer(sender, _unavailable())
                    continue
                if host.skewed:
                    host.sample()
                else:  # the same, written out: every event comes by here
                    host.now_ns = now_ns = monotonic_ns()
                    host.wall_ns = now_ns + ahead_ns
                try:
                    if sender.__class__ is int:
                        node.on_request(sender, payload, host)  # type: ignore[arg-type]
                    else:
                        node.on_message(sender, payload, host)  # type: ignore[arg-type]
                except Exception:
                    self._died(host, f"died handling {type(payload).__name__}")
            if queue and budget:
                continue
            if budget and heap and heap[0][0] <= monotonic_ns():
                # One timer, then the messages it caused: after a stall of the whole process the leaders' heartbeats
                # reach the followers before these take the silence for a death.
                budget -= 1
                self._fire_timer()
            elif self.dirty:
                # Last: what leaders log and send meanwhile is on the followers' disks with the same syncs.
                self._sync_dirty()
            else:
                break
        if queue or not budget:
            assert self._loop is not None
            self._loop.call_soon(self._tick)
        else:
            self._ticking = False
            self._set_alarm()

    def _fire_timer(self) -> None:
        _, serial, owner, name = heapq.heappop(self._heap)
        if not isinstance(owner, Host):
            owner()
            return
        node = owner.node
        if node is None or owner.timers.get(name) != serial:
            return
        del owner.timers[name]
        owner.sample()
        try:
            node.on_timer(name, owner)
        except Exception:
            self._died(owner, f"died in timer {name}")
            return
        self._settle(owner)

    def _settle(self, host: Host) -> None:
        """After a handler: what it appended wants a sync."""
        if host.appended > host.durable:
            if not host.dirty:
                host.dirty = True
                self.dirty.append(host)
            if not self._ticking:
                self._wake()

    def _sync_dirty(self) -> None:
        dirty, self.dirty = self.dirty, []
        for host in dirty:
            host.dirty = False
            if host.node is None or host.disk is None or host.syncing:
                continue  # a running sync looks again when it ends: that is the group commit
            if host.disk.waits:
                # Not before the loop has looked at its sockets once more: what has come meanwhile belongs to the same
                # sync, and a sync costs as much as several writes.
                assert self._loop is not None
                host.syncing = True
                self._loop.call_soon(self._begin_sync, host, host.epoch)
            else:
                position = host.appended
                try:
                    host.disk.take()
                except Exception as error:
                    self._sync_failed(host, error)
                else:
                    self._reached_disk(host, position)

    def _begin_sync(self, host: Host, epoch: int) -> None:
        job = None
        if host.epoch == epoch and host.node is not None and host.disk is not None:
            job = host.disk.take()
        if job is None:
            self._synced(host, epoch, 0, None)  # it died meanwhile: its disk is closed
        else:
            self._thread_of(host).submit(job, partial(self._synced, host, epoch, host.appended))

    def _thread_of(self, host: Host) -> SyncThread:
        thread = self._sync_threads.get(host.address)
        if thread is None:
            assert self._loop is not None
            thread = self._sync_threads[host.address] = SyncThread(self._loop, f"dynalab-sync_{host.address.node}")
        return thread

    def _synced(self, host: Host, epoch: int, position: Position, error: BaseException | None) -> None:
        host.syncing = False
        if host.epoch != epoch or host.node is None:
            if host.node is None and host.disk is not None:
                host.disk.close()
                host.disk = None
            return
        if error is not None:
            self._sync_failed(host, error)
            return
        self._reached_disk(host, position)
        if not self._ticking:
            self._wake()

    def _sync_failed(self, host: Host, error: BaseException) -> None:
        # Not tried again and not restarted: the kernel may have dropped the pages, and a second sync would say that all
        # is well.
        self.failures.append(f"{host.address}: a sync failed: {error}")
        log.error("%s crashed: a sync failed: %s", host.address, error)
        self.crash(host.address)

    def _reached_disk(self, host: Host, position: Position) -> None:
        node = host.node
        assert node is not None
        host.reached_disk(position)
        host.sample()
        try:
            node.on_durable(position, host)
        except Exception:
            self._died(host, "died in on_durable")
            return
        self._settle(host)

    def _died(self, host: Host, how: str) -> None:
        self.failures.append(f"{host.address}: {how}")
        log.exception("%s %s; it restarts from its log", host.address, how)
        if host.node is None:
            host.crash()
        else:
            self.crash(host.address)
        self.call_later(RESTART_NS, lambda: self.restart(host.address))

    def _set_alarm(self) -> None:
        heap = self._heap
        while heap:
            due_ns, serial, owner, name = heap[0]
            if not isinstance(owner, Host) or owner.timers.get(name) == serial:
                break
            heapq.heappop(heap)  # cancelled or replaced
        if not heap:
            return
        if self._alarm is not None:
            if self._alarm_ns <= due_ns and not self._alarm.cancelled() and self._alarm_ns > time.monotonic_ns():
                return
            self._alarm.cancel()
        assert self._loop is not None
        self._alarm_ns = due_ns
        self._alarm = self._loop.call_later(max(0, due_ns - time.monotonic_ns()) / 1e9, self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm = None
        if not self._ticking:
            self._ticking = True
            self._tick()


def _unknown_outcome() -> Response:
    text = "The request processing has failed because of an unknown error, exception or failure."
    body: dict[str, object] = {"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": text}
    return Response(500, body, "InternalServerError")  # type: ignore[arg-type]


def _unavailable() -> Response:
    text = "The service is unavailable. Please try again shortly."
    body: dict[str, object] = {"__type": "com.amazonaws.dynamodb.v20120810#ServiceUnavailable", "message": text}
    return Response(503, body, "ServiceUnavailable")  # type: ignore[arg-type]
