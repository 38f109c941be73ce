"""Scripted failures of single calls: throttle or fail the n-th call of an operation on a table.

`throttle` refuses before anything happens (definite: the call had no effect). `fail` answers 500, either `before` the
service sees the request or `after` it carried it out: to the client both look the same, and that is the lesson.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias, cast

from dynalab.lab.network import Hits
from dynalab_impl.effects import JSON, Response
from dynalab_model import errors
from dynalab_model.errors import DynamoError
from dynalab_model.operations import CreateTable, ListTables, Operation

_Body: TypeAlias = "dict[str, JSON]"


@dataclass(slots=True)
class CallRule:
    """Fires for `count` matching calls, beginning with the `nth` (1, 2, …). None matches every operation or table.

    >>> rule = CallRule("throttle", "PutItem", "orders", nth=2, count=1)
    >>> [rule.fires("PutItem", "orders") for _ in range(3)]
    [False, True, False]
    """

    kind: str
    operation: str | None = None
    table: str | None = None
    nth: int = 1
    count: int = 1
    when: str = "before"
    seen: int = 0
    hits: Hits = field(default_factory=Hits)

    def fires(self, operation: str, table: str | None) -> bool:
        """Count this call, and say whether it is one to break."""
        if self.operation not in (None, operation) or self.table not in (None, table):
            return False
        self.seen += 1
        if self.nth <= self.seen < self.nth + self.count:
            self.hits.count += 1
            return True
        return False

    def response(self) -> Response:
        """What the client gets instead."""
        if self.kind == "throttle":
            return error_response(errors.provisioned_throughput_exceeded())
        return error_response(errors.internal_server_error())


def error_response(error: DynamoError) -> Response:
    """A DynamoError as the response that carries it."""
    return Response(error.status, cast(_Body, error.body()), error.code)


def table_of(operation: Operation) -> str | None:
    """The table that an operation names, if it names one."""
    if isinstance(operation, ListTables):
        return None
    return operation.schema.name if isinstance(operation, CreateTable) else operation.table
