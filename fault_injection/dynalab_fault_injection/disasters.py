"""Faults that are two at once: what a system meets that has just begun to repair the first one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dynalab_fault_injection.cluster import Cluster
from dynalab_fault_injection.link_faults import add, lift
from dynalab_fault_injection.simulator import LinkRule, below, between, pick
from dynalab_impl.effects import Address, Nanoseconds
from dynalab_impl.messages import SplitNow
from dynalab_impl.records import SnapshotBegin, SnapshotEnd, SnapshotPiece
from dynalab_model.events import Event

MILLISECOND = 1_000_000
NEARLY_STOPPED_PPM = 990_000
BLACKOUT_WITHIN_NS = 900 * MILLISECOND  # a blackout waits so long for a snapshot to be written
OF_SNAPSHOTS = (SnapshotBegin, SnapshotPiece, SnapshotEnd)
# What tells that a group is being repaired: a replica was taken on that does not count yet.
HEALING = ("learner-joined", "log-replica-hosted", "snapshot-sent")


@dataclass(slots=True)
class Down:
    """Machines that this fault stopped, with their epochs: somebody else's crash of one is not ours to undo."""

    machines: list[tuple[int, int]] = field(default_factory=list)

    def crash(self, cluster: Cluster, index: int, evidence: dict[str, int]) -> None:
        if cluster.simulation.is_up(index):
            for name, more in cluster.crash(index).items():
                add(evidence, name, more)
            self.machines.append((index, cluster.simulation.hosts[index].epoch))

    def restart(self, cluster: Cluster) -> None:
        for index, epoch in self.machines:
            if not cluster.simulation.is_up(index) and cluster.simulation.hosts[index].epoch == epoch:
                cluster.simulation.restart(index)
        self.machines = []


@dataclass(slots=True)
class Blackout:
    """All storage machines lose power at once, and no disk is hurt: whatever was acknowledged is on them. If a machine
    comes to write a piece of a snapshot soon, it happens in the middle of that sync: then what the snapshot is to
    replace had better be there still.
    """

    evidence: dict[str, int] = field(default_factory=dict)
    _down: Down = field(default_factory=Down)
    _armed: list[tuple[int, Callable[[int], None]]] = field(default_factory=list)
    _waiting: bool = False

    def start(self, cluster: Cluster) -> None:
        self._waiting = True
        for index in cluster.storage_up():
            self._watch(cluster, index)
        simulation = cluster.simulation
        simulation.at(simulation.now + BLACKOUT_WITHIN_NS, "all power goes", lambda: self._strike(cluster))

    def stop(self, cluster: Cluster) -> None:
        self._disarm(cluster)
        self._down.restart(cluster)

    def _watch(self, cluster: Cluster, index: int) -> None:
        simulation = cluster.simulation
        host = simulation.hosts[index]
        draw = below(cluster.random, 1 << 16)

        def on_sync(length_ns: int) -> None:
            if any(isinstance(record, OF_SNAPSHOTS) for record in host.disk.unsynced()):
                strike_ns = simulation.now + (length_ns * draw >> 16)
                simulation.at(strike_ns, "all power goes", lambda: self._strike(cluster, during_snapshot=True))
            else:
                host.trap = on_sync

        host.trap = on_sync
        self._armed.append((index, on_sync))

    def _strike(self, cluster: Cluster, *, during_snapshot: bool = False) -> None:
        if not self._waiting:
            return
        self._disarm(cluster)
        for index in cluster.storage_up():
            self._down.crash(cluster, index, self.evidence)
        if during_snapshot:
            add(self.evidence, "power-lost-while-a-snapshot-was-written", 1)
            cluster.simulation.count("power-lost-while-a-snapshot-was-written")

    def _disarm(self, cluster: Cluster) -> None:
        self._waiting = False
        for index, on_sync in self._armed:
            host = cluster.simulation.hosts[index]
            if host.trap is on_sync:  # another fault may wait for this disk by now
                host.trap = None
        self._armed = []


@dataclass(slots=True)
class TwoZoneLoss:
    """Two of three zones lose power. Writes and strong reads stop, eventual reads go on where a replica is left, and
    whatever was acknowledged is there when the power comes back.
    """

    evidence: dict[str, int] = field(default_factory=dict)
    _down: Down = field(default_factory=Down)

    def start(self, cluster: Cluster) -> None:
        left = pick(cluster.random, cluster.zones())
        for zone in cluster.zones():
            if zone != left:
                for index in cluster.in_zone(zone):
                    self._down.crash(cluster, index, self.evidence)
        if self._down.machines:
            cluster.simulation.count("two-zones-lost")

    def stop(self, cluster: Cluster) -> None:
        self._down.restart(cluster)


