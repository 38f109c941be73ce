"""BatchGetItem and BatchWriteItem: many independent requests in one (api.md §3, §6, §8 "Batch…").

Rules: a batch is taken apart into GetItem, PutItem and DeleteItem operations, and means nothing beyond them: it is
refused as a whole before any of them is begun, or each of them has its own outcome. What had none in time comes back
in UnprocessedKeys or UnprocessedItems, in the form in which it was asked. Nothing here reads or sends.

The order of checks: what `shapes` knows, with the tables' names in its midst → the counts of each table → then table by
table what needs no schema → the total → (with the schemas, `bind_gets` and `bind_writes`) keys and duplicates.

A BatchWriteItem cannot reach its 16 MB: 25 items of 400 KB are 10 MB, and more than that is not taken in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

from dynalab_model.errors import invalid, validation
from dynalab_model.expressions import check_expressions
from dynalab_model.fields import ARN_LENGTH_MAX, NAME_PATTERN, failure, name_failures, refuse, table_name
from dynalab_model.items import bind_get, bind_write, has_key_shape
from dynalab_model.legacy_parameters import attributes_to_get
from dynalab_model.operations import BatchGetItem, BatchWriteItem, DeleteItem, GetItem, Legacy, PutItem
from dynalab_model.placeholders import NAMES, placeholders
from dynalab_model.schema import TableSchema
from dynalab_model.shapes import REQUESTS
from dynalab_model.values import ITEM_BYTES_MAX, Item, item_size, validate_item

GETS_MAX = 100
WRITES_MAX = 25
# 100 items of 300 KB: 52 come back (the guide's example), so a megabyte is a million bytes here.
RESPONSE_BYTES_MAX = 16_000_000

Body: TypeAlias = "dict[str, object]"

_DUPLICATES = "Provided list of item keys contains duplicates"


def _entries(body: Mapping[str, object], operation: str) -> dict[str, object]:
    """RequestItems, after everything that one member alone can break."""
    REQUESTS[operation].check_named(body, _check_names)
    given = cast("dict[str, object]", body["RequestItems"])
    if not given:
        raise validation(f"The requestItems parameter is required for {operation}")
    return given


def _check_names(body: Mapping[str, object]) -> str:
    """Refuse tables' names that are none; the first table."""
    given = cast("dict[str, object] | None", body.get("RequestItems"))
    if given is None:
        refuse([failure(None, "requestItems", "not be null")])
    assert given is not None
    if any(not name.startswith("arn:") and name_failures(name, "", 1, ARN_LENGTH_MAX) for name in given):
        rule = (
            f"Map keys must satisfy constraint: [Member must have length less than or equal to {ARN_LENGTH_MAX}, "
            "Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: "
            f"{NAME_PATTERN}]"
        )
        refuse([_map_failure(given, rule)])
    return next(iter(given), "")


def _map_failure(entries: Mapping[str, object], rule: str) -> str:
    # The service prints its own objects here; the tables are what a reader can use.
    shown = ", ".join(f"{name}=[...]" for name in entries)
    return f"Value '{{{shown}}}' at 'requestItems' failed to satisfy constraint: {rule}"


def _mode(body: Mapping[str, object]) -> str:
    return cast("str | None", body.get("ReturnConsumedCapacity")) or "NONE"


# --- BatchGetItem ---------------------------------------------------------------------------------------------------


def parse_batch_get(body: dict[str, object]) -> BatchGetItem:
    """A BatchGetItem from its JSON body, or DynamoDB's error for it.

    >>> body = {"RequestItems": {"T": {"Keys": [{"pk": {"S": "a"}}, {"pk": {"S": "b"}}], "ConsistentRead": True}}}
    >>> [get.key["pk"]["S"] for get in parse_batch_get(body).gets]
    ['a', 'b']
    >>> parse_batch_get({"RequestItems": {"T": {"Keys": [{"pk": {"N": "1"}}, {"pk": {"N": "1.0"}}]}}})
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: Provided list of item keys contains duplicates
    """
    entries = cast("dict[str, dict[str, object]]", _entries(body, "BatchGetItem"))
    refuse(
        [
            f"Value at 'RequestItems.{name}.member.Keys' failed to satisfy constraint: Member must have length "
            f"less than or equal to {GETS_MAX}"
            for name, entry in entries.items()
            if len(cast("list[object]", entry["Keys"])) > GETS_MAX
        ]
    )
    mode = _mode(body)
    gets: list[GetItem] = []
    for name, entry in entries.items():
        gets += _gets_of(table_name({"TableName": name}), entry, mode)
        if len(gets) > GETS_MAX:
            raise validation("Too many items requested for the BatchGetItem call")
    return BatchGetItem(tuple(gets), mode)


