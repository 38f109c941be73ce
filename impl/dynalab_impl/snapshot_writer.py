"""How a node keeps its log short: it writes snapshots of its replicas into the log, one after another, and lets go of
what lies before.

The log of a node is shared by all of its groups, so it can be cut only before the oldest record that some group still
needs. A cycle therefore writes a snapshot of every group, also of idle ones, in pieces of bounded size at each tick.
Records of other groups and new entries of the same group lie between the pieces. Only when a snapshot's end is on
disk does it count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from dynalab_impl.effects import Effects, Position
from dynalab_impl.messages import Entry
from dynalab_impl.records import (
    AcceptedEntries,
    DroppedGroups,
    Formatted,
    LeftGroup,
    SnapshotBegin,
    SnapshotEnd,
    SnapshotPiece,
)
from dynalab_impl.replication.catchup import header_of
from dynalab_impl.replication.log import shares
from dynalab_impl.replication.replica import Replica
from dynalab_impl.snapshot import PIECE_IMAGES, Outgoing
from dynalab_impl.stored import StoredItem
from dynalab_model.events import Event

LOG_TAIL_ENTRIES = 128  # kept behind a snapshot, so that a follower that is a little behind needs no snapshot
LOG_REPLICA_ENTRIES_MAX = 4096  # committed ones that a log replica keeps for a full replica that is behind
PIECES_A_TICK_MAX = 64  # bounds what one tick appends, whatever the size of the items
TICKS_A_CYCLE = 40  # a cycle should take about so many ticks, however much there is to write


@dataclass(slots=True)
class Ended:
    """A snapshot whose end has been appended: it counts when `position` is on disk."""

    position: Position
    group: str
    begin: Position
    slot: int


@dataclass(slots=True)
class SnapshotWriter:
    """A node's cycles of snapshots. `begun` holds, for each group, the position from which its records are needed."""

    records_max: int
    as_state: bool = False  # wait until the log is as long as the snapshots would be
    cycle_from: Position = 0
    waiting: deque[str] = field(default_factory=deque)  # groups that this cycle has still to write
    group: str = ""
    outgoing: Outgoing | None = None
    begin: Position = 0
    images_a_tick: int = PIECE_IMAGES
    ended: deque[Ended] = field(default_factory=deque)
    begun: dict[str, Position] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)  # bytes of each group's items, as of its last snapshot
    kept: dict[str, int] = field(default_factory=dict)  # groups that are archived: up to which slot they are
    held: dict[str, Ended] = field(default_factory=dict)  # snapshots on disk that count when the archive has their slot
    header: Position = 0  # of the newest record that says whose disk this is
    packs: bool = False  # items that no log holds any more are packed when they are written (`stored`)

    def tick(
        self,
        replicas: dict[str, Replica],
        incarnation: int,
        dropped: dict[str, bool],
        left: dict[str, LeftGroup],
        effects: Effects,
    ) -> None:
        """Begin a cycle when the log has grown enough; write the next pieces of the one that runs."""
        if self.outgoing is None and not self.waiting:
            grown = effects.appended - self.cycle_from
            if grown < self.records_max:
                return
            parts = sum(len(replica.state.dedup) + replica.state.size for replica in replicas.values())
            if self.as_state and grown < parts:
                return  # a busy node would be at it all the time, for a log that is shorter than what takes its place
            self.cycle_from = effects.appended
            self.header = effects.append(Formatted(incarnation))
            effects.append(DroppedGroups(tuple(dropped), tuple(left.values())))
            self.waiting.extend(replicas)
            self.images_a_tick = max(PIECE_IMAGES, parts // TICKS_A_CYCLE)
        room = self.images_a_tick
        for _ in range(PIECES_A_TICK_MAX):
            if room <= 0 or (self.outgoing is None and not self.waiting):
                break
            room -= self._write(replicas, effects)

    def _write(self, replicas: dict[str, Replica], effects: Effects) -> int:
        """One piece, or the beginning of the next group's snapshot; gives the images written, at least 1."""
        if self.outgoing is None:
            self._begin(self.waiting.popleft(), replicas, effects)
            return 1
        replica = replicas.get(self.group)
        outgoing = self.outgoing
        if replica is None or replica.incoming is not None:  # dropped, or it is being replaced by its leader's
            self.outgoing = None
            return 1
        images = outgoing.piece(replica.state)
        parts = outgoing.parts[outgoing.at : outgoing.at + len(images)]
        outgoing.row_bytes += sum(
            [part[1].size_bytes for part in parts if type(part) is tuple and type(part[1]) is StoredItem]
        )
        if self.packs:
            _pack(parts, replica.log.base)
        outgoing.at += len(images)
        if images:
            effects.append(SnapshotPiece(self.group, outgoing.header.slot, images))
        if outgoing.at >= len(outgoing.parts):
            position = effects.append(SnapshotEnd(self.group, outgoing.header.slot))
            self.ended.append(Ended(position, self.group, self.begin, outgoing.header.slot))
            self.sizes[self.group] = outgoing.row_bytes
            self.outgoing = None
        return max(1, len(images))

    def _begin(self, group: str, replicas: dict[str, Replica], effects: Effects) -> None:
        replica = replicas.get(group)
        if replica is None or replica.incoming is not None:
            return
        header = header_of(replica)
        if replica.log_only:
            header.slot = _log_begins_at(replica)
            header.slot_ballot = replica.log.ballot_of(header.slot)
        self.group = group
        self.outgoing = Outgoing(header, [] if replica.log_only else replica.state.view())
        self.begin = effects.append(
            SnapshotBegin(
                header, replica.role == "learner", replica.promised, replica.joined, replica.log_only, replica.counted
            )
        )
        # Accepted and not committed, and all that a log replica keeps: the records of these stand before the snapshot.
        for share in self.tail(replica, header.slot):
            effects.append(AcceptedEntries(group, replica.promised, share[0].slot, share))

    def tail(self, replica: Replica, slot: int) -> Iterator[tuple[Entry, ...]]:
        """What the replica's log holds behind the slot of its snapshot."""
        return shares(replica.log.after(slot))

    def forget(self, group: str) -> None:
        """The replica is gone. One of the same group that the node takes on later must not find its snapshot's end."""
        self.sizes.pop(group, None)
        self.begun.pop(group, None)
        if self.group == group:
            self.outgoing = None

    def on_durable(self, position: Position, replicas: dict[str, Replica], effects: Effects) -> None:
        """What has reached the disk counts; let go of the log that nobody needs."""
        if not self.ended or self.ended[0].position > position:
            return
        while self.ended and self.ended[0].position <= position:
            done = self.ended.popleft()
            replica = replicas.get(done.group)
            if replica is not None:
                effects.tell(Event("snapshot-written", done.group, 0, done.slot))
                if done.slot > self.kept.get(done.group, done.slot):
                    # Nothing before it may go yet. The oldest such snapshot waits: a newer one would wait longer.
                    self.held.setdefault(done.group, done)
                else:
                    self._count(done, replica)
        self._let_go(replicas, effects)

    def _count(self, done: Ended, replica: Replica) -> None:
        """This snapshot takes the place of what lies before it."""
        self.begun[done.group] = done.begin
        let_go = done.slot if replica.log_only else done.slot - LOG_TAIL_ENTRIES
        replica.log.trim(max(replica.log.base, min(let_go, replica.commit_index)))

    def archived(self, kept: dict[str, int], replicas: dict[str, Replica], effects: Effects) -> None:
        """The groups of this node that are archived, and up to which slot: snapshots that waited for that count now."""
        self.kept = kept
        waiting, self.held = self.held, {}
        for group, done in waiting.items():
            replica = replicas.get(group)
            if replica is not None and done.slot > kept.get(group, done.slot):
                self.held[group] = done
            elif replica is not None:
                self._count(done, replica)
        if len(self.held) < len(waiting):
            self._let_go(replicas, effects)

    def _let_go(self, replicas: dict[str, Replica], effects: Effects) -> None:
        self.begun = {group: at for group, at in self.begun.items() if group in replicas}
        if self.header and len(self.begun) == len(replicas):
            effects.truncate(min([self.header, *self.begun.values()]))


def _pack(parts: list[object], base: int) -> None:
    """Items that were written behind `base` stand in the log as well: packed, they would be held twice."""
    for part in parts:
        if type(part) is tuple and type(part[1]) is StoredItem and part[1].version <= base:
            part[1].pack()


def _log_begins_at(replica: Replica) -> int:
    """How far a log replica may let go: what is committed and on every full replica, less a tail."""
    kept = replica.commit_index - LOG_REPLICA_ENTRIES_MAX
    return max(replica.log.base, kept, min(replica.commit_index - LOG_TAIL_ENTRIES, replica.full_match))
