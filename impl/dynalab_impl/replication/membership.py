"""The members of a group: how the log changes them, and which of its configurations a candidate must win.

Rules:
- *The log decides.* A slot is chosen by a quorum of the configuration that the log before it says. A leader commits in
  order, so it counts each slot under the members that it has applied, and goes on under the new ones behind a change.
- *One change at a time*, proposed when the one before it is committed and so is the leader's barrier. A replacement
  adds first (four members, three of which must agree) and removes then. In one step an old quorum {a, f} and a new one
  {b, l} would not meet.
- *A candidate wins in all that may count.* The members that it has applied may be history. It needs a quorum of
  promises in its own configuration and in each that it finds behind it, in its log or in theirs, committed or not.
  By induction over the changes it finds every one that was chosen: the first by a quorum of the configuration that it
  knows, the next by a quorum of the one that it has found, and so on. So whatever was chosen, it has met a replica
  that accepted it. For the same reason it has met a replica that acknowledged any older leader's lease, or somebody
  who was elected later than that.
- *A vote is a disk's*, counted by address and incarnation. A disk remembers what it has promised under its
  incarnation, also when it held a replica of the group before, was let go and joined again (`records.LeftGroup`). What
  it had accepted then is forgotten; all of it up to the slot of its removal, which the leader knew that asked it to
  join again. So as a learner it promises only to a candidate that asks for what lies behind that slot, or when its own
  log has come to a later change that names it. Then its log holds all that was chosen before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeGuard

from dynalab_impl.effects import Address, Effects
from dynalab_impl.messages import AddMember, Command, Entry, Member, Promise, Readmit, RemoveMember
from dynalab_impl.replication.quorum import quorum_value, zones_needed
from dynalab_model.events import Event

if TYPE_CHECKING:
    from dynalab_impl.replication.replica import Replica

Change: TypeAlias = Readmit | AddMember | RemoveMember
Members: TypeAlias = tuple[Member, ...]

_CHANGES = frozenset({Readmit, AddMember, RemoveMember})


def is_change(command: Command) -> TypeGuard[Change]:
    """Whether this command changes the membership."""
    return type(command) in _CHANGES


def after(members: Members, change: Change) -> Members:
    """The members behind a change.

    >>> a, b = Address("r", "z1", "a"), Address("r", "z2", "b")
    >>> after((Member(a, 1),), AddMember(Member(b, 1))) == (Member(a, 1), Member(b, 1))
    True
    >>> after((Member(a, 1), Member(b, 1)), RemoveMember(a)) == (Member(b, 1),)
    True
    """
    if isinstance(change, RemoveMember):
        return tuple(member for member in members if member.address != change.address)
    fresh = change.member
    if any(member.address == fresh.address for member in members):
        return tuple(fresh if member.address == fresh.address else member for member in members)
    return members if isinstance(change, Readmit) else (*members, fresh)


def configurations(replica: Replica, entries: Iterable[Entry]) -> list[Members]:
    """The replica's own configuration, and each behind it in these entries (those behind its commit index)."""
    found = [replica.members]
    for entry in entries:
        command = entry.command
        if is_change(command) and entry.slot > replica.members_slot:
            found.append(after(found[-1], command))
    return found


def newest(replica: Replica) -> tuple[int, Members]:
    """The last change that the replica's log holds, committed or not: its slot, and the members behind it."""
    slot, members = replica.members_slot, replica.members
    for entry in replica.log.after(max(replica.commit_index, replica.log.base)):
        if is_change(entry.command) and entry.slot > slot:
            slot, members = entry.slot, after(members, entry.command)
    return slot, members


def names(members: Members, address: Address, incarnation: int) -> bool:
    """Whether this disk votes in this configuration."""
    return any(member.address == address and member.incarnation == incarnation for member in members)


def is_won(replica: Replica, members: Members, promises: Mapping[Address, Promise]) -> bool:
    """Whether a quorum of this configuration, across two zones, has promised."""
    voters: list[tuple[int, str]] = []
    for member in members:
        promise = promises.get(member.address)
        if promise is not None and replica.is_vote_of(member, promise):
            voters.append((1, zone_of(member.address)))
    return quorum_value(voters, len(members), zones_needed(members)) is not None


def zone_of(address: Address) -> str:
    """The zone's name, for counting."""
    return f"{address.region}/{address.zone}"


def apply(replica: Replica, slot: int, change: Change, effects: Effects) -> None:
    """A committed change. One that the replica knew of when it joined is history."""
    if slot <= replica.members_slot:
        return
    replica.members = after(replica.members, change)
    replica.members_slot = slot
    was_learner = replica.role == "learner"
    settle_role(replica)
    if was_learner and replica.role != "learner":
        kind = "learner-readmitted" if isinstance(change, Readmit) else "member-added"
        effects.tell(Event(kind, replica.spec.group, replica.promised[0], slot))


def settle_role(replica: Replica) -> None:
    """Who is no member counts for nothing: a learner. Who has become one follows."""
    if names(replica.members, replica.me, replica.incarnation):
        replica.counted = True
        if replica.role == "learner":
            replica.role = "follower"
    elif replica.leading is None:
        replica.role = "learner"
