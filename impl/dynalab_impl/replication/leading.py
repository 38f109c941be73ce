"""What only a leader knows: how far each peer is, what is pending, whom to answer, and until when its lease runs.

All of it is forgotten when leadership ends. Nothing here is on disk.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import ClassVar

from dynalab_impl.effects import Address, Nanoseconds, Position, Timing
from dynalab_impl.messages import Ballot, Held, Member, RequestId
from dynalab_impl.replication.quorum import quorum_value, zones_needed
from dynalab_impl.snapshot import Outgoing
from dynalab_model.values import Item

SILENT_HEARTBEATS = 2  # a peer that has missed so many is silent
AHEAD_MAX_NS = 5_000_000_000  # how far log time may run ahead of most members' wall clocks
UNCOMMITTED_MAX = 1024  # more appended, uncommitted entries are refused: the router tries again


@dataclass(slots=True)
class Peer:
    """Another member as its leader sees it. It votes only under the incarnation that the group has admitted."""

    address: Address
    zone: str
    incarnation: int
    match: int = 0  # its log agrees with ours through this slot
    next: int = 1  # the first slot not sent yet
    in_flight: int = 0
    told_commit: int = 0
    renewed_ns: Nanoseconds = -1  # when the newest renewal that it acknowledged was sent
    match_at_tick: int = -1
    told: int = 0  # the match of its last heartbeat's answer: it falls when the peer has restarted
    told_at_tick: int = -1
    sending: Outgoing | None = None  # it is so far behind that it gets a snapshot
    sent_at_tick: int = -1
    heard_ns: Nanoseconds = -1  # when it answered last
    log: bool = False  # it holds the log alone

    def is_heard(self, now_ns: Nanoseconds, timing: Timing) -> bool:
        """Whether it has answered within the last heartbeats."""
        return self.heard_ns >= 0 and now_ns - self.heard_ns <= SILENT_HEARTBEATS * timing.heartbeat_ns


@dataclass(slots=True)
class Waiter:
    """Who gets the outcome of a slot. `source` is the base group for an index write, else ""."""

    to: Address
    number: int
    source: str = ""


@dataclass(slots=True)
class Leading:
    """A leader's own state, from its phase-1 quorum to its end."""

    REMEMBERED: ClassVar = ("whole", "voting")  # no part of the state (`plain`)

    ballot: Ballot
    barrier_slot: int
    serve_after_ns: Nanoseconds  # the previous leader's lease has certainly ended by then
    peers: dict[Address, Peer]
    own_zone: str
    members: int
    zones: int
    durable_slot: int = 0
    unsynced: deque[tuple[Position, int]] = field(default_factory=deque)
    waiters: dict[int, list[Waiter]] = field(default_factory=dict)
    pending_items: dict[bytes, tuple[int, Item | None]] = field(default_factory=dict)
    pending_requests: dict[RequestId, int] = field(default_factory=dict)
    # Of keys with a transaction's entry that is not committed yet: its slot, and who holds the key after it.
    pending_held: dict[bytes, tuple[int, Held | None]] = field(default_factory=dict)
    # Keys whose whole item the entry in that slot replaced, unseen since the timestamp beside it.
    overwritten: dict[bytes, tuple[int, Nanoseconds]] = field(default_factory=dict)
    # Timestamps as of which this leader has served reads in one round: by key, of all others at the latest, and of all.
    read_ns: dict[bytes, Nanoseconds] = field(default_factory=dict)
    read_floor_ns: Nanoseconds = -1  # -1: not known yet, and then it is what the partition says
    read_top_ns: Nanoseconds = -1
    ceiling_slot: int = 0  # of the last ReadCeiling that this leader has logged
    clocks: dict[Address, Nanoseconds] = field(default_factory=dict)  # members' wall clocks, against this one's
    correction_ns: Nanoseconds = 0  # of this one's, where it is far ahead of most
    compared_ns: Nanoseconds = 0  # what this one said when they were compared last
    ledger_seen: bytes = b""  # of the ledger's leaders: the last key looked at (`stalled`)
    lease_from_ns: Nanoseconds = -1
    served: bool = False
    lease_lost: bool = False
    changing: bool = False  # a change of the membership is logged: one at a time
    gathering: bool = False  # a timer will send what is logged until then
    splitting: bool = False  # a Split is logged: nothing goes behind it
    form_version: int = 0  # of the newest form of the table that this leader has logged
    ending: bool = False  # that form is one of a deleted table
    seat: Address | None = None  # of a silent member, that a log replica is sought for
    asked: list[Address] = field(default_factory=list)  # to hold the log in that seat
    joining: Address | None = None  # the one of them that does, and is no member yet
    fresh: dict[Address, Address] = field(default_factory=dict)  # replicas being built, and whom each replaces
    leaving: dict[Address, Nanoseconds] = field(default_factory=dict)  # replicas that lost their seats, since when
    membership_told: int = 0  # the catalog knows of the changes up to this slot
    whole: tuple[Member, ...] | None = None  # members that were found to need no change (`healing`)
    voting: tuple[tuple[Member, ...], list[Peer]] | None = None  # members, and those of the peers that vote with them

    def count(self, members: tuple[Member, ...]) -> None:
        """From here on slots and renewals are counted by these members."""
        self.members, self.zones = len(members), zones_needed(members)

    def compare_clocks(self, sender: Address, theirs_ns: Nanoseconds, own_ns: Nanoseconds) -> None:
        """A member has told its wall clock, some time on its way ago."""
        if abs(own_ns - self.compared_ns) > AHEAD_MAX_NS:
            self.clocks.clear()  # it has jumped: what silent members said before is no comparison with this clock
        self.clocks[sender], self.compared_ns = theirs_ns - own_ns, own_ns
        offsets = [0, *self.clocks.values()]
        offsets.sort()
        # The one in the middle, and of two the earlier: one clock that is wrong does not decide.
        self.correction_ns = min(0, offsets[(len(offsets) - 1) // 2] + AHEAD_MAX_NS)

    def wall_ns(self, own_ns: Nanoseconds) -> Nanoseconds:
        """This leader's wall clock, held back where it runs far ahead of most members'. Log time never goes back, so
        what a clock that has jumped writes there would make all later requests look expired. 0 while nobody has told
        what its clock says: log time then stands still.

        >>> lead = begin((1, "n"), 1, 0, Address("r", "z1", "a"), ())
        >>> lead.wall_ns(100), lead.compare_clocks(Address("r", "z2", "b"), 90, 100), lead.wall_ns(100)
        (0, None, 100)
        """
        # A leader that has compared its clock with nobody's for so long has no lease: the clock has jumped since.
        if not self.clocks:
            return 0
        most_ns = self.compared_ns + AHEAD_MAX_NS
        return (own_ns if own_ns < most_ns else most_ns) + self.correction_ns

    def middle_ns(self, own_ns: Nanoseconds) -> Nanoseconds:
        """This leader's wall clock, or that of the member in the middle where it is behind that one.

        >>> lead = begin((1, "n"), 1, 0, Address("r", "z1", "a"), ())
        >>> for zone, theirs_ns in (("z2", 170), ("z3", 190)):
        ...     lead.compare_clocks(Address("r", zone, "b"), theirs_ns, 100)
        >>> lead.middle_ns(100), lead.middle_ns(200)
        (170, 270)
        """
        offsets = sorted([0, *self.clocks.values()])
        return own_ns + max(0, offsets[(len(offsets) - 1) // 2])

    def add_peer(self, peer: Peer) -> None:
        """From here on this one is sent what is logged."""
        self.peers[peer.address] = peer
        self.voting = None

    def drop_peer(self, address: Address) -> None:
        """From here on this one is sent nothing."""
        self.peers.pop(address, None)
        self.voting = None

    def voters(self, members: tuple[Member, ...]) -> list[Peer]:
        """The peers whose disks the group has admitted, in the order of the members. They are found out again only when
        members, peers or disks are others: every answer to an Accept asks.
        """
        if self.voting is not None and self.voting[0] is members:
            return self.voting[1]
        out: list[Peer] = []
        for member in members:
            peer = self.peers.get(member.address)
            if peer is not None and peer.incarnation == member.incarnation:
                out.append(peer)
        self.voting = members, out
        return out

    def in_three_zones(self, voters: list[Peer]) -> bool:
        """Whether any two of a leader and its two voters are a quorum, as in almost every group."""
        one, other = voters[0].zone, voters[1].zone
        return one != other and one != self.own_zone and other != self.own_zone

    def committable(self, members: tuple[Member, ...]) -> int:
        """The highest slot that a quorum holds on disk."""
        voters = self.voters(members)
        if len(voters) == 2 and self.members == 3 and self.in_three_zones(voters):
            one, other = voters[0].match, voters[1].match  # two of three: the one in the middle
            if one > other:
                one, other = other, one
            return one if self.durable_slot < one else min(self.durable_slot, other)
        values = [(peer.match, peer.zone) for peer in voters]
        values.append((self.durable_slot, self.own_zone))
        return quorum_value(values, self.members, self.zones) or 0

    def renew(self, members: tuple[Member, ...], now_ns: Nanoseconds) -> None:
        """Move the lease's start to the newest renewal that a quorum acknowledged (the leader itself agrees now)."""
        voters = self.voters(members)
        start_ns: Nanoseconds | None
        if len(voters) == 2 and self.members == 3 and self.in_three_zones(voters):
            start_ns = max(voters[0].renewed_ns, voters[1].renewed_ns)  # and the leader's own now
        else:
            values = [(peer.renewed_ns, peer.zone) for peer in voters]
            values.append((now_ns, self.own_zone))
            start_ns = quorum_value(values, self.members, self.zones)
        if start_ns is not None and start_ns > self.lease_from_ns:
            self.lease_from_ns = start_ns


def begin(
    ballot: Ballot, barrier_slot: int, serve_after_ns: Nanoseconds, me: Address, members: tuple[Member, ...]
) -> Leading:
    """A leader that has its phase-1 quorum and knows nothing of its peers yet."""
    peers = {
        m.address: Peer(m.address, f"{m.address.region}/{m.address.zone}", m.incarnation)
        for m in members
        if m.address != me
    }
    return Leading(
        ballot, barrier_slot, serve_after_ns, peers, f"{me.region}/{me.zone}", len(members), zones_needed(members)
    )
