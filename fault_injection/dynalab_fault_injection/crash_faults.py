"""Faults of machines that stop: by a loss of power, with their disks hurt or not, in order, or a whole zone at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from dynalab_fault_injection.cluster import Cluster
from dynalab_fault_injection.link_faults import add, lift
from dynalab_fault_injection.simulator import LinkRule, below, pick

SECOND = 1_000_000_000
AGAIN_NS = SECOND // 4  # to look again for a disk that may go
HAND_OVER_MAX_NS = SECOND // 2  # a process that is to stop has so long to hand over
STRIKE_WITHIN_NS = 7 * SECOND // 10  # a crash waits so long for a sync to come

# What may be done to the disk of a machine that is down, and the evidence of it. Each costs the machine its disk.
HARMS = {"wipe": "disks-lost", "rot": "records-rotten", "stray": "writes-gone-astray"}


@dataclass(slots=True)
class NodeCrash:
    """A machine loses power, and starts again when the fault stops. While it is down its disk may be hurt, too: `harm`
    is one of `HARMS`, or "".

    Power is cut in the middle of a sync, if one comes soon: a crash at a random instant nearly always finds the disk
    idle, and then nothing is lost and nothing is shown.
    """

    harm: str = ""
    evidence: dict[str, int] = field(default_factory=dict)
    _victim: int | None = None  # chosen, and still up
    _down: tuple[int, int] | None = None  # (machine, epoch): somebody else's crash of it is not ours to undo
    _over: bool = False

    def start(self, cluster: Cluster) -> None:
        self._over = False
        if self.harm and not cluster.may_wipe():
            cluster.simulation.at(cluster.simulation.now + AGAIN_NS, "no disk to spare", partial(self._again, cluster))
            return
        routers = cluster.routers_up()
        # One crash in eight hits a router, unless it is the last one that clients can talk to.
        if not self.harm and len(routers) > 1 and below(cluster.random, 8) == 0:
            self._victim = pick(cluster.random, routers)
            self._strike(cluster)
            return
        self._victim = cluster.victim()
        if self._victim is None:
            return
        simulation = cluster.simulation
        draw = below(cluster.random, 1 << 16)

        def during_a_sync(length_ns: int) -> None:
            simulation.at(simulation.now + (length_ns * draw >> 16), "power goes", partial(self._strike, cluster))

        simulation.hosts[self._victim].trap = during_a_sync
        simulation.at(simulation.now + STRIKE_WITHIN_NS, "power goes", partial(self._strike, cluster))

    def stop(self, cluster: Cluster) -> None:
        self._over = True
        if self._victim is not None:
            cluster.simulation.hosts[self._victim].trap = None
            self._victim = None
        if self._down is not None:
            _restart(cluster, [self._down])
            self._down = None

    def _again(self, cluster: Cluster) -> None:
        if not self._over:
            self.start(cluster)

    def _strike(self, cluster: Cluster) -> None:
        victim, self._victim = self._victim, None
        if victim is None or not cluster.simulation.is_up(victim):
            return
        cluster.simulation.hosts[victim].trap = None
        if self.harm and not cluster.may_wipe(victim):
            self._again(cluster)
            return
        groups = cluster.groups_on(victim)
        self.evidence = cluster.crash(victim)
        if self.harm and cluster.harm_disk(victim, groups, self.harm):
            self.evidence[HARMS[self.harm]] = 1
        self._down = (victim, cluster.simulation.hosts[victim].epoch)


@dataclass(slots=True)
class Deployment:
    """A process is stopped in order and started again, as when a new version goes out: it hands over first what it
    leads, and nobody has to wait for a lease.
    """

    evidence: dict[str, int] = field(default_factory=dict)
    _victim: tuple[int, int] | None = None  # (machine, epoch) while it is asked to stop
    _down: tuple[int, int] | None = None

    def start(self, cluster: Cluster) -> None:
        victim = cluster.victim()
        if victim is None:
            return
        handed_over = cluster.simulation.told.get("handed-over", 0)
        cluster.simulation.ask_to_stop(victim)
        add(self.evidence, "groups-handed-over", cluster.simulation.told.get("handed-over", 0) - handed_over)
        self._victim = (victim, cluster.simulation.hosts[victim].epoch)
        self._look(cluster, cluster.simulation.now + HAND_OVER_MAX_NS)

    def stop(self, cluster: Cluster) -> None:
        self._end(cluster)
        if self._down is not None:
            _restart(cluster, [self._down])
            self._down = None

    def _look(self, cluster: Cluster, until_ns: int) -> None:
        """Stop it when it is through, or when it has had its time."""
        if self._victim is None:
            return
        host = cluster.simulation.hosts[self._victim[0]]
        if host.node is None or host.node.may_stop() or cluster.simulation.now >= until_ns:
            self._end(cluster)
            return
        look = partial(self._look, cluster, until_ns)
        cluster.simulation.at(cluster.simulation.now + SECOND // 100, "is it through?", look)

    def _end(self, cluster: Cluster) -> None:
        victim, self._victim = self._victim, None
        if victim is None or not cluster.simulation.is_up(victim[0]):
            return
        if cluster.simulation.hosts[victim[0]].epoch == victim[1]:
            cluster.simulation.stop(victim[0])
            add(self.evidence, "planned-stops", 1)
            self._down = (victim[0], cluster.simulation.hosts[victim[0]].epoch)


@dataclass(slots=True)
class ZoneLoss:
    """A whole zone goes: by power (all its machines stop) or by network (they run on, cut off from the other zones)."""

    evidence: dict[str, int] = field(default_factory=dict)
    _down: list[tuple[int, int]] = field(default_factory=list)
    _rule: LinkRule | None = None

    def start(self, cluster: Cluster) -> None:
        simulation = cluster.simulation
        zone = pick(cluster.random, cluster.zones())
        inside = cluster.in_zone(zone)
        if below(cluster.random, 2):
            outside = [index for index in range(len(simulation.hosts)) if index not in inside]
            self._rule = LinkRule("cut", simulation.network.links(inside, outside, both_ways=True))
            simulation.network.add_rule(self._rule)
            return
        for index in inside:
            if simulation.is_up(index):
                for name, more in cluster.crash(index).items():
                    self.evidence[name] = self.evidence.get(name, 0) + more
                self._down.append((index, simulation.hosts[index].epoch))

    def stop(self, cluster: Cluster) -> None:
        if self._rule is not None:
            lift(cluster, self._rule, self.evidence)
            self._rule = None
        _restart(cluster, self._down)
        self._down = []


def _restart(cluster: Cluster, down: list[tuple[int, int]]) -> None:
    for index, epoch in down:
        if not cluster.simulation.is_up(index) and cluster.simulation.hosts[index].epoch == epoch:
            cluster.simulation.restart(index)
