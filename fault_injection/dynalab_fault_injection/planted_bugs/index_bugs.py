"""Planted bugs of global indexes that are made and written at the same time."""

from __future__ import annotations

from dynalab_fault_injection.planted_bugs.bug import PlantedBug
from dynalab_fault_injection.planted_bugs.patch import Patch
from dynalab_impl.messages import Entry, IndexWrite
from dynalab_impl.partition import Partition
from dynalab_model.values import Item

_owe_change = Partition.owe_change
_index = Partition._index
_is_newer = Partition.is_newer


def _only_backfill(
    self: Partition,
    entry: Entry,
    index: str,
    key: bytes,
    item: Item | None,
    source: bytes,
    version: int,
    free: bool = False,
) -> None:
    if index in self.backfills and version == entry.slot:
        return  # a backfill owes versions that were written before it
    _owe_change(self, entry, index, key, item, source, version, free)


def _only_puts(
    self: Partition,
    entry: Entry,
    index: str,
    key: bytes,
    item: Item | None,
    source: bytes,
    version: int,
    free: bool = False,
) -> None:
    if item is not None:
        _owe_change(self, entry, index, key, item, source, version, free)


def _versions_from_one(
    self: Partition,
    entry: Entry,
    index: str,
    key: bytes,
    item: Item | None,
    source: bytes,
    version: int,
    free: bool = False,
) -> None:
    _owe_change(self, entry, index, key, item, source, max(1, version - self.spec.origin), free)


def _no_tombstone(self: Partition, entry: Entry, command: IndexWrite) -> None:
    _index(self, entry, command)
    if command.item is None:
        self.tombstones.pop(command.key, None)


def _told_again_is_newer(self: Partition, command: IndexWrite) -> bool:
    stored = self.items.get(command.key)
    again = stored is not None and command.item is not None and stored.version == command.version
    return again or _is_newer(self, command)


def _another_entry(self: Partition, entry: Entry, command: IndexWrite) -> None:
    stored = self.items.get(command.key)
    if command.item is not None and stored is not None and stored.version == command.version:
        self.items[command.key + b"\0"] = stored
        return
    _index(self, entry, command)


INDEX_BUGS: tuple[PlantedBug, ...] = (
    PlantedBug(
        name="backfill-instead-of-live-writes",
        rule="from the moment at which a partition knows of a new index, every write is owed to it, too",
        sentence="while an index is being filled, writes are left to the backfill",
        checker="index-convergence",
        workload="index-churn",
        faults=("index-lag", "slow-node"),
        patches=(Patch(Partition, "owe_change", "a21f040a", _only_backfill),),
    ),
    PlantedBug(
        name="delete-overtaken-by-its-put",
        rule="an index remembers a delete until no older put of that entry can be under way",
        sentence="an index partition forgets a deleted entry at once, and takes an older put that comes after it",
        checker="index-convergence",
        workload="index-churn",
        faults=("index-lag", "reorder"),
        patches=(Patch(Partition, "_index", "76331eb5", _no_tombstone),),
    ),
    PlantedBug(
        name="moved-item-leaves-its-entry",
        rule="a change of an index key is a put of the new entry and a delete of the old one",
        sentence="no entry is ever taken out of an index again",
        checker="index-convergence",
        workload="index-churn",
        faults=("delay", "slow-node"),
        patches=(Patch(Partition, "owe_change", "a21f040a", _only_puts),),
    ),
    PlantedBug(
        name="versions-restart-in-a-child",
        rule="versions of a divided partition's items go on in its children",
        sentence="a child counts the versions of its items from one",
        checker="index-convergence",
        workload="index-churn",
        faults=("split", "index-lag"),
        patches=(Patch(Partition, "owe_change", "a21f040a", _versions_from_one),),
    ),
    PlantedBug(
        name="index-doubles-what-is-told-again",
        rule="a change of an index that is told again changes nothing",
        sentence="an index partition makes another entry for a put that it has been told before",
        checker="index-entries",
        workload="index-churn",
        faults=("loss", "node-crash"),
        patches=(
            Patch(Partition, "is_newer", "0772c1e9", _told_again_is_newer),
            Patch(Partition, "_index", "76331eb5", _another_entry),
        ),
    ),
)
