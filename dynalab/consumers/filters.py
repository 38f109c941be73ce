"""Event filters: which records a trigger is called for (S78).

A pattern is a map of the same shape as a record. At its leaves stand lists: one of the members must fit. A member is a
plain value, or one of `{"exists": …}`, `{"prefix": …}`, `{"suffix": …}`, `{"anything-but": […]}`, `{"numeric": [op,
value, …]}`. Names that the pattern does not mention do not matter; all that it mentions must fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from operator import eq, ge, gt, le, lt
from typing import cast


class BadPattern(ValueError):
    """A pattern that says nothing; the text says where."""


_COMPARISONS: dict[str, Callable[[Decimal, Decimal], bool]] = {"=": eq, "<": lt, "<=": le, ">": gt, ">=": ge}


def matches(pattern: Mapping[str, object], record: Mapping[str, object]) -> bool:
    """Whether the record fits the pattern; raises BadPattern.

    >>> insert = {"eventName": "INSERT", "dynamodb": {"NewImage": {"type": {"S": "user"}, "age": {"N": "7"}}}}
    >>> matches({"eventName": ["INSERT"], "dynamodb": {"NewImage": {"type": {"S": ["user"]}}}}, insert)
    True
    >>> matches({"dynamodb": {"NewImage": {"age": {"N": [{"numeric": [">", 7]}]}}}}, insert)
    False
    >>> matches({"dynamodb": {"OldImage": [{"exists": False}]}}, insert)
    True
    """
    return _fits(pattern, record, "")


def _fits(pattern: Mapping[str, object], value: object, path: str) -> bool:
    """Every name that is mentioned must fit; a value that is no map has no names."""
    there = value if isinstance(value, Mapping) else {}
    for name, wanted in pattern.items():
        where = f"{path}.{name}" if path else name
        if isinstance(wanted, Mapping):
            if not wanted:
                raise BadPattern(f"{where}: an empty pattern fits nothing and everything")
            if not _fits(wanted, there.get(name), where):
                return False
        elif isinstance(wanted, list):
            if not wanted:
                raise BadPattern(f"{where}: a list of no values")
            if not any(_member_fits(member, name in there, there.get(name), where) for member in wanted):
                return False
        else:
            raise BadPattern(f"{where}: a value stands in a list")
    return True


def _member_fits(member: object, present: bool, value: object, where: str) -> bool:
    if not isinstance(member, Mapping):
        return present and type(member) is type(value) and member == value
    if len(member) != 1:
        raise BadPattern(f"{where}: one comparison at a time")
    ((kind, operand),) = member.items()
    if kind == "exists":
        return present is bool(operand)
    if kind == "prefix":
        return isinstance(value, str) and value.startswith(str(operand))
    if kind == "suffix":
        return isinstance(value, str) and value.endswith(str(operand))
    if kind == "anything-but":
        refused = operand if isinstance(operand, list) else [operand]
        return present and value not in refused
    if kind == "numeric" and isinstance(operand, list) and operand and len(operand) % 2 == 0:
        return _numbers_fit(cast("Sequence[object]", operand), value, where)
    raise BadPattern(f"{where}: there is no comparison {kind}")


def _numbers_fit(comparisons: Sequence[object], value: object, where: str) -> bool:
    """Numbers come as texts: DynamoDB's are exact, and so is the comparison."""
    try:
        number = Decimal(str(value))
        for operator, operand in zip(comparisons[::2], comparisons[1::2], strict=True):
            if not _COMPARISONS[str(operator)](number, Decimal(str(operand))):
                return False
    except KeyError as error:
        raise BadPattern(f"{where}: there is no comparison {error.args[0]}") from None
    except InvalidOperation:
        return False
    return True
