"""Every state that a small group can reach: `explore_group` breadth first, with branches instead of dice.

A state is copied before each action and recognised by its key. Records, entries and messages are never changed, so
copies share them, and a key names each by a running number of its content. Times are not part of a key: without
leases nothing in these scopes depends on them. The first violation comes with the shortest way to it.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from explore_desk import Desk
from explore_group import Action, Scope, Violation, World, settle
from sortedcontainers import SortedDict

from dynalab_impl.partition import Partition
from dynalab_impl.replication.leading import Leading
from dynalab_impl.replication.log import Log
from dynalab_impl.replication.replica import Replica
from dynalab_impl.storage_node import StorageNode

Plain = TypeVar("Plain")


def twin(value: Plain) -> Plain:
    """A shallow copy of an object with slots; `copy.copy` takes three times as long."""
    cls: Any = type(value)
    other: Plain = object.__new__(cls)
    for name in cls.__slots__:
        setattr(other, name, getattr(value, name))
    return other


def branch(world: World, action: Action) -> World:
    """A copy in which this action may happen without touching the original. Only one machine will change."""
    other = twin(world)
    kind, at = action[0], int(action[1]) if len(action) > 1 else -1
    touched = world.network[at][0] if kind in ("deliver", "copy", "lose") else at
    other.desks = [_desk(desk) if desk.index == touched else desk for desk in world.desks]
    other.network = list(world.network)
    other.used, other.sometimes = Counter(world.used), Counter(world.sometimes)
    other.committed, other.seen = list(world.committed), list(world.seen)
    other.answers, other.reads, other.begun = dict(world.answers), dict(world.reads), dict(world.begun)
    return other


def _desk(desk: Desk) -> Desk:
    other = twin(desk)
    other.disk, other.waiting, other.sent = list(desk.disk), list(desk.waiting), list(desk.sent)
    other.node = None if desk.node is None else _node(desk.node)
    return other


def _node(node: StorageNode) -> StorageNode:
    other = twin(node)
    other.replicas = {group: _replica(replica) for group, replica in node.replicas.items()}
    other.led = {group: other.replicas[group] for group in node.led}
    other.propagators = {group: twin(propagator) for group, propagator in node.propagators.items()}
    other.snapshots = twin(node.snapshots)
    other.snapshots.begun, other.left = dict(node.snapshots.begun), dict(node.left)
    return other


def _replica(replica: Replica) -> Replica:
    other = twin(replica)
    other.log = Log(replica.log.base)
    other.log.base_ballot = replica.log.base_ballot
    held = replica.log.after(replica.log.base)
    if held:
        other.log.store(replica.log.base + 1, held)
    other.promises, other.asked, other.unheard = dict(replica.promises), list(replica.asked), list(replica.unheard)
    state = cast(Partition, replica.state)
    mine = other.state = twin(state)
    mine.items = SortedDict(state.items)
    mine.dedup, mine.dedup_order = dict(state.dedup), deque(state.dedup_order)
    mine.owed, mine.tombstones = deque(state.owed), dict(state.tombstones)
    other.leading = None if replica.leading is None else _leading(replica.leading)
    return other


def _leading(lead: Leading) -> Leading:
    other = twin(lead)
    other.peers = {address: twin(peer) for address, peer in lead.peers.items()}
    other.voting = None
    other.unsynced = deque(lead.unsynced)
    other.waiters = {slot: list(waiters) for slot, waiters in lead.waiters.items()}
    other.asked, other.fresh = list(lead.asked), dict(lead.fresh)
    other.pending_items, other.pending_requests = dict(lead.pending_items), dict(lead.pending_requests)
    return other


@dataclass(slots=True)
class Names:
    """A running number for each content. Objects are kept, so that an `id` is never used twice."""

    by_id: dict[int, tuple[object, int]] = field(default_factory=dict)
    by_text: dict[str, int] = field(default_factory=dict)
    desks: dict[int, tuple[Desk, int]] = field(default_factory=dict)

    def of(self, value: object) -> int:
        known = self.by_id.get(id(value))
        if known is not None:
            return known[1]
        number = self.by_text.setdefault(repr(value), len(self.by_text))
        self.by_id[id(value)] = (value, number)
        return number

    def key(self, world: World) -> int:
        """Two worlds of one key have one future."""
        network = tuple(sorted((to, self.of(sender), self.of(message)) for to, sender, message in world.network))
        used = tuple(sorted(world.used.items()))
        told = (tuple(sorted(world.answers.items())), tuple(world.begun), len(world.committed))
        return hash((network, used, told, tuple(self._desk_once(desk) for desk in world.desks)))

    def _desk_once(self, desk: Desk) -> int:
        known = self.desks.get(id(desk))
        if known is None:
            known = self.desks[id(desk)] = (desk, hash(self._desk(desk)))
        return known[1]

    def _desk(self, desk: Desk) -> tuple[object, ...]:
        disk = tuple(self.of(record) for record in desk.disk)
        waiting = tuple((at, target, self.of(message)) for at, (target, _, message) in desk.waiting)
        replica = desk.replica
        return (disk, desk.durable, waiting, desk.incarnation, None if replica is None else self._replica(replica))

    def _replica(self, r: Replica) -> tuple[object, ...]:
        log = tuple(self.of(entry) for entry in r.log.after(r.log.base))
        promises = tuple((self.of(address), self.of(promise)) for address, promise in r.promises.items())
        lead = None if r.leading is None else self._leading(r.leading)
        place = (r.commit_index, r.matched, r.recorded_commit, r.barrier, r.was_behind)
        membership = (
            r.members,
            r.members_slot,
            r.joined,
            r.log_only,
            r.counted,
            r.relinquished,
            r.full_match,
            tuple(r.asked),
        )
        return (r.role, r.promised, r.following, str(r.leader), place, membership, log, promises, lead)

    def _leading(self, lead: Leading) -> tuple[object, ...]:
        peers: list[Any] = [
            (p.address, p.match, p.next, p.in_flight, p.told_commit, p.match_at_tick, p.incarnation, p.log)
            for p in lead.peers.values()
        ]
        healing = (lead.changing, lead.seat, tuple(lead.asked), lead.joining, tuple(lead.fresh.items()))
        waiters = tuple((slot, len(waiters)) for slot, waiters in lead.waiters.items())
        pending = (tuple(lead.pending_requests.items()), tuple(lead.pending_items))
        return (lead.barrier_slot, lead.durable_slot, tuple(lead.unsynced), tuple(peers), healing, waiters, pending)


@dataclass(slots=True)
class Explored:
    """What a search saw. `complete` when no state within the scope was left out."""

    states: int = 0
    steps: int = 0
    depth: int = 0
    complete: bool = True
    sometimes: Counter[str] = field(default_factory=Counter)


def led(scope: Scope) -> World:
    """A group whose first member leads, with everything delivered: what the scope counts begins here."""
    world = World(scope)
    world.form()
    world.apply(("stand", 0))
    settle(world)
    world.used.clear()
    return world


def explore(start: World, states_max: int) -> Explored:
    """All states that the start's scope allows, or the first `states_max` by their distance from the start."""
    assert not start.scope.leases, "keys do not hold times"
    names, seen = Names(), Explored()
    known = {names.key(start)}
    queue: deque[tuple[World, tuple[Action, ...]]] = deque([(start, ())])
    while queue:
        world, way = queue.popleft()
        seen.depth = len(way)
        for action in world.actions():
            following = branch(world, action)
            try:
                following.apply(action)
            except AssertionError as error:
                raise Violation(f"{error}, after {[*way, action]}") from error
            seen.steps += 1
            key = names.key(following)
            if key in known:
                continue
            known.add(key)
            if len(known) > states_max:
                seen.complete = False
                continue
            seen.sometimes += following.sometimes - world.sometimes
            queue.append((following, (*way, action)))
    seen.states = min(len(known), states_max)
    return seen
