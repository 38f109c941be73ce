"""What DynamoDB says about a statement that it does not accept, in one table (expressions.md §10).

A comment marks a wording that nobody has captured from the real service: class and place are right, the words are ours.
"""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

from dynalab_model.errors import DynamoError, validation

TEXTS: dict[str, str] = {
    "malformed": "Statement wasn't well formed, can't be processed: {detail}",
    "path-component": "Unexpected path component at {where}",
    "key-equality": "Where clause does not contain a mandatory equality on all key attributes",
    "batch-mixed": "Read and write requests together in the same batch is not supported.",
    "batch-point": "Select statements within BatchExecuteStatement must specify the primary key in the where clause.",  # as another emulator has it
    "batch-duplicates": "Provided list of item keys contains duplicates",  # the words of the other batches
    "transaction-mixed": "ExecuteTransaction API does not support both read and write operations in the same request.",
    "transaction-point": "Select statements within ExecuteTransaction must specify the primary key in the where clause.",  # after the batch's
    "transaction-returning": "RETURNING clause is not supported in ExecuteTransaction",  # our wording
    "exists-condition": "EXISTS must have a condition besides those on the primary key",  # our wording
    "exists-index": "EXISTS cannot look at an index",  # our wording
    "parameters": "Number of parameters in request and statement don't match.",  # as another emulator has it
    "exists": "EXISTS is only allowed in ExecuteTransaction",  # our wording
    "function": "Unsupported function: {name}",  # our wording
    "set-function": "{name} must name the attribute that is being set",  # our wording
    "set-members": "A set holds strings, numbers or binaries, all of one type",  # our wording
    "missing-value": "MISSING is not a value",  # our wording
    "item-not-a-map": "The inserted value must be a map",  # our wording
    "name-twice": "Attribute {name} is given twice",  # our wording
    "order-where": "Must have WHERE clause in the statement when using ORDER BY clause.",  # our wording
    "order-hash": "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",  # our wording
    "order-key": "Variable reference {name} in ORDER BY clause must be part of the primary key",  # our wording
    "order-many": "ORDER BY the sort key alone is not supported for several partition key values",  # our wording
    "in-keys": "The IN operator may name at most {limit} partition key values",  # our wording
    "returning-delete": "DELETE can only return ALL OLD *",  # our wording
    "token": "The provided NextToken is invalid",  # our wording
    "deep": "The statement nests conditions too deeply",  # our wording
}


def refused(text: str, /, **fields: object) -> DynamoError:
    """ValidationException with an entry of `TEXTS`.

    >>> refused("path-component", where="1:8:5").message
    'Unexpected path component at 1:8:5'
    """
    return validation(TEXTS[text].format(**fields))


def malformed(detail: str) -> DynamoError:
    """ValidationException for a statement that is no statement; what comes behind the colon is our wording."""
    return refused("malformed", detail=detail)