def _gets_of(table: str, entry: Mapping[str, object], mode: str) -> list[GetItem]:
    names, _ = placeholders(entry, ("ProjectionExpression",))
    keys = [validate_item(key) for key in cast("list[object]", entry["Keys"])]
    forms = [tuple(sorted((name, str(value)) for name, value in key.items())) for key in keys]
    if len(dict.fromkeys(forms)) < len(forms):
        raise validation(_DUPLICATES)
    attributes = attributes_to_get(entry)
    legacy = Legacy(attributes=attributes) if attributes else None
    projection = cast("str | None", entry.get("ProjectionExpression"))
    if projection is not None:
        check_expressions(names=names, projection=projection)
    consistent = bool(entry.get("ConsistentRead"))
    return [GetItem(table, key, consistent, projection, names, mode, legacy) for key in keys]


def bind_gets(schemas: Mapping[str, TableSchema], op: BatchGetItem) -> list[bytes]:
    """The key bytes of every read, in order, or DynamoDB's error if one does not fit its table."""
    return [bind_get(schemas[get.table], get) for get in op.gets]


def batch_get_response(op: BatchGetItem, bodies: Sequence[Mapping[str, object] | None]) -> Body:
    """The answer, from the body that each read came to; None is a read without an answer.

    Items are taken in the order of the request until they would pass 16 MB: the rest is unprocessed, and is not
    charged.

    >>> op = parse_batch_get({"RequestItems": {"T": {"Keys": [{"pk": {"S": "a"}}, {"pk": {"S": "b"}}]}}})
    >>> batch_get_response(op, [{"Item": {"pk": {"S": "a"}}}, None])
    {'Responses': {'T': [{'pk': {'S': 'a'}}]}, 'UnprocessedKeys': {'T': {'Keys': [{'pk': {'S': 'b'}}]}}}
    """
    responses: dict[str, list[object]] = {get.table: [] for get in op.gets}
    unprocessed: dict[str, Body] = {}
    charged: list[Mapping[str, object]] = []
    size_bytes = 0
    for get, body in zip(op.gets, bodies, strict=True):
        item = None if body is None else cast("Item | None", body.get("Item"))
        more_bytes = item_size(item) if item else 0
        if body is None or size_bytes + more_bytes > RESPONSE_BYTES_MAX:
            entry = unprocessed.setdefault(get.table, _asked(get))
            cast("list[object]", entry["Keys"]).append(get.key)
            continue
        size_bytes += more_bytes
        charged.append(body)
        if item is not None:
            responses[get.table].append(item)
    answer: Body = {"Responses": responses, "UnprocessedKeys": unprocessed}
    return with_capacity(answer, op.capacity, charged)


def _asked(get: GetItem) -> Body:
    """The entry of RequestItems that this read came from, without keys."""
    entry: Body = {"Keys": []}
    if get.consistent:
        entry["ConsistentRead"] = True
    if get.projection is not None:
        entry["ProjectionExpression"] = get.projection
    if get.names:
        entry[NAMES] = get.names
    if get.legacy is not None:
        entry["AttributesToGet"] = list(get.legacy.attributes)
    return entry


# --- BatchWriteItem -------------------------------------------------------------------------------------------------


def parse_batch_write(body: dict[str, object]) -> BatchWriteItem:
    """A BatchWriteItem from its JSON body, or DynamoDB's error for it.

    >>> writes = [{"PutRequest": {"Item": {"pk": {"S": "a"}}}}, {"DeleteRequest": {"Key": {"pk": {"S": "b"}}}}]
    >>> [type(write).__name__ for write in parse_batch_write({"RequestItems": {"T": writes}}).writes]
    ['PutItem', 'DeleteItem']
    """
    given = _entries(body, "BatchWriteItem")
    entries = cast("dict[str, list[dict[str, dict[str, object]]]]", given)
    if any(not 1 <= len(writes) <= WRITES_MAX for writes in entries.values()):
        rule = (
            f"Map value must satisfy constraint: [Member must have length less than or equal to {WRITES_MAX}, "
            "Member must have length greater than or equal to 1]"
        )
        refuse([_map_failure(entries, rule)])
    mode = _mode(body)
    metrics = cast("str | None", body.get("ReturnItemCollectionMetrics")) or "NONE"
    parsed: list[PutItem | DeleteItem] = []
    for name, writes in entries.items():
        table = table_name({"TableName": name})
        parsed += [_write_of(table, write, mode, metrics) for write in writes]
        if len(parsed) > WRITES_MAX:
            raise validation("Too many items requested for the BatchWriteItem call")
    for operation in parsed:
        if isinstance(operation, PutItem) and item_size(operation.item) > ITEM_BYTES_MAX:
            raise invalid("item-long")
    return BatchWriteItem(tuple(parsed), mode, metrics)


def _write_of(
    table: str, write: Mapping[str, Mapping[str, object] | None], mode: str, metrics: str
) -> PutItem | DeleteItem:
    put, delete = write.get("PutRequest"), write.get("DeleteRequest")
    if put is not None and delete is not None:
        raise invalid("value-many")
    if put is not None:
        return PutItem(table, validate_item(put["Item"]), capacity=mode, metrics=metrics)
    if delete is not None:
        return DeleteItem(table, validate_item(delete["Key"]), capacity=mode, metrics=metrics)
    raise invalid("value-empty")


