"""A fault of its own kind: nothing breaks, but storage nodes refuse most of what they are asked.

What was refused must not happen, whatever else is broken at the same time: copies that come late, leaders that change,
routers that try again. A run with this fault has limits from its start, so high that they refuse nothing; a window
makes them so low that they do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from dynalab_fault_injection.cluster import Cluster
from dynalab_fault_injection.simulator import between
from dynalab_impl.admission import Admission
from dynalab_impl.effects import Limits

USUAL = Limits()


@runtime_checkable
class Admitting(Protocol):
    """A node with buckets; routers have none."""

    admission: Admission | None


@dataclass(slots=True)
class Throttling:
    """Every partition may serve a few writes a second, and three times as many reads."""

    evidence: dict[str, int] = field(default_factory=dict)
    _before: int | None = None  # refusals told before

    def start(self, cluster: Cluster) -> None:
        units = between(cluster.random, 1, 8)
        self._before = cluster.simulation.told.get("throttled", 0)
        _set(cluster, Limits(3 * units, units, burst_s=0))

    def stop(self, cluster: Cluster) -> None:
        if self._before is None:
            return
        _set(cluster, USUAL)
        refused = cluster.simulation.told.get("throttled", 0) - self._before
        self._before = None
        if refused:
            self.evidence["requests-throttled"] = refused


def _set(cluster: Cluster, limits: Limits) -> None:
    for index in cluster.storage_up():
        node = cluster.simulation.hosts[index].node
        if isinstance(node, Admitting) and node.admission is not None:
            node.admission.change(limits)
