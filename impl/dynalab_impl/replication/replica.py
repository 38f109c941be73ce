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
- *Learner.* A replica whose disk was lost promises and counts for nothing until a committed Readmit names its new
  incarnation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from dynalab_impl.effects import NOTHING, Address, Effects, Nanoseconds, Position, Timing
from dynalab_impl.messages import (
    NO_BALLOT,
    NO_REQUEST,
    Accept,
    Accepted,
    Answer,
    Ballot,
    Barrier,
    Beat,
    Command,
    Commit,
    Entry,
    GroupSpec,
    IndexReply,
    Member,
    Prepare,
    Promise,
    Readmit,
    Refuse,
    RequestId,
)
from dynalab_impl.partition import Outcome
from dynalab_impl.records import AcceptedEntries, CommittedUpTo, Promised
from dynalab_impl.replication import catchup, elections
from dynalab_impl.replication import leading as leaders
from dynalab_impl.replication.leading import Leading, Peer, Waiter
from dynalab_impl.replication.log import SHARE_ENTRIES_MAX, Log, shares
from dynalab_impl.replication.quorum import merge_accepted
from dynalab_impl.snapshot import Image, Incoming, SnapshotHeader
from dynalab_model.events import Event

DESERTED_LEASES = 4  # a leader whose renewals no quorum has answered for so many leases steps down
READMIT_LAG_MAX = 64  # a learner this close to the commit index may vote again: what it lacks is on its way


