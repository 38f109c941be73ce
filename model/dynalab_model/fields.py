"""Words for what a member of a JSON request must not be, and how a table is named.

Rules: a wrong JSON type is a SerializationException; broken constraints are told together in one ValidationException,
at most ten (api.md §1 "Order of checks", §8 "Envelope"). A JSON null is an absent member, and unknown members are
ignored. Nothing here knows an operation: `shapes` says which member is what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dynalab_model.errors import TEXTS, validation

FAILURES_MAX = 10
NAME_PATTERN = "[a-zA-Z0-9_.-]+"
NAME_LENGTH_MAX = 255
ARN_LENGTH_MAX = 1024

# What is said of numbers alone has a blank more, and an article.
_NUMBERS = {"Integer": "an Integer", "Long": "a Long", "Double": "a Double"}
_NAME = re.compile(NAME_PATTERN)
_ARN = re.compile(r"arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]{12}:table/([a-zA-Z0-9_.-]{3,255})")


def wrong_type(expected: str, value: object) -> str:
    """The text for a JSON value where the service expected a String, Integer, Map … (api.md §1 "Serialization
    messages"; exact words drift between Regions).

    >>> wrong_type("String", 3), wrong_type("Integer", "3")
    ('NUMBER_VALUE cannot be converted to String', 'STRING_VALUE can not be converted to an Integer')
    """
    if isinstance(value, dict):
        return TEXTS["structure"]
    if isinstance(value, list):
        return f"Unrecognized collection type class java.lang.{expected}"
    if expected in ("Map", "List") and value is not None:
        return TEXTS["unexpected"]
    if isinstance(value, bool):
        token = "TRUE_VALUE" if value else "FALSE_VALUE"
    elif isinstance(value, str):
        token = "STRING_VALUE"
    elif value is None:
        token = "NULL_VALUE"
    else:
        token = "DECIMAL_VALUE" if isinstance(value, float) else "NUMBER_VALUE"
    if expected in _NUMBERS:
        return f"{token} can not be converted to {_NUMBERS[expected]}"
    return f"{token} cannot be converted to {expected}"


def failure(value: object, path: str, rule: str) -> str:
    """One broken constraint, in the service's words.

    >>> failure(None, "key", "not be null")
    "Value null at 'key' failed to satisfy constraint: Member must not be null"
    """
    shown = "null" if value is None else f"'{show(value)}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: Member must {rule}"


def show(value: object) -> str:
    """A value as the service's envelope prints it: lists and maps in the Java manner.

    >>> show([]), show({"a": True})
    ('[]', '{a=true}')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(show(part) for part in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={show(part)}" for name, part in value.items()) + "}"
    return str(value)


def refuse(failures: Sequence[str]) -> None:
    """Raise the envelope if anything failed."""
    if failures:
        told = failures[:FAILURES_MAX]
        plural = "s" if len(told) > 1 else ""
        raise validation(f"{len(told)} validation error{plural} detected: " + "; ".join(told))


def length_failures(value: str | list[object], path: str, least: int, most: int | None = None) -> list[str]:
    """Broken bounds on a string's or list's length."""
    if len(value) < least:
        return [failure(value, path, f"have length greater than or equal to {least}")]
    if most is not None and len(value) > most:
        return [failure(value, path, f"have length less than or equal to {most}")]
    return []


def name_failures(value: str, path: str, least: int, most: int = NAME_LENGTH_MAX) -> list[str]:
    """Broken constraints of a table's or index's name.

    >>> name_failures("a!b", "tableName", 3)[0][-63:]
    'Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+'
    """
    pattern = (
        []
        if _NAME.fullmatch(value) or not value
        else [failure(value, path, f"satisfy regular expression pattern: {NAME_PATTERN}")]
    )
    return pattern + length_failures(value, path, least, most)


def table_name(body: Mapping[str, object], path: str = "tableName") -> str:
    """The table that a request names, by name or by ARN. A broken name is reported alone, before everything else
    (api.md §8); `path` is where the request has it.

    >>> table_name({"TableName": "arn:aws:dynamodb:us-east-1:000000000000:table/Orders"})
    'Orders'
    """
    value = body.get("TableName")
    if value is None:
        refuse([failure(None, path, "not be null")])
    assert isinstance(value, str), "member types were checked before"
    if _NAME.fullmatch(value) and len(value) <= NAME_LENGTH_MAX:
        return value
    if value.startswith("arn:"):
        refuse(length_failures(value, path, 1, ARN_LENGTH_MAX))
        arn = _ARN.fullmatch(value)
        if arn is None:
            raise validation(f"Invalid TableArn: Invalid ResourceArn provided as input {value}")
        return arn.group(1)
    refuse(name_failures(value, path, 1, ARN_LENGTH_MAX))
    return value


def named_table(body: Mapping[str, object]) -> str:
    """The table of a control-plane operation, which has its own words for a missing name.

    >>> named_table({"TableName": "Orders"})
    'Orders'
    """
    if body.get("TableName") is None:
        raise validation("The parameter 'TableName' is required but was not present in the request")
    return table_name(body)


def resource_table(body: Mapping[str, object], member: str = "ResourceArn") -> str:
    """The table of an operation that names its resource by ARN alone; `member` is where.

    >>> resource_table({"ResourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Orders"})
    'Orders'
    """
    value = body[member]
    assert isinstance(value, str), "member types were checked before"
    arn = _ARN.fullmatch(value)
    if arn is None:
        raise validation(f"Invalid TableArn: Invalid ResourceArn provided as input {value}")
    return arn.group(1)
