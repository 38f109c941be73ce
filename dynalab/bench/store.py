"""What the store costs: reading a log back, memory for an item, and how long a lost replica takes to be rebuilt.

The first two are measured on the real clock and in real memory. The third is virtual time: it does not depend on the
machine that simulates it, and shows how it grows with the size of a partition (S132). The simulator charges for each
piece of a snapshot (256 rows, or about 1 MB) a message both ways and a sync, and nothing for a byte.
"""

from __future__ import annotations

import gc
import json
import tempfile
import time
import tracemalloc
from collections.abc import Iterator

from dynalab.bench.report import Figure
from dynalab.drivers.disk import RealFileSystem
from dynalab.drivers.store import FileStore
from dynalab_fault_injection.cluster import Cluster
from dynalab_fault_injection.implementation import implementation_format
from dynalab_fault_injection.operator import Operator
from dynalab_fault_injection.simulator import Simulation, stream
from dynalab_fault_injection.workloads import WORKLOADS, Recorder
from dynalab_impl.codec import to_json
from dynalab_impl.effects import (
    LAST,
    Address,
    Message,
    Nanoseconds,
    Position,
    Record,
    RequestToken,
    Response,
    TimerName,
    Timing,
    layout,
)
from dynalab_impl.messages import Entry, GroupSpec, Member, Write
from dynalab_impl.partition import Partition, StoredItem
from dynalab_impl.records import AcceptedEntries, CommittedUpTo, Formatted, HostedGroup
from dynalab_impl.replication.replica import Replica
from dynalab_impl.service import make_node
from dynalab_impl.snapshot_writer import SnapshotWriter
from dynalab_impl.storage_node import StorageNode
from dynalab_model.events import Event
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import Item

SECOND = 1_000_000_000
SCHEMA = TableSchema("bench", KeySchema(KeyAttribute("pk", "S")))
LOG_ENTRIES = 100_000
ITEM_BYTES = 900
RECOVERY_SECONDS_MAX = 3.0
REBUILD_ITEMS = (1_000, 10_000, 50_000)


def make_item(number: int, item_bytes: int) -> Item:
    """An item whose JSON is about so long, in a few attributes as items of a shop have them.

    >>> len(to_json(make_item(7, 900)))
    900
    """
    item: Item = {
        "pk": {"S": f"order#{number:08d}"},
        "customer": {"S": f"customer#{number % 977:06d}"},
        "total": {"N": str(number % 9_999)},
        "paid": {"BOOL": True},
        "note": {"S": ""},
    }
    item["note"] = {"S": "x" * max(0, item_bytes - len(to_json(item)))}
    return item


def figures() -> list[Figure]:
    """All figures of the store."""
    return [recovery(), memory(), *(rebuilding(items) for items in REBUILD_ITEMS)]


def recovery(entries: int = LOG_ENTRIES) -> Figure:
    """Entries per second that a node reads back from files, up to its first word: log, codec, replicas, items."""
    subject = f"recovery of a log of {entries:,} entries"
    with tempfile.TemporaryDirectory() as root:
        topology = layout(nodes_per_zone=1, routers=1)
        address = topology.storage[0]
        disk, _, _ = FileStore(RealFileSystem(), root, topology).open(address)
        spec = GroupSpec("bench/1.0", "bench", "", b"", b"", tuple(Member(a, 1) for a in topology.storage), SCHEMA)
        disk.append(Formatted(1))
        disk.append(HostedGroup(spec, False))
        ballot = (1, "n1#1")
        for slot in range(1, entries + 1):
            write = Write(b"k%07d" % (slot % 10_000), make_item(slot % 10_000, 200), {})
            entry = Entry(ballot, slot, slot, ("r", slot), slot + 1_000, write)
            disk.append(AcceptedEntries(spec.group, ballot, slot, (entry,)))
            if slot % 1_000 == 0:
                (disk.take() or _nothing)()
        disk.append(CommittedUpTo(spec.group, entries))
        (disk.take() or _nothing)()
        disk.close()
        gc.collect()
        started, started_cpu = time.perf_counter(), time.process_time()
        disk, records, incarnation = FileStore(RealFileSystem(), root, topology).open(address)
        node = StorageNode(address, topology, incarnation)
        node.on_start(_Reading(records))
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
        disk.close()
    applied = node.replicas[spec.group].commit_index
    if applied != entries:
        return Figure("store", subject, None, "entries/s", problem=f"only {applied} entries came back")
    detail = f"{seconds:.2f} s ({cpu_seconds:.2f} s of processor time), aim: under {RECOVERY_SECONDS_MAX:.0f} s"
    return Figure("store", subject, entries / seconds, "entries/s", detail)


