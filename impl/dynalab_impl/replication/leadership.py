"""What a leader does: propose, send, count, commit, answer, and keep its lease.

These functions are methods of `Replica`, kept in a room of their own; what they remember is in `leading`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynalab_impl.effects import NOTHING, Address, Effects, Nanoseconds, Position
from dynalab_impl.messages import (
    NO_REQUEST,
    Accept,
    Accepted,
    Answer,
    Command,
    Commit,
    Entry,
    IndexReply,
    RequestId,
    TransactWhole,
    Write,
)
from dynalab_impl.records import AcceptedEntries, CommittedUpTo
from dynalab_impl.replication import catchup, elections, healing, membership
from dynalab_impl.replication.leading import Leading, Peer
from dynalab_impl.replication.log import first_share
from dynalab_impl.replication.membership import Change
from dynalab_model.events import Event

if TYPE_CHECKING:
    from dynalab_impl.replication.replica import Replica

SEND = "send"  # the name of a leader's timer, with its group
DESERTED_LEASES = 4  # a leader whose renewals no quorum has answered for so many leases steps down


def propose(replica: Replica, command: Command, request: RequestId, expiry_ns: Nanoseconds, effects: Effects) -> int:
    """Append to the log and send to the others; gives the slot. Writes are pipelined: nothing waits here."""
    lead = replica.leading
    assert lead is not None, "only a leader proposes"
    # Two leaders' logs part ways at a barrier. Because nothing stands behind one that is not committed, a merge of
    # logs in phase 1 never puts a write behind another than the one that its condition saw.
    assert replica.commit_index >= lead.barrier_slot, "nothing is proposed behind an uncommitted barrier"
    assert not lead.splitting, "nothing is proposed behind a Split"
    entry = next_entry(replica, command, request, expiry_ns, effects)
    log, slot = replica.log, entry.slot
    log.append(entry)
    replica.matched = slot
    position = effects.append(AcceptedEntries(replica.spec.group, lead.ballot, slot, (entry,)))
    lead.unsynced.append((position, slot))
    if request[1]:
        lead.pending_requests[request] = slot
    if not replica.timing.gathers:
        replica.pump(effects)
    elif not lead.gathering:
        lead.gathering = True
        effects.set_timer((SEND, replica.spec.group), 0)
    return slot


def next_entry(
    replica: Replica, command: Command, request: RequestId, expiry_ns: Nanoseconds, effects: Effects
) -> Entry:
    """The entry that this command would be in the log, now."""
    lead = replica.leading
    assert lead is not None, "only a leader proposes"
    return Entry(lead.ballot, replica.log.last + 1, next_time_ns(replica, effects), request, expiry_ns, command)


def next_time_ns(replica: Replica, effects: Effects) -> Nanoseconds:
    """The log time of what this leader would log now."""
    lead = replica.leading
    assert lead is not None, "only a leader proposes"
    if lead.read_top_ns < 0:
        lead.read_top_ns = getattr(replica.state, "read_until_ns", 0)
    # Behind everything that was read as of some timestamp (`transaction_rules`), if ever anything was.
    return max(lead.wall_ns(effects.wall_ns), replica.last_time_ns(), lead.read_top_ns)


def send_gathered(replica: Replica, effects: Effects) -> None:
    """What was logged since the timer was set goes out."""
    if replica.leading is not None:
        replica.leading.gathering = False
        replica.pump(effects)


def change(replica: Replica, command: Change, effects: Effects) -> int:
    """Propose a change of the membership; gives the slot. It holds from the next slot on, once it is committed."""
    lead = replica.leading
    assert lead is not None and not lead.changing, "one change at a time"
    lead.changing = True
    return replica.propose(command, NO_REQUEST, 0, effects)


def on_accepted(replica: Replica, sender: Address, message: Accepted, effects: Effects) -> None:
    lead = replica.leading
    if lead is None or message.ballot != lead.ballot:
        return
    peer = lead.peers.get(sender)
    if peer is None or healing.is_other_kind(replica, sender, message.log, effects):
        return
    peer.heard_ns = effects.now_ns
    _hear(replica, peer, message.incarnation, message.match)
    if peer.in_flight:
        peer.in_flight -= 1
    if message.gap:
        peer.next = message.match + 1
    _commit(replica, effects)


def on_acknowledged(
    replica: Replica, sender: Address, incarnation: int, sent_ns: Nanoseconds, match: int, effects: Effects
) -> None:
    """A heartbeat was answered: the lease is renewed as of its sending."""
    lead = replica.leading
    peer = None if lead is None else lead.peers.get(sender)
    if lead is None or peer is None:
        return
    peer.heard_ns = effects.now_ns
    peer.told = match
    _hear(replica, peer, incarnation, match)
    if sent_ns > peer.renewed_ns:
        peer.renewed_ns = sent_ns
    lead.renew(replica.members, effects.now_ns)
    _commit(replica, effects)
    replica.check_lease(effects)


def on_durable(replica: Replica, position: Position, effects: Effects) -> None:
    lead = replica.leading
    if lead is None:
        return
    moved = False
    while lead.unsynced and lead.unsynced[0][0] <= position:
        lead.durable_slot = lead.unsynced.popleft()[1]
        moved = True
    if moved:
        _commit(replica, effects)


def check_lease(replica: Replica, effects: Effects) -> None:
    """Tell when serving begins and when the lease has run out."""
    lead = replica.leading
    if lead is None:
        return
    if not lead.served and replica.may_serve(effects.now_ns):
        lead.served = True
        effects.tell(Event("leader-serving", replica.spec.group, lead.ballot[0], replica.commit_index))
    holds = replica.lease_holds(lead, effects.now_ns)
    if lead.served and not holds and not lead.lease_lost:
        effects.tell(Event("lease-ran-out", replica.spec.group, lead.ballot[0]))
    lead.lease_lost = not holds


def tick(replica: Replica, effects: Effects) -> None:
    """Once a heartbeat interval: stand for election, or look after peers that have stopped moving."""
    if replica.commit_index > replica.recorded_commit:
        replica.recorded_commit = replica.commit_index
        effects.append(CommittedUpTo(replica.spec.group, replica.commit_index))
    lead = replica.leading
    if lead is None:
        if effects.now_ns - replica.heard_ns >= replica.election_after_ns:
            elections.suspect(replica, effects)
        return
    replica.check_lease(effects)
    if effects.now_ns - max(lead.lease_from_ns, lead.serve_after_ns) >= DESERTED_LEASES * replica.timing.lease_ns:
        replica.give_way(replica.promised, effects)
        return
    for peer in lead.peers.values():
        if peer.sending is not None:
            catchup.send_again(replica, peer, effects)
        elif peer.match == len(replica.log):
            peer.in_flight = 0  # what is still counted was answered by a message that was lost
            if peer.told < peer.match and peer.told == peer.told_at_tick:
                # It has restarted: what it accepted is on its disk, and it does not know that it may be applied.
                peer.next = peer.told + 1
        elif peer.match == peer.match_at_tick:
            peer.next = peer.match + 1  # an Accept or its answer was lost
            peer.in_flight = 0
        peer.match_at_tick = peer.match
        peer.told_at_tick = peer.told
    replica.pump(effects)


def _hear(replica: Replica, peer: Peer, incarnation: int, match: int) -> None:
    if incarnation > peer.incarnation:  # its disk is new: what the old one held is gone
        if replica.leading is not None:
            replica.leading.whole = replica.leading.voting = None
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


def _commit(replica: Replica, effects: Effects) -> None:
    lead = replica.leading
    assert lead is not None
    # The last of the answers comes when all is committed: then there is nothing to count.
    commit_index = replica.commit_index
    if commit_index < replica.log.last:
        commit_index = lead.committable(replica.members)
    while replica.commit_index < commit_index:
        entries = _next_run(replica.log.after(replica.commit_index, commit_index - replica.commit_index))
        replica.advance(entries[-1].slot, effects)
        for entry in entries:
            effects.tell(Event("committed", replica.spec.group, lead.ballot[0], entry.slot))
            _answer(replica, lead, entry, effects)
        if membership.is_change(entries[0].command):
            healing.changed(replica, effects)
            commit_index = lead.committable(replica.members)  # what lies behind is counted by the new members
    if replica.commit_index >= lead.barrier_slot and not lead.served:
        replica.check_lease(effects)
    replica.pump(effects)


def _next_run(entries: list[Entry]) -> list[Entry]:
    """The first of these entries, and with a write those behind it that are writes, too: they are applied together."""
    count = 1
    if type(entries[0].command) is Write:
        while count < len(entries) and type(entries[count].command) is Write:
            count += 1
    return entries if count == len(entries) else entries[:count]


def _answer(replica: Replica, lead: Leading, entry: Entry, effects: Effects) -> None:
    """Everybody who waits for this slot gets its outcome. It is committed: no disk of this node matters to the
    answer.
    """
    if entry.request[1]:
        lead.pending_requests.pop(entry.request, None)
    pending = getattr(entry.command, "key", None)
    if pending is not None:
        _settle_key(lead, pending, entry.slot)
    elif type(entry.command) is TransactWhole:
        for change in entry.command.changes:
            _settle_key(lead, change.key, entry.slot)
    waiters = lead.waiters.pop(entry.slot, None)
    if waiters is None:
        return
    outcome = replica.state.dedup.get(entry.request)
    for waiter in waiters:
        if waiter.source:
            effects.send(waiter.to, IndexReply(waiter.source, waiter.number), NOTHING)
        elif outcome is not None:
            answer = Answer(waiter.number, outcome.status, outcome.body, outcome.error)
            effects.send(waiter.to, answer, NOTHING)


def _settle_key(lead: Leading, key: bytes, slot: int) -> None:
    """What was appended for this key in this slot is applied."""
    if lead.pending_items.get(key, (0, None))[0] == slot:
        del lead.pending_items[key]
    if lead.pending_held and lead.pending_held.get(key, (0, None))[0] == slot:
        del lead.pending_held[key]


def pump(replica: Replica, effects: Effects) -> None:
    """Send each peer what it lacks, a few messages ahead of its answers; a bare commit index if that is all there
    is.
    """
    lead = replica.leading
    assert lead is not None
    log, commit_index = replica.log, replica.commit_index
    last = log.last
    accept: Accept | None = None  # peers mostly lack the same
    for peer in lead.peers.values():
        if peer.sending is not None:
            continue  # entries follow when the snapshot is taken
        if peer.next <= last:
            if peer.in_flight >= replica.timing.accepts_in_flight:
                continue
            if peer.next <= log.base:
                catchup.begin_sending(replica, peer, effects)
                continue
            first = peer.next
            if accept is None or accept.first_slot != first:
                accept = Accept(replica.spec.group, lead.ballot, first, first_share(log, first - 1), commit_index)
            peer.next = first + len(accept.entries)
            peer.in_flight += 1
            peer.told_commit = commit_index
            # Not after our own append: the leader's vote counts when its own disk says so (`on_durable`).
            effects.send(peer.address, accept, NOTHING)
        elif commit_index > peer.told_commit and not peer.in_flight:
            # A peer with Accepts on their way learns it from the next one, or here when the last is answered.
            peer.told_commit = commit_index
            effects.send(peer.address, Commit(replica.spec.group, lead.ballot, commit_index), NOTHING)
