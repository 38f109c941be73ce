"""Elections: how a replica becomes the leader of its group, and when it does not try (ATC'22 §3).

Any replica may stand. One that has not heard from a leader first asks the others whether they have: if one of them
has, the fault lies with its own link, and an election would only disturb; if nobody answers, it cannot win (gray
failure). A leader that no quorum has answered for several leases steps down, or its followers, who hear it, would keep
quiet for ever. A candidate needs the promises of a quorum across two zones; then it proposes again what any of them had
accepted, puts up its barrier, and waits out the lease of whoever led before. These functions are methods of `Replica`,
kept in a room of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dynalab_impl.effects import NOTHING, Address, Effects
from dynalab_impl.messages import NO_REQUEST, Ballot, Barrier, Entry, Prepare, Probe, ProbeReply, Promise, Refuse
from dynalab_impl.records import AcceptedEntries, Promised
from dynalab_impl.replication import healing, membership
from dynalab_impl.replication import leading as leaders
from dynalab_impl.replication.log import shares
from dynalab_impl.replication.membership import Members, zone_of
from dynalab_impl.replication.quorum import quorum_value, zones_needed
from dynalab_model.events import Event

if TYPE_CHECKING:
    from dynalab_impl.replication.replica import Replica


def suspect(replica: Replica, effects: Effects) -> None:
    """Once a tick at a replica whose time is over: ask the others first. It stands when a quorum has not heard a leader
    either; silence is no answer, or a replica that nobody reaches would depose every leader in turn.
    """
    if effects.now_ns < replica.no_vote_until_ns:
        return
    if not replica.may_lead():
        # Perhaps nobody wants it any more, and the word of it was lost.
        replica.begin_following(effects)
        for member in replica.members:
            if member.address != replica.me:
                effects.send(member.address, Probe(replica.spec.group), NOTHING)
        return
    silent, replica.unheard = replica.unheard, [replica.me]
    known = membership.configurations(replica, replica.log.after(replica.commit_index))
    for members in (known[0], known[-1]):
        zones = [(1, zone_of(member.address)) for member in members if member.address in silent]
        if quorum_value(zones, len(members), zones_needed(members)) is not None:
            replica.stand(effects)
            return
    asked = [replica.me]
    for members in known:  # those that joined by a change which may be committed: the others may be gone
        for member in members:
            if member.address not in asked:  # the last known leader, too: it may know who is wanted
                asked.append(member.address)
                effects.send(member.address, Probe(replica.spec.group), NOTHING)


def on_probe(replica: Replica, sender: Address, message: Probe, effects: Effects) -> None:
    """Has this replica heard its leader within the time that everybody waits at least?"""
    if healing.turn_away(replica, sender, effects):
        return
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
    if not replica.may_lead() or effects.now_ns < replica.no_vote_until_ns:
        return
    known = membership.configurations(replica, replica.log.after(replica.commit_index))
    if not membership.names(known[-1], replica.me, replica.incarnation):
        return  # on its way out
    previous = replica.promised
    replica.stop_leading(effects)
    replica.role = "candidate"
    replica.leader = None
    # A disk that was lost does not know which ballots it drew: the next one draws others.
    replica.promised = (replica.promised[0] + 1, f"{replica.me.node}#{replica.incarnation}")
    replica.begin_following(effects)
    effects.append(Promised(replica.spec.group, replica.promised))
    effects.tell(Event("election-started", replica.spec.group, replica.promised[0]))
    replica.promises, replica.partial = {replica.me: _promise(replica, previous, (), effects)}, {}
    replica.asked = [replica.me]
    _ask(replica, known, effects)


def _ask(replica: Replica, configurations: list[Members], effects: Effects) -> None:
    """Ask the members of these configurations who have not been asked in this ballot.

    The Prepare waits for the candidate's own promise, so whatever comes back finds that promise on disk.
    """
    for members in configurations:
        for member in members:
            if member.address not in replica.asked:
                replica.asked.append(member.address)
                effects.send(
                    member.address,
                    Prepare(replica.spec.group, replica.promised, replica.commit_index, len(replica.log)),
                )


def _promise(replica: Replica, previous: Ballot, entries: tuple[Entry, ...], effects: Effects) -> Promise:
    return Promise(
        replica.spec.group,
        replica.promised,
        replica.incarnation,
        replica.commit_index,
        entries,
        previous,
        replica.relinquished,
        replica.log.base,
        replica.log.base_ballot,
        effects.wall_ns,
    )


def on_prepare(replica: Replica, sender: Address, message: Prepare, effects: Effects) -> None:
    if effects.now_ns < replica.no_vote_until_ns:
        return
    known = membership.configurations(replica, replica.log.after(replica.commit_index))
    if not replica.may_promise(message.commit_index, known):
        return
    if not any(member.address == sender for members in known for member in members):
        return
    if message.ballot < replica.promised:
        effects.send(sender, Refuse(replica.spec.group, replica.promised))
        return
    if max(message.commit_index, message.last) < replica.log.base and replica.may_lead():
        # It needs a snapshot before it can lead, and gets none while it outbids whoever could send it one. So its
        # ballot is noted, and this replica stands against it before it stands again.
        if message.ballot > replica.promised:
            replica.give_way(message.ballot, effects)
            replica.heard_ns -= replica.timing.election_min_ns
            effects.append(Promised(replica.spec.group, message.ballot))
        return
    # Told once: for a repeated Prepare it would be the same ballot, which is safe to say.
    previous = replica.promised
    if message.ballot > replica.promised:  # a repeated Prepare is promised again, not logged again
        replica.give_way(message.ballot, effects)
        effects.append(Promised(replica.spec.group, message.ballot))
        effects.tell(Event("promised", replica.spec.group, message.ballot[0]))
    # The candidate may know less of what is committed than this replica has let go, and hold all of it all the same.
    entries = replica.log.after(max(message.commit_index, replica.log.base))
    parts = list(shares(entries)) or [()]
    for part, share in enumerate(parts):
        promise = _promise(replica, previous, share, effects)
        promise.part, promise.parts = part, len(parts)
        effects.send(sender, promise)


def on_promise(replica: Replica, sender: Address, message: Promise, effects: Effects) -> None:
    if replica.role != "candidate" or message.ballot != replica.promised:
        return
    if message.parts > 1:
        held = replica.partial.setdefault(sender, {})
        held[message.part] = message
        if len(held) < message.parts:
            return  # if one was lost, this candidate does not win, and stands again
        entries = [entry for part in sorted(held) for entry in held[part].entries]
        message = replace(message, entries=tuple(entries), part=0, parts=1)
    replica.promises[sender] = message
    promises, adopted = _usable(replica)
    if _learn(replica, promises, adopted, effects):
        promises, adopted = _usable(replica)
    known = membership.configurations(replica, adopted)
    if replica.role != "candidate" or not membership.names(known[-1], replica.me, replica.incarnation):
        replica.give_way(replica.promised, effects)  # a member of what is coming must lead there
    elif all(membership.is_won(replica, members, promises) for members in known):
        take_over(replica, promises, adopted, effects)
    else:
        _ask(replica, known, effects)


def _usable(replica: Replica) -> tuple[dict[Address, Promise], list[Entry]]:
    """The promises that count, and what they tell that is to be proposed again.

    A replica that has let go of slots behind this candidate's commit index counts only together with a log that has
    the last of them, in a ballot no older: a leader of that ballot or a later one sent all that lies before, and it
    had what was chosen.
    """
    base = replica.commit_index
    whole = {address: promise for address, promise in replica.promises.items() if promise.base <= base}
    logs: list[Sequence[Entry]] = [replica.log.after(base)]
    logs += [_behind(base, promise) for promise in whole.values()]
    adopted = replica._adopt(logs)
    for address, promise in replica.promises.items():
        place = promise.base - base - 1
        if 0 <= place < len(adopted) and adopted[place].ballot >= promise.base_ballot:
            whole[address] = promise
            logs.append(promise.entries)
    return whole, replica._adopt(logs)


def _behind(slot: int, promise: Promise) -> Sequence[Entry]:
    entries = promise.entries
    return entries if not entries or entries[0].slot > slot else [entry for entry in entries if entry.slot > slot]


def _learn(replica: Replica, promises: dict[Address, Promise], adopted: list[Entry], effects: Effects) -> bool:
    """Whoever promises tells also what it knows to be committed, and that is so whoever wins. A candidate that had
    forgotten it need not win in configurations of long ago, whose members may be gone.
    """
    base = replica.commit_index
    known = max(promise.commit_index for promise in promises.values())
    entries = adopted[: max(0, known - base)]
    if not entries:
        return False
    for share in shares(entries):
        replica.log.store(share[0].slot, share)
        effects.append(AcceptedEntries(replica.spec.group, replica.promised, share[0].slot, share))
    replica.advance(entries[-1].slot, effects)
    replica.matched = replica.commit_index
    return True


def on_refuse(replica: Replica, sender: Address, message: Refuse, effects: Effects) -> None:
    if message.ballot > replica.promised:
        replica.give_way(message.ballot, effects)
        effects.append(Promised(replica.spec.group, message.ballot))


def take_over(replica: Replica, promises: dict[Address, Promise], adopted: list[Entry], effects: Effects) -> None:
    """Phase 2 begins: adopt, put up the barrier, and wait out the lease of whoever led before."""
    replica.promises, replica.partial = {}, {}
    base = replica.commit_index
    wait_ns = replica.lease_wait_ns(promises)
    replica.role = "leader"
    replica.leader = replica.me
    replica.following = replica.promised
    ballot = replica.promised
    barrier_slot = base + len(adopted) + 1
    lead = leaders.begin(ballot, barrier_slot, effects.now_ns + wait_ns, replica.me, replica.members)
    for address, told in promises.items():
        if address != replica.me and told.wall_ns:
            lead.compare_clocks(address, told.wall_ns, effects.wall_ns)
    time_ns = max([lead.wall_ns(effects.wall_ns), replica.last_time_ns(), *[e.time_ns for e in adopted]])
    entries = [Entry(ballot, e.slot, e.time_ns, e.request, e.expiry_ns, e.command) for e in adopted]
    entries.append(Entry(ballot, barrier_slot, time_ns, NO_REQUEST, 0, Barrier(ballot)))
    replica.log.cut(base)
    replica.log.store(base + 1, entries)
    replica.matched = barrier_slot
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
        peer.heard_ns = effects.now_ns  # it has as long as anybody else to answer
        peer.log = next(m.log for m in replica.members if m.address == peer.address)
    replica.leading = lead
    effects.tell(Event("leader-elected", replica.spec.group, ballot[0], barrier_slot))
    if adopted:
        effects.tell(Event("adopted", replica.spec.group, ballot[0], len(adopted)))
    replica.pump(effects)
