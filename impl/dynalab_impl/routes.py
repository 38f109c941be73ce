"""Where the partitions of tables lie, as far as somebody knows: ranges of keys in order, looked up by floor (S87).

`Ranges` is the order itself; the catalog's leader answers from one for each table and index. `Routes` is a router's
cache: one entry for each partition, not for each table, and bounded. The entry that was not used for the longest time
goes first. What is cached may be stale at any time: storage nodes are the authority, and say so.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Container

from dynalab_impl.effects import Address, Nanoseconds
from dynalab_impl.messages import GroupSpec
from dynalab_model.schema import TableSchema

SCHEMAS_MAX = 10_000  # tables whose keys a router remembers
STRAYS_MAX = 64  # groups whose leaders are known and that are not cached: answers that came later than their table went


class Ranges:
    """Partitions that do not overlap, in the order of their keys; there may be holes between them.

    >>> left, right = (GroupSpec(g, "T", "", *ends, (), None) for g, ends in (("a", (b"", b"m")), ("b", (b"m", b""))))
    >>> ranges = Ranges()
    >>> ranges.put(right), ranges.put(left)
    ([], [])
    >>> ranges.floor(b"k").group, ranges.floor(b"m").group, ranges.below(b"m").group, ranges.below(b"").group
    ('a', 'b', 'a', 'b')
    """

    __slots__ = ("lows", "specs")

    def __init__(self) -> None:
        self.lows: list[bytes] = []
        self.specs: list[GroupSpec] = []

    def floor(self, key: bytes) -> GroupSpec | None:
        """The partition that holds the key, if it is known."""
        place = bisect_right(self.lows, key) - 1
        if place < 0:
            return None
        spec = self.specs[place]
        return spec if not spec.high or key < spec.high else None

    def below(self, key: bytes) -> GroupSpec | None:
        """The partition that holds the keys just below this one (b"": the last keys of all), if it is known."""
        place = (bisect_left(self.lows, key) if key else len(self.lows)) - 1
        if place < 0:
            return None
        spec = self.specs[place]
        return spec if not spec.high or (key and key <= spec.high) else None

    def put(self, spec: GroupSpec) -> list[GroupSpec]:
        """Learn of a partition; those that overlap it are older and are given back, forgotten."""
        first = bisect_right(self.lows, spec.low)
        if first and (not self.specs[first - 1].high or self.specs[first - 1].high > spec.low):
            first -= 1
        last = bisect_left(self.lows, spec.high) if spec.high else len(self.lows)
        gone = self.specs[first:last]
        self.lows[first:last] = [spec.low]
        self.specs[first:last] = [spec]
        return gone

    def drop(self, spec: GroupSpec) -> None:
        """Forget a partition that is known."""
        place = bisect_left(self.lows, spec.low)
        assert self.specs[place] is spec
        del self.lows[place], self.specs[place]


class Directory:
    """All partitions of the tables that the catalog's leader was asked about, in the order of their keys.

    Made from a table's groups when it is first asked for, and again when they change: a split gives a table new ones.
    """

    __slots__ = ("_tables",)

    def __init__(self) -> None:
        self._tables: dict[str, tuple[tuple[GroupSpec, ...], dict[str, Ranges]]] = {}

    def ranges(self, table: str, groups: tuple[GroupSpec, ...]) -> dict[str, Ranges]:
        """The ranges of this table by index ("" for its own), where `groups` are all its partitions by now."""
        known = self._tables.get(table)
        if known is not None and known[0] is groups:
            return known[1]
        by_index: dict[str, Ranges] = {}
        for spec in groups:
            gone = by_index.setdefault(spec.index, Ranges()).put(spec)
            assert not gone, "the partitions of a table do not overlap"
        self._tables[table] = (groups, by_index)
        return by_index

    def forget(self, table: str) -> None:
        """The table is gone."""
        self._tables.pop(table, None)

    def keep(self, tables: Container[str]) -> None:
        """Forget all tables but these."""
        self._tables = {table: known for table, known in self._tables.items() if table in tables}

    def __len__(self) -> int:
        return len(self._tables)


class Routes:
    """A router's cache of at most `partitions_max` partitions, and the keys of the tables that it has met."""

    __slots__ = ("asked", "leaders", "partitions_max", "schemas", "specs", "tables")

    def __init__(self, partitions_max: int) -> None:
        assert partitions_max > 0
        self.partitions_max = partitions_max
        self.schemas: dict[str, TableSchema] = {}
        self.tables: dict[str, dict[str, Ranges]] = {}
        self.specs: dict[str, GroupSpec] = {}
        self.leaders: dict[str, Address] = {}  # by group, as they were last seen
        # By group, the one used last at the end: when it was asked for, the answer to it or a refresh.
        self.asked: OrderedDict[str, Nanoseconds] = OrderedDict()

    def find(self, table: str, index: str, key: bytes, below: bool = False) -> GroupSpec | None:
        """The partition that holds the key (or, with `below`, the keys just below it), if it is cached: a hit."""
        by_index = self.tables.get(table)
        ranges = None if by_index is None else by_index.get(index)
        if ranges is None:
            return None
        if below:
            spec = ranges.below(key)
        else:  # `Ranges.floor`, written out: every request comes through here
            place = bisect_right(ranges.lows, key) - 1
            if place < 0:
                return None
            spec = ranges.specs[place]
            if spec.high and key >= spec.high:
                return None
        if spec is not None:
            self.asked.move_to_end(spec.group)
        return spec

    def due(self, group: str, now_ns: Nanoseconds, every_ns: Nanoseconds) -> bool:
        """Whether a hit on this cached partition is to be followed by a refresh; true once in `every_ns`. A request
        that waited for an answer is no hit.
        """
        if now_ns - self.asked[group] <= every_ns:
            return False
        self.asked[group] = now_ns
        return True

    def put(self, spec: GroupSpec, now_ns: Nanoseconds, *, refreshed: bool = False) -> None:
        """Learn where a partition lies. What it contradicts is forgotten: ranges that overlap it, another schema.

        With `refreshed` it is the answer to a refresh: that one was asked for earlier, and puts off no other.
        """
        assert spec.schema is not None, "the catalog's own group is not looked up"
        known = self.schemas.get(spec.table)
        if known is not None and known != spec.schema:
            self.forget(spec.table)  # the name was taken again, by another table
        self.schemas[spec.table] = spec.schema
        if len(self.schemas) > SCHEMAS_MAX:
            self.forget(next(iter(self.schemas)))
        asked_ns = self.asked.get(spec.group, now_ns) if refreshed else now_ns
        ranges = self.tables.setdefault(spec.table, {}).setdefault(spec.index, Ranges())
        for gone in ranges.put(spec):
            self._release(gone.group)
        if len(self.leaders) > len(self.asked) + STRAYS_MAX:
            self.leaders = {group: leader for group, leader in self.leaders.items() if group in self.asked}
        self.specs[spec.group] = spec
        self.asked[spec.group] = asked_ns
        self.asked.move_to_end(spec.group)
        if len(self.asked) > self.partitions_max:
            self.drop(next(iter(self.asked)))

    def drop(self, group: str) -> bool:
        """Forget a partition; False if it was not cached."""
        spec = self.specs.get(group)
        if spec is None:
            return False
        self._release(group)
        by_index = self.tables[spec.table]
        by_index[spec.index].drop(spec)
        if not by_index[spec.index].specs:
            del by_index[spec.index]
            if not by_index:
                del self.tables[spec.table]
        return True

    def forget(self, table: str) -> None:
        """Forget all that is known of a table."""
        self.schemas.pop(table, None)
        for ranges in self.tables.pop(table, {}).values():
            for spec in ranges.specs:
                self._release(spec.group)

    def _release(self, group: str) -> None:
        del self.specs[group], self.asked[group]
        self.leaders.pop(group, None)

    def __len__(self) -> int:
        return len(self.asked)