def bind_writes(schemas: Mapping[str, TableSchema], op: BatchWriteItem) -> list[bytes]:
    """The key bytes of every write, in order; refused when one does not fit its table, or two name one item.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
    >>> put, delete = PutItem("T", {"pk": {"S": "a"}, "v": {"N": "1"}}), DeleteItem("T", {"pk": {"S": "a"}})
    >>> bind_writes({"T": schema}, BatchWriteItem((put, delete)))
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: Provided list of item keys contains duplicates
    """
    for write in op.writes:
        if isinstance(write, PutItem):
            _check_key_of_put(schemas[write.table], write.item)
    keys = [bind_write(schemas[write.table], write) for write in op.writes]
    if len({(write.table, key) for write, key in zip(op.writes, keys, strict=True)}) < len(keys):
        raise validation(_DUPLICATES)
    return keys


def _check_key_of_put(schema: TableSchema, item: Item) -> None:
    # PutItem names the attribute that is missing or has another type; a batch does not (measured on the service by
    # dynalite's authors, and what boto3's batch_writer is known for).
    if not has_key_shape(schema.key, {name: item[name] for name in schema.key.names if name in item}):
        raise invalid("key-schema")


def batch_write_response(op: BatchWriteItem, bodies: Sequence[Mapping[str, object] | None]) -> Body:
    """The answer, from the body that each write came to; None is a write that certainly did not happen.

    >>> op = BatchWriteItem((DeleteItem("T", {"pk": {"S": "a"}}), DeleteItem("T", {"pk": {"S": "b"}})))
    >>> batch_write_response(op, [{}, None])
    {'UnprocessedItems': {'T': [{'DeleteRequest': {'Key': {'pk': {'S': 'b'}}}}]}}
    """
    unprocessed: dict[str, list[object]] = {}
    for write, body in zip(op.writes, bodies, strict=True):
        if body is None:
            asked = {"PutRequest": {"Item": write.item}} if isinstance(write, PutItem) else None
            unprocessed.setdefault(write.table, []).append(asked or {"DeleteRequest": {"Key": _key(write)}})
    answer: Body = {"UnprocessedItems": unprocessed}
    collections = collections_told([write.table for write in op.writes], bodies)
    if collections:
        answer["ItemCollectionMetrics"] = collections
    return with_capacity(answer, op.capacity, [body for body in bodies if body is not None])


def collections_told(tables: Sequence[str], bodies: Sequence[Mapping[str, object] | None]) -> dict[str, list[object]]:
    """What writes to these tables told of item collections, by table: each collection once, with the largest figures,
    as the writes of one request have no order.

    >>> told = {"ItemCollectionMetrics": {"ItemCollectionKey": {"pk": {"S": "a"}}, "SizeEstimateRangeGB": [0.0, 1.0]}}
    >>> len(collections_told(["T", "T"], [told, told])["T"])
    1
    """
    found: dict[str, dict[str, Body]] = {}
    for table, body in zip(tables, bodies, strict=True):
        metrics = None if body is None else cast("Body | None", body.get("ItemCollectionMetrics"))
        if metrics is not None:
            by_key = found.setdefault(table, {})
            known = by_key.setdefault(str(metrics["ItemCollectionKey"]), metrics)
            if _range(metrics) > _range(known):
                by_key[str(metrics["ItemCollectionKey"])] = metrics
    return {table: list(by_key.values()) for table, by_key in found.items()}


def _range(metrics: Body) -> list[float]:
    return cast("list[float]", metrics["SizeEstimateRangeGB"])


def _key(write: PutItem | DeleteItem) -> Item:
    assert isinstance(write, DeleteItem), "a put was told before"
    return write.key


# --- capacity -------------------------------------------------------------------------------------------------------


def with_capacity(answer: Body, mode: str, bodies: Sequence[Mapping[str, object]]) -> Body:
    """The answer with one ConsumedCapacity for each table that was touched: the sum over its requests (api.md §5)."""
    if mode == "NONE":
        return answer
    sums: dict[str, Body] = {}
    for body in bodies:
        one = cast(Body, body["ConsumedCapacity"])
        table = cast(str, one["TableName"])
        sums[table] = added_up(sums[table], one) if table in sums else one
    answer["ConsumedCapacity"] = list(sums.values())
    return answer


def added_up(left: Mapping[str, object], right: Mapping[str, object]) -> Body:
    """Two capacity bodies of one shape added up: numbers as numbers, arms by name.

    >>> added_up({"TableName": "T", "CapacityUnits": 1.0}, {"TableName": "T", "CapacityUnits": 0.5})
    {'TableName': 'T', 'CapacityUnits': 1.5}
    """
    total: Body = dict(left)
    for name, value in right.items():
        known = total.get(name)
        if isinstance(value, dict):
            total[name] = added_up(cast(Body, known or {}), value)
        elif isinstance(value, float):
            total[name] = value + cast(float, known or 0.0)
        else:
            total[name] = value
    return total
