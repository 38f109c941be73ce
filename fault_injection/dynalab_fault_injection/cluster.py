"""What a campaign may look at inside a cluster: who leads what, which replicas there are, what they hold.

Looking never changes a node, and clients never see any of this: it serves to aim faults, to count evidence, and to
compare replicas at the end. The protocols below are all that this room knows of a storage node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from random import Random
from typing import Protocol, runtime_checkable

from dynalab_fault_injection.simulator import Simulation, below, pick
from dynalab_impl.effects import Address
from dynalab_impl.messages import GroupSpec, Member
from dynalab_impl.replication.quorum import quorum_value, zones_needed
from dynalab_model.values import Item

NEWEST_RECORDS = 16


class HostedReplica(Protocol):
    """One replica as its node shows it."""

    @property
    def spec(self) -> GroupSpec: ...
    @property
    def role(self) -> str: ...
    @property
    def is_leader(self) -> bool: ...
    @property
    def commit_index(self) -> int: ...
    @property
    def members(self) -> tuple[Member, ...]: ...
    @property
    def members_slot(self) -> int: ...
    @property
    def recorded_commit(self) -> int: ...
    @property
    def log_only(self) -> bool: ...
    @property
    def has_state(self) -> bool: ...
    @property
    def log(self) -> Sized: ...


@runtime_checkable
class StorageNode(Protocol):
    """A node that hosts replicas; routers do not."""

    @property
    def replicas(self) -> Mapping[str, HostedReplica]: ...

    def table_items(self, table: str) -> Mapping[str, Mapping[bytes, Item]]: ...


@dataclass(slots=True)
class Cluster:
    """A simulation, the faults' own random stream, and what must not be broken at the same time.

    `wiped` is the atlas: the machine that lost its disk, and the groups it had a replica of. Until each of them
    counts it as a voter again no other disk may be taken, so one quorum of every record stays out of reach of wipes.
    """

    simulation: Simulation
    random: Random
    wiped: tuple[int, tuple[str, ...]] | None = None
    # What each machine held when it went down: group → up to which change it had written the membership down.
    held: dict[int, dict[str, int]] = field(default_factory=dict)
    ghost: tuple[int, str, bytes] | None = None  # a row that appeared in one replica, until nobody has it
    evidence: dict[str, int] = field(default_factory=dict)

    # --- looking ---------------------------------------------------------------------------------------------------

    def storage(self, index: int) -> StorageNode | None:
        """The storage node on that machine, if it runs."""
        node = self.simulation.hosts[index].node
        return node if isinstance(node, StorageNode) else None

    def storage_up(self) -> list[int]:
        """Machines with a running storage node, in order."""
        return [index for index in range(self.simulation.storage_count) if self.simulation.is_up(index)]

    def routers_up(self) -> list[int]:
        """Machines with a running router, in order."""
        hosts = range(self.simulation.storage_count, len(self.simulation.hosts))
        return [index for index in hosts if self.simulation.is_up(index)]

    def leaders(self) -> list[int]:
        """Machines that lead some group at the moment (two may believe so of one group), in order."""
        return [
            index
            for index in self.storage_up()
            if (node := self.storage(index)) is not None and any(r.is_leader for r in node.replicas.values())
        ]

    def groups_on(self, index: int) -> tuple[str, ...]:
        node = self.storage(index)
        return () if node is None else tuple(node.replicas)

    def unacked_groups(self, index: int) -> int:
        """How many groups this machine leads with entries that it could not commit yet."""
        node = self.storage(index)
        if node is None:
            return 0
        return sum(1 for r in node.replicas.values() if r.is_leader and len(r.log) > r.commit_index)

    def in_zone(self, zone: tuple[str, str]) -> list[int]:
        """All machines of a zone, routers included."""
        return [i for i, a in enumerate(self.simulation.addresses) if (a.region, a.zone) == zone]

    def zones(self) -> list[tuple[str, str]]:
        return list(dict.fromkeys((a.region, a.zone) for a in self.simulation.topology.storage))

    def address(self, index: int) -> Address:
        return self.simulation.addresses[index]

    # --- aiming ----------------------------------------------------------------------------------------------------

    def victim(self, *, leaders_of_four: int = 3) -> int | None:
        """A machine to hurt: so many times out of four one that leads something, else any that holds a replica."""
        aim_high = below(self.random, 4) < leaders_of_four
        hosting = [index for index in self.storage_up() if self.groups_on(index)]
        candidates = (self.leaders() if aim_high else []) or hosting
        return pick(self.random, candidates) if candidates else None

    # --- power -----------------------------------------------------------------------------------------------------

    def crash(self, index: int) -> dict[str, int]:
        """Cut the power of a running machine; says what died with it."""
        simulation = self.simulation
        evidence = {"nodes-died": 1}
        node = self.storage(index)
        self.held[index] = {} if node is None else {group: _written(held) for group, held in node.replicas.items()}
        leads = index in self.leaders()
        unacked = self.unacked_groups(index)
        tails = simulation.counters.get("lost-unsynced-tails", 0)
        simulation.crash(index)
        if leads:
            evidence["leaders-died"] = 1
        if unacked:
            evidence["leaders-died-with-unacked-writes"] = unacked
        if simulation.counters.get("lost-unsynced-tails", 0) > tails:
            evidence["unsynced-tails-lost"] = 1
        for name in ("leaders-died", "leaders-died-with-unacked-writes"):
            if name in evidence:
                simulation.count(name, evidence[name])
        return evidence

    def may_wipe(self, victim: int | None = None) -> bool:
        """Whether every replica that the last wipe took is a voter again; and whether each group of this machine has a
        quorum without it.
        """
        if victim is not None and not all(self._is_whole_without(victim, group) for group in self.groups_on(victim)):
            return False
        if self._has_ghost():
            return False
        if self.wiped is None:
            return True
        index, groups = self.wiped
        node = self.storage(index)
        if node is None:
            return False
        if all(self._is_made_good(index, group) for group in groups):
            self.wiped = None
            return True
        return False

    def _is_made_good(self, index: int, group: str) -> bool:
        """Whether this machine votes in the group again, or in both groups that it was split into; or others have its
        seat, and all of them hold everything; or nobody has the group any more.
        """
        hosted = self._hosted(group)
        children = (f"{group}.0", f"{group}.1")
        if any(self._hosted(child) for child in children):
            return all(self._is_made_good(index, child) for child in children)
        mine = hosted.get(self.address(index))
        if mine is not None:
            return mine.role != "learner"
        if not hosted:
            return len(self.storage_up()) == self.simulation.storage_count
        members = max(hosted.values(), key=lambda replica: replica.members_slot).members
        return all(_is_full(member, hosted.get(member.address)) for member in members)

    def _hosted(self, group: str) -> dict[Address, HostedReplica]:
        """The replicas of a group on machines that are up."""
        return {
            self.address(index): replica
            for index in self.storage_up()
            if (node := self.storage(index)) is not None and (replica := node.replicas.get(group)) is not None
        }

    def _has_ghost(self) -> bool:
        """Whether a row that appeared in one replica may still be there."""
        if self.ghost is None:
            return False
        index, group, key = self.ghost
        node = self.storage(index)
        if node is None or key in node.table_items(group.partition("/")[0]).get(group, {}):
            return True
        self.ghost = None
        return False

    def _is_whole_without(self, victim: int, group: str) -> bool:
        """By the newest membership that anybody knows, and that those who stay have on disk. A machine that is down
        still has its disk.
        """
        replicas = self._hosted(group)
        newest = max(replicas.values(), key=lambda replica: replica.members_slot)
        members, slot = newest.members, newest.members_slot
        if self.address(victim) not in [member.address for member in members]:
            return True
        up = [self.address(index) for index in self.storage_up()]
        left: list[tuple[int, str]] = []
        for member in members:
            held = replicas.get(member.address)
            if held is None:
                index = self.simulation.addresses.index(member.address)
                holds = member.address not in up and self.held.get(index, {}).get(group, -1) >= slot
            else:
                holds = _written(held) >= slot
            if holds and member.address != self.address(victim):
                left.append((1, f"{member.address.region}/{member.address.zone}"))
        return quorum_value(left, len(members), zones_needed(members)) is not None

    def wipe(self, index: int, groups: tuple[str, ...]) -> None:
        """Take the disk of a machine that is down and had these groups' replicas."""
        assert self.may_wipe(), "a second disk would be out of the atlas"
        self.simulation.wipe(index)
        self.wiped = (index, groups)

    def harm_disk(self, index: int, groups: tuple[str, ...], harm: str) -> bool:
        """Hurt the disk of a machine that is down and had these groups' replicas, so that it counts as lost: `wipe`,
        `rot`, `rot-newest` (in one of the newest records), or `stray` (a write of this disk or of another one lands in
        a record's place). False if nothing was there to be hurt.
        """
        assert self.may_wipe(), "a second disk would be out of the atlas"
        if harm == "wipe":
            self.wipe(index, groups)
            return True
        hosts = self.simulation.hosts
        if harm in ("rot", "rot-newest"):
            hurt = hosts[index].disk.rot(self.random, NEWEST_RECORDS if harm == "rot-newest" else 0)
        else:
            others = [other for other in self.storage_up() if other != index]
            foreign = b""
            if others and below(self.random, 2):
                foreign = hosts[pick(self.random, others)].disk.frame_at(self.random)
            hurt = hosts[index].disk.misdirect(self.random, foreign)
        if hurt:
            self.wiped = (index, groups)
        return hurt

    def restart_all(self) -> None:
        """Start every machine that is down."""
        for index in range(len(self.simulation.hosts)):
            if not self.simulation.is_up(index):
                self.simulation.restart(index)


def _is_full(member: Member, replica: HostedReplica | None) -> bool:
    """Whether this member holds items, and votes."""
    return replica is not None and not member.log and not replica.log_only and replica.role != "learner"


def _written(replica: HostedReplica) -> int:
    """Up to which change the membership is on this replica's disk; -1 for one without state."""
    held = replica.has_state or replica.log_only
    return min(replica.members_slot, replica.recorded_commit) if held else -1
