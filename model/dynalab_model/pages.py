"""Query and Scan by pages, and the responses of single-item operations.

Rules: `plan_read` says which range of key bytes a read covers, whoever stores them; `PageBuilder` is then fed the
stored items in that order and says when the page is full. A page evaluates at most `Limit` items, and ends with the
item that brings it to 1 MB; filter and projection come after that and change neither cost nor LastEvaluatedKey
(api.md §6). The table has been found before; nothing here reads.

A read of a local index may ask for attributes that the index does not project: it *fetches*, and is fed whole items
instead of entries. The filter then sees whole items, too; both entries and items count towards the 1 MB. (That much
is our reading: the documents price the fetch and do not say how it is cut into pages.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from dynalab_model.capacity import consumed_read, consumed_write, fetched_units
from dynalab_model.collections import asks_for_metrics, collection_metrics, growth_bytes
from dynalab_model.errors import NO_SUCH_INDEX, DynamoError, invalid, validation
from dynalab_model.expressions import (
    check_filter_keys,
    condition_holds,
    parse_key_condition,
    project,
    projection_template,
)
from dynalab_model.expressions.texts import FILTER
from dynalab_model.items import (
    WriteEffect,
    check_key,
    has_key_shape,
    index_changes,
    index_entry,
    index_units,
    local_changes,
)
from dynalab_model.keys import HASH_BYTES, KeyCondition, index_key, item_key, key_range
from dynalab_model.legacy import bind_key_conditions, check_query_filter_keys, pick, terms_hold
from dynalab_model.operations import GetItem, Query, Scan, WriteOperation
from dynalab_model.schema import IndexSchema, KeySchema, TableSchema
from dynalab_model.values import Item, equal_values, item_size

PAGE_BYTES = 1 << 20
_HASH_SPACE = 1 << (8 * HASH_BYTES)
_BAD_START = "The provided starting key is invalid"

Response: TypeAlias = "dict[str, object]"


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """What a Query or Scan covers: keys with low <= key < high, of the table or of `index`.

    `high` b"" means no upper end. `start_after` is the key where the page before stopped: go on behind it, in the
    direction of reading (greater keys when `forward`, smaller ones otherwise). `local` says that the index lies in the
    table's own partitions, `fetches` that the page wants whole items in place of its entries.
    """

    low: bytes
    high: bytes
    forward: bool
    start_after: bytes | None
    index: str | None
    local: bool = False
    fetches: bool = False

    def covers(self, key: bytes) -> bool:
        """Whether a stored key belongs to the rest of this read.

        >>> ReadPlan(b"a", b"", True, b"b", None).covers(b"c"), ReadPlan(b"a", b"", False, b"b", None).covers(b"c")
        (True, False)
        """
        if key < self.low or (self.high and key >= self.high):
            return False
        if self.start_after is None:
            return True
        return key > self.start_after if self.forward else key < self.start_after


def plan_read(schema: TableSchema, op: Query | Scan) -> ReadPlan:
    """The range that a Query or Scan reads; raises DynamoError for what does not fit the table (api.md §8).

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
    >>> plan_read(schema, Scan("T", segment=1, total_segments=2)).low.hex()
    '8000000000000000'
    """
    index = _index_of(schema, op)
    local, fetching = schema.is_local(op.index), fetches(schema, op)
    if isinstance(op, Scan):
        low, high = segment_range(op.segment or 0, op.total_segments or 1)
        return ReadPlan(low, high, True, _scan_start(schema, index, op, low, high), op.index, local, fetching)
    keys = schema.key if index is None else index.key
    condition = _condition(keys, op)
    if op.legacy is not None:
        check_query_filter_keys(op.legacy.terms, keys.names)
    if op.filter is not None and not op.filters_keys:
        check_filter_keys(op.filter, op.names, keys.names)
    low, high = key_range(keys, condition)
    start = _query_start(schema, index, op, condition, low, high)
    return ReadPlan(low, high, op.forward, start, op.index, local, fetching)


def _condition(keys: KeySchema, op: Query) -> KeyCondition:
    if op.legacy is not None:
        return bind_key_conditions(op.legacy.keys, keys)
    return parse_key_condition(op.key_condition, op.names, op.values, keys)


def queried_key(schema: TableSchema, op: Query) -> Item:
    """The partition key that a Query asks for, of the table or of its index; `plan_read` has taken the Query.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
    >>> queried_key(schema, Query("T", "pk = :k", values={":k": {"S": "a"}}))
    {'pk': {'S': 'a'}}
    """
    index = None if op.index is None else schema.index(op.index)
    keys = schema.key if index is None else index.key
    condition = _condition(keys, op)
    values = (condition.hash, *condition.more_hash)
    return {attribute.name: value for attribute, value in zip(keys.hashes, values, strict=True)}


def segment_range(segment: int, total: int) -> tuple[bytes, bytes]:
    """The part of the hash space that a Scan's segment covers; the last one has no upper end (b"").

    >>> [part.hex() for part in segment_range(0, 4)], segment_range(3, 4)[1]
    (['0000000000000000', '4000000000000000'], b'')
    """
    low = (_HASH_SPACE * segment // total).to_bytes(HASH_BYTES, "big")
    high = b"" if segment + 1 == total else (_HASH_SPACE * (segment + 1) // total).to_bytes(HASH_BYTES, "big")
    return low, high


def _index_of(schema: TableSchema, op: Query | Scan) -> IndexSchema | None:
    if op.index is None:
        return None
    index = schema.index(op.index)
    if index is None:
        raise validation(f"{NO_SUCH_INDEX}{op.index}")
    if schema.is_local(op.index):
        return index  # in the table's own partitions: strong reads, and whatever is not projected is at hand
    if op.consistent:
        raise validation("Consistent reads are not supported on global secondary indexes")
    if index.building:
        raise validation(f"Cannot read from backfilling global secondary index: {op.index}")
    if index.projection != "ALL":
        _check_projected(schema, index, op)
    return index


def fetches(schema: TableSchema, op: Query | Scan) -> bool:
    """Whether a read of a local index asks for more than the index projects: then it reads the items as well.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> keys = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "S"))
    >>> by_n = IndexSchema("by_n", KeySchema(KeyAttribute("pk", "S"), KeyAttribute("n", "N")), "KEYS_ONLY")
    >>> table = TableSchema("T", keys, local_indexes=(by_n,))
    >>> fetches(table, Scan("T", "by_n", projection="n")), fetches(table, Scan("T", "by_n", select="ALL_ATTRIBUTES"))
    (False, True)
    """
    if not schema.is_local(op.index):
        return False
    index = schema.index(op.index or "")
    if index is None or index.projection == "ALL":
        return False
    return op.select == "ALL_ATTRIBUTES" or bool(_not_projected(schema, index, op))


def _check_projected(schema: TableSchema, index: IndexSchema, op: Query | Scan) -> None:
    if op.select == "ALL_ATTRIBUTES":
        raise validation(
            "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global "
            f"secondary index {index.name} because its projection type is not ALL"
        )
    missing = _not_projected(schema, index, op)
    if missing:
        raise validation(
            f"One or more parameter values were invalid: Global secondary index {index.name} does not project "
            f"[{', '.join(missing)}]"
        )


def _not_projected(schema: TableSchema, index: IndexSchema, op: Query | Scan) -> list[str]:
    """The attributes that a read names and the index does not hold."""
    named = dict.fromkeys(op.legacy.attributes if op.legacy is not None else ())
    if op.projection is not None:
        named |= dict.fromkeys(str(path[0]) for path in projection_template(op.projection, op.names).paths)
    kept = {*index.key.names, *schema.key.names, *index.non_key_attributes}
    return [name for name in named if name not in kept]


# --- start keys -----------------------------------------------------------------------------------------------------


def start_key_names(schema: TableSchema, index: IndexSchema | None) -> tuple[str, ...]:
    """The attributes of a start key (and of LastEvaluatedKey): the index's keys if any, and the table's.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> by = IndexSchema("I", KeySchema(KeyAttribute("a", "S"), KeyAttribute("pk", "S")), "ALL")
    >>> start_key_names(TableSchema("T", KeySchema(KeyAttribute("pk", "S")), (by,)), by)
    ('pk', 'a')
    """
    if index is None:
        return schema.key.names
    return tuple(dict.fromkeys((*schema.key.names, *index.key.names)))


def _check_start(schema: TableSchema, index: IndexSchema | None, start: Item) -> bytes:
    """The key bytes of a start key whose attributes and types fit."""
    if set(start) != set(start_key_names(schema, index)):
        raise validation(_BAD_START)
    for keys in (schema.key,) if index is None else (index.key, schema.key):
        part = {name: start[name] for name in keys.names}
        if not has_key_shape(keys, part):
            raise validation(f"{_BAD_START}: The provided key element does not match the schema")
        try:
            check_key(keys, part)
        except DynamoError as error:
            raise validation(f"{_BAD_START}: {error.message}") from None
    if index is None:
        return item_key(schema.key, start)
    key = index_key(index.key, schema.key, start)
    assert key is not None, "all index keys are there"
    return key


def _query_start(
    schema: TableSchema, index: IndexSchema | None, op: Query, condition: KeyCondition, low: bytes, high: bytes
) -> bytes | None:
    if op.start_key is None:
        return None
    key = _check_start(schema, index, op.start_key)
    keys = schema.key if index is None else index.key
    given = [op.start_key[attribute.name] for attribute in keys.hashes]
    if not all(equal_values(one, other) for one, other in zip(given, condition.hashes, strict=True)):
        raise validation("The provided starting key is outside query boundaries based on provided conditions")
    if not low <= key < high:
        raise validation("The provided starting key does not match the range key predicate")
    if index is None and (keys.range is None or condition.operator == "="):
        raise validation("The query can return at most one row and cannot be restarted")
    return key


def _scan_start(schema: TableSchema, index: IndexSchema | None, op: Scan, low: bytes, high: bytes) -> bytes | None:
    if op.start_key is None:
        return None
    try:
        key = _check_start(schema, index, op.start_key)
    except DynamoError as error:
        if error.message == _BAD_START:
            raise validation(f"{_BAD_START}: {invalid('key-schema').message}") from None
        raise
    if key < low or (high and key >= high):
        raise validation(
            f"{_BAD_START}: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. "
            f"TotalSegments: {op.total_segments} Segment: {op.segment}"
        )
    return key


# --- pages ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class PageBuilder:
    """Assembles one page of a Query or Scan from stored items (index entries, for an index that is read without
    fetching), given in the order of reading.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S"), KeyAttribute("n", "N")))
    >>> page = PageBuilder(schema, Scan("T", limit=2, filter="n > :one", values={":one": {"N": "1"}}))
    >>> [page.add({"pk": {"S": "a"}, "n": {"N": n}}) for n in ("1", "2")]
    [True, False]
    >>> result = page.result()
    >>> result["Count"], result["ScannedCount"], result["LastEvaluatedKey"]
    (1, 2, {'pk': {'S': 'a'}, 'n': {'N': '2'}})
    """

    schema: TableSchema
    op: Query | Scan
    items: list[Item] = field(default_factory=list)
    count: int = 0
    scanned: int = 0
    evaluated_bytes: int = 0
    fetched_bytes: int = 0
    fetched: int = 0  # whole read units for the items behind the entries
    full: bool = False
    last: Item | None = None
    index: IndexSchema | None = field(init=False)
    fetches: bool = field(init=False)

    def __post_init__(self) -> None:
        self.index = None if self.op.index is None else self.schema.index(self.op.index)
        self.fetches = fetches(self.schema, self.op)

    def add(self, item: Item) -> bool:
        """Evaluate one more item; False when the page is full and nothing more may be added."""
        assert not self.full, "a full page takes no more items"
        op = self.op
        self.last = item
        self.scanned += 1
        size_bytes = item_size(item)
        if self.fetches:
            self.fetched_bytes += size_bytes
            self.fetched += fetched_units(size_bytes)
            assert self.index is not None
            entry = index_entry(self.schema, self.index, item)
            assert entry is not None, "an item without an entry is not behind one"
            size_bytes = item_size(entry)
        self.evaluated_bytes += size_bytes
        if self._passes(item):
            self.count += 1
            if op.select != "COUNT":
                self.items.append(projected(op, item))
        # The item that crosses 1 MB is still part of the page: full pages of a strong Scan cost more than 256 units.
        self.full = self.evaluated_bytes + self.fetched_bytes >= PAGE_BYTES or self.scanned == op.limit
        return not self.full

    def _passes(self, item: Item) -> bool:
        op = self.op
        if op.legacy is not None:
            return terms_hold(op.legacy, item)
        return op.filter is None or condition_holds(op.filter, op.names, op.values, item, kind=FILTER)

    @property
    def room(self) -> tuple[int | None, int]:
        """How many items (None: no limit) and bytes this page still takes: what a storage node should send at most."""
        items = None if self.op.limit is None else self.op.limit - self.scanned
        return items, max(0, PAGE_BYTES - self.evaluated_bytes - self.fetched_bytes)

    def result(self) -> Response:
        """The response body. A page that its limits ended has a LastEvaluatedKey, even when nothing follows (api.md
        §6).
        """
        op = self.op
        body: Response = {} if op.select == "COUNT" else {"Items": self.items}
        body["Count"] = self.count
        body["ScannedCount"] = self.scanned
        if self.full and self.last is not None:
            body["LastEvaluatedKey"] = {name: self.last[name] for name in start_key_names(self.schema, self.index)}
        consumed = consumed_read(
            op.table,
            op.capacity,
            self.evaluated_bytes,
            op.consistent,
            op.index,
            local=self.schema.is_local(op.index),
            fetched=self.fetched,
        )
        if consumed is not None:
            body["ConsumedCapacity"] = consumed
        return body


# --- responses of single-item operations ----------------------------------------------------------------------------


def projected(op: GetItem | Query | Scan, item: Item) -> Item:
    """The part of an item that a read asks for.

    >>> projected(GetItem("T", {}, projection="a"), {"a": {"N": "1"}, "b": {"N": "2"}})
    {'a': {'N': '1'}}
    """
    if op.projection is not None:
        return project(op.projection, op.names, item)
    if op.legacy is not None and op.legacy.attributes:
        return pick(op.legacy.attributes, item)
    return item


def get_response(op: GetItem, item: Item | None) -> Response:
    """The body of GetItem: no `Item` member when there is no item, an empty one when the projection matches nothing.

    >>> get_response(GetItem("T", {"pk": {"S": "a"}}), None)
    {}
    """
    body: Response = {}
    if item is not None:
        body["Item"] = projected(op, item)
    if op.capacity != "NONE":
        body["ConsumedCapacity"] = consumed_read(op.table, op.capacity, item_size(item) if item else 0, op.consistent)
    return body


def write_response(
    schema: TableSchema, op: WriteOperation, before: Item | None, effect: WriteEffect, collection_bytes: int = 0
) -> Response:
    """The body of PutItem, UpdateItem and DeleteItem, given the item as it was before, and how large its collection was
    (for tables with local indexes).

    >>> from dynalab_model.operations import PutItem
    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> put = PutItem("T", {"pk": {"S": "a"}}, capacity="TOTAL")
    >>> write_response(TableSchema("T", KeySchema(KeyAttribute("pk", "S"))), put, None, WriteEffect(put.item, None))
    {'ConsumedCapacity': {'TableName': 'T', 'CapacityUnits': 1.0}}
    """
    body: Response = {}
    if effect.attributes is not None:
        body["Attributes"] = effect.attributes
    if op.capacity != "NONE":
        units = index_units(index_changes(schema, before, effect.item))
        local_units = index_units(local_changes(schema, before, effect.item))
        body["ConsumedCapacity"] = consumed_write(op.table, op.capacity, before, effect.item, units, local_units)
    if asks_for_metrics(schema, op):
        held_bytes = collection_bytes + growth_bytes(schema, before, effect.item)
        body["ItemCollectionMetrics"] = collection_metrics(schema, op, held_bytes)
    return body
