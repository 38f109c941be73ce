"""Operations and values in sentences, for verdicts. Times are shown in seconds, values as JSON would show them."""

from __future__ import annotations

from typing import TypeAlias

from dynalab_checkers.history import MISSING, Operation, Scalar

Token: TypeAlias = Scalar | tuple[str, bool]


def token(value: object) -> Token:
    """A value as a dictionary key: Python's 1 == True must not make JSON's 1 equal to true.

    >>> token(1) == token(True), token(1) == token(1.0)
    (False, True)
    """
    if value is True or value is False:
        return ("bool", bool(value))
    assert value is None or isinstance(value, (str, int, float, tuple)), "values of a register are scalars"
    return value


def show(value: object) -> str:
    """A value in a sentence; absence is "nothing"."""
    if value is None or value is MISSING:
        return "nothing"
    if isinstance(value, tuple):
        return "true" if value[1] else "false"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def seconds(time_ns: int) -> str:
    """Nanoseconds as seconds with the digits that matter; below a microsecond (logs that only number their lines) as
    such.

    >>> seconds(1_204_000_000), seconds(1_204_000_001), seconds(7)
    ('1.204 s', '1.204000001 s', '7 ns')
    """
    if -1000 < time_ns < 1000 and time_ns:
        return f"{time_ns} ns"
    sign = "-" if time_ns < 0 else ""
    whole, rest = divmod(abs(time_ns), 1_000_000_000)
    digits = f"{rest:09d}"
    while len(digits) > 3 and digits.endswith("000"):
        digits = digits[:-3]
    return f"{sign}{whole}.{digits} s"


def describe(operation: Operation) -> str:
    """An operation in a sentence: what it was and when it was called."""
    if operation.f == "write":
        what = f"the write of {show(operation.value)}"
    elif operation.f == "cas" and isinstance(operation.value, list):
        what = f"the conditional write from {show(operation.value[0])} to {show(operation.value[1])}"
        if operation.value[1] is None:
            what = f"the conditional delete of {show(operation.value[0])}"
    elif operation.f == "append":
        what = f"the append of {show(operation.value)}"
    else:
        what = f"the {operation.f}"
    if operation.outcome == "fail" and operation.f != "read":
        what = what.replace("the ", "the failed ", 1)
    return f"{what} at {seconds(operation.call)}"


def effect(operation: Operation) -> str:
    """An operation with what it returned: "the read at 1.204 s returned 7"."""
    if operation.f == "read" and operation.outcome == "ok":
        return f"{describe(operation)} returned {show(token(operation.result))}"
    if operation.outcome == "fail" and operation.found is not MISSING:
        return f"{describe(operation)} found {show(token(operation.found))}"
    if operation.old is not MISSING and operation.f != "cas":
        return f"{describe(operation)} (which replaced {show(token(operation.old))})"
    return describe(operation)
