"""Archiving: committed entries of every partition's log go to the object store, in files with a manifest
(architecture.md §5).

Rules:
- *Everybody, the leader first.* Every full replica of a table's partition archives what is not there yet; the leader
  does so soonest. The manifest is replaced only by who knows the last one, so nobody undoes what another did.
- *Verified twice.* A file is checked before it is put. A replica that finds slots archived already gets the file,
  checks it, and compares it with its own log. If they differ, one of the two is wrong: the replica says so in
  the manifest, and nobody archives anything more of this group.
- *Nothing is let go before.* A replica keeps entries, in memory and on its disk, until it knows them to be archived;
  but never more than `UNARCHIVED_MAX`: the archive may be away for long without harm to the data plane. What is let go
  of beyond that on all replicas is a hole that archiving does not pass over.
- *A split ends a log.* The children's archives begin behind the slot of the Split. A parent stays until its own archive
  is complete.

Indexes are made again from their tables, and the catalog is no partition: neither is archived. These are functions of
`StorageNode`, kept in a room of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dynalab_impl.effects import NO_OBJECT, Address, Effects, Nanoseconds, ObjectDone, object_tag
from dynalab_impl.objects import (
    ArchivedFile,
    ArchiveError,
    Manifest,
    file_name,
    make_file,
    manifest_bytes,
    manifest_name,
    read_file,
    read_manifest,
    same,
)
from dynalab_impl.partition import Partition
from dynalab_impl.replication.log import Log, shares
from dynalab_impl.replication.replica import Replica
from dynalab_model.events import Event

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode

FILE_ENTRIES = 128  # the leader archives so many entries as soon as it has them, and fewer when they get old
FILE_AGE_NS = 4_000_000_000
PATIENCE = 3  # followers wait so many times as long before they do the leader's work, or check it
UNARCHIVED_MAX = 100_000  # entries; a group of the service keeps some hundred MB (ATC'22 §4)


@dataclass(slots=True)
class GroupArchive:
    """What a replica knows of its group's archive. At most one request to the store is under way."""

    archived: int  # the last slot that this replica knows to be there
    known: bool = False  # whether it has read the manifest since it started
    asked: str = ""  # the object that it waits for
    manifest: Manifest | None = None
    tag: str = NO_OBJECT  # of that manifest
    file: ArchivedFile | None = None  # that is being checked, or put
    stopped: bool = False  # it differs from the archive


@dataclass(slots=True)
class Archiver:
    """A node's part in archiving."""

    groups: dict[str, GroupArchive] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)  # object → group


def tick(node: StorageNode, effects: Effects) -> None:
    """Once a heartbeat: begin what is due, and tell the writer of snapshots what must be kept."""
    archiver = node.archiver
    if archiver is None:
        return
    for group in [group for group in archiver.groups if group not in node.replicas]:
        del archiver.groups[group]
    kept: dict[str, int] = {}
    for group, replica in node.replicas.items():
        if not is_archived(replica):
            continue
        mine = archiver.groups.setdefault(group, GroupArchive(replica.spec.origin))
        kept[group] = max(mine.archived, replica.commit_index - UNARCHIVED_MAX)
        if not mine.asked and not mine.stopped and (not mine.known or _is_due(replica, mine, effects.wall_ns)):
            _ask(archiver, group, mine, manifest_name(group))
            effects.get_object(mine.asked)
    node.snapshots.archived(kept, node.replicas, effects)


def is_archived(replica: Replica) -> bool:
    """A full replica of a table's own partition."""
    return isinstance(replica.state, Partition) and not replica.spec.index and replica.has_state


def is_complete(node: StorageNode, group: str) -> bool:
    """Whether this node may drop its replica: a parent whose split has not been archived must stay."""
    replica = node.replicas.get(group)
    if node.archiver is None or replica is None or not is_archived(replica):
        return True
    assert isinstance(replica.state, Partition)
    mine = node.archiver.groups.get(group)
    return replica.state.split is None or mine is None or mine.stopped or mine.archived >= replica.commit_index


def _is_due(replica: Replica, mine: GroupArchive, wall_ns: Nanoseconds) -> bool:
    waiting = replica.commit_index - mine.archived
    if waiting <= 0:
        return False
    patience = 1 if replica.is_leader else PATIENCE
    if waiting >= FILE_ENTRIES * patience:
        return True
    oldest_ns = replica.log.entry(max(mine.archived, replica.log.base) + 1).time_ns if _held(replica, mine) else 0
    return wall_ns - oldest_ns >= FILE_AGE_NS * patience


def _held(replica: Replica, mine: GroupArchive) -> bool:
    """Whether any entry that is not archived is still in this replica's log."""
    return replica.commit_index > max(mine.archived, replica.log.base)


def _ask(archiver: Archiver, group: str, mine: GroupArchive, name: str) -> None:
    mine.asked = name
    archiver.asked[name] = group


