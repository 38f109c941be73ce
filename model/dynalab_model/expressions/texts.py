"""What DynamoDB says about an expression that it does not accept, in one table (expressions.md §2 – §7).

A comment marks a wording that nobody has captured from the real service: class and place are right, the words are ours.
"""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

from dynalab_model.errors import DynamoError, validation

CONDITION = "ConditionExpression"
FILTER = "FilterExpression"
KEY_CONDITION = "KeyConditionExpression"
SEARCH_CONDITION = "SearchConditionExpression"
UPDATE = "UpdateExpression"
PROJECTION = "ProjectionExpression"

# These follow "Invalid <kind>: ".
TEXTS: dict[str, str] = {
    "empty": "The expression can not be empty;",
    "long": "Expression size has exceeded the maximum allowed size;",
    "syntax": 'Syntax error; token: "{token}", near: "{near}"',
    "operators": "The expression has more than {limit} operators and functions",  # our wording
    "parentheses": "The expression has redundant parentheses;",
    "function": "Invalid function name; function: {name}",
    "misuse": "The function is not allowed to be used this way in an expression; function: {name}",
    "not-in-condition": "The function is not allowed in a condition expression; function: {name}",  # our wording
    "not-in-update": "The function is not allowed in an update expression; function: {name}",  # our wording
    "reserved": "Attribute name is a reserved keyword; reserved keyword: {name}",
    "name": "An expression attribute name used in the document path is not defined; attribute name: {name}",
    "value": "An expression attribute value used in expression is not defined; attribute value: {name}",
    "count": "Incorrect number of operands for operator or function; operator or function: {name}, number of operands: {count}",
    "distinct": "The first operand must be distinct from the remaining operands for this operator or function; operator: {name}, first operand: {path}",
    "path": "Operator or function requires a document path; operator or function: {name}",
    "type-operator": "Incorrect operand type for operator or function; operator: {name}, operand type: {type}",
    "type-function": "Incorrect operand type for operator or function; operator or function: {name}, operand type: {type}",
    "type-name": "Invalid attribute type name found; type: {name}, valid types: {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}",
    "in-count": "The IN operator is provided with too many operands; number of operands: {count}",  # our wording
    "between-type": "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: {low}, upper bound operand: {high}",
    "between-order": "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: {low}, upper bound operand: {high}",
    "deep": "The document path has too many nesting elements; nesting levels: {count}",  # our wording
    "section": 'The "{name}" section can only be used once in an update expression;',
    "overlap": "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: {one}, path two: {two}",
    "conflict": "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: {one}, path two: {two}",
    # captured for key conditions
    "key-operator": "Invalid operator used in {kind}: {name}",
    "key-size": "{kind}s cannot contain nested operations",
    "key-nested": "{kind}s cannot have conditions on nested attributes",
    "key-twice": "{kind}s must only contain one condition per key",
    "key-two-names": "Invalid condition in {kind}: Multiple attribute names used in one condition",
    "key-no-name": "Invalid condition in {kind}: No key attribute specified",
    "key-first": "Invalid condition in {kind}: {name} operator must have the key attribute as its first operand",
}

# These stand alone.
WHOLE_TEXTS: dict[str, str] = {
    "unused-names": "Value provided in ExpressionAttributeNames unused in expressions: keys: {{{names}}}",
    "unused-values": "Value provided in ExpressionAttributeValues unused in expressions: keys: {{{names}}}",
    "missed-key": "Query condition missed key schema element: {name}",
    "unsupported": "Query key condition not supported",
    "length": "Conditions can be of length 1 or 2 only",
    "key-type": "One or more parameter values were invalid: Condition parameter type does not match schema type",
    "filter-key": "Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}",
    "operand-type": "An operand in the update expression has an incorrect data type",
    "no-attribute": "The provided expression refers to an attribute that does not exist in the item",
    "bad-path": "The document path provided in the update expression is invalid for update",
}


def refused(kind: str, text: str, /, **fields: object) -> DynamoError:
    """ValidationException: `Invalid <kind>: <text>`.

    >>> refused(FILTER, "function", name="foo").message
    'Invalid FilterExpression: Invalid function name; function: foo'
    """
    return validation(f"Invalid {kind}: {TEXTS[text].format(kind=kind, **fields)}")


def refused_whole(text: str, /, **fields: object) -> DynamoError:
    """ValidationException with a text that does not name the expression."""
    return validation(WHOLE_TEXTS[text].format(**fields))
