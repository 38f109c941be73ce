"""Snapshots: a replica's applied state as pieces of bounded size, for its own log and for a replica that has fallen
behind.

A snapshot is a header and a flat sequence of images: rows, remembered answers, what is owed to indexes, tombstones,
or the tables of the catalog. The state goes on changing while pieces are written, so a snapshot begins with a shallow
copy of what there is: stored values are never changed, only replaced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from dynalab_impl.effects import JSON, Message, Nanoseconds
from dynalab_impl.entries import LATE
from dynalab_impl.messages import NO_BALLOT, Ballot, Form, GroupSpec, Held, Member, RequestId, StreamForm
from dynalab_model.streams import Change
from dynalab_model.values import Item, item_size

PIECE_IMAGES = 256  # images in one record or message, at most
PIECE_BYTES = 1 << 20  # ... and about so many bytes: a piece ends with the image that reaches them


@dataclass(slots=True)
class RowImage:
    key: bytes
    item: Item
    version: int
    time_ns: Nanoseconds
    stamp_ns: Nanoseconds = 0


@dataclass(frozen=True, slots=True)
class BackfillImage:
    """How far a new index has been given what was in its table before it: up to the key `after`, by the log's entry at
    `slot`.
    """

    index: str
    after: bytes = b""
    slot: int = 0
    done: bool = False


@dataclass(slots=True)
class PartitionImage:
    """What holds for a partition as a whole, where that is not what it began with."""

    form: Form
    deleted_ns: Nanoseconds
    deleted_slot: int
    backfills: tuple[BackfillImage, ...] = ()
    read_until_ns: Nanoseconds = 0


@dataclass(slots=True)
class OutcomeImage:
    """What a request came to: kept in the dedup table, so that every copy of the request gets the same answer. It is
    written as it is kept: there are as many as a partition has answered within the time that a retry may take.
    """

    request: RequestId
    expiry_ns: Nanoseconds
    status: int
    error: str
    body: dict[str, JSON]


@dataclass(slots=True)
class OwedImage:
    """An index change that the entry at `slot` caused and that the propagator still has to carry. None deletes the
    entry. `sequence` counts all of a partition. In the index a change counts by its `version`, the slot that wrote the
    item: a backfill owes what was written long before.
    """

    sequence: int
    slot: int
    index: str
    key: bytes
    item: Item | None
    source: bytes  # the base item's key
    version: int
    time_ns: Nanoseconds  # the log time of `slot`: how far the index is behind
    free: bool = False  # of the index's capacity


@dataclass(slots=True)
class ShardImage:
    """A shard of the table's stream, without its changes."""

    id: str
    parent: str
    stream: StreamForm
    first: int
    opened_ns: Nanoseconds
    ended: int
    closed_ns: Nanoseconds
    trimmed: int
    floor_ns: Nanoseconds = field(default=0, metadata=LATE)


@dataclass(slots=True)
class ChangeImage:
    """A change in this shard; behind the shard, and behind the shard's earlier changes."""

    shard: str
    change: Change


@dataclass(slots=True)
class TombstoneImage:
    key: bytes
    version: int
    time_ns: Nanoseconds


@dataclass(slots=True)
class HeldImage:
    """A prepared transaction's marker."""

    key: bytes
    held: Held


@dataclass(slots=True)
class SplitImage:
    """The partition was split: its data is in these two now."""

    left: GroupSpec
    right: GroupSpec


@dataclass(slots=True)
class TableImage:
    form: Form
    settings: dict[str, object]
    table_id: str
    status: str
    created_ns: Nanoseconds
    groups: tuple[GroupSpec, ...]


@dataclass(slots=True)
class NodeImage:
    member: Member


@dataclass(slots=True)
class LeftoverImage:
    table_id: str
    groups: tuple[GroupSpec, ...]


@dataclass(slots=True)
class DividedImage:
    """A partition that was split, until every member has the children."""

    parent: GroupSpec
    left: str
    right: str


Image: TypeAlias = (
    RowImage
    | PartitionImage
    | OutcomeImage
    | OwedImage
    | ShardImage
    | ChangeImage
    | TombstoneImage
    | HeldImage
    | SplitImage
    | TableImage
    | NodeImage
    | LeftoverImage
    | DividedImage
)


NO_TIME = -1  # in the header for a log replica: it applies nothing


@dataclass(slots=True)
class SnapshotHeader:
    """What holds for the whole: the slot that the state was applied to, and what the log said of the group so far."""

    spec: GroupSpec
    slot: int
    log_time_ns: Nanoseconds
    members: tuple[Member, ...]
    barrier: Ballot
    counter: int  # changes owed so far, or groups placed so far
    slot_ballot: Ballot = NO_BALLOT  # of the entry in `slot`
    members_slot: int = 0  # of the last membership change that `members` knows; may lie behind `slot` in a log replica

    @property
    def has_no_state(self) -> bool:
        """Whether it tells a log replica where its log begins, and nothing else: it has not got a time either."""
        return self.log_time_ns == NO_TIME


class Images(Protocol):
    """A state whose parts can be written."""

    def image(self, part: object) -> Image:
        """One part of a view, as it is written."""


@dataclass(slots=True)
class Outgoing:
    """A snapshot that is being written or sent."""

    header: SnapshotHeader
    parts: list[object]
    at: int = 0
    number: int = 0  # of the piece that is next
    row_bytes: int = 0  # of the rows written so far

    def piece(self, state: Images, most: int = PIECE_IMAGES) -> tuple[Image, ...]:
        """The images from `at` on, without moving on."""
        images: list[Image] = []
        size_bytes = 0
        part: Any
        for part in self.parts[self.at : self.at + most]:
            if type(part) is OutcomeImage:  # as they are: mostly there are more of them than of all others
                images.append(part)
                if part.body:
                    size_bytes += len(str(part.body))  # about that: it may tell the item that was replaced
            else:
                image = state.image(part)
                images.append(image)
                # Rows and changes of streams know what they weigh: they are written again and again.
                size_bytes += part[1].size_bytes if type(part) is tuple else image_bytes(image)
            if size_bytes >= PIECE_BYTES:
                break
        return tuple(images)


def image_bytes(image: Image) -> int:
    """About what another image weighs: its item, if it has one."""
    if isinstance(image, OwedImage):
        return item_size(image.item) if image.item else 0
    if isinstance(image, HeldImage):
        return item_size(image.held.item) if image.held.item else 0
    return 0


@dataclass(slots=True)
class Incoming:
    """A snapshot that is being received or read back."""

    header: SnapshotHeader
    images: list[Image]
    number: int = 0  # of the piece that is expected next
    ballot: Ballot = (0, "")


@dataclass(slots=True)
class TakeSnapshot(Message):
    """A piece of the leader's state, for a replica that needs what the leader's log does not hold any more."""

    group: str
    ballot: Ballot
    header: SnapshotHeader
    number: int
    images: tuple[Image, ...]
    last: bool


@dataclass(slots=True)
class SnapshotTaken(Message):
    """This piece is on disk."""

    group: str
    ballot: Ballot
    slot: int
    number: int
