"""What a history consists of: operations, from invocation to completion, and the vocabulary of the format.

Rules of this room:
- Plain values. Millions of operations are held at once, so an `Operation` is slotted, is not frozen (freezing triples
  the cost of making one), and has no dictionary of its own unless it carries fields that the format does not know.
- `MISSING` is "not told"; None is "absent". They are never the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from dynalab_checkers.no_fields import NO_FIELDS

Scalar: TypeAlias = str | int | float | bool | None
Json: TypeAlias = "Scalar | list[Json] | dict[str, Json]"


class Missing(Enum):
    """The type of `MISSING`: the field was not given, which is not the same as a field that holds null (absent)."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING

TYPES: Final = ("invoke", "ok", "fail", "info")
CONSISTENCIES: Final = ("strong", "eventual", "index")
REGISTER_FUNCTIONS: Final = ("read", "write", "cas", "delete")
# Micro-operations of a transaction: how many elements without and with the old value (for "r": with the value read).
TRANSACTION_ARITY: Final = {"r": (2, 3), "w": (3, 4), "append": (3, 4), "cas": (4, 5), "d": (2, 3)}


class MalformedHistory(ValueError):
    """A history that breaks the format. `line` counts from 1; `reason` says in words what is wrong there.

    >>> raise MalformedHistory(1, "a read needs a key (a string)")
    Traceback (most recent call last):
    dynalab_checkers.operation.MalformedHistory: line 1: a read needs a key (a string)
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


@dataclass(slots=True)
class Operation:
    """One operation of one client. Times in nanoseconds; `ret` is None if it never returned, so it may take effect at
    any later time.

    `value`: what was written; cas: [from, to]; txn: the micro-operations, with what they read once the transaction
    returned; None for read and delete. `result`: what a read returned (None = absent). `old`: the value replaced;
    `found`: what a failed condition met; both MISSING if not told. `extra` and `ret_extra` hold the unknown fields of
    the invocation and the completion.
    """

    process: int
    f: str
    key: str
    call: int
    ret: int | None
    outcome: str
    value: Json = None
    result: Scalar = None
    old: Scalar | Missing = MISSING
    found: Scalar | Missing = MISSING
    consistency: str | None = None
    session: str | int | None = None
    call_index: int = 0
    ret_index: int | None = None
    extra: dict[str, Json] = NO_FIELDS
    ret_extra: dict[str, Json] = NO_FIELDS
    info_time: int | None = None

    def annotation(self, name: str) -> Json:
        """An unknown field by its name, the completion's before the invocation's; None if neither has it."""
        return self.ret_extra[name] if name in self.ret_extra else self.extra.get(name)