def on_object(node: StorageNode, sender: Address, done: ObjectDone, effects: Effects) -> None:
    """The store has answered."""
    archiver = node.archiver
    assert archiver is not None and sender == node.address, "an answer that nobody asked for"
    group = archiver.asked.pop(done.name)
    mine, replica = archiver.groups.get(group), node.replicas.get(group)
    if mine is None or mine.asked != done.name:
        return
    mine.asked = ""
    if replica is None or not is_archived(replica) or mine.stopped or done.status == "failed":
        mine.file = None
        return  # if it is due, it is due again at the next tick
    try:
        if done.name != manifest_name(group):
            _on_file(archiver, replica, mine, done, effects)
        elif mine.file is None:
            _on_manifest(archiver, replica, mine, done, effects)
        else:
            _on_manifest_put(mine, group, done, effects)
    except ArchiveError as error:
        _stop(archiver, group, mine, str(error), effects)


def _stop(archiver: Archiver, group: str, mine: GroupArchive, why: str, effects: Effects) -> None:
    effects.tell(Event("archive-damaged", group, 0, mine.archived, why))
    mine.stopped = True
    if mine.manifest is not None and not mine.manifest.stopped:
        last_words = manifest_bytes(Manifest(group, mine.manifest.origin, mine.manifest.files, stopped=True))
        _ask(archiver, group, mine, manifest_name(group))
        effects.put_object(mine.asked, last_words, mine.tag)


def _on_manifest(archiver: Archiver, replica: Replica, mine: GroupArchive, done: ObjectDone, effects: Effects) -> None:
    group = replica.spec.group
    if done.status == "missing":
        mine.manifest, mine.tag = Manifest(group, replica.spec.origin, ()), NO_OBJECT
    else:
        mine.manifest, mine.tag = read_manifest(group, done.data), object_tag(done.data)
    mine.known = True
    if mine.manifest.stopped:
        mine.stopped = True
        effects.tell(Event("archive-stopped", group, 0, mine.manifest.last))
        return
    _go_on(archiver, replica, mine, effects)


def _go_on(archiver: Archiver, replica: Replica, mine: GroupArchive, effects: Effects) -> None:
    """Check the next file that is there and that this replica can check; when there is none, put the next one."""
    group, manifest = replica.spec.group, mine.manifest
    assert manifest is not None
    for file in manifest.files:
        if file.last <= mine.archived:
            continue
        if file.last <= replica.log.base:
            mine.archived = file.last  # let go of before this process began; others have compared it
            continue
        if file.last <= replica.commit_index:
            mine.file = file
            _ask(archiver, group, mine, file_name(group, file))
            effects.get_object(mine.asked)
        return
    if not _is_due(replica, mine, effects.wall_ns):
        return
    if replica.log.base > mine.archived:
        effects.tell(Event("archive-behind", group, 0, mine.archived))  # another replica may have what is missing
        return
    committed = replica.log.after(mine.archived, replica.commit_index - mine.archived)
    mine.file, data = make_file(group, next(shares(committed)))
    _ask(archiver, group, mine, file_name(group, mine.file))
    effects.put_object(mine.asked, data)


def _on_file(archiver: Archiver, replica: Replica, mine: GroupArchive, done: ObjectDone, effects: Effects) -> None:
    group, file, manifest = replica.spec.group, mine.file, mine.manifest
    assert file is not None and manifest is not None
    if file in manifest.files:
        mine.file = None
        _compare(replica, file, done, effects)
        mine.archived = file.last
        _go_on(archiver, replica, mine, effects)
    else:
        # The file first, then the manifest that names it: a name without a file would be a hole.
        longer = manifest_bytes(Manifest(group, manifest.origin, (*manifest.files, file)))
        _ask(archiver, group, mine, manifest_name(group))
        effects.put_object(mine.asked, longer, mine.tag)


def _compare(replica: Replica, file: ArchivedFile, done: ObjectDone, effects: Effects) -> None:
    group = replica.spec.group
    if done.status == "missing":
        raise ArchiveError(f"{group}: the file from slot {file.first} on is missing")
    for entry in read_file(group, file, done.data):
        if entry.slot > replica.log.base and not same(replica.log.entry(entry.slot), entry):
            raise ArchiveError(f"{group}: slot {entry.slot} differs from this replica's")
    effects.tell(Event("archive-checked", group, 0, file.last))


def _on_manifest_put(mine: GroupArchive, group: str, done: ObjectDone, effects: Effects) -> None:
    file, mine.file = mine.file, None
    assert file is not None
    if done.status == "refused":
        effects.tell(Event("archive-overtaken", group, 0, file.first))  # somebody else was quicker: look again
        return
    mine.archived = file.last
    effects.tell(Event("archived", group, 0, file.last))


def keep_older_entries(replica: Replica, before: Log, recorded: int, slot: int) -> None:
    """While the log is read back: a snapshot of the replica's own has just been loaded, and let go of the entries up to
    its slot. They may not be archived yet. Those that the replica had applied are the group's, so they stay.
    """
    if recorded >= slot and before.base < replica.log.base and len(before) >= slot:
        replica.log = before


def copy_of(log: Log) -> Log:
    """The same entries, in a log that another's trimming does not touch."""
    copied = Log(log.base)
    copied.base_ballot = log.base_ballot
    entries = log.after(log.base)
    if entries:
        copied.store(log.base + 1, entries)
    return copied
