"""Faults on links: what happens to messages while a window is open, and which links it aims at.

What is built here is chosen when the fault starts, so that it can aim at whoever leads then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from dynalab_fault_injection.cluster import Cluster
from dynalab_fault_injection.simulator import CERTAIN, LinkRule, below, between, pick, shuffled

MILLISECOND = 1_000_000
STRANDED_NS = 3_000 * MILLISECOND  # more than an election and a lease
REACHED_NS = 1_000 * MILLISECOND

# Message classes that carry index changes; `index-lag` holds back these alone, so the base table stays quick.
INDEX_TRAFFIC = ("IndexRequest", "IndexReply")

# What followers get of their leader's log. Heartbeats are small and pass, so nobody seems to be silent.
LOG_TRAFFIC = ("Accept", "Commit", "TakeSnapshot")
COMMIT_TRAFFIC = ("Commit",)

# What renews a leader's lease.
ACKNOWLEDGEMENTS = ("HeartbeatReply",)

# What storage nodes and the autoadmin say to each other. Routers find tables all the same.
CONTROL_TRAFFIC = (
    "Alive",
    "Drop",
    "Dropped",
    "Host",
    "Hosted",
    "Membership",
    "MembershipKnown",
    "Register",
    "Replace",
    "SplitNow",
    "SplitWanted",
    "WasSplit",
)


@dataclass(slots=True)
class LinkFault:
    """A rule on some links, built when the fault starts (so that it can aim at whoever leads then)."""

    build: Callable[[Cluster], LinkRule | None]
    evidence: dict[str, int] = field(default_factory=dict)
    _rule: LinkRule | None = None

    def start(self, cluster: Cluster) -> None:
        self._rule = self.build(cluster)
        if self._rule is not None:
            cluster.simulation.network.add_rule(self._rule)

    def stop(self, cluster: Cluster) -> None:
        if self._rule is not None:
            lift(cluster, self._rule, self.evidence)
            self._rule = None


@dataclass(slots=True)
class LogLag:
    """A follower lags and answers: what goes into one zone of the log is held back, for longer than a lease at times,
    so that a new leader whose wait is over still lacks a quorum for its barrier. The word of what is committed is late
    everywhere.
    """

    evidence: dict[str, int] = field(default_factory=dict)
    _rules: list[LinkRule] = field(default_factory=list)

    def start(self, cluster: Cluster) -> None:
        network = cluster.simulation.network
        everybody = list(range(cluster.simulation.storage_count))
        lagging = cluster.in_zone(pick(cluster.random, cluster.zones()))
        delay_ns = between(cluster.random, 1500, 3500) * MILLISECOND
        entries = LinkRule("delay", network.links(everybody, lagging), delay_ns=delay_ns, names=LOG_TRAFFIC)
        others = [index for index in everybody if index not in lagging]
        words = LinkRule("delay", network.links(everybody, others), delay_ns=delay_ns, names=COMMIT_TRAFFIC)
        self._rules = [entries, words]
        for rule in self._rules:
            network.add_rule(rule)

    def stop(self, cluster: Cluster) -> None:
        for rule in self._rules:
            lift(cluster, rule, self.evidence)
        self._rules = []


@dataclass(slots=True)
class StrandedLeader:
    """The leader that has the longest log is alone with a router for a while: by its own clock its lease holds on,
    clients of that router go on reading from it, and the others elect another one. Then the next leader, and so on.
    """

    evidence: dict[str, int] = field(default_factory=dict)
    _rule: LinkRule | None = None
    _over: bool = False

    def start(self, cluster: Cluster) -> None:
        simulation = cluster.simulation
        if self._over:
            return
        leading = [
            (replica.commit_index, index)
            for index in cluster.leaders()
            if (node := cluster.storage(index)) is not None
            for replica in node.replicas.values()
            if replica.is_leader and replica.spec.table
        ]
        routers = cluster.routers_up()
        if leading and routers:
            inside = [max(leading)[1], pick(cluster.random, routers)]
            outside = [index for index in range(len(simulation.hosts)) if index not in inside]
            self._rule = LinkRule("cut", simulation.network.links(inside, outside, both_ways=True))
            simulation.network.add_rule(self._rule)
        simulation.at(simulation.now + STRANDED_NS, "the leader is reached again", partial(self._rest, cluster))

    def stop(self, cluster: Cluster) -> None:
        self._over = True
        self._lift(cluster)

    def _rest(self, cluster: Cluster) -> None:
        self._lift(cluster)
        if not self._over:
            cluster.simulation.at(cluster.simulation.now + REACHED_NS, "strand a leader", partial(self.start, cluster))

    def _lift(self, cluster: Cluster) -> None:
        if self._rule is not None:
            lift(cluster, self._rule, self.evidence)
            self._rule = None


def partition(cluster: Cluster) -> LinkRule | None:
    """A leader (mostly), with a machine or two and perhaps some routers, against all others."""
    victim = cluster.victim()
    if victim is None:
        return None
    simulation = cluster.simulation
    storage = simulation.storage_count
    others = [index for index in shuffled(cluster.random, range(storage)) if index != victim]
    inside = [victim, *others[: below(cluster.random, 3)]]
    routers = list(range(storage, len(simulation.hosts)))
    outside = [index for index in range(storage) if index not in inside]
    # A router that still reaches the old leader is what makes a lease matter: either routers are on one side each, or
    # the cut is between storage nodes alone and routers reach both.
    if below(cluster.random, 2):
        for router in routers:
            (inside if below(cluster.random, 2) else outside).append(router)
    return LinkRule("cut", simulation.network.links(inside, outside, both_ways=True))


def one_way_cut(cluster: Cluster) -> LinkRule | None:
    """One machine can hear the other storage nodes, and not be heard; or the other way round."""
    victim = cluster.victim()
    if victim is None:
        return None
    others = [index for index in range(cluster.simulation.storage_count) if index != victim]
    links = cluster.simulation.network.links
    mask = links([victim], others) if below(cluster.random, 2) else links(others, [victim])
    return LinkRule("cut", mask)


def _everywhere(cluster: Cluster) -> bytearray:
    everybody = list(range(len(cluster.simulation.hosts)))
    return cluster.simulation.network.links(everybody, everybody)


def delay(cluster: Cluster) -> LinkRule | None:
    victim = cluster.victim()
    if victim is None:
        return None
    others = list(range(len(cluster.simulation.hosts)))
    mask = cluster.simulation.network.links([victim], others, both_ways=True)
    return LinkRule("delay", mask, delay_ns=between(cluster.random, 20, 300) * MILLISECOND, spread_bits=26)


def loss(cluster: Cluster) -> LinkRule:
    return LinkRule("loss", _everywhere(cluster), chance=between(cluster.random, CERTAIN // 20, CERTAIN // 5))


def duplicate(cluster: Cluster) -> LinkRule:
    # Second copies come up to 67 ms late, or up to 4.3 s: long after the first one was answered.
    return LinkRule("duplicate", _everywhere(cluster), chance=CERTAIN // 4, spread_bits=pick(cluster.random, (26, 32)))


def reorder(cluster: Cluster) -> LinkRule:
    return LinkRule("reorder", _everywhere(cluster), chance=CERTAIN // 4, spread_bits=pick(cluster.random, (24, 27)))


def autoadmin_dead(cluster: Cluster) -> LinkRule:
    """Every message of the control plane is lost."""
    return LinkRule("cut", _everywhere(cluster), names=CONTROL_TRAFFIC)


def index_lag(cluster: Cluster) -> LinkRule:
    delay_ns = between(cluster.random, 200, 2000) * MILLISECOND
    # Each message is held for its own time, so changes of one item overtake each other.
    return LinkRule("delay", _everywhere(cluster), delay_ns=delay_ns, spread_bits=30, names=INDEX_TRAFFIC)


def late_acknowledgements(cluster: Cluster) -> LinkRule | None:
    """A leader hears from its followers, but what it hears is old: its lease has run out meanwhile."""
    victim = cluster.victim()
    if victim is None:
        return None
    everybody = list(range(cluster.simulation.storage_count))
    mask = cluster.simulation.network.links(everybody, [victim])
    delay_ns = between(cluster.random, 2000, 4000) * MILLISECOND
    return LinkRule("delay", mask, delay_ns=delay_ns, names=ACKNOWLEDGEMENTS)


def lift(cluster: Cluster, rule: LinkRule, evidence: dict[str, int]) -> None:
    cluster.simulation.network.remove_rule(rule)
    if rule.effect == "reorder":
        # Held back is not yet out of order: somebody must have passed.
        add(evidence, "messages-reordered", rule.overtaken)
        cluster.simulation.count("messages-reordered", rule.overtaken)
        return
    words = {
        "cut": "messages-cut",
        "loss": "messages-lost",
        "duplicate": "messages-doubled",
        "delay": "messages-delayed",
    }
    kinds = {
        INDEX_TRAFFIC: "index-",
        CONTROL_TRAFFIC: "control-",
        LOG_TRAFFIC: "log-",
        COMMIT_TRAFFIC: "log-",
        ACKNOWLEDGEMENTS: "acknowledging-",
    }
    word = kinds.get(rule.names, "") + words[rule.effect]
    add(evidence, word, rule.hits)
    cluster.simulation.count(word, rule.hits)


def add(evidence: dict[str, int], name: str, more: int) -> None:
    if more:
        evidence[name] = evidence.get(name, 0) + more
