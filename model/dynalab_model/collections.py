"""Item collections of tables with local indexes: how large they may grow, and what is told of them.

Rules: a collection is all items with one partition key value, and their entries in local indexes; such a table keeps
it in one partition, so it has an end (API reference: ItemCollectionMetrics; api.md §3). Tables without local indexes
have no such limit and tell nothing. Whoever holds the items says how many bytes a collection has; nothing here reads.
"""

from __future__ import annotations

from dynalab_model.errors import collection_too_large
from dynalab_model.items import stored_bytes
from dynalab_model.operations import DeleteItem, PutItem, UpdateItem, WriteOperation
from dynalab_model.schema import TableSchema
from dynalab_model.values import Item

GIGABYTE = 2**30
COLLECTION_BYTES_MAX = 10 * GIGABYTE

Body = dict[str, object]


def growth_bytes(schema: TableSchema, before: Item | None, after: Item | None) -> int:
    """By how much a write makes the item's collection larger; less than 0 when it becomes smaller.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> table = TableSchema("T", KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "S")))
    >>> growth_bytes(table, None, {"pk": {"S": "a"}, "sk": {"S": "b"}})
    6
    """
    held = stored_bytes(schema, before) if before is not None else 0
    return (stored_bytes(schema, after) if after is not None else 0) - held


def check_collection(held_bytes: int, more_bytes: int, bytes_max: int) -> None:
    """Refuse a write that makes a collection larger than its limit. A full one can still be read and made smaller.

    >>> check_collection(12, -1, bytes_max=10)
    >>> check_collection(10, 1, bytes_max=10)
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ItemCollectionSizeLimitExceededException: Collection size exceeded.
    """
    if more_bytes > 0 and held_bytes + more_bytes > bytes_max:
        raise collection_too_large()


def partition_key(schema: TableSchema, op: WriteOperation) -> Item:
    """The key of the collection that a write belongs to: the partition key alone."""
    name = schema.key.hash.name
    return {name: (op.item if isinstance(op, PutItem) else op.key)[name]}


def asks_for_metrics(schema: TableSchema, op: PutItem | UpdateItem | DeleteItem) -> bool:
    """Whether the answer to a write has ItemCollectionMetrics: asked for, and a table that has any (api.md §6, §9)."""
    return op.metrics == "SIZE" and bool(schema.local_indexes)


def collection_metrics(schema: TableSchema, op: WriteOperation, held_bytes: int) -> Body:
    """ItemCollectionMetrics: the collection's key, and an estimate in gigabytes that lies between two numbers.

    The service promises no precision; this one says between which whole gigabytes the collection is.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> table = TableSchema("T", KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "S")))
    >>> key = {"pk": {"S": "a"}, "sk": {"S": "b"}}
    >>> collection_metrics(table, DeleteItem("T", key), 3 * GIGABYTE // 2)
    {'ItemCollectionKey': {'pk': {'S': 'a'}}, 'SizeEstimateRangeGB': [1.0, 2.0]}
    """
    low = held_bytes // GIGABYTE
    return {
        "ItemCollectionKey": partition_key(schema, op),
        "SizeEstimateRangeGB": [float(low), float(low + 1)],
    }
