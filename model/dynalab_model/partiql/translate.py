"""From a statement, its parameters and the table's keys to ordinary requests: the only thing that a statement means.

Rules: a pure function of its arguments. A SELECT that names the whole key is a GetItem, one that names partition keys
is a Query each, any other a Scan of the whole table (expressions.md §10, consistency.md row 17). A write is one request
with a condition: INSERT never replaces, UPDATE never creates, DELETE of what is not there succeeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from typing import TypeAlias

from dynalab_model.errors import NO_SUCH_INDEX, DynamoError, invalid, validation
from dynalab_model.expressions import check_expressions
from dynalab_model.operations import (
    ConditionCheck,
    DeleteItem,
    ExecuteStatement,
    GetItem,
    PutItem,
    Query,
    Scan,
    UpdateItem,
)
from dynalab_model.partiql.nodes import Delete, Exists, Insert, Node, Operation, Select, Statement, Update
from dynalab_model.partiql.parser import parse_statement
from dynalab_model.partiql.texts import refused
from dynalab_model.partiql.where import SortTerm, equal_value, partition_keys, sort_term, terms_of
from dynalab_model.partiql.writer import Writer, bound, bound_item, plain
from dynalab_model.schema import KeySchema, TableSchema
from dynalab_model.values import ITEM_BYTES_MAX, AttributeValue, Item, compare, item_size

Request: TypeAlias = GetItem | Query | Scan | PutItem | UpdateItem | DeleteItem

_HASH = ":hash"
_SORT, _TO = ":sort", ":to"

PartitionKey: TypeAlias = tuple[AttributeValue, ...]  # one value for each of its attributes


@dataclass(frozen=True, slots=True)
class Translation:
    """`requests` are to be carried out one after the other. `points` says that each is about one item, `key` which
    item, if there is one request.
    """

    requests: tuple[Request, ...]
    points: bool = True
    key: Item | None = None


def is_select(statement: str) -> bool:
    """Whether a statement that was parsed before only reads."""
    return isinstance(parse_statement(statement).statement, Select)


def check_statement(statement: Statement, parameters: Sequence[AttributeValue], in_transaction: bool = False) -> None:
    """Refuse what can be refused without the table: wrong types for operators, literals that no item can hold, EXISTS
    that is not `in_transaction`.
    """
    if isinstance(statement, Exists):
        if not in_transaction:
            raise refused("exists")
        statement = statement.select
    if isinstance(statement, Insert):
        if item_size(bound_item(statement.item, parameters)) > ITEM_BYTES_MAX:
            raise invalid("item-long")
        return
    writer = Writer(parameters)
    where = None if statement.where is None else writer.condition(statement.where)
    try:
        if isinstance(statement, Select):
            _check(writer, filter=where, projection=writer.projection(statement.paths))
        elif isinstance(statement, Update):
            _check(writer, condition=where, update=writer.update(statement.actions))
        else:
            _check(writer, condition=where)
    except DynamoError as error:
        raise plain(error) from None


def translate(schema: TableSchema, op: ExecuteStatement) -> Translation:
    """The requests that a statement stands for, on this table.

    >>> from dynalab_model.schema import KeyAttribute
    >>> schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
    >>> translate(schema, ExecuteStatement("T", "SELECT a FROM T WHERE pk = ?", ({"S": "x"},))).requests[0].key
    {'pk': {'S': 'x'}}
    """
    statement = parse_statement(op.statement).statement
    assert not isinstance(statement, Exists), "checked when the request was parsed"
    try:
        if isinstance(statement, Select):
            return _select(schema, op, statement)
        if isinstance(statement, Insert):
            return _insert(schema, op, statement)
        if isinstance(statement, Update):
            return _update(schema, op, statement)
        return _delete(schema, op, statement)
    except DynamoError as error:
        raise plain(error) from None


# --- reads ----------------------------------------------------------------------------------------------------------


def _select(schema: TableSchema, op: ExecuteStatement, select: Select) -> Translation:
    keys = _keys_read(schema, select)
    terms = terms_of(select.where)
    hashes, left = _partition_keys(keys, terms, op.parameters)
    forward = _check_order(select, keys, hashes)
    if not hashes:
        return Translation((_scan(op, select),), points=False)
    sorts, left = _sort_terms(keys, left, op.parameters)
    whole = select.index is None and (keys.range is None or (bool(sorts) and sorts[0].operator == "="))
    points = [_key(keys, value, sorts) for value in hashes] if whole else []
    key = points[0] if len(points) == 1 else None
    if points and not left:
        return Translation(tuple(_get(op, select, point) for point in points), key=key)
    return Translation(_queries(op, select, keys, hashes, sorts, left, forward), whole, key)


def _partition_keys(
    keys: KeySchema, terms: list[Operation], parameters: Sequence[AttributeValue]
) -> tuple[list[PartitionKey], list[Operation]]:
    """The partition keys that the terms name (none means all), and the terms that remain. A key of several attributes
    is named by an equality on each.
    """
    if not keys.more_hash:
        values, said = partition_keys(terms, keys.hash.name, parameters)
        return [(value,) for value in values], [term for term in terms if term is not said]
    left, values = terms, []
    for attribute in keys.hashes:
        found = next(((term, value) for term in left if (value := equal_value(term, attribute.name)) is not None), None)
        if found is None:
            return [], terms
        values.append(bound(found[1], parameters))
        left = [term for term in left if term is not found[0]]
    return [tuple(values)], left


def _sort_terms(
    keys: KeySchema, terms: list[Operation], parameters: Sequence[AttributeValue]
) -> tuple[list[SortTerm], list[Operation]]:
    """What a key condition can say of the sort key, attribute by attribute, and the terms that remain: equalities, and
    at most one other operator at the end.
    """
    sorts: list[SortTerm] = []
    for attribute in keys.ranges:
        sort, said = sort_term(terms, attribute.name, parameters)
        if sort is None:
            break
        sorts.append(sort)
        terms = [term for term in terms if term is not said]
        if sort.operator != "=":
            break
    return sorts, terms


def _keys_read(schema: TableSchema, select: Select) -> KeySchema:
    if select.index is None:
        return schema.key
    index = schema.index(select.index)
    if index is None:
        raise validation(f"{NO_SUCH_INDEX}{select.index}")
    return index.key


def _check_order(select: Select, keys: KeySchema, hashes: list[PartitionKey]) -> bool:
    """Refuse an ORDER BY that no index gives; put the partition keys in order. Whether sort keys go up."""
    if not select.order:
        return True
    if select.where is None:
        raise refused("order-where")
    if not hashes:
        raise refused("order-hash")
    directions: dict[str, bool] = {}
    for term in select.order:
        name = str(term.path.parts[0])
        if len(term.path.parts) > 1 or name not in keys.names:
            raise refused("order-key", name=term.path.parts[-1])
        directions.setdefault(name, term.forward)
    by_hash = directions.get(keys.hash.name)
    if len(hashes) > 1:
        if next(iter(directions)) != keys.hash.name:
            raise refused("order-many")
        if all(keys.hash.type in value for value, *_ in hashes):
            hashes.sort(key=cmp_to_key(_compared), reverse=by_hash is False)
    by_range = [directions.get(attribute.name) for attribute in keys.ranges]
    for number, attribute in enumerate(keys.ranges):
        # A sort key of several attributes is read up or down as a whole, and ordered by its first ones alone.
        if by_range[number] is not None and set(by_range[:number]) - {by_range[number]}:
            raise refused("order-key", name=attribute.name)
    return not by_range or by_range[0] is not False


def _compared(one: PartitionKey, other: PartitionKey) -> int:
    order = compare(one[0], other[0])
    assert order is not None, "all have the type of the key"
    return order


def _key(keys: KeySchema, partition_key: PartitionKey, sorts: list[SortTerm]) -> Item:
    key = {keys.hash.name: partition_key[0]}
    if keys.range is not None:
        assert sorts[0].operator == "=", "the whole key is named"
        key[keys.range.name] = sorts[0].values[0]
    return key


def _get(op: ExecuteStatement, select: Select, key: Item) -> GetItem:
    writer = Writer(op.parameters)
    projection = writer.projection(select.paths)
    return GetItem(op.table, key, op.consistent, projection, writer.names, op.capacity)


def _scan(op: ExecuteStatement, select: Select) -> Scan:
    writer = Writer(op.parameters)
    scan = Scan(op.table, select.index, op.consistent, capacity=op.capacity)
    scan.filter = None if select.where is None else writer.condition(select.where)
    scan.projection = writer.projection(select.paths)
    scan.names, scan.values = writer.names, writer.values
    return scan


def _queries(
    op: ExecuteStatement,
    select: Select,
    keys: KeySchema,
    hashes: list[PartitionKey],
    sorts: list[SortTerm],
    left: list[Operation],
    forward: bool,
) -> tuple[Query, ...]:
    writer = Writer(op.parameters)
    conditions = [f"{writer.name(key.name)} = {_placeholder(_HASH, number)}" for number, key in enumerate(keys.hashes)]
    conditions += [
        _sort_condition(writer.name(key.name), sort, number)
        for number, (key, sort) in enumerate(zip(keys.ranges, sorts, strict=False))
    ]
    filter_text = _all(writer, left)
    projection = writer.projection(select.paths)
    values = dict(writer.values)
    for number, sort in enumerate(sorts):
        bounds = zip((_SORT, _TO), sort.values, strict=False)
        values |= {_placeholder(name, number): value for name, value in bounds}
    return tuple(
        Query(
            op.table,
            " AND ".join(conditions),
            select.index,
            op.consistent,
            filter_text,
            projection,
            writer.names,
            {**{_placeholder(_HASH, number): value for number, value in enumerate(partition_key)}, **values},
            forward=forward,
            capacity=op.capacity,
            filters_keys=True,
        )
        for partition_key in hashes
    )


def _placeholder(name: str, number: int) -> str:
    """The name of a value for the attribute of that number within its part of the key."""
    return f"{name}{number or ''}"


def _sort_condition(name: str, sort: SortTerm, number: int) -> str:
    low, high = _placeholder(_SORT, number), _placeholder(_TO, number)
    if sort.operator == "BETWEEN":
        return f"{name} BETWEEN {low} AND {high}"
    if sort.operator == "begins_with":
        return f"begins_with({name}, {low})"
    return f"{name} {sort.operator} {low}"


# --- writes ---------------------------------------------------------------------------------------------------------


def _insert(schema: TableSchema, op: ExecuteStatement, insert: Insert) -> Translation:
    item = bound_item(insert.item, op.parameters)
    writer = Writer(op.parameters)
    put = PutItem(op.table, item, f"attribute_not_exists({writer.name(schema.key.hash.name)})", capacity=op.capacity)
    put.names = writer.names
    return Translation((put,), key={name: item[name] for name in schema.key.names if name in item})


def _update(schema: TableSchema, op: ExecuteStatement, update: Update) -> Translation:
    key, left = _whole_key(schema.key, op, update.where)
    writer = Writer(op.parameters)
    request = UpdateItem(op.table, key, return_values=update.returning, return_on_failure=op.return_on_failure)
    request.capacity = op.capacity
    request.update = writer.update(update.actions)
    request.condition = f"attribute_exists({writer.name(schema.key.hash.name)})"
    if left:
        request.condition += f" AND {_all(writer, left, inside=True)}"
    request.names, request.values = writer.names, writer.values
    _check(writer, update=request.update, condition=request.condition)
    return Translation((request,), key=key)


def _delete(schema: TableSchema, op: ExecuteStatement, delete: Delete) -> Translation:
    key, left = _whole_key(schema.key, op, delete.where)
    writer = Writer(op.parameters)
    request = DeleteItem(op.table, key, return_values=delete.returning, return_on_failure=op.return_on_failure)
    request.capacity = op.capacity
    if left:
        absent = f"attribute_not_exists({writer.name(schema.key.hash.name)})"
        request.condition = f"{absent} OR {_all(writer, left, inside=True)}"
        request.names, request.values = writer.names, writer.values
        _check(writer, condition=request.condition)
    return Translation((request,), key=key)


def condition_check(schema: TableSchema, op: ExecuteStatement, exists: Exists) -> ConditionCheck:
    """The condition check that an EXISTS stands for: an item of this key is there, and is what else is said of it.

    >>> from dynalab_model.schema import KeyAttribute
    >>> schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
    >>> op = ExecuteStatement("T", "EXISTS(SELECT * FROM T WHERE pk = 'a' AND n IS MISSING)")
    >>> condition_check(schema, op, parse_statement(op.statement).statement).condition
    'attribute_exists(#n0) AND attribute_not_exists(#n1)'
    """
    if exists.select.index is not None:
        raise refused("exists-index")
    try:
        key, left = _whole_key(schema.key, op, exists.select.where)
        if not left:
            raise refused("exists-condition")
        writer = Writer(op.parameters)
        condition = f"attribute_exists({writer.name(schema.key.hash.name)}) AND {_all(writer, left, inside=True)}"
        _check(writer, condition=condition)
    except DynamoError as error:
        raise plain(error) from None
    return ConditionCheck(op.table, key, condition, writer.names, writer.values, op.return_on_failure, op.capacity)


def _whole_key(keys: KeySchema, op: ExecuteStatement, where: Node | None) -> tuple[Item, list[Operation]]:
    """The key that a write names by equality, and the terms that remain."""
    left = terms_of(where)
    key: Item = {}
    for name in keys.names:
        found = next(((term, value) for term in left if (value := equal_value(term, name)) is not None), None)
        if found is None:
            raise refused("key-equality")
        key[name] = bound(found[1], op.parameters)
        left = [term for term in left if term is not found[0]]
    return key, left


# --- parts ----------------------------------------------------------------------------------------------------------


def _all(writer: Writer, terms: list[Operation], inside: bool = False) -> str | None:
    """One condition of several terms; `inside` another one it may need parentheses."""
    if not terms:
        return None
    whole: Node = terms[0] if len(terms) == 1 else Operation("AND", tuple(terms))
    return writer.part(whole) if inside else writer.condition(whole)


def _check(
    writer: Writer,
    filter: str | None = None,
    condition: str | None = None,
    update: str | None = None,
    projection: str | None = None,
) -> None:
    names, values = writer.names, writer.values
    check_expressions(
        names=names, values=values, filter=filter, condition=condition, update=update, projection=projection
    )
