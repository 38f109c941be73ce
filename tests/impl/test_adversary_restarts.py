"""A node restarts with whatever of its log its driver has left: after `truncate` that may begin anywhere before (rule 8
of `effects`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from dynalab_fault_injection.simulator.disk import Disk
from dynalab_impl import messages as m
from dynalab_impl import snapshot, snapshot_writer
from dynalab_impl.effects import LAST, Address, Message, Position, Record, TimerName
from dynalab_impl.records import SnapshotBegin, SnapshotEnd, SplitApplied
from dynalab_impl.storage_node import StorageNode
from dynalab_model.events import Event

from .conftest import SECOND, Lab

KEYS = [f"k{number}" for number in range(16)]


class Reader:
    """The `Effects` of a node that starts and does nothing else."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records
        self.now_ns = 5 * SECOND
        self.wall_ns = 1_900_000_000 * SECOND
        self.appended: Position = len(records)

    def read_log(self) -> Iterator[Record]:
        return iter(self.records)

    def append(self, record: Record) -> Position:
        self.appended += 1
        return self.appended

    def set_timer(self, name: TimerName, delay_ns: int) -> None:
        """It does not come to that."""

    def random_bits(self, count: int) -> int:
        return 0

    def send(self, to: Address, message: Message, after: Position = LAST) -> None:
        raise AssertionError("a node that starts says nothing")

    def tell(self, event: Event) -> None:
        """Not looked at."""


def come_back(of: StorageNode, records: list[Record]) -> dict[str, Any]:
    """All that a node remembers of its groups, when it starts with this log."""
    node = StorageNode(of.address, of.topology, of.incarnation)
    node.on_start(Reader(records))  # type: ignore[arg-type]
    out: dict[str, Any] = {"left": dict(node.left), "dropped": sorted(node.dropped)}
    for group, replica in node.replicas.items():
        log, state = replica.log, replica.state
        out[group] = (
            (replica.role, replica.promised, replica.log_only, replica.joined, replica.counted),
            (replica.members, replica.members_slot, len(log), log.ballot_of(len(log)), replica.barrier),
            (replica.commit_index, state.applied, state.log_time_ns, state.counter, list(state.dedup)),
            [(key, row.version) for key, row in getattr(state, "items", {}).items()],
        )
    return out


def busy(seed: int, patch: pytest.MonkeyPatch) -> tuple[Lab, dict[str, int]]:
    """A cluster whose partitions divide and whose members change, and what each disk was allowed to drop. Nothing was
    dropped, so that every beginning can be tried.
    """
    allowed: dict[str, int] = {}

    def note(disk: Disk, before: int, _: random.Random) -> int:
        allowed[disk.identity] = max(allowed.get(disk.identity, 0), before - 1)
        return 0

    patch.setattr(Disk, "truncate", note)
    patch.setattr(
        snapshot_writer, "PIECE_IMAGES", 4
    )  # so that the log of a snapshot holds other records between its own
    patch.setattr(snapshot_writer, "PIECES_A_TICK_MAX", 2)
    patch.setattr(snapshot.Outgoing.piece, "__defaults__", (3,))
    lab = Lab(seed=seed, partitions=1, log_records_max=40)
    lab.create(index=True)
    everybody = list(range(lab.simulation.storage_count))
    for number in range(5):
        for key in KEYS:
            lab.put(key, number, attributes={"colour": {"S": f"c{number}"}})
        leader, group = lab.leader(KEYS[3 * number % len(KEYS)])
        members = lab.members(group)
        other = next(i for i in members if i != leader)
        if number % 2 == 0:
            lab.simulation.order(leader, m.SplitNow(group))
            lab.run(SECOND)
        else:
            addresses = lab.simulation.addresses
            zone = addresses[other].zone
            fresh = next(i for i in everybody if addresses[i].zone == zone and i not in members)
            lab.simulation.order(leader, m.Replace(group, number, addresses[other], addresses[fresh]))
            lab.run(3 * SECOND)
            cut = lab.rule("cut", [other], [i for i in everybody if i != other], both_ways=True)
            lab.run(2 * SECOND)
            lab.simulation.network.remove_rule(cut)
            lab.run(2 * SECOND)
    return lab, allowed


def within(records: list[Record]) -> int:
    """Splits that were applied while a snapshot of the parent was being written."""
    writing: dict[str, bool] = {}
    found = 0
    for record in records:
        if isinstance(record, SnapshotBegin):
            writing[record.header.spec.group] = True
        elif isinstance(record, SnapshotEnd):
            writing.pop(record.group, None)
        elif isinstance(record, SplitApplied):
            found += record.group in writing
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_node_comes_back_the_same_from_every_remainder_of_its_log(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lab, allowed = busy(seed, monkeypatch)
    tried = splits = 0
    for index in range(lab.simulation.storage_count):
        host: Any = lab.simulation.hosts[index]
        records = host.disk._records
        last = allowed.get(host.disk.identity, 0)
        whole = come_back(host.node, records)
        kinds = [type(record) for record in records]
        places = [at for at in range(last) if kinds[at] is not kinds[at + 1]] + [last]
        splits += within(records[:last])
        for cut in places:
            assert come_back(host.node, records[cut:]) == whole, f"{host.address} from {cut} of {last}"
            tried += 1
    assert tried > 50
    assert splits, "a partition was divided while a snapshot of it was being written"
