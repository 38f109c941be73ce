"""How a storage node comes back: its log is read from the first record that survived, and rebuilds its replicas.

The log may begin anywhere before what the node still needs (`effects`, rule 8). Records of a group whose beginning
was let go are passed over until the group's snapshot begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynalab_impl import bygone
from dynalab_impl.archive import copy_of, keep_older_entries
from dynalab_impl.effects import Effects, Record
from dynalab_impl.membership_duties import make_learner
from dynalab_impl.partition import Partition
from dynalab_impl.records import (
    AcceptedEntries,
    CommittedUpTo,
    DroppedGroup,
    DroppedGroups,
    Formatted,
    HostedGroup,
    LeftGroup,
    LiveMakings,
    Promised,
    SnapshotBegin,
    SnapshotEnd,
    SnapshotPiece,
    SplitApplied,
)
from dynalab_impl.replication.catchup import install
from dynalab_impl.snapshot import Incoming
from dynalab_impl.splitting import make_children

if TYPE_CHECKING:
    from dynalab_impl.replication.replica import Replica
    from dynalab_impl.storage_node import StorageNode


def replay(node: StorageNode, record: Record, reading: dict[tuple[str, int], Incoming], effects: Effects) -> None:
    """Records of a group whose beginning was let go are passed over until its snapshot begins."""
    if isinstance(record, AcceptedEntries):
        if record.group in node.replicas:
            node.replicas[record.group].recover_entries(record.ballot, record.first_slot, record.entries)
    elif isinstance(record, Promised):
        if record.group in node.replicas:
            node.replicas[record.group].recover_promise(record.ballot)
    elif isinstance(record, CommittedUpTo):
        if record.group in node.replicas:
            node.replicas[record.group].recover_commit(record.slot)
    elif isinstance(record, HostedGroup):
        node.left.pop(record.spec.group, None)
        node.replicas[record.spec.group] = (
            make_learner(node, record) if record.learner else node.make_replica(record.spec, learner=False)
        )
    elif isinstance(record, SplitApplied):
        parent = node.replicas.get(record.group)
        if parent is not None:
            _replay_split(node, parent, record.slot, effects)
    elif isinstance(record, SnapshotBegin):
        _replay_snapshot(node, record, reading)
    elif isinstance(record, SnapshotPiece):
        if (record.group, record.slot) in reading:
            reading[record.group, record.slot].images.extend(record.images)
    elif isinstance(record, SnapshotEnd):
        incoming = reading.pop((record.group, record.slot), None)
        if incoming is not None and record.group in node.replicas:
            _install(node.replicas[record.group], incoming, node.topology.archive)
    elif isinstance(record, DroppedGroups):
        node.dropped.update(dict.fromkeys(record.groups, True))
        node.left.update({left.group: left for left in record.left})
    elif isinstance(record, LiveMakings):
        bygone.learn(node, record)
    elif isinstance(record, LeftGroup):
        node.replicas.pop(record.group, None)
        node.left[record.group] = record
    elif isinstance(record, DroppedGroup):
        node.replicas.pop(record.group, None)
        node.left.pop(record.group, None)
        node.dropped[record.group] = True
    elif isinstance(record, Formatted):
        assert record.incarnation == node.incarnation, "a disk keeps its incarnation"


def _replay_split(node: StorageNode, parent: Replica, slot: int, effects: Effects) -> None:
    parent.recover_commit(slot)
    if parent.commit_index < parent.log.base:
        # The Split was applied while a snapshot of the parent was being written, and what lies before that was let go.
        # So the children have snapshots of their own further on, or are gone.
        return
    parent.advance(slot, effects)
    if isinstance(parent.state, Partition) and parent.state.split is not None:
        parent.state.taken = True
        make_children(node, parent, effects)


def _replay_snapshot(node: StorageNode, record: SnapshotBegin, reading: dict[tuple[str, int], Incoming]) -> None:
    header = record.header
    group = header.spec.group
    reading[group, header.slot] = Incoming(header, [])
    replica = node.replicas.get(group)
    if replica is None:
        # All before was let go, so this snapshot is complete; what follows is stored behind its slot.
        replica = node.replicas[group] = node.make_replica(header.spec, record.learner)
        replica.joined, replica.log_only, replica.counted = record.joined, record.log_only, record.counted
        replica.log.trim(header.slot, header.slot_ballot)
    replica.recover_promise(record.promised)


def _install(replica: Replica, incoming: Incoming, archived: bool) -> None:
    if not archived:
        install(replica, incoming)
        return
    before, recorded = copy_of(replica.log), replica.recorded_commit
    install(replica, incoming)
    keep_older_entries(replica, before, recorded, incoming.header.slot)
