"""A disk that comes back empty, and the loss of the leader that takes it in: the moment in which a group has fewer
copies than members.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dynalab_fault_injection.cluster import Cluster
from dynalab_fault_injection.disasters import Down
from dynalab_fault_injection.link_faults import add
from dynalab_fault_injection.simulator import between
from dynalab_impl.effects import Address, Nanoseconds
from dynalab_model.events import Event

MILLISECOND = 1_000_000
BACK_NS = 20 * MILLISECOND  # so soon that nobody has been put into its seat
AGAIN_NS = 250 * MILLISECOND  # to look again for a disk that may go
STRIKE_WITHIN_MS = 200  # of its return: by the next heartbeat but one it has caught up


@dataclass(slots=True)
class LossOnReturn:
    """A machine comes back at once with an empty disk, and the first leader that takes it in loses power before it has
    told it anything. Who asks the newcomer for a vote must not count it.
    """

    evidence: dict[str, int] = field(default_factory=dict)
    _down: Down = field(default_factory=Down)
    _listener: Callable[[Nanoseconds, Address, Event], None] | None = None
    _over: bool = False

    def start(self, cluster: Cluster) -> None:
        simulation = cluster.simulation
        self._over = False
        victim = cluster.victim(leaders_of_four=0)
        if victim is None or not cluster.may_wipe(victim):
            simulation.at(simulation.now + AGAIN_NS, "no disk to spare", lambda: self._again(cluster))
            return
        groups = cluster.groups_on(victim)
        for name, more in cluster.crash(victim).items():
            add(self.evidence, name, more)
        cluster.wipe(victim, groups)
        add(self.evidence, "disks-lost", 1)
        epoch = simulation.hosts[victim].epoch

        def back() -> None:
            if not simulation.is_up(victim) and simulation.hosts[victim].epoch == epoch:
                simulation.restart(victim)

        def listen(now_ns: Nanoseconds, who: Address, event: Event) -> None:
            if event.kind == "learner-joined" and who == cluster.address(victim) and self._listener is not None:
                self._end(cluster)
                delay_ns = between(cluster.random, 0, STRIKE_WITHIN_MS) * MILLISECOND
                label = "its leader dies"
                simulation.at(simulation.now + delay_ns, label, lambda: self._strike(cluster, event.group))

        self._listener = listen
        simulation.listeners.append(listen)
        simulation.at(simulation.now + BACK_NS, "back with an empty disk", back)

    def _again(self, cluster: Cluster) -> None:
        if not self._over:
            self.start(cluster)

    def stop(self, cluster: Cluster) -> None:
        self._end(cluster)
        self._over = True
        self._down.restart(cluster)

    def _end(self, cluster: Cluster) -> None:
        if self._listener is not None:
            cluster.simulation.listeners = [x for x in cluster.simulation.listeners if x is not self._listener]
            self._listener = None

    def _strike(self, cluster: Cluster, group: str) -> None:
        if self._over:
            return
        for index in cluster.storage_up():
            node = cluster.storage(index)
            replica = None if node is None else node.replicas.get(group)
            if replica is not None and replica.is_leader:
                self._down.crash(cluster, index, self.evidence)
                add(self.evidence, "leaders-lost-on-a-return", 1)
                cluster.simulation.count("leaders-lost-on-a-return")
                return
