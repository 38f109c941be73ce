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
from dynalab_model.values import Item, item_size, validate_item

NAMES = "ExpressionAttributeNames"
VALUES = "ExpressionAttributeValues"

PLACEHOLDER_BYTES_MAX = 255
SUBSTITUTED_BYTES_MAX = 2_097_152

_ROUGH = 4  # bytes of a character, at most

_KEY = re.compile("[#:][A-Za-z0-9_]+").fullmatch
_NAME_KEY = re.compile(f"#[A-Za-z0-9_]{{1,{PLACEHOLDER_BYTES_MAX - 1}}}").fullmatch
_VALUE_KEY = re.compile(f":[A-Za-z0-9_]{{1,{PLACEHOLDER_BYTES_MAX - 1}}}").fullmatch

_NAMES_ALONE = "ProjectionExpression"  # holds no values

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
    named = valued = False  # whether there is an expression that may use names, and one that may use values
    for name in expressions:
        if body.get(name) is not None:
            named = True
            valued |= name != _NAMES_ALONE
    if names is not None and not named:
        raise validation(f"{NAMES} can only be specified when using expressions")
    if values is not None and not valued:
        _refuse_values(expressions)
    checked_names = _checked_names(names)
    checked_values = _checked_values(values) if valued else {}
    _check_sum(checked_names, checked_values)
    return checked_names, checked_values


def _refuse_values(expressions: Sequence[str]) -> None:
    """Refuse values where no expression may use them; where none ever may, they are an unknown member."""
    holders = [name for name in expressions if name != _NAMES_ALONE]
    if holders:
        verb = "is" if len(holders) == 1 else "are"
        raise validation(f"{VALUES} can only be specified when using expressions: {' and '.join(holders)} {verb} null")


def _check_sum(names: Mapping[str, str], values: Item) -> None:
    """Refuse more than 2 MB of names and values together (API reference: Limits)."""
    rough_bytes = 0  # never less than the true sum, which takes longer
    for name in names.values():
        rough_bytes += _ROUGH * len(name)
    for value in values.values():
        for content in value.values():
            rough_bytes += _ROUGH * len(content) if content.__class__ is str else SUBSTITUTED_BYTES_MAX
    if rough_bytes < SUBSTITUTED_BYTES_MAX // 2:  # the other half for placeholders: at most 300 of 255 bytes are used
        return
    sum_bytes = item_size(values) + sum(len(key) + len(name.encode()) for key, name in names.items())
    if sum_bytes > SUBSTITUTED_BYTES_MAX:
        raise validation(f"{NAMES} and {VALUES} exceed {SUBSTITUTED_BYTES_MAX} bytes together")  # our wording


def _bad_key(member: str, key: str) -> DynamoError:
    if _KEY(key) and len(key) > PLACEHOLDER_BYTES_MAX:
        told = f"The placeholder is longer than {PLACEHOLDER_BYTES_MAX} bytes"  # our wording
        return validation(f'{member} contains invalid key: {told}; key: "{key}"')
    return validation(f'{member} contains invalid key: Syntax error; key: "{key}"')


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
            raise _bad_key(NAMES, key)
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
            raise _bad_key(VALUES, key)
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
