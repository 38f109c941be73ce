"""Planted bugs of a replication group: its lease, its barrier, its members, its memory."""

from __future__ import annotations

from dynalab_fault_injection.planted_bugs.bug import PlantedBug
from dynalab_fault_injection.planted_bugs.patch import Patch
from dynalab_impl.effects import Address, Effects, Nanoseconds
from dynalab_impl.messages import (
    NO_REQUEST,
    AddMember,
    Member,
    RemoveMember,
)
from dynalab_impl.replication import leadership
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


def _from_the_reply(
    replica: Replica, sender: Address, incarnation: int, sent_ns: Nanoseconds, match: int, effects: Effects
) -> None:
    leadership.on_acknowledged(replica, sender, incarnation, effects.now_ns, match, effects)


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
        workload="register",
        faults=("deployment", "delay", "slow-disk"),
        patches=(Patch(Replica, "check_lease", "25f9527d", _forgetful),),
    ),
    PlantedBug(
        name="lease-from-the-reply",
        rule="a lease counts from the sending of the renewal that a quorum acknowledged",
        sentence="a leader counts its lease from the moment at which the acknowledgement arrives",
        checker="linearizability",
        workload="hot-key",
        faults=("late-acknowledgements", "partition"),
        patches=(Patch(Replica, "on_acknowledged", "1ae837c5", _from_the_reply),),
    ),
)