def memory(items: int = 10_000, item_bytes: int = ITEM_BYTES) -> Figure:
    """Bytes of memory that a node's process holds for each item at rest, beside the item's own size on the wire: items
    that were read back from JSON, and written into a snapshot behind which the log was let go.
    """
    spec = GroupSpec("bench/1.0", "bench", "", b"", b"", (), SCHEMA)
    wire = [to_json(make_item(number, item_bytes)) for number in range(items)]
    effects = _Reading([])
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    partition = Partition(spec, SECOND)
    for number, text in enumerate(wire):
        partition.items[b"hash" + b"order#%08d" % number] = StoredItem(json.loads(text), number, number, number)
    fresh = tracemalloc.get_traced_memory()[0] - before
    replica = Replica(spec, layout().storage[0], 1, Timing(), partition)
    partition.applied = replica.commit_index = items
    replica.log.trim(items)  # the entries that wrote them
    writer = SnapshotWriter(records_max=1, packs=True)
    effects.append(Formatted(1))
    while not writer.ended:
        writer.tick({spec.group: replica}, 1, {}, {}, effects)
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    on_wire = sum(map(len, wire))
    detail = (
        f"{used / on_wire:.2f} times its wire size of {on_wire // items} bytes, aim: under 2 times "
        f"({fresh / on_wire:.2f} until the log has let go of it)"
    )
    return Figure("store", f"memory for each of {items:,} items", used / items, "bytes", detail)


def rebuilding(items: int, item_bytes: int = ITEM_BYTES) -> Figure:
    """Virtual time from the start of a machine on an empty disk to the moment when all its replicas vote again."""
    topology = layout(nodes_per_zone=1, routers=1, partitions=1, log_records_max=400)
    simulation = Simulation(1, topology, make_node, implementation_format())
    recorder = Recorder(simulation)
    operator, cluster = Operator(simulation, recorder), Cluster(simulation, stream(1, "faults"))
    workload = WORKLOADS["register"]()
    simulation.start()
    subject = f"rebuild of a partition of {items:,} items"
    if not operator.create_table(workload.schema(), 30 * SECOND):
        return Figure("store", subject, None, "items/s", problem="the table was not active within 30 s")
    _fill(simulation, workload.schema().name, items, item_bytes)
    simulation.run_until(simulation.now + 5 * SECOND)
    victim = next(index for index in range(3) if index not in cluster.leaders())
    groups = cluster.groups_on(victim)
    simulation.crash(victim)
    cluster.wipe(victim, groups)
    started = simulation.now
    simulation.restart(victim)
    while not cluster.may_wipe() and simulation.now < started + 600 * SECOND:
        simulation.run_until(simulation.now + SECOND // 100)
    seconds = (simulation.now - started) / SECOND
    megabytes = items * item_bytes / 1_000_000
    detail = f"{seconds:.2f} s of virtual time for {megabytes:.1f} MB"
    return Figure("store", subject, items / seconds, "items/s", detail)


def _fill(simulation: Simulation, table: str, items: int, item_bytes: int) -> None:
    """Lay items into every replica of the table as if they had been written long ago, in the same order everywhere."""
    rows = [(b"\x01row%08d" % number, make_item(number, item_bytes)) for number in range(items)]
    for host in simulation.hosts:
        if isinstance(host.node, StorageNode):
            for replica in host.node.replicas.values():
                if replica.spec.table == table and isinstance(replica.state, Partition):
                    replica.state.items.update({key: StoredItem(item, 1, 1) for key, item in rows})
                    replica.log.trim(replica.commit_index)  # what is so old stands in no log


def _nothing() -> None:
    """A disk whose batch is on disk already."""


class _Reading:
    """The effects of a node that reads its log back and is asked nothing more."""

    def __init__(self, records: list[Record]) -> None:
        self.now_ns = self.wall_ns = time.monotonic_ns()
        self.appended: Position = len(records)
        self._records = records

    def read_log(self) -> Iterator[Record]:
        return iter(self._records)

    def append(self, record: Record) -> Position:
        self.appended += 1
        return self.appended

    def truncate(self, before: Position) -> None: ...

    def send(self, to: Address, message: Message, after: Position = LAST) -> None: ...

    def reply(self, token: RequestToken, response: Response, after: Position = LAST) -> None: ...

    def set_timer(self, name: TimerName, delay_ns: Nanoseconds) -> None: ...

    def cancel_timer(self, name: TimerName) -> None: ...

    def put_object(self, name: str, data: bytes, expected: str | None = None) -> None: ...

    def get_object(self, name: str) -> None: ...

    def random_bits(self, count: int) -> int:
        return 0

    def tell(self, event: Event) -> None: ...
