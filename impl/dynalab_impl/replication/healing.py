"""How a leader keeps its group whole: log replicas for members that fall silent, their return, replacement, and wiped
disks taken back (ATC'22 §3; S104, S140).

A full replica takes minutes to copy; the few recent entries of its log take moments. So when a member has been silent
for two heartbeats its leader asks a node of the same zone, or of another if that zone is silent as a whole, to hold
the log alone in its seat: four members, then three again without the silent one. When that comes back and has caught
up, it takes its seat and the log replica goes.

Nothing here is needed for safety: each step is one change of the membership by the rules of `membership`, and is
proposed only if a quorum behind it has been heard lately. What a leader remembers here is lost with its leadership;
the next one sees the same members and begins where this one was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dynalab_impl.effects import NOTHING, Address, Effects, Nanoseconds
from dynalab_impl.messages import (
    AddMember,
    Adopt,
    Adopted,
    Member,
    Readmit,
    Redirect,
    RemoveMember,
    Replace,
    Replaced,
    Retire,
)
from dynalab_impl.replication.leading import Leading, Peer
from dynalab_impl.replication.membership import Change, Members, after, configurations, zone_of
from dynalab_impl.replication.quorum import quorum_value, zones_needed
from dynalab_model.events import Event

if TYPE_CHECKING:
    from dynalab_impl.replication.replica import Replica

LAG_MAX = 64  # a replica this close to the commit index may vote: what it lacks is on its way
MEMBERS_MIN = 3  # a smaller group has no quorum without its silent member
LEAVING_HEARTBEATS = 4  # a replica that has lost its seat is kept for so long: time to write down what is committed
LOG_REPLICAS_MAX = 1  # that speak; with more of them too few members could lead


def mend(replica: Replica, storage: tuple[Address, ...], effects: Effects) -> None:
    """Once a tick at a leader: propose the next change, look for a stand-in."""
    lead = replica.leading
    if lead is None or lead.splitting or replica.commit_index < lead.barrier_slot:
        return
    if _is_at_rest(replica, lead, effects.now_ns):
        return
    _follow_members(replica, lead, effects.now_ns)
    _let_go(replica, lead, effects)
    step(replica, effects)
    if not lead.changing and len(replica.members) <= _target(replica):
        _seek_stand_in(replica, lead, storage, effects)


def step(replica: Replica, effects: Effects) -> None:
    """Propose the next change, if there is one and none is under way; also whenever a peer may have caught up."""
    lead = replica.leading
    if lead is None or lead.splitting or lead.changing or replica.commit_index < lead.barrier_slot:
        return
    if _is_whole(replica, lead):
        return  # as almost always
    for change in _wanted_changes(replica, lead, effects.now_ns):
        if replica.could_go_on(after(replica.members, change), effects.now_ns):
            replica.change(change, effects)
            return


def _is_whole(replica: Replica, lead: Leading) -> bool:
    """Whether the group is as it is to be: nobody stands for anybody, nobody is to join, no disk is new."""
    if lead.fresh or lead.joining is not None:
        return False
    if lead.whole is replica.members:
        return True  # seen before, and nobody has told of a new disk since
    if len(replica.members) != len(replica.spec.members):
        return False
    peers = lead.peers
    for member in replica.members:
        if member.stands_for is not None:
            return False
        peer = peers.get(member.address)
        if peer is not None and peer.incarnation > member.incarnation:
            return False
    lead.whole = replica.members
    return True


def _is_at_rest(replica: Replica, lead: Leading, now_ns: Nanoseconds) -> bool:
    """Whether `mend` has nothing to do, as at almost every tick: the group is whole, its peers are its other members,
    and all of them have been heard.
    """
    if lead.leaving or lead.seat is not None or not _is_whole(replica, lead):
        return False
    peers = lead.peers
    for member in replica.members:
        if member.address != replica.me:
            peer = peers.get(member.address)
            if peer is None or not peer.is_heard(now_ns, replica.timing):
                return False
    return len(peers) < len(replica.members)


def _target(replica: Replica) -> int:
    """How many members the group is to have: as many as it began with."""
    return len(replica.spec.members)


def _wanted_changes(replica: Replica, lead: Leading, now_ns: Nanoseconds) -> Iterator[Change]:
    for member in replica.members:
        peer = lead.peers.get(member.address)
        if peer is not None and peer.incarnation > member.incarnation and _caught_up(replica, peer):
            yield Readmit(Member(peer.address, peer.incarnation, member.stands_for))
    if len(replica.members) > _target(replica):
        yield from _surplus(replica, lead, now_ns)
        return
    arriving: list[tuple[Address, Address | None]] = []
    if not replica.is_dividing:
        arriving += [(member.stands_for, None) for member in replica.members if member.stands_for is not None]
        arriving += [(fresh, None) for fresh in lead.fresh]
        if lead.joining is not None:
            arriving.append((lead.joining, lead.seat))
    for address, seat in arriving:
        peer = lead.peers.get(address)
        if peer is None or replica.is_member(address) or not peer.incarnation or peer.log is (seat is None):
            continue
        if _caught_up(replica, peer) and peer.is_heard(now_ns, replica.timing):
            yield AddMember(Member(address, peer.incarnation, seat))


def _surplus(replica: Replica, lead: Leading, now_ns: Nanoseconds) -> Iterator[Change]:
    """Whom a group with a member too many can do without, the best choice first."""
    members = replica.members
    silent = [m for m in members if m.address != replica.me and not _is_heard(replica, lead, m.address, now_ns)]
    logs = [m for m in members if m.log]
    yield from (RemoveMember(m.address) for m in silent if m.log)
    for member in logs:
        if any(m.address == member.stands_for and m not in silent for m in members):
            yield RemoveMember(member.address)
    yield from (RemoveMember(m.address) for m in logs[LOG_REPLICAS_MAX:])
    for fresh, gone in lead.fresh.items():
        if replica.is_member(fresh) and gone != replica.me:
            yield from (RemoveMember(m.address) for m in members if gone in (m.address, m.stands_for))
    # Its seat is kept. A silent one that nobody stands for stays: without a seat it would be forgotten.
    seats = [m.stands_for for m in logs]
    yield from (RemoveMember(m.address) for m in silent if m.address in seats)


def _caught_up(replica: Replica, peer: Peer) -> bool:
    return peer.sending is None and peer.match + LAG_MAX >= replica.commit_index


def _is_heard(replica: Replica, lead: Leading, address: Address, now_ns: Nanoseconds) -> bool:
    peer = lead.peers.get(address)
    return peer is not None and peer.is_heard(now_ns, replica.timing)


def could_go_on(replica: Replica, members: Members, now_ns: Nanoseconds) -> bool:
    """Whether a quorum of these members has been heard lately."""
    lead = replica.leading
    assert lead is not None
    heard = [
        (1, zone_of(member.address))
        for member in members
        if member.address == replica.me
        or (
            (peer := lead.peers.get(member.address)) is not None
            and peer.incarnation == member.incarnation
            and peer.is_heard(now_ns, replica.timing)
        )
    ]
    return quorum_value(heard, len(members), zones_needed(members)) is not None


# --- log replicas ---------------------------------------------------------------------------------------------------


def _vacant_seat(replica: Replica, lead: Leading, now_ns: Nanoseconds) -> Address | None:
    """The full replica that has fallen silent, also if its log replica has."""
    if _target(replica) < MEMBERS_MIN or replica.is_dividing:
        return None
    logs = [m for m in replica.members if m.log]
    if sum(_is_heard(replica, lead, m.address, now_ns) for m in logs) >= LOG_REPLICAS_MAX:
        return None
    if logs:
        return logs[0].stands_for
    for member in replica.members:
        if member.address != replica.me and not _is_heard(replica, lead, member.address, now_ns):
            return member.address
    return None


def _seek_stand_in(replica: Replica, lead: Leading, storage: tuple[Address, ...], effects: Effects) -> None:
    """Ask one node after another to hold the log in a silent member's seat; an attempt lasts until the next tick."""
    seat = _vacant_seat(replica, lead, effects.now_ns)
    joining = lead.joining
    if joining is not None:
        if seat is not None and seat == lead.seat and _is_heard(replica, lead, joining, effects.now_ns):
            return  # it is catching up
        _release(replica, lead, joining, effects)
        lead.joining = None
    if seat != lead.seat:
        lead.seat, lead.asked = seat, []
    if seat is None:
        return
    for address in _candidates(replica, storage, seat):
        if address not in lead.peers and address not in lead.asked and address != replica.me:
            lead.asked.append(address)
            effects.send(address, adopt(replica, address), NOTHING)
            return
    lead.asked = []  # everybody was asked: from the beginning


