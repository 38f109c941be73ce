"""Power goes at every sync of a scripted history, with every legal part of what was unsynced on the disk: each state
that a node recovers is the one that a plain reading of its records gives.

The script is a list of steps; a step more is a line more. What a node wrote, when it was synced and what it allowed to
go is written down while the script runs in the simulator. Then each sync is a crash point: of the sectors written since
the sync before it every subset is left (of many sectors: every prefix and every single hole), and of what the node had
let go of nothing, half, or all is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from dynalab_fault_injection.simulator import simulation as simulator
from dynalab_fault_injection.simulator.disk import SECTOR_BYTES, Disk, Format, keep_sectors
from dynalab_impl import codec
from dynalab_impl.effects import Message, Record, TimerName
from dynalab_impl.messages import Ballot, Entry, Split, SplitNow, Write
from dynalab_impl.partition import Partition
from dynalab_impl.records import AcceptedEntries, Promised
from dynalab_impl.storage import wal
from dynalab_impl.storage_node import StorageNode
from dynalab_model.events import Event
from dynalab_model.values import Item
from tests.impl.conftest import Lab

SECOND = 1_000_000_000
WATCHED = (0, 1)  # the third machine loses its disk in the script
SUBSETS_SECTORS_MAX = 6


@dataclass(slots=True)
class Point:
    """A sync: records from `synced` to `written` were not known to be on disk; those up to `allowed` may be gone."""

    written: int
    synced: int
    allowed: int


class Watched(Disk):
    """A disk that writes down what is asked of it."""

    __slots__ = ("allowed", "points", "records")

    def __init__(self, format: Format, name: str = "", *, eager: bool = False) -> None:
        super().__init__(format, name, eager=eager)
        self.records: list[Record] = []
        self.points: list[Point] = []
        self.allowed = 0

    def append(self, record: Record) -> int:
        self.records.append(record)
        return super().append(record)

    def sync(self, position: int) -> None:
        self.points.append(Point(len(self.records), self.synced, self.allowed))
        super().sync(position)

    def truncate(self, before: int, random: Random) -> int:
        self.allowed = max(self.allowed, before - 1)
        return super().truncate(before, random)


def puts(lab: Lab, count: int, size_bytes: int = 10) -> None:
    for number in range(count):
        lab.put(f"k{number % 12}", f"{number}:" + "x" * size_bytes)


def split(lab: Lab) -> None:
    index, group = lab.leader("k0")
    lab.simulation.network.transmit(index, index, SplitNow(group), lab.simulation.now)
    lab.run(SECOND)
    assert "split-applied" in lab.kinds()


def membership_change(lab: Lab) -> None:
    lab.simulation.crash(2)
    lab.simulation.wipe(2)
    lab.simulation.restart(2)
    lab.run(6 * SECOND)
    assert "learner-readmitted" in lab.kinds()


def checkpoint(lab: Lab) -> None:
    """Snapshots and truncation, on disks so slow that a sync is nearly always under way."""
    hosts = [lab.simulation.hosts[index] for index in WATCHED]
    allowed = [host.disk.allowed for host in hosts]  # type: ignore[attr-defined]
    for host in hosts:
        host.sync_slowness = 60
    for number in range(250):
        item = {"pk": {"S": f"k{number % 12}"}, "v": {"S": str(number)}}
        lab.send("PutItem", TableName="things", Item=item)
        lab.run(SECOND // 100)
    for host in hosts:
        host.sync_slowness = 1
    lab.run(3 * SECOND)
    assert all(host.disk.allowed > old for host, old in zip(hosts, allowed, strict=True))  # type: ignore[attr-defined]


SCRIPT: list[Callable[[Lab], None]] = [
    lambda lab: puts(lab, 20),
    lambda lab: puts(lab, 5, size_bytes=1500),
    split,
    lambda lab: puts(lab, 12),
    membership_change,
    lambda lab: puts(lab, 6),
    checkpoint,
    lambda lab: puts(lab, 4, size_bytes=1500),
]


@pytest.fixture(scope="module")
def played() -> Lab:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulator, "Disk", Watched)
        lab = Lab(nodes_per_zone=1, routers=1, partitions=1, log_records_max=150)
        lab.create()
    for step in SCRIPT:
        step(lab)
    return lab


@dataclass(slots=True)
class Reading:
    """The effects of a node that reads its log back and does nothing else."""

    records: list[Record]
    now_ns: int = 10**12
    wall_ns: int = 2 * 10**18
    appended: int = 0
    told: list[Event] = field(default_factory=list)

    def read_log(self) -> Iterator[Record]:
        return iter(self.records)

    def append(self, record: Record) -> int:
        self.appended += 1
        return self.appended

    def send(self, to: object, message: Message, after: int = -1) -> None:
        raise AssertionError("a node that reads its log back says nothing")

    def set_timer(self, name: TimerName, delay_ns: int) -> None: ...

    def random_bits(self, count: int) -> int:
        return 0

    def tell(self, event: Event) -> None:
        self.told.append(event)


def recover(lab: Lab, index: int, records: list[Record]) -> StorageNode:
    host = lab.simulation.hosts[index]
    node = StorageNode(host.address, lab.topology, 1)
    effects: Any = Reading(records, appended=len(records))
    node.on_start(effects)
    return node


@dataclass(slots=True)
class Plain:
    """What the records say of one group, read by rules of its own: a dictionary of slots and a highest ballot."""

    promised: Ballot = (0, "")
    slots: dict[int, Entry] = field(default_factory=dict)


def plainly(records: list[Record]) -> dict[str, Plain]:
    groups: dict[str, Plain] = {}
    for record in records:
        if isinstance(record, Promised | AcceptedEntries):
            plain = groups.setdefault(record.group, Plain())
            plain.promised = max(plain.promised, record.ballot)
            if isinstance(record, AcceptedEntries):
                plain.slots.update({entry.slot: entry for entry in record.entries})
    return groups


def plain_items(groups: dict[str, Plain], group: str, through: int) -> dict[bytes, Item]:
    """The items of a group after that slot: those of its parent in its range, and what it wrote itself."""
    items: dict[bytes, Item] = {}
    own = groups.get(group, Plain()).slots
    parent = groups.get(group.rpartition(".")[0])
    if parent is not None:
        for entry in parent.slots.values():
            if isinstance(entry.command, Split):
                spec = next(s for s in (entry.command.left, entry.command.right) if s.group == group)
                inherited = plain_items(groups, group.rpartition(".")[0], entry.slot)
                items = {key: item for key, item in inherited.items() if spec.holds(key)}
    for slot in sorted(own):
        command = own[slot].command
        if slot <= through and isinstance(command, Write):
            items.pop(command.key, None)
            if command.item is not None:
                items[command.key] = command.item
    return items


def assert_is_what_the_records_say(node: StorageNode, whole: StorageNode, plain: dict[str, Plain]) -> None:
    """`whole` was recovered from everything that was ever written; `plain` is a reading of the same."""
    assert list(node.replicas) == list(whole.replicas) or set(node.replicas) == set(whole.replicas)
    for group, replica in node.replicas.items():
        twin, said = whole.replicas[group], plain.get(group, Plain())
        assert replica.promised >= said.promised, "a promise was forgotten"
        assert (replica.promised, replica.role, replica.members) == (twin.promised, twin.role, twin.members)
        assert replica.commit_index == twin.commit_index and len(replica.log) == len(twin.log)
        for entry in replica.log.after(replica.log.base):
            assert entry == said.slots[entry.slot], "another entry than was accepted last"
        assert len(replica.log) >= max(said.slots, default=0), "something accepted was forgotten"
        state = replica.state
        if isinstance(state, Partition):
            held = {key: stored.item for key, stored in state.items.items()}
            if state.split is None:
                assert held == plain_items(plain, group, replica.commit_index)
            assert isinstance(twin.state, Partition) and state.dedup.keys() == twin.state.dedup.keys()


def left_over(framed: list[bytes], synced: int) -> Iterator[bytes]:
    """Every legal remainder of the frames behind the first `synced` of them."""
    data = b"".join(framed)
    boundary = sum(map(len, framed[:synced]))
    sectors = -(-len(data) // SECTOR_BYTES) - boundary // SECTOR_BYTES if len(data) > boundary else 0
    if sectors <= SUBSETS_SECTORS_MAX:
        kept = list(range(1 << sectors))
    else:
        prefixes = [(1 << count) - 1 for count in range(sectors + 1)]
        kept = prefixes + [prefixes[-1] ^ (1 << hole) for hole in range(sectors)]
    for bits in kept:
        yield keep_sectors(data, boundary, bits)
    for cut in range(boundary, len(data), 97):  # a last write may also end inside a sector
        yield data[:cut]


@pytest.mark.claim("torn-tail")
@pytest.mark.parametrize("machine", WATCHED)
def test_every_crash_point_with_every_subset_of_what_was_unsynced_gives_the_state_that_the_records_say(
    played: Lab, machine: int
) -> None:
    disk = played.simulation.hosts[machine].disk
    assert isinstance(disk, Watched) and disk.torn_tails == 0
    records, name = disk.records, disk.identity
    payloads = [codec.encode(record) for record in records]
    framed = [wal.frame(payload, number, name) for number, payload in enumerate(payloads, 1)]
    recovered: dict[tuple[int, int], bool] = {}
    torn = subsets = 0
    for point in disk.points:
        first = max(point.allowed - 3, 0)  # bytes before do not matter to what is torn
        window = framed[first : point.written]
        for data in left_over(window, point.synced - first):
            found = wal.recover(data, name, first + 1, point.synced)
            subsets += 1
            torn += found.torn
            assert not found.damaged, "nothing that was synced is missing"
            count = len(found.payloads)
            intact = 0
            while intact < len(window) and data.startswith(b"".join(window[: intact + 1])):
                intact += 1
            assert count == intact and found.payloads == payloads[first : first + count]
            for gone in {0, point.allowed // 2, point.allowed}:
                recovered[gone, first + count] = True
    assert subsets > 2_000 and torn > 500
    wholes: dict[int, tuple[StorageNode, dict[str, Plain]]] = {}
    for gone, end in recovered:
        if not end:
            continue  # nothing was ever written: the machine forms its groups anew
        if end not in wholes:
            wholes[end] = recover(played, machine, records[:end]), plainly(records[:end])
        if gone:
            node = recover(played, machine, records[gone:end])
        else:
            node = wholes[end][0]
        assert_is_what_the_records_say(node, *wholes[end])
    assert len(wholes) > 150 and max(gone for gone, _ in recovered) > 100, (
        "logs that begin in the middle are among them"
    )


def test_what_the_last_crash_point_gives_is_what_the_running_nodes_hold(played: Lab) -> None:
    """The reading of records against the live state, so that both cannot be wrong in the same way."""
    live = {}
    for machine in WATCHED:
        disk = played.simulation.hosts[machine].disk
        assert isinstance(disk, Watched)
        node: Any = played.simulation.hosts[machine].node
        plain = plainly(disk.records)
        for group, replica in node.replicas.items():
            if isinstance(replica.state, Partition) and replica.state.split is None:
                held = {key: stored.item for key, stored in replica.state.items.items()}
                assert held == plain_items(plain, group, replica.commit_index)
                live[group] = held
    assert sum(len(held) for held in live.values()) == 12 and len(live) == 2
