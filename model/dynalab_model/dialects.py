"""The service's words in other dialects: wordings that were captured in some Regions, or long ago (api.md §8 "Drift").

Rules of this room:
- The texts of `errors` and `expressions.texts` are the classic dialect. Another one is a short table of what it says
  otherwise; class, status and order of checks stay as they are, and so programs should look at nothing else.
- A dialect is chosen at the edge, for a whole endpoint: model, service and their lockstep speak the classic one.
- What nobody has captured in a dialect is said in the classic one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from dynalab_model.errors import DynamoError, validation

CLASSIC: Final = "classic"

_NAME_LENGTH_LEAST, _NAME_LENGTH_MAX = 3, 255
_OLDER_NAME = (
    f"TableName must be at least {_NAME_LENGTH_LEAST} characters long and at most {_NAME_LENGTH_MAX} characters long"
)
# Operations on items, whose names of tables the classic dialect takes from one character on.
_ON_ITEMS = frozenset({"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"})
# Where the words of 2026 were captured; what other operations say there nobody has written down.
_DRIFTED = frozenset({"PutItem", "UpdateItem"})

_ENVELOPED = re.compile(r"Value (?:null|'.*?') at '([^']*)' failed to satisfy constraint:", re.DOTALL)

# The families that came under the envelope's head in 2026: they begin with these words.
_BESPOKE: Final = (
    r"One or more parameter values were invalid: An (?:string|number) set  may not be empty",
    r"One or more parameter values were invalid: Binary sets should not be empty",
    r"(?:One or more parameter values were invalid: )?Input collection .*contains duplicates",
    r"One or more parameter values were invalid: Null attribute value types must have the value of true",
    r"Invalid \w+Expression: (?:Syntax error;|The expression can not be empty;)",
    r"Invalid \w+Expression: Expression size has exceeded the maximum allowed size;",
    r"Invalid \w+Expression: The expression has redundant parentheses;",
    r"Invalid \w+Expression: The first operand must be distinct from the remaining operands",
    r"Can not use both expression and non-expression parameters in the same request:",
    r"ExpressionAttribute(?:Names|Values) (?:can only be specified when using expressions|must not be empty)",
    r"ReturnValues can only be ALL_OLD or NONE",
)
_BESPOKE_TEXT = re.compile("|".join(_BESPOKE), re.DOTALL)
_HEAD = "1 validation error detected: "

Respell: TypeAlias = Callable[[str], str]
Check: TypeAlias = Callable[[Mapping[str, object]], DynamoError | None]


@dataclass(frozen=True, slots=True)
class Dialect:
    """`respell` changes the message of a ValidationException that one of `operations` answers; `check` refuses what
    only this dialect has words for.
    """

    says: str
    operations: frozenset[str]
    respell: Respell | None = None
    check: Check | None = None


def _drifted(message: str) -> str:
    if _BESPOKE_TEXT.match(message):
        return _HEAD + message
    return _ENVELOPED.sub(lambda found: f"Value at '{_pascal(found[1])}' failed to satisfy constraint:", message)


def _pascal(path: str) -> str:
    """A member's path with the service's own names in place of Java's: `key.S` and places in lists stay."""
    parts = path.split(".")
    return ".".join([parts[0][:1].upper() + parts[0][1:], *parts[1:]])


def _older_name(body: Mapping[str, object]) -> DynamoError | None:
    name = body.get("TableName")
    if not isinstance(name, str) or name.startswith("arn:") or _NAME_LENGTH_LEAST <= len(name) <= _NAME_LENGTH_MAX:
        return None
    return validation(_OLDER_NAME)


DIALECTS: Final[Mapping[str, Dialect]] = {
    CLASSIC: Dialect("as captured in most Regions", frozenset()),
    "2026": Dialect("some Regions since 2026: no values, members in capitals, one head for all", _DRIFTED, _drifted),
    "older": Dialect("an older wording of names that are too short or too long", _ON_ITEMS, check=_older_name),
}


def respelt(dialect: str, operation: str, body: Mapping[str, object]) -> Mapping[str, object]:
    """The body of an error as this dialect says it.

    >>> error = validation("ReturnValues can only be ALL_OLD or NONE").body()
    >>> respelt("2026", "PutItem", error)["message"]
    '1 validation error detected: ReturnValues can only be ALL_OLD or NONE'
    >>> respelt("2026", "DeleteItem", error)["message"]
    'ReturnValues can only be ALL_OLD or NONE'
    """
    spoken = DIALECTS[dialect]
    message = body.get("message")
    if spoken.respell is None or operation not in spoken.operations or not isinstance(message, str):
        return body
    return (
        {**body, "message": spoken.respell(message)} if str(body["__type"]).endswith("#ValidationException") else body
    )


def check_request(dialect: str, operation: str, body: Mapping[str, object]) -> None:
    """Refuse what this dialect refuses in words of its own, before anything else is looked at.

    >>> check_request("older", "GetItem", {"TableName": "ab"})
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: TableName must be at least 3 characters long and at most \
255 characters long
    """
    spoken = DIALECTS[dialect]
    refusal = spoken.check(body) if spoken.check is not None and operation in spoken.operations else None
    if refusal is not None:
        raise refusal