@dataclass(slots=True)
class SplitFailover:
    """A leader divides its partition and dies within a moment: before the Split is sent, chosen, told, or after."""

    evidence: dict[str, int] = field(default_factory=dict)
    _down: Down = field(default_factory=Down)
    _over: bool = False

    def start(self, cluster: Cluster) -> None:
        led = [
            (index, group)
            for index in cluster.storage_up()
            if (node := cluster.storage(index)) is not None
            for group, replica in node.replicas.items()
            if replica.is_leader and len(node.table_items(replica.spec.table).get(group, ())) > 1
        ]
        if not led:
            return
        index, group = pick(cluster.random, led)
        simulation = cluster.simulation
        simulation.order(index, SplitNow(group))
        wait_ns = between(cluster.random, 0, 12 * MILLISECOND)
        simulation.at(simulation.now + wait_ns, "the leader that split dies", lambda: self._strike(cluster, index))

    def stop(self, cluster: Cluster) -> None:
        self._over = True
        self._down.restart(cluster)

    def _strike(self, cluster: Cluster, index: int) -> None:
        if not self._over:
            self._down.crash(cluster, index, self.evidence)


@dataclass(slots=True)
class LossWhileHealing:
    """As soon as a group takes on a replica to repair itself, another machine that holds the group loses power."""

    evidence: dict[str, int] = field(default_factory=dict)
    _down: Down = field(default_factory=Down)
    _listener: Callable[[Nanoseconds, Address, Event], None] | None = None

    def start(self, cluster: Cluster) -> None:
        # Something to heal: the first machine goes at once, and the fault waits for the answer to it.
        victim = cluster.victim()
        if victim is None:
            return
        self._down.crash(cluster, victim, self.evidence)
        simulation = cluster.simulation

        def listen(now_ns: Nanoseconds, who: Address, event: Event) -> None:
            if event.kind in HEALING and len(self._down.machines) < 2:
                delay_ns = between(cluster.random, 0, 40 * MILLISECOND)
                label = "another one dies"
                simulation.at(simulation.now + delay_ns, label, lambda: self._strike(cluster, event.group, who))

        self._listener = listen
        simulation.listeners.append(listen)

    def stop(self, cluster: Cluster) -> None:
        if self._listener is not None:
            cluster.simulation.listeners.remove(self._listener)
            self._listener = None
        self._down.restart(cluster)

    def _strike(self, cluster: Cluster, group: str, taken_on: Address) -> None:
        if self._listener is None or len(self._down.machines) > 1:
            return
        holding = [index for index in cluster.storage_up() if group in cluster.groups_on(index)]
        # Mostly one of the old members; sometimes the newcomer itself.
        others = [index for index in holding if cluster.address(index) != taken_on]
        candidates = others if others and below(cluster.random, 4) else holding
        if candidates:
            self._down.crash(cluster, pick(cluster.random, candidates), self.evidence)
            add(self.evidence, "lost-while-healing", 1)
            cluster.simulation.count("lost-while-healing")


@dataclass(slots=True)
class SlowClockCutOff:
    """A leader's clock goes at a hundredth of its speed, and the leader is alone with a router: by its own clock its
    lease holds, while the others have long waited for it to end. No service that trusts clocks can bear this.
    """

    evidence: dict[str, int] = field(default_factory=dict)
    _victim: tuple[int, int] | None = None  # (machine, steps before)
    _rule: LinkRule | None = None

    def start(self, cluster: Cluster) -> None:
        simulation = cluster.simulation
        leaders, routers = cluster.leaders(), cluster.routers_up()
        if not leaders or not routers:
            return
        victim, router = pick(cluster.random, leaders), pick(cluster.random, routers)
        host = simulation.hosts[victim]
        host.set_clock(simulation.now, ppm=-NEARLY_STOPPED_PPM)
        self._victim = (victim, host.handled)
        outside = [index for index in range(len(simulation.hosts)) if index not in (victim, router)]
        self._rule = LinkRule("cut", simulation.network.links([victim, router], outside, both_ways=True))
        simulation.network.add_rule(self._rule)

    def stop(self, cluster: Cluster) -> None:
        if self._victim is not None and self._rule is not None:
            index, before = self._victim
            host = cluster.simulation.hosts[index]
            host.set_clock(cluster.simulation.now, ppm=0)
            add(self.evidence, "steps-on-a-nearly-stopped-clock", host.handled - before)
            lift(cluster, self._rule, self.evidence)
            self._victim = self._rule = None
