"""What a table looks like: its keys and its indexes. Plain frozen values, shared by the model, the service and the
endpoint.

Nothing here validates a client's request (that is `requests`) and nothing here knows a partition.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyAttribute:
    """One attribute of a key; `type` is S, N or B (API reference: AttributeDefinition)."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class KeySchema:
    """A partition key and, for composite keys, a sort key.

    A global index may have up to four attributes in each (api.md §3 "GSI keys"): `hash` and `range` are the first ones,
    `more_hash` and `more_range` those behind them, in their order.

    >>> KeySchema(KeyAttribute("pk", "S"), None).names
    ('pk',)
    >>> KeySchema(KeyAttribute("a", "S"), KeyAttribute("c", "N"), more_hash=(KeyAttribute("b", "S"),)).names
    ('a', 'b', 'c')
    """

    hash: KeyAttribute
    range: KeyAttribute | None = None
    more_hash: tuple[KeyAttribute, ...] = ()
    more_range: tuple[KeyAttribute, ...] = ()

    @property
    def hashes(self) -> tuple[KeyAttribute, ...]:
        """The attributes of the partition key."""
        return (self.hash, *self.more_hash)

    @property
    def ranges(self) -> tuple[KeyAttribute, ...]:
        """The attributes of the sort key, none without one."""
        return () if self.range is None else (self.range, *self.more_range)

    @property
    def attributes(self) -> tuple[KeyAttribute, ...]:
        """All attributes, in the order of the key schema."""
        if self.more_hash or self.more_range:
            return self.hashes + self.ranges
        return (self.hash,) if self.range is None else (self.hash, self.range)

    @property
    def names(self) -> tuple[str, ...]:
        if self.more_hash or self.more_range:
            return tuple(attribute.name for attribute in self.attributes)
        return (self.hash.name,) if self.range is None else (self.hash.name, self.range.name)


@dataclass(frozen=True, slots=True)
class IndexSchema:
    """A secondary index; `projection` is ALL, KEYS_ONLY or INCLUDE.

    A global index that is `building` was added to a table that was there before (api.md §6 "UpdateTable"): writes are
    carried to it, but it is not read yet, and no write is refused because of it.
    """

    name: str
    key: KeySchema
    projection: str
    non_key_attributes: tuple[str, ...] = ()
    building: bool = False


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table's name, keys, global indexes (`indexes`) and local ones.

    They are apart because they are kept apart: a global index has partitions of its own, a local one lies in the
    table's.
    """

    name: str
    key: KeySchema
    indexes: tuple[IndexSchema, ...] = ()
    local_indexes: tuple[IndexSchema, ...] = ()

    @property
    def all_indexes(self) -> tuple[IndexSchema, ...]:
        """Local indexes, then global ones: the order in which the service checks them."""
        return (*self.local_indexes, *self.indexes)

    def index(self, name: str) -> IndexSchema | None:
        """The index of that name, of either kind, or None."""
        for index in self.all_indexes:
            if index.name == name:
                return index
        return None

    def is_local(self, name: str | None) -> bool:
        """Whether a local index has this name.

        >>> key = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "S"))
        >>> by_n = IndexSchema("by_n", KeySchema(KeyAttribute("pk", "S"), KeyAttribute("n", "N")), "ALL")
        >>> TableSchema("T", key, local_indexes=(by_n,)).is_local("by_n")
        True
        """
        return any(index.name == name for index in self.local_indexes)
