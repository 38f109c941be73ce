"""Which permission of the service a request needs, and for which resource: what an AccessDeniedException names.

Rules: an operation needs the permission of its own name, with two exceptions: a transaction needs those of its actions,
and a statement one of PartiQL's four (operations.md §10). There are no policies here: somebody is denied something only
when the lab is told so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dynalab_model.errors import DynamoError, access_denied
from dynalab_model.operations import (
    BatchExecuteStatement,
    ConditionCheck,
    DescribeStream,
    ExecuteStatement,
    ExecuteTransaction,
    GetItem,
    GetRecords,
    GetShardIterator,
    Operation,
    Query,
    ReadSettings,
    Scan,
    TransactAction,
    TransactGetItems,
    TransactWriteItems,
)
from dynalab_model.streams import iterator_of, stream_arn
from dynalab_model.tables import DEFAULT_ACCOUNT, arn

CALLER: Final = f"arn:aws:iam::{DEFAULT_ACCOUNT}:user/denied"

# Permissions that no operation is named after.
OF_PARTS: Final = ("ConditionCheckItem", "PartiQLSelect", "PartiQLInsert", "PartiQLUpdate", "PartiQLDelete")

_VERB = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Permission:
    """`name` stands without the service's prefix, `table` is "" where none is asked for, `resource` is an ARN."""

    name: str
    table: str
    resource: str

    def denied(self) -> DynamoError:
        """The error for somebody who does not have it.

        >>> Permission("GetItem", "Orders", arn("Orders")).denied().message[:74]
        'User: arn:aws:iam::000000000000:user/denied is not authorized to perform: '
        """
        return access_denied(CALLER, self.name, self.resource)


def of_parts(operation: Operation) -> tuple[Permission | None, ...]:
    """What each part of a transaction, a statement, or a batch of statements needs, in order; None for a member that
    is no statement. Other operations have no parts.

    >>> [part and part.name for part in of_parts(TransactGetItems((GetItem("Orders", {}),)))]
    ['GetItem']
    """
    if isinstance(operation, TransactWriteItems):
        return tuple(_of_action(action) for action in operation.actions)
    if isinstance(operation, TransactGetItems):
        return tuple(_of_action(get) for get in operation.gets)
    if isinstance(operation, ExecuteTransaction | BatchExecuteStatement):
        return tuple(_of_statement(one) if isinstance(one, ExecuteStatement) else None for one in operation.statements)
    return (_of_statement(operation),) if isinstance(operation, ExecuteStatement) else ()


def of_whole(name: str, operation: Operation, table: str) -> Permission:
    """What is missing when the whole operation is denied for `table` ("" where it names none): of one with parts, what
    the first of them needs there.

    >>> of_whole("Query", Query("Orders", "pk = :p", "by_date"), "Orders").resource
    'arn:aws:dynamodb:us-east-1:000000000000:table/Orders/index/by_date'
    """
    for part in of_parts(operation):
        if part is not None and part.table == table:
            return part
    return Permission(name, table, _resource(operation, table or "*"))


def _of_action(action: TransactAction | GetItem) -> Permission:
    name = "ConditionCheckItem" if isinstance(action, ConditionCheck) else type(action).__name__
    return Permission(name, action.table, arn(action.table))


def _of_statement(statement: ExecuteStatement) -> Permission:
    verb = _VERB.match(statement.statement)
    name = "PartiQL" + (verb[1].title() if verb else "Select")  # EXISTS reads, too
    return Permission(name, statement.table, arn(statement.table))


def _resource(operation: Operation, table: str) -> str:
    if isinstance(operation, Query | Scan) and operation.index is not None:
        return f"{arn(table)}/index/{operation.index}"
    if isinstance(operation, DescribeStream | GetShardIterator):
        return stream_arn(table, operation.label)
    if isinstance(operation, GetRecords):
        return stream_arn(table, iterator_of(operation.iterator).label)
    if isinstance(operation, ReadSettings) and operation.argument.startswith("arn:"):
        return operation.argument
    return arn(table)
