"""A replica of one group: acceptor, follower, candidate, leader or learner. Multi-Paxos with a leader lease (ATC'22
§3).

Rules:
- *Promise.* Nothing older than `promised` is accepted; a promise is on disk before it is told.
- *Log.* Contiguous from slot 1. `matched` is how far it is known to agree with the current leader's log: the
  committed prefix at first, then whatever that leader sent without a gap. What lies behind `matched` was accepted in
  older ballots and may give way.
- *Commit.* The leader commits what a quorum across two zones has on disk; a follower commits up to min(leader's
  commit, matched).
- *Take-over.* A candidate with a quorum of promises proposes the highest accepted entry of every slot again, then a
  Barrier in its own ballot. It serves once the Barrier is committed and one stretched lease has passed since its
  phase-1 quorum.
- *Lease.* Counts from the sending of the renewal that a quorum acknowledged. Without it nothing is served.
- *Learner.* A replica whose disk was lost, or that is to join, counts for nothing until a committed change names it
  (`membership`).
- *Log replica.* With `log_only` it votes and keeps entries, applies nothing, serves nothing and never leads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from dynalab_impl.effects import Address, Effects, Nanoseconds, Timing
from dynalab_impl.messages import (
    NO_BALLOT,
    Accept,
    Accepted,
    Ballot,
    Barrier,
    Beat,
    Commit,
    Entry,
    GroupSpec,
    Member,
    Promise,
    Refuse,
    RequestId,
    Split,
    Write,
)
from dynalab_impl.partition import Partition
from dynalab_impl.records import AcceptedEntries, Promised
from dynalab_impl.replication import catchup, elections, handover, healing, leadership, membership
from dynalab_impl.replication.leading import Leading, Waiter
from dynalab_impl.replication.log import Log
from dynalab_impl.replication.quorum import merge_accepted
from dynalab_impl.snapshot import Image, Incoming, OutcomeImage, SnapshotHeader
from dynalab_model.events import Event


class StateMachine(Protocol):
    """What a replica applies its log to: a partition or the catalog."""

    applied: int
    log_time_ns: Nanoseconds
    dedup: dict[RequestId, OutcomeImage]

    def apply(self, entry: Entry) -> None: ...

    def view(self) -> list[object]: ...

    def image(self, part: object) -> Image: ...

    def load(self, header: SnapshotHeader, images: Iterable[Image]) -> None: ...

    def fresh(self) -> StateMachine: ...

    @property
    def counter(self) -> int: ...

    @property
    def size(self) -> int: ...


class Replica:
    """One member's part in a group. `effects` is handed in with every call; the replica keeps no reference to it."""

    __slots__ = (
        "asked",
        "barrier",
        "commit_index",
        "counted",
        "election_after_ns",
        "following",
        "full_match",
        "heard_ns",
        "incarnation",
        "incoming",
        "joined",
        "leader",
        "leader_heard_ns",
        "leading",
        "log",
        "log_only",
        "matched",
        "me",
        "members",
        "members_slot",
        "no_vote_until_ns",
        "partial",
        "promised",
        "promises",
        "rebuilding",
        "recorded_commit",
        "relinquished",
        "role",
        "spec",
        "split_barrier",
        "state",
        "timing",
        "unheard",
        "was_behind",
    )

    def __init__(self, spec: GroupSpec, me: Address, incarnation: int, timing: Timing, state: StateMachine) -> None:
        self.spec = spec
        self.me = me
        self.incarnation = incarnation
        self.timing = timing
        self.state = state
        self.members: tuple[Member, ...] = spec.members  # as of the last change that is applied
        self.members_slot = 0  # the slot of that change
        self.joined = 0  # the slot of the last change when this replica joined; 0 if it was there from the beginning
        self.counted = True  # it has been a member since it joined
        self.log_only = False
        self.full_match = 0  # a log replica may let go of what lies before
        self.role = "follower"
        self.promised: Ballot = NO_BALLOT
        self.log = Log()
        self.barrier: Ballot = NO_BALLOT  # the newest one within the commit index
        self.split_barrier: Ballot = NO_BALLOT  # ... and the newest one before the Split, in a partition that has one
        self.commit_index = 0
        self.matched = 0
        self.following: Ballot = NO_BALLOT
        self.leader: Address | None = None
        self.leading: Leading | None = None
        self.promises: dict[Address, Promise] = {}
        self.partial: dict[Address, dict[int, Promise]] = {}  # parts of promises that are not whole yet
        self.asked: list[Address] = []  # for a promise in the ballot of the day
        self.relinquished: Ballot = NO_BALLOT  # a ballot whose leader served in it and never will again
        self.heard_ns: Nanoseconds = 0  # from a leader, or when the waiting for one began anew
        self.leader_heard_ns: Nanoseconds = 0
        self.unheard: list[Address] = []  # who has not heard a leader either, while this replica asks
        self.election_after_ns: Nanoseconds = 0
        self.no_vote_until_ns: Nanoseconds = 0
        self.recorded_commit = 0
        self.was_behind = False
        self.rebuilding = False  # its state was found to differ from the others': it is being replaced (`scrub`)
        self.incoming: Incoming | None = None  # a snapshot from the leader, as far as it has come

    # --- recovery ---------------------------------------------------------------------------------------------------

    def recover_promise(self, ballot: Ballot) -> None:
        """Replay one record; in order of the log."""
        self.promised = max(self.promised, ballot)

    def recover_entries(self, ballot: Ballot, first_slot: int, entries: tuple[Entry, ...]) -> None:
        self.promised = max(self.promised, ballot)
        self.log.store(first_slot, entries)

    def recover_commit(self, slot: int) -> None:
        self.recorded_commit = max(self.recorded_commit, slot)

    def recovered(self, effects: Effects) -> None:
        """After the last record: apply what is known to be committed, and give no vote for one stretched lease.

        This replica may have acknowledged a renewal just before it stopped, which is written nowhere.
        """
        self.advance(self.recorded_commit, effects)
        self.matched = self.commit_index
        if self.promised != NO_BALLOT:
            self.no_vote_until_ns = effects.now_ns + self.timing.stretched_lease_ns()
        self.begin_following(effects)

    def begin_following(self, effects: Effects) -> None:
        """Start to wait for a leader, for a time drawn at random."""
        self.heard_ns = effects.now_ns
        self.unheard = []
        self.election_after_ns = self.timing.election_min_ns + effects.random_bits(self.timing.election_spread_bits)

    # --- elections: in a room of their own ----------------------------------------------------------------------------

    stand = elections.stand
    on_prepare = elections.on_prepare
    on_promise = elections.on_promise
    on_refuse = elections.on_refuse
    on_probe = elections.on_probe
    on_probe_reply = elections.on_probe_reply

    hand_over = handover.hand_over
    on_hand_over = handover.on_hand_over
    lease_wait_ns = handover.lease_wait_ns

    def may_lead(self) -> bool:
        """A member with state; whether it may stand now is another question."""
        return self.role != "learner" and self.has_state

    def may_promise(self, commit_index: int, known: list[tuple[Member, ...]]) -> bool:
        """A disk that has held a replica of this group before promises what it can vouch for (`membership`): what lies
        behind the slot in which it joined, or all if its log has come to a change that names it. It need not know that
        the change is committed, and may have been removed since: a candidate that knows less may need its vote.
        """
        named = any(membership.names(members, self.me, self.incarnation) for members in known)
        return self.counted or named or commit_index >= self.joined

    def is_vote_of(self, member: Member, promise: Promise) -> bool:
        """A member's promise counts if it comes from the disk that the group has admitted."""
        return promise.incarnation == member.incarnation

    def _adopt(self, logs: Sequence[Sequence[Entry]]) -> list[Entry]:
        return merge_accepted(logs, self.barrier)

    def give_way(self, ballot: Ballot, effects: Effects) -> None:
        """Somebody has a higher ballot: follow, and give it time to win."""
        self.stop_leading(effects)
        if self.role != "learner":
            self.role = "follower"
        self.promises, self.partial = {}, {}
        self.promised = ballot
        self.leader = None
        self.begin_following(effects)

    def stop_leading(self, effects: Effects) -> None:
        lead, self.leading = self.leading, None
        if lead is not None:
            kind = "leader-deposed-unacked" if lead.waiters else "leader-deposed"
            effects.tell(Event(kind, self.spec.group, lead.ballot[0], len(lead.waiters)))
            if lead.served:  # so its own predecessor's lease has ended, and its own ends here
                self.relinquished = lead.ballot
            self.matched = self.commit_index

    # --- snapshots: in a room of their own ---------------------------------------------------------------------------

    on_snapshot = catchup.on_snapshot
    on_snapshot_taken = catchup.on_snapshot_taken

    # --- following --------------------------------------------------------------------------------------------------

    def on_accept(self, sender: Address, message: Accept, effects: Effects) -> None:
        group = self.spec.group
        if message.ballot < self.promised:
            effects.send(sender, Refuse(group, self.promised))
            return
        known = message.ballot == self.promised
        self.follow(sender, message.ballot, effects)
        if message.first_slot > self.matched + 1:
            if not known:
                effects.append(Promised(group, message.ballot))
            self.was_behind = True
            effects.send(sender, Accepted(group, message.ballot, self.matched, self.incarnation, True, self.log_only))
            return
        fresh = message.entries[self.matched + 1 - message.first_slot :]
        if fresh:
            first_slot = self.matched + 1
            if len(self.log) > self.matched and self.log.entry(first_slot).request != fresh[0].request:
                effects.tell(Event("suffix-replaced", group, message.ballot[0], first_slot))
            self.log.store(first_slot, fresh)
            self.matched = fresh[-1].slot
            effects.append(AcceptedEntries(group, message.ballot, first_slot, fresh))
            effects.tell(Event("accepted", group, message.ballot[0], self.matched))
        elif not known:
            effects.append(Promised(group, message.ballot))
        self.advance(min(message.commit_index, self.matched), effects)
        if self.was_behind and self.matched >= message.commit_index:
            self.was_behind = False
            effects.tell(Event("caught-up", group, message.ballot[0], self.matched))
        # Leaves once the entries are on disk, also when an earlier copy of this message appended them and its sync
        # still runs.
        effects.send(sender, Accepted(group, message.ballot, self.matched, self.incarnation, log=self.log_only))

    def on_commit(self, sender: Address, message: Commit, effects: Effects) -> None:
        if message.ballot == self.promised and message.ballot == self.following:
            self.heard_ns = self.leader_heard_ns = effects.now_ns
            self.advance(min(message.commit_index, self.matched), effects)

    def on_beat(self, sender: Address, beat: Beat, effects: Effects) -> bool:
        """A renewal of the leader's lease. False: a higher ballot was promised, the renewal is refused."""
        if beat.ballot < self.promised:
            return False
        if beat.ballot > self.promised:
            effects.append(Promised(self.spec.group, beat.ballot))
        self.follow(sender, beat.ballot, effects)
        self.full_match = max(self.full_match, beat.full_match)
        self.advance(min(beat.commit_index, self.matched), effects)
        return True

    def follow(self, sender: Address, ballot: Ballot, effects: Effects) -> None:
        assert sender != self.me, "two leaders in one ballot"
        if ballot > self.promised:
            self.give_way(ballot, effects)
        elif self.role == "candidate":
            self.role = "follower"
        if self.following != ballot:
            self.following = ballot
            self.matched = self.commit_index
            self.incoming = None  # what an earlier leader was sending
        self.leader = sender
        self.heard_ns = self.leader_heard_ns = effects.now_ns
        self.unheard = []

    def advance(self, commit_index: int, effects: Effects) -> None:
        """Apply what has become committed."""
        if commit_index <= self.commit_index and self.incoming is None:
            return
        log, apply = self.log, self.state.apply
        assert commit_index <= log.last
        for entry in log.after(self.commit_index, commit_index - self.commit_index):
            self.commit_index = entry.slot
            if not self.log_only:
                apply(entry)
            command = entry.command
            if type(command) is Write:
                continue  # most entries are one
            if type(command) is Barrier:
                self.barrier = max(self.barrier, command.ballot)
            elif type(command) is Split:
                self.split_barrier = self.barrier  # barriers of later leaders may follow before the children are made
            elif membership.is_change(command):
                membership.apply(self, entry.slot, command, effects)
        if self.incoming is not None and self.incoming.header.slot <= self.commit_index:
            self.incoming = None  # entries came first; while a snapshot comes in, none is written

    # --- leading: mostly in a room of its own ----------------------------------------------------------------------

    def may_serve(self, now_ns: Nanoseconds) -> bool:
        """A leader whose barrier is committed, who has waited out its predecessor, and whose own lease runs."""
        lead = self.leading
        return (
            lead is not None
            and self.commit_index >= lead.barrier_slot
            and now_ns >= lead.serve_after_ns
            and self.lease_holds(lead, now_ns)
        )

    def lease_holds(self, lead: Leading, now_ns: Nanoseconds) -> bool:
        return lead.lease_from_ns >= 0 and now_ns < lead.lease_from_ns + self.timing.lease_ns

    propose = leadership.propose
    change = leadership.change
    could_go_on = healing.could_go_on
    on_accepted = leadership.on_accepted
    on_acknowledged = leadership.on_acknowledged
    on_durable = leadership.on_durable
    check_lease = leadership.check_lease
    tick = leadership.tick
    pump = leadership.pump

    def last_time_ns(self) -> Nanoseconds:
        """The log time of the last entry, held or let go."""
        return max(self.log.last_time_ns(), self.state.log_time_ns)

    def wait(self, slot: int, waiter: Waiter) -> None:
        """Answer this one when the slot is committed."""
        assert self.leading is not None
        self.leading.waiters.setdefault(slot, []).append(waiter)

    # --- helpers ----------------------------------------------------------------------------------------------------

    def is_member(self, address: Address) -> bool:
        for member in self.members:  # noqa: SIM110 - a generator costs more than all of this
            if member.address == address:
                return True
        return False

    def is_changing(self) -> bool:
        """Whether the membership is changing at this leader, or has yet to come back to full replicas alone."""
        lead = self.leading
        if lead is None:
            return False
        return lead.changing or lead.joining is not None or bool(lead.fresh) or any(m.log for m in self.members)

    @property
    def is_dividing(self) -> bool:
        """A partition that has applied its Split keeps the members that it has."""
        return isinstance(self.state, Partition) and self.state.split is not None

    @property
    def has_state(self) -> bool:
        """False for a log replica, and for a partition's child that has come to this node without data, until its
        leader's snapshot is in.
        """
        return not self.log_only and not self.rebuilding and self.commit_index >= self.spec.origin

    @property
    def is_leader(self) -> bool:
        return self.leading is not None
