"""The autoadmin: watches the storage nodes, has the replicas of dead ones built elsewhere, and moves replicas off hot
ones (ATC'22 §3, §5; S43, S132).

It is a part of whoever leads the catalog, and remembers nothing: what it has not heard it waits for anew. No read and
no write needs it, so it may be away for as long as it likes (static stability). It decides; the leader of the group
does the work, one change of the membership at a time (`replication.healing`).

Rules:
- *Dead* is a node that has been silent for long, while another node of its zone is heard. A whole zone is not
  replaced: that would fill the others with copies which nobody needs when it comes back.
- *Hot* is a node that consumes more than twice what the nodes do on average, and a good part of what one may, for
  several reports in turn. Its busiest partition moves to the coolest node of the zone.
- A fresh replica goes into the zone of the one that it replaces. A few groups at a time, and one move at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dynalab_impl import messages as m
from dynalab_impl.catalog import Catalog
from dynalab_impl.catalog_duties import serving_catalog
from dynalab_impl.effects import NOTHING, Address, Effects, Nanoseconds
from dynalab_model.events import Event

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode

REPORT_TICKS = 4  # a node reports once in so many heartbeats
REPLACEMENTS_MAX = 4  # groups that get a new replica at the same time
MOVES_MAX = 1
HOT_REPORTS = 5  # in turn, before a replica is moved
HOT_FACTOR = 2  # times the average
HOT_SHARE = 4  # and above one part in so many of what a node may take
ASK_AGAIN_NS = 1_000_000_000


@dataclass(slots=True)
class Seen:
    """What the autoadmin knows of one node."""

    heard_ns: Nanoseconds
    consumed: int = 0  # in the parts of admission, since the report before
    busiest: str = ""  # the group that consumed most of it, as its leader sees it
    hot_reports: int = 0


@dataclass(slots=True)
class Plan:
    """One replica that is to be replaced by another."""

    gone: Address
    fresh: Address
    number: int
    asked_ns: Nanoseconds
    moves: bool  # off a hot node; else its node is dead


@dataclass(slots=True)
class Autoadmin:
    """What it knows, since it came into office."""

    since_ns: Nanoseconds
    seen: dict[Address, Seen] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)  # by group
    next_number: int = 1

    def is_heard(self, address: Address, now_ns: Nanoseconds, dead_after_ns: Nanoseconds) -> bool:
        """Whether the node has reported lately, or may still be about to."""
        seen = self.seen.get(address)
        return now_ns - (self.since_ns if seen is None else seen.heard_ns) < dead_after_ns

    def report(self, sender: Address, message: m.Alive, node_parts: int, now_ns: Nanoseconds) -> None:
        """A node's report."""
        seen = self.seen.setdefault(sender, Seen(now_ns))
        seen.heard_ns, seen.consumed, seen.busiest = now_ns, message.consumed, message.busiest
        average = sum(other.consumed for other in self.seen.values()) // len(self.seen)
        hot = message.consumed > HOT_FACTOR * average and message.consumed * HOT_SHARE > node_parts
        seen.hot_reports = seen.hot_reports + 1 if hot else 0


def report(node: StorageNode, effects: Effects) -> None:
    """A node's own part: tell the autoadmin that it lives, and what it consumed."""
    node.ticks += 1
    if node.ticks % REPORT_TICKS:
        return
    consumed, busiest = 0, ""
    if node.admission is not None:
        spent, most = node.admission.spent, 0
        node.admission.spent = {}
        for group, parts in spent.items():
            consumed += parts
            replica = node.replicas.get(group)
            if parts > most and replica is not None and replica.is_leader:
                most, busiest = parts, group
    node.tell_catalog(m.Alive(node.incarnation, consumed, busiest), effects)


def on_alive(node: StorageNode, sender: Address, message: m.Alive, effects: Effects) -> None:
    if serving_catalog(node, effects) is not None and node.autoadmin is not None:
        limits = node.topology.limits
        parts = 0 if node.admission is None or limits is None else node.admission.parts.rate * limits.node_partitions
        node.autoadmin.report(sender, message, parts, effects.now_ns)


def on_replaced(node: StorageNode, sender: Address, message: m.Replaced, effects: Effects) -> None:
    if node.autoadmin is None:
        return
    plan = node.autoadmin.plans.get(message.group)
    if plan is not None and plan.number == message.number:
        del node.autoadmin.plans[message.group]
        effects.tell(Event("replica-moved" if plan.moves else "replica-replaced", message.group))