class StateMachine(Protocol):
    """What a replica applies its log to: a partition or the catalog."""

    applied: int
    log_time_ns: Nanoseconds
    dedup: dict[RequestId, Outcome]

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
        "barrier",
        "commit_index",
        "election_after_ns",
        "following",
        "heard_ns",
        "incarnation",
        "incoming",
        "leader",
        "leader_heard_ns",
        "leading",
        "log",
        "matched",
        "me",
        "members",
        "no_vote_until_ns",
        "promised",
        "promises",
        "recorded_commit",
        "role",
        "spec",
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
        self.members: tuple[Member, ...] = spec.members
        self.role = "follower"
        self.promised: Ballot = NO_BALLOT
        self.log = Log()
        self.barrier: Ballot = NO_BALLOT  # the newest one within the commit index
        self.commit_index = 0
        self.matched = 0
        self.following: Ballot = NO_BALLOT
        self.leader: Address | None = None
        self.leading: Leading | None = None
        self.promises: dict[Address, Promise] = {}
        self.heard_ns: Nanoseconds = 0  # from a leader, or when the waiting for one began anew
        self.leader_heard_ns: Nanoseconds = 0
        self.unheard: list[Address] = []  # who has not heard a leader either, while this replica asks
        self.election_after_ns: Nanoseconds = 0
        self.no_vote_until_ns: Nanoseconds = 0
        self.recorded_commit = 0
        self.was_behind = False
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
        self._advance(self.recorded_commit, effects)
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

    def _adopt(self, logs: list[tuple[Entry, ...] | list[Entry]]) -> list[Entry]:
        return merge_accepted(logs, self.barrier)

    def give_way(self, ballot: Ballot, effects: Effects) -> None:
        """Somebody has a higher ballot: follow, and give it time to win."""
        self.stop_leading(effects)
        if self.role != "learner":
            self.role = "follower"
        self.promises = {}
        self.promised = ballot
        self.leader = None
        self.begin_following(effects)

    def stop_leading(self, effects: Effects) -> None:
        lead, self.leading = self.leading, None
        if lead is not None:
            kind = "leader-deposed-unacked" if lead.waiters else "leader-deposed"
            effects.tell(Event(kind, self.spec.group, lead.ballot[0], len(lead.waiters)))
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
            effects.send(sender, Accepted(group, message.ballot, self.matched, self.incarnation, gap=True))
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
        self._advance(min(message.commit_index, self.matched), effects)
        if self.was_behind and self.matched >= message.commit_index:
            self.was_behind = False
            effects.tell(Event("caught-up", group, message.ballot[0], self.matched))
        # Leaves once the entries are on disk, also when an earlier copy of this message appended them and its sync
        # still runs.
        effects.send(sender, Accepted(group, message.ballot, self.matched, self.incarnation))

    def on_commit(self, sender: Address, message: Commit, effects: Effects) -> None:
        if message.ballot == self.promised and message.ballot == self.following:
            self.heard_ns = self.leader_heard_ns = effects.now_ns
            self._advance(min(message.commit_index, self.matched), effects)

    def on_beat(self, sender: Address, beat: Beat, effects: Effects) -> bool:
        """A renewal of the leader's lease. False: a higher ballot was promised, the renewal is refused."""
        if beat.ballot < self.promised:
            return False
        if beat.ballot > self.promised:
            effects.append(Promised(self.spec.group, beat.ballot))
        self.follow(sender, beat.ballot, effects)
        self._advance(min(beat.commit_index, self.matched), effects)
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

    def _advance(self, commit_index: int, effects: Effects) -> None:
        """Apply what has become committed."""
        assert commit_index <= len(self.log)
        while self.commit_index < commit_index:
            self.commit_index += 1
            entry = self.log.entry(self.commit_index)
            self.state.apply(entry)
            if type(entry.command) is Barrier:
                self.barrier = max(self.barrier, entry.command.ballot)
            elif type(entry.command) is Readmit:
                self._readmit(entry.command.member, effects)
        if self.incoming is not None and self.incoming.header.slot <= self.commit_index:
            self.incoming = None  # entries came first; while a snapshot comes in, none is written

    def _readmit(self, member: Member, effects: Effects) -> None:
        self.members = tuple(member if m.address == member.address else m for m in self.members)
        if member.address == self.me and member.incarnation == self.incarnation and self.role == "learner":
            self.role = "follower"
            effects.tell(Event("learner-readmitted", self.spec.group, self.promised[0], self.commit_index))

    # --- leading ----------------------------------------------------------------------------------------------------

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

    def propose(self, command: Command, request: RequestId, expiry_ns: Nanoseconds, effects: Effects) -> int:
        """Append to the log and send to the others; gives the slot. Writes are pipelined: nothing waits here."""
        lead = self.leading
        assert lead is not None, "only a leader proposes"
        # Two leaders' logs part ways at a barrier. Because nothing stands behind one that is not committed, a merge of
        # logs in phase 1 never puts a write behind another than the one that its condition saw.
        assert self.commit_index >= lead.barrier_slot, "nothing is proposed behind an uncommitted barrier"
        log = self.log
        slot = len(log) + 1
        time_ns = max(effects.wall_ns, self.last_time_ns())
        entry = Entry(lead.ballot, slot, time_ns, request, expiry_ns, command)
        log.append(entry)
        self.matched = slot
        position = effects.append(AcceptedEntries(self.spec.group, lead.ballot, slot, (entry,)))
        lead.unsynced.append((position, slot))
        if request[1]:
            lead.pending_requests[request] = slot
        self.pump(effects)
        return slot

    def on_accepted(self, sender: Address, message: Accepted, effects: Effects) -> None:
        lead = self.leading
        if lead is None or message.ballot != lead.ballot:
            return
        peer = lead.peers.get(sender)
        if peer is None:
            return
        self._hear(peer, message.incarnation, message.match)
        if peer.in_flight:
            peer.in_flight -= 1
        if message.gap:
            peer.next = message.match + 1
        self._commit(effects)

    def on_acknowledged(
        self, sender: Address, incarnation: int, sent_ns: Nanoseconds, match: int, effects: Effects
    ) -> None:
        """A heartbeat was answered: the lease is renewed as of its sending."""
        lead = self.leading
        peer = None if lead is None else lead.peers.get(sender)
        if lead is None or peer is None:
            return
        self._hear(peer, incarnation, match)
        if sent_ns > peer.renewed_ns:
            peer.renewed_ns = sent_ns
        lead.renew(self.members, effects.now_ns)
        self._commit(effects)
        self.check_lease(effects)

    def on_durable(self, position: Position, effects: Effects) -> None:
        lead = self.leading
        if lead is None:
            return
        moved = False
        while lead.unsynced and lead.unsynced[0][0] <= position:
            lead.durable_slot = lead.unsynced.popleft()[1]
            moved = True
        if moved:
            self._commit(effects)

    def check_lease(self, effects: Effects) -> None:
        """Tell when serving begins and when the lease has run out."""
        lead = self.leading
        if lead is None:
            return
        if not lead.served and self.may_serve(effects.now_ns):
            lead.served = True
            effects.tell(Event("leader-serving", self.spec.group, lead.ballot[0], self.commit_index))
        holds = self.lease_holds(lead, effects.now_ns)
        if lead.served and not holds and not lead.lease_lost:
            effects.tell(Event("lease-ran-out", self.spec.group, lead.ballot[0]))
        lead.lease_lost = not holds

    def tick(self, effects: Effects) -> None:
        """Once a heartbeat interval: stand for election, or look after peers that have stopped moving."""
        if self.commit_index > self.recorded_commit:
            self.recorded_commit = self.commit_index
            effects.append(CommittedUpTo(self.spec.group, self.commit_index))
        lead = self.leading
        if lead is None:
            if effects.now_ns - self.heard_ns >= self.election_after_ns:
                elections.suspect(self, effects)
            return
        self.check_lease(effects)
        if effects.now_ns - max(lead.lease_from_ns, lead.serve_after_ns) >= DESERTED_LEASES * self.timing.lease_ns:
            self.give_way(self.promised, effects)
            return
        for peer in lead.peers.values():
            if peer.sending is not None:
                catchup.send_again(self, peer, effects)
            elif peer.match == len(self.log):
                peer.in_flight = 0  # what is still counted was answered by a message that was lost
            elif peer.match == peer.match_at_tick:
                peer.next = peer.match + 1  # an Accept or its answer was lost
                peer.in_flight = 0
            peer.match_at_tick = peer.match
        self._propose_readmission(effects)
        self.pump(effects)

    def _propose_readmission(self, effects: Effects) -> None:
        lead = self.leading
        if lead is None or lead.readmitting or self.commit_index < lead.barrier_slot:
            return
        for member in self.members:
            peer = lead.peers.get(member.address)
            if (
                peer is not None
                and peer.incarnation > member.incarnation
                and peer.match + READMIT_LAG_MAX >= self.commit_index
            ):
                lead.readmitting = True  # one membership change at a time
                self.propose(Readmit(Member(peer.address, peer.incarnation)), NO_REQUEST, 0, effects)
                return

    def _hear(self, peer: Peer, incarnation: int, match: int) -> None:
        if incarnation > peer.incarnation:  # its disk is new: what the old one held is gone
            peer.incarnation = incarnation
            peer.sending = None
            peer.match = match
            peer.next = match + 1
            peer.in_flight = 0
            peer.renewed_ns = -1
        elif incarnation == peer.incarnation and match > peer.match:
            peer.match = match
            if peer.next <= match:
                peer.next = match + 1

    def _commit(self, effects: Effects) -> None:
        lead = self.leading
        assert lead is not None
        # The last of the answers comes when all is committed: then there is nothing to count.
        commit_index = lead.committable(self.members) if self.commit_index < len(self.log) else self.commit_index
        while self.commit_index < commit_index:
            entry = self.log.entry(self.commit_index + 1)
            self._advance(self.commit_index + 1, effects)
            effects.tell(Event("committed", self.spec.group, lead.ballot[0], entry.slot))
            self._answer(lead, entry, effects)
            if type(entry.command) is Readmit:
                lead.readmitting = False
        if commit_index >= lead.barrier_slot and not lead.served:
            self.check_lease(effects)
        self.pump(effects)

    def _answer(self, lead: Leading, entry: Entry, effects: Effects) -> None:
        """Everybody who waits for this slot gets its outcome. It is committed: no disk of this node matters to the
        answer.
        """
        if entry.request[1]:
            lead.pending_requests.pop(entry.request, None)
        pending = getattr(entry.command, "key", None)
        if pending is not None and lead.pending_items.get(pending, (0, None))[0] == entry.slot:
            del lead.pending_items[pending]
        waiters = lead.waiters.pop(entry.slot, None)
        if waiters is None:
            return
        outcome = self.state.dedup.get(entry.request)
        for waiter in waiters:
            if waiter.source:
                effects.send(waiter.to, IndexReply(waiter.source, waiter.number), NOTHING)
            elif outcome is not None:
                answer = Answer(waiter.number, outcome.status, outcome.body, outcome.error)
                effects.send(waiter.to, answer, NOTHING)

    def pump(self, effects: Effects) -> None:
        """Send each peer what it lacks, a few messages ahead of its answers; a bare commit index if that is all there
        is.
        """
        lead = self.leading
        assert lead is not None
        log, commit_index = self.log, self.commit_index
        last = len(log)
        for peer in lead.peers.values():
            if peer.sending is not None:
                continue  # entries follow when the snapshot is taken
            if peer.next <= last:
                if peer.in_flight >= leaders.ACCEPTS_IN_FLIGHT_MAX:
                    continue
                if peer.next <= log.base:
                    catchup.begin_sending(self, peer, effects)
                    continue
                first = peer.next
                entries = next(shares(log.after(first - 1, SHARE_ENTRIES_MAX)))
                peer.next = first + len(entries)
                peer.in_flight += 1
                peer.told_commit = commit_index
                # Not after our own append: the leader's vote counts when its own disk says so (`on_durable`).
                effects.send(peer.address, Accept(self.spec.group, lead.ballot, first, entries, commit_index), NOTHING)
            elif commit_index > peer.told_commit and not peer.in_flight:
                # A peer with Accepts on their way learns it from the next one, or here when the last is answered.
                peer.told_commit = commit_index
                effects.send(peer.address, Commit(self.spec.group, lead.ballot, commit_index), NOTHING)

    def last_time_ns(self) -> Nanoseconds:
        """The log time of the last entry, held or let go."""
        return max(self.log.last_time_ns(), self.state.log_time_ns)

    def wait(self, slot: int, waiter: Waiter) -> None:
        """Answer this one when the slot is committed."""
        assert self.leading is not None
        self.leading.waiters.setdefault(slot, []).append(waiter)

    # --- helpers ----------------------------------------------------------------------------------------------------

    def is_member(self, address: Address) -> bool:
        return any(m.address == address for m in self.members)

    def votes(self, address: Address, incarnation: int) -> bool:
        return any(m.address == address and m.incarnation == incarnation for m in self.members)

    def broadcast(self, message: Prepare, effects: Effects) -> None:
        for member in self.members:
            if member.address != self.me:
                effects.send(member.address, message)

    @property
    def is_leader(self) -> bool:
        return self.leading is not None
