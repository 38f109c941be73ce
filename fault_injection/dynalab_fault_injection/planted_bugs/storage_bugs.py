"""Planted bugs of storage: what is on disk, and whether replicas hold the same."""

from __future__ import annotations

from dynalab_fault_injection.planted_bugs.bug import PlantedBug
from dynalab_fault_injection.planted_bugs.patch import Patch
from dynalab_impl.effects import Address
from dynalab_impl.storage import wal
from dynalab_impl.storage_node import StorageNode

_recover = wal.recover


def _cut_at_rot(data: bytes, disk: str = "", first: int = 1, synced: int = 0) -> wal.Recovery:
    return _recover(data, disk, first, 0)


def _blind(node: StorageNode, answers: dict[Address, str], most: str, members: list[Address]) -> list[Address]:
    return [address for address in members[:-1] if answers[address] != most]


STORAGE_BUGS = (
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
