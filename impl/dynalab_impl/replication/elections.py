"""Elections: how a replica becomes the leader of its group, and when it does not try (ATC'22 §3).

Any replica may stand. One that has not heard from a leader first asks the others whether they have: if one of them
has, the fault lies with its own link, and an election would only disturb; if nobody answers, it cannot win (gray
failure). A leader that no quorum has answered for several leases steps down, or its followers, who hear it, would keep
quiet for ever. A candidate needs the promises of a quorum across two zones; then it proposes again what any of them had
accepted, puts up its barrier, and waits out the lease of whoever led before. These functions are methods of `Replica`,
kept in a room of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynalab_impl.effects import NOTHING, Address, Effects
from dynalab_impl.messages import NO_BALLOT, NO_REQUEST, Barrier, Entry, Prepare, Probe, ProbeReply, Promise, Refuse
from dynalab_impl.records import AcceptedEntries, Promised
from dynalab_impl.replication import leading as leaders
from dynalab_impl.replication.log import shares
from dynalab_impl.replication.quorum import quorum_value, zones_needed
from dynalab_model.events import Event

if TYPE_CHECKING:
    from dynalab_impl.replication.replica import Replica


def suspect(replica: Replica, effects: Effects) -> None:
    """Once a tick at a replica whose time is over: ask the others first. It stands when a quorum has not heard a leader
    either; silence is no answer, or a replica that nobody reaches would depose every leader in turn.
    """
    if replica.role == "learner" or not replica.has_state or effects.now_ns < replica.no_vote_until_ns:
        return
    silent, replica.unheard = replica.unheard, [replica.me]
    zones = [(1, f"{address.region}/{address.zone}") for address in silent]
    if quorum_value(zones, len(replica.members), zones_needed(replica.members)) is not None:
        stand(replica, effects)
        return
    for member in replica.members:
        if member.address not in (replica.me, replica.leader):  # a leader that has stepped down asks by itself
            effects.send(member.address, Probe(replica.spec.group), NOTHING)


def on_probe(replica: Replica, sender: Address, message: Probe, effects: Effects) -> None:
    """Has this replica heard its leader within the time that everybody waits at least?"""
    if replica.leading is not None:
        heard = replica.lease_holds(replica.leading, effects.now_ns)
    else:
        silent_ns = effects.now_ns - replica.leader_heard_ns
        heard = replica.leader is not None and silent_ns < replica.timing.election_min_ns
    effects.send(sender, ProbeReply(replica.spec.group, heard), NOTHING)


def on_probe_reply(replica: Replica, sender: Address, message: ProbeReply, effects: Effects) -> None:
    if not replica.unheard or sender in replica.unheard:
        return
    if message.heard:
        replica.begin_following(effects)
        effects.tell(Event("election-spared", replica.spec.group, replica.promised[0]))
        return
    replica.unheard.append(sender)


def stand(replica: Replica, effects: Effects) -> None:
    """Phase 1: ask everybody for a promise in a ballot of one's own."""
    if replica.role == "learner" or not replica.has_state or effects.now_ns < replica.no_vote_until_ns:
        return
    virgin = replica.promised == NO_BALLOT
    replica.stop_leading(effects)
    replica.role = "candidate"
    replica.leader = None
    # A disk that was lost does not know which ballots it drew: the next one draws others.
    replica.promised = (replica.promised[0] + 1, f"{replica.me.node}#{replica.incarnation}")
    replica.begin_following(effects)
    effects.append(Promised(replica.spec.group, replica.promised))
    effects.tell(Event("election-started", replica.spec.group, replica.promised[0]))
    own = Promise(replica.spec.group, replica.promised, replica.incarnation, replica.commit_index, (), virgin)
    replica.promises = {replica.me: own}
    # The Prepare waits for the candidate's own promise, so whatever comes back finds that promise on disk.
    replica.broadcast(Prepare(replica.spec.group, replica.promised, replica.commit_index), effects)


