"""From a JSON request to an operation, with DynamoDB's checks in DynamoDB's order and words (api.md §1, §6.1, §8;
expressions.md §7).

Rules: nothing here knows which tables exist. The order of checks is: whatever one member alone can break (`shapes`:
types, the table's name, enums, other constraints) → mixed styles → placeholders given without an expression → attribute
values → ReturnValues and Select → the expressions → unused placeholders → size. What stands here is what members must
be together; what each must be alone comes from the service's own model.

Here are the ten operations of items, pages and tables; `batches`, `transact_requests`, `partiql`, `create_table`,
`settings_requests`, `stream_requests`, `vector_search` and `refusals` parse theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import cast

from dynalab_model.batches import parse_batch_get, parse_batch_write
from dynalab_model.create_table import parse_create_table
from dynalab_model.errors import TEXTS, DynamoError, invalid, unknown_operation, validation
from dynalab_model.expressions import check_expressions
from dynalab_model.fields import named_table, table_name
from dynalab_model.insights import parse_list, parse_update
from dynalab_model.kinesis import OPERATIONS as KINESIS_OPERATIONS
from dynalab_model.kinesis import parse_change
from dynalab_model.legacy_parameters import parse_legacy
from dynalab_model.operations import (
    DeleteItem,
    DeleteTable,
    DescribeTable,
    GetItem,
    Legacy,
    ListTables,
    Operation,
    PutItem,
    Query,
    Scan,
    UpdateItem,
)
from dynalab_model.partiql import (
    parse_batch_execute_statement,
    parse_execute_statement,
    parse_execute_transaction,
)
from dynalab_model.placeholders import LEGACY, placeholders
from dynalab_model.refusals import REFUSED_PARSERS
from dynalab_model.settings_requests import (
    READ_PARSERS,
    parse_tag_resource,
    parse_untag_resource,
    parse_update_table,
    parse_update_time_to_live,
)
from dynalab_model.shapes import REQUESTS
from dynalab_model.stream_requests import (
    parse_describe_stream,
    parse_get_records,
    parse_get_shard_iterator,
    parse_list_streams,
)
from dynalab_model.transact_requests import parse_transact_get, parse_transact_write
from dynalab_model.values import ITEM_BYTES_MAX, Item, validate_item, weighed_item
from dynalab_model.vector_search import SEARCH_VECTORS, parse_search_vectors

LIST_TABLES_MAX = 100
_REQUIRED = 2  # members of a GetItem or PutItem; one that has no others has nothing else that could be wrong

_PUT_EXPRESSIONS = ("ConditionExpression",)
_UPDATE_EXPRESSIONS = ("UpdateExpression", "ConditionExpression")
_GET_EXPRESSIONS = ("ProjectionExpression",)
_QUERY_EXPRESSIONS = ("ProjectionExpression", "FilterExpression", "KeyConditionExpression")
_SCAN_EXPRESSIONS = ("ProjectionExpression", "FilterExpression")

_PUT_LEGACY = ("Expected",)
_UPDATE_LEGACY = ("AttributeUpdates", "Expected")
_GET_LEGACY = ("AttributesToGet",)
_QUERY_LEGACY = ("KeyConditions", "QueryFilter", "AttributesToGet")
_SCAN_LEGACY = ("ScanFilter", "AttributesToGet")


def parse(operation_name: str, body: dict[str, object]) -> Operation:
    """The operation that a request asks for; raises DynamoError. Numbers in it are in normal form.

    >>> parse("GetItem", {"TableName": "T", "Key": {"pk": {"N": "1.0"}}, "ConsistentRead": True})
    GetItem(table='T', key={'pk': {'N': '1'}}, consistent=True, projection=None, names={}, capacity='NONE', legacy=None)
    >>> parse("PutItem", {"TableName": "T", "Item": {}, "ReturnValues": "ALL_NEW"})
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: ReturnValues can only be ALL_OLD or NONE
    """
    parser = OPERATIONS.get(operation_name)
    if parser is None:
        raise unknown_operation()
    if type(body) is not dict:
        raise DynamoError("SerializationException", TEXTS["structure"])
    try:
        return parser(body)
    except DynamoError as error:
        if error.code == "ValidationException":
            # A wrong JSON type inside an attribute value is told before all else: looked for only once something is
            # wrong.
            REQUESTS[operation_name].check_types(body)
        raise


# --- one item -------------------------------------------------------------------------------------------------------


def _get_item(body: dict[str, object]) -> GetItem:
    table = REQUESTS["GetItem"].check_named(body, table_name)
    if len(body) == _REQUIRED:
        return GetItem(table, validate_item(body["Key"]))
    names, _ = placeholders(body, _GET_EXPRESSIONS)
    op = GetItem(table, validate_item(body["Key"]), bool(body.get("ConsistentRead")))
    op.legacy = _legacy(body, _GET_LEGACY)
    projection = body.get("ProjectionExpression")
    if projection is not None:
        op.projection = cast(str, projection)
        op.names = names
        check_expressions(names=names, projection=op.projection)
    op.capacity = _text(body, "ReturnConsumedCapacity", "NONE")
    return op


def _put_item(body: dict[str, object]) -> PutItem:
    table = REQUESTS["PutItem"].check_named(body, table_name)
    if len(body) == _REQUIRED:
        item, size_bytes = weighed_item(body["Item"])
        op = PutItem(table, item)
    else:
        names, values = placeholders(body, _PUT_EXPRESSIONS)
        item, size_bytes = weighed_item(body["Item"])
        op = PutItem(table, item, names=names, values=values, legacy=_legacy(body, _PUT_LEGACY))
        _write_members(op, body)
        if op.condition is not None:
            check_expressions(names=names, values=values, condition=op.condition)
    if size_bytes > ITEM_BYTES_MAX:
        raise invalid("item-long")
    return op


def _delete_item(body: dict[str, object]) -> DeleteItem:
    table = REQUESTS["DeleteItem"].check_named(body, table_name)
    names, values = placeholders(body, _PUT_EXPRESSIONS)
    op = DeleteItem(table, validate_item(body["Key"]), names=names, values=values, legacy=_legacy(body, _PUT_LEGACY))
    _write_members(op, body)
    if op.condition is not None:
        check_expressions(names=names, values=values, condition=op.condition)
    return op


def _update_item(body: dict[str, object]) -> UpdateItem:
    table = REQUESTS["UpdateItem"].check_named(body, table_name)
    names, values = placeholders(body, _UPDATE_EXPRESSIONS)
    op = UpdateItem(table, validate_item(body["Key"]), names=names, values=values, legacy=_legacy(body, _UPDATE_LEGACY))
    op.update = cast("str | None", body.get("UpdateExpression"))
    _write_members(op, body)
    if op.update is not None or op.condition is not None:
        check_expressions(names=names, values=values, update=op.update, condition=op.condition)
    return op


def _write_members(op: PutItem | UpdateItem | DeleteItem, body: Mapping[str, object]) -> None:
    op.return_values = _text(body, "ReturnValues", "NONE")
    if type(op) is not UpdateItem and op.return_values not in ("NONE", "ALL_OLD"):
        raise validation("ReturnValues can only be ALL_OLD or NONE")
    op.condition = cast("str | None", body.get("ConditionExpression"))
    op.return_on_failure = _text(body, "ReturnValuesOnConditionCheckFailure", "NONE")
    op.metrics = _text(body, "ReturnItemCollectionMetrics", "NONE")
    op.capacity = _text(body, "ReturnConsumedCapacity", "NONE")


# --- pages ----------------------------------------------------------------------------------------------------------


def _query(body: dict[str, object]) -> Query:
    table = REQUESTS["Query"].check_named(body, table_name)
    limit = cast("int | None", body.get("Limit"))
    names, values = placeholders(body, _QUERY_EXPRESSIONS)
    start_key = _start_key(body)
    legacy = _legacy(body, _QUERY_LEGACY)
    select = _select(body)
    key_condition = cast("str | None", body.get("KeyConditionExpression"))
    if key_condition is None and body.get("KeyConditions") is None:
        raise validation(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
        )
    op = Query(table, key_condition or "", names=names, values=values, limit=limit, start_key=start_key, select=select)
    op.forward = body.get("ScanIndexForward") is not False
    op.legacy = legacy
    _page_members(op, body)
    if legacy is None:
        check_expressions(
            names=names, values=values, key_condition=key_condition, filter=op.filter, projection=op.projection
        )
    return op


def _scan(body: dict[str, object]) -> Scan:
    table = REQUESTS["Scan"].check_named(body, table_name)
    limit, segment, segments = (cast("int | None", body.get(name)) for name in ("Limit", "Segment", "TotalSegments"))
    names, values = placeholders(body, _SCAN_EXPRESSIONS)
    _check_segments(segment, segments)
    op = Scan(table, names=names, values=values, limit=limit, segment=segment, total_segments=segments)
    op.start_key = _start_key(body)
    op.legacy = _legacy(body, _SCAN_LEGACY)
    op.select = _select(body)
    _page_members(op, body)
    if op.filter is not None or op.projection is not None:
        check_expressions(names=names, values=values, filter=op.filter, projection=op.projection)
    return op


def _page_members(op: Query | Scan, body: Mapping[str, object]) -> None:
    op.index = cast("str | None", body.get("IndexName"))
    op.consistent = bool(body.get("ConsistentRead"))
    op.filter = cast("str | None", body.get("FilterExpression"))
    op.projection = cast("str | None", body.get("ProjectionExpression"))
    op.capacity = _text(body, "ReturnConsumedCapacity", "NONE")


def _check_segments(segment: int | None, segments: int | None) -> None:
    if segment is None and segments is None:
        return
    missing = "The {0} parameter is required but was not present in the request when {1} is present"
    if segments is None:
        raise validation(missing.format("TotalSegments", "Segment parameter"))
    if segment is None:
        raise validation(missing.format("Segment", "parameter TotalSegments"))
    if segment >= segments:
        raise validation(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {segment} is not less than TotalSegments: {segments}"
        )


def _start_key(body: Mapping[str, object]) -> Item | None:
    given = body.get("ExclusiveStartKey")
    if given is None:
        return None
    try:
        return validate_item(given)
    except DynamoError as error:
        if error.code == "ValidationException":
            raise validation(f"The provided starting key is invalid: {error.message}") from None
        raise


def _select(body: Mapping[str, object]) -> str | None:
    """The Select mode; only its agreement with the other members is checked here, the index's projection needs the
    table.
    """
    select = cast("str | None", body.get("Select"))
    projected = None
    for member in ("ProjectionExpression", "AttributesToGet"):
        if body.get(member) is not None:
            projected = member
            break
    if select == "SPECIFIC_ATTRIBUTES" and projected is None:
        raise validation(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
        )
    if projected is not None and select not in (None, "SPECIFIC_ATTRIBUTES"):
        raise validation(f"Cannot specify the {projected} when choosing to get {select}")
    if select == "ALL_PROJECTED_ATTRIBUTES" and body.get("IndexName") is None:
        raise validation("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
    return select


# --- tables ---------------------------------------------------------------------------------------------------------


def _list_tables(body: dict[str, object]) -> ListTables:
    REQUESTS["ListTables"].check(body)
    start, limit = cast("str | None", body.get("ExclusiveStartTableName")), cast("int | None", body.get("Limit"))
    return ListTables(start, LIST_TABLES_MAX if limit is None else limit)


OPERATIONS: dict[str, Callable[[dict[str, object]], Operation]] = {
    "CreateTable": parse_create_table,
    "DescribeTable": lambda body: DescribeTable(REQUESTS["DescribeTable"].check_named(body, named_table)),
    "DeleteTable": lambda body: DeleteTable(REQUESTS["DeleteTable"].check_named(body, named_table)),
    "ListTables": _list_tables,
    "PutItem": _put_item,
    "GetItem": _get_item,
    "UpdateItem": _update_item,
    "DeleteItem": _delete_item,
    "Query": _query,
    "Scan": _scan,
    "BatchGetItem": parse_batch_get,
    "BatchWriteItem": parse_batch_write,
    "TransactGetItems": parse_transact_get,
    "TransactWriteItems": parse_transact_write,
    "ExecuteStatement": parse_execute_statement,
    "BatchExecuteStatement": parse_batch_execute_statement,
    "ExecuteTransaction": parse_execute_transaction,
    "UpdateTable": parse_update_table,
    "UpdateTimeToLive": parse_update_time_to_live,
    "TagResource": parse_tag_resource,
    "UntagResource": parse_untag_resource,
    "ListStreams": parse_list_streams,
    "DescribeStream": parse_describe_stream,
    "GetShardIterator": parse_get_shard_iterator,
    "GetRecords": parse_get_records,
    **{name: partial(parse_change, name) for name in KINESIS_OPERATIONS},
    "UpdateContributorInsights": parse_update,
    "ListContributorInsights": parse_list,
    **READ_PARSERS,
    **REFUSED_PARSERS,
    SEARCH_VECTORS: parse_search_vectors,
}


# --- parts ----------------------------------------------------------------------------------------------------------


def _legacy(body: dict[str, object], parameters: tuple[str, ...]) -> Legacy | None:
    return None if LEGACY.isdisjoint(body) else parse_legacy(body, parameters)


def _text(body: Mapping[str, object], member: str, default: str) -> str:
    value = body.get(member)
    return default if value is None else cast(str, value)
