"""PartiQL: statements, and the ordinary requests that they stand for (expressions.md §10, api.md §2, §3).

Rules of this room:
- A statement means nothing of its own. `translate` is a pure function from statement, parameters and the table's keys
  to GetItem, Query, Scan, PutItem, UpdateItem or DeleteItem, so what a write does to an item is said once, in `items`.
- What can be refused without the table is refused by `requests`, before anything is read.
- Statements are parsed once per text, into a bounded cache. Texts of errors stand in `texts`; a comment marks those
  that nobody has captured from the real service.

    >>> from dynalab_model.operations import ExecuteStatement
    >>> from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema
    >>> orders = TableSchema("Orders", KeySchema(KeyAttribute("id", "S"), KeyAttribute("line", "N")))
    >>> statement = "SELECT * FROM Orders WHERE id = 'o1' AND line >= 2 AND price < 10"
    >>> query = translate(orders, ExecuteStatement("Orders", statement)).requests[0]
    >>> query.key_condition, query.filter
    ('#n0 = :hash AND #n1 >= :sort', '#n2 < :v0')
"""

from __future__ import annotations

from dynalab_model.partiql.batch import (
    batch_response,
    begin_batch,
    check_targets,
    member_error,
    member_response,
    target,
)
from dynalab_model.partiql.requests import (
    parse_batch_execute_statement,
    parse_execute_statement,
    parse_execute_transaction,
)
from dynalab_model.partiql.run import Run, begin
from dynalab_model.partiql.transaction import begin_transaction, transaction_error, transaction_response
from dynalab_model.partiql.translate import translate

__all__ = [
    "Run",
    "batch_response",
    "begin",
    "begin_batch",
    "begin_transaction",
    "check_targets",
    "member_error",
    "member_response",
    "parse_batch_execute_statement",
    "parse_execute_statement",
    "parse_execute_transaction",
    "target",
    "transaction_error",
    "transaction_response",
    "translate",
]
