"""The shards of a table's streams that a partition holds: what applying an entry does to them (architecture.md §13).

Rules:
- *Part of the state.* Shards change when entries are applied, and by nothing else: all replicas have the same records
  under the same numbers, and what is not committed is in none of them. So a record is told once, and in order, whoever
  leads.
- *A partition has one open shard at most*, the last of the list; the others are closed. A closed one ends before its
  child begins, since a log's slots only grow, also from a partition to its halves.
- *A split closes the shard.* Closed shards stay with the half that holds the partition's first key, so whoever knows
  that key finds them again, however often it is split. Each half opens a shard whose parent is the one that was closed.
- *Time is log time.* A shard is closed and followed by another when it has been open for `roll_s`; records go when they
  are older than `keep_s`, some at a time. Readers are held to the same age by the clock (`stream_duties`).

Functions of a list of shards; a partition without a stream has an empty one, and nothing is done.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from dynalab_impl.effects import Nanoseconds
from dynalab_impl.entries import GroupSpec, StreamForm
from dynalab_impl.snapshot import ChangeImage, ShardImage
from dynalab_model.schema import TableSchema
from dynalab_model.streams import Change, ShardInfo, change_of, shard_id, slot_number
from dynalab_model.values import Item

SECOND = 1_000_000_000
DIGESTED_TOGETHER = 512
TRIMMED_TOGETHER = 64  # records go when so many are too old, or with their shard


@dataclass(slots=True)
class Shard:
    """A shard of the stream named `stream.label`, with the changes that are kept. `trimmed` is the number of the last
    one that is not. `ended` is its last number, 0 while it is open.
    """

    id: str
    parent: str
    stream: StreamForm
    first: int
    opened_ns: Nanoseconds  # 0 until the partition's first entry is applied
    ended: int = 0
    closed_ns: Nanoseconds = 0
    trimmed: int = 0
    changes: list[Change] = field(default_factory=list)
    floor_ns: Nanoseconds = 0  # of a feed: the times of its changes are later

    @property
    def info(self) -> ShardInfo:
        """What is told of it."""
        return ShardInfo(self.id, self.parent, self.first, self.ended)

    def number_for(self, slot: int) -> int:
        """The number of the next change in this slot."""
        return max(slot_number(slot), self.changes[-1].number + 1 if self.changes else self.trimmed + 1)

    def kept_from(self, horizon_ns: Nanoseconds) -> tuple[int, int]:
        """Where the changes begin that are younger than that, and the number of the last one that is not."""
        place = bisect_right(self.changes, horizon_ns, key=lambda change: change.time_ns)
        return place, self.changes[place - 1].number if place else self.trimmed

    def behind(self, after: int) -> int:
        """Where the changes begin whose numbers are greater."""
        return bisect_left(self.changes, after + 1, key=lambda change: change.number)


Shards: TypeAlias = list[Shard]


def begun(spec: GroupSpec) -> Shards:
    """The shards of a partition that is made with its table."""
    shards: Shards = []
    if spec.stream is not None and not spec.origin and not spec.index:
        open_one(shards, spec.group, spec.stream, 0, 0)
    return shards


def open_one(shards: Shards, group: str, stream: StreamForm, slot: int, time_ns: Nanoseconds, parent: str = "") -> None:
    """Open a shard for what comes from this slot on."""
    assert not shards or shards[-1].ended, "one shard is open at a time"
    first = slot_number(slot)
    shards.append(Shard(shard_id(group, first), parent, stream, first, time_ns))


def close_one(shards: Shards, slot: int, time_ns: Nanoseconds) -> str:
    """Close the open shard before this slot. Its name; "" if none was open."""
    if not shards or shards[-1].ended:
        return ""
    last = shards[-1]
    last.ended, last.closed_ns = max(slot_number(slot) - 1, last.first), time_ns
    return last.id


def note(
    shards: Shards,
    schema: TableSchema,
    slot: int,
    time_ns: Nanoseconds,
    before: Item | None,
    after: Item | None,
    identity: str,
) -> None:
    """An item has changed in this slot."""
    shard = shards[-1]
    if shard.ended:
        return  # the stream was disabled
    change = change_of(schema, shard.stream.view, shard.number_for(slot), time_ns, before, after, identity)
    if change is not None:
        shard.changes.append(change)


def reform(shards: Shards, group: str, stream: StreamForm | None, slot: int, time_ns: Nanoseconds) -> None:
    """The table has this stream from the next slot on, or none."""
    if shards and not shards[-1].ended and stream is not None and shards[-1].stream.label == stream.label:
        return
    close_one(shards, slot + 1, time_ns)
    if stream is not None:
        open_one(shards, group, stream, slot + 1, time_ns)


def pass_time(shards: Shards, group: str, slot: int, time_ns: Nanoseconds) -> None:
    """An entry is about to be applied in this slot, at this time of the log."""
    last = shards[-1]
    if not last.opened_ns or last.first == slot_number(slot):
        # Its first entry, however late that comes: a successor would begin where it does, and have its name.
        last.opened_ns = time_ns
    elif not last.ended and time_ns - last.opened_ns >= last.stream.roll_s * SECOND:
        parent = close_one(shards, slot, time_ns)
        open_one(shards, group, last.stream, slot, time_ns, parent)
    while shards and shards[0].ended and shards[0].closed_ns <= time_ns - shards[0].stream.keep_s * SECOND:
        del shards[0]
    for shard in shards:
        horizon_ns = time_ns - shard.stream.keep_s * SECOND
        together = shard.changes[TRIMMED_TOGETHER - 1 : TRIMMED_TOGETHER]
        if together and together[0].time_ns <= horizon_ns:
            place, shard.trimmed = shard.kept_from(horizon_ns)
            del shard.changes[:place]
        elif shard.changes:
            break  # later shards hold later changes


def divide(
    shards: Shards, halves: tuple[GroupSpec, GroupSpec], slot: int, time_ns: Nanoseconds, stream: StreamForm | None
) -> tuple[Shards, Shards]:
    """What the halves of a partition get of its shards when it is split in this slot."""
    left, right = halves
    parent = close_one(shards, slot + 1, time_ns)
    low, high = list(shards), list[Shard]()
    if stream is not None:
        open_one(low, left.group, stream, slot + 1, time_ns, parent)
        open_one(high, right.group, stream, slot + 1, time_ns, parent)
    return low, high


# --- snapshots ------------------------------------------------------------------------------------------------------


def parts(shards: Shards) -> list[object]:
    """Every shard, and every change with the name of its shard."""
    images: list[object] = [
        ShardImage(s.id, s.parent, s.stream, s.first, s.opened_ns, s.ended, s.closed_ns, s.trimmed, s.floor_ns)
        for s in shards
    ]
    return images + [(shard.id, change) for shard in shards for change in shard.changes]


def loaded(images: Iterable[ShardImage | ChangeImage]) -> Shards:
    """The shards that these are the parts of, in their order."""
    shards: dict[str, Shard] = {}
    for image in images:
        if isinstance(image, ShardImage):
            shards[image.id] = Shard(
                image.id,
                image.parent,
                image.stream,
                image.first,
                image.opened_ns,
                image.ended,
                image.closed_ns,
                image.trimmed,
                floor_ns=image.floor_ns,
            )
        else:
            shards[image.shard].changes.append(image.change)
    return list(shards.values())


def digested(shards: Shards, slot: int) -> list[object]:
    """Shards as plain values, for a digest of the state in this slot, with one stretch of their changes: another one in
    another slot, so that many digests cover all, and none takes long.
    """
    out: list[object] = []
    for shard in shards:
        ends = [shard.changes[0].number, shard.changes[-1].number] if shard.changes else []
        out.append([shard.id, shard.parent, shard.first, shard.ended, shard.opened_ns, shard.closed_ns, shard.trimmed])
        out.append([len(shard.changes), *ends])
    skipped = slot % (sum(len(shard.changes) for shard in shards) // DIGESTED_TOGETHER + 1) * DIGESTED_TOGETHER
    room = DIGESTED_TOGETHER
    for shard in shards:
        some = shard.changes[skipped : skipped + room]
        out.extend([c.number, c.name, c.time_ns, c.keys, c.old, c.new, c.identity] for c in some)
        skipped, room = max(0, skipped - len(shard.changes)), room - len(some)
    return out
