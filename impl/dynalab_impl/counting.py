"""How many items a table has: what DescribeTable tells as ItemCount and TableSizeBytes (api.md §6).

The service renews these figures about every six hours; here every `counts_ns`. Leaders walk their partitions, a few
rows a tick, and tell every member of the catalog what they counted. The figures are kept in memory alone and are never
exact: writes go on during the walk, news may be lost, and after a split the children are missing until they are
counted.

These functions work on a `StorageNode`, kept in a room of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from dynalab_impl.catalog import CATALOG, Catalog
from dynalab_impl.effects import Address, Effects, Nanoseconds
from dynalab_impl.local_indexes import LocalIndexes
from dynalab_impl.metadata import Counted
from dynalab_impl.partition import Partition
from dynalab_impl.table_entry import count_key
from dynalab_model.items import index_entry
from dynalab_model.values import Item, item_size

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode

ROWS_A_TICK_MAX = 500


@dataclass(slots=True)
class Counting:
    """A node's walk over the partitions that it leads: those still to come, and how far it is in the first of them.

    `local` has the entries of each local index and their bytes. `told` is what members of the catalog have heard:
    `count_key` → items and their bytes.
    """

    next_ns: Nanoseconds = 0
    waiting: list[str] = field(default_factory=list)
    behind: bytes = b""
    items: int = 0
    size_bytes: int = 0
    local: dict[str, list[int]] = field(default_factory=dict)
    told: dict[str, tuple[int, int]] = field(default_factory=dict)


def tick(node: StorageNode, effects: Effects) -> None:
    """Count on, or begin anew when it is time."""
    period_ns = node.topology.timing.counts_ns
    counting = node.counting
    if not period_ns or (not counting.waiting and effects.now_ns < counting.next_ns):
        return
    if not counting.waiting:
        counting.next_ns = effects.now_ns + period_ns
        counting.waiting = [group for group in node.led if group != CATALOG]
        _forget(node)
    room = ROWS_A_TICK_MAX
    while counting.waiting and room > 0:
        room -= _count(node, counting, room, effects)


def _count(node: StorageNode, counting: Counting, rows_max: int, effects: Effects) -> int:
    """Count some rows of the first partition, and tell when that was its end. How many rows were counted."""
    group = counting.waiting[0]
    replica = node.led.get(group)
    state = None if replica is None or replica.leading is None else replica.state
    rows = 0
    if isinstance(state, Partition) and state.split is None:
        after = counting.behind or None
        if state.local is not None:
            for name in state.local.entries:
                counting.local.setdefault(name, [0, 0])
        for key in islice(state.items.irange(after, None, inclusive=(after is None, True)), rows_max):
            item = state.items[key].item
            counting.size_bytes += item_size(item)
            if state.local is not None:
                _count_entries(counting, state.local, item)
            counting.behind = key
            rows += 1
        counting.items += rows
        if rows == rows_max:
            return rows
        node.tell_catalog(Counted(group, counting.items, counting.size_bytes, counting.local), effects)
    counting.waiting.pop(0)
    counting.behind, counting.items, counting.size_bytes, counting.local = b"", 0, 0, {}
    return rows


def _count_entries(counting: Counting, local: LocalIndexes, item: Item) -> None:
    for index in local.schema.local_indexes:
        entry = index_entry(local.schema, index, item)
        if entry is not None:
            counted = counting.local[index.name]
            counted[0] += 1
            counted[1] += item_size(entry)


def on_counted(node: StorageNode, sender: Address, message: Counted, effects: Effects) -> None:
    """Every member of the catalog remembers, as any of them may lead it next."""
    if CATALOG in node.replicas:
        told = node.counting.told
        told[message.group] = (message.items, message.size_bytes)
        for index, (entries, size_bytes) in message.local.items():
            told[count_key(message.group, index)] = (entries, size_bytes)


def _forget(node: StorageNode) -> None:
    """Forget what was told of partitions that are gone."""
    replica = node.replicas.get(CATALOG)
    if replica is not None and isinstance(replica.state, Catalog):
        known = replica.state.group_names()
        told = node.counting.told
        node.counting.told = {name: told[name] for name in told if name.partition("\0")[0] in known}
