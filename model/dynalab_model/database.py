"""The reference state machine: what a table service answers, one operation at a time, in the plainest code that can
be right. What it holds is `state`; its transactions are `database_transactions`.

Rules: a state is never changed, `apply` gives the next one; the only clock is the `now_ns` that comes with each
operation, and it does not go back. Every read here is of the latest state. Where the real service is asynchronous
(global indexes, the birth and death of tables) the model is at once, unless `create_ns` and `delete_ns` say how long
tables take; `consistency` says which other answers are allowed.

The rules of one item, of pages and of texts are not repeated here: they are `items`, `pages` and `errors`, which the
replicated service calls too. They are judged by literal examples; this machine is judged by an independent oracle
(tests/properties).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import TypeAlias

from dynalab_model import batches, database_streams, insights, partiql, tables
from dynalab_model.collections import check_collection, growth_bytes
from dynalab_model.database_transactions import execute_transaction, transact_get, transact_write
from dynalab_model.errors import DynamoError, internal_server_error, resource_not_found, table_exists, table_in_use
from dynalab_model.expiry import is_expired
from dynalab_model.items import apply_write, bind_get, bind_write, index_entry
from dynalab_model.keys import index_key, item_key
from dynalab_model.operations import (
    BatchExecuteStatement,
    BatchGetItem,
    BatchWriteItem,
    ChangeDestination,
    CreateTable,
    DeleteItem,
    DeleteTable,
    DescribeStream,
    DescribeTable,
    ExecuteStatement,
    ExecuteTransaction,
    GetItem,
    GetRecords,
    GetShardIterator,
    ListContributorInsights,
    ListStreams,
    ListTables,
    Operation,
    PutItem,
    Query,
    ReadSettings,
    Scan,
    SettingsChange,
    TagResource,
    TransactGetItems,
    TransactWriteItems,
    UntagResource,
    UpdateContributorInsights,
    UpdateItem,
    UpdateTable,
    UpdateTimeToLive,
    WriteOperation,
)
from dynalab_model.pages import PageBuilder, get_response, plan_read, write_response
from dynalab_model.schema import TableSchema
from dynalab_model.settings import change_settings, read_settings
from dynalab_model.state import (
    Response,
    State,
    Table,
    forget_gone,
    held_in_collection,
    serving,
    settled,
    with_item,
    with_table,
)
from dynalab_model.stream_settings import begun
from dynalab_model.streams import SERVICE
from dynalab_model.values import Item, item_size

__all__ = ["Response", "State", "Table", "apply", "put_items", "rows_of", "sweep"]


def apply(state: State, operation: Operation, now_ns: int) -> tuple[State, Response | DynamoError]:
    """The next state and the answer. An error changes nothing, but that a cancelled transaction's token is remembered;
    tables and tokens whose time to go has come are forgotten.

    >>> from dynalab_model.requests import parse
    >>> create = {"TableName": "Counters", "BillingMode": "PAY_PER_REQUEST",
    ...           "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    ...           "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}
    >>> state, _ = apply(State(), parse("CreateTable", create), 0)
    >>> add = {"TableName": "Counters", "Key": {"id": {"S": "a"}}, "UpdateExpression": "ADD n :one",
    ...        "ExpressionAttributeValues": {":one": {"N": "1"}}, "ReturnValues": "UPDATED_NEW"}
    >>> for _ in range(3):
    ...     state, response = apply(state, parse("UpdateItem", add), 1)
    >>> response
    {'Attributes': {'n': {'N': '3'}}}
    """
    state = settled(forget_gone(state, now_ns), now_ns)
    before = database_streams.follow(state, state, now_ns)
    try:
        after, answer = HANDLERS[type(operation)](before, operation, now_ns)
    except DynamoError as error:
        return before, error
    return database_streams.follow(before, after, now_ns), answer


def sweep(state: State, now_ns: int) -> State:
    """The state after a sweep that missed nothing: every expired item is gone. The service promises no more than that
    a sweep comes some day, and may remove any part of them (S79, S182).

    >>> from dynalab_model.requests import parse
    >>> create = {"TableName": "Sessions", "BillingMode": "PAY_PER_REQUEST",
    ...           "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    ...           "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}
    >>> state, _ = apply(State(), parse("CreateTable", create), 0)
    >>> by_expires = {"TableName": "Sessions", "TimeToLiveSpecification": {"AttributeName": "at", "Enabled": True}}
    >>> state, _ = apply(state, parse("UpdateTimeToLive", by_expires), 0)
    >>> put = {"TableName": "Sessions", "Item": {"id": {"S": "a"}, "at": {"N": "5"}}}
    >>> state, _ = apply(state, parse("PutItem", put), 0)
    >>> [len(sweep(state, second * 1_000_000_000).tables["Sessions"].items) for second in (5, 6)]
    [1, 0]
    """
    state = before = settled(forget_gone(state, now_ns), now_ns)
    for table in state.tables.values():
        attribute = table.settings.get("TimeToLive")
        if isinstance(attribute, str):
            kept = {key: item for key, item in table.items.items() if not is_expired(item, attribute, now_ns)}
            state = with_table(state, replace(table, items=MappingProxyType(kept)))
    return database_streams.follow(before, state, now_ns, SERVICE)


# --- tables ---------------------------------------------------------------------------------------------------------


def _create_table(state: State, op: CreateTable, now_ns: int) -> tuple[State, Response]:
    name = op.schema.name
    present = state.tables.get(name)
    if present is not None:
        if present.status(now_ns) == tables.DELETING:
            raise table_in_use(name, "deleted")
        raise table_exists(name)
    table = Table(op.schema, begun(op.settings, now_ns // 1_000_000), now_ns, now_ns + state.create_ns)
    return with_table(state, table), {"TableDescription": _describe(table, tables.CREATING)}


def _describe_table(state: State, op: DescribeTable, now_ns: int) -> tuple[State, Response]:
    table = state.tables.get(op.table)
    if table is None:
        raise resource_not_found(op.table)
    return state, {"Table": _describe(table, table.status(now_ns))}


def _delete_table(state: State, op: DeleteTable, now_ns: int) -> tuple[State, Response]:
    table = state.tables.get(op.table)
    status = "" if table is None else table.status(now_ns)
    protected = table is not None and bool(table.settings.get("DeletionProtectionEnabled"))
    begins = tables.check_deletable(op.table, status, protected)
    assert table is not None, "an absent table is not deletable"
    if begins:
        table = replace(table, gone_ns=now_ns + state.delete_ns)
    return with_table(state, table), {"TableDescription": _describe(table, tables.DELETING)}


def _list_tables(state: State, op: ListTables, now_ns: int) -> tuple[State, Response]:
    return state, tables.list_tables(list(state.tables), op.start, op.limit)


def _change_settings(state: State, op: SettingsChange, now_ns: int) -> tuple[State, Response]:
    table = state.tables.get(op.table)
    if table is None:
        change_settings(op, None, "", {}, 0)  # says that there is none, in the operation's own words
    assert table is not None
    status = table.status(now_ns)
    changed = change_settings(op, table.schema, status, table.settings, now_ns // 1_000_000)
    table = replace(table, schema=changed.schema, settings=changed.settings)
    if isinstance(op, UpdateTable):
        table = replace(table, updated_ns=now_ns + state.update_ns)
        return with_table(state, table), {"TableDescription": _describe(table, tables.UPDATING)}
    if isinstance(op, ChangeDestination | UpdateContributorInsights):
        table = replace(table, followed_ns=now_ns + state.update_ns)
    return with_table(state, table), changed.body


def _read_settings(state: State, op: ReadSettings, now_ns: int) -> tuple[State, Response]:
    table = state.tables.get(op.table)
    if table is None:
        return state, read_settings(op, "", None)
    return state, read_settings(op, table.status(now_ns), table.settings, table.schema)


def _list_insights(state: State, op: ListContributorInsights, now_ns: int) -> tuple[State, Response]:
    return state, insights.listed([(name, table.settings) for name, table in state.tables.items()], op)


def _describe(table: Table, status: str) -> Response:
    sizes = [item_size(item) for item in table.items.values()]
    counts: dict[str, tuple[int, int]] = {}
    for index in table.schema.all_indexes:
        entries = [index_entry(table.schema, index, item) for item in table.items.values()]
        held = [item_size(entry) for entry in entries if entry is not None]
        counts[index.name] = (len(held), sum(held))
    created_seconds = table.created_ns / 1_000_000_000
    return tables.describe(
        table.schema, table.settings, status, created_seconds, len(sizes), sum(sizes), index_counts=counts
    )


# --- items ----------------------------------------------------------------------------------------------------------


def _write(state: State, op: WriteOperation, now_ns: int) -> tuple[State, Response]:
    table = serving(state, op.table, now_ns)
    key = bind_write(table.schema, op)
    before = table.items.get(key)
    effect = apply_write(table.schema, op, before)
    collection_bytes = held_in_collection(table, op) if table.schema.local_indexes else 0
    if table.schema.local_indexes:
        more_bytes = growth_bytes(table.schema, before, effect.item)
        check_collection(collection_bytes, more_bytes, state.collection_bytes_max)
    state = with_table(state, with_item(table, key, effect.item))
    return state, write_response(table.schema, op, before, effect, collection_bytes)


def _get(state: State, op: GetItem, now_ns: int) -> tuple[State, Response]:
    table = serving(state, op.table, now_ns)
    return state, get_response(op, table.items.get(bind_get(table.schema, op)))


def _batch_get(state: State, op: BatchGetItem, now_ns: int) -> tuple[State, Response]:
    schemas = {name: serving(state, name, now_ns).schema for name in dict.fromkeys(get.table for get in op.gets)}
    batches.bind_gets(schemas, op)
    return state, batches.batch_get_response(op, [_get(state, get, now_ns)[1] for get in op.gets])


def _batch_write(state: State, op: BatchWriteItem, now_ns: int) -> tuple[State, Response | DynamoError]:
    schemas = {name: serving(state, name, now_ns).schema for name in dict.fromkeys(w.table for w in op.writes)}
    batches.bind_writes(schemas, op)
    bodies: list[Response] = []
    refused: list[DynamoError] = []
    for write in op.writes:
        try:
            state, body = _write(state, write, now_ns)
            bodies.append(body)
        except DynamoError as error:  # its item collection is full
            refused.append(error)
    if refused:
        # Each write is on its own, and no error says "some of them": only where none was done it is the first one's.
        return state, internal_server_error() if bodies else refused[0]
    return state, batches.batch_write_response(op, bodies)


def _read_page(state: State, op: Query | Scan, now_ns: int) -> tuple[State, Response]:
    table = serving(state, op.table, now_ns)
    plan = plan_read(table.schema, op)
    rows = rows_of(table, plan.index, plan.fetches)
    page = PageBuilder(table.schema, op)
    for key in sorted(rows, reverse=not plan.forward):
        if plan.covers(key) and not page.add(rows[key]):
            break
    return state, page.result()


def _execute(state: State, op: ExecuteStatement, now_ns: int) -> tuple[State, Response]:
    state, run = _carry_out(state, partiql.begin(serving(state, op.table, now_ns).schema, op), now_ns)
    return state, run.response()


def _carry_out(state: State, run: partiql.Run, now_ns: int) -> tuple[State, partiql.Run]:
    """Do what a statement stands for, one request after the other."""
    while (request := run.request) is not None:
        try:
            state, body = HANDLERS[type(request)](state, request, now_ns)
        except DynamoError as error:
            raise run.error(error.code) or error from None
        assert not isinstance(body, DynamoError), "a statement stands for no batch"
        run.take(body)
    return state, run


def _batch_execute(state: State, op: BatchExecuteStatement, now_ns: int) -> tuple[State, Response]:
    found: dict[str, TableSchema | DynamoError] = {}
    for member in op.statements:
        if isinstance(member, ExecuteStatement):
            try:
                found[member.table] = serving(state, member.table, now_ns).schema
            except DynamoError as error:
                found[member.table] = error
    runs = partiql.begin_batch(found, op)
    members: list[Response] = []
    for run in runs:
        if isinstance(run, DynamoError):
            members.append(partiql.member_error(None, run.code, run.message))
            continue
        try:
            state, _ = _carry_out(state, run, now_ns)
            members.append(partiql.member_response(run))
        except DynamoError as error:
            members.append(partiql.member_error(run.op.table, error.code, error.message))
    return state, partiql.batch_response(op, members, runs)


def rows_of(table: Table, index_name: str | None, fetch: bool = False) -> dict[bytes, Item]:
    """The stored rows of a table, or the entries that one of its indexes must converge to, by key bytes; with `fetch`
    the whole items behind these.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> rows_of(Table(TableSchema("T", KeySchema(KeyAttribute("pk", "S"))), {}, 0, 0), None)
    {}
    """
    if index_name is None:
        return dict(table.items)
    index = table.schema.index(index_name)
    assert index is not None, "plan_read refused an unknown index"
    rows: dict[bytes, Item] = {}
    for item in table.items.values():
        entry = index_entry(table.schema, index, item)
        key = None if entry is None else index_key(index.key, table.schema.key, entry)
        if entry is not None and key is not None:
            rows[key] = item if fetch else entry
    return rows


def put_items(table: Table, *items: Item) -> Table:
    """A table with more items in it, for examples and tests.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> empty = Table(TableSchema("T", KeySchema(KeyAttribute("pk", "S"))), {}, 0, 0)
    >>> len(put_items(empty, {"pk": {"S": "a"}}, {"pk": {"S": "b"}}).items)
    2
    """
    added = {item_key(table.schema.key, item): item for item in items}
    return replace(table, items=MappingProxyType({**table.items, **added}))


Handler: TypeAlias = Callable[..., "tuple[State, Response | DynamoError]"]

HANDLERS: dict[type[Operation], Handler] = {
    CreateTable: _create_table,
    DescribeTable: _describe_table,
    DeleteTable: _delete_table,
    ListTables: _list_tables,
    ListStreams: database_streams.list_streams,
    DescribeStream: database_streams.describe_stream,
    GetShardIterator: database_streams.get_shard_iterator,
    GetRecords: database_streams.get_records,
    UpdateTable: _change_settings,
    UpdateTimeToLive: _change_settings,
    TagResource: _change_settings,
    UntagResource: _change_settings,
    ChangeDestination: _change_settings,
    UpdateContributorInsights: _change_settings,
    ListContributorInsights: _list_insights,
    ReadSettings: _read_settings,
    PutItem: _write,
    UpdateItem: _write,
    DeleteItem: _write,
    GetItem: _get,
    BatchGetItem: _batch_get,
    BatchWriteItem: _batch_write,
    ExecuteStatement: _execute,
    BatchExecuteStatement: _batch_execute,
    TransactGetItems: transact_get,
    TransactWriteItems: transact_write,
    ExecuteTransaction: execute_transaction,
    Query: _read_page,
    Scan: _read_page,
}
