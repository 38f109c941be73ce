"""Expression placeholders of a request (`#name`, `:value`), and that expressions are not mixed with legacy parameters.

The texts and their order are those of expressions.md §7. Whether a placeholder is used is asked later, once all
expressions are parsed (`expressions.check_expressions`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import cast

from dynalab_model.errors import DynamoError, validation
from dynalab_model.fields import length_failures, refuse
from dynalab_model.values import Item, validate_item

NAMES = "ExpressionAttributeNames"
VALUES = "ExpressionAttributeValues"

_NAME_KEY = re.compile("#[A-Za-z0-9_]+").fullmatch
_VALUE_KEY = re.compile(":[A-Za-z0-9_]+").fullmatch

_WORDS = "AND and OR in an expression"

# What takes the place of a parameter from before expressions, in the order in which the service lists them.
_LEGACY: dict[str, str] = {
    "Expected": "ConditionExpression",
    "AttributeUpdates": "UpdateExpression",
    "KeyConditions": "KeyConditionExpression",
    "QueryFilter": "FilterExpression",
    "ScanFilter": "FilterExpression",
    "AttributesToGet": "ProjectionExpression",
    "ConditionalOperator": _WORDS,
}
LEGACY = frozenset(_LEGACY)


def placeholders(body: Mapping[str, object], expressions: Sequence[str]) -> tuple[dict[str, str], Item]:
    """Names and values of an operation whose expressions are `expressions`; refuses mixed styles.

    >>> body = {"FilterExpression": "#a = :v", "ExpressionAttributeNames": {"#a": "size"}}
    >>> placeholders(body, ("FilterExpression",))
    ({'#a': 'size'}, {})
    """
    if not LEGACY.isdisjoint(body):
        _refuse_mixed(body, expressions)
    names, values = body.get(NAMES), body.get(VALUES)
    if names is None and values is None:
        return {}, {}
    if names is not None and all(body.get(name) is None for name in expressions):
        raise validation(f"{NAMES} can only be specified when using expressions")
    holders = [name for name in expressions if name != "ProjectionExpression"]
    if values is not None and holders and all(body.get(name) is None for name in holders):
        verb = "is" if len(holders) == 1 else "are"
        raise validation(f"{VALUES} can only be specified when using expressions: {' and '.join(holders)} {verb} null")
    return _checked_names(names), _checked_values(values) if holders else {}


def _refuse_mixed(body: Mapping[str, object], expressions: Sequence[str]) -> None:
    legacy = [name for name in _LEGACY if body.get(name) is not None and _LEGACY[name] in (*expressions, _WORDS)]
    used = [name for name in expressions if body.get(name) is not None]
    if legacy and used:
        raise validation(
            "Can not use both expression and non-expression parameters in the same request: "
            f"Non-expression parameters: {{{', '.join(legacy)}}} Expression parameters: {{{', '.join(used)}}}"
        )


def _checked_names(names: object) -> dict[str, str]:
    if names is None:
        return {}
    given = cast("dict[str, object]", names)
    if not given:
        raise validation(f"{NAMES} must not be empty")
    for key, name in given.items():
        if not _NAME_KEY(key):
            raise validation(f'{NAMES} contains invalid key: Syntax error; key: "{key}"')
        if name is None:
            raise validation(
                f"{NAMES} contains invalid value: The expression attribute name can not be null for key {key}"
            )
        refuse(length_failures(cast(str, name), "expressionAttributeNames", 1))
    return cast("dict[str, str]", given)


def _checked_values(values: object) -> Item:
    if values is None:
        return {}
    given = cast("dict[str, object]", values)
    if not given:
        raise validation(f"{VALUES} must not be empty")
    for key in given:
        if not _VALUE_KEY(key):
            raise validation(f'{VALUES} contains invalid key: Syntax error; key: "{key}"')
    try:
        return validate_item(given)
    except DynamoError as error:
        if error.code != "ValidationException":
            raise
        bad = next(key for key, value in given.items() if _is_invalid(value))
        raise validation(f"{VALUES} contains invalid value: {error.message} for key {bad}") from None


def _is_invalid(value: object) -> bool:
    try:
        validate_item({"v": value})
    except DynamoError:
        return True
    return False
