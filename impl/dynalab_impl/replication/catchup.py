"""Catch-up by snapshot: for a replica that lacks entries which its leader has let go, and for a disk that is new.

One piece is on its way at a time; it is sent again at a tick if no answer came. The receiver writes every piece to
its log before it answers, and becomes the snapshot's state with the last one. Until then it keeps them in memory
alone: after a restart it lacks pieces that it had answered for, says so, and the leader begins again. Entries behind
the snapshot's slot that it had accepted stay: they may have been chosen, and its promise to remember them holds.
These functions are methods of `Replica`, kept in a room of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynalab_impl.effects import NOTHING, Address, Effects
from dynalab_impl.messages import Accepted, Ballot, Refuse
from dynalab_impl.records import Promised, SnapshotBegin, SnapshotEnd, SnapshotPiece
from dynalab_impl.replication import healing, membership
from dynalab_impl.replication.leading import Peer
from dynalab_impl.snapshot import NO_TIME, Incoming, Outgoing, SnapshotHeader, SnapshotTaken, TakeSnapshot
from dynalab_model.events import Event

if TYPE_CHECKING:
    from dynalab_impl.replication.replica import Replica

NO_PIECE = -1  # the number in the answer of a receiver that has to begin again


def header_of(replica: Replica) -> SnapshotHeader:
    """The header of a snapshot taken now, at the replica's commit index."""
    state = replica.state
    return SnapshotHeader(
        replica.spec,
        replica.commit_index,
        state.log_time_ns,
        replica.members,
        replica.barrier,
        state.counter,
        replica.log.ballot_of(replica.commit_index),
        replica.members_slot,
    )


def begin_sending(replica: Replica, peer: Peer, effects: Effects) -> None:
    """The peer lacks what this leader has let go: take a snapshot for it. A log replica gets the header alone."""
    header = header_of(replica)
    peer.in_flight = 0
    if peer.log:
        header.slot = healing.log_begins_at(replica)
        header.log_time_ns = NO_TIME
        header.slot_ballot = replica.log.ballot_of(header.slot)
        peer.sending = Outgoing(header, [])
    else:
        peer.sending = Outgoing(header, replica.state.view())
        effects.tell(Event("snapshot-sent", replica.spec.group, replica.promised[0], replica.commit_index))
    _send_piece(replica, peer, effects)


def send_again(replica: Replica, peer: Peer, effects: Effects) -> None:
    """At a tick: a piece or its answer was lost if nothing has moved since the last one."""
    assert peer.sending is not None
    if peer.sending.number == peer.sent_at_tick:
        _send_piece(replica, peer, effects)
    peer.sent_at_tick = peer.sending.number


def _send_piece(replica: Replica, peer: Peer, effects: Effects) -> None:
    sending = peer.sending
    assert sending is not None
    images = sending.piece(replica.state)
    last = sending.at + len(images) >= len(sending.parts)
    message = TakeSnapshot(replica.spec.group, replica.promised, sending.header, sending.number, images, last)
    effects.send(peer.address, message, NOTHING)


def on_snapshot_taken(replica: Replica, sender: Address, message: SnapshotTaken, effects: Effects) -> None:
    """The peer has a piece on disk: send the next one, or go on with entries."""
    lead = replica.leading
    peer = None if lead is None else lead.peers.get(sender)
    if lead is None or peer is None or peer.sending is None or message.ballot != lead.ballot:
        return
    peer.heard_ns = effects.now_ns
    sending = peer.sending
    if message.slot != sending.header.slot:
        return
    if message.number == NO_PIECE:
        sending.at = sending.number = 0
        _send_piece(replica, peer, effects)
        return
    if message.number != sending.number:
        return
    sending.at += len(sending.piece(replica.state))
    sending.number += 1
    if sending.at >= len(sending.parts):
        peer.sending = None
        peer.sent_at_tick = -1
        peer.next = max(peer.next, sending.header.slot + 1)
        replica.pump(effects)
    else:
        _send_piece(replica, peer, effects)


def on_snapshot(replica: Replica, sender: Address, message: TakeSnapshot, effects: Effects) -> None:
    """A piece of the leader's state."""
    group, header = replica.spec.group, message.header
    if message.ballot < replica.promised:
        effects.send(sender, Refuse(group, replica.promised))
        return
    if message.ballot > replica.promised:
        effects.append(Promised(group, message.ballot))
    replica.follow(sender, message.ballot, effects)
    if header.slot <= replica.commit_index:  # a late copy, or entries came first
        effects.send(sender, SnapshotTaken(group, message.ballot, header.slot, message.number))
        _tell_match(replica, sender, message.ballot, effects)
        return
    if header.has_no_state is not replica.log_only:
        return  # on its way for long: this node held a replica of the other kind when it was sent
    incoming = replica.incoming
    if incoming is None or incoming.header.slot != header.slot or incoming.ballot != message.ballot:
        incoming = replica.incoming = Incoming(header, [], 0, message.ballot)
    if message.number > incoming.number:
        replica.incoming = None
        effects.send(sender, SnapshotTaken(group, message.ballot, header.slot, NO_PIECE))
        return
    if message.number == incoming.number:
        if message.number == 0:
            begin = SnapshotBegin(
                header, replica.role == "learner", replica.promised, replica.joined, replica.log_only, replica.counted
            )
            effects.append(begin)
        effects.append(SnapshotPiece(group, header.slot, message.images))
        incoming.images.extend(message.images)
        incoming.number += 1
        if message.last:
            effects.append(SnapshotEnd(group, header.slot))
            install(replica, incoming)
            if not replica.log_only:
                effects.tell(Event("snapshot-installed", group, message.ballot[0], header.slot))
    effects.send(sender, SnapshotTaken(group, message.ballot, header.slot, message.number))
    if replica.commit_index >= header.slot:
        _tell_match(replica, sender, message.ballot, effects)


def _tell_match(replica: Replica, leader: Address, ballot: Ballot, effects: Effects) -> None:
    accepted = Accepted(replica.spec.group, ballot, replica.matched, replica.incarnation, log=replica.log_only)
    effects.send(leader, accepted)


def install(replica: Replica, incoming: Incoming) -> None:
    """Become the state of a complete snapshot. Accepted entries behind its slot stay."""
    header = incoming.header
    replica.incoming = None
    if header.slot <= replica.commit_index:
        return
    if not replica.log_only:
        replica.state = replica.state.fresh()
        replica.state.load(header, incoming.images)
    replica.log.trim(header.slot, header.slot_ballot)
    if header.members_slot >= replica.members_slot:
        replica.members, replica.members_slot = header.members, header.members_slot
    replica.barrier = header.barrier
    replica.commit_index = header.slot
    replica.recorded_commit = max(replica.recorded_commit, header.slot)
    replica.matched = max(replica.matched, header.slot)
    membership.settle_role(replica)
