"""Splits as a fault: partitions divide while everything else goes wrong, and nobody may notice."""

from __future__ import annotations

from dataclasses import dataclass, field

from dynalab_fault_injection.cluster import Cluster
from dynalab_fault_injection.simulator import below, between, pick
from dynalab_impl.messages import SplitNow

SPLITS_A_WINDOW_MAX = 3
PARTITIONS_MAX = 40  # of all tables and indexes: beyond this a run would be about nothing else
MILLISECOND = 1_000_000


@dataclass(slots=True)
class PartitionSplit:
    """A few partitions that their leaders serve are divided in the middle, one after another."""

    evidence: dict[str, int] = field(default_factory=dict)
    _before: int = -1

    def start(self, cluster: Cluster) -> None:
        simulation = cluster.simulation
        self._before = simulation.told.get("split-applied", 0)
        wait_ns = 0
        for _ in range(1 + below(cluster.random, SPLITS_A_WINDOW_MAX)):
            simulation.at(simulation.now + wait_ns, "split a partition", lambda: self._order(cluster))
            wait_ns += between(cluster.random, 50, 700) * MILLISECOND

    def stop(self, cluster: Cluster) -> None:
        if self._before >= 0:
            applied = cluster.simulation.told.get("split-applied", 0) - self._before
            if applied:
                self.evidence["halves-made"] = applied
            self._before = -1

    def _order(self, cluster: Cluster) -> None:
        if self._before < 0:
            return  # the window is over
        led = [
            (index, group)
            for index in cluster.storage_up()
            if (node := cluster.storage(index)) is not None
            for group, replica in node.replicas.items()
            if replica.is_leader and len(node.table_items(replica.spec.table).get(group, ())) > 1
        ]
        if led and len({group for _, group in led}) < PARTITIONS_MAX:
            index, group = pick(cluster.random, led)
            cluster.simulation.order(index, SplitNow(group))
