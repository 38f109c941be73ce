"""What a storage node writes to its write-ahead log. Replaying them in order rebuilds the node: nothing else is
remembered.

`Accepted` and `Promised` are the acceptor's promises of Paxos and must be on disk before they are told.
`CommittedUpTo` only saves time after a restart; losing it loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from dynalab_impl.effects import Record
from dynalab_impl.messages import Ballot, Entry, GroupSpec


@dataclass(slots=True)
class Formatted(Record):
    """First record of a disk: its incarnation."""

    incarnation: int


@dataclass(slots=True)
class HostedGroup(Record):
    """This node has a replica of the group; `learner` if it joined an existing group with an empty disk."""

    spec: GroupSpec
    learner: bool


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
class CommittedUpTo(Record):
    group: str
    slot: int
