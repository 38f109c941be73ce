"""Contributor insights: which keys of a table are busy, counted where every request passes (S45).

Rules:
- *Routers count*, those of each process by themselves: they know the keys in clients' words. What they counted is lost
  with the process, and put together by whoever asks them all.
- *They are told, again and again.* The catalog's leader tells every router what is to be counted, at each tick, for as
  long as anything is; a router that hears nothing for `WATCH_NS` stops. So nothing is logged, and a router that comes
  back counts soon.
- *ENABLED means that the routers know*: all of them, or, after a while, those that answer.
- *Bounded.* Each graph keeps `KEYS_MAX` keys (`TopKeys`).

One access: a key that was read or written, also by a write whose condition failed. A page counts each of its items; a
Query its partition key once. Items of an index are counted when the index is read. A refusal for want of throughput is
one of the key that was asked for: of a Query its partition key, of a Scan no key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from dynalab_impl import index_steps
from dynalab_impl.catalog import Catalog
from dynalab_impl.codec import register, to_json
from dynalab_impl.effects import NOTHING, Address, Effects, Message, Nanoseconds
from dynalab_impl.pending import Pending
from dynalab_impl.replication.replica import Replica
from dynalab_impl.steps import PrepareStep, ReadStep, WholeStep
from dynalab_model import insights
from dynalab_model.operations import DeleteItem, GetItem, PutItem, Query, Scan, TransactAction, UpdateItem
from dynalab_model.pages import queried_key
from dynalab_model.schema import KeySchema, TableSchema
from dynalab_model.values import Item

if TYPE_CHECKING:
    from dynalab_impl.catalog_keeper import CatalogKeeper
    from dynalab_impl.router import Router
    from dynalab_impl.storage_node import StorageNode
    from dynalab_impl.table_entry import Table

KEYS_MAX = 128  # of a graph
WATCH_NS = 30_000_000_000  # a router that was not told for so long counts no more
LATE_NS = 10_000_000_000  # a router that is about has answered by then

Modes: TypeAlias = tuple[tuple[str, str], ...]  # ("" or an index, mode)
Place: TypeAlias = tuple[str, str, str]  # table, "" or an index, graph

THROTTLES = frozenset({"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"})
SERVED = frozenset({"", "ConditionalCheckFailedException"})


@dataclass(slots=True)
class Watch(Message):
    """Count the keys of this table in these modes; of none: stop."""

    table: str
    modes: Modes


@dataclass(slots=True)
class Watching(Message):
    """A router does."""

    table: str
    modes: Modes


register(Watch, Watching)


@dataclass(slots=True)
class TopKeys:
    """The keys that were counted most, in bounded memory (Metwally et al., "space-saving", ICDT'05).

    Up to `keys_max` different keys the counts are exact. Beyond that a new key takes the place of the one counted
    least, and its count: it may be too high by that much (`over`), never too low, and a key that has more than
    1/`keys_max` of all is among those that are kept.

    >>> top = TopKeys(2)
    >>> for key in "aabac":
    ...     top.add(key)
    >>> top.most()
    [('a', 3, 0), ('c', 2, 1)]
    """

    keys_max: int = KEYS_MAX
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)  # key → (count, over)

    def add(self, key: str, count: int = 1) -> None:
        """This key was seen `count` times."""
        known = self.counts.get(key)
        if known is not None:
            self.counts[key] = known[0] + count, known[1]
        elif len(self.counts) < self.keys_max:
            self.counts[key] = count, 0
        else:
            least = min(self.counts, key=lambda other: self.counts[other][0])  # the first of several
            over, _ = self.counts.pop(least)
            self.counts[key] = over + count, over

    def most(self) -> list[tuple[str, int, int]]:
        """(key, count, over), the most counted first."""
        ordered = sorted(self.counts, key=lambda key: (-self.counts[key][0], key))
        return [(key, *self.counts[key]) for key in ordered]


@dataclass(slots=True)
class Counters:
    """What one router counts: of each watched table its modes and until when, and the graphs."""

    modes: dict[str, tuple[dict[str, str], Nanoseconds]] = field(default_factory=dict)
    graphs: dict[Place, TopKeys] = field(default_factory=dict)

    def learn(self, message: Watch, now_ns: Nanoseconds) -> None:
        """What is to be counted of a table; the graphs of what is not any more go."""
        modes = dict(message.modes)
        if modes:
            self.modes[message.table] = modes, now_ns + WATCH_NS
        else:
            self.modes.pop(message.table, None)
        self.graphs = {
            place: top
            for place, top in self.graphs.items()
            if place[0] != message.table or _counts(modes.get(place[1], ""), place[2])
        }

    def mode_of(self, table: str, index: str, now_ns: Nanoseconds) -> str:
        """In which mode a table or index is counted; "" if it is not."""
        modes, until_ns = self.modes.get(table, ({}, 0))
        return modes.get(index, "") if now_ns < until_ns else ""

    def count(
        self,
        schema: TableSchema,
        index: str,
        mode: str,
        what: str,
        item: Mapping[str, object],
        sorted_only: bool = False,
    ) -> None:
        """An item, or its key, was "accessed" or "throttled"; `sorted_only` counts no partition keys."""
        found = schema.index(index) if index else None
        key = schema.key if found is None else found.key
        for graph in insights.graphs(mode, key):
            counts, sort = insights.GRAPHS[graph]
            if sorted_only and not sort:
                continue
            names = _names(key, sort)
            if counts == what and all(name in item for name in names):
                top = self.graphs.setdefault((schema.name, index, graph), TopKeys())
                top.add(to_json({name: item[name] for name in names}))


def _names(key: KeySchema, sort: bool) -> list[str]:
    return [attribute.name for attribute in (key.attributes if sort else key.hashes)]


def _counts(mode: str, graph: str) -> bool:
    return mode == insights.ALL or (mode == insights.THROTTLED and insights.GRAPHS[graph][0] == "throttled")


# --- at the catalog's leader ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Told:
    """Which routers know what is to be counted of a table, and since when they have been told."""

    modes: Modes
    since_ns: Nanoseconds
    routers: list[Address] = field(default_factory=list)


def keep(keeper: CatalogKeeper, table: Table, replica: Replica, effects: Effects) -> None:
    """Tell the routers what is to be counted of a table, and end the step that is under way when they know."""
    assert isinstance(replica.state, Catalog)
    name, routers = table.schema.name, replica.state.topology.routers
    modes = tuple(sorted(insights.modes(table.settings).items()))
    changing = insights.is_changing(table.settings)
    if not modes and not changing:
        keeper.watchers.pop(name, None)
        return
    told = keeper.watchers.get(name)
    if told is None or told.modes != modes:
        told = keeper.watchers[name] = Told(modes, effects.now_ns)
    for router in routers:
        effects.send(router, Watch(name, modes), NOTHING)
    late = effects.now_ns - told.since_ns >= LATE_NS
    if changing and (len(told.routers) == len(routers) or (late and told.routers)):
        index_steps.propose("watched", table, replica, effects)


def on_watching(node: StorageNode, sender: Address, message: Watching, effects: Effects) -> None:
    """A router knows; only the catalog's leader asked."""
    told = None if node.keeper is None else node.keeper.watchers.get(message.table)
    if told is not None and told.modes == message.modes and sender not in told.routers:
        told.routers.append(sender)


# --- at a router ----------------------------------------------------------------------------------------------------


def on_watch(router: Router, sender: Address, message: Watch, effects: Effects) -> None:
    """The catalog's leader says what is to be counted."""
    if router.counters is None:
        router.counters = Counters()
    router.counters.learn(message, effects.now_ns)
    if not router.counters.modes:
        router.counters = None
    effects.send(sender, Watching(message.table, message.modes), NOTHING)


def note(router: Router, pending: Pending, error: str, body: Mapping[str, object], now_ns: int) -> None:
    """A request for one partition, or a page of several, has come to this."""
    counters, operation = router.counters, pending.operation
    schema = router.routes.schemas.get(pending.table)
    if counters is None or schema is None:
        return
    index = (
        (operation.index or "") if isinstance(operation, Query | Scan) and not schema.is_local(operation.index) else ""
    )
    mode = counters.mode_of(pending.table, index, now_ns)
    what = "throttled" if error in THROTTLES else "accessed" if error in SERVED else ""
    if not mode or not what or (what == "accessed" and mode == insights.THROTTLED):
        return
    for keys in _keys(operation, schema, body):
        counters.count(schema, index, mode, what, keys)


def note_rows(router: Router, pending: Pending, items: Iterable[Item], now_ns: int) -> None:
    """These items are on a page."""
    counters, operation = router.counters, pending.operation
    schema = router.routes.schemas.get(pending.table)
    if counters is None or schema is None or not isinstance(operation, Query | Scan):
        return
    index = "" if operation.index is None or schema.is_local(operation.index) else operation.index
    if counters.mode_of(pending.table, index, now_ns) != insights.ALL:
        return
    for item in items:
        counters.count(schema, index, insights.ALL, "accessed", item, sorted_only=isinstance(operation, Query))


def _keys(operation: object, schema: TableSchema, body: Mapping[str, object]) -> list[Mapping[str, object]]:
    """What was asked for, as far as it says which keys it meant. The items of a page were counted as they came."""
    if isinstance(operation, Query):
        return [queried_key(schema, operation)]
    if isinstance(operation, GetItem):
        return [operation.key]
    if isinstance(operation, PutItem | UpdateItem | DeleteItem):
        return [_key_of(operation)]
    if isinstance(operation, PrepareStep):
        return [_key_of(operation.action)]
    if isinstance(operation, WholeStep):
        return [_key_of(action) for action in operation.actions]
    if isinstance(operation, ReadStep) and operation.values:
        item = body.get("Item")
        return [item] if isinstance(item, dict) else []
    return []


def _key_of(action: TransactAction) -> Mapping[str, object]:
    return action.item if isinstance(action, PutItem) else action.key