def tick(node: StorageNode, effects: Effects) -> None:
    """Once a heartbeat, at the catalog's leader."""
    admin = node.autoadmin
    replica = None if admin is None else serving_catalog(node, effects)
    if replica is None or admin is None:
        return
    catalog = replica.state
    assert isinstance(catalog, Catalog)
    specs = {spec.group: spec for table in catalog.tables.values() for spec in table.groups}
    dead_after_ns = node.topology.dead_after_s * 1_000_000_000
    for group, plan in list(admin.plans.items()):
        back = not plan.moves and admin.is_heard(plan.gone, effects.now_ns, dead_after_ns)
        # The fresh one turned out to hold the log there: it is of more use in that seat, so look for another.
        sits = group in specs and any(x.address == plan.fresh and x.log for x in specs[group].members)
        if group not in specs or back or sits or not admin.is_heard(plan.fresh, effects.now_ns, dead_after_ns):
            del admin.plans[group]
        elif effects.now_ns - plan.asked_ns >= ASK_AGAIN_NS:
            _ask(specs[group], plan, effects)
    dead = _dead(admin, node.topology.storage, effects.now_ns, dead_after_ns)
    for spec in specs.values():
        for member in spec.members:
            gone = member.stands_for or member.address
            if gone in dead and spec.group not in admin.plans and len(admin.plans) < REPLACEMENTS_MAX:
                _plan(node, admin, catalog, spec, gone, effects, moves=False)
    for address, seen in admin.seen.items():
        found = specs.get(seen.busiest)
        moving = sum(plan.moves for plan in admin.plans.values())
        if seen.hot_reports >= HOT_REPORTS and found is not None and moving < MOVES_MAX:
            seen.hot_reports = 0
            if found.group not in admin.plans:
                _plan(node, admin, catalog, found, address, effects, moves=True)


def _dead(
    admin: Autoadmin, storage: tuple[Address, ...], now_ns: Nanoseconds, dead_after_ns: Nanoseconds
) -> list[Address]:
    silent = [address for address in storage if not admin.is_heard(address, now_ns, dead_after_ns)]
    heard = [address for address in storage if address not in silent]
    return [a for a in silent if any((a.region, a.zone) == (h.region, h.zone) for h in heard)]


def _plan(
    node: StorageNode,
    admin: Autoadmin,
    catalog: Catalog,
    spec: m.GroupSpec,
    gone: Address,
    effects: Effects,
    *,
    moves: bool,
) -> None:
    fresh = _place(node, admin, catalog, spec, gone, effects.now_ns)
    if fresh is None:
        return
    plan = admin.plans[spec.group] = Plan(gone, fresh, admin.next_number, effects.now_ns, moves)
    admin.next_number += 1
    effects.tell(Event("move-planned" if moves else "replacement-planned", spec.group, detail=fresh.node))
    _ask(spec, plan, effects)


def _place(
    node: StorageNode, admin: Autoadmin, catalog: Catalog, spec: m.GroupSpec, gone: Address, now_ns: Nanoseconds
) -> Address | None:
    """The coolest live node of that zone which has no part in the group; of equals the one with the fewest replicas."""
    held: dict[Address, int] = {}
    for table in catalog.tables.values():
        for other in table.groups:
            for member in other.members:
                held[member.address] = held.get(member.address, 0) + 1
    taken = [member.address for member in spec.members] + [gone]
    candidates = [
        (admin.seen[address].consumed if address in admin.seen else 0, held.get(address, 0), number, address)
        for number, address in enumerate(node.topology.storage)
        if (address.region, address.zone) == (gone.region, gone.zone)
        and address not in taken
        and address in admin.seen
        and admin.is_heard(address, now_ns, node.topology.dead_after_s * 1_000_000_000)
    ]
    return min(candidates)[-1] if candidates else None


def _ask(spec: m.GroupSpec, plan: Plan, effects: Effects) -> None:
    """Every member: the one that leads does it, and the others say nothing of use."""
    plan.asked_ns = effects.now_ns
    for member in spec.members:
        if member.address != plan.gone or plan.moves:
            effects.send(member.address, m.Replace(spec.group, plan.number, plan.gone, plan.fresh), NOTHING)
