"""From JSON to ExecuteStatement, BatchExecuteStatement and ExecuteTransaction.

The order of checks: what `shapes` knows → the statement → the parameters' values → their number → what needs no table
(a wrong JSON type inside a parameter's value comes before all else). Nothing here knows which tables exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from dynalab_model.errors import DynamoError
from dynalab_model.fields import table_name
from dynalab_model.operations import BatchExecuteStatement, ExecuteStatement, ExecuteTransaction, RefusedStatement
from dynalab_model.partiql.batch import check_alike
from dynalab_model.partiql.parser import parse_statement
from dynalab_model.partiql.texts import refused
from dynalab_model.partiql.transaction import check_transaction
from dynalab_model.partiql.translate import check_statement
from dynalab_model.shapes import REQUESTS
from dynalab_model.transact_requests import action_capacity
from dynalab_model.transactions import request_digest
from dynalab_model.values import AttributeValue, validate_value


def parse_execute_statement(body: dict[str, object]) -> ExecuteStatement:
    """An ExecuteStatement from its JSON body, or DynamoDB's error for it.

    >>> parse_execute_statement({"Statement": "SELECT * FROM T WHERE pk = ?", "Parameters": [{"N": "1.0"}]}).parameters
    ({'N': '1'},)
    """
    REQUESTS["ExecuteStatement"].check(body)
    op = _statement(body, _mode(body))
    op.next_token = cast("str | None", body.get("NextToken"))
    op.limit = cast("int | None", body.get("Limit"))
    op.return_on_failure = _on_failure(body)
    return op


def parse_batch_execute_statement(body: dict[str, object]) -> BatchExecuteStatement:
    """A BatchExecuteStatement from its JSON body; a member that is no statement keeps its error for the answer.

    >>> batch = parse_batch_execute_statement({"Statements": [{"Statement": "SELECT"}]})
    >>> batch.statements[0].code
    'ValidationException'
    """
    REQUESTS["BatchExecuteStatement"].check(body)
    members = cast("list[dict[str, object]]", body["Statements"])
    statements = tuple(_member(member, _mode(body)) for member in members)
    check_alike([one for one in statements if isinstance(one, ExecuteStatement)])
    return BatchExecuteStatement(statements, _mode(body))


def parse_execute_transaction(body: dict[str, object]) -> ExecuteTransaction:
    """An ExecuteTransaction from its JSON body, or DynamoDB's error for it; here a member that is no statement refuses
    the whole.

    >>> statements = [{"Statement": "SELECT * FROM T WHERE pk = ?", "Parameters": [{"S": "a"}]}]
    >>> parse_execute_transaction({"TransactStatements": statements, "ReturnConsumedCapacity": "TOTAL"}).table
    'T'
    """
    REQUESTS["ExecuteTransaction"].check(body)
    members = cast("list[dict[str, object]]", body["TransactStatements"])
    token, capacity = cast("str | None", body.get("ClientRequestToken")), _mode(body)
    digest = "" if token is None else request_digest("ExecuteTransaction", members, capacity)
    statements = tuple(_statement(member, action_capacity(capacity), in_transaction=True) for member in members)
    for member, statement in zip(members, statements, strict=True):
        statement.return_on_failure = _on_failure(member)
    check_transaction(statements)
    return ExecuteTransaction(statements, token, digest, capacity)


def _on_failure(body: Mapping[str, object]) -> str:
    return cast("str | None", body.get("ReturnValuesOnConditionCheckFailure")) or "NONE"


def _mode(body: Mapping[str, object]) -> str:
    return cast("str | None", body.get("ReturnConsumedCapacity")) or "NONE"


def _member(member: Mapping[str, object], capacity: str) -> ExecuteStatement | RefusedStatement:
    try:
        return _statement(member, capacity)
    except DynamoError as error:
        if error.code != "ValidationException":
            raise
        return RefusedStatement(error.code, error.message)


def _statement(body: Mapping[str, object], capacity: str, in_transaction: bool = False) -> ExecuteStatement:
    given = _values(cast("list[object]", body.get("Parameters") or []))
    text = cast(str, body["Statement"])
    parsed = parse_statement(text)
    if isinstance(given, DynamoError):
        raise given
    if len(given) != parsed.parameters:
        raise refused("parameters")
    check_statement(parsed.statement, given, in_transaction)
    table = table_name({"TableName": parsed.statement.table})
    return ExecuteStatement(table, text, given, bool(body.get("ConsistentRead")), capacity=capacity)


def _values(given: list[object]) -> tuple[AttributeValue, ...] | DynamoError:
    """The parameters' values, or the first error among them; a wrong JSON type is raised at once."""
    values: list[AttributeValue] = []
    wrong: DynamoError | None = None
    for value in given:
        try:
            values.append(validate_value(value))
        except DynamoError as error:
            if error.code == "SerializationException":
                raise
            wrong = wrong or error
    return wrong or tuple(values)
