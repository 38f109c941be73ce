"""A fault that waits for a step of a transaction, and cuts the power of whoever has just taken it.

A crash at a random instant seldom falls between two steps: a transaction takes some milliseconds. Here the step is
drawn, and how long after it the machine goes: a router, then, or the leader of an item; or, in the place of either,
the leader of the transaction's entry in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from dynalab_fault_injection.cluster import Cluster
from dynalab_fault_injection.disasters import MILLISECOND, Down
from dynalab_fault_injection.link_faults import add
from dynalab_fault_injection.simulator import below, between, pick
from dynalab_impl.effects import Address, Nanoseconds
from dynalab_impl.ledger import LEDGER, SCHEMA, look
from dynalab_model.events import Event
from dynalab_model.items import bind_get

OF_ROUTERS = ("transaction-begun", "transaction-decided", "transaction-begun", "transaction-decided", "token-answered")
OF_LEADERS = ("item-prepared", "item-committed", "item-cancelled")
OF_LEDGER = ("transaction-begun", "transaction-decided", "item-prepared")  # perhaps the entry's leader goes instead
STRIKE_WITHIN_MS = 6
BACK_AFTER_MS = (200, 2_500)
STRIKES_MAX = 6  # in one window


@dataclass(slots=True)
class CrashBetweenSteps:
    """Machines lose power right after a step of a transaction, one after the other, and come back by themselves."""

    evidence: dict[str, int] = field(default_factory=dict)
    _down: Down = field(default_factory=Down)
    _listener: Callable[[Nanoseconds, Address, Event], None] | None = None
    _step: str = ""
    _wait: int = 0  # so many of these steps pass by first
    _ledger: bool = False  # whether the leader of the entry goes, and not whoever told of the step
    _strikes: int = 0
    _over: bool = False

    def start(self, cluster: Cluster) -> None:
        def listen(now_ns: Nanoseconds, who: Address, event: Event) -> None:
            if event.kind != self._step:
                return
            self._wait -= 1
            if self._wait < 0:
                self._step = ""
                delay_ns = between(cluster.random, 0, STRIKE_WITHIN_MS * MILLISECOND)
                strike = partial(self._strike, cluster, who, event)
                cluster.simulation.at(cluster.simulation.now + delay_ns, f"power goes after {event.kind}", strike)

        self._listener = listen
        cluster.simulation.listeners.append(listen)
        self._arm(cluster)

    def stop(self, cluster: Cluster) -> None:
        if self._listener is not None:
            cluster.simulation.listeners = [x for x in cluster.simulation.listeners if x is not self._listener]
            self._listener = None
        self._over = True
        self._down.restart(cluster)

    def _arm(self, cluster: Cluster) -> None:
        """Draw the next step to wait for."""
        self._step = pick(cluster.random, OF_ROUTERS if below(cluster.random, 3) else OF_LEADERS)
        self._wait = 0 if self._step == "token-answered" else below(cluster.random, 4)
        self._ledger = self._step in OF_LEDGER and below(cluster.random, 2) == 0

    def _strike(self, cluster: Cluster, who: Address, event: Event) -> None:
        simulation, step = cluster.simulation, event.kind
        index = next(number for number in range(len(simulation.hosts)) if cluster.address(number) == who)
        if self._ledger:
            index = _leader_of(cluster, event.detail, index)
        last_router = cluster.routers_up() == [index]
        if self._over or not simulation.is_up(index) or last_router:
            if not self._over:
                self._arm(cluster)
            return
        self._down.crash(cluster, index, self.evidence)
        died = f"ledger-died-after-{step}" if self._ledger else f"died-after-{step}"
        add(self.evidence, died, 1)
        simulation.count(died)
        epoch = simulation.hosts[index].epoch

        def back() -> None:
            if not simulation.is_up(index) and simulation.hosts[index].epoch == epoch:
                simulation.restart(index)

        wait_ns = between(cluster.random, *BACK_AFTER_MS) * MILLISECOND
        simulation.at(simulation.now + wait_ns, "power is back", back)
        self._strikes += 1
        if self._strikes < STRIKES_MAX:
            self._arm(cluster)


def _leader_of(cluster: Cluster, entry: str, otherwise: int) -> int:
    """The machine that leads the ledger's partition of this entry."""
    key = bind_get(SCHEMA, look(entry))
    for index in cluster.storage_up():
        node = cluster.storage(index)
        led = [] if node is None else [replica.spec for replica in node.replicas.values() if replica.is_leader]
        if any(spec.table == LEDGER and spec.holds(key) for spec in led):
            return index
    return otherwise