def _candidates(replica: Replica, storage: tuple[Address, ...], seat: Address) -> list[Address]:
    """In turn a node of the silent member's zone and one of another: perhaps the zone is silent as a whole. Where the
    turn begins depends on the group, so that the groups of a dead node choose different ones.
    """
    begin = sum(replica.spec.group.encode()) % len(storage)
    turn = [*storage[begin:], *storage[:begin]]
    same = [address for address in turn if zone_of(address) == zone_of(seat)]
    other = [address for address in turn if zone_of(address) != zone_of(seat)]
    out: list[Address] = []
    for number in range(len(storage)):
        out += [*same[number : number + 1], *other[number : number + 1]]
    return [address for address in out if not replica.is_member(address)]


def adopt(replica: Replica, address: Address) -> Adopt:
    """What a node is told that is to hold a replica of this leader's group."""
    lead = replica.leading
    assert lead is not None
    seat = next((m.stands_for for m in replica.members if m.address == address), None)
    if address in lead.asked and not replica.is_member(address):
        seat = lead.seat
    return Adopt(replica.spec, replica.members, replica.members_slot, seat)


def on_adopted(replica: Replica, sender: Address, message: Adopted, effects: Effects) -> None:
    """The first of those that were asked to hold the log is taken."""
    lead = replica.leading
    if lead is None or sender in lead.peers:
        return
    if sender not in lead.asked or lead.joining is not None or lead.seat is None:
        effects.send(sender, _retire(replica), NOTHING)
        return
    lead.joining = sender
    # Slot 0: what it gets first is where its log begins.
    lead.add_peer(Peer(sender, zone_of(sender), message.incarnation, next=0, heard_ns=effects.now_ns, log=True))
    replica.pump(effects)


