"""What a storage node writes to its write-ahead log. Replaying them in order rebuilds the node: nothing else is
remembered.

`Accepted` and `Promised` are the acceptor's promises of Paxos and must be on disk before they are told.
`CommittedUpTo` only saves time after a restart; losing it loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from dynalab_impl.effects import Record
from dynalab_impl.messages import NO_BALLOT, Ballot, Entry, GroupSpec, Member
from dynalab_impl.snapshot import Image, SnapshotHeader


@dataclass(slots=True)
class Formatted(Record):
    """First record of a disk: its incarnation."""

    incarnation: int


@dataclass(slots=True)
class HostedGroup(Record):
    """This node has a replica of the group; `learner` if it joined an existing group with an empty disk.

    A learner knows the members as of the change at `joined`, and what this disk had `promised` when it held a replica
    of the group before.
    """

    spec: GroupSpec
    learner: bool
    members: tuple[Member, ...] = ()
    joined: int = 0
    log_only: bool = False
    promised: Ballot = NO_BALLOT


@dataclass(slots=True)
class DroppedGroup(Record):
    group: str


@dataclass(slots=True)
class Promised(Record):
    group: str
    ballot: Ballot


@dataclass(slots=True)
class AcceptedEntries(Record):
    """Entries from `first_slot` on; they replace what older ballots had put there. `ballot` is a promise as well."""

    group: str
    ballot: Ballot
    first_slot: int
    entries: tuple[Entry, ...]


@dataclass(slots=True)
class SnapshotBegin(Record):
    """A snapshot of a group's state begins; its pieces follow, with other records between them.

    Once it is complete nothing before this record is needed for the group: `learner` and `promised` say what the older
    records said.
    """

    header: SnapshotHeader
    learner: bool
    promised: Ballot
    joined: int = 0
    log_only: bool = False
    counted: bool = True


@dataclass(slots=True)
class SnapshotPiece(Record):
    group: str
    slot: int
    images: tuple[Image, ...]


@dataclass(slots=True)
class SnapshotEnd(Record):
    group: str
    slot: int


@dataclass(slots=True)
class LeftGroup(Record):
    """This node has let go of its replica, and may be asked to hold one of this group again. What it had promised
    holds for that one as well: its votes are counted by address and incarnation, and those are the same. `slot` is that
    of the last change of the membership that it knew of: a leader that asks it to join again knows of that one, too.
    """

    group: str
    promised: Ballot
    slot: int


@dataclass(slots=True)
class DroppedGroups(Record):
    """All groups that this node has dropped so far, and those that it has left."""

    groups: tuple[str, ...]
    left: tuple[LeftGroup, ...] = ()


@dataclass(slots=True)
class LiveMakings(Record):
    """Which makings of tables and indexes there were at this slot of the catalog's log, in order (`bygone`): of all
    others up to it nothing is left.
    """

    slot: int
    live: tuple[int, ...]


@dataclass(slots=True)
class CommittedUpTo(Record):
    group: str
    slot: int


@dataclass(slots=True)
class SplitApplied(Record):
    """The group's Split at this slot is applied: the children's records may follow from here."""

    group: str
    slot: int
