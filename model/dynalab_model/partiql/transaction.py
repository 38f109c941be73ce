"""ExecuteTransaction: up to 100 statements on one item each that happen together (expressions.md §10).

Rules: a transaction of statements means the TransactWriteItems or the TransactGetItems that its statements stand for,
and nothing beyond. Whoever carries it out translates it (`begin_transaction`), carries that out, and puts what came of
it back into the words of statements (`transaction_response`, `transaction_error`). All statements read or all of them
write; EXISTS, a condition check, goes with the writes.

A SELECT reads its whole item: what else its WHERE says, and which attributes it wants, is applied to what was read.
A statement that does not fit its table is a reason in its place; what needs no table refuses the whole request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

from dynalab_model.errors import TEXTS, DynamoError
from dynalab_model.expressions import condition_holds
from dynalab_model.expressions.texts import FILTER
from dynalab_model.operations import (
    ConditionCheck,
    DeleteItem,
    ExecuteStatement,
    ExecuteTransaction,
    GetItem,
    PutItem,
    Query,
    TransactAction,
    TransactGetItems,
    TransactWriteItems,
    UpdateItem,
)
from dynalab_model.pages import projected
from dynalab_model.partiql.nodes import Delete, Exists, Insert, Select, Update
from dynalab_model.partiql.parser import parse_statement
from dynalab_model.partiql.texts import refused
from dynalab_model.partiql.translate import Request, condition_check, translate
from dynalab_model.schema import TableSchema
from dynalab_model.transactions import cancelled, reason_of
from dynalab_model.values import Item

Response: TypeAlias = "dict[str, object]"


def check_transaction(statements: Sequence[ExecuteStatement]) -> None:
    """Refuse reads and writes together, and writes that want their items back: what needs no table.

    >>> texts = ("SELECT * FROM T WHERE a = 1", "DELETE FROM T WHERE a = 1")
    >>> check_transaction([ExecuteStatement("T", text) for text in texts])
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: ExecuteTransaction API does not support both read and write \
operations in the same request.
    """
    parsed = [parse_statement(one.statement).statement for one in statements]
    if len({isinstance(statement, Select) for statement in parsed}) > 1:
        raise refused("transaction-mixed")
    if any(isinstance(statement, Update | Delete) and statement.returning != "NONE" for statement in parsed):
        raise refused("transaction-returning")


def begin_transaction(
    schemas: Mapping[str, TableSchema], op: ExecuteTransaction
) -> TransactWriteItems | TransactGetItems:
    """What a transaction of statements stands for. `schemas` has every table that a statement names. Raises
    TransactionCanceledException for statements that do not fit their table.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> schemas = {"T": TableSchema("T", KeySchema(KeyAttribute("pk", "S")))}
    >>> statements = ("INSERT INTO T VALUE {'pk': 'a'}", "EXISTS(SELECT * FROM T WHERE pk = 'b' AND n > 1)")
    >>> op = ExecuteTransaction(tuple(ExecuteStatement("T", statement) for statement in statements))
    >>> [action.condition for action in begin_transaction(schemas, op).actions]
    ['attribute_not_exists(#n0)', 'attribute_exists(#n0) AND #n1 > :v0']
    """
    parts: list[TransactAction | Request] = []
    reasons: list[Response] = []
    for one in op.statements:
        try:
            parts.append(_part(schemas[one.table], one))
            reasons.append(reason_of(None))
        except DynamoError as error:
            reasons.append(reason_of(error))
    if len(parts) < len(op.statements):
        raise cancelled(reasons)
    actions = [part for part in parts if isinstance(part, PutItem | UpdateItem | DeleteItem | ConditionCheck)]
    if actions:
        assert len(actions) == len(parts), "reads and writes were told apart when the request was parsed"
        return TransactWriteItems(tuple(actions), op.token, op.digest, op.capacity)
    gets = [GetItem(one.table, _key(schemas[one.table], one), True) for one in op.statements]
    return TransactGetItems(tuple(gets), op.capacity)


def _part(schema: TableSchema, op: ExecuteStatement) -> TransactAction | Request:
    statement = parse_statement(op.statement).statement
    if isinstance(statement, Exists):
        return condition_check(schema, op, statement)
    translation = translate(schema, op)
    if translation.key is None:
        raise refused("transaction-point")
    (request,) = translation.requests
    return request


def _key(schema: TableSchema, op: ExecuteStatement) -> Item:
    key = translate(schema, op).key
    assert key is not None, "a statement without a whole key was refused"
    return key


def transaction_response(schemas: Mapping[str, TableSchema], op: ExecuteTransaction, body: Response) -> Response:
    """The answer, from that of the transaction that it stands for: one member for each statement, empty for a write
    and for a SELECT that found nothing.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> schemas = {"T": TableSchema("T", KeySchema(KeyAttribute("pk", "S")))}
    >>> op = ExecuteTransaction((ExecuteStatement("T", "SELECT n FROM T WHERE pk = 'a' AND n > 1"),))
    >>> item = {"pk": {"S": "a"}, "n": {"N": "2"}, "m": {"N": "3"}}
    >>> transaction_response(schemas, op, {"Responses": [{"Item": item}]})
    {'Responses': [{'Item': {'n': {'N': '2'}}}]}
    """
    if "Responses" not in body:
        return {"Responses": [{} for _ in op.statements], **body}
    read = cast("list[dict[str, Item]]", body["Responses"])
    shown = [
        _shown(_part(schemas[one.table], one), found.get("Item"))
        for one, found in zip(op.statements, read, strict=True)
    ]
    return {**body, "Responses": [{"Item": item} if item else {} for item in shown]}


def _shown(request: TransactAction | Request, item: Item | None) -> Item | None:
    assert isinstance(request, GetItem | Query), "a SELECT that names a whole key"
    if item is None or not _wanted(request, item):
        return None
    return projected(request, item)


def _wanted(request: GetItem | Query, item: Item) -> bool:
    """Whether what the statement says besides the key is true of the item."""
    if not isinstance(request, Query) or request.filter is None:
        return True
    return condition_holds(request.filter, request.names, request.values, item, kind=FILTER)


def transaction_error(op: ExecuteTransaction, error: DynamoError) -> DynamoError:
    """An error of the transaction that it stands for, in the words of statements: an INSERT whose condition was false
    met an item with its key.

    >>> op = ExecuteTransaction((ExecuteStatement("T", "INSERT INTO T VALUE {'pk': 'a'}"),))
    >>> failed = cancelled([{"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}])
    >>> transaction_error(op, failed).extra["CancellationReasons"]
    [{'Code': 'DuplicateItem', 'Message': 'Duplicate primary key exists in table'}]
    """
    if error.code != "TransactionCanceledException":
        return error
    reasons = cast("list[Response]", error.extra["CancellationReasons"])
    return cancelled([_reason(one, reason) for one, reason in zip(op.statements, reasons, strict=True)])


def _reason(op: ExecuteStatement, reason: Response) -> Response:
    inserts = isinstance(parse_statement(op.statement).statement, Insert)
    if inserts and reason["Code"] == "ConditionalCheckFailed":
        return {"Code": "DuplicateItem", "Message": TEXTS["duplicate-item"]}
    return reason
