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

    >>> KeySchema(KeyAttribute("pk", "S"), None).names
    ('pk',)
    """

    hash: KeyAttribute
    range: KeyAttribute | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.hash.name,) if self.range is None else (self.hash.name, self.range.name)


@dataclass(frozen=True, slots=True)
class IndexSchema:
    """A global secondary index; `projection` is ALL, KEYS_ONLY or INCLUDE."""

    name: str
    key: KeySchema
    projection: str
    non_key_attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table's name, keys and global indexes."""

    name: str
    key: KeySchema
    indexes: tuple[IndexSchema, ...] = ()

    def index(self, name: str) -> IndexSchema | None:
        """The index of that name, or None."""
        for index in self.indexes:
            if index.name == name:
                return index
        return None
