"""The network: how long a message takes, and what a fault does to it.

A message takes a base delay by distance (same node, same zone, another zone) plus a drawn spread, so messages
overtake each other also on a healthy day: order between two nodes is not promised. Cuts and link rules change that
while a fault is on. All delays are integer nanoseconds; chances are integers out of 2²⁰. The healthy path costs one
draw and one push on the heap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappush
from random import Random
from typing import Any, TypeAlias

from dynalab_fault_injection.simulator.disk import Format
from dynalab_impl.effects import Address, Message

CHANCE_BITS = 20
CERTAIN = 1 << CHANCE_BITS

# (time, sequence number, kind, target, a, b): the sequence number is unique, so the rest is never compared.
HeapEntry: TypeAlias = "tuple[int, int, int, int, Any, Any]"
DELIVER = 0


@dataclass(frozen=True, slots=True)
class Delays:
    """Base delays in nanoseconds; a draw of `spread_bits` is added to each."""

    self_ns: int = 2_000
    zone_ns: int = 120_000
    region_ns: int = 450_000
    client_ns: int = 250_000
    spread_bits: int = 18  # up to 0.26 ms


@dataclass(slots=True)
class LinkRule:
    """What happens to messages on some links while a fault is on.

    `links` marks the pairs it concerns (source * nodes + target). `names` limits it to message classes. Counted:
    `seen` messages it looked at, `hits` it changed, `overtaken` held messages that a later one on the same link
    really passed.
    """

    effect: str  # one of EFFECTS
    links: bytearray
    chance: int = CERTAIN
    delay_ns: int = 0
    spread_bits: int = 0
    names: tuple[str, ...] = ()
    seen: int = 0
    hits: int = 0
    overtaken: int = 0
    held: dict[int, int] = field(default_factory=dict)


EFFECTS = ("cut", "loss", "duplicate", "delay", "reorder")


class Network:
    """Puts messages on the event heap, later, twice or not at all."""

    __slots__ = (
        "_heap",
        "_next",
        "_rules",
        "_through",
        "base_ns",
        "counters",
        "delays",
        "draw",
        "healthy",
        "index_of",
        "nodes",
        "spread_bits",
    )

    def __init__(
        self,
        addresses: tuple[Address, ...],
        delays: Delays,
        random: Random,
        heap: list[HeapEntry],
        next_number: Callable[[], int],
        through: Format | None,
    ) -> None:
        self.nodes = len(addresses)
        self.index_of = {address: index for index, address in enumerate(addresses)}
        self.delays = delays
        self.base_ns = [_distance_ns(a, b, delays) for a in addresses for b in addresses]
        self.spread_bits = delays.spread_bits
        self.counters = dict.fromkeys(EFFECTS, 0)
        self.draw = random.getrandbits
        self._heap = heap
        self._next = next_number
        self._rules: list[LinkRule] = []
        self._through = through
        self.healthy = through is None  # no rule is on, and messages travel as they are

    def add_rule(self, rule: LinkRule) -> None:
        assert rule.effect in EFFECTS and len(rule.links) == self.nodes * self.nodes
        self._rules.append(rule)
        self.healthy = False

    def remove_rule(self, rule: LinkRule) -> None:
        self._rules = [other for other in self._rules if other is not rule]
        self.healthy = not self._rules and self._through is None

    def links(self, sources: list[int], targets: list[int], *, both_ways: bool = False) -> bytearray:
        """A mask for `LinkRule.links`. A node's link to itself is never in it."""
        mask = bytearray(self.nodes * self.nodes)
        for source in sources:
            for target in targets:
                if source != target:
                    mask[source * self.nodes + target] = 1
                    if both_ways:
                        mask[target * self.nodes + source] = 1
        return mask

    def transmit(self, source: int, target: int, message: Message, depart_ns: int) -> None:
        """Send one message that leaves at `depart_ns`."""
        link = source * self.nodes + target
        arrival_ns = depart_ns + self.base_ns[link] + self.draw(self.spread_bits)
        if self._through is not None:
            copy = self._through.decode(self._through.encode(message))
            assert isinstance(copy, Message)
            message = copy
        if not self._rules:
            heappush(self._heap, (arrival_ns, self._next(), DELIVER, target, source, message))
            return
        for arrival in self._under_rules(link, arrival_ns, message):
            heappush(self._heap, (arrival, self._next(), DELIVER, target, source, message))

    def _under_rules(self, link: int, arrival_ns: int, message: Message) -> list[int]:
        """When the message arrives: nowhere, once or twice."""
        arrivals = [arrival_ns]
        draw, counters = self.draw, self.counters
        for rule in self._rules:
            if not rule.links[link] or (rule.names and type(message).__name__ not in rule.names):
                continue
            rule.seen += 1
            effect = rule.effect
            # The draw is made for every rule that looks at the message, so that one rule's luck does not shift
            # another's.
            hit = draw(CHANCE_BITS) < rule.chance
            extra_ns = rule.delay_ns + (draw(rule.spread_bits) if rule.spread_bits else 0)
            if effect == "reorder" and arrival_ns < rule.held.get(link, 0):
                rule.overtaken += 1
                del rule.held[link]
            if not hit or not arrivals:
                continue
            rule.hits += 1
            counters[effect] += 1
            if effect == "cut" or effect == "loss":
                arrivals = []
            elif effect == "duplicate":
                arrivals.append(arrivals[0] + extra_ns)
            else:
                arrivals = [arrival + extra_ns for arrival in arrivals]
                if effect == "reorder":
                    rule.held[link] = max(rule.held.get(link, 0), arrivals[0])
        return arrivals


def _distance_ns(a: Address, b: Address, delays: Delays) -> int:
    if a == b:
        return delays.self_ns
    return delays.zone_ns if (a.region, a.zone) == (b.region, b.zone) else delays.region_ns
