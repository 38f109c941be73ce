"""The tables that generated requests are about: every kind of key, both kinds of index, every projection.

Few keys, so that requests meet; few attributes, so that conditions are true as often as they are false.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Body: TypeAlias = "dict[str, object]"
Value: TypeAlias = "dict[str, object]"

# Attributes that are keys somewhere always have one type; others have any.
TYPES: Mapping[str, str] = {
    "pk": "S",
    "sk": "N",
    "colour": "S",
    "n": "N",
    "owner": "S",
    "when": "S",
    "id": "N",
    "at": "B",
}


@dataclass(frozen=True, slots=True)
class Index:
    """An index: its keys, what it projects (a list: these attributes besides the keys), which kind it is, and how many
    of its keys are the partition key's.
    """

    name: str
    keys: tuple[str, ...]
    projection: str | tuple[str, ...] = "ALL"
    is_global: bool = True
    hashes: int = 1

    def describe(self) -> Body:
        """The index as CreateTable and UpdateTable take it."""
        projection: Body = {"ProjectionType": self.projection}
        if isinstance(self.projection, tuple):
            projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(self.projection)}
        return {"IndexName": self.name, "KeySchema": _schema(self.keys, self.hashes), "Projection": projection}


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table as the generator knows it."""

    name: str
    keys: tuple[str, ...]
    indexes: tuple[Index, ...] = field(default=())

    def create(self) -> Body:
        """The CreateTable request.

        >>> PLAIN.create()["KeySchema"]
        [{'AttributeName': 'id', 'KeyType': 'HASH'}]
        """
        names = dict.fromkeys([*self.keys, *(name for index in self.indexes for name in index.keys)])
        body: Body = {
            "TableName": self.name,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": _schema(self.keys),
            "AttributeDefinitions": definitions(names),
        }
        for member, is_global in (("GlobalSecondaryIndexes", True), ("LocalSecondaryIndexes", False)):
            described = [index.describe() for index in self.indexes if index.is_global is is_global]
            if described:
                body[member] = described
        return body


def _schema(names: tuple[str, ...], hashes: int = 1) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": "HASH" if number < hashes else "RANGE"} for number, name in enumerate(names)
    ]


def definitions(names: Iterable[str]) -> list[dict[str, str]]:
    """The AttributeDefinitions of these keys.

    >>> definitions(["n"])
    [{'AttributeName': 'n', 'AttributeType': 'N'}]
    """
    return [{"AttributeName": name, "AttributeType": TYPES[name]} for name in names]


THINGS = TableShape(
    "things",
    ("pk", "sk"),
    (
        Index("by-colour", ("colour", "n"), "KEYS_ONLY"),
        Index("by-owner", ("owner",)),
        Index("by-n", ("colour", "sk"), ("v", "doc")),
    ),
)
PLAIN = TableShape("plain", ("id",))
BLOBS = TableShape("blobs", ("id", "at"), (Index("by-when", ("when", "at"), ("v",)),))
LOCAL = TableShape(
    "local",
    ("pk", "sk"),
    (
        Index("by-colour", ("colour",), "ALL"),
        Index("local-n", ("pk", "n"), "ALL", is_global=False),
        Index("local-when", ("pk", "when"), ("v",), is_global=False),
    ),
)
# Emulators do not know keys of several attributes.
SEVERAL = TableShape(
    "several",
    ("pk", "sk"),
    (
        Index("by-pair", ("colour", "owner"), "KEYS_ONLY", hashes=2),
        Index("by-line", ("colour", "n", "when"), ("v",)),
        Index("by-four", ("owner", "colour", "sk", "n"), hashes=2),
    ),
)
SHAPES = (THINGS, PLAIN, BLOBS, LOCAL)
