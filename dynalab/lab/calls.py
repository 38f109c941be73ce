"""Scripted failures of single calls: throttle, refuse or fail the n-th call of an operation on a table.

- `throttle` refuses before anything happens (definite: the call had no effect), with the error of what ran out.
- `conflict` refuses as if a transaction held the item: a single write with TransactionConflictException, a transaction
  by cancelling it. `region-conflict` refuses a single or a batched write as if another Region were changing the item.
- `deny` refuses for want of a permission: an operation as a whole, or, named by its own permission, a part of a
  transaction, which is cancelled, or of a batch of statements, whose other members are carried out.
- `fail` answers 500, either `before` the service sees the request or `after` it carried it out: to the client both look
  the same, and that is the lesson.

No rule answers an operation with what the service never answers to it: KINDS says what each strikes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

from dynalab.lab.network import Hits
from dynalab.lab.permissions import OF_PARTS, Permission, of_parts, of_whole
from dynalab_impl.effects import JSON, Response
from dynalab_model import errors
from dynalab_model.errors import DynamoError, throttling_reason
from dynalab_model.offered import OFFERED
from dynalab_model.operations import (
    BatchExecuteStatement,
    BatchGetItem,
    BatchWriteItem,
    CreateTable,
    ExecuteStatement,
    ExecuteTransaction,
    ListTables,
    Operation,
    RefusedStatement,
    TransactGetItems,
    TransactWriteItems,
)
from dynalab_model.tables import arn
from dynalab_model.transactions import cancelled, reason_of

_Body: TypeAlias = "dict[str, JSON]"

ACCOUNT = "account"
THROTTLES: Final[Mapping[str, Callable[[], DynamoError]]] = {
    "provisioned": errors.provisioned_throughput_exceeded,
    "index": lambda: errors.provisioned_throughput_exceeded(index=True),
    "on-demand": errors.throttling,
    ACCOUNT: errors.request_limit_exceeded,
}

_READS = ("GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems", "SearchVectors")
_SINGLE_WRITES = ("PutItem", "UpdateItem", "DeleteItem")
_TRANSACTIONS = ("TransactWriteItems", "TransactGetItems", "ExecuteTransaction")
_STATEMENTS = ("ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction")

_EVERYTHING = frozenset(OFFERED)
# What an account's quota of throughput is asked for (api.md §2, RLE).
_METERED = frozenset((*_READS, *_SINGLE_WRITES, "BatchWriteItem", "TransactWriteItems", *_STATEMENTS))
# What each kind strikes; the others may strike everything.
KINDS: Final[Mapping[str, frozenset[str]]] = {
    # What a transaction that holds an item gets in the way of. GetItem, Query and Scan are never refused for it.
    "conflict": frozenset((*_SINGLE_WRITES, "ExecuteStatement", *_TRANSACTIONS)),
    # api.md §2, RWC: statements and transactions are not among them. That a batch is refused as a whole is inferred.
    "region-conflict": frozenset((*_SINGLE_WRITES, "BatchWriteItem")),
    "deny": frozenset((*OFFERED, *OF_PARTS)),
}


def struck_by(kind: str, error: str = "") -> frozenset[str]:
    """The names that a rule of this kind may be about.

    >>> sorted(struck_by("region-conflict"))
    ['BatchWriteItem', 'DeleteItem', 'PutItem', 'UpdateItem']
    """
    if kind == "throttle" and error == ACCOUNT:
        return _METERED
    return KINDS.get(kind, _EVERYTHING)


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
        if not self._matches(name, operation):
            return False
        self.seen += 1
        if self.nth <= self.seen < self.nth + self.count:
            self.hits.count += 1
            return True
        return False

    def _matches(self, name: str, operation: Operation) -> bool:
        if self.operation not in (None, name):
            return self.kind == "deny" and any(self._is_denied(part) for part in of_parts(operation))
        return name in struck_by(self.kind, self.error) and (self.table is None or self.table in tables_of(operation))

    def _is_denied(self, part: Permission | None) -> bool:
        return part is not None and part.name == self.operation and self.table in (None, part.table)

    def response(self, name: str, operation: Operation) -> Response | None:
        """What the client gets instead. None: what remains of the operation is to be carried out (the members of a
        batch that are denied are marked in it).
        """
        if self.kind == "deny" and self.operation not in (None, name):
            return self._deny_parts(operation)
        return error_response(self._error(name, operation))

    def _error(self, name: str, operation: Operation) -> DynamoError:
        if self.kind == "throttle":
            return _account_throttle(name, operation) if self.error == ACCOUNT else THROTTLES[self.error]()
        if self.kind == "conflict":
            return _conflict(operation)
        if self.kind == "region-conflict":
            return errors.replicated_write_conflict()
        if self.kind == "deny":
            return of_whole(name, operation, self.table or next(iter(tables_of(operation)), "")).denied()
        return errors.internal_server_error()

    def _deny_parts(self, operation: Operation) -> Response | None:
        denials = [part.denied() if part and self._is_denied(part) else None for part in of_parts(operation)]
        if isinstance(operation, BatchExecuteStatement):
            operation.statements = tuple(
                RefusedStatement("AccessDenied", denial.message) if denial else statement
                for denial, statement in zip(denials, operation.statements, strict=True)
            )
            return None
        if isinstance(operation, TransactWriteItems | TransactGetItems | ExecuteTransaction):
            # Permissions are looked at before any item: no other action is judged. The reason's code is documented;
            # its message, the error's own, is inferred.
            return error_response(cancelled([reason_of(denial) for denial in denials]))
        (denial,) = denials
        assert denial is not None, "a rule that fires for a single statement denies it"
        return error_response(denial)


def _account_throttle(name: str, operation: Operation) -> DynamoError:
    """The account's quota ran out, at the first table of the request."""
    access = "Read" if name in _READS else "Write"
    if name in _STATEMENTS:
        access = "Read" if all(part is None or part.name == "PartiQLSelect" for part in of_parts(operation)) else access
    named = [throttling_reason(access, "AccountLimitExceeded", arn(table)) for table in tables_of(operation)[:1]]
    return errors.request_limit_exceeded(reasons=named)


def _conflict(operation: Operation) -> DynamoError:
    """Another transaction holds the item; of a transaction the first one."""
    if not isinstance(operation, TransactWriteItems | TransactGetItems | ExecuteTransaction):
        return errors.transaction_conflict()
    survivors = [reason_of(None) for _ in of_parts(operation)[1:]]
    return cancelled([reason_of(errors.transaction_conflict()), *survivors])


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
    return (table,) if table else ()


def table_of(operation: Operation) -> str | None:
    """The table that an operation names, if it names one."""
    if isinstance(operation, ListTables):
        return None
    return operation.schema.name if isinstance(operation, CreateTable) else operation.table
