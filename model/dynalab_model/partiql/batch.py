"""BatchExecuteStatement: up to 25 statements on one item each, all of them reads or all of them writes
(expressions.md §10).

Rules: the batch is refused as a whole for what it is (mixed, the same item twice), and answered with status 200
otherwise: whatever becomes of a member is told in its place. Not atomic. A member that could be carried out names its
table, also when it failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from dynalab_model.batches import with_capacity
from dynalab_model.errors import DynamoError
from dynalab_model.items import bind_get, bind_write
from dynalab_model.operations import BatchExecuteStatement, ExecuteStatement, GetItem, PutItem
from dynalab_model.partiql.run import Run, begin
from dynalab_model.partiql.texts import refused
from dynalab_model.partiql.translate import is_select
from dynalab_model.schema import TableSchema

Response: TypeAlias = "dict[str, object]"

_CODES = {"ValidationException": "ValidationError", "ThrottlingException": "ThrottlingError"}


def begin_batch(tables: Mapping[str, TableSchema | DynamoError], op: BatchExecuteStatement) -> list[Run | DynamoError]:
    """One run or error for each member; raises the error of a batch that is refused as a whole.

    `tables` has every table that a member names, or the error of asking for it.
    """
    runs: list[Run | DynamoError] = []
    targets: list[tuple[str, bytes]] = []
    for member in op.statements:
        try:
            if not isinstance(member, ExecuteStatement):
                raise DynamoError(member.code, member.message)
            schema = tables[member.table]
            if isinstance(schema, DynamoError):
                raise schema
            run = begin(schema, member)
            targets.append((member.table, target(schema, run)))
            runs.append(run)
        except DynamoError as error:
            runs.append(error)
    check_targets(targets)
    return runs


def check_targets(targets: Sequence[tuple[str, bytes]]) -> None:
    """Refuse a batch that names an item of a table twice."""
    if len(dict.fromkeys(targets)) < len(targets):
        raise refused("batch-duplicates")


def target(schema: TableSchema, run: Run) -> bytes:
    """The one item that a member is about, by key bytes."""
    if run.key is None:
        raise refused("batch-point")
    request = run.requests[0]
    if isinstance(request, PutItem):
        return bind_write(schema, request)
    return bind_get(schema, GetItem(schema.name, run.key))


def check_alike(statements: Sequence[ExecuteStatement]) -> None:
    """Refuse reads and writes together."""
    if len({is_select(statement.statement) for statement in statements}) > 1:
        raise refused("batch-mixed")


def member_error(table: str | None, code: str, message: str) -> Response:
    """A member's place in the answer when it failed; `table` when it was carried out.

    >>> member_error("T", "ConditionalCheckFailedException", "The conditional request failed")["Error"]["Code"]
    'ConditionalCheckFailed'
    """
    short = _CODES.get(code, code.removesuffix("Exception"))
    response: Response = {"Error": {"Code": short, "Message": message}}
    if table is not None:
        response["TableName"] = table
    return response


def member_response(run: Run) -> Response:
    """A member's place in the answer when it was done."""
    response: Response = {"TableName": run.op.table}
    if run.items:
        response["Item"] = run.items[0]
    return response


def batch_response(
    op: BatchExecuteStatement, members: Sequence[Response | None], runs: Sequence[Run | DynamoError | None]
) -> Response:
    """The answer, from what the members came to, and the runs of those that were bound."""
    assert None not in members, "every member has an outcome"
    charged = [{"ConsumedCapacity": run.consumed} for run in runs if isinstance(run, Run) and run.consumed is not None]
    return with_capacity({"Responses": list(members)}, op.capacity, charged)
