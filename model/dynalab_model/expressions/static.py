"""Checks that functions and operators get what they can take: the same for conditions, key conditions and updates.

Rules of this room:
- What depends on the text and the names alone is decided once, when a template is compiled. What depends on the
  values' types is a `Check`, run for each request before anything is read.
- Checks run in the order in which DynamoDB reports (expressions.md §3): undefined values, operand counts, equal
  operands, types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from dynalab_model.errors import DynamoError
from dynalab_model.expressions.nodes import Node, Operation, Path, Value, bare, printed
from dynalab_model.expressions.texts import refused
from dynalab_model.values import TYPES, AttributeValue, Item, compare, value_type

Check: TypeAlias = Callable[[Item], None]

CONDITION_FUNCTIONS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
    "size": 1,
}
UPDATE_FUNCTIONS = {"if_not_exists": 2, "list_append": 2}

ORDERING = frozenset({"<", "<=", ">", ">="})
COMPARISONS = ORDERING | {"=", "<>"}
_PATH_FIRST = frozenset({"attribute_exists", "attribute_not_exists", "attribute_type", "if_not_exists"})
_DISTINCT = COMPARISONS | {"BETWEEN", "IN", "begins_with", "contains"}

ORDERED_TYPES = frozenset({"S", "N", "B"})
_IN_MAX = 100
_NUMBERS = frozenset({"N"})
_LISTS = frozenset({"L"})
_SIZED = frozenset(TYPES) - {"N", "BOOL", "NULL"}
_PREFIXED = frozenset({"S", "B"})


def check_values_defined(kind: str, used: tuple[str, ...], values: Item) -> None:
    """Refuses value placeholders that stand for nothing."""
    for name in used:
        if name not in values:
            raise undefined_value(kind, name)


def undefined_value(kind: str, name: str) -> DynamoError:
    """The error of a value placeholder that stands for nothing."""
    return refused(kind, "value", name=name)


def count_errors(kind: str, operations: list[Operation]) -> list[DynamoError]:
    """Functions with too few or too many operands, and an IN that is too long."""
    errors = []
    for operation in operations:
        count = len(operation.operands)
        wanted = CONDITION_FUNCTIONS.get(operation.name) or UPDATE_FUNCTIONS.get(operation.name)
        if operation.call and wanted is not None and count != wanted:
            errors.append(refused(kind, "count", name=operation.name, count=count))
        if operation.name == "IN" and not operation.call and count - 1 > _IN_MAX:
            errors.append(refused(kind, "in-count", count=count - 1))
    return errors


def distinct_errors(kind: str, operations: list[Operation], names: Mapping[str, str]) -> list[DynamoError]:
    """Operators that compare a path with itself."""
    errors = []
    for operation in operations:
        first, *others = (bare(operand) for operand in operation.operands)
        if operation.name not in _DISTINCT or not isinstance(first, Path):
            continue
        path = first.resolve(names)
        if any(isinstance(other, Path) and other.resolve(names) == path for other in others):
            errors.append(refused(kind, "distinct", name=operation.name, path=printed(path)))
    return errors


def path_errors(kind: str, operations: list[Operation]) -> list[DynamoError]:
    """Functions whose first operand must be a path and is not."""
    return [
        refused(kind, "path", name=operation.name)
        for operation in operations
        if operation.call and operation.name in _PATH_FIRST and not isinstance(bare(operation.operands[0]), Path)
    ]


def type_checks(kind: str, operations: list[Operation]) -> list[Check]:
    """For each operation whose operands stand in the request: a check of their types."""
    checks: list[Check] = []
    for operation in operations:
        name = operation.name
        operands = [bare(operand) for operand in operation.operands]
        if name in ORDERING:
            checks += [_allows(kind, "type-operator", name, operand, ORDERED_TYPES) for operand in operands]
        elif name in ("+", "-"):
            checks += [_allows(kind, "type-function", name, operand, _NUMBERS) for operand in operands]
        elif name == "BETWEEN":
            checks += [_allows(kind, "type-operator", name, operand, ORDERED_TYPES) for operand in operands]
            checks.append(_bounds(kind, operands[1], operands[2]))
        elif name == "begins_with":
            checks += [_allows(kind, "type-function", name, operand, _PREFIXED) for operand in operands]
        elif name == "size":
            checks.append(_allows(kind, "type-function", name, operands[0], _SIZED))
        elif name == "list_append":
            checks += [_allows(kind, "type-function", name, operand, _LISTS) for operand in operands]
        elif name == "attribute_type":
            checks.append(_type_name(kind, operands[1]))
    return [check for check in checks if check is not _nothing]


def failing(error: DynamoError) -> Check:
    """A check that was decided when the template was compiled, kept for its place in the order."""

    def check(_values: Item) -> None:
        raise refused_again(error)

    return check


def refused_again(error: DynamoError) -> DynamoError:
    """A fresh copy: an exception that is raised twice collects two tracebacks."""
    return DynamoError(error.code, error.message)


def _nothing(_values: Item) -> None:
    pass


def _is_size(operand: Node) -> bool:
    """`size` gives a number, whatever the item holds."""
    return isinstance(operand, Operation) and operand.name == "size"


def _allows(kind: str, text: str, name: str, operand: Node, allowed: frozenset[str]) -> Check:
    if _is_size(operand) and "N" not in allowed:
        return failing(refused(kind, text, name=name, type="N"))
    if not isinstance(operand, Value):
        return _nothing
    placeholder = operand.name

    def check(values: Item) -> None:
        found = value_type(values[placeholder])
        if found not in allowed:
            raise refused(kind, text, name=name, type=found)

    return check


def _bounds(kind: str, low: Node, high: Node) -> Check:
    if not isinstance(low, Value) or not isinstance(high, Value):
        return _nothing
    low_name, high_name = low.name, high.name

    def check(values: Item) -> None:
        lower, upper = values[low_name], values[high_name]
        shown = {"low": _shown(lower), "high": _shown(upper)}
        if value_type(lower) != value_type(upper):
            raise refused(kind, "between-type", **shown)
        if compare(lower, upper) == 1:
            raise refused(kind, "between-order", **shown)

    return check


def _type_name(kind: str, operand: Node) -> Check:
    if not isinstance(operand, Value):
        # The only kind of operand that names a type is a string in the request.
        found = "N" if _is_size(operand) else "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"
        return failing(refused(kind, "type-function", name="attribute_type", type=found))
    placeholder = operand.name

    def check(values: Item) -> None:
        wire: dict[str, Any] = values[placeholder]
        if "S" not in wire:
            raise refused(kind, "type-function", name="attribute_type", type=value_type(values[placeholder]))
        if wire["S"] not in TYPES:
            raise refused(kind, "type-name", name=wire["S"])

    return check


def _shown(value: AttributeValue) -> str:
    wire: dict[str, Any] = value
    return "AttributeValue: {" + ", ".join(f"{kind}:{content}" for kind, content in wire.items()) + "}"


def run_operand_checks(kind: str, operations: list[Operation], names: Mapping[str, str]) -> tuple[list[Check], bool]:
    """All checks of these operations in their order, and whether the text itself is already wrong."""
    counts = count_errors(kind, operations)
    # With a wrong count the others could not look at their operands.
    decided = counts or distinct_errors(kind, operations, names) + path_errors(kind, operations)
    checks = [failing(error) for error in decided[:1]]
    return (checks, True) if checks else (type_checks(kind, operations), False)


def caught(step: Callable[[], None]) -> DynamoError | None:
    """The error of a step that is to be reported later, at its place in the order."""
    try:
        step()
    except DynamoError as error:
        return error
    return None
