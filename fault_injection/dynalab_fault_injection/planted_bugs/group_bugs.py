"""Planted bugs of a replication group: its lease, its barrier, its members, its memory."""

from __future__ import annotations

from dynalab_fault_injection.planted_bugs.bug import PlantedBug
from dynalab_fault_injection.planted_bugs.patch import Patch
from dynalab_impl.effects import Address, Effects, Nanoseconds
from dynalab_impl.messages import (
    NO_REQUEST,
    AddMember,
    Command,
    Member,
    Promise,
    RemoveMember,
    RequestId,
)
from dynalab_impl.replication import leadership
from dynalab_impl.replication.leading import Leading, Peer
from dynalab_impl.replication.membership import Change
from dynalab_impl.replication.replica import Replica


def _log_replicas_too(self: Replica) -> bool:
    return self.role != "learner"


def _swap_at_once(replica: Replica, command: Change, effects: Effects) -> int:
    lead = replica.leading
    assert lead is not None
    lead.changing = True
    seat = command.member.stands_for if isinstance(command, AddMember) else None
    if seat is None or not isinstance(command, AddMember):
        return replica.propose(command, NO_REQUEST, 0, effects)
    stays = tuple(member for member in replica.members if member.address != seat)
    replica.members = (*stays, command.member)
    lead.count(replica.members)
    replica.propose(command, NO_REQUEST, 0, effects)
    return replica.propose(RemoveMember(seat), NO_REQUEST, 0, effects)


def _unheard(replica: Replica, members: tuple[Member, ...], now_ns: Nanoseconds) -> bool:
    return True


def _forgetful(replica: Replica, effects: Effects) -> None:
    lead = replica.leading
    served = lead is not None and lead.served
    leadership.check_lease(replica, effects)
    if lead is not None and lead.served and not served:
        replica.state.dedup.clear()
        lead.pending_requests.clear()


def _no_wait(replica: Replica, promises: dict[Address, Promise]) -> Nanoseconds:
    return 0


def _from_the_reply(
    replica: Replica, sender: Address, incarnation: int, sent_ns: Nanoseconds, match: int, effects: Effects
) -> None:
    leadership.on_acknowledged(replica, sender, incarnation, effects.now_ns, match, effects)


def _before_the_barrier(self: Replica, now_ns: Nanoseconds) -> bool:
    lead = self.leading
    return lead is not None and now_ns >= lead.serve_after_ns and self.lease_holds(lead, now_ns)


def _propose_at_once(
    replica: Replica, command: Command, request: RequestId, expiry_ns: Nanoseconds, effects: Effects
) -> int:
    lead = replica.leading
    assert lead is not None
    barrier_slot, lead.barrier_slot = lead.barrier_slot, min(lead.barrier_slot, replica.commit_index)
    slot = leadership.propose(replica, command, request, expiry_ns, effects)
    lead.barrier_slot = barrier_slot
    return slot


def _promises_anything(self: Replica, commit_index: int, known: list[tuple[Member, ...]]) -> bool:
    return True


def _any_disk(self: Replica, member: Member, promise: Promise) -> bool:
    return True


def _any_peer(self: Leading, members: tuple[Member, ...]) -> list[Peer]:
    return [self.peers[member.address] for member in members if member.address in self.peers]


GROUP_BUGS: tuple[PlantedBug, ...] = (
    PlantedBug(
        name="log-replica-leads",
        rule="a log replica holds no items, and never leads",
        sentence="a log replica stands for election like any other member",
        checker="linearizability",
        workload="register",
        faults=("node-crash", "partition"),
        patches=(Patch(Replica, "may_lead", "9cb9d286", _log_replicas_too),),
    ),
    PlantedBug(
        name="two-changes-at-once",
        rule="one change of the membership at a time: a new member is added before the old one is removed",
        sentence="a leader puts a log replica into a silent member's place in one step, and counts by it at once",
        checker="linearizability",
        workload="register",
        faults=("partition", "clock-drift"),
        patches=(
            Patch(Replica, "change", "dd3e6a2b", _swap_at_once),
            Patch(Replica, "could_go_on", "f4e827ae", _unheard),
        ),
    ),
    PlantedBug(
        name="dedup-lost-on-failover",
        rule="a retried request is recognised also by the next leader, and happens once",
        sentence="a new leader forgets which requests its predecessors answered",
        checker="linearizability",
        workload="hot-key",
        faults=("deployment", "slow-node"),
        patches=(Patch(Replica, "check_lease", "25f9527d", _forgetful),),
    ),
    PlantedBug(
        name="lease-not-waited-out",
        rule="a new leader serves nothing until the lease of whoever led before it has certainly ended",
        sentence="a new leader serves as soon as its barrier is committed",
        checker="linearizability",
        workload="hot-key",
        faults=("stranded-leader",),
        patches=(Patch(Replica, "lease_wait_ns", "73dba6e9", _no_wait),),
    ),
    PlantedBug(
        name="lease-from-the-reply",
        rule="a lease counts from the sending of the renewal that a quorum acknowledged",
        sentence="a leader counts its lease from the moment at which the acknowledgement arrives",
        checker="linearizability",
        workload="hot-key",
        faults=("late-acknowledgements", "stranded-leader"),
        patches=(Patch(Replica, "on_acknowledged", "1ae837c5", _from_the_reply),),
    ),
    PlantedBug(
        name="barrier-forgotten",
        rule="a new leader serves nothing before its barrier is committed, and with it all that its predecessors chose",
        sentence="a new leader serves when the lease before it is over, whether or not its barrier is committed",
        checker="linearizability",
        workload="hot-key",
        faults=("log-lag", "partition"),
        patches=(
            Patch(Replica, "may_serve", "3f2b1ece", _before_the_barrier),
            Patch(Replica, "propose", "3fdf8f99", _propose_at_once),
        ),
    ),
    PlantedBug(
        name="wiped-replica-votes",
        rule="a replica that lost its disk promises and counts for nothing until a committed entry readmits it",
        sentence="a replica with an empty disk votes as if it still held what it had acknowledged",
        checker="linearizability",
        workload="register",
        faults=("log-lag", "loss-on-return"),
        patches=(
            Patch(Replica, "may_promise", "b3b2054c", _promises_anything),
            Patch(Replica, "is_vote_of", "16fd7ac2", _any_disk),
            Patch(Leading, "voters", "79e5b6a9", _any_peer),
        ),
    ),
)
