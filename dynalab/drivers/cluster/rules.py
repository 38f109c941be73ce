"""Faults of the lab that act inside a node: on its messages, its clocks, its choice of replicas. The usual words.

An entry of the cluster file says what is on; every node puts its own part of it on and takes it off again. Words whose
work is done from outside (`kill-leader`, `partition`, …) are not here but in `operations` and `lab`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from dynalab.drivers.cluster.links import Links
from dynalab.drivers.cluster.state import Body
from dynalab.drivers.embedded import EmbeddedCluster
from dynalab.lab import network
from dynalab.lab.network import Hits, LabNetwork, Rule
from dynalab_impl.effects import Address

INDEX_MESSAGES = ("IndexRequest",)
MS = 1_000_000

Undo: TypeAlias = Callable[[], None]


@dataclass(slots=True)
class Inside:
    """What a fault may touch in its node, and what each one hit."""

    cluster: EmbeddedCluster
    links: Links
    me: Address
    on: dict[int, tuple[Hits, Undo]] = field(default_factory=dict)

    def follow(self, entries: list[Body]) -> None:
        """Put on what is new and take off what is gone."""
        wanted = {_number(entry, "id"): entry for entry in entries}
        for number in [number for number in self.on if number not in wanted]:
            self.on.pop(number)[1]()
        for number, entry in wanted.items():
            start = STARTS.get(str(entry["fault"]))
            if number not in self.on and start is not None and self._meant(entry):
                hits = Hits()
                self.on[number] = (hits, start(self, entry, hits))

    def hits(self) -> Body:
        """What each fault hit here, by its number."""
        return {str(number): hits.count for number, (hits, _) in self.on.items()}

    def _meant(self, entry: Body) -> bool:
        # Delays concern messages to and from the node, so everybody takes part in them.
        return entry.get("node") in (None, self.me.node) or entry["fault"] == "delay"


def _number(entry: Body, name: str, default: int = 0) -> int:
    value = entry.get(name, default)
    assert isinstance(value, int)
    return value


def _add(rules: LabNetwork, rule: Rule) -> Undo:
    rules.add(rule)
    return lambda: rules.remove(rule)


def _delay(inside: Inside, entry: Body, hits: Hits) -> Undo:
    named = entry.get("node")
    everybody = {*inside.links.outbound, inside.me}
    nodes = everybody if named is None else {address for address in everybody if address.node == named}
    by_ns, spread_ns = _number(entry, "delay_ms", 50) * MS, _number(entry, "spread_ms") * MS
    return _add(inside.links.sent, network.delay(nodes, by_ns, spread_ns, 100, random.Random(), hits))


def _loss(inside: Inside, entry: Body, hits: Hits) -> Undo:
    return _add(inside.links.sent, network.loss(_number(entry, "percent", 10), random.Random(), hits))


def _duplicate(inside: Inside, entry: Body, hits: Hits) -> Undo:
    late_ns = _number(entry, "late_ms", 100) * MS
    rule = network.duplicate(_number(entry, "percent", 10), late_ns, random.Random(), hits)
    return _add(inside.links.sent, rule)


def _reorder(inside: Inside, entry: Body, hits: Hits) -> Undo:
    everybody = {*inside.links.outbound, inside.me}
    spread_ns, percent = _number(entry, "spread_ms", 20) * MS, _number(entry, "percent", 10)
    return _add(inside.links.sent, network.delay(everybody, 0, spread_ns, percent, random.Random(), hits))


def _slow_node(inside: Inside, entry: Body, hits: Hits) -> Undo:
    return _add(inside.links.heard, network.slow_node(inside.me, _number(entry, "each_ms", 5) * MS, hits))


def _groups(inside: Inside, entry: Body) -> network.Groups:
    table = entry.get("table")
    return network.Groups(inside.cluster, None if table is None else str(table))


def _index_lag(inside: Inside, entry: Body, hits: Hits) -> Undo:
    lag_ms = _number(entry, "lag_ms")
    return _add(inside.links.sent, network.hold_back(INDEX_MESSAGES, lag_ms * MS or None, hits, _groups(inside, entry)))


def _stale_reads(inside: Inside, entry: Body, hits: Hits) -> Undo:
    mode = str(entry.get("mode", "always"))
    undo: list[Undo] = []
    if mode != "never":
        # A leader hosts the group whose entries it sends, so it knows who the last member is.
        rule = network.stale_member(_groups(inside, entry), _number(entry, "lag_ms", 1_000) * MS, hits)
        undo.append(_add(inside.links.sent, rule))
    undo.append(_set_policy(inside, {"always": "stalest", "never": "leader", "seed": "any"}[mode]))
    if mode == "seed":
        inside.cluster.hosts[inside.me].reseed(_number(entry, "seed"))

    def take_off() -> None:
        for step in undo:
            step()

    return take_off


def _set_policy(inside: Inside, policy: str) -> Undo:
    for node in inside.cluster.nodes():
        if hasattr(node, "eventual_policy"):
            node.eventual_policy = policy
    return lambda: None if policy == "any" else _set_policy(inside, "any")()


def _clock_offset(inside: Inside, entry: Body, hits: Hits) -> Undo:
    by_ns = _number(entry, "offset_ms", 3_000) * MS
    host = inside.cluster.hosts[inside.me]
    host.shift_wall(by_ns)
    hits.count += 1
    return lambda: host.shift_wall(-by_ns)


def _clock_drift(inside: Inside, entry: Body, hits: Hits) -> Undo:
    host = inside.cluster.hosts[inside.me]
    host.set_drift(_number(entry, "ppm"))
    hits.count += 1
    return lambda: host.set_drift(0)


STARTS: dict[str, Callable[[Inside, Body, Hits], Undo]] = {
    "delay": _delay,
    "loss": _loss,
    "duplicate": _duplicate,
    "reorder": _reorder,
    "slow-node": _slow_node,
    "index-lag": _index_lag,
    "stale-reads": _stale_reads,
    "clock-offset": _clock_offset,
    "clock-drift": _clock_drift,
}