def on_prepare(replica: Replica, sender: Address, message: Prepare, effects: Effects) -> None:
    if replica.role == "learner" or effects.now_ns < replica.no_vote_until_ns or not replica.is_member(sender):
        return
    if message.ballot < replica.promised:
        effects.send(sender, Refuse(replica.spec.group, replica.promised))
        return
    if message.commit_index < replica.log.base:
        # It needs a snapshot before it can lead, and gets none while it outbids whoever could send it one. So its
        # ballot is noted, and this replica stands against it before it stands again.
        if message.ballot > replica.promised:
            replica.give_way(message.ballot, effects)
            replica.heard_ns -= replica.timing.election_min_ns
            effects.append(Promised(replica.spec.group, message.ballot))
        return
    virgin = replica.promised == NO_BALLOT
    if message.ballot > replica.promised:  # a repeated Prepare is promised again, not logged again
        replica.give_way(message.ballot, effects)
        effects.append(Promised(replica.spec.group, message.ballot))
        effects.tell(Event("promised", replica.spec.group, message.ballot[0]))
    entries = tuple(replica.log.after(message.commit_index))
    effects.send(
        sender,
        Promise(replica.spec.group, message.ballot, replica.incarnation, replica.commit_index, entries, virgin),
    )


def on_promise(replica: Replica, sender: Address, message: Promise, effects: Effects) -> None:
    if replica.role != "candidate" or message.ballot != replica.promised:
        return
    if not replica.votes(sender, message.incarnation):
        return
    replica.promises[sender] = message
    voters = [(1, f"{a.region}/{a.zone}") for a in replica.promises]
    if quorum_value(voters, len(replica.members), zones_needed(replica.members)) is not None:
        take_over(replica, effects)


def on_refuse(replica: Replica, sender: Address, message: Refuse, effects: Effects) -> None:
    if message.ballot > replica.promised:
        replica.give_way(message.ballot, effects)
        effects.append(Promised(replica.spec.group, message.ballot))


def take_over(replica: Replica, effects: Effects) -> None:
    """Phase 2 begins: adopt, put up the barrier, and wait out the lease of whoever led before."""
    promises, replica.promises = replica.promises, {}
    base = replica.commit_index
    adopted = replica._adopt([replica.log.after(base), *[p.entries for p in promises.values()]])
    # If no promiser had ever promised before, no earlier leader can have had a quorum: there is no lease to wait
    # out.
    virgin = all(p.virgin for p in promises.values())
    wait_ns = 0 if virgin else replica.timing.stretched_lease_ns()
    replica.role = "leader"
    replica.leader = replica.me
    replica.following = replica.promised
    ballot = replica.promised
    time_ns = max([effects.wall_ns, replica.last_time_ns(), *[e.time_ns for e in adopted]])
    entries = [Entry(ballot, e.slot, e.time_ns, e.request, e.expiry_ns, e.command) for e in adopted]
    barrier_slot = base + len(entries) + 1
    entries.append(Entry(ballot, barrier_slot, time_ns, NO_REQUEST, 0, Barrier(ballot)))
    replica.log.cut(base)
    replica.log.store(base + 1, entries)
    replica.matched = barrier_slot
    lead = leaders.begin(ballot, barrier_slot, effects.now_ns + wait_ns, replica.me, replica.members)
    lead.durable_slot = base
    for share in shares(entries):
        position = effects.append(AcceptedEntries(replica.spec.group, ballot, share[0].slot, share))
        lead.unsynced.append((position, share[-1].slot))
    for entry in entries:
        if entry.request[1]:
            lead.pending_requests[entry.request] = entry.slot
    for peer in lead.peers.values():
        promise = promises.get(peer.address)
        peer.match = 0 if promise is None else min(promise.commit_index, barrier_slot)
        peer.next = base + 1 if promise is None else min(promise.commit_index, base) + 1
    replica.leading = lead
    effects.tell(Event("leader-elected", replica.spec.group, ballot[0], barrier_slot))
    if adopted:
        effects.tell(Event("adopted", replica.spec.group, ballot[0], len(adopted)))
    replica.pump(effects)
