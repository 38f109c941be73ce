"""What can happen to messages between the nodes of an embedded cluster while faults of the lab are on.

A rule looks at one message and says nothing (None), or after which delays copies of it arrive: () loses it. Each rule
counts what it really hit, since a fault that hit nothing proves nothing. Without rules the driver asks nobody.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from time import monotonic_ns
from typing import TypeAlias

from dynalab.drivers.embedded import EmbeddedCluster
from dynalab_impl.effects import Address, Message

Rule: TypeAlias = Callable[[Address, Address, Message, int], "tuple[int, ...] | None"]

HEALTHY = (0,)


@dataclass(slots=True)
class Hits:
    """How often a fault really did something."""

    count: int = 0


class LabNetwork:
    """The rules that are on. A message goes through each of them in turn, delays add up, and a loss is final.

    >>> from dynalab_impl.effects import Address, Message
    >>> network = LabNetwork()
    >>> network.add(lambda source, to, message, delay_ns: (delay_ns + 5, delay_ns + 9))
    >>> network.add(lambda source, to, message, delay_ns: (delay_ns + 100,))
    >>> here = Address("r1", "z1", "n1")
    >>> network.route(here, here, Message())
    (105, 109)
    """

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def add(self, rule: Rule) -> None:
        self._rules.append(rule)

    def remove(self, rule: Rule) -> None:
        self._rules.remove(rule)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def route(self, source: Address, to: Address, message: Message) -> tuple[int, ...]:
        delays: tuple[int, ...] = HEALTHY
        for rule in self._rules:
            if len(delays) == 1:
                delays = _one(rule, source, to, message, delays[0])
            else:
                delays = tuple(one for delay in delays for one in _one(rule, source, to, message, delay))
            if not delays:
                break
        return delays


def _one(rule: Rule, source: Address, to: Address, message: Message, delay_ns: int) -> tuple[int, ...]:
    found = rule(source, to, message, delay_ns)
    return (delay_ns,) if found is None else found


# --- rules -----------------------------------------------------------------------------------------------------------


def cut(sources: Collection[Address], targets: Collection[Address], hits: Hits) -> Rule:
    """Nothing that `sources` send reaches `targets`. What a node sends to itself never uses a link."""

    def rule(source: Address, to: Address, message: Message, delay_ns: int) -> tuple[int, ...] | None:
        if source in sources and to in targets and source != to:
            hits.count += 1
            return ()
        return None

    return rule


def loss(percent: int, draws: random.Random, hits: Hits) -> Rule:
    """Lose that share of all messages."""

    def rule(source: Address, to: Address, message: Message, delay_ns: int) -> tuple[int, ...] | None:
        if source != to and draws.randrange(100) < percent:
            hits.count += 1
            return ()
        return None

    return rule


def duplicate(percent: int, late_ns: int, draws: random.Random, hits: Hits) -> Rule:
    """A second copy of that share of all messages, up to `late_ns` after the first."""

    def rule(source: Address, to: Address, message: Message, delay_ns: int) -> tuple[int, ...] | None:
        if source != to and draws.randrange(100) < percent:
            hits.count += 1
            return (delay_ns, delay_ns + draws.randrange(late_ns + 1))
        return None

    return rule


def delay(
    nodes: Collection[Address], by_ns: int, spread_ns: int, percent: int, draws: random.Random, hits: Hits
) -> Rule:
    """Messages to and from those nodes take `by_ns` longer and up to `spread_ns` more; with a percentage, only some
    do.
    """

    def rule(source: Address, to: Address, message: Message, delay_ns: int) -> tuple[int, ...] | None:
        if source != to and (source in nodes or to in nodes) and (percent >= 100 or draws.randrange(100) < percent):
            hits.count += 1
            return (delay_ns + by_ns + (draws.randrange(spread_ns) if spread_ns else 0),)
        return None

    return rule


def slow_node(node: Address, each_ns: int, hits: Hits) -> Rule:
    """The node takes `each_ns` for every message, one after the other, so work queues up before it."""
    free_ns = 0

    def rule(source: Address, to: Address, message: Message, delay_ns: int) -> tuple[int, ...] | None:
        nonlocal free_ns
        if to != node:
            return None
        hits.count += 1
        now_ns = monotonic_ns()
        free_ns = max(free_ns, now_ns + delay_ns) + each_ns
        return (free_ns - now_ns,)

    return rule


class Groups:
    """The groups of a table and of its global indexes, or (None) of all tables; what they are is asked once each."""

    def __init__(self, cluster: EmbeddedCluster, table: str | None) -> None:
        self._cluster = cluster
        self._table = table
        self._found: dict[str, tuple[str, tuple[Address, ...]]] = {}

    def __contains__(self, group: str) -> bool:
        if self._table is None:
            return True
        # A process of a cluster hosts some groups; the others it knows by their names, which begin with the table's.
        table = self._of(group)[0]
        return table == self._table if table else f"{group.partition('/')[0]}.".startswith(f"{self._table}.")

    def members(self, group: str) -> tuple[Address, ...]:
        """The addresses of a group's members, in the order of its specification."""
        return self._of(group)[1]

    def _of(self, group: str) -> tuple[str, tuple[Address, ...]]:
        found = self._found.get(group)
        if found is None:
            for node in self._cluster.nodes():
                replica = getattr(node, "replicas", {}).get(group)
                if replica is not None:
                    addresses = tuple(member.address for member in replica.spec.members)
                    found = self._found[group] = (replica.spec.table, addresses)
                    break
        return found or ("", ())


def hold_back(names: Collection[str], by_ns: int | None, hits: Hits, groups: Groups) -> Rule:
    """Messages of these classes come `by_ns` later; None: not at all while the rule is on (their senders try again)."""

    def rule(source: Address, to: Address, message: Message, delay_ns: int) -> tuple[int, ...] | None:
        if type(message).__name__ not in names or str(getattr(message, "group", "")) not in groups:
            return None
        hits.count += 1
        return () if by_ns is None else (delay_ns + by_ns,)

    return rule


def stale_member(groups: Groups, by_ns: int, hits: Hits) -> Rule:
    """Entries reach one member of each group late: the one that a router with the policy "stalest" reads from.

    Heartbeats pass, so nobody is taken for dead, and the other two members commit as quickly as ever.
    """

    def rule(source: Address, to: Address, message: Message, delay_ns: int) -> tuple[int, ...] | None:
        if type(message).__name__ not in ("Accept", "Commit"):
            return None
        group = str(getattr(message, "group", ""))
        if group == "catalog" or group not in groups:
            return None
        followers = [address for address in groups.members(group) if address != source]
        if not followers or to != followers[-1]:
            return None
        hits.count += 1
        return (delay_ns + by_ns,)

    return rule