def is_other_kind(replica: Replica, sender: Address, log: bool, effects: Effects) -> bool:
    """Whether this is the answer of a log replica where a full one is to join, or the other way round: one that the
    node held before, and that has not heard that it may go. It does not count, and is told again.
    """
    lead = replica.leading
    peer = None if lead is None else lead.peers.get(sender)
    if peer is None or peer.log == log or replica.is_member(sender):
        return False
    effects.send(sender, _retire(replica), NOTHING)
    return True


def log_begins_at(replica: Replica) -> int:
    """Up to this slot a new log replica needs nothing: it is committed, and every full replica but the silent one has
    it. Behind it lies what one of them may need, should this leader die.
    """
    lead = replica.leading
    assert lead is not None
    full = [m.address for m in replica.members if not m.log and m.address not in (replica.me, lead.seat)]
    matches = [lead.peers[address].match for address in full if address in lead.peers]
    return max(replica.log.base, min([replica.commit_index, *matches]))


def full_match(replica: Replica) -> int:
    """Up to this slot every full member has the log: told to log replicas, which may let go of what lies before."""
    lead = replica.leading
    assert lead is not None
    full = [m.address for m in replica.members if not m.log and m.address != replica.me]
    return min([replica.commit_index, *[lead.peers[a].match for a in full if a in lead.peers]])


# --- what follows from a change -------------------------------------------------------------------------------------


def changed(replica: Replica, effects: Effects) -> None:
    """At the leader, when a change is committed: count by the new members, meet those that came, let the others go."""
    lead = replica.leading
    assert lead is not None
    lead.changing = False
    lead.count(replica.members)
    _follow_members(replica, lead, effects.now_ns)
    if lead.joining is not None and replica.is_member(lead.joining):
        lead.joining, lead.asked = None, []
        effects.tell(Event("log-replica-joined", replica.spec.group, lead.ballot[0], replica.commit_index))
    for fresh, gone in list(lead.fresh.items()):
        if _is_replaced(replica, gone, fresh):
            del lead.fresh[fresh]
    wanted = _wanted(replica, lead)
    for address in lead.peers:
        if address not in wanted:
            lead.leaving.setdefault(address, effects.now_ns)


