"""Planted bugs of storage: what is on disk, and whether replicas hold the same."""

from __future__ import annotations

from collections.abc import Iterator

from dynalab_fault_injection.planted_bugs.bug import PlantedBug
from dynalab_fault_injection.planted_bugs.patch import Patch
from dynalab_impl.effects import Address, Effects
from dynalab_impl.messages import Ballot, Entry
from dynalab_impl.records import LeftGroup
from dynalab_impl.replication.replica import Replica
from dynalab_impl.snapshot_writer import SnapshotWriter
from dynalab_impl.storage import wal
from dynalab_impl.storage_node import StorageNode

_recover = wal.recover
_tick = SnapshotWriter.tick
_recovered = Replica.recovered
_recover_entries = Replica.recover_entries


def _cut_at_rot(data: bytes, disk: str = "", first: int = 1, synced: int = 0) -> wal.Recovery:
    return _recover(data, disk, first, 0)


def _blind(node: StorageNode, answers: dict[Address, str], most: str, members: list[Address]) -> list[Address]:
    return [address for address in members[:-1] if answers[address] != most]


def _count_once_begun(
    self: SnapshotWriter,
    replicas: dict[str, Replica],
    incarnation: int,
    dropped: dict[str, bool],
    left: dict[str, LeftGroup],
    effects: Effects,
) -> None:
    if self.outgoing is not None:
        self.begun[self.group] = self.begin
        self._let_go(replicas, effects)
    _tick(self, replicas, incarnation, dropped, left, effects)


def _as_if_whole(self: Replica, effects: Effects) -> None:
    if self.commit_index < self.log.base:  # its snapshot has no end, and what lay before it was let go
        self.commit_index = self.recorded_commit = self.state.applied = self.log.base
    _recovered(self, effects)


def _no_tail(self: SnapshotWriter, replica: Replica, slot: int) -> Iterator[tuple[Entry, ...]]:
    return iter(())


def _what_joins(self: Replica, ballot: Ballot, first_slot: int, entries: tuple[Entry, ...]) -> None:
    if first_slot <= len(self.log) + 1:
        _recover_entries(self, ballot, first_slot, entries)
    else:
        self.recover_promise(ballot)


def _what_is_there(self: Replica, effects: Effects) -> None:
    self.recorded_commit = min(self.recorded_commit, len(self.log))
    _recovered(self, effects)


STORAGE_BUGS = (
    PlantedBug(
        name="checkpoint-before-sync",
        rule="a snapshot takes the place of the log before it only when its end is on disk",
        sentence="a node lets go of its log when it begins to write a snapshot, and comes back with half of one",
        checker="linearizability",
        workload="hot-key",
        faults=("blackout", "slow-disk"),
        patches=(
            Patch(SnapshotWriter, "tick", "0d92dd94", _count_once_begun),
            Patch(Replica, "recovered", "7ab5a86a", _as_if_whole),
        ),
    ),
    PlantedBug(
        name="snapshot-without-tail",
        rule="a snapshot also holds what was accepted behind it and may have been chosen",
        sentence="a snapshot holds what was applied, and not what was accepted behind that",
        checker="linearizability",
        workload="hot-key",
        faults=("blackout", "log-lag"),
        patches=(
            Patch(SnapshotWriter, "tail", "2c69dc6a", _no_tail),
            Patch(Replica, "recover_entries", "5ae54471", _what_joins),
            Patch(Replica, "recovered", "7ab5a86a", _what_is_there),
        ),
    ),
    PlantedBug(
        name="rot-taken-for-a-torn-tail",
        rule="a log is cut only above the position that a finished sync had covered",
        sentence="a node cuts its log at the first record that it cannot read, also where that had been synced",
        checker="linearizability",
        workload="register",
        faults=("blackout-rot", "delay", "loss"),
        patches=(Patch(wal, "recover", "a317c6af", _cut_at_rot),),
    ),
    PlantedBug(
        name="scrub-blind-to-one-replica",
        rule="a replica whose state differs from that of most others is found and rebuilt",
        sentence="scrubbing never looks at the last member of a group",
        checker="convergence",
        workload="register",
        faults=("silent-divergence", "slow-node"),
        patches=(Patch(StorageNode, "differing", "8dc83481", _blind),),
    ),
)
