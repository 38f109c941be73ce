"""The catalogue of faults: what can happen to a cluster, under the words that campaigns and the endpoint's lab share.

Rules:
- A fault starts, stops, and counts its *evidence*. It *bit* if there is any: a machine died, a message was really
  dropped. A window in which nothing was hit proves nothing and says so.
- Everything that a fault draws comes from the cluster's fault stream, in the order in which faults start.
- Faults stay inside the promises of the service: clocks drift within `Timing.drift_ppm`, and one disk at a time is
  lost, by whatever harm (the atlas in `cluster`). What lies beyond is a class of its own (`Kind.beyond`), which no
  campaign draws by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from dynalab_fault_injection import link_faults
from dynalab_fault_injection.cluster import Cluster
from dynalab_fault_injection.crash_faults import Deployment, NodeCrash, ZoneLoss
from dynalab_fault_injection.disasters import Blackout, LossWhileHealing, SlowClockCutOff, SplitFailover, TwoZoneLoss
from dynalab_fault_injection.link_faults import add
from dynalab_fault_injection.return_fault import LossOnReturn
from dynalab_fault_injection.simulator import LinkRule, below, between, pick, shuffled
from dynalab_fault_injection.split_fault import PartitionSplit
from dynalab_fault_injection.store_faults import (
    ArchiveOutage,
    ArchiveRot,
    BlackoutRot,
    SilentDivergence,
    SlowDisk,
    SyncFailure,
)
from dynalab_fault_injection.table_fault import TableChurn
from dynalab_fault_injection.throttle_fault import Throttling
from dynalab_fault_injection.transaction_fault import CrashBetweenSteps

SECOND = 1_000_000_000

WALL_OFFSETS_NS = (3 * SECOND, 18 * SECOND)


class Fault(Protocol):
    """One window of one fault."""

    evidence: dict[str, int]

    def start(self, cluster: Cluster) -> None:
        """Break something, if there is something to break."""

    def stop(self, cluster: Cluster) -> None:
        """Take it back; harmless if it never started or was taken back already."""


@dataclass(slots=True)
class ClockOffset:
    """A machine's wall clock is wrong by up to three seconds, either way. Stamps and expiries use it, leases must
    not.
    """

    evidence: dict[str, int] = field(default_factory=dict)
    _shifted: list[tuple[int, int, int]] = field(default_factory=list)  # (machine, by how much, steps before)

    def start(self, cluster: Cluster) -> None:
        hosts = cluster.simulation.hosts
        victims = shuffled(cluster.random, range(len(hosts)))[: 1 + below(cluster.random, 3)]
        for index in victims:
            most_ns = pick(cluster.random, WALL_OFFSETS_NS)
            by_ns = between(cluster.random, -most_ns, most_ns)
            hosts[index].wall_shift_ns += by_ns
            self._shifted.append((index, by_ns, hosts[index].handled))

    def stop(self, cluster: Cluster) -> None:
        for index, by_ns, before in self._shifted:
            host = cluster.simulation.hosts[index]
            host.wall_shift_ns -= by_ns
            add(self.evidence, "steps-with-wrong-wall-clock", host.handled - before)
        self._shifted = []


@dataclass(slots=True)
class ClockDrift:
    """Monotonic clocks run fast or slow, all at the bound itself: a leader's slow, or its followers' fast, is the
    worst for a lease.
    """

    evidence: dict[str, int] = field(default_factory=dict)
    _drifting: list[tuple[int, int]] = field(default_factory=list)

    def start(self, cluster: Cluster) -> None:
        simulation = cluster.simulation
        bound_ppm = simulation.topology.timing.drift_ppm
        slow = cluster.leaders()
        for host in simulation.hosts:
            ppm = -bound_ppm if host.index in slow else bound_ppm
            if below(cluster.random, 4):
                host.set_clock(simulation.now, ppm=ppm)
                self._drifting.append((host.index, host.handled))

    def stop(self, cluster: Cluster) -> None:
        for index, before in self._drifting:
            host = cluster.simulation.hosts[index]
            host.set_clock(cluster.simulation.now, ppm=0)
            add(self.evidence, "steps-on-a-drifting-clock", host.handled - before)
        self._drifting = []


@dataclass(slots=True)
class SlowNode:
    """Everything takes a machine 50 to 300 times as long, so work queues up before it."""

    evidence: dict[str, int] = field(default_factory=dict)
    _slow: tuple[int, int, int] | None = None

    def start(self, cluster: Cluster) -> None:
        victim = cluster.victim()
        if victim is None:
            return
        host = cluster.simulation.hosts[victim]
        host.slowness = between(cluster.random, 50, 300)
        self._slow = (victim, host.handled, host.queued)

    def stop(self, cluster: Cluster) -> None:
        if self._slow is None:
            return
        index, handled, queued = self._slow
        host = cluster.simulation.hosts[index]
        host.slowness = 1
        add(self.evidence, "slow-steps", host.handled - handled)
        add(self.evidence, "steps-that-had-to-queue", host.queued - queued)
        self._slow = None


# --- the table ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kind:
    """A line of the catalogue: what the fault does, how long a window of it lasts, and how to make one."""

    name: str
    sentence: str
    shortest_ns: int
    longest_ns: int
    make: Callable[[], Fault]
    workloads: tuple[str, ...] = ()  # that it can hurt; () for all
    beyond: bool = False  # of what the service promises to bear: never drawn, and a checker must find it out


def _link(
    name: str, sentence: str, shortest_s: int, longest_s: int, build: Callable[[Cluster], LinkRule | None]
) -> Kind:
    return Kind(name, sentence, shortest_s * SECOND, longest_s * SECOND, lambda: link_faults.LinkFault(build))


CATALOGUE: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("node-crash", "a machine loses power and comes back with its disk", 1 * SECOND, 5 * SECOND, NodeCrash),
        Kind(
            "node-crash-wipe",
            "a machine loses power and comes back with an empty disk",
            1 * SECOND,
            4 * SECOND,
            lambda: NodeCrash("wipe"),
        ),
        Kind(
            "log-rot",
            "a machine loses power, and one record of its log rots before it comes back",
            1 * SECOND,
            4 * SECOND,
            lambda: NodeCrash("rot"),
        ),
        Kind(
            "misdirected-write",
            "a machine loses power; a write that was meant for another place or disk lies in the place of a record",
            1 * SECOND,
            4 * SECOND,
            lambda: NodeCrash("stray"),
        ),
        Kind(
            "blackout-rot",
            "every machine loses power at once; of the newest records of one of them one rots before they come back",
            2 * SECOND,
            3 * SECOND,
            BlackoutRot,
        ),
        Kind("sync-failure", "a sync of a machine's disk fails", 1 * SECOND, 5 * SECOND, SyncFailure),
        Kind("slow-disk", "a machine's disk takes a hundred times as long to sync", 2 * SECOND, 6 * SECOND, SlowDisk),
        Kind("deployment", "a process hands over, stops, and starts again", 1 * SECOND, 4 * SECOND, Deployment),
        Kind(
            "silent-divergence",
            "a row appears in the memory of one replica; scrubbing must find it",
            1 * SECOND,
            2 * SECOND,
            SilentDivergence,
            ("register",),
        ),
        Kind(
            "archive-outage",
            "the object store fails, and may do what it was asked",
            5 * SECOND,
            9 * SECOND,
            ArchiveOutage,
        ),
        Kind(
            "archive-rot",
            "archived objects rot in the object store",
            4 * SECOND,
            9 * SECOND,
            ArchiveRot,
        ),
        Kind(
            "table-churn",
            "another table is created, written to and deleted, again and again",
            4 * SECOND,
            8 * SECOND,
            TableChurn,
        ),
        Kind("zone-loss", "a zone loses power or its links to the others", 3 * SECOND, 6 * SECOND, ZoneLoss),
        Kind(
            "index-lag",
            "index changes are held back on the way",
            2 * SECOND,
            6 * SECOND,
            lambda: link_faults.LinkFault(link_faults.index_lag),
            ("index", "index-churn"),
        ),
        _link("partition", "two sides cannot talk to each other", 3, 11, link_faults.partition),
        Kind(
            "stranded-leader",
            "one leader after another is cut off from all others, with a router",
            7 * SECOND,
            12 * SECOND,
            link_faults.StrandedLeader,
        ),
        _link(
            "one-way-cut",
            "a machine is heard and does not hear, or hears and is not heard",
            3,
            6,
            link_faults.one_way_cut,
        ),
        _link("delay", "messages to and from a machine take much longer", 2, 6, link_faults.delay),
        _link("loss", "messages are lost at random", 2, 6, link_faults.loss),
        _link("duplicate", "messages arrive twice, the second time late", 2, 6, link_faults.duplicate),
        _link("reorder", "messages are held back, and others overtake them", 2, 6, link_faults.reorder),
        Kind(
            "log-lag",
            "what one zone gets of the log is held back; heartbeats pass",
            5 * SECOND,
            10 * SECOND,
            link_faults.LogLag,
        ),
        _link(
            "late-acknowledgements",
            "the answers to a leader's heartbeats arrive late",
            5,
            9,
            link_faults.late_acknowledgements,
        ),
        Kind("clock-offset", "wall clocks are wrong", 3 * SECOND, 8 * SECOND, ClockOffset),
        Kind(
            "clock-drift",
            "clocks run fast or slow, at the bound that leases allow for",
            8 * SECOND,
            16 * SECOND,
            ClockDrift,
        ),
        Kind(
            "clock-drift-beyond",
            "the clock of a leader nearly stops while it is cut off with a router: far beyond the bound of leases",
            6 * SECOND,
            9 * SECOND,
            SlowClockCutOff,
            beyond=True,
        ),
        Kind(
            "blackout",
            "every machine loses power at once, in the middle of a snapshot if one is being written",
            2 * SECOND,
            3 * SECOND,
            Blackout,
        ),
        Kind("two-zone-loss", "two of three zones lose power", 2 * SECOND, 4 * SECOND, TwoZoneLoss),
        Kind(
            "loss-while-healing",
            "a machine dies, and another one of its group as soon as the group repairs itself",
            3 * SECOND,
            6 * SECOND,
            LossWhileHealing,
        ),
        Kind(
            "loss-on-return",
            "a machine comes back with an empty disk, and the leader that takes it in dies",
            2 * SECOND,
            4 * SECOND,
            LossOnReturn,
        ),
        Kind(
            "crash-between-steps",
            "whoever has just taken a step of a transaction loses power, a coordinator or a leader",
            4 * SECOND,
            8 * SECOND,
            CrashBetweenSteps,
            ("transact", "bank", "blind"),
        ),
        Kind("split-failover", "a leader divides its partition and dies", 2 * SECOND, 4 * SECOND, SplitFailover),
        _link("autoadmin-dead", "nobody hears the autoadmin, and it hears nobody", 4, 8, link_faults.autoadmin_dead),
        Kind("split", "partitions are divided while they serve", 2 * SECOND, 4 * SECOND, PartitionSplit),
        Kind("throttling", "partitions may serve only a few requests a second", 2 * SECOND, 6 * SECOND, Throttling),
        Kind("slow-node", "a machine is slow, and work queues up before it", 2 * SECOND, 6 * SECOND, SlowNode),
    )
}


# --- a run's plan ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Window:
    """One planned window of a fault, and what came of it."""

    name: str
    fault: Fault
    start_ns: int
    end_ns: int

    @property
    def bit(self) -> bool:
        """Whether the fault hit anything; known once it has stopped."""
        return any(self.fault.evidence.values())


def plan(cluster: Cluster, names: tuple[str, ...], start_ns: int, end_ns: int, windows: int = 2) -> list[Window]:
    """Draw `windows` windows of each fault between `start_ns` and `end_ns`, and put them into the simulation.

    The windows of one fault follow each other, one in each equal share of the time; those of different faults overlap
    as they like.
    """
    planned: list[Window] = []
    for name in names:
        kind = CATALOGUE[name]
        share_ns = (end_ns - start_ns) // windows
        for number in range(windows):
            length_ns = min(between(cluster.random, kind.shortest_ns, kind.longest_ns), share_ns)
            begin_ns = start_ns + number * share_ns + between(cluster.random, 0, share_ns - length_ns)
            window = Window(name, kind.make(), begin_ns, begin_ns + length_ns)
            planned.append(window)
            simulation = cluster.simulation
            simulation.at(window.start_ns, f"start {name}", partial(window.fault.start, cluster))
            simulation.at(window.end_ns, f"stop {name}", partial(window.fault.stop, cluster))
    return planned


def heal(cluster: Cluster, windows: list[Window]) -> None:
    """Stop whatever still runs, and start every machine that is down."""
    for window in windows:
        window.fault.stop(cluster)
    cluster.restart_all()