def _let_go(replica: Replica, lead: Leading, effects: Effects) -> None:
    """Those who have lost their seats stay for a moment. Until the others have heard that the change is committed, and
    this leader dies, they need those votes to find it out.
    """
    wanted = _wanted(replica, lead)
    for address, since_ns in list(lead.leaving.items()):
        if address in wanted:
            del lead.leaving[address]
        elif effects.now_ns - since_ns >= LEAVING_HEARTBEATS * replica.timing.heartbeat_ns:
            del lead.leaving[address]
            _release(replica, lead, address, effects)


def _wanted(replica: Replica, lead: Leading) -> list[Address]:
    """Whom the leader sends to: members, those whose seats are kept for them, and whoever is to join."""
    out = [member.address for member in replica.members]
    out += [member.stands_for for member in replica.members if member.stands_for is not None]
    out += lead.fresh
    return out if lead.joining is None else [*out, lead.joining]


def is_wanted(replica: Replica, address: Address) -> bool:
    """Whether this leader has a seat for it. One that has lost its own and is let go may not be asked in again: nobody
    knows as what.
    """
    lead = replica.leading
    return lead is not None and address in _wanted(replica, lead)


def _follow_members(replica: Replica, lead: Leading, now_ns: Nanoseconds) -> None:
    """A peer for everybody who is wanted. What it has is not known yet: its first answer tells.

    One that held the log alone and is to hold the data now begins anew: what it has is not what is counted.
    """
    logs = [member.address for member in replica.members if member.log]
    for address in _wanted(replica, lead):
        known = lead.peers.get(address)
        if known is not None and known.log is not (address == lead.joining) and not replica.is_member(address):
            lead.drop_peer(address)
        if address != replica.me and address not in lead.peers:
            member = next((m for m in replica.members if m.address == address), None)
            incarnation = 0 if member is None else member.incarnation
            lead.whole = None
            peer = Peer(address, zone_of(address), incarnation, next=replica.commit_index + 1, log=address in logs)
            peer.heard_ns = now_ns if member is not None else -1
            lead.add_peer(peer)


def _release(replica: Replica, lead: Leading, address: Address, effects: Effects) -> None:
    """Somebody who is not wanted any more. If this is lost, it asks by itself when it has heard nothing for long."""
    lead.drop_peer(address)
    effects.send(address, _retire(replica), NOTHING)


def _retire(replica: Replica) -> Retire:
    slot = max(replica.commit_index, replica.members_slot)  # a learner may know of changes that it has yet to apply
    return Retire(replica.spec.group, slot, replica.members_slot)


def turn_away(replica: Replica, sender: Address, effects: Effects) -> bool:
    """A replica that misses its leader asks. One that is not wanted is told so; True then. Perhaps it knows nobody who
    leads today, so followers tell it, too: the change that let it go is committed, whatever else they have missed.
    """
    lead = replica.leading
    if lead is not None:
        if sender in lead.peers or not replica.may_serve(effects.now_ns):
            return False
    elif any(
        sender in (member.address, member.stands_for)
        for members in configurations(replica, replica.log.after(replica.commit_index))
        for member in members
    ):
        return False  # also where that is not committed yet: a candidate may need its vote to find out
    effects.send(sender, _retire(replica), NOTHING)
    return True


# --- replacement on request -----------------------------------------------------------------------------------------


def on_replace(replica: Replica, sender: Address, message: Replace, effects: Effects) -> None:
    """Build a full replica elsewhere, then let one go. It survives a change of leaders by being asked again."""
    lead, group = replica.leading, replica.spec.group
    if lead is None or not replica.may_serve(effects.now_ns):
        effects.send(sender, Redirect(message.number, group, replica.leader), NOTHING)
    elif _is_replaced(replica, message.gone, message.fresh):
        effects.send(sender, Replaced(group, message.number), NOTHING)
    elif message.gone == replica.me and replica.is_member(message.fresh):
        replica.hand_over(effects)  # nobody removes itself: the next leader is asked again, and does it
    elif not lead.splitting and not replica.is_dividing:
        for fresh in [fresh for fresh, gone in lead.fresh.items() if gone == message.gone]:
            del lead.fresh[fresh]
        lead.fresh[message.fresh] = message.gone
        _follow_members(replica, lead, effects.now_ns)


def _is_replaced(replica: Replica, gone: Address, fresh: Address) -> bool:
    full = [member.address for member in replica.members if not member.log]
    return fresh in full and all(gone not in (m.address, m.stands_for) for m in replica.members)
