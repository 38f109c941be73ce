"""Faults of what is stored: disks that are slow or whose syncs fail, rows that appear in one replica's memory, an
object store that is away or whose objects rot. Crashes that hurt a disk are in `faults`, with the other crashes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, runtime_checkable

from dynalab_fault_injection.cluster import Cluster
from dynalab_fault_injection.link_faults import add
from dynalab_fault_injection.simulator import CERTAIN, below, between, pick

GHOST = b"\0ghost"
SETTLED_NS = 1_000_000_000
ROT_EVERY_NS = 700_000_000
NEWEST_OBJECTS = 4


@runtime_checkable
class HasRows(Protocol):
    """What a replica of a partition has applied."""

    @property
    def items(self) -> dict[bytes, object]: ...


@dataclass(slots=True)
class SlowDisk:
    """Every sync of a machine takes 50 to 200 times as long; what waits for it waits."""

    evidence: dict[str, int] = field(default_factory=dict)
    _slow: tuple[int, int] | None = None  # (machine, slow syncs before)

    def start(self, cluster: Cluster) -> None:
        victim = cluster.victim()
        if victim is None:
            return
        host = cluster.simulation.hosts[victim]
        host.sync_slowness = between(cluster.random, 50, 200)
        self._slow = (victim, host.slow_syncs)

    def stop(self, cluster: Cluster) -> None:
        if self._slow is None:
            return
        index, before = self._slow
        host = cluster.simulation.hosts[index]
        host.sync_slowness = 1
        add(self.evidence, "slow-syncs", host.slow_syncs - before)
        self._slow = None


@dataclass(slots=True)
class SyncFailure:
    """The next sync of a machine ends with an error. Its node must crash, and nothing that waited may leave; the
    machine starts again when the fault stops.
    """

    evidence: dict[str, int] = field(default_factory=dict)
    _victim: tuple[int, int] | None = None  # (machine, failed syncs before)

    def start(self, cluster: Cluster) -> None:
        victim = cluster.victim()
        if victim is not None:
            host = cluster.simulation.hosts[victim]
            host.sync_fails = True
            self._victim = (victim, host.failed_syncs)

    def stop(self, cluster: Cluster) -> None:
        if self._victim is None:
            return
        index, before = self._victim
        self._victim = None
        host = cluster.simulation.hosts[index]
        host.sync_fails = False
        add(self.evidence, "syncs-that-failed", host.failed_syncs - before)
        if host.node is None and host.epoch == host.failed_epoch:  # somebody else's crash of it is not ours to undo
            cluster.simulation.restart(index)


@dataclass(slots=True)
class BlackoutRot:
    """All storage machines lose power at once, and one of the newest synced records on one disk rots: what passes for
    a torn tail where nobody remembers how far the log was synced, at the moment when nobody else can help out.
    """

    evidence: dict[str, int] = field(default_factory=dict)
    _down: list[tuple[int, int]] = field(default_factory=list)  # (machine, epoch)

    _begun: bool = False

    def start(self, cluster: Cluster) -> None:
        # That a lost replica votes again has perhaps just been agreed on. Where one of those who agreed loses its disk
        # and all others their memory, nobody can tell any more: until all have it on disk this is out of the atlas.
        if cluster.may_wipe():
            self._begun = True
            simulation = cluster.simulation
            simulation.at(simulation.now + SETTLED_NS, "all power goes", partial(self._strike, cluster))

    def _strike(self, cluster: Cluster) -> None:
        victim = cluster.victim(leaders_of_four=1)
        if not self._begun or victim is None or not cluster.may_wipe(victim):
            return
        groups = cluster.groups_on(victim)
        for index in cluster.storage_up():
            for name, more in cluster.crash(index).items():
                add(self.evidence, name, more)
            self._down.append((index, cluster.simulation.hosts[index].epoch))
        if cluster.harm_disk(victim, groups, "rot-newest"):
            add(self.evidence, "records-rotten", 1)

    def stop(self, cluster: Cluster) -> None:
        self._begun = False
        for index, epoch in self._down:
            host = cluster.simulation.hosts[index]
            if host.node is None and host.epoch == epoch:
                cluster.simulation.restart(index)
        self._down = []


@dataclass(slots=True)
class SilentDivergence:
    """A row appears in the memory of one replica of a table's partition, under a key that no client asks for. Two
    things may bring it to light: scrubbing, which must, and the comparison of all replicas when the run is over. No
    other replica may be hurt until it is gone: the majority must be right.
    """

    evidence: dict[str, int] = field(default_factory=dict)

    def start(self, cluster: Cluster) -> None:
        if not cluster.may_wipe():
            return
        index = cluster.victim()
        node = None if index is None else cluster.storage(index)
        if index is None or node is None:
            return
        filled = [
            (group, state)
            for group, replica in node.replicas.items()
            if replica.spec.table and not replica.spec.index and replica.has_state
            if isinstance(state := getattr(replica, "state", None), HasRows) and len(state.items)
        ]
        if not filled:
            return
        group, state = pick(cluster.random, filled)
        key = pick(cluster.random, list(state.items))
        state.items[key + GHOST] = state.items[key]
        cluster.ghost = (index, group, key + GHOST)
        add(self.evidence, "rows-that-appeared", 1)

    def stop(self, cluster: Cluster) -> None:
        """Nothing is taken back: the replicas have to find it by themselves."""


@dataclass(slots=True)
class ArchiveOutage:
    """Most requests to the object store fail, or all; half of those that fail are done all the same."""

    evidence: dict[str, int] = field(default_factory=dict)
    _before: int | None = None

    def start(self, cluster: Cluster) -> None:
        store = cluster.simulation.objects
        store.chance = between(cluster.random, CERTAIN // 2, CERTAIN)
        self._before = store.failed

    def stop(self, cluster: Cluster) -> None:
        if self._before is None:
            return
        store = cluster.simulation.objects
        store.chance = 0
        add(self.evidence, "object-requests-that-failed", store.failed - self._before)
        self._before = None


@dataclass(slots=True)
class ArchiveRot:
    """Now and then a bit of an archived object flips: mostly in one of the newest files, which not every replica has
    compared yet, sometimes in a manifest. Whoever reads it must notice, and nobody may archive more behind it.
    """

    evidence: dict[str, int] = field(default_factory=dict)
    _over: bool = False

    def start(self, cluster: Cluster) -> None:
        self._strike(cluster)

    def stop(self, cluster: Cluster) -> None:
        self._over = True

    def _strike(self, cluster: Cluster) -> None:
        simulation = cluster.simulation
        store = simulation.objects
        if self._over:
            return
        manifests = [name for name in store.objects if name.endswith("/manifest")]
        files = [name for name in store.objects if not name.endswith("/manifest")][-NEWEST_OBJECTS:]
        if files:
            name = pick(cluster.random, manifests if manifests and below(cluster.random, 4) == 0 else files)
            store.rot(name, cluster.random.getrandbits(31))
            add(self.evidence, "archived-objects-rotten", 1)
        simulation.at(simulation.now + ROT_EVERY_NS, "an archived object rots", partial(self._strike, cluster))
