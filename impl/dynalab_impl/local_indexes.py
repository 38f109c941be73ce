"""Local indexes of one partition: in the order of each index, the keys of the items behind its entries (S86, S90).

Rules:
- *A function of the items.* Nothing here is logged, written to snapshots, compared or sent: whoever changes the items
  of a partition changes this in the same step, and whoever loads or divides them makes it anew. So an entry is there
  exactly when its item is, on every replica, and a strong read of the index is a strong read.
- *Entries are made when they are read*, from the item and the projection: what lies here is two keys for each entry.
- *A collection is whole.* Entries and items of one partition key lie in one partition, so a table with local indexes
  is divided only between item collections, and each has an end: its bytes are counted here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from sortedcontainers import SortedDict

from dynalab_model.collections import growth_bytes
from dynalab_model.items import index_entry, local_changes
from dynalab_model.keys import collection_of, index_key, prefix_end
from dynalab_model.schema import TableSchema
from dynalab_model.values import Item

if TYPE_CHECKING:
    from dynalab_impl.partition import StoredItem


class LocalIndexes:
    """The local indexes of one partition of a table that has some.

    `entries` maps, for each index, the entry's key to the item's; `bytes_of` an item collection to its size, with
    entries.
    """

    __slots__ = ("bytes_of", "entries", "schema")

    def __init__(self, schema: TableSchema) -> None:
        assert schema.local_indexes, "a table without local indexes needs none of this"
        self.schema = schema
        self.entries: dict[str, SortedDict[bytes, bytes]] = {index.name: SortedDict() for index in schema.local_indexes}
        self.bytes_of: dict[bytes, int] = {}

    def change(self, key: bytes, before: Item | None, after: Item | None) -> None:
        """The item under this key has become another."""
        for change in local_changes(self.schema, before, after):
            entries = self.entries[change.index]
            if change.delete_key is not None:
                gone = entries.pop(change.delete_key)
                assert gone == key, "the entry of another item"
            if change.put_key is not None:
                entries[change.put_key] = key
        self._count(key, before, after)

    def load(self, items: Iterable[tuple[bytes, Item]]) -> None:
        """Make everything anew from the items of the partition."""
        assert not self.bytes_of, "items are loaded into an empty index"
        found: dict[str, dict[bytes, bytes]] = {name: {} for name in self.entries}
        for key, item in items:
            for index in self.schema.local_indexes:
                place = index_key(index.key, self.schema.key, item)
                if place is not None:
                    found[index.name][place] = key
            self._count(key, None, item)
        for name, entries in found.items():
            self.entries[name].update(entries)

    def _count(self, key: bytes, before: Item | None, after: Item | None) -> None:
        collection = collection_of(key)
        held = self.bytes_of.get(collection, 0) + growth_bytes(self.schema, before, after)
        assert held >= 0, "a collection lost more than it had"
        if held:
            self.bytes_of[collection] = held
        else:
            self.bytes_of.pop(collection, None)  # a delete of nothing had none

    def held_bytes(
        self, key: bytes, pending: Mapping[bytes, tuple[int, Item | None]], applied: Callable[[bytes], Item | None]
    ) -> int:
        """How large the item collection is that a key belongs to, with what is appended and not applied yet: `pending`
        maps keys to (slot, item), `applied` gives the item that is applied.
        """
        collection = collection_of(key)
        held = self.bytes_of.get(collection, 0)
        for other, (_, item) in pending.items():
            if other.startswith(collection):
                held += growth_bytes(self.schema, applied(other), item)
        return held

    def entry(self, name: str, item: Item) -> Item:
        """The entry of an item that is in the index."""
        index = self.schema.index(name)
        assert index is not None
        entry = index_entry(self.schema, index, item)
        assert entry is not None, "the index names an item that is not in it"
        return entry


def keys_between(
    rows: SortedDict[bytes, StoredItem] | SortedDict[bytes, bytes],
    low: bytes,
    high: bytes,
    start_after: bytes,
    forward: bool,
) -> Iterator[bytes]:
    """The keys in [low, high) behind `start_after` (b"": none), in reading order; `high` b"" is no upper end."""
    upper = high or None
    if forward:
        first, inclusive = (start_after, False) if start_after and start_after >= low else (low, True)
        return iter(rows.irange(first, upper, inclusive=(inclusive, False)))
    last = start_after if start_after and (upper is None or start_after < upper) else upper
    return iter(rows.irange(low, last, inclusive=(True, False), reverse=True))


def whole_collections(at: bytes, first: bytes, last: bytes) -> bytes:
    """Where to divide a partition that holds items from `first` to `last`, when `at` lies inside an item collection:
    before that collection, or behind it where it stands first; b"" if it fills the partition alone.

    >>> from dynalab_model.keys import collection_prefix, encode_component
    >>> one, other = sorted(collection_prefix({"S": name}) for name in "ab")
    >>> number = encode_component({"N": "5"})
    >>> whole_collections(other + number, one + number, other + number) == other
    True
    >>> whole_collections(one + number, one + number, other + number) == prefix_end(one)
    True
    >>> whole_collections(one + number, one + number, one + number)
    b''
    """
    before = collection_of(at)
    if before == at or first < before:
        return before
    behind = prefix_end(before)
    return behind if last >= behind else b""
