"""Scripted failures of single calls: throttle, refuse or fail the n-th call of an operation on a table.

`throttle` refuses before anything happens (definite: the call had no effect), with the error of what ran out.
`conflict` refuses as if a transaction held the item: a single write with TransactionConflictException, a transaction by
cancelling it. `fail` answers 500, either `before` the service sees the request or `after` it carried it out: to the
client both look the same, and that is the lesson.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

from dynalab.lab.network import Hits
from dynalab_impl.effects import JSON, Response
from dynalab_model import errors
from dynalab_model.errors import DynamoError
from dynalab_model.operations import (
    BatchExecuteStatement,
    BatchGetItem,
    BatchWriteItem,
    CreateTable,
    ExecuteStatement,
    ExecuteTransaction,
    ListTables,
    Operation,
    TransactGetItems,
    TransactWriteItems,
)

_Body: TypeAlias = "dict[str, JSON]"

THROTTLES: Final[Mapping[str, Callable[[], DynamoError]]] = {
    "provisioned": errors.provisioned_throughput_exceeded,
    "index": lambda: errors.provisioned_throughput_exceeded(index=True),
    "on-demand": errors.throttling,
    "account": lambda: DynamoError("RequestLimitExceeded", errors.TEXTS["request-limit"]),
}

# What a transaction that holds an item gets in the way of. GetItem, Query and Scan are never refused for it.
_CONFLICTING = frozenset(
    {
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "ExecuteStatement",
        "TransactWriteItems",
        "TransactGetItems",
        "ExecuteTransaction",
    }
)


@dataclass(slots=True)
class CallRule:
    """Fires for `count` matching calls, beginning with the `nth` (1, 2, …). None matches every operation or table.
    `error` is one of THROTTLES.

    >>> from dynalab_model.operations import GetItem
    >>> rule = CallRule("throttle", "GetItem", "orders", nth=2, count=1)
    >>> [rule.fires("GetItem", GetItem("orders", {})) for _ in range(3)]
    [False, True, False]
    """

    kind: str
    operation: str | None = None
    table: str | None = None
    nth: int = 1
    count: int = 1
    when: str = "before"
    error: str = "provisioned"
    seen: int = 0
    hits: Hits = field(default_factory=Hits)

    def fires(self, name: str, operation: Operation) -> bool:
        """Count this call, and say whether it is one to break."""
        if self.operation not in (None, name) or (self.table is not None and self.table not in tables_of(operation)):
            return False
        if self.kind == "conflict" and name not in _CONFLICTING:
            return False
        self.seen += 1
        if self.nth <= self.seen < self.nth + self.count:
            self.hits.count += 1
            return True
        return False

    def response(self, operation: Operation) -> Response:
        """What the client gets instead."""
        if self.kind == "throttle":
            return error_response(THROTTLES[self.error]())
        if self.kind == "conflict":
            return error_response(_conflict(operation))
        return error_response(errors.internal_server_error())


def _conflict(operation: Operation) -> DynamoError:
    """Another transaction holds the item; of a transaction the first one."""
    if isinstance(operation, TransactWriteItems):
        count = len(operation.actions)
    elif isinstance(operation, TransactGetItems):
        count = len(operation.gets)
    elif isinstance(operation, ExecuteTransaction):
        count = len(operation.statements)
    else:
        return errors.transaction_conflict()
    held: dict[str, object] = {"Code": "TransactionConflict", "Message": errors.TEXTS["transaction-conflict"]}
    return errors.transaction_cancelled([held, *({"Code": "None"} for _ in range(count - 1))])


def error_response(error: DynamoError) -> Response:
    """A DynamoError as the response that carries it."""
    return Response(error.status, cast(_Body, error.body()), error.code)


def tables_of(operation: Operation) -> tuple[str, ...]:
    """All tables that an operation names.

    >>> from dynalab_model.operations import GetItem
    >>> tables_of(BatchGetItem((GetItem("a", {}), GetItem("b", {}))))
    ('a', 'b')
    """
    if isinstance(operation, BatchGetItem | TransactGetItems):
        return tuple(get.table for get in operation.gets)
    if isinstance(operation, BatchWriteItem):
        return tuple(write.table for write in operation.writes)
    if isinstance(operation, TransactWriteItems):
        return tuple(action.table for action in operation.actions)
    if isinstance(operation, BatchExecuteStatement | ExecuteTransaction):
        return tuple(one.table for one in operation.statements if isinstance(one, ExecuteStatement))
    table = table_of(operation)
    return () if table is None else (table,)


def table_of(operation: Operation) -> str | None:
    """The table that an operation names, if it names one."""
    if isinstance(operation, ListTables):
        return None
    return operation.schema.name if isinstance(operation, CreateTable) else operation.table
